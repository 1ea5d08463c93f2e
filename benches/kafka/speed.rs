//! How fast the whole job is beside a loop that only fetches, decodes and counts.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use clicks::generate::{Plan, Writing, write};
use clicks::kafka::outlet;
use clicks::worker::monotonic_ms;
use clicks_dataflows::click::AdId;
use clicks_dataflows::filter::FilterId;
use clicks_dataflows::time::{Millis, Minute};
use clicks_dataflows::told::CountRow;

use crate::Args;
use crate::bare::{self, Counts};
use crate::house::{Cpu, FILTERS, House, clicks_topic, cluster};
use crate::support::{Topic, rows};

/// Partitions of the clicks.
const PARTITIONS: u32 = 4;

/// 2026-01-01T00:00:00Z.
const START_MS: Millis = 1_767_225_600_000;

/// The job on one worker is to reach so many thousandths of the loop's speed.
const WANTED: u64 = 400;

/// The sides that take turns.
const SIDES: [&str; 3] = ["loop", "1 worker", "2 workers"];

/// Lets the sides take turns; tells whether they count the same.
pub fn measure(args: &Args) -> bool {
    let Args { clicks, minutes, ads, .. } = *args;
    println!(
        "\nspeed: {clicks} clicks over {minutes} minutes and {ads} ads, {PARTITIONS} partitions"
    );
    let input = clicks_topic("speed-clicks", i32::try_from(PARTITIONS).unwrap(), "CreateTime");
    fill(&input, clicks, minutes, ads);
    println!("  seconds        loop   1 worker  2 workers   CPU:  loop +broker  1 worker +broker");
    let mut rounds: Vec<[Took; 3]> = Vec::new();
    for round in 1..=args.rounds {
        let mut took = [Took::default(); 3];
        let mut order = [0, 1, 2];
        if round % 2 == 0 {
            order.reverse();
        }
        let mut counted = BTreeMap::new();
        for side in order {
            let (counts, time) = run(&input, side, round);
            took[side] = time;
            counted.insert(side, counts);
        }
        let expected = counted.remove(&0).unwrap();
        for (side, counts) in counted {
            if counts != expected {
                println!("the counts of {} differ from those of the loop", SIDES[side]);
                return false;
            }
        }
        print(&round.to_string(), &took);
        rounds.push(took);
    }
    tell(&rounds, clicks, begin(args.rounds));
    true
}

/// How long a job takes at least: brokers are asked, predecessors fenced, clients closed.
fn begin(rounds: usize) -> Millis {
    let input = clicks_topic("speed-none", i32::try_from(PARTITIONS).unwrap(), "CreateTime");
    let took = |round| {
        let house = House::new(&format!("speed-none-{round}"), "final", FILTERS);
        let began = monotonic_ms();
        drop(house.start("replay --from start", &input).end().with(0));
        monotonic_ms() - began
    };
    let mut took: Vec<Millis> = (0..rounds).map(took).collect();
    took.sort_unstable();
    took[took.len() / 2]
}

fn fill(input: &Topic, clicks: u64, minutes: u64, ads: u64) {
    let plan = Plan {
        clicks,
        partitions: PARTITIONS,
        seed: 7,
        ads,
        skew: 1.05,
        // The loop finds no copies.
        duplicates: 0.0,
        late: 0.0,
        malformed: 0.0,
        start_ms: START_MS,
        per_second: clicks as f64 / (minutes * 60) as f64,
        lateness_ms: 15_000,
    };
    let topic = outlet::Topic::find(&cluster(), &input.name).unwrap();
    let mut outlet = topic.outlet(None).unwrap();
    let stop = AtomicBool::new(false);
    write(&plan, &mut outlet, Writing { pace: None, stop: &stop, on_progress: &mut |_| () })
        .unwrap();
}

/// Milliseconds of a side, and of CPU of it and of the broker.
#[derive(Clone, Copy, Default)]
struct Took {
    ms: Millis,
    cpu: Millis,
    broker: Millis,
}

/// Runs a side: the loop, or the job on so many workers.
fn run(input: &Topic, side: usize, round: usize) -> (Counts, Took) {
    let house = House::new(&format!("speed-{side}-{round}"), "final", FILTERS);
    let (used, began) = (Cpu::used(), monotonic_ms());
    let counted = match side {
        0 => Some(bare::count(input, i32::try_from(PARTITIONS).unwrap())),
        workers => {
            let job = house.start(&format!("replay --from start -w {workers}"), input);
            drop(job.end().with(0));
            None
        }
    };
    let (ms, used) = (monotonic_ms() - began, Cpu::used().since(used));
    let cpu = 10 * if side == 0 { used.own } else { used.children };
    (counted.unwrap_or_else(|| told(&house)), Took { ms, cpu, broker: 10 * used.broker })
}

/// What the job has told of every click, once its ledger agrees.
fn told(house: &House) -> Counts {
    let mut counts = Counts::default();
    let rows = rows(&house.topic("counts"));
    for row in &rows {
        let row: CountRow = serde_json::from_slice(row).unwrap();
        let CountRow { ad_id, minute, filter, clicks, was, .. } = row;
        if filter == EVERY_CLICK {
            let cell: (AdId, Minute) = (ad_id, minute);
            *counts.entry(cell).or_default() += clicks - was;
        }
    }
    let commits = house.commits();
    let totals = commits.last().unwrap().totals;
    assert_eq!(totals.clicks, counts.values().sum::<u64>(), "the ledger's clicks are those told");
    assert_eq!(commits.iter().map(|commit| commit.counts).sum::<u64>(), rows.len() as u64);
    counts
}

/// The filter that every click matches.
const EVERY_CLICK: FilterId = 0;

fn tell(rounds: &[[Took; 3]], records: u64, begin: Millis) {
    let medians = [0, 1, 2].map(|side| Took {
        ms: median(rounds, |took| took[side].ms),
        cpu: median(rounds, |took| took[side].cpu),
        broker: median(rounds, |took| took[side].broker),
    });
    print("median", &medians);
    println!("  counts are the same each time; ratios are medians of the rounds'");
    let ratio = |side: usize| median(rounds, |took| took[0].ms * 1000 / took[side].ms.max(1));
    let begun = |side: usize| {
        let ms = |took: &Took| took.ms.saturating_sub(begin).max(1);
        median(rounds, |took| took[0].ms * 1000 / ms(&took[side]))
    };
    println!("                       whole job   without the {begin} ms of a job of no clicks");
    for side in [1, 2] {
        let [whole, begun] = [ratio(side), begun(side)].map(|ratio| ratio as f64 / 1000.0);
        println!("  {:>9} : loop    {whole:>8.3}   {begun:>8.3}", SIDES[side]);
    }
    let all = |took: &Took| took.cpu + took.broker;
    let cpu = median(rounds, |took| all(&took[0]) * 1000 / all(&took[1]).max(1));
    println!(
        "  CPU of the loop and its broker : of 1 worker and its broker {:.3}",
        cpu as f64 / 1000.0
    );
    let per_second = |side: usize| records * 1000 / medians[side].ms.max(1);
    println!("  records/s: {}, {}, {}", per_second(0), per_second(1), per_second(2));
    if ratio(1) < WANTED {
        println!("  one worker misses {WANTED} thousandths of the loop's speed");
    }
}

fn print(name: &str, took: &[Took; 3]) {
    let seconds = |ms: Millis| ms as f64 / 1000.0;
    let [bare, one, two] = took.map(|took| seconds(took.ms));
    let [(bare_cpu, bare_broker), (cpu, broker), _] =
        took.map(|took| (seconds(took.cpu), seconds(took.broker)));
    println!(
        "  {name:>7} {bare:>11.2} {one:>10.2} {two:>10.2} {bare_cpu:>12.2} {bare_broker:>7.2} \
         {cpu:>9.2} {broker:>7.2}",
    );
}

fn median(rounds: &[[Took; 3]], of: impl Fn(&[Took; 3]) -> u64) -> u64 {
    let mut values: Vec<u64> = rounds.iter().map(of).collect();
    values.sort_unstable();
    values[values.len() / 2]
}
