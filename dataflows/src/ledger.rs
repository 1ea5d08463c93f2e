//! The ledger: the log of a job's commits, as it is written and read.
//!
//! The first line opens the job and says on what its meaning depends. Each further line is a
//! commit: up to which epoch everything is told, which positions led there, what was decided on
//! the way (marks), the job's totals, and a digest over the commit's rows. A line also holds the
//! hash of the line before, so that a reader can check the chain without trusting the storage.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::time::Time;

/// Where a partition is read next, and its clock there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The log of which it is a partition, where the job reads several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// The partition's number in its log.
    pub partition: u32,
    /// The file that is the partition, without its compression; absent for a topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The first offset whose epoch is greater than the commit's.
    pub offset: u64,
    /// The partition's own clock before that offset.
    pub clock: Time,
    /// The event time of a click that waits for another to move the clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jump: Option<Time>,
}

impl Position {
    /// Before `offset` of the partition `name`, which is number `number` of the job.
    pub fn new(number: u32, name: Name, offset: u64) -> Position {
        let (log, partition, file) = match name {
            Name::File(file) => (None, number, Some(file)),
            Name::Partition { log, partition } => (log, partition, None),
        };
        Position { log, partition, file, offset, clock: Time(0), jump: None }
    }

    /// The same position, with this clock before it.
    #[must_use]
    pub fn with_clock(self, Clock { clock, jump }: Clock) -> Position {
        Position { clock: Time(clock), jump: jump.map(Time), ..self }
    }

    /// The partition's own clock before it, with the click that waits to move it.
    pub fn own_clock(&self) -> Clock {
        Clock { clock: self.clock.0, jump: self.jump.map(|jump| jump.0) }
    }

    /// What its partition is called.
    pub fn name(&self) -> Name {
        match &self.file {
            Some(file) => Name::File(file.clone()),
            None => Name::Partition { log: self.log.clone(), partition: self.partition },
        }
    }
}

/// What a partition is called; its number within the job is another matter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Name {
    /// A file of a directory, without its compression.
    File(String),
    /// A partition of a topic.
    Partition {
        /// The topic, where the job reads several.
        log: Option<String>,
        /// Its number in the topic.
        partition: u32,
    },
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::File(file) => f.write_str(file),
            Name::Partition { log: Some(log), partition } => write!(f, "{log}/{partition}"),
            Name::Partition { log: None, partition } => write!(f, "partition {partition}"),
        }
    }
}

/// A decision that the log does not determine: the record at `offset` has a clock of at least
/// `clock`, because its partition slept or a floor lifted it; or, with a clock of 0, its partition
/// begins there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mark {
    /// The log of which its partition is one, where the job reads several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// The partition's number in its log.
    pub partition: u32,
    /// The record's offset.
    pub offset: u64,
    /// The clock that the record has at least.
    pub clock: Time,
}

impl Mark {
    /// Says that a partition that was added to the job begins at `offset`, as what lay before it had
    /// been deleted; it raises no clock.
    pub fn of_begin(position: &Position) -> Mark {
        let Position { log, partition, offset, .. } = position.clone();
        Mark { log, partition, offset, clock: Time(0) }
    }

    /// Whether it says where a partition begins.
    pub fn is_begin(&self) -> bool {
        self.clock.0 == 0
    }
}

/// The line that opens a job's ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// The job.
    pub job: String,
    /// Always 0.
    pub commit: u64,
    /// The version of the program that opened it.
    pub version: String,
    /// When it was opened, by the wall clock.
    pub started: Time,
    /// Where it began to read.
    pub positions: Vec<Position>,
    /// What the meaning of the rows depends on.
    pub meaning: serde_json::Value,
}

/// A commit: rows of closed epochs made visible together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// The job.
    pub job: String,
    /// Its number, from 1, without gaps.
    pub commit: u64,
    /// All epochs up to it are closed and told.
    pub epoch: Time,
    /// Positions that changed since the last commit; all of them once a minute.
    pub positions: Vec<Position>,
    /// The decisions that these rows rest on.
    pub marks: Vec<Mark>,
    /// The greatest event time taken so far, where it lies further beyond every clock than
    /// `ahead_max`: how far into the future state may reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reach: Option<Time>,
    /// The job's totals up to `epoch`.
    #[serde(flatten)]
    pub totals: Totals,
    /// Rows of `counts` in this commit.
    pub counts: u64,
    /// Rows of `ranks` in this commit.
    pub ranks: u64,
    /// Rows of `rejects` in this commit.
    pub rejects: u64,
    /// In a directory, the lengths of the result logs with this commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lengths: Option<Lengths>,
    /// SHA-256 over the value lines of this commit: counts, ranks, rejects.
    pub digest: String,
    /// SHA-256 of the ledger line before this one, without its LF.
    pub previous: String,
    /// Whether the input is complete, and everything settled.
    pub closed: bool,
}

/// Totals of a job: `records` = `clicks` + `duplicates` + `rejected` + `skipped`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Records read.
    pub records: u64,
    /// First copies.
    pub clicks: u64,
    /// Further copies.
    pub duplicates: u64,
    /// Records that do not count.
    pub rejected: u64,
    /// Clicks before the time from which a replay tells.
    pub skipped: u64,
    /// First copies that were learnt after their minute had settled.
    pub late: u64,
}

impl Totals {
    /// Each total with its name, in the order of a ledger's line.
    pub fn named(&self) -> [(&'static str, u64); 6] {
        [
            ("records", self.records),
            ("clicks", self.clicks),
            ("duplicates", self.duplicates),
            ("rejected", self.rejected),
            ("skipped", self.skipped),
            ("late", self.late),
        ]
    }
}

/// Bytes of each result log that are committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lengths {
    /// Of `JOB.counts.jsonl`.
    pub counts: u64,
    /// Of `JOB.ranks.jsonl`.
    pub ranks: u64,
    /// Of `JOB.rejects.jsonl`.
    pub rejects: u64,
}
