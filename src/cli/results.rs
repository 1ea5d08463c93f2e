//! Commands that read what a job has committed.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use clicks_dataflows::time::Time;

use super::value::{Assignment, JobLocation, LogPlace, ResultPlace, bytes, job_name};
use super::{ConfigArgs, KafkaArgs};

/// Arguments of `clicks tail`.
#[derive(Args, Debug)]
pub struct Tail {
    /// Where the job's result logs are: a directory, or `kafka:` for topics named after the job
    #[arg(value_name = "RESULTS")]
    pub results: ResultPlace,

    /// Which of the result logs
    #[arg(value_enum, default_value = "counts")]
    pub log: ResultLog,

    /// The job, or an alias of it, where there are several
    #[arg(long, value_name = "NAME", value_parser = job_name)]
    pub job: Option<String>,

    /// Where to begin
    #[arg(long, value_name = "POSITION", default_value = "start")]
    pub from: TailFrom,

    /// How rows are printed
    #[arg(long, short, value_name = "FORMAT", default_value = "json")]
    pub format: RowFormat,

    /// Stop after the last committed row, instead of waiting for the next
    #[arg(long)]
    pub no_follow: bool,

    /// How topics are reached.
    #[command(flatten)]
    pub reach: Reach,
}

/// A result log of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ResultLog {
    /// Clicks of each ad, minute and filter
    Counts,
    /// The most clicked ads of each window and filter
    Ranks,
    /// Records that do not count, with the reason
    Rejects,
    /// Commits: positions, totals and digests
    Ledger,
}

/// Where `tail` begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TailFrom {
    /// With the first row
    Start,
    /// With what is committed from here on
    End,
}

/// How rows are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RowFormat {
    /// One JSON object a line
    Json,
    /// Columns for people
    Table,
}

/// Arguments of `clicks verify`.
#[derive(Args, Debug)]
pub struct Verify {
    /// Where the job's result logs are: a directory, or `kafka:` for topics named after the job
    #[arg(value_name = "RESULTS")]
    pub results: ResultPlace,

    /// The job, or an alias of it, where there are several
    #[arg(long, value_name = "NAME", value_parser = job_name)]
    pub job: Option<String>,

    /// The job's clicks, to be recounted by sorting and compared: a directory, or a topic as
    /// `kafka:TOPIC`, which may be repeated
    #[arg(long, short, value_name = "DIR|kafka:TOPIC")]
    pub input: Vec<LogPlace>,

    /// How topics are reached.
    #[command(flatten)]
    pub reach: Reach,
}

/// Arguments of `clicks compare`.
#[derive(Args, Debug)]
pub struct Compare {
    /// The job with which the other is compared: its results and its name or an alias of it, such
    /// as `results/ads` or `kafka:/live`
    #[arg(value_name = "RESULTS1/JOB1")]
    pub one: JobLocation,

    /// The other job
    #[arg(value_name = "RESULTS2/JOB2")]
    pub other: JobLocation,

    /// What a line of differences is about
    #[arg(long, value_enum, default_value = "ad")]
    pub by: By,

    /// Lines at most, the greatest differences first [default: 20 of a table, all as JSON]
    #[arg(long, value_name = "COUNT")]
    pub top: Option<u64>,

    /// How differences are printed
    #[arg(long, short, value_name = "FORMAT", default_value = "table")]
    pub format: RowFormat,

    /// How topics are reached.
    #[command(flatten)]
    pub reach: Reach,
}

/// Arguments of `clicks reconcile`.
#[derive(Args, Debug)]
pub struct Reconcile {
    /// Where the job's result logs are: a directory, or `kafka:` for topics named after the job
    #[arg(value_name = "RESULTS")]
    pub results: ResultPlace,

    /// The job, where there are several
    #[arg(long, value_name = "NAME", value_parser = job_name)]
    pub job: Option<String>,

    /// The raw log: a directory, or an object store as `s3://BUCKET/PREFIX`
    #[arg(long, value_name = "DIR|s3://...")]
    pub raw: String,

    /// Topics of the raw log; without it, all that it has
    #[arg(long, value_name = "NAME")]
    pub topic: Vec<String>,

    /// Go on with each hour of a running job: when it has settled, and when no click of it can come
    /// any more. Begins with the newest that has settled; ends with the job
    #[arg(long)]
    pub continuous: bool,

    /// Compare from the minute of this time on; with `--continuous` from its hour on
    #[arg(long, value_name = "TIME")]
    pub from: Option<Time>,

    /// Compare the minutes that begin before this time; with `--continuous` whole hours
    #[arg(long, value_name = "TIME")]
    pub until: Option<Time>,

    /// Print so many differences; the others are counted
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    pub top: u64,

    /// Print what share of clicks would have been late, and how many corrections told, by lateness
    #[arg(long)]
    pub curve: bool,

    /// Sort in so much memory
    #[arg(long, value_name = "BYTES", default_value = "256MB", value_parser = bytes)]
    pub memory: u64,

    /// Where unlinked files are kept that do not fit it; without it, where temporary files are
    #[arg(long, value_name = "DIR")]
    pub spill: Option<PathBuf>,

    /// How topics are reached.
    #[command(flatten)]
    pub reach: Reach,
}

/// What a line of differences is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// An ad under a filter, over the minutes that differ
    Ad,
    /// An ad in a minute under a filter
    Minute,
}

/// How topics are reached where there is no job to set up; only settings of `kafka` matter.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Kafka")]
pub struct Reach {
    /// Brokers and properties.
    #[command(flatten)]
    pub kafka: KafkaArgs,

    /// Settings (TOML), of which those of `kafka` are taken
    #[arg(long, value_name = "FILE", env = "CLICKS_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,

    /// Set one value, such as `kafka.brokers=b1:9092`; may be repeated, and the last one counts
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    pub set: Vec<Assignment>,
}

impl Reach {
    /// The same as settings of a job without a name.
    pub fn config(&self) -> ConfigArgs {
        let Reach { kafka, config, set } = self;
        ConfigArgs { config: config.clone(), set: set.clone(), job: None, kafka: kafka.clone() }
    }
}
