//! The rows of each commit: as many as it states, with its digest, each right and in order.
//!
//! A commit's rows lie between its lengths and those of the commit before. Where rows are missing
//! or doubled, those that follow lie elsewhere than their lengths say: their epochs tell where the
//! commit ends, and the shift is kept for the next.

use std::cmp::Ordering;
use std::io::Read;
use std::path::{Path, PathBuf};

use clicks_dataflows::ledger::Commit;
use clicks_dataflows::options::Options;
use clicks_dataflows::time::{Epoch, Time};
use clicks_dataflows::told::{CountRow, RankRow, RejectRow};
use serde::Deserialize;

use super::row::{self, Row, Told};
use super::{Faults, some};
use crate::commit::sha256_hex;
use crate::failure::{Attempt, Failure};
use crate::files::disk::Disk;
use crate::files::results::{LOGS, log_path};

/// Bytes beyond a commit's place in which its rows are looked for.
const SHIFT_MAX: u64 = 1 << 20;

/// The rows of a job, commit by commit.
pub struct Rows<'a> {
    disk: &'a dyn Disk,
    options: &'a Options,
    logs: Vec<Log>,
    told: Told,
}

/// A result log, as far as it was checked.
struct Log {
    name: &'static str,
    path: PathBuf,
    /// Its length, if it is there.
    length: Option<u64>,
    /// Where the rows of the next commit begin.
    at: u64,
    /// Where they would begin by the ledger.
    stated: u64,
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
    /// Whether the digest differs.
    changed: bool,
    log: &'static str,
}

impl<'a> Rows<'a> {
    /// The rows of a job that was opened.
    pub fn open(
        disk: &'a dyn Disk,
        results: &Path,
        job: &str,
        options: &'a Options,
    ) -> Result<Rows<'a>, Failure> {
        let log = |name| {
            let path = log_path(results, job, name);
            let length =
                disk.length(&path).attempt(|| format!("cannot read {}", path.display()))?;
            Ok(Log { name, path, length, at: 0, stated: 0 })
        };
        let logs: Result<Vec<Log>, Failure> = LOGS.into_iter().map(log).collect();
        Ok(Rows { disk, options, logs: logs?, told: Told::default() })
    }

    /// Checks the rows of `commit`, which are of epochs greater than `after`; if it is `torn` off
    /// from the commit before, rows of those that are missing precede its own.
    pub fn check(
        &mut self,
        commit: &Commit,
        after: Epoch,
        torn: bool,
        faults: &mut Faults,
    ) -> Result<(), Failure> {
        let Some(lengths) = commit.lengths else { return Ok(()) };
        let lengths = [lengths.counts, lengths.ranks, lengths.rejects];
        let stated = [commit.counts, commit.ranks, commit.rejects];
        let begins: Vec<u64> = self.logs.iter().map(|log| log.at).collect();
        let mut batches = Vec::new();
        let mut short = false;
        for (log, (length, stated)) in self.logs.iter_mut().zip(lengths.into_iter().zip(stated)) {
            let end = log.at.saturating_add(length.saturating_sub(log.stated));
            short |= end > log.length.unwrap_or(0);
            batches.push(Batch::new(log.read(self.disk, end)?, stated, torn));
            log.stated = length;
        }
        let own: Vec<&[u8]> = batches.iter().map(|batch| &batch.bytes[batch.own..]).collect();
        let changed = sha256_hex(&own) != commit.digest;
        let found = faults.count;
        if short && !changed {
            faults.add(format!("commit {}: its lengths are beyond its rows", commit.commit));
        }
        for (at, mut batch) in batches.into_iter().enumerate() {
            let stated = stated[at];
            if changed {
                let found = self.logs[at].find(self.disk, &batch, commit.epoch.0)?;
                if found.len() > batch.bytes.len() || !batch.fits(stated, commit.epoch.0) {
                    batch = Batch::new(found, stated, torn);
                }
            }
            self.logs[at].at += batch.bytes.len() as u64;
            let place = Place { commit, after, changed, log: self.logs[at].name };
            place.check_number(&batch, stated, faults);
            match at {
                0 => self.check_rows::<CountRow>(&batch, &place, faults),
                1 => self.check_rows::<RankRow>(&batch, &place, faults),
                _ => self.check_rows::<RejectRow<'static>>(&batch, &place, faults),
            }
        }
        if changed && faults.count == found {
            faults.add(self.changed_somewhere(commit, &begins));
        }
        Ok(())
    }

    /// The digest differs, though each row could be right.
    fn changed_somewhere(&self, commit: &Commit, begins: &[u64]) -> String {
        let ranges = self.logs.iter().zip(begins).filter(|(log, begin)| log.at > **begin);
        let ranges: Vec<String> = ranges
            .map(|(log, begin)| format!("bytes {begin} to {} of {}", log.at, log.name))
            .collect();
        let places = match &ranges[..] {
            [] => "it has no rows, so the digest was".to_owned(),
            ranges => format!("one in {}, or the digest, was", ranges.join(" or ")),
        };
        format!("commit {}: its digest is not that of its rows: {places} changed", commit.commit)
    }

    fn check_rows<R: Row>(&mut self, batch: &Batch, place: &Place<'_>, faults: &mut Faults) {
        // Rows of missing commits are told with these, but cannot be held against them.
        for line in batch.bytes[..batch.own].split_inclusive(|byte| *byte == b'\n') {
            if let Ok(row) = row::read::<R>(line) {
                row.tell(&mut self.told);
            }
        }
        let mut last = None;
        for (line, number) in batch.lines().zip(1_u64..) {
            let row = match row::read::<R>(line) {
                Ok(row) => row,
                Err(fault) => {
                    place.fault(number, &fault, faults);
                    continue;
                }
            };
            let key = (row.epoch(), row.key());
            if last.as_ref() == Some(&key) {
                place.fault(number, "it is there twice", faults);
                continue;
            }
            let out_of_order = last.as_ref().is_some_and(|last| *last > key);
            let fault = match row.fault(&self.told, self.options) {
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
        let beyond = |log: &Log| {
            let bytes = log.length?.checked_sub(log.at).filter(|bytes| *bytes > 0)?;
            Some(format!("  {}: {bytes} bytes lie beyond the last commit", log.path.display()))
        };
        self.logs.iter().filter_map(beyond).collect()
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
        let (commit, log, found) = (self.commit.commit, self.log, some(found, "row"));
        faults.add(format!("commit {commit}: {log} has {found} where it states {stated}: {wrong}"));
    }

    fn fault(&self, number: u64, fault: &str, faults: &mut Faults) {
        let was = if self.changed { " was changed" } else { "" };
        let (commit, log) = (self.commit.commit, self.log);
        faults.add(format!("commit {commit}: row {number} of {log}{was}: {fault}"));
    }
}

impl Log {
    /// The bytes from where the next commit begins to `end`, as far as they are there.
    fn read(&self, disk: &dyn Disk, end: u64) -> Result<Vec<u8>, Failure> {
        let end = end.min(self.length.unwrap_or(0));
        let mut bytes = Vec::new();
        if end > self.at {
            let attempt = || format!("cannot read {}", self.path.display());
            let file = disk.read(&self.path, self.at).attempt(attempt)?;
            file.take(end - self.at).read_to_end(&mut bytes).attempt(attempt)?;
        }
        Ok(bytes)
    }

    /// The rows from where the next commit begins that were told up to `epoch`.
    fn find(&self, disk: &dyn Disk, stated: &Batch, epoch: Epoch) -> Result<Vec<u8>, Failure> {
        let length = stated.bytes.len();
        let mut bytes = self.read(disk, self.at + length as u64 + SHIFT_MAX)?;
        let mut taken = 0;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let is_its = match epoch_of(line) {
                Some(told) => told <= epoch,
                None => taken < length,
            };
            if !is_its {
                break;
            }
            taken += line.len();
        }
        bytes.truncate(taken);
        Ok(bytes)
    }
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

/// When a row was told, if it is one.
fn epoch_of(line: &[u8]) -> Option<Epoch> {
    #[derive(Deserialize)]
    struct Told {
        epoch: Time,
    }
    serde_json::from_slice::<Told>(line).ok().map(|told| told.epoch.0)
}
