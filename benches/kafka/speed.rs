//! How fast the whole job is beside two loops over the same topic.
//!
//! Both fetch, decode and count. One writes nothing; the other writes all rows of the job, without
//! transactions.

use std::sync::atomic::AtomicBool;

use clicks::generate::{Plan, Writing, write};
use clicks::kafka::outlet;
use clicks::worker::monotonic_ms;
use clicks_dataflows::time::{MINUTE_MS, Millis, Minute};

use crate::Args;
use crate::bare::Counts;
use crate::beside::job::LATENESS_MS;
use crate::beside::lines::START_MS;
use crate::feed::REFRESH_MS;
use crate::house::{Cpu, FILTERS, House, clicks_topic, cluster};
use crate::support::{Record, Topic, produce};
use crate::told::Told;
use crate::{bare, produced};

/// Partitions of the clicks.
const PARTITIONS: i32 = 4;

/// The sides that take turns.
const SIDES: [Side; 4] = [Side::Bare, Side::Rows, Side::Job(1), Side::Job(2)];

/// The loops: their places in [`SIDES`], and the thousandths of their speed that the job is to
/// reach on one worker.
const LOOPS: [(usize, u64); 2] = [(0, 700), (1, 900)];

/// The places of the job in [`SIDES`], by its workers.
const JOBS: [usize; 2] = [2, 3];

/// Who counts the clicks.
#[derive(Clone, Copy)]
enum Side {
    /// The loop that writes nothing.
    Bare,
    /// The loop that writes the rows.
    Rows,
    /// The job on so many workers.
    Job(usize),
}

impl Side {
    fn name(self) -> String {
        match self {
            Side::Bare => "bare loop".to_owned(),
            Side::Rows => "rows loop".to_owned(),
            Side::Job(1) => "1 worker".to_owned(),
            Side::Job(workers) => format!("{workers} workers"),
        }
    }
}

/// Lets the sides take turns; tells whether they count the same.
pub fn measure(args: &Args) -> bool {
    let Args { clicks, minutes, ads, .. } = *args;
    println!(
        "\nspeed: {clicks} clicks over {minutes} minutes and {ads} ads, {PARTITIONS} partitions"
    );
    let input = clicks_topic("speed-clicks", PARTITIONS, "CreateTime");
    fill(&input, clicks, minutes, ads);
    print("seconds", SIDES.map(Side::name));
    let mut rounds: Vec<[Took; SIDES.len()]> = Vec::new();
    for round in 1..=args.rounds {
        let mut took = [Took::default(); SIDES.len()];
        let mut order: Vec<usize> = (0..SIDES.len()).collect();
        if round % 2 == 0 {
            order.reverse();
        }
        let mut told: [Option<Told>; SIDES.len()] = Default::default();
        for at in order {
            let (side_told, time) = run(&input, SIDES[at], settled(minutes), round);
            took[at] = time;
            told[at] = Some(side_told);
        }
        let [_, expected, ..] = &told;
        for (side, told) in SIDES.iter().zip(&told) {
            if !told.as_ref().unwrap().agrees(expected.as_ref().unwrap()) {
                println!("{} and the loop with rows tell different rows", side.name());
                return false;
            }
        }
        print(&round.to_string(), took.map(|took| thousandths(took.ms)));
        rounds.push(took);
    }
    tell(&rounds, clicks, starts(args.rounds));
    true
}

/// How long each side takes for one click of each partition: brokers are asked, clients connected
/// and closed.
fn starts(rounds: usize) -> [Millis; SIDES.len()] {
    let input = clicks_topic("speed-few", PARTITIONS, "CreateTime");
    settle(&input, 0);
    SIDES.map(|side| {
        let took = |round| {
            let house = house(side, &format!("few-{round}"));
            let began = monotonic_ms();
            count(&input, side, &house);
            monotonic_ms() - began
        };
        middle((0..rounds).map(took).collect())
    })
}

fn fill(input: &Topic, clicks: u64, minutes: u64, ads: u64) {
    let plan = Plan {
        clicks,
        partitions: PARTITIONS.unsigned_abs(),
        seed: 7,
        ads,
        skew: 1.05,
        // The bare loop finds no copies.
        duplicates: 0.0,
        late: 0.0,
        malformed: 0.0,
        start_ms: START_MS,
        per_second: clicks as f64 / (minutes * 60) as f64,
        lateness_ms: LATENESS_MS,
    };
    let topic = outlet::Topic::find(&cluster(), &input.name).unwrap();
    let mut outlet = topic.outlet(None).unwrap();
    let stop = AtomicBool::new(false);
    write(&plan, &mut outlet, Writing { pace: None, stop: &stop, on_progress: &mut |_| () })
        .unwrap();
    settle(input, minutes);
}

/// Adds a click to each partition that settles the minutes before.
fn settle(input: &Topic, minutes: u64) {
    let settling = |partition| {
        let ms = START_MS + minutes * MINUTE_MS + LATENESS_MS + REFRESH_MS;
        let click =
            format!(r#"{{"ad_id":"settling","click_timestamp":{ms},"click_id":"{partition}"}}"#);
        Record { partition, value: Some(click.into_bytes()), ..Record::default() }
    };
    produce(input, &(0..PARTITIONS).map(settling).collect::<Vec<_>>());
}

/// The first minute that does not settle: a replay ends with rows of it that are not final, which
/// the loops do not write.
fn settled(minutes: u64) -> Minute {
    Minute::of(START_MS + minutes * MINUTE_MS)
}

/// Milliseconds of a side, and of CPU of it and of the broker.
#[derive(Clone, Copy, Default)]
struct Took {
    ms: Millis,
    cpu: Millis,
    broker: Millis,
}

/// The topics into which a side writes.
fn house(side: Side, run: &str) -> House {
    let name = side.name().replace(' ', "-");
    House::new(&format!("speed-{name}-{run}"), "final", FILTERS)
}

/// Lets a side count; what it has counted, if it writes nothing.
fn count(input: &Topic, side: Side, house: &House) -> Option<Counts> {
    match side {
        Side::Bare => return Some(bare::count(input, PARTITIONS)),
        Side::Rows => produced::count(input, PARTITIONS, house),
        Side::Job(workers) => {
            let job = house.start(&format!("replay --from start -w {workers}"), input);
            drop(job.end().with(0));
        }
    }
    None
}

/// What a side tells, and how long it takes.
fn run(input: &Topic, side: Side, settled: Minute, round: usize) -> (Told, Took) {
    let house = house(side, &round.to_string());
    let (used, began) = (Cpu::used(), monotonic_ms());
    let counted = count(input, side, &house);
    let (ms, used) = (monotonic_ms() - began, Cpu::used().since(used));
    // Each side leaves one of the two at rest.
    let took = Took { ms, cpu: 10 * (used.own + used.children), broker: 10 * used.broker };
    let told = match counted {
        Some(counts) => Told::counted(counts, settled),
        None => Told::in_topics(&house),
    };
    if let Side::Job(_) = side {
        let clicks = house.commits().last().unwrap().totals.clicks;
        let settling = u64::from(PARTITIONS.unsigned_abs());
        assert_eq!(clicks, told.clicks() + settling, "the ledger's clicks are those told");
    }
    (told, took)
}

fn tell(rounds: &[[Took; SIDES.len()]], records: u64, starts: [Millis; SIDES.len()]) {
    let sides: [usize; SIDES.len()] = std::array::from_fn(|side| side);
    let medians = |of: fn(Took) -> Millis| sides.map(|side| median(rounds, |took| of(took[side])));
    let ms = medians(|took| took.ms);
    print("median", ms.map(thousandths));
    print("records/s", ms.map(|ms| (records * 1000 / ms.max(1)).to_string()));
    print("CPU", medians(|took| took.cpu).map(thousandths));
    print("broker's", medians(|took| took.broker).map(thousandths));
    print("few clicks", starts.map(thousandths));
    println!("  rows are the same each time; ratios are medians of the rounds'");
    println!("                              whole   without what few clicks take");
    for (beside, wanted) in LOOPS {
        for job in JOBS {
            let [job_name, beside_name] = [job, beside].map(|side| SIDES[side].name());
            let ratio = |less: [Millis; SIDES.len()]| {
                let ms = |side: usize, took: &[Took]| took[side].ms.saturating_sub(less[side]);
                median(rounds, |took| ms(beside, took) * 1000 / ms(job, took).max(1))
            };
            let (whole, begun) = (ratio([0; SIDES.len()]), ratio(starts));
            let [whole_text, begun] = [whole, begun].map(thousandths);
            println!("  {job_name:>9} : {beside_name:<9}   {whole_text:>9}   {begun:>9}");
            if job == JOBS[0] && whole < wanted {
                println!(
                    "  1 worker misses {wanted} thousandths of the speed of the {beside_name}"
                );
            }
        }
    }
    let all = |took: Took| took.cpu + took.broker;
    for (beside, _) in LOOPS {
        let cpu = median(rounds, |took| all(took[beside]) * 1000 / all(took[JOBS[0]]).max(1));
        let name = SIDES[beside].name();
        println!("  CPU with the broker's, {name} : 1 worker {}", thousandths(cpu));
    }
}

/// So many thousandths as a number: seconds, or a ratio.
fn thousandths(count: u64) -> String {
    format!("{:.3}", count as f64 / 1000.0)
}

fn print(name: &str, sides: [String; SIDES.len()]) {
    let [bare, rows, one, two] = sides;
    println!("  {name:>10} {bare:>10} {rows:>10} {one:>10} {two:>10}");
}

fn median(rounds: &[[Took; SIDES.len()]], of: impl Fn(&[Took; SIDES.len()]) -> u64) -> u64 {
    middle(rounds.iter().map(of).collect())
}

fn middle(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values[values.len() / 2]
}
