//! What can be asked of the raw log: `archive`, and `raw`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ConfigArgs;
use super::value::{LogPlace, age, bytes};
use crate::duration::Duration;

/// Arguments of `clicks archive`.
#[derive(Args, Debug)]
pub struct ArchiveArgs {
    /// The clicks: a topic as `kafka:TOPIC`, or a directory with a file for each partition
    #[arg(long, short, value_name = "DIR|kafka:TOPIC")]
    pub input: LogPlace,

    /// The raw log: a directory, or an object store as `s3://BUCKET/PREFIX`
    #[arg(long, value_name = "DIR|s3://...")]
    pub raw: String,

    /// A segment ends so long after its first record was read
    #[arg(long, value_name = "LENGTH", default_value = "15m")]
    pub roll: Duration,

    /// A segment ends when it has so many bytes
    #[arg(long, value_name = "BYTES", default_value = "512MB", value_parser = bytes)]
    pub size: u64,

    /// Threads, which share the partitions
    #[arg(long, short, value_name = "COUNT", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub workers: u16,

    /// Archive what a topic holds now, and end; a directory is archived to its end anyway
    #[arg(long)]
    pub once: bool,

    /// Go on when the files of a directory end, and wait for what is appended
    #[arg(long)]
    pub follow: bool,

    /// What a directory is called in the raw log; without it, its own name
    #[arg(long, value_name = "NAME")]
    pub topic: Option<String>,

    /// Where segments are while they are filled; without it, where temporary files are
    #[arg(long, value_name = "DIR")]
    pub spool: Option<PathBuf>,

    /// The settings.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// What `clicks raw` does.
#[derive(Debug, Subcommand)]
pub enum RawCommand {
    /// Look for segments that are missing, doubled, unreadable or altered
    Check(RawCheck),
    /// List partitions, or with `--segments` all segments
    List(RawList),
    /// Print records as they came
    Cat(RawCat),
    /// Move old segments to a cheaper store, and remove the oldest
    Retain(RawRetain),
}

/// A raw log, or one topic of it.
#[derive(Args, Clone, Debug)]
pub struct RawPlace {
    /// The raw log: a directory, or an object store as `s3://BUCKET/PREFIX`
    #[arg(value_name = "RAW")]
    pub raw: String,

    /// Only this topic
    #[arg(long, value_name = "NAME")]
    pub topic: Option<String>,
}

/// Arguments of `clicks raw check`.
#[derive(Args, Debug)]
pub struct RawCheck {
    /// The raw log.
    #[command(flatten)]
    pub place: RawPlace,

    /// Read footers only: finds what is missing, not what was altered
    #[arg(long)]
    pub quick: bool,
}

/// Arguments of `clicks raw list`.
#[derive(Args, Debug)]
pub struct RawList {
    /// The raw log.
    #[command(flatten)]
    pub place: RawPlace,

    /// Each segment, with the times of its records
    #[arg(long)]
    pub segments: bool,
}

/// Arguments of `clicks raw cat`.
#[derive(Args, Debug)]
pub struct RawCat {
    /// The raw log.
    #[command(flatten)]
    pub place: RawPlace,

    /// The partition
    #[arg(long, short, value_name = "NUMBER")]
    pub partition: u32,

    /// The first offset
    #[arg(long, value_name = "OFFSET", default_value_t = 0)]
    pub from: u64,

    /// How many records
    #[arg(long, value_name = "COUNT")]
    pub limit: Option<u64>,
}

/// Arguments of `clicks raw retain`.
#[derive(Args, Debug)]
pub struct RawRetain {
    /// The raw log: a directory, or an object store as `s3://BUCKET/PREFIX`
    #[arg(value_name = "RAW")]
    pub raw: String,

    /// Segments whose hour ended so long ago move to the cold store; a month (`2mo`) is 31 days
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub hot: Duration,

    /// The cold store, which is read with the raw log from then on; without it, the one it has
    #[arg(long, value_name = "DIR|s3://...")]
    pub cold: Option<String>,

    /// Segments whose hour ended so long ago are removed for good; a month (`13mo`) is 31 days
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub delete_after: Option<Duration>,

    /// Say what would be done, and touch nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Name each segment
    #[arg(long)]
    pub segments: bool,
}
