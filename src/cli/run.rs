//! What is aggregated, whereto, and by whom: `run` and `replay`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use clicks_dataflows::options::Engine;
use timely::CommunicationConfig;

use super::value::{JobLocation, LogPlace, Position, ResultPlace, host};
use super::{ConfigArgs, wrong};

/// Arguments that `run` and `replay` share.
#[derive(Args, Debug)]
pub struct Aggregate {
    /// The clicks: a directory with a file for each partition, or a topic as `kafka:TOPIC`, which
    /// may be repeated
    #[arg(long, short, value_name = "DIR|kafka:TOPIC")]
    pub input: Vec<LogPlace>,

    /// A raw log to read first, a directory or `s3://BUCKET/PREFIX`; topics go on where it ends
    #[arg(long, value_name = "DIR|s3://...")]
    pub raw: Option<String>,

    /// Where the job's result logs are: a directory, or `kafka:` for topics named after the job
    #[arg(long, short, value_name = "DIR|kafka:")]
    pub output: ResultPlace,

    /// Print a line of numbers each second: throughput, frontier, what is held, memory
    #[arg(long)]
    pub stats: bool,

    /// Show no progress bar on a terminal
    #[arg(long)]
    pub no_progress: bool,

    /// How results are computed; both tell the same rows
    #[arg(long, value_enum, value_name = "ENGINE", default_value_t = EngineName::Fast)]
    pub engine: EngineName,

    /// Keep the clicks seen of settled minutes in unlinked files there, not in memory
    #[arg(long, value_name = "DIR")]
    pub spill: Option<PathBuf>,

    /// The workers to run as.
    #[command(flatten)]
    pub cluster: Cluster,

    /// The settings.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// An engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EngineName {
    /// Differential operators over whole clicks: slow, and the reference
    Simple,
    /// Operators of our own over rows of fixed width
    Fast,
}

impl From<EngineName> for Engine {
    fn from(name: EngineName) -> Engine {
        match name {
            EngineName::Simple => Engine::Simple,
            EngineName::Fast => Engine::Fast,
        }
    }
}

/// Arguments of `clicks run`.
#[derive(Args, Debug)]
pub struct Run {
    /// Go on when the files end, and wait for what is appended, until interrupted
    #[arg(long)]
    pub follow: bool,

    /// What is aggregated, whereto, and how.
    #[command(flatten)]
    pub aggregate: Aggregate,
}

/// Arguments of `clicks replay`.
#[derive(Args, Debug)]
pub struct Replay {
    /// Where to start: `start`, an RFC 3339 time, or `PARTITION=OFFSET,...`
    #[arg(long, value_name = "POSITION", default_value = "start")]
    pub from: Position,

    /// Where to stop: `end` (as it is at the start), a time, or `PARTITION=OFFSET,...`
    #[arg(long, value_name = "POSITION", default_value = "end")]
    pub until: Position,

    /// Topics of the raw log; without it, all that it has
    #[arg(long, value_name = "NAME", requires = "raw", conflicts_with = "input")]
    pub topic: Vec<String>,

    /// The job, or an alias of it, whose marks to obey, so that the same rows come out byte for byte
    #[arg(long, value_name = "RESULTS/JOB")]
    pub marks_of: Option<JobLocation>,

    /// The rest is as for `run`.
    #[command(flatten)]
    pub aggregate: Aggregate,
}

/// Which workers there are, and which of them run in this process.
#[derive(Args, Debug)]
#[command(next_help_heading = "Workers")]
pub struct Cluster {
    /// Worker threads of each process
    #[arg(long, short, value_name = "COUNT", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub workers: u16,

    /// Addresses of all processes, in the same order everywhere
    #[arg(long, value_name = "HOST:PORT,...", value_delimiter = ',', value_parser = host)]
    pub hosts: Vec<String>,

    /// Index of this process in `--hosts`, from 0
    #[arg(long, value_name = "INDEX", default_value_t = 0, requires = "hosts")]
    pub process: usize,
}

impl Cluster {
    /// The same in timely's words.
    pub fn communication(&self) -> CommunicationConfig {
        let threads = usize::from(self.workers);
        if self.hosts.len() < 2 {
            return CommunicationConfig::Process(threads);
        }
        CommunicationConfig::Cluster {
            threads,
            process: self.process,
            addresses: self.hosts.clone(),
            report: false,
            zerocopy: false,
        }
    }

    pub(super) fn check(&self) -> Result<(), clap::Error> {
        let hosts = self.hosts.len().max(1);
        if self.process < hosts {
            return Ok(());
        }
        let highest = hosts - 1;
        Err(wrong(format!("--process {} is none of --hosts: 0 to {highest}", self.process)))
    }
}
