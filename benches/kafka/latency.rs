//! From the moment at which the last partition's clock passes an epoch until its rows are readable.
//!
//! The moment is the log time that the broker gave the record which moved the last clock. Rows are
//! readable when a reader of committed records in another process than the job's has the ledger's
//! line and all the rows of its commit, lists among them.

use clicks::worker::wall_ms;
use clicks_dataflows::time::{Epoch, MINUTE_MS, Millis};

use crate::Args;
use crate::feed::{Ads, Feed, REFRESH_MS, Sent, Turn};
use crate::house::{FILTERS, House, clicks_topic, cpu_seconds, resident};
use crate::quantiles::Quantiles;
use crate::seen::{Commits, Reader, Sight as _, Whole};
use crate::support::binary::wait_for;

/// Partitions of the clicks: each gets one in each refresh.
const PARTITIONS: u64 = 8;

/// Clicks a second of the slow run.
const SLOW: u64 = 10;

/// What an epoch may take, and what rows may take on top: so many in a millisecond.
const BOUND_MS: Millis = 200;
const ROWS_PER_MS: u64 = 500;

/// The first click is sent so long after its topics begin to be made.
const START_MS: Millis = 6_000;

/// What is not looked at: the job and the broker begin.
const WARM_UP_MS: Millis = 5_000;

/// How long after its end a minute settles.
const LATENESS_MS: Millis = 15_000;

/// Measures all runs; tells whether all that was sent was told.
pub fn measure(args: &Args) -> bool {
    let Args { latency_seconds: seconds, latency_rate: rate, latency_ads: ads, .. } = *args;
    println!(
        "\nlatency: from the last clock that passes an epoch to a committed reader; {ads} ads"
    );
    println!("  epochs that settle no minute, emit = \"changes\"; bound: p99 of {BOUND_MS} ms");
    println!("  clicks/s  epochs     p50     p99     max   rows/epoch  cores  MiB");
    let changes = [SLOW, rate].map(|rate| changes(rate, seconds, ads));
    println!(
        "  an epoch that settles a minute, emit = \"final\"; bound: 200 ms + rows / 500,000 s"
    );
    println!("  clicks/s      rows      ms   bound");
    let last = settled(rate, seconds, ads);
    changes.iter().all(|good| *good) && last
}

/// A run that tells each change.
fn changes(rate: u64, seconds: u64, ads: u64) -> bool {
    let began = wall_ms() + START_MS;
    let plan = Plan { emit: "changes", rate, seconds, ads, shift_ms: 0, began };
    let run = Run::of(&format!("latency-{rate}"), &plan);
    let mut taken = Quantiles::default();
    let from = run.sent.began_ms + WARM_UP_MS;
    for epoch in run.sent.epochs().filter(|epoch| *epoch >= from && !settles(*epoch)) {
        if let (Some(closed), Some(whole)) = (run.sent.closed_at(epoch), run.commit_of(epoch)) {
            taken.add(whole.at.saturating_sub(closed));
        }
    }
    let rows: u64 = run.commits.whole.iter().map(|whole| whole.rows).sum();
    let (text, each, cores, mib) = (taken.text(), rows / seconds, run.cores, run.resident);
    println!("  {rate:>8} {text}   {each:>10}  {cores:>5.2} {mib:>4}");
    let p99 = taken.at(990);
    if p99 > BOUND_MS {
        println!("  p99 misses its bound of {BOUND_MS} ms by {} ms", p99 - BOUND_MS);
    }
    run.is_whole()
}

/// A run in which at least one minute settles.
fn settled(rate: u64, seconds: u64, ads: u64) -> bool {
    let (began, before_end) = (wall_ms() + START_MS, seconds.min(60) * 1000);
    let plan = Plan {
        emit: "final",
        rate,
        // The minute ends, settles, and is told.
        seconds: seconds + 20,
        ads,
        // The first click happens so long before the end of its minute.
        shift_ms: (began + before_end) % MINUTE_MS,
        began,
    };
    let run = Run::of("latency-final", &plan);
    for epoch in run.sent.epochs().filter(|epoch| settles(*epoch)) {
        let (Some(closed), Some(whole)) = (run.sent.closed_at(epoch), run.commit_of(epoch)) else {
            continue;
        };
        let (rows, ms) = (whole.rows, whole.at.saturating_sub(closed));
        let bound = BOUND_MS + rows / ROWS_PER_MS;
        println!("  {rate:>8} {rows:>9} {ms:>7} {bound:>7}");
        if ms > bound {
            println!("  it misses its bound by {} ms", ms - bound);
        }
    }
    println!("  job: {:.2} cores, {} MiB resident at most", run.cores, run.resident);
    run.is_whole()
}

fn settles(epoch: Millis) -> bool {
    epoch % MINUTE_MS == LATENESS_MS
}

/// A run.
struct Plan {
    emit: &'static str,
    rate: u64,
    seconds: u64,
    ads: u64,
    shift_ms: Millis,
    began: Millis,
}

/// A job that was fed and read.
struct Run {
    sent: Sent,
    commits: Commits,
    cores: f64,
    resident: u64,
}

impl Run {
    fn of(name: &str, plan: &Plan) -> Run {
        let partitions = i32::try_from(PARTITIONS).unwrap();
        let input = clicks_topic(&format!("{name}-clicks"), partitions, "LogAppendTime");
        let house = House::new(name, plan.emit, FILTERS);
        let job = house.start("run", &input);
        wait_for("a job begins", || (!house.ledger().is_empty()).then_some(()));
        let feed = Feed {
            topic: &input,
            partitions: PARTITIONS,
            turn: Turn::Each,
            per_second: plan.rate,
            seconds: plan.seconds,
            ads: Ads::Zipf(plan.ads),
            shift_ms: plan.shift_ms,
        };
        let last = plan.began - plan.shift_ms + plan.seconds * 1000;
        let (records, epoch) = match plan.emit {
            // The last minute that settles.
            "final" => (0, last - (last - LATENESS_MS) % MINUTE_MS),
            _ => (plan.rate * plan.seconds, 0),
        };
        let logs = ["counts", "ranks", "rejects", "ledger"];
        let reader = Reader::start(&house, &logs, Commits::until(records, epoch));
        let used = cpu_seconds(&job.pid());
        let sent = feed.send(plan.began);
        let cores = (cpu_seconds(&job.pid()) - used) / plan.seconds as f64;
        let resident = resident(&job.pid());
        let commits = reader.end();
        job.terminate();
        if sent.late_ms > REFRESH_MS {
            println!("  the generator was {} ms late", sent.late_ms);
        }
        Run { sent, commits, cores, resident }
    }

    /// The commit that tells an epoch.
    fn commit_of(&self, epoch: Epoch) -> Option<&Whole> {
        self.commits.whole.iter().find(|whole| whole.after < epoch && epoch <= whole.epoch)
    }

    /// Whether all that was waited for was told, and nothing twice.
    fn is_whole(&self) -> bool {
        let told = self.commits.whole.last().map_or(0, |whole| whole.records);
        let whole = self.commits.is_done() && told <= self.sent.clicks;
        if !whole {
            println!("  {} clicks were sent, and {told} are told", self.sent.clicks);
        }
        whole
    }
}
