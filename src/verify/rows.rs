//! The rows of each commit: as many as it states, with its digest, each right and in order.
//!
//! Where the digest is not that of the rows, they are looked for elsewhere; where their log may
//! rightly have lost some, the commit is passed over, and counted. Without the line that opens the
//! job, number and digest are all that is known of them.

use std::cmp::Ordering;

use clicks_dataflows::ledger::Commit;
use clicks_dataflows::options::Options;
use clicks_dataflows::time::{Epoch, Time};
use clicks_dataflows::told::{CountRow, RankRow, RejectRow};

use super::Faults;
use super::chain::Link;
use super::row::{self, Row, Told};
use crate::commit::sha256_hex;
use crate::failure::Failure;
use crate::logs::{Logs, Missing, RowLog, epoch_of};
use crate::numbers::Numbers;
use crate::plural::some;

/// The rows of a job, commit by commit.
pub struct Rows<'a> {
    /// Those of the job, if they are known.
    options: Option<&'a Options>,
    told: Told,
    /// Commits that cannot be checked, and up to which epoch.
    lost: (u64, Epoch),
}

/// The rows of a commit in one log.
struct Batch {
    bytes: Vec<u8>,
    /// Where the commit's own rows begin; what precedes them is of commits that are missing.
    own: usize,
}

/// A commit whose rows are checked.
struct Place<'a> {
    commit: &'a Commit,
    after: Epoch,
    /// Whether the digest differs, and no row is missing that may be.
    changed: bool,
    log: RowLog,
}

impl<'a> Rows<'a> {
    /// The rows of a job with these options, if they are known.
    pub fn new(options: Option<&'a Options>) -> Rows<'a> {
        Rows { options, told: Told::default(), lost: (0, 0) }
    }

    /// Checks the rows of a commit; if it is torn off from the commit before, rows of those that
    /// are missing precede its own. `numbers` are those of the partitions.
    pub fn check(
        &mut self,
        logs: &mut dyn Logs,
        link: &Link,
        numbers: &Numbers,
        faults: &mut Faults,
    ) -> Result<(), Failure> {
        let Link { commit, after, torn } = link;
        if logs.has_lengths() && commit.lengths.is_none() {
            return Ok(());
        }
        self.told.numbers.clone_from(numbers);
        self.told.closing = commit.closed.then_some(commit.epoch.0);
        let mut batches = Vec::new();
        for log in RowLog::ALL {
            batches.push(read(logs, log, commit, *torn, faults)?);
        }
        let own: Vec<&[u8]> = batches.iter().map(|batch| &batch.bytes[batch.own..]).collect();
        let mut changed = sha256_hex(&own) != commit.digest;
        let mut excused = [false; 3];
        if changed {
            excused = self.excuse(logs, &batches, link)?;
            changed = !excused.contains(&true);
        } else if RowLog::ALL.iter().any(|log| logs.is_short(*log)) {
            faults.add(format!("commit {}: its lengths are beyond its rows", commit.commit));
        }
        let found = faults.count;
        let mut spans = Vec::new();
        for ((log, mut batch), excused) in RowLog::ALL.into_iter().zip(batches).zip(excused) {
            let stated = log.stated(commit);
            if changed {
                batch = look_again(logs, log, batch, link)?;
            }
            let bytes = batch.bytes.len() as u64;
            if bytes > 0 {
                spans.push(logs.span(log, bytes));
            }
            let place = Place { commit, after: *after, changed, log };
            if !excused {
                place.check_number(&batch, stated, faults);
            }
            match log {
                RowLog::Counts => self.check_rows::<CountRow>(&batch, &place, faults),
                RowLog::Ranks => self.check_rows::<RankRow>(&batch, &place, faults),
                RowLog::Rejects => self.check_rows::<RejectRow<'static>>(&batch, &place, faults),
            }
        }
        if changed && faults.count == found {
            faults.add(changed_somewhere(commit, &spans));
        }
        Ok(())
    }

    /// Which logs may rightly have lost rows of a commit, and have.
    fn excuse(
        &mut self,
        logs: &mut dyn Logs,
        batches: &[Batch],
        link: &Link,
    ) -> Result<[bool; 3], Failure> {
        let mut excused = [false; 3];
        for (log, batch) in RowLog::ALL.into_iter().zip(batches) {
            let fewer = (batch.lines().count() as u64) < log.stated(&link.commit);
            let missing = if fewer { logs.missing(log, link.after)? } else { Missing::Never };
            if missing != Missing::Never {
                excused[log as usize] = true;
                self.told.lost[log as usize] = Some(missing);
            }
        }
        if excused.contains(&true) {
            self.lost = (self.lost.0 + 1, link.commit.epoch.0);
        }
        Ok(excused)
    }

    fn check_rows<R: Row>(&mut self, batch: &Batch, place: &Place<'_>, faults: &mut Faults) {
        // Rows of missing commits are told with these, but cannot be held against them.
        let unchecked = if self.options.is_some() { batch.own } else { batch.bytes.len() };
        for line in batch.bytes[..unchecked].split_inclusive(|byte| *byte == b'\n') {
            if let Ok(row) = row::read::<R>(line) {
                row.tell(&mut self.told);
            }
        }
        let Some(options) = self.options else { return };
        let mut last = None;
        for (line, number) in batch.lines().zip(1_u64..) {
            let row = match row::read::<R>(line) {
                Ok(row) => row,
                Err(fault) => {
                    place.fault(number, &fault, faults);
                    continue;
                }
            };
            let key = (row.epoch(), row.key(&self.told));
            if last.as_ref() == Some(&key) {
                place.fault(number, "it is there twice", faults);
                continue;
            }
            let out_of_order = last.as_ref().is_some_and(|last| *last > key);
            let fault = match row.fault(&self.told, options) {
                _ if out_of_order => Some(format!("it belongs before row {}", number - 1)),
                _ if row.epoch() <= place.after || row.epoch() > place.commit.epoch.0 => {
                    let (epoch, after) = (Time(row.epoch()), Time(place.after));
                    let until = place.commit.epoch;
                    Some(format!("its epoch {epoch} is not after {after} and up to {until}"))
                }
                fault => fault,
            };
            if let Some(fault) = fault {
                place.fault(number, &fault, faults);
            }
            last = Some(key);
            row.tell(&mut self.told);
        }
    }

    /// What is no fault, but to be known.
    pub fn notes(&self) -> Vec<String> {
        let (commits, epoch) = self.lost;
        if commits == 0 {
            return Vec::new();
        }
        let (epoch, commits) = (Time(epoch), some(commits, "commit"));
        let mut notes =
            vec![format!("  rows up to {epoch} are no longer there: {commits} cannot be checked")];
        if self.told.has_lost_rows() {
            notes.push("  nor can all lists by what the counts come to".to_owned());
        }
        notes
    }

    /// What all rows have told.
    pub fn told(mut self) -> Told {
        self.told.rejects.sort_unstable();
        self.told
    }
}

impl Place<'_> {
    fn check_number(&self, batch: &Batch, stated: u64, faults: &mut Faults) {
        let found = batch.lines().count() as u64;
        let wrong = match found.cmp(&stated) {
            Ordering::Less => "rows are missing",
            Ordering::Equal => return,
            Ordering::Greater => "there are too many",
        };
        let (commit, log, found) = (self.commit.commit, self.log.name(), some(found, "row"));
        faults.add(format!("commit {commit}: {log} has {found} where it states {stated}: {wrong}"));
    }

    fn fault(&self, number: u64, fault: &str, faults: &mut Faults) {
        let was = if self.changed { " was changed" } else { "" };
        let (commit, log) = (self.commit.commit, self.log.name());
        faults.add(format!("commit {commit}: row {number} of {log}{was}: {fault}"));
    }
}

/// The rows of `commit` as the log has them.
fn read(
    logs: &mut dyn Logs,
    log: RowLog,
    commit: &Commit,
    torn: bool,
    faults: &mut Faults,
) -> Result<Batch, Failure> {
    let mut bytes = Vec::new();
    for row in logs.rows(log, commit)? {
        let row = row?;
        bytes.extend_from_slice(&row.line);
        if let Some(misplaced) = row.misplaced {
            faults.add(format!("commit {}: {}: {misplaced}", commit.commit, log.name()));
        }
    }
    Ok(Batch::new(bytes, log.stated(commit), torn))
}

/// The rows of a commit whose digest is wrong, which may lie elsewhere than it says.
fn look_again(
    logs: &mut dyn Logs,
    log: RowLog,
    batch: Batch,
    link: &Link,
) -> Result<Batch, Failure> {
    let (stated, epoch) = (log.stated(&link.commit), link.commit.epoch.0);
    let taken = batch.bytes.len() as u64;
    let Some(found) = logs.look_again(log, taken, epoch)? else { return Ok(batch) };
    if found.len() <= batch.bytes.len() && batch.fits(stated, epoch) {
        return Ok(batch);
    }
    logs.correct(log, taken, found.len() as u64);
    Ok(Batch::new(found, stated, link.torn))
}

/// The digest differs, though each row could be right.
fn changed_somewhere(commit: &Commit, spans: &[String]) -> String {
    let places = match spans {
        [] => "it has no rows, so the digest was".to_owned(),
        spans => format!("one in {}, or the digest, was", spans.join(" or ")),
    };
    format!("commit {}: its digest is not that of its rows: {places} changed", commit.commit)
}

impl Batch {
    fn new(bytes: Vec<u8>, stated: u64, torn: bool) -> Batch {
        let ends =
            bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
        let ends: Vec<usize> = if torn { ends.collect() } else { Vec::new() };
        let stated = usize::try_from(stated).unwrap_or(usize::MAX);
        let before = ends.len().checked_sub(stated).and_then(|rows| rows.checked_sub(1));
        let own = before.map_or(0, |last| ends[last]);
        Batch { bytes, own }
    }

    /// The commit's own rows.
    fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes[self.own..].split_inclusive(|byte| *byte == b'\n')
    }

    /// Whether the commit's rows can be these, though one is changed.
    fn fits(&self, stated: u64, epoch: Epoch) -> bool {
        let last = self.lines().last();
        self.lines().count() as u64 == stated
            && last.is_none_or(|line| {
                line.ends_with(b"\n") && epoch_of(line).is_none_or(|told| told <= epoch)
            })
    }
}
