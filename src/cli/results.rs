//! Commands that read what a job has committed.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::value::{directory, job_name};

/// Arguments of `clicks tail`.
#[derive(Args, Debug)]
pub struct Tail {
    /// The directory with the job's result logs
    #[arg(value_name = "RESULTS", value_parser = directory)]
    pub results: PathBuf,

    /// Which of the result logs
    #[arg(value_enum, default_value = "counts")]
    pub log: ResultLog,

    /// The job, where there are several
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
    /// One JSON object a line, as it is in the log
    Json,
    /// Columns for people
    Table,
}

/// Arguments of `clicks verify`.
#[derive(Args, Debug)]
pub struct Verify {
    /// The directory with the job's result logs
    #[arg(value_name = "RESULTS", value_parser = directory)]
    pub results: PathBuf,

    /// The job, where there are several
    #[arg(long, value_name = "NAME", value_parser = job_name)]
    pub job: Option<String>,

    /// The job's clicks, to be recounted by sorting and compared
    #[arg(long, short, value_name = "DIR", value_parser = directory)]
    pub input: Option<PathBuf>,
}
