//! The job that ships over a real broker: how fast, how fresh, how soon after a start.
//!
//! ```text
//! this process ── clicks ─▶ broker ─▶ clicks (a process of its own) ─▶ broker ─┐
//!      ▲                                                                       │
//!      └──────── a reader of committed records ◀───────────────────────────────┘
//! ```
//!
//! The broker is the bench's own and ends with it. What was read is compared with what was sent in
//! each case: a figure of a job that lost a click is none. What came out is in
//! `docs/performance.md`.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on ends")]

mod bare;
#[expect(dead_code, reason = "other benches use the rest")]
#[path = "../support/mod.rs"]
mod beside;
mod feed;
mod freshness;
mod house;
mod latency;
mod ledger;
mod produced;
mod quantiles;
mod restart;
mod seen;
mod speed;
#[expect(dead_code, reason = "tests use the rest")]
mod support;
mod told;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};

/// Measures the job over a broker.
#[derive(Clone, Parser)]
pub struct Args {
    /// What to measure; all of it by default
    #[arg(long, value_delimiter = ',')]
    only: Vec<Case>,
    /// Clicks of each run for speed
    #[arg(long, default_value_t = 2_000_000)]
    clicks: u64,
    /// Minutes of event time over which they are spread
    #[arg(long, default_value_t = 60)]
    minutes: u64,
    /// Ads of them that are clicked, by Zipf's law
    #[arg(long, default_value_t = 100_000)]
    ads: u64,
    /// How often each side runs for speed
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each run for latency
    #[arg(long, default_value_t = 25)]
    latency_seconds: u64,
    /// Clicks a second of the fast runs for latency
    #[arg(long, default_value_t = 50_000)]
    latency_rate: u64,
    /// Ads of the runs for latency
    #[arg(long, default_value_t = 2_000_000)]
    latency_ads: u64,
    /// Seconds of each run for freshness
    #[arg(long, default_value_t = 15)]
    freshness_seconds: u64,
    /// Hours of event time before a restart
    #[arg(long, default_value_t = 8)]
    restart_hours: u64,
    /// Clicks a second in those hours
    #[arg(long, default_value_t = 100)]
    restart_rate: u64,
    /// Seconds for which ledgers grow
    #[arg(long, default_value_t = 90)]
    ledger_seconds: u64,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// What can be measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Case {
    /// The job beside bare loops
    Speed,
    /// From an epoch that closes to a reader
    Latency,
    /// From a click to a reader
    Freshness,
    /// From a start to the first commit
    Restart,
    /// How a ledger grows
    Ledger,
}

/// Measures a case and prints what came out; tells whether what was told is right.
type Measure = fn(&Args) -> bool;

fn main() -> ExitCode {
    let args = Args::parse();
    let cases: [(Case, Measure); 5] = [
        (Case::Speed, speed::measure),
        (Case::Latency, latency::measure),
        (Case::Freshness, freshness::measure),
        (Case::Restart, restart::measure),
        (Case::Ledger, ledger::measure),
    ];
    let asked = |case| args.only.is_empty() || args.only.contains(&case);
    let mut good = true;
    for (_, measure) in cases.iter().filter(|(case, _)| asked(*case)) {
        good &= measure(&args);
    }
    support::end_broker();
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
