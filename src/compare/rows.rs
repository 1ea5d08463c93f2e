//! The counts of one side, commit by commit.

use clicks_dataflows::ledger::Commit;
use clicks_dataflows::time::{Epoch, Time};
use clicks_dataflows::told::CountRow;

use super::commits::Commits;
use super::fold::Fold;
use super::span::Span;
use crate::failure::Failure;
use crate::logs::{Jobs, Missing, RowLog};
use crate::plural::some;

/// The counts of a job, read up to an epoch.
pub struct Told<'a> {
    commits: Commits<'a>,
    side: usize,
    upto: Epoch,
}

impl<'a> Told<'a> {
    /// Those of `job`, which is the side `side`, up to the epoch `upto`.
    ///
    /// # Errors
    ///
    /// When there are no such logs.
    pub fn open(
        results: &'a dyn Jobs,
        job: &str,
        side: usize,
        upto: Epoch,
    ) -> Result<Told<'a>, Failure> {
        let (commits, _) = Commits::open(results, job)?;
        Ok(Told { commits, side, upto })
    }

    /// Up to which epoch they were read.
    pub fn epoch(&self) -> Epoch {
        self.commits.epoch
    }

    /// Whether all were read that are compared.
    pub fn is_done(&self) -> bool {
        self.epoch() >= self.upto
    }

    /// Reads those of the next commit, and folds what is compared of them.
    ///
    /// # Errors
    ///
    /// When they cannot be read, are not all there, or one is none.
    pub fn step(&mut self, span: &Span, fold: &mut Fold) -> Result<(), Failure> {
        let Some((after, commit)) = self.commits.next()? else {
            return Err(Failure::new(format!(
                "{} ends at {}, and told more a moment before: it was made anew",
                self.commits.logs.ledger_name(),
                Time(self.epoch()),
            )));
        };
        let (mut number, mut fault) = (0, None);
        for row in self.commits.logs.rows(RowLog::Counts, &commit)? {
            number += 1;
            fault = match read(&row?.line, after, &commit) {
                Err(what) => Some((what, Excuse::None)),
                Ok(row) if row.epoch.0 > self.upto || !span.takes(row.minute, row.filter) => None,
                Ok(row) => fold.add(self.side, row).err().map(|what| (what, Excuse::LostRows)),
            };
            if fault.is_some() {
                break;
            }
        }
        let Some((what, excuse)) = fault else { return self.check_number(number, after, &commit) };
        if excuse == Excuse::LostRows {
            self.check_whole(after, &commit)?;
        }
        Err(self.broken(&format!("row {number} of commit {}: {what}", commit.commit)))
    }

    /// Checks that the commit has as many rows as it states.
    fn check_number(&mut self, found: u64, after: Epoch, commit: &Commit) -> Result<(), Failure> {
        let stated = RowLog::Counts.stated(commit);
        let is_short = self.commits.logs.is_short(RowLog::Counts);
        if found == stated && !is_short {
            return Ok(());
        }
        if found < stated && !is_short {
            self.check_whole(after, commit)?;
        }
        let (number, found) = (commit.commit, some(found, "row"));
        Err(self.broken(&format!("commit {number} has {found} where its ledger states {stated}")))
    }

    /// Refuses a log that may rightly have lost rows.
    fn check_whole(&mut self, after: Epoch, commit: &Commit) -> Result<(), Failure> {
        let why = match self.commits.logs.missing(RowLog::Counts, after)? {
            Missing::Never => return Ok(()),
            Missing::Compacted => "the topic is compacted",
            Missing::Deleted => "they were deleted",
        };
        Err(Failure::new(format!(
            "{} does not have all rows of commit {} any more: {why}, and counts that are compared \
             must be whole",
            self.commits.logs.name(RowLog::Counts),
            commit.commit,
        )))
    }

    fn broken(&self, fault: &str) -> Failure {
        let log = self.commits.logs.name(RowLog::Counts);
        Failure::new(format!("{log}: {fault}: `clicks verify` tells more"))
    }
}

/// What may excuse a row that is wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Excuse {
    /// Nothing: it is none.
    None,
    /// That rows before it are lost, from which it would follow.
    LostRows,
}

/// The row that `line` is, if it is one of `commit`, whose epochs come after `after`.
fn read(line: &[u8], after: Epoch, commit: &Commit) -> Result<CountRow, String> {
    let Some(text) = line.strip_suffix(b"\n") else { return Err("it does not end".to_owned()) };
    let row: CountRow =
        serde_json::from_slice(text).map_err(|error| format!("it is no row: {error}"))?;
    if row.epoch.0 <= after || row.epoch.0 > commit.epoch.0 {
        let (epoch, after, until) = (row.epoch, Time(after), commit.epoch);
        return Err(format!("its epoch {epoch} is not after {after} and up to {until}"));
    }
    Ok(row)
}
