//! Results in a directory as they are read: a commit's lengths say where its rows lie.
//!
//! Where rows are missing or doubled, those that follow lie elsewhere than their lengths say: the
//! reader may look again, by their epochs, and the shift is kept for the next commit.

use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use clicks_dataflows::ledger::{Commit, Lengths};
use clicks_dataflows::time::Epoch;

use crate::alias::Alias;
use crate::failure::{Attempt, Failure};
use crate::files::aliases::AliasFiles;
use crate::files::disk::Disk;
use crate::files::results::log_path;
use crate::logs::{Jobs, Logs, Row, RowLog, Rows, epoch_of};

/// How the file of a ledger ends, after the job's name.
const LEDGER: &str = ".ledger.jsonl";

/// Bytes beyond a commit's place in which its rows are looked for.
const SHIFT_MAX: u64 = 1 << 20;

/// A directory of results.
pub struct JobFiles<'a> {
    /// The file system.
    disk: &'a dyn Disk,
    /// The directory.
    directory: PathBuf,
}

impl<'a> JobFiles<'a> {
    /// The results in `directory`.
    pub fn new(disk: &'a dyn Disk, directory: &Path) -> JobFiles<'a> {
        JobFiles { disk, directory: directory.to_path_buf() }
    }

    fn alias_files(&self) -> AliasFiles<'_> {
        AliasFiles { disk: self.disk, directory: &self.directory }
    }
}

impl Jobs for JobFiles<'_> {
    fn place(&self) -> String {
        self.directory.display().to_string()
    }

    fn ledgers(&self) -> &'static str {
        "*.ledger.jsonl"
    }

    fn jobs(&self) -> Result<Vec<String>, Failure> {
        let attempt = || format!("cannot read the results in {}", self.place());
        let mut jobs = Vec::new();
        for entry in std::fs::read_dir(&self.directory).attempt(attempt)? {
            let name = entry.attempt(attempt)?.file_name();
            let job = name.to_str().and_then(|name| name.strip_suffix(LEDGER));
            jobs.extend(job.filter(|job| !job.is_empty()).map(str::to_owned));
        }
        jobs.sort();
        Ok(jobs)
    }

    fn open(&self, job: &str) -> Result<Box<dyn Logs + '_>, Failure> {
        let log =
            |log: RowLog| FileLog::open(self.disk, log_path(&self.directory, job, log.name()));
        Ok(Box::new(LogFiles {
            disk: self.disk,
            ledger: log_path(&self.directory, job, "ledger"),
            lines: None,
            at: 0,
            torn: 0,
            logs: [log(RowLog::Counts)?, log(RowLog::Ranks)?, log(RowLog::Rejects)?],
        }))
    }

    fn aliases(&self) -> Result<Vec<Alias>, Failure> {
        self.alias_files().all()
    }

    fn keep_alias(&self, alias: &Alias) -> Result<(), Failure> {
        self.alias_files().keep(alias)
    }

    fn remove_alias(&self, alias: &str) -> Result<(), Failure> {
        self.alias_files().remove(alias)
    }
}

/// The files of one job.
struct LogFiles<'a> {
    disk: &'a dyn Disk,
    ledger: PathBuf,
    /// The ledger, open at `at`.
    lines: Option<Box<dyn BufRead>>,
    /// Bytes of the ledger that were handed over.
    at: u64,
    torn: usize,
    logs: [FileLog; 3],
}

/// A file of rows, as far as it was read.
struct FileLog {
    path: PathBuf,
    /// Its length when it was opened, if it was there.
    length: Option<u64>,
    /// The file, open at `at`.
    reader: Option<Box<dyn BufRead>>,
    /// Where the rows of the next commit begin.
    at: u64,
    /// Where they would begin by the ledger.
    stated: u64,
    /// Where those of the last commit end.
    end: u64,
}

impl Logs for LogFiles<'_> {
    fn ledger_name(&self) -> String {
        self.ledger.display().to_string()
    }

    fn name(&self, log: RowLog) -> String {
        self.logs[log as usize].path.display().to_string()
    }

    fn has_lengths(&self) -> bool {
        true
    }

    fn next_line(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let attempt = || format!("cannot read {}", self.ledger.display());
        let lines = match &mut self.lines {
            Some(lines) => lines,
            None => self.lines.insert(self.disk.read(&self.ledger, self.at).attempt(attempt)?),
        };
        let mut line = Vec::new();
        lines.read_until(b'\n', &mut line).attempt(attempt)?;
        if line.pop_if(|byte| *byte == b'\n').is_none() {
            (self.torn, self.lines) = (line.len(), None);
            return Ok(None);
        }
        self.at += line.len() as u64 + 1;
        Ok(Some(line))
    }

    fn torn(&self) -> usize {
        self.torn
    }

    fn skip(&mut self, log: RowLog, commit: &Commit) -> Result<(), Failure> {
        let to = length(commit, log);
        let log = &mut self.logs[log as usize];
        (log.at, log.stated, log.end, log.reader) = (to, to, to, None);
        Ok(())
    }

    fn rows(&mut self, log: RowLog, commit: &Commit) -> Result<Rows<'_>, Failure> {
        let stated = length(commit, log);
        let log = &mut self.logs[log as usize];
        log.end = log.at.saturating_add(stated.saturating_sub(log.stated));
        log.stated = stated;
        let disk = self.disk;
        let row = move |line| Row { line, misplaced: None };
        Ok(Box::new(
            std::iter::from_fn(move || log.line(disk).transpose()).map(move |line| line.map(row)),
        ))
    }

    fn is_short(&self, log: RowLog) -> bool {
        let log = &self.logs[log as usize];
        log.at < log.end
    }

    fn look_again(
        &self,
        log: RowLog,
        taken: u64,
        epoch: Epoch,
    ) -> Result<Option<Vec<u8>>, Failure> {
        self.logs[log as usize].find(self.disk, taken, epoch).map(Some)
    }

    fn correct(&mut self, log: RowLog, taken: u64, kept: u64) {
        let log = &mut self.logs[log as usize];
        (log.at, log.reader) = (log.at - taken + kept, None);
    }

    fn span(&self, log: RowLog, bytes: u64) -> String {
        let at = self.logs[log as usize].at;
        format!("bytes {} to {at} of {}", at - bytes, log.name())
    }

    fn notes(&self) -> Vec<String> {
        let beyond = |log: &FileLog| {
            let bytes = log.length?.checked_sub(log.at).filter(|bytes| *bytes > 0)?;
            Some(format!("  {}: {bytes} bytes lie beyond the last commit", log.path.display()))
        };
        self.logs.iter().filter_map(beyond).collect()
    }
}

/// The length of `log` with `commit`.
fn length(commit: &Commit, log: RowLog) -> u64 {
    let Lengths { counts, ranks, rejects } = commit.lengths.unwrap_or_default();
    [counts, ranks, rejects][log as usize]
}

impl FileLog {
    fn open(disk: &dyn Disk, path: PathBuf) -> Result<FileLog, Failure> {
        let length = disk.length(&path).attempt(|| format!("cannot read {}", path.display()))?;
        Ok(FileLog { path, length, reader: None, at: 0, stated: 0, end: 0 })
    }

    /// The next line of the commit, up to its end or that of the file.
    fn line(&mut self, disk: &dyn Disk) -> Result<Option<Vec<u8>>, Failure> {
        if self.at >= self.end {
            return Ok(None);
        }
        let attempt = || format!("cannot read {}", self.path.display());
        let mut line = Vec::new();
        // What was open ends where the file did then.
        for fresh in [false, true] {
            if (fresh || self.reader.is_none())
                && disk.length(&self.path).attempt(attempt)?.is_some()
            {
                self.reader = Some(disk.read(&self.path, self.at).attempt(attempt)?);
            }
            let Some(reader) = &mut self.reader else { return Ok(None) };
            line.clear();
            let rest = self.end - self.at;
            reader.by_ref().take(rest).read_until(b'\n', &mut line).attempt(attempt)?;
            if line.ends_with(b"\n") {
                break;
            }
        }
        if !line.ends_with(b"\n") {
            self.reader = None;
        }
        self.at += line.len() as u64;
        Ok((!line.is_empty()).then_some(line))
    }

    /// The rows from where the last commit begins that were told up to `epoch`.
    fn find(&self, disk: &dyn Disk, taken: u64, epoch: Epoch) -> Result<Vec<u8>, Failure> {
        let attempt = || format!("cannot read {}", self.path.display());
        let mut bytes = Vec::new();
        if disk.length(&self.path).attempt(attempt)?.is_some() {
            let file = disk.read(&self.path, self.at - taken).attempt(attempt)?;
            file.take(taken + SHIFT_MAX).read_to_end(&mut bytes).attempt(attempt)?;
        }
        let mut found = 0;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let is_its = match epoch_of(line) {
                Some(told) => told <= epoch,
                None => (found as u64) < taken,
            };
            if !is_its {
                break;
            }
            found += line.len();
        }
        bytes.truncate(found);
        Ok(bytes)
    }
}
