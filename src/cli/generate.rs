//! `clicks generate`: how many clicks, of which kind, and where they go.

use std::path::PathBuf;

use clap::Args;
use clicks_dataflows::time::{Millis, Time};

use super::value::{LogPlace, fraction, skew};
use super::{Reach, wrong};
use crate::duration::Duration;
use crate::generate::Plan;

/// Records in a second of event time where neither `--per-second` nor `--rate` says otherwise.
const PER_SECOND: u64 = 1000;

/// Arguments of `clicks generate`.
#[derive(Args, Clone, Debug)]
pub struct Generate {
    /// Where the clicks go: a directory with a file for each partition, or a topic as `kafka:TOPIC`
    #[arg(long, value_name = "DIR|kafka:TOPIC")]
    pub to: LogPlace,

    /// Distinct clicks; copies and broken records come on top
    #[arg(long, value_name = "COUNT", default_value_t = 1_000_000)]
    pub clicks: u64,

    /// Records to write in a second; without it, as fast as they can be made
    #[arg(long, value_name = "COUNT")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub rate: Option<u64>,

    /// Partitions [default: 4; those that a topic has]
    #[arg(long, value_name = "COUNT")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub partitions: Option<u32>,

    /// What was generated goes to this file; without it to `truth.json` in the directory, to stdout
    /// if it is a topic
    #[arg(long, value_name = "FILE")]
    pub truth: Option<PathBuf>,

    /// The clicks themselves.
    #[command(flatten)]
    pub stream: Clicks,

    /// How topics are reached.
    #[command(flatten)]
    pub reach: Reach,
}

/// What the clicks are like: the same values make the same clicks.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "The clicks")]
pub struct Clicks {
    /// Where random numbers begin: the same seed makes the same clicks
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,

    /// Ads that are clicked
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub ads: u64,

    /// Zipf's exponent: 0 for equally many clicks of each ad, more for fewer ads with most clicks
    #[arg(long, value_name = "NUMBER", default_value_t = 1.05, value_parser = skew)]
    pub skew: f64,

    /// The part of the records that are copies of earlier ones, 0 to 1
    #[arg(long, value_name = "PART", default_value_t = 0.01, value_parser = fraction)]
    pub duplicates: f64,

    /// The part of the records that come late, 0 to 1
    #[arg(long, value_name = "PART", default_value_t = 0.005, value_parser = fraction)]
    pub late: f64,

    /// The part of the records that are broken, 0 to 1
    #[arg(long, value_name = "PART", default_value_t = 0.001, value_parser = fraction)]
    pub malformed: f64,

    /// The lateness to which clicks in time keep, and late ones do not
    #[arg(long, value_name = "DURATION", default_value = "15s")]
    pub lateness: Duration,

    /// When the first record arrives (RFC 3339); without it, now with `--rate`, else so that the
    /// last one arrives now
    #[arg(long, value_name = "TIME")]
    pub start: Option<Time>,

    /// Records in a second of event time; without it as `--rate`, else 1000
    #[arg(long, value_name = "COUNT")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub per_second: Option<u64>,
}

impl Generate {
    /// What to generate, if it is `now`; its own check says whether it can be.
    ///
    /// Where the arguments do not say how many partitions, it has `partitions`.
    pub fn plan(&self, now: Millis, partitions: u32) -> Plan {
        let Clicks { seed, ads, skew, duplicates, late, malformed, .. } = self.stream;
        let per_second = self.stream.per_second.or(self.rate).unwrap_or(PER_SECOND);
        let mut plan = Plan {
            clicks: self.clicks,
            partitions: self.partitions.unwrap_or(partitions),
            seed,
            ads,
            skew,
            duplicates,
            late,
            malformed,
            start_ms: now,
            per_second: per_second as f64,
            lateness_ms: self.stream.lateness.0,
        };
        plan.start_ms = match (self.stream.start, self.rate) {
            (Some(start), _) => start.0,
            (None, Some(_)) => now,
            (None, None) => now.saturating_sub(plan.duration_ms()),
        };
        plan
    }

    /// Refuses parts that leave no room for ordinary clicks.
    pub(super) fn check(&self) -> Result<(), clap::Error> {
        let Clicks { duplicates, late, malformed, .. } = self.stream;
        let sum = duplicates + late + malformed;
        if sum < 1.0 {
            return Ok(());
        }
        let parts = "--duplicates, --late and --malformed";
        Err(wrong(format!("{parts} leave no ordinary clicks: their sum is {sum}, not below 1")))
    }
}
