//! A directory of results: one file for each log of a job, and its ledger.
//!
//! ```text
//! commit:  rows ─▶ JOB.counts.jsonl, ranks, rejects ─▶ sync ─▶ JOB.ledger.jsonl ─▶ sync
//! ```
//!
//! The ledger's line states how long each file is with this commit. A reader reads no further, and
//! a restart cuts off what lies beyond, so a commit is there once its line is, and not before. All
//! of it is written on a thread of its own, which owns the files, and the lock, until it is done.

use std::fs::{File, TryLockError};
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clicks_dataflows::ledger::{Commit, Lengths};

use crate::failure::{Attempt, Failure, Kind};
use crate::files::aliases::AliasFiles;
use crate::files::disk::{Disk, LocalDisk};
use crate::past::Past;
use crate::sink::thread::{CommitThread, Sealed};
use crate::sink::{Ledger, Results, Rows, Sink};

/// The result logs of a job.
pub const LOGS: [&str; 3] = ["counts", "ranks", "rejects"];

/// The file of a job's log.
pub fn log_path(directory: &Path, job: &str, log: &str) -> PathBuf {
    directory.join(format!("{job}.{log}.jsonl"))
}

/// A job's results in a directory.
pub struct ResultDirectory {
    /// The file system.
    pub disk: Arc<dyn Disk>,
    /// The directory.
    pub directory: PathBuf,
    /// The job.
    pub job: String,
    /// Whether it is locked against other instances.
    pub lock: bool,
}

impl ResultDirectory {
    /// The results of `job` in `directory`.
    pub fn new(directory: PathBuf, job: &str) -> ResultDirectory {
        ResultDirectory { disk: Arc::new(LocalDisk), directory, job: job.to_owned(), lock: true }
    }
}

impl Results for ResultDirectory {
    fn place(&self) -> String {
        self.directory.display().to_string()
    }

    fn ledger_name(&self) -> String {
        log_path(&self.directory, &self.job, "ledger").display().to_string()
    }

    fn open_ledger(&self) -> Result<Box<dyn Ledger + '_>, Failure> {
        let mut ledger = LedgerFile { results: self, lines: None, length: 0 };
        ledger.go_on()?;
        Ok(Box::new(ledger))
    }

    fn check_name(&self) -> Result<(), Failure> {
        let aliases = AliasFiles { disk: &*self.disk, directory: &self.directory };
        let alias = aliases.find(&self.job)?;
        alias.map_or(Ok(()), |alias| Err(alias.refuse_job(&self.place())))
    }

    fn take_over(&self) -> Result<Box<dyn Sink>, Failure> {
        let lock = self.lock.then(|| lock(&self.directory, &self.job)).transpose()?;
        Ok(Box::new(FileSink {
            lengths: Lengths::default(),
            files: Some(ResultFiles {
                disk: Arc::clone(&self.disk),
                directory: self.directory.clone(),
                job: self.job.clone(),
                _lock: lock,
            }),
            commits: None,
        }))
    }
}

/// The whole lines of a ledger.
struct LedgerFile<'a> {
    results: &'a ResultDirectory,
    /// Those that were not read, as far as they were there.
    lines: Option<Box<dyn BufRead + 'a>>,
    /// Bytes of those that were.
    length: u64,
}

impl LedgerFile<'_> {
    fn attempt(&self) -> String {
        format!("cannot read {}", self.results.ledger_name())
    }
}

impl Iterator for LedgerFile<'_> {
    type Item = Result<String, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        match whole_line(self.lines.as_mut()?).attempt(|| self.attempt()) {
            Ok(Some(line)) => {
                self.length += line.len() as u64 + 1;
                Some(Ok(line))
            }
            end => {
                self.lines = None;
                end.transpose()
            }
        }
    }
}

impl Ledger for LedgerFile<'_> {
    fn go_on(&mut self) -> Result<(), Failure> {
        let ResultDirectory { disk, directory, job, .. } = self.results;
        let path = log_path(directory, job, "ledger");
        let is_there = disk.length(&path).attempt(|| self.attempt())?.is_some();
        let lines = is_there.then(|| disk.read(&path, self.length)).transpose();
        self.lines = lines.attempt(|| self.attempt())?;
        Ok(())
    }
}

/// The next line without its LF; none if there is none, or it is torn.
pub fn whole_line(lines: &mut dyn BufRead) -> std::io::Result<Option<String>> {
    let mut line = String::new();
    lines.read_line(&mut line)?;
    Ok(line.strip_suffix('\n').map(str::to_owned))
}

/// The result files of a job that this process owns.
struct FileSink {
    /// Of the files with the last commit.
    lengths: Lengths,
    /// Until it is known what the ledger holds.
    files: Option<ResultFiles>,
    /// From then on.
    commits: Option<CommitThread>,
}

impl FileSink {
    /// Cuts off what lies beyond these lengths, and lets the thread begin.
    fn start(
        &mut self,
        last: &str,
        lengths: Lengths,
        ledger_length: u64,
    ) -> Result<&mut CommitThread, Failure> {
        let files = self.files.take().expect("a sink begins or resumes once");
        files.cut_all(lengths, ledger_length)?;
        self.lengths = lengths;
        let commits = CommitThread::start(last, move |sealed: &Sealed| files.write(sealed))?;
        Ok(self.commits.insert(commits))
    }

    fn commits(&mut self) -> &mut CommitThread {
        self.commits.as_mut().expect("a sink begins or resumes before it commits")
    }
}

impl Sink for FileSink {
    fn begin(&mut self, line: &str) -> Result<(), Failure> {
        let commits = self.start("", Lengths::default(), 0)?;
        commits.open(line)?;
        commits.finish()
    }

    fn resume(&mut self, past: &Past) -> Result<(), Failure> {
        self.start(past.last_line_hash(), past.lengths(), past.length()).map(|_| ())
    }

    fn lengths(&self) -> Option<Lengths> {
        Some(self.lengths)
    }

    fn is_ready(&mut self) -> Result<bool, Failure> {
        self.commits().is_ready()
    }

    fn commit(&mut self, rows: Rows, commit: Commit) -> Result<Rows, Failure> {
        self.finish()?;
        self.lengths = commit.lengths.unwrap_or(self.lengths);
        self.commits().commit(rows, commit)
    }

    fn finish(&mut self) -> Result<(), Failure> {
        self.commits().finish()
    }
}

impl Drop for FileSink {
    /// Nothing is written any more once the sink has gone.
    fn drop(&mut self) {
        if let Some(commits) = self.commits.take() {
            commits.join();
        }
    }
}

/// The files of one job.
struct ResultFiles {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    job: String,
    /// Held as long as this process owns the job.
    _lock: Option<File>,
}

impl ResultFiles {
    /// Cuts off what lies beyond these lengths.
    fn cut_all(&self, lengths: Lengths, ledger_length: u64) -> Result<(), Failure> {
        let Lengths { counts, ranks, rejects } = lengths;
        for (log, length) in LOGS.into_iter().zip([counts, ranks, rejects]) {
            self.cut(log, length)?;
        }
        self.cut("ledger", ledger_length)?;
        let entries = self.disk.sync_entries(&self.directory);
        entries.attempt(|| format!("cannot sync {}", self.directory.display()))
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

    /// Writes a commit: its rows, and once they are certain, the ledger's line.
    fn write(&self, sealed: &Sealed) -> Result<(), Failure> {
        for (log, lines) in LOGS.into_iter().zip(sealed.rows.logs()) {
            if !lines.bytes.is_empty() {
                self.append(log, &lines.bytes)?;
            }
        }
        self.append("ledger", format!("{}\n", sealed.line()).as_bytes())
    }
}

/// Takes the lock of a job, which the process holds until it ends.
///
/// # Errors
///
/// When another process has it, or the directory cannot be written.
fn lock(directory: &Path, job: &str) -> Result<File, Failure> {
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
