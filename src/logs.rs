//! A job's result logs as they are read: the ledger line by line, and the rows of each commit.
//!
//! ```text
//! Jobs ── open() ─▶ Logs ── next_line() ─▶ a commit ── rows() ─▶ its rows, in their order
//! ```
//!
//! Both sides hand over the same bytes for the same job. A directory says by lengths where the rows
//! of a commit lie; partitions of topics are merged by epoch. Nothing beyond the last commit is
//! ever handed over, so what was read stays, whatever becomes of the job.

use clicks_dataflows::ledger::Commit;
use clicks_dataflows::time::{Epoch, Time};
use serde::Deserialize;

use crate::alias::Alias;
use crate::failure::Failure;

/// A log of rows; the ledger is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RowLog {
    /// Clicks of each ad, minute and filter.
    Counts,
    /// The most clicked ads.
    Ranks,
    /// Records that do not count.
    Rejects,
}

impl RowLog {
    /// All of them, in the order in which they are digested.
    pub const ALL: [RowLog; 3] = [RowLog::Counts, RowLog::Ranks, RowLog::Rejects];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            RowLog::Counts => "counts",
            RowLog::Ranks => "ranks",
            RowLog::Rejects => "rejects",
        }
    }

    /// How many rows `commit` states that it has here.
    pub fn stated(self, commit: &Commit) -> u64 {
        match self {
            RowLog::Counts => commit.counts,
            RowLog::Ranks => commit.ranks,
            RowLog::Rejects => commit.rejects,
        }
    }
}

/// A place with results of jobs: a directory, or a cluster.
pub trait Jobs {
    /// Where it is, in words.
    fn place(&self) -> String;

    /// What names of ledgers look like there.
    fn ledgers(&self) -> &'static str;

    /// The jobs whose ledgers are there, by name.
    ///
    /// # Errors
    ///
    /// When it cannot be looked at.
    fn jobs(&self) -> Result<Vec<String>, Failure>;

    /// The logs of a job that is there.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    fn open(&self, job: &str) -> Result<Box<dyn Logs + '_>, Failure>;

    /// The aliases that are kept there, by name.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    fn aliases(&self) -> Result<Vec<Alias>, Failure>;

    /// Keeps `alias`, in place of the one of its name.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    fn keep_alias(&self, alias: &Alias) -> Result<(), Failure>;

    /// Takes the alias of this name away.
    ///
    /// # Errors
    ///
    /// When it cannot be removed.
    fn remove_alias(&self, alias: &str) -> Result<(), Failure>;
}

/// The result logs of a job.
pub trait Logs {
    /// What the ledger is called, in words.
    fn ledger_name(&self) -> String;

    /// What a log is called, in words.
    fn name(&self, log: RowLog) -> String;

    /// Whether commits state the lengths of logs.
    fn has_lengths(&self) -> bool;

    /// The next committed line of the ledger, without its LF; none if there is none for now. The
    /// first time that is so, all that was committed when the logs were opened was handed over.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    fn next_line(&mut self) -> Result<Option<Vec<u8>>, Failure>;

    /// Bytes of a line that does not end.
    fn torn(&self) -> usize {
        0
    }

    /// Goes to the end of a log before the ledger is read; [`Logs::skip`] must follow.
    ///
    /// # Errors
    ///
    /// When the log cannot be looked at.
    fn begin_at_end(&mut self, _: RowLog) -> Result<(), Failure> {
        Ok(())
    }

    /// Passes over all rows up to those of `commit`.
    ///
    /// # Errors
    ///
    /// When the log cannot be read.
    fn skip(&mut self, log: RowLog, commit: &Commit) -> Result<(), Failure>;

    /// Where rows of the next commit begin, by partition; nothing where commits say it.
    ///
    /// # Errors
    ///
    /// When the log cannot be read.
    fn begins(&mut self, _: RowLog) -> Result<Vec<u64>, Failure> {
        Ok(Vec::new())
    }

    /// Goes on after the rows of `commit`, where others begin at `begins`.
    ///
    /// # Errors
    ///
    /// When the log cannot be read.
    fn go_on(&mut self, log: RowLog, commit: &Commit, _begins: &[u64]) -> Result<(), Failure> {
        self.skip(log, commit)
    }

    /// The rows of the next commit, as far as they are there.
    ///
    /// # Errors
    ///
    /// When the log cannot be read.
    fn rows(&mut self, log: RowLog, commit: &Commit) -> Result<Rows<'_>, Failure>;

    /// Whether the rows that were handed over last end before their commit does.
    fn is_short(&self, _: RowLog) -> bool {
        false
    }

    /// Whether rows of epochs after `after` may rightly be missing.
    ///
    /// # Errors
    ///
    /// When nobody says.
    fn missing(&mut self, _: RowLog, _: Epoch) -> Result<Missing, Failure> {
        Ok(Missing::Never)
    }

    /// Looks elsewhere for the rows of which `taken` bytes were handed over, and which are not
    /// those of the commit: those that follow the commit before and were told up to `epoch`.
    ///
    /// # Errors
    ///
    /// When the log cannot be read.
    fn look_again(&self, _: RowLog, _: u64, _: Epoch) -> Result<Option<Vec<u8>>, Failure> {
        Ok(None)
    }

    /// Goes on `kept` bytes after where the last rows began, instead of `taken`.
    fn correct(&mut self, _: RowLog, _taken: u64, _kept: u64) {}

    /// Where the last rows lie, of which there are `bytes`, in words.
    fn span(&self, log: RowLog, bytes: u64) -> String;

    /// Rows that were handed over and lie in a partition where they do not belong, each in words;
    /// known once all commits are read.
    fn strays(&self) -> Vec<String> {
        Vec::new()
    }

    /// Rows beyond the last commit where there cannot be any, each in words.
    ///
    /// # Errors
    ///
    /// When the logs cannot be read.
    fn uncommitted(&mut self) -> Result<Vec<String>, Failure> {
        Ok(Vec::new())
    }

    /// What is no fault, but to be known once all commits are read.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The rows of a commit.
pub type Rows<'a> = Box<dyn Iterator<Item = Result<Row, Failure>> + 'a>;

/// A row as it lies in its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The line with its LF, which is absent if the log ends before it.
    pub line: Vec<u8>,
    /// What is wrong with where it lies, but for its partition.
    pub misplaced: Option<String>,
}

/// Whether rows may be missing, though all is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// They may not.
    Never,
    /// Only the newest row of each key is certain to be there.
    Compacted,
    /// The oldest rows were deleted.
    Deleted,
}

/// What was read of a commit's rows in one log.
pub struct Taken {
    /// How many were whole.
    pub rows: u64,
    /// Whether one ended before its LF.
    pub is_torn: bool,
    /// The epoch of the commit before.
    pub after: Epoch,
}

/// Refuses a commit whose rows are not all there, unless they may rightly be missing.
///
/// # Errors
///
/// When they may not, or nobody says.
pub fn check_whole(
    logs: &mut dyn Logs,
    log: RowLog,
    commit: &Commit,
    taken: &Taken,
) -> Result<(), Failure> {
    let is_short = taken.is_torn || logs.is_short(log);
    let is_fewer = taken.rows < log.stated(commit);
    if is_short || (is_fewer && logs.missing(log, taken.after)? == Missing::Never) {
        return Err(Failure::new(format!(
            "{} does not have the rows of commit {} that its ledger states: `clicks verify` tells \
             more",
            logs.name(log),
            commit.commit,
        )));
    }
    Ok(())
}

/// When a row was told, if it is one.
pub fn epoch_of(line: &[u8]) -> Option<Epoch> {
    #[derive(Deserialize)]
    struct Told {
        epoch: Time,
    }
    serde_json::from_slice::<Told>(line).ok().map(|told| told.epoch.0)
}
