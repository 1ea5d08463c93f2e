//! `clicks topics`: which topics there should be, and how.

use clap::{Args, Subcommand};

use super::Reach;
use super::value::{job_name, topic_of_clicks};
use crate::duration::Duration;
use crate::kafka::topics::Plan;

/// What `clicks topics` does.
#[derive(Debug, Subcommand)]
pub enum TopicsCommand {
    /// Make the topics that are missing; those that are there are left alone and compared
    Create(TopicsCreate),
    /// Compare the topics with what they should be; exit code 3 if one differs or is missing
    Check(Topics),
}

/// Arguments of `clicks topics create`.
#[derive(Args, Debug)]
pub struct TopicsCreate {
    /// Ask the brokers whether the topics could be made, and make none
    #[arg(long)]
    pub dry_run: bool,

    /// The topics.
    #[command(flatten)]
    pub topics: Topics,
}

/// The topics of a job, as they should be.
#[derive(Args, Debug)]
pub struct Topics {
    /// A topic of clicks, which gets the brokers' time (LogAppendTime); may be repeated
    #[arg(long, short, value_name = "TOPIC", value_parser = topic_of_clicks)]
    #[arg(required_unless_present = "job")]
    pub input: Vec<String>,

    /// Partitions of each topic of clicks, at least
    #[arg(long, value_name = "COUNT", default_value_t = 8)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub partitions: u32,

    /// How long clicks are kept; without it, as the brokers do
    #[arg(long, value_name = "DURATION")]
    pub input_retention: Option<Duration>,

    /// The job whose results get topics: NAME.counts, NAME.ranks, NAME.rejects, NAME.ledger
    #[arg(long, value_name = "NAME", value_parser = job_name)]
    pub job: Option<String>,

    /// Partitions of counts and of ranks, at least; rejects and ledger have one
    #[arg(long, value_name = "COUNT", default_value_t = 8)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub result_partitions: u32,

    /// How long counts, ranks and rejects are kept; without it, for ever, as the ledger always is
    #[arg(long, value_name = "DURATION")]
    pub result_retention: Option<Duration>,

    /// Keep only the newest row of each key of counts and ranks
    #[arg(long)]
    pub compact: bool,

    /// The largest batch that the job's topics take: long lists, ledger lines of many partitions
    #[arg(long, value_name = "COUNT", default_value_t = 10 << 20)]
    #[arg(value_parser = clap::value_parser!(u32).range(1 << 20..=1 << 30))]
    pub result_bytes: u32,

    /// Copies of each partition; without it, as many as the brokers make. With 3 or more, 2 must
    /// have a record before it counts (min.insync.replicas)
    #[arg(long, value_name = "COUNT")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub replication: Option<u16>,

    /// How topics are reached.
    #[command(flatten)]
    pub reach: Reach,
}

impl Topics {
    /// The same for what makes and compares them.
    pub fn plan(&self) -> Plan {
        let mut inputs = self.input.clone();
        inputs.sort();
        inputs.dedup();
        Plan {
            inputs,
            partitions: self.partitions,
            input_retention_ms: self.input_retention.map(|duration| duration.0),
            job: self.job.clone(),
            result_partitions: self.result_partitions,
            result_retention_ms: self.result_retention.map(|duration| duration.0),
            result_batch_bytes: self.result_bytes,
            compact: self.compact,
            replication: self.replication,
        }
    }
}
