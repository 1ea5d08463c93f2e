//! What a job has committed so far: its totals, and its newest lists.
//!
//! The ledger states how long each result log is with a commit. No row beyond that is read.

use std::collections::BTreeMap;
use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use clicks_dataflows::ledger::{Commit, Totals};
use clicks_dataflows::time::{Epoch, Minute};
use clicks_dataflows::told::RankRow;

use crate::failure::{Attempt, Failure};
use crate::files::disk::{Disk, LocalDisk};
use crate::files::results::{log_path, whole_line};

/// A reader of a job's results.
#[derive(Debug)]
pub struct Committed {
    /// The totals with the last commit.
    pub totals: Totals,
    /// How many commits there are.
    pub commits: u64,
    /// The epoch of the last commit: all of it, and of those before, is told.
    pub epoch: Epoch,
    ledger: PathBuf,
    ranks: PathBuf,
    /// Where the ledger is read next; the first line opens the job.
    ledger_at: u64,
    ranks_at: u64,
    /// Lists over all clicks, by window and last minute; old ones are let go.
    lists: BTreeMap<u32, BTreeMap<Minute, RankRow>>,
}

impl Committed {
    /// Nothing yet of the job in `results`, which may not be there yet.
    pub fn new(results: PathBuf, job: &str) -> Committed {
        Committed {
            totals: Totals::default(),
            commits: 0,
            epoch: 0,
            ledger: log_path(&results, job, "ledger"),
            ranks: log_path(&results, job, "ranks"),
            ledger_at: 0,
            ranks_at: 0,
            lists: BTreeMap::new(),
        }
    }

    /// Reads what has been committed since; tells whether anything was.
    ///
    /// # Errors
    ///
    /// When the results cannot be read, or are none.
    pub fn advance(&mut self) -> Result<bool, Failure> {
        let length = LocalDisk.length(&self.ledger).attempt(|| cannot_read(&self.ledger))?;
        if length.is_none_or(|length| length <= self.ledger_at) {
            return Ok(false);
        }
        let mut ledger =
            LocalDisk.read(&self.ledger, self.ledger_at).attempt(|| cannot_read(&self.ledger))?;
        let before = self.commits;
        while let Some(line) = whole_line(&mut *ledger).attempt(|| cannot_read(&self.ledger))? {
            let opens = self.ledger_at == 0;
            self.ledger_at += line.len() as u64 + 1;
            if !opens {
                let commit = serde_json::from_str(&line).attempt(|| cannot_read(&self.ledger))?;
                self.take(&commit)?;
            }
        }
        Ok(self.commits > before)
    }

    /// The list over all clicks whose window ends with the newest minute that has begun.
    pub fn newest(&self, window: u32) -> Option<&RankRow> {
        let lists = self.lists.get(&window)?;
        lists.range(..=self.minute()).next_back().map(|(_, list)| list)
    }

    fn take(&mut self, commit: &Commit) -> Result<(), Failure> {
        self.totals = commit.totals;
        self.commits = commit.commit;
        self.epoch = commit.epoch.0;
        self.take_ranks(commit.lengths.map_or(0, |lengths| lengths.ranks))?;
        let minute = self.minute();
        for lists in self.lists.values_mut() {
            if let Some((newest, _)) = lists.range(..=minute).next_back() {
                *lists = lists.split_off(&newest.clone());
            }
        }
        Ok(())
    }

    /// Reads rows of `ranks` up to the length `until`.
    fn take_ranks(&mut self, until: u64) -> Result<(), Failure> {
        if until <= self.ranks_at {
            return Ok(());
        }
        let attempt = || cannot_read(&self.ranks);
        let rows = LocalDisk.read(&self.ranks, self.ranks_at).attempt(attempt)?;
        for row in rows.take(until - self.ranks_at).lines() {
            let row: RankRow = serde_json::from_str(&row.attempt(attempt)?).attempt(attempt)?;
            if row.filter == 0 {
                self.lists.entry(row.window).or_default().insert(row.minute, row);
            }
        }
        self.ranks_at = until;
        Ok(())
    }

    /// The minute that the last commit has reached.
    fn minute(&self) -> Minute {
        Minute::of(self.epoch.saturating_sub(1))
    }
}

fn cannot_read(path: &Path) -> String {
    format!("cannot read {}", path.display())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clicks_dataflows::ledger::Lengths;
    use clicks_dataflows::time::Time;

    use super::*;

    const OPENING: &str = "{\"job\":\"ads\",\"commit\":0}\n";

    fn row(window: u32, minute: u32, clicks: u64, filter: u16) -> String {
        let minute = Minute(minute);
        format!(
            "{{\"filter\":{filter},\"window\":{window},\"minute\":\"{minute}\",\"ads\":[{{\
             \"ad_id\":\"a\",\"clicks\":{clicks}}}],\"epoch\":\"{minute}\",\"state\":\"final\"}}\n"
        )
    }

    fn commit(commit: u64, epoch: Epoch, ranks: usize) -> String {
        let lengths = Lengths { counts: 0, ranks: ranks as u64, rejects: 0 };
        let commit = Commit {
            job: "ads".to_owned(),
            commit,
            epoch: Time(epoch),
            positions: Vec::new(),
            marks: Vec::new(),
            reach: None,
            totals: Totals { records: commit, ..Totals::default() },
            counts: 0,
            ranks: 0,
            rejects: 0,
            lengths: Some(lengths),
            digest: String::new(),
            previous: String::new(),
            closed: false,
        };
        serde_json::to_string(&commit).unwrap() + "\n"
    }

    fn newest(committed: &Committed, window: u32) -> Option<(u32, u64)> {
        committed.newest(window).map(|list| (list.minute.0, list.ads[0].clicks))
    }

    #[test]
    fn a_row_is_seen_once_its_commit_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = |log| log_path(directory.path(), "ads", log);
        let mut committed = Committed::new(directory.path().to_owned(), "ads");
        assert!(!committed.advance().unwrap());

        let rows = [row(1, 3, 7, 0), row(1, 3, 9, 0), row(1, 3, 1, 2), row(1, 4, 2, 0)];
        fs::write(path("ranks"), rows.concat()).unwrap();
        let line = commit(1, 180_000 + 5000, rows[0].len());
        fs::write(path("ledger"), format!("{OPENING}{}", &line[..9])).unwrap();
        assert!(!committed.advance().unwrap());
        fs::write(path("ledger"), format!("{OPENING}{line}")).unwrap();
        assert!(committed.advance().unwrap());
        assert_eq!(newest(&committed, 1), Some((3, 7)));
        assert_eq!((committed.commits, committed.totals.records), (1, 1));

        // The next minute has a click already, but has not begun: its own list comes later.
        let line = line + &commit(2, 240_000, rows.concat().len());
        fs::write(path("ledger"), format!("{OPENING}{line}")).unwrap();
        assert!(committed.advance().unwrap());
        assert_eq!(newest(&committed, 1), Some((3, 9)));
        let line = line + &commit(3, 241_000, rows.concat().len());
        fs::write(path("ledger"), format!("{OPENING}{line}")).unwrap();
        assert!(committed.advance().unwrap());
        assert_eq!((newest(&committed, 1), newest(&committed, 5)), (Some((4, 2)), None));
        assert_eq!(committed.lists[&1].len(), 1);
    }
}
