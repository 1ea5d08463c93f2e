//! The job's graph over clicks that are decoded already: the one that ships, driven by hand.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};

use clicks::outbox::{Learnt, Outbox};
use clicks::worker::monotonic_ms;
use clicks_dataflows::click::ClickRef;
use clicks_dataflows::count::changes::ChangeRef;
use clicks_dataflows::decode::Decoder;
use clicks_dataflows::faults::Faults;
use clicks_dataflows::gauge::Gauges;
use clicks_dataflows::graph::assemble;
use clicks_dataflows::ingest::{Beside, Ingest, Record};
use clicks_dataflows::keep_first::seen::SeenClicks;
use clicks_dataflows::keep_first::shelf::InMemory;
use clicks_dataflows::options::Options;
use clicks_dataflows::partition::Start;
use clicks_dataflows::time::{Epoch, MINUTE_MS, Millis};
use timely::worker::Worker;
use timely::{CommunicationConfig, Config, WorkerConfig};

use crate::ads::Text;
use crate::support::job::{BATCH, decoder};
use crate::told::{Checksum, Count, Rank, Sink, Told};
use crate::workload::{COUNTRIES, Click, Decoded, country_code};

/// How far a partition is read ahead of what is told.
const AHEAD_MS: u64 = 60_000;

/// Steps after which a graph that gets nothing has nothing left to do.
pub const QUIET_STEPS: usize = 100;

/// Runs the graph over clicks in memory, and adds up its rows.
pub fn run_job(decoded: &Arc<Decoded>, workers: usize, options: Options) -> Told {
    let (decoded, decoder) = (Arc::clone(decoded), decoder());
    let told = Arc::new(Mutex::new(Told::default()));
    let sum = Arc::clone(&told);
    let communication = match workers {
        1 => CommunicationConfig::Thread,
        _ => CommunicationConfig::Process(workers),
    };
    let config = Config { communication, worker: WorkerConfig::default() };
    let guards = timely::execute(config, move |worker| {
        let told = work(worker, &decoded, &decoder, &options);
        if worker.index() == 0 {
            *sum.lock().expect("nobody panics") = told;
        }
    });
    for worker in guards.expect("threads can be started").join() {
        worker.expect("no worker fails");
    }
    *told.lock().expect("nobody panics")
}

/// The clicks of a worker's partitions on their way into its graph.
pub struct Feed<'a> {
    ingest: Ingest,
    /// What is still to come of each partition.
    pub left: Vec<(u32, &'a [Click])>,
    offsets: Vec<u64>,
    countries: Vec<String>,
}

impl<'a> Feed<'a> {
    /// The graph of `worker`, and the way into it.
    pub fn assemble(
        worker: &mut Worker,
        decoded: &'a Decoded,
        decoder: &Decoder,
        options: &Options,
        gauges: &Gauges,
    ) -> (Feed<'a>, Outbox) {
        let (index, peers) = (worker.index(), worker.peers());
        let (mut ingest, outbox) = worker.dataflow(|scope| {
            let seen = SeenClicks::new(Box::new(InMemory), Faults::default());
            let (ingest, outputs) = assemble(scope, seen, options, gauges);
            (ingest, Outbox::attach(outputs, options))
        });
        let own =
            (0..).zip(&decoded.partitions).filter(|(number, _)| *number as usize % peers == index);
        let left: Vec<(u32, &[Click])> = own.map(|(at, clicks)| (at, clicks.as_slice())).collect();
        for (partition, _) in &left {
            let start = Start { partition: *partition, ..Start::default() };
            ingest.open(start, decoder.clone(), 0);
        }
        ingest.close_spare();
        let code = |country| String::from_utf8(country_code(country).to_vec());
        let countries = (0..COUNTRIES).map(|country| code(country).expect("letters are UTF-8"));
        let offsets = vec![0; decoded.partitions.len()];
        (Feed { ingest, left, offsets, countries: countries.collect() }, outbox)
    }

    /// Pushes of each partition as many clicks as `count` says, and closes those that have ended.
    pub fn push(&mut self, count: impl Fn(&Ingest, u32, &[Click]) -> usize) {
        let Feed { ingest, left, offsets, countries } = self;
        left.retain_mut(|(partition, clicks)| {
            let batch;
            (batch, *clicks) = clicks.split_at(count(ingest, *partition, clicks));
            push(ingest, *partition, batch, countries, &mut offsets[*partition as usize]);
            if clicks.is_empty() {
                ingest.close(*partition);
            }
            !clicks.is_empty()
        });
    }
}

fn work(worker: &mut Worker, decoded: &Decoded, decoder: &Decoder, options: &Options) -> Told {
    let (mut feed, mut outbox) =
        Feed::assemble(worker, decoded, decoder, options, &Gauges::default());
    let mut told = Told::default();
    while let Some(open) = outbox.open_from() {
        feed.push(|ingest, partition, clicks| {
            let at = ingest.partition(partition).map_or(0, |partition| partition.epoch());
            if open > 0 && at > open + AHEAD_MS { 0 } else { BATCH.min(clicks.len()) }
        });
        worker.step();
        take(&mut outbox, open, &mut told);
    }
    take(&mut outbox, Epoch::MAX, &mut told);
    told
}

/// An epoch from the moment at which the last clock passes it.
pub struct Closing {
    /// The rows that it told.
    pub rows: u64,
    /// How long it took until they were there.
    pub took_ms: Millis,
}

/// Runs the graph on one worker, each epoch to its end before the next begins, as a job does that
/// keeps up.
pub fn closings(decoded: &Arc<Decoded>, options: &Options) -> (Told, Vec<Closing>) {
    let (decoded, decoder, options) = (Arc::clone(decoded), decoder(), options.clone());
    let work = move |worker: &mut Worker| in_step(worker, &decoded, &decoder, &options);
    let guards = timely::execute(Config::thread(), work).expect("a thread can be started");
    let mut workers = guards.join().into_iter();
    workers.next().expect("there is a worker").expect("it does not fail")
}

fn in_step(
    worker: &mut Worker,
    decoded: &Decoded,
    decoder: &Decoder,
    options: &Options,
) -> (Told, Vec<Closing>) {
    let (mut feed, mut outbox) =
        Feed::assemble(worker, decoded, decoder, options, &Gauges::default());
    let (mut told, mut closings) = (Told::default(), Vec::new());
    let first = decoded.partitions.iter().flatten().map(|click| click.event_ms).min();
    // Only the second click of a partition starts its clock: until then all have some.
    let mut epoch = options.epoch(first.unwrap_or(0) + MINUTE_MS);
    while !feed.left.is_empty() {
        feed.push(|_, _, clicks| {
            let next = clicks.iter().position(|click| click.event_ms >= epoch);
            next.unwrap_or(clicks.len())
        });
        for _ in 0..QUIET_STEPS {
            worker.step();
        }
        let rows = told.rows.counts;
        let began = monotonic_ms();
        feed.push(|_, _, clicks| clicks.len().min(1));
        while outbox.open_from().is_some_and(|open| open <= epoch) {
            worker.step();
        }
        take(&mut outbox, epoch + 1, &mut told);
        closings.push(Closing { rows: told.rows.counts - rows, took_ms: monotonic_ms() - began });
        epoch += options.refresh_ms;
    }
    while outbox.open_from().is_some() {
        worker.step();
    }
    take(&mut outbox, Epoch::MAX, &mut told);
    (told, closings)
}

fn push(
    ingest: &mut Ingest,
    partition: u32,
    clicks: &[Click],
    countries: &[String],
    next: &mut u64,
) {
    let mut inlet = ingest.inlet(partition);
    for click in clicks {
        let [high, low] = click.identity;
        let seen = ClickRef {
            event_ms: click.event_ms,
            ad: Cow::Borrowed(click.text.as_str()),
            user: None,
            ip: Some(IpAddr::V4(Ipv4Addr::from_bits(click.ip))),
            country: Some(Cow::Borrowed(&countries[click.country as usize])),
            click_id: None,
            identity: Some(u128::from(high) << 64 | u128::from(low)),
            log_time: None,
        };
        let record = Record {
            offset: *next,
            log_time: None,
            value: b"",
            bytes: 0,
            beside: Beside::default(),
        };
        inlet.push_click((&seen, &Vec::new), record, 0);
        *next += 1;
    }
    inlet.read_to(*next, false, 0);
}

/// Adds up what the epochs before `open` tell, in the order in which it is told.
pub fn take(outbox: &mut Outbox, open: Epoch, told: &mut Told) {
    while let Some((epoch, mut learnt)) = outbox.take(open.saturating_sub(1)) {
        learnt.sort();
        add(epoch, &learnt, &mut told.rows);
        for tally in &learnt.tallies {
            told.clicks += tally.clicks;
            told.duplicates += tally.duplicates;
        }
    }
}

fn add(epoch: Epoch, learnt: &Learnt, rows: &mut Checksum) {
    for ChangeRef { ad, minute, filter, clicks, .. } in learnt.counts.iter() {
        rows.count(Count { epoch, ad: Text::new(ad), minute, filter, clicks });
    }
    for list in &learnt.ranks {
        let (filter, window, minute) = list.group;
        let ads = list.ads.iter().map(|(clicks, ad)| (clicks.0, Text::new(ad.as_str())));
        let ads: Vec<(u64, Text)> = ads.collect();
        rows.rank(Rank { epoch, minute, filter, window, ads: &ads });
    }
}
