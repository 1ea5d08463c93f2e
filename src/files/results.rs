//! A directory of results: one file for each log of a job, and its ledger.
//!
//! ```text
//! commit:  rows ─▶ JOB.counts.jsonl, ranks, rejects ─▶ sync ─▶ JOB.ledger.jsonl ─▶ sync
//! ```
//!
//! The ledger's line states how long each file is with this commit. A reader reads no further, and
//! a restart cuts off what lies beyond, so a commit is there once its line is, and not before.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clicks_dataflows::ledger::Lengths;

use crate::failure::{Attempt, Failure, Kind};
use crate::files::disk::{Disk, LocalDisk};
use crate::sink::{Rows, Sink};

/// The result logs of a job.
pub const LOGS: [&str; 3] = ["counts", "ranks", "rejects"];

/// The file of a job's log.
pub fn log_path(directory: &Path, job: &str, log: &str) -> PathBuf {
    directory.join(format!("{job}.{log}.jsonl"))
}

/// The files of one job, owned by this process.
pub struct ResultFiles {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    job: String,
    lengths: Lengths,
    ledger_length: u64,
    /// Held as long as this process owns the job.
    _lock: Option<File>,
}

/// Takes the lock of a job, which the process holds until it ends.
///
/// # Errors
///
/// When another process has it, or the directory cannot be written.
pub fn lock(directory: &Path, job: &str) -> Result<File, Failure> {
    std::fs::create_dir_all(directory)
        .attempt(|| format!("cannot write results to {}", directory.display()))
        .map_err(Failure::as_refused)?;
    // A directory that was made is certain only once its parent is synced.
    let parent = directory.parent().filter(|parent| !parent.as_os_str().is_empty());
    LocalDisk
        .sync_entries(parent.unwrap_or(Path::new(".")))
        .attempt(|| format!("cannot sync the parent of {}", directory.display()))?;
    let path = directory.join(format!("{job}.lock"));
    let file = File::create(&path)
        .attempt(|| format!("cannot write results to {}", directory.display()))
        .map_err(Failure::as_refused)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Failure::of(
            Kind::Owned,
            format!("another instance runs job {job} in {}", directory.display()),
        )),
        Err(TryLockError::Error(error)) => {
            Err(error).attempt(|| format!("cannot lock {}", path.display()))
        }
    }
}

impl ResultFiles {
    /// Opens the results of a job whose ledger is `ledger_length` long and whose last commit states
    /// `lengths`; what lies beyond is cut off.
    ///
    /// # Errors
    ///
    /// When a file is shorter than committed, or cannot be written.
    pub fn open(
        disk: Arc<dyn Disk>,
        directory: &Path,
        job: &str,
        lengths: Lengths,
        ledger_length: u64,
        lock: Option<File>,
    ) -> Result<ResultFiles, Failure> {
        let files = ResultFiles {
            disk,
            directory: directory.to_path_buf(),
            job: job.to_owned(),
            lengths,
            ledger_length,
            _lock: lock,
        };
        for (log, length) in LOGS.into_iter().zip(files.by_log()) {
            files.cut(log, length)?;
        }
        files.cut("ledger", ledger_length)?;
        let entries = files.disk.sync_entries(directory);
        entries.attempt(|| format!("cannot sync {}", directory.display()))?;
        Ok(files)
    }

    /// Writes the line that opens the job.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be written.
    pub fn begin(&mut self, line: &str) -> Result<(), Failure> {
        self.append("ledger", format!("{line}\n").as_bytes())?;
        self.ledger_length = line.len() as u64 + 1;
        Ok(())
    }

    fn by_log(&self) -> [u64; 3] {
        [self.lengths.counts, self.lengths.ranks, self.lengths.rejects]
    }

    fn cut(&self, log: &str, length: u64) -> Result<(), Failure> {
        let path = log_path(&self.directory, &self.job, log);
        let attempt = || format!("cannot cut {} off at {length} bytes", path.display());
        match self.disk.length(&path).attempt(attempt)? {
            Some(found) if found < length => Err(Failure::new(format!(
                "{} has {found} bytes, but its ledger commits {length}: restore the file",
                path.display()
            ))),
            None if length > 0 => Err(Failure::new(format!(
                "{} is missing, but its ledger commits {length} bytes: restore the file",
                path.display()
            ))),
            None => self.disk.append(&path, b"").attempt(attempt),
            Some(_) => {
                self.disk.cut(&path, length).attempt(attempt)?;
                self.disk.sync(&path).attempt(attempt)
            }
        }
    }

    /// Appends to a log and syncs it.
    fn append(&self, log: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path = log_path(&self.directory, &self.job, log);
        let attempt = || format!("cannot append to {}", path.display());
        self.disk.append(&path, bytes).attempt(attempt)?;
        self.disk.sync(&path).attempt(attempt)
    }
}

impl Sink for ResultFiles {
    fn lengths(&self) -> Option<Lengths> {
        Some(self.lengths)
    }

    fn commit(&mut self, rows: &Rows, line: &str) -> Result<(), Failure> {
        for (log, lines) in LOGS.into_iter().zip(rows.logs()) {
            if !lines.bytes.is_empty() {
                self.append(log, &lines.bytes)?;
            }
        }
        self.append("ledger", format!("{line}\n").as_bytes())?;
        self.lengths.counts += rows.counts.bytes.len() as u64;
        self.lengths.ranks += rows.ranks.bytes.len() as u64;
        self.lengths.rejects += rows.rejects.bytes.len() as u64;
        self.ledger_length += line.len() as u64 + 1;
        Ok(())
    }
}
