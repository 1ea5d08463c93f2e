//! The commits of a ledger, as far as a comparison needs to trust them.

use clicks_dataflows::ledger::{Commit, Opening};
use clicks_dataflows::time::{Epoch, Time};

use crate::failure::{Attempt, Failure};
use crate::logs::{Jobs, Logs};

/// A ledger that is read commit by commit.
pub struct Commits<'a> {
    /// The logs of the job.
    pub logs: Box<dyn Logs + 'a>,
    job: String,
    /// The number of the last commit.
    number: u64,
    /// Up to which epoch the commits so far tell everything.
    pub epoch: Epoch,
}

impl<'a> Commits<'a> {
    /// The ledger of a job, after the line that opens it.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or that line is gone.
    pub fn open(results: &'a dyn Jobs, job: &str) -> Result<(Commits<'a>, Opening), Failure> {
        let mut logs = results.open(job)?;
        let line = logs.next_line()?;
        let commits = Commits { logs, job: job.to_owned(), number: 0, epoch: 0 };
        let Some(line) = line else {
            let ledger = commits.logs.ledger_name();
            return Err(Failure::new(format!("{ledger} is empty: no job was opened")));
        };
        if let Ok(Commit { commit, .. }) = serde_json::from_slice(&line) {
            return Err(Failure::new(format!(
                "{} begins with commit {commit}: the line that opens the job is gone, and with it \
                 what its rows mean",
                commits.logs.ledger_name(),
            )));
        }
        let opening: Opening = serde_json::from_slice(&line)
            .attempt(|| commits.broken("its first line opens no job"))?;
        if opening.job != job {
            let broken = format!("its first line opens job {}", opening.job);
            return Err(Failure::new(commits.broken(&broken)));
        }
        Ok((commits, opening))
    }

    /// The next commit, with the epoch of the one before; none if there is none for now.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read, or the next line does not follow from those before.
    pub fn next(&mut self) -> Result<Option<(Epoch, Commit)>, Failure> {
        let Some(line) = self.logs.next_line()? else { return Ok(None) };
        let number = self.number + 1;
        let commit: Commit = serde_json::from_slice(&line).attempt(|| {
            self.broken(&format!("what follows commit {} is no commit", self.number))
        })?;
        let after = self.epoch;
        let fault = if commit.job != self.job {
            format!("commit {number} is one of job {}", commit.job)
        } else if commit.commit != number {
            format!("commit {} follows {}", commit.commit, self.number)
        } else if commit.epoch.0 < after {
            format!("commit {number} goes back from {} to {}", Time(after), commit.epoch)
        } else {
            (self.number, self.epoch) = (number, commit.epoch.0);
            return Ok(Some((after, commit)));
        };
        Err(Failure::new(self.broken(&fault)))
    }

    /// Says that the ledger is broken, and who tells more.
    pub fn broken(&self, fault: &str) -> String {
        format!("{}: {fault}: `clicks verify` tells more", self.logs.ledger_name())
    }
}
