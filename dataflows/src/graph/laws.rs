//! Both engines tell the same of clicks in huge minutes and tiny ones, under few filters and many,
//! with windows that are longer than the horizon; on any number of workers, and however hashes fall.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use timely::container::CapacityContainerBuilder;
use timely::dataflow::ProbeHandle;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Probe;
use timely::dataflow::operators::generic::operator::Operator;
use timely::worker::Worker;
use timely::{CommunicationConfig, Config, WorkerConfig};

use super::{Outputs, assemble};
use crate::click::ClickRef;
use crate::count::Change;
use crate::count::changes::{ChangeRef, Changes, PackedChange};
use crate::decode::{Decoder, Schema};
use crate::faults::Faults;
use crate::filter::{Filter, Filters, Predicates};
use crate::gauge::Gauges;
use crate::ingest::{Beside, Record};
use crate::keep_first::seen::SeenClicks;
use crate::keep_first::shelf::InMemory;
use crate::match_filters::Cell;
use crate::options::{Copies, Emit, Engine, Options};
use crate::packed::Packed;
use crate::partition::Start;
use crate::random::{Draw, Random};
use crate::rank::List;
use crate::time::{Epoch, MINUTE_MS, Millis, Minute};

const COUNTRIES: [&str; 3] = ["USA", "CAN", "FRA"];

const PARTITIONS: u32 = 3;

/// A click as a partition has it.
#[derive(Clone, Debug)]
struct Clicked {
    event_ms: Millis,
    ad: String,
    country: Option<&'static str>,
    identity: Option<u128>,
}

impl Clicked {
    fn seen(&self) -> ClickRef<'_> {
        ClickRef {
            event_ms: self.event_ms,
            ad: self.ad.as_str().into(),
            user: None,
            ip: None,
            country: self.country.map(Into::into),
            click_id: None,
            identity: self.identity,
            log_time: None,
        }
    }
}

type Partitions = Vec<Vec<Clicked>>;

/// Rows by epoch, and clicks, duplicates and late ones.
#[derive(Debug, Default, PartialEq)]
struct Told {
    counts: BTreeMap<(Epoch, Change), isize>,
    lists: BTreeMap<(Epoch, List), isize>,
    tallies: [u64; 3],
}

fn options(random: &mut Random) -> Options {
    let lateness_ms = [0, 15_000, 90_000][random.place(3)];
    let filters = (1..=[0, 2, 63, 70][random.small(4) as usize]).map(|id| {
        let country = vec![COUNTRIES[id as usize % 3].to_owned()];
        let some = Predicates { country, ..Predicates::default() };
        let (where_, not) =
            if id % 2 == 0 { (some, Predicates::default()) } else { (Predicates::default(), some) };
        Filter { id, name: String::new(), where_, not }
    });
    Options {
        refresh_ms: [1000, 60_000][random.place(2)],
        lateness_ms,
        horizon_ms: lateness_ms.max([60_000, 600_000][random.place(2)]),
        ahead_max_ms: 60 * MINUTE_MS,
        jump_max_ms: 60 * MINUTE_MS,
        correct_every_ms: 60_000,
        emit: [Emit::Final, Emit::Changes][random.place(2)],
        copies: [Copies::Anywhere, Copies::Partition][random.place(2)],
        filters: Filters::new(filters.collect()).unwrap(),
        windows: [vec![1], vec![1, 5], vec![2, 30], vec![90]][random.place(4)].clone(),
        top: [1, 3, 100][random.place(3)],
        from: Minute(0),
        engine: Engine::Fast,
    }
}

/// Minutes of no click, of few, and of thousands; some clicks come late, and some twice.
fn partitions(random: &mut Random) -> Partitions {
    let mut partitions = vec![Vec::new(); PARTITIONS as usize];
    let mut sent: Vec<Clicked> = Vec::new();
    let mut minute = 1000;
    for _ in 0..random.place(12) {
        minute += 1 + if random.once_in(5) { random.below(40) } else { 0 };
        let clicks = [1, 3, 40, 40, 3000][random.place(5)];
        let ads = [1, 20, 5000][random.place(3)];
        for at in 0..clicks {
            let late = if random.once_in(20) { random.below(12) } else { 0 };
            let event_ms = (minute - late) * MINUTE_MS + at * MINUTE_MS / clicks;
            let ad = random.small(ads);
            let ad = if ad % 3 == 0 { format!("an ad of many: {ad}") } else { ad.to_string() };
            let country = COUNTRIES.get(random.place(4)).copied();
            let identity = u128::from(random.below(u64::MAX)) << 64 | u128::from(sent.len() as u64);
            let identity = (!random.once_in(9)).then_some(identity);
            let again = random.once_in(8).then(|| random.place(sent.len().max(1)));
            let click = again.and_then(|again| sent.get(again).cloned());
            let click = click.unwrap_or(Clicked { event_ms, ad, country, identity });
            sent.push(click.clone());
            partitions[random.place(PARTITIONS as usize)].push(click);
        }
    }
    partitions
}

/// What the graph tells of `partitions`.
fn tell(partitions: &Partitions, options: &Options, workers: usize) -> Told {
    let communication = match workers {
        1 => CommunicationConfig::Thread,
        _ => CommunicationConfig::Process(workers),
    };
    let told = Arc::new(Mutex::new(Told::default()));
    let (all, partitions, options) = (Arc::clone(&told), partitions.clone(), options.clone());
    let config = Config { communication, worker: WorkerConfig::default() };
    let guards = timely::execute(config, move |worker| work(worker, &partitions, &options, &all));
    for worker in guards.unwrap().join() {
        worker.unwrap();
    }
    let mut told = std::mem::take(&mut *told.lock().unwrap());
    told.counts.retain(|_, diff| *diff != 0);
    told.lists.retain(|_, diff| *diff != 0);
    told
}

/// Runs the graph on one worker, with its share of the partitions.
fn work(worker: &mut Worker, partitions: &Partitions, options: &Options, all: &Arc<Mutex<Told>>) {
    let (index, peers) = (worker.index(), worker.peers());
    let (mut ingest, probe) = worker.dataflow(|scope| {
        let seen = SeenClicks::new(Box::new(InMemory), Faults::default());
        let (ingest, outputs) = assemble(scope, seen, options, &Gauges::default());
        (ingest, gather(outputs, all))
    });
    let decoder = Decoder::new(&Schema::default()).unwrap();
    let own = || (0..PARTITIONS).filter(|number| *number as usize % peers == index);
    for partition in own() {
        ingest.open(Start { partition, ..Start::default() }, decoder.clone(), 0);
    }
    ingest.close_spare();
    for partition in own() {
        for (offset, click) in (0..).zip(&partitions[partition as usize]) {
            let record =
                Record { offset, log_time: None, value: b"", bytes: 0, beside: Beside::default() };
            ingest.inlet(partition).push_click((&click.seen(), &Vec::new), record, 0);
            if offset % 1000 == 0 {
                worker.step();
            }
        }
        ingest.close(partition);
    }
    while !probe.done() {
        worker.step();
    }
}

/// Adds what is told to `all`.
fn gather(outputs: Outputs<'_>, all: &Arc<Mutex<Told>>) -> ProbeHandle<Epoch> {
    let (of_counts, of_lists, of_tallies) = (Arc::clone(all), Arc::clone(all), Arc::clone(all));
    let gather = move |rows: &mut Packed<PackedChange>| {
        let epochs: Vec<Epoch> = rows.rows().iter().map(|row| row.epoch).collect();
        let mut changes = Changes::default();
        changes.append(rows);
        let counts = &mut of_counts.lock().unwrap().counts;
        for (epoch, change) in epochs.into_iter().zip(changes.iter()) {
            let ChangeRef { ad, minute, filter, clicks, was } = change;
            let change = Change { cell: Cell { minute, filter, ad: ad.into() }, clicks, was };
            *counts.entry((epoch, change)).or_default() += 1;
        }
    };
    let counts = outputs.counts.unary::<CapacityContainerBuilder<Vec<()>>, _, _, _>(
        Pipeline,
        "Gather",
        move |_, _| move |rows, _| rows.for_each(|_, rows| gather(rows)),
    );
    let lists = outputs.ranks.inspect(move |(list, epoch, diff)| {
        let lists = &mut of_lists.lock().unwrap().lists;
        *lists.entry((*epoch, list.clone())).or_default() += diff;
    });
    let tallies = outputs.tallies.inspect(move |(tally, _, _)| {
        let tallies = &mut of_tallies.lock().unwrap().tallies;
        let more = [tally.clicks, tally.duplicates, tally.late];
        tallies.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
    });
    let probe = ProbeHandle::new();
    counts.probe_with(&probe);
    lists.inner.probe_with(&probe);
    tallies.inner.probe_with(&probe);
    probe
}

#[test]
fn both_engines_tell_the_same_of_huge_minutes_and_tiny_ones() {
    let (mut rows, mut late) = (0, 0);
    // Tables that collide all the time are slow.
    let seeds = if cfg!(feature = "weak-hash") { 6 } else { 24 };
    for seed in 0..seeds {
        let mut random = Random(seed);
        let (options, partitions) = (options(&mut random), partitions(&mut random));
        let simple = tell(&partitions, &Options { engine: Engine::Simple, ..options.clone() }, 1);
        for workers in [1, 2] {
            let fast = tell(&partitions, &options, workers);
            assert!(fast == simple, "seed {seed}, {workers} workers, {options:?}");
        }
        rows += simple.counts.len() + simple.lists.len();
        late += simple.tallies[2];
    }
    let enough = rows as u64 > 800 * seeds && late > 4 * seeds;
    assert!(enough, "{rows} rows, {late} late clicks of {seeds} seeds");
}
