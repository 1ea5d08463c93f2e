//! From the moment at which a click is to be sent until its row is readable, emit = "changes".
//!
//! Each click is of an ad of its own, so that its row is known. What it may take: its epoch lasts a
//! refresh; the partitions that are silent fall asleep; a commit.

use clicks::worker::wall_ms;
use clicks_dataflows::time::Millis;

use crate::Args;
use crate::feed::{Ads, Feed, Turn};
use crate::house::{House, clicks_topic};
use crate::quantiles::Quantiles;
use crate::seen::{Reader, Rows};
use crate::support::binary::wait_for;

/// Partitions of the clicks.
const PARTITIONS: u64 = 64;

/// Clicks a second.
const RATES: [u64; 3] = [1, 64, 1000];

/// A refresh, `idle_after`, and a commit.
const BOUND_MS: Millis = 1000 + 1000 + 200;

/// Noise of a machine that does other things.
const SLACK_MS: Millis = 1000;

/// Measures all rates; tells whether each click was told once, and soon enough.
pub fn measure(args: &Args) -> bool {
    println!("\nfreshness: from a click to a committed reader; {PARTITIONS} partitions");
    println!(
        "  bound: refresh + idle_after + a commit = {BOUND_MS} ms; noise may add {SLACK_MS} ms"
    );
    println!("  clicks/s  clicks     p50     p99     max");
    let good = RATES.map(|rate| run(rate, args.freshness_seconds));
    good.iter().all(|good| *good)
}

fn run(rate: u64, seconds: u64) -> bool {
    let partitions = i32::try_from(PARTITIONS).unwrap();
    let name = format!("freshness-{rate}");
    let input = clicks_topic(&format!("{name}-clicks"), partitions, "LogAppendTime");
    let house = House::new(&name, "changes", "");
    let job = house.start("run", &input);
    wait_for("a job begins", || (!house.ledger().is_empty()).then_some(()));
    let feed = Feed {
        topic: &input,
        partitions: PARTITIONS,
        turn: Turn::Random,
        per_second: rate,
        seconds,
        ads: Ads::Own,
        shift_ms: 0,
    };
    let clicks = usize::try_from(rate * seconds).unwrap();
    let rows = Rows { at: vec![0; clicks], missing: clicks };
    let reader = Reader::start(&house, &["counts"], rows);
    let sent = feed.send(wall_ms() + 100);
    let rows = reader.end();
    job.terminate();
    let mut taken = Quantiles::default();
    for (click, at) in (0..).zip(&rows.at).filter(|(_, at)| **at > 0) {
        taken.add(at - sent.began_ms - feed.due_ms(click));
    }
    println!("  {rate:>8} {}", taken.text());
    if rows.missing > 0 {
        println!("  {} of {clicks} clicks are not told", rows.missing);
    }
    let p99 = taken.at(990);
    if p99 > BOUND_MS + SLACK_MS {
        println!("  p99 is {} ms beyond the bound: what does the job wait for?", p99 - BOUND_MS);
    }
    rows.missing == 0 && p99 <= BOUND_MS + SLACK_MS
}
