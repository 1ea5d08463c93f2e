//! The ledger, line by line: whether each follows from the one before.

use std::collections::BTreeMap;

use clicks_dataflows::ledger::{Commit, Mark, Opening};
use clicks_dataflows::time::{Epoch, Millis};

use super::Faults;
use super::standing::Standing;
use crate::commit::sha256_hex;
use crate::failure::Failure;
use crate::logs::Logs;

/// A ledger that is being read.
pub struct Chain {
    job: String,
    /// Whether commits state the lengths of logs.
    has_lengths: bool,
    standing: Standing,
    /// The line before, its number, and the hash that the next commit must state.
    number: u64,
    hash: String,
    /// The first line, if it is a commit.
    first: Option<Vec<u8>>,
    /// Whether the line before is known to be changed, so that nothing can follow from it.
    broken: bool,
}

/// How a ledger begins.
pub enum Beginning {
    /// With the line that opens the job.
    Opening(Opening),
    /// With a commit: the lines before it are gone.
    Commit,
    /// With nothing that is known.
    Nothing,
}

/// A commit as it follows from those before it.
pub struct Link {
    /// The commit.
    pub commit: Commit,
    /// Its rows are of epochs after this one.
    pub after: Epoch,
    /// Whether commits are missing before it, so that rows of theirs precede its own.
    pub torn: bool,
}

impl Chain {
    /// The ledger of `job`, before its first line.
    pub fn new(job: &str, has_lengths: bool) -> Chain {
        Chain {
            job: job.to_owned(),
            has_lengths,
            standing: Standing::default(),
            number: 0,
            hash: String::new(),
            first: None,
            broken: false,
        }
    }

    /// Reads the line that opens the job, or finds that it is gone.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    pub fn begin(
        &mut self,
        logs: &mut dyn Logs,
        faults: &mut Faults,
    ) -> Result<Beginning, Failure> {
        let Some(line) = logs.next_line()? else {
            faults.add("the ledger is empty: no job was opened".to_owned());
            return Ok(Beginning::Nothing);
        };
        if let Ok(Commit { commit, .. }) = serde_json::from_slice(&line) {
            faults.add(format!(
                "the ledger begins with commit {commit}: what precedes it is gone, and cannot be \
                 checked; without the line that opens the job, rows are held to their digests alone",
            ));
            self.first = Some(line);
            return Ok(Beginning::Commit);
        }
        self.number = 1;
        let opening: Opening = match serde_json::from_slice(&line) {
            Ok(opening) => opening,
            Err(error) => {
                faults.add(format!("line 1 of the ledger opens no job: {error}"));
                return Ok(Beginning::Nothing);
            }
        };
        if opening.commit != 0 || opening.job != self.job || !is_canonical(&opening, &line) {
            faults.add("line 1 of the ledger was changed: it is not as it is written".to_owned());
        }
        self.hash = sha256_hex(&[&line]);
        self.standing.stand(&opening.positions);
        Ok(Beginning::Opening(opening))
    }

    /// The next commit of a job with this refresh, if that is known; lines that are none are told
    /// and passed over.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    pub fn next(
        &mut self,
        logs: &mut dyn Logs,
        refresh_ms: Option<Millis>,
        faults: &mut Faults,
    ) -> Result<Option<Link>, Failure> {
        while let Some(line) = self.line(logs)? {
            let mut commit = match serde_json::from_slice::<Commit>(&line) {
                Ok(commit) => commit,
                Err(error) => {
                    faults.add(format!("line {} of the ledger is no commit: {error}", self.number));
                    self.hash = sha256_hex(&[&line]);
                    self.broken = true;
                    continue;
                }
            };
            let mut changed = (!is_canonical(&commit, &line)).then_some("not as it is written");
            if commit.previous == self.hash && commit.commit != self.standing.commits + 1 {
                commit.commit = self.standing.commits + 1;
                changed = Some("in its place, but has another number");
            }
            if let Some(how) = changed {
                faults.add(format!("line {} of the ledger was changed: it is {how}", self.number));
            }
            if commit.commit <= self.standing.commits {
                faults.add(format!("commit {}: the ledger has it twice", commit.commit));
                continue;
            }
            let torn = self.check_place(&commit, faults);
            let after = self.standing.epoch;
            self.standing.check(&commit, torn, refresh_ms, faults);
            self.check_lengths(&commit, faults);
            self.standing.follow(&commit);
            self.hash = sha256_hex(&[&line]);
            self.broken = changed.is_some();
            return Ok(Some(Link { commit, after, torn }));
        }
        Ok(None)
    }

    /// Where the job stands after the commits so far.
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// Forgets marks of records before `offsets`, by the numbers of partitions.
    pub fn forget_marks(&mut self, offsets: &BTreeMap<u32, u64>) {
        let offset = |partition: &u32| offsets.get(partition).copied().unwrap_or(0);
        let is_kept =
            |(partition, mark): &(u32, Mark)| mark.is_begin() || mark.offset >= offset(partition);
        self.standing.marks.retain(is_kept);
    }

    /// Checks number and hash; whether commits are missing before this one.
    fn check_place(&self, commit: &Commit, faults: &mut Faults) -> bool {
        let (number, before) = (commit.commit, self.standing.commits);
        if commit.job != self.job {
            faults.add(format!("commit {number}: it is one of job {}", commit.job));
        }
        if self.number == 1 {
            // That nothing precedes it was told.
            return number > 1;
        }
        if number > before + 1 {
            if !self.broken || number > before + 2 {
                let (first, last) = (before + 1, number - 1);
                let missing = if first == last {
                    format!("commit {first} is missing")
                } else {
                    format!("commits {first} to {last} are missing")
                };
                faults.add(format!("{missing} from the ledger: commit {number} follows {before}"));
            }
        } else if commit.previous != self.hash && !self.broken {
            let line = self.number - 1;
            faults.add(format!(
                "commit {number}: its `previous` is not the hash of line {line} of the ledger: \
                 that line was changed",
            ));
        }
        number > before + 1
    }

    /// Checks that the commit states lengths where logs have them, and that they grow.
    fn check_lengths(&self, commit: &Commit, faults: &mut Faults) {
        let number = commit.commit;
        let lengths = match commit.lengths {
            Some(lengths) if self.has_lengths => lengths,
            None if !self.has_lengths => return,
            Some(_) => {
                return faults.add(format!("commit {number}: it states lengths of topics"));
            }
            None => return faults.add(format!("commit {number}: it states no lengths")),
        };
        let old = self.standing.lengths;
        for (log, old, new) in [
            ("counts", old.counts, lengths.counts),
            ("ranks", old.ranks, lengths.ranks),
            ("rejects", old.rejects, lengths.rejects),
        ] {
            if new < old {
                let fault = format!("its length of {log} falls from {old} to {new}");
                faults.add(format!("commit {number}: {fault}"));
            }
        }
    }

    /// The next line, without its LF.
    fn line(&mut self, logs: &mut dyn Logs) -> Result<Option<Vec<u8>>, Failure> {
        let line = match self.first.take() {
            Some(line) => Some(line),
            None => logs.next_line()?,
        };
        self.number += u64::from(line.is_some());
        Ok(line)
    }
}

/// Whether `line` is how `value` is written.
fn is_canonical(value: &impl serde::Serialize, line: &[u8]) -> bool {
    serde_json::to_vec(value).is_ok_and(|written| written == line)
}
