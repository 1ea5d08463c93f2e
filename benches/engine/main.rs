//! The whole job beside a tuned loop that does the same: the figures of `docs/performance.md`.
//!
//! ```text
//!                      ┌─ tuned loop ──────────────┐
//! one seeded workload ─┤                           ├─▶ the same rows, or the bench fails
//!  decoded, or files   └─ job, 1 or 2 workers ─────┘
//! ```
//!
//! A figure is a ratio of medians of rounds in which the sides take turns, so it means the same on
//! a slow machine. At first the tuned loop is compared with the plain one of the bench `graph`.

mod ads;
mod agree;
mod directories;
mod duck;
mod figures;
mod graph;
mod heap;
mod job;
mod lines;
mod pair;
mod program;
mod race;
mod raw;
mod rows;
mod state;
#[expect(dead_code, reason = "other benches use the rest")]
#[path = "../support/mod.rs"]
mod support;
mod tables;
mod told;
mod tuned;
mod windows;
mod workload;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, ValueEnum};
use clicks::worker::monotonic_ms;
use clicks_dataflows::options::{Copies, Emit, Options};

use race::Figure;
use told::{Checksum, Told};
use tuned::Known;
use workload::{Decoded, Shape};

/// Compares the job with a tuned loop over the same clicks.
#[derive(Parser)]
pub struct Args {
    /// What to measure; all of it by default
    #[arg(long, value_delimiter = ',')]
    only: Vec<Case>,
    /// Records, of which 1 % are copies
    #[arg(long, default_value_t = 20_000_000)]
    clicks: u64,
    /// Minutes of event time over which they are spread; 6 is the peak
    #[arg(long, default_value_t = 60)]
    minutes: u64,
    /// Ads that are clicked, by Zipf's law
    #[arg(long, default_value_t = 2_000_000)]
    ads: u64,
    /// Per cent of the clicks that one ad has beside
    #[arg(long, default_value_t = 0)]
    hot: u64,
    /// Copies come from the partition of their click
    #[arg(long)]
    pinned: bool,
    /// The job tells every change, where `--once` runs it
    #[arg(long)]
    changes: bool,
    /// How the loop knows ads
    #[arg(long, value_enum, default_value_t = Known::Text)]
    ads_known: Known,
    /// How often each side runs
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Fails if a bar is missed
    #[arg(long)]
    strict: bool,
    /// Runs one side alone and tells its speed
    #[arg(long, value_enum)]
    once: Option<Mode>,
    /// Workers of `--once job` and `--once job-files`
    #[arg(long, default_value_t = 1)]
    workers: usize,
    /// How often `--once` runs its side, all the same: later runs find their memory ready
    #[arg(long, default_value_t = 1)]
    repeat: usize,
    /// Where files are written; those of clicks stay there for the next run
    #[arg(long)]
    directory: Option<PathBuf>,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// A side that is run once.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// The loop over decoded clicks
    Loop,
    /// The job over decoded clicks
    Job,
    /// The loop from files to files
    LoopFiles,
    /// The job from files to files
    JobFiles,
}

/// What can be measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Case {
    /// One worker beside the loop
    Speed,
    /// Two workers beside one
    Workers,
    /// One ad with most of the clicks
    Hot,
    /// From files to files
    Directory,
    /// Two processes beside two workers of one
    Processes,
    /// The raw log, written and read
    Raw,
    /// Changes beside final rows
    Emit,
    /// Ten times the clicks
    Growth,
    /// From a clock to the rows of a minute
    Closing,
    /// Memory over days
    Memory,
    /// Bytes for each row, and for each click seen
    State,
}

/// Measures a case.
type Measure = fn(&Args) -> Vec<Figure>;

const CASES: [(Case, Measure); 11] = [
    // First, as memory that was used once and is free stays resident.
    (Case::Memory, figures::memory),
    (Case::Speed, figures::speed),
    (Case::Workers, figures::workers),
    (Case::Hot, figures::hot),
    (Case::Directory, directories::directory),
    (Case::Processes, directories::processes),
    (Case::Raw, raw::raw),
    (Case::Emit, figures::emit),
    (Case::Growth, figures::growth),
    (Case::Closing, figures::closing),
    (Case::State, state::state),
];

impl Args {
    /// The shape of the clicks.
    fn shape(&self) -> Shape {
        let Args { clicks, minutes, ads, hot, pinned, .. } = *self;
        Shape { clicks, minutes, ads, hot, pinned }
    }

    /// Where files are written.
    fn temporary(&self) -> PathBuf {
        self.directory.clone().unwrap_or_else(std::env::temp_dir)
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(mode) = args.once {
        once(&args, mode);
        return ExitCode::SUCCESS;
    }
    if !agree::loops_agree() {
        return ExitCode::FAILURE;
    }
    let mut figures = Vec::new();
    for (case, measure) in CASES {
        if args.only.is_empty() || args.only.contains(&case) {
            figures.extend(measure(&args));
        }
    }
    let Args { clicks, minutes, ads, rounds, .. } = args;
    println!("\n{clicks} clicks over {minutes} minutes and {ads} ads, medians of {rounds}");
    race::print(&figures);
    let bad = |figure: &Figure| figure.differs() || args.strict && figure.is_missed();
    if figures.iter().any(bad) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Runs a side alone, which is what a profiler wants.
fn once(args: &Args, mode: Mode) {
    let results = args.temporary().join("clicks-engine-once");
    let shape = args.shape();
    let files = || lines::directory(shape, &args.temporary()).expect("files can be written");
    match mode {
        Mode::Loop => {
            let decoded = Decoded::make(shape);
            repeat(args, || {
                let (tally, rows) = tuned::count(&decoded, args.ads_known, Checksum::default());
                Some(tally.told(rows))
            });
        }
        Mode::Job => {
            let decoded = Arc::new(Decoded::make(shape));
            let copies = if args.pinned { Copies::Partition } else { Copies::Anywhere };
            let emit = if args.changes { Emit::Changes } else { Emit::Final };
            let options = Options { copies, emit, ..support::job::options(6) };
            repeat(args, || Some(graph::run_job(&decoded, args.workers, options.clone())));
        }
        Mode::LoopFiles => {
            let from = files();
            repeat(args, || {
                std::fs::create_dir_all(&results).expect("a directory can be made");
                pair::count(&from, &results).expect("the loop reads and writes");
                None
            });
        }
        Mode::JobFiles => {
            let from = files();
            repeat(args, || {
                let _ = std::fs::remove_dir_all(&results);
                job::run_directory(&from, &results, args.workers);
                None
            });
        }
    }
}

/// Runs `work` as often as asked for, and tells how fast it was each time, and what it told.
fn repeat(args: &Args, work: impl Fn() -> Option<Told>) {
    for _ in 0..args.repeat {
        let ((took, cpu), told) = timed(&work);
        let ns = took as f64 * 1e6 / args.clicks as f64;
        println!("{took} ms, {cpu} ms of CPU, {:.2} M clicks/s, {ns:.1} ns a click", 1000.0 / ns);
        if let Some(told) = told {
            println!("{told:?}");
        }
    }
}

/// What `work` gives, with the milliseconds that it took, and those of CPU.
fn timed<T>(work: impl FnOnce() -> T) -> ((u64, u64), T) {
    let (began, used) = (monotonic_ms(), cpu_ms());
    let done = work();
    ((monotonic_ms() - began, cpu_ms() - used), done)
}

/// Milliseconds of CPU that this process has used, in steps of ten; 0 where nobody tells.
fn cpu_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10
}
