//! How a ledger grows: 1,000 partitions, nine tenths of them asleep.
//!
//! Two jobs read the same clicks, one tells minutes that have settled, the other each change. What
//! their ledgers gain in whole minutes is what they gain for ever.

use std::thread::{scope, sleep};
use std::time::Duration;

use clicks::worker::wall_ms;
use clicks_dataflows::time::MINUTE_MS;

use crate::Args;
use crate::feed::{Ads, Feed, Turn};
use crate::house::{House, clicks_topic, cpu_seconds};
use crate::support::binary::{Running, wait_for};
use crate::support::broker;

/// Partitions of the clicks, and those of them that are awake.
const PARTITIONS: i32 = 1000;
const AWAKE: u64 = 100;

/// Clicks a second: two of each partition that is awake.
const RATE: u64 = 200;

/// What is not looked at: partitions are opened, all of them are named.
const WARM_UP_S: u64 = 28;

/// Measures both ledgers; tells whether the jobs lived.
pub fn measure(args: &Args) -> bool {
    let minutes = args.ledger_seconds.saturating_sub(WARM_UP_S).max(60) / 60;
    println!("\nledger: {PARTITIONS} partitions, {AWAKE} of them with {RATE} clicks/s in all");
    println!(
        "  of {minutes} min: emit   lines/min   KiB/h on disk (lz4)   KiB/h of JSON   MiB/day on disk   cores"
    );
    let input = clicks_topic("ledger-clicks", PARTITIONS, "LogAppendTime");
    let houses = ["final", "changes"].map(|emit| House::new(&format!("ledger-{emit}"), emit, ""));
    let jobs = houses.each_ref().map(|house| house.start("run", &input));
    for house in &houses {
        wait_for("a job begins", || (!house.ledger().is_empty()).then_some(()));
    }
    let began = wall_ms() + 100;
    let feed = Feed {
        topic: &input,
        partitions: AWAKE,
        turn: Turn::Each,
        per_second: RATE,
        seconds: WARM_UP_S + minutes * 60 + 5,
        ads: Ads::Zipf(10_000),
        // A minute settles ten seconds after the start: the lines after that one are like all others.
        shift_ms: (began - 5_000) % MINUTE_MS,
    };
    let grown = scope(|scope| {
        scope.spawn(|| feed.send(began));
        sleep(Duration::from_secs(WARM_UP_S));
        let look = || [0, 1].map(|at| Size::of(&houses[at], &jobs[at]));
        let before = look();
        sleep(Duration::from_secs(minutes * 60));
        let after = look();
        [0, 1].map(|at| after[at].since(&before[at]))
    });
    for (emit, Size { lines, disk, json, cpu }) in ["final", "changes"].iter().zip(&grown) {
        let per_hour = |bytes: u64| bytes * 60 / minutes / 1024;
        let per_day = per_hour(*disk) * 24 / 1024;
        println!(
            "  {emit:>15} {:>11} {:>21} {:>15} {per_day:>17} {:>7.2}",
            lines / minutes,
            per_hour(*disk),
            per_hour(*json),
            cpu / (minutes * MINUTE_MS / 1000) as f64,
        );
    }
    jobs.into_iter().for_each(Running::terminate);
    grown.iter().all(|grown| grown.lines > 0)
}

/// How large a ledger is.
struct Size {
    lines: u64,
    /// Bytes that the broker holds: batches as the producer made them, and marks of transactions.
    disk: u64,
    /// Bytes of its lines.
    json: u64,
    /// Seconds of CPU that its job has used.
    cpu: f64,
}

impl Size {
    fn of(house: &House, job: &Running) -> Size {
        let directory = format!("broker/data/{}.ledger-0", house.name);
        let files = std::fs::read_dir(broker(|broker| broker.path(&directory))).unwrap();
        let logs = files
            .map(Result::unwrap)
            .filter(|file| file.path().extension().is_some_and(|e| e == "log"));
        let disk = logs.map(|log| log.metadata().unwrap().len()).sum();
        let ledger = house.ledger();
        let json = ledger.iter().map(|line| line.len() as u64).sum();
        Size { lines: ledger.len() as u64, disk, json, cpu: cpu_seconds(&job.pid()) }
    }

    fn since(&self, before: &Size) -> Size {
        Size {
            lines: self.lines - before.lines,
            disk: self.disk - before.disk,
            json: self.json - before.json,
            cpu: self.cpu - before.cpu,
        }
    }
}
