//! How fast the whole job is beside a plain loop over the same clicks, and whether its memory is
//! flat.
//!
//! ```text
//!                     ┌─ plain loop ────────┐
//! lines in memory ────┼─ job on one worker ─┼─▶ rows: the same bytes, or the bench fails
//!                     └─ job on two workers ┘
//! ```
//!
//! All three read the same JSON lines from memory, with the same decoder and filters, and hand
//! their rows to a disk that digests and forgets them. The job is the one that ships: its loop,
//! its graph, its commits. What came out is in `docs/performance.md`.

mod support;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use clicks::worker::monotonic_ms;
use clicks_dataflows::time::Millis;

use support::flat::is_flat;
use support::job::{decode, run};
use support::lines::{Lines, plan};
use support::plain::count;

/// How often each side runs; what is told at the end are medians.
const ROUNDS: usize = 5;

/// The job may be so many times slower than the loop, and no more.
const SLOWER_MAX: u64 = 10;

/// Compares the job with a plain loop over the same clicks, and looks at its memory.
#[derive(Parser)]
struct Args {
    /// Distinct clicks
    #[arg(long, default_value_t = 2_000_000)]
    clicks: u64,
    /// Minutes of event time over which they are spread
    #[arg(long, default_value_t = 60)]
    minutes: u64,
    /// Ads that are clicked, by Zipf's law
    #[arg(long, default_value_t = 100_000)]
    ads: u64,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let Args { clicks, minutes, ads, bench: _ } = Args::parse();
    // First, as memory that was used once and is free stays resident.
    let flat = is_flat();
    println!("\nspeed: {clicks} clicks over {minutes} minutes and {ads} ads");
    let lines = Arc::new(Lines::generate(plan(clicks, minutes, ads)));
    match compare(&lines) && flat {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Milliseconds of each column: loop, job, job on two workers, decoding alone.
type Times = [Millis; 4];

/// Lets the sides take turns and prints how they went; tells whether their rows are the same, and
/// the job is fast enough.
fn compare(lines: &Arc<Lines>) -> bool {
    println!("            loop       job  on two workers  decoding alone");
    let mut rounds: Vec<Times> = Vec::new();
    for round in 1..=ROUNDS {
        let (plain, expected) = timed(|| count(lines));
        let (one, told) = timed(|| run(lines, 1));
        let (two, told_by_two) = timed(|| run(lines, 2));
        let (decoding, ()) = timed(|| decode(lines));
        if told != expected || told_by_two != expected {
            println!("rows differ: {expected:?}\none worker: {told:?}\ntwo: {told_by_two:?}");
            return false;
        }
        rounds.push([plain, one, two, decoding]);
        print_times(&round.to_string(), [plain, one, two, decoding]);
    }
    print_medians(&rounds, lines.records());
    let fast = median(rounds.iter().map(|[plain, one, ..]| one / plain.max(&1))) < SLOWER_MAX;
    if !fast {
        println!("the job is more than {SLOWER_MAX} times slower than the loop");
    }
    fast
}

fn print_medians(rounds: &[Times], records: u64) {
    let medians: Times = std::array::from_fn(|at| median(rounds.iter().map(|times| times[at])));
    print_times("median", medians);
    println!("rows are the same each time; ratios are medians of the rounds'");
    let ratio = |of: fn(&Times) -> (Millis, Millis)| {
        let thousandths = rounds.iter().map(of).map(|(a, b)| a * 1000 / b.max(1));
        median(thousandths) as f64 / 1000.0
    };
    let undecoded = |[plain, one, _, decoding]: &Times| {
        (plain.saturating_sub(*decoding), one.saturating_sub(*decoding))
    };
    println!("job : loop                    {:.3}", ratio(|[plain, one, ..]| (*plain, *one)));
    println!("  without decoding            {:.3}", ratio(undecoded));
    println!("two workers : one worker      {:.3}", ratio(|[_, one, two, _]| (*one, *two)));
    let per_second = |ms: Millis| records * 1000 / ms.max(1);
    println!("records/s: loop {}, job {}", per_second(medians[0]), per_second(medians[1]));
}

fn print_times(name: &str, times: Times) {
    let [plain, one, two, decoding] = times.map(|ms| ms as f64 / 1000.0);
    println!("{name:>6} {plain:>9.2} {one:>9.2} {two:>15.2} {decoding:>15.2}");
}

fn timed<T>(work: impl FnOnce() -> T) -> (Millis, T) {
    let began = monotonic_ms();
    let done = work();
    (monotonic_ms() - began, done)
}

fn median(values: impl Iterator<Item = u64>) -> u64 {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    values[values.len() / 2]
}
