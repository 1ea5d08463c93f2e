//! Prints the rows that a job has committed, and those that it commits from here on.
//!
//! A ledger line states how long each result log is with its commit. Nothing beyond that is read,
//! so what is printed stays, whatever becomes of the job.

use std::io::{self, BufRead, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clicks_dataflows::ledger::{Commit, Lengths};

use crate::cli::{ResultLog, RowFormat, TailFrom};
use crate::failure::{Attempt, Failure};
use crate::files::disk::Disk;
use crate::files::results::{log_path, whole_line};
use crate::jobs::find_job;

mod table;

/// How long to wait before the ledger is looked at again.
const POLL_EVERY: Duration = Duration::from_millis(50);

/// What is printed, and for how long.
pub struct Tailing<'a> {
    /// The file system of the results.
    pub disk: &'a dyn Disk,
    /// The directory of the results.
    pub results: &'a Path,
    /// The job, where there are several.
    pub job: Option<&'a str>,
    /// Which of its logs.
    pub log: ResultLog,
    /// Where to begin.
    pub from: TailFrom,
    /// How rows are printed.
    pub format: RowFormat,
    /// Whether to wait for further commits, until the job is closed.
    pub follow: bool,
    /// Set when the program is to stop.
    pub stop: &'a AtomicBool,
    /// Waits so long.
    pub sleep: &'a dyn Fn(Duration),
}

/// A log that is being printed.
struct Tail<'a> {
    of: &'a Tailing<'a>,
    job: String,
    /// Whole lines of the ledger that were read, and their bytes.
    lines: u64,
    ledger_at: u64,
    closed: bool,
    /// Up to where the log is committed.
    committed: u64,
    /// Up to where it was printed.
    printed: u64,
}

/// Prints to `out` until the job is closed, the flag is set, or nobody reads any more.
///
/// # Errors
///
/// When there is no such job, or its logs cannot be read.
pub fn tail(tailing: &Tailing<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let job = find_job(tailing.results, tailing.job)?;
    let mut tail =
        Tail { of: tailing, job, lines: 0, ledger_at: 0, closed: false, committed: 0, printed: 0 };
    tail.advance()?;
    if tailing.from == TailFrom::End {
        tail.printed = tail.committed;
    }
    if tailing.format == RowFormat::Table
        && !written(writeln!(out, "{}", table::header(tailing.log)))?
    {
        return Ok(());
    }
    loop {
        if !tail.print(out)? || tail.closed || !tailing.follow || tail.is_stopped() {
            return Ok(());
        }
        (tailing.sleep)(POLL_EVERY);
        tail.advance()?;
    }
}

impl Tail<'_> {
    fn is_stopped(&self) -> bool {
        self.of.stop.load(Ordering::Relaxed)
    }

    /// Reads what is new in the ledger.
    fn advance(&mut self) -> Result<(), Failure> {
        let path = log_path(self.of.results, &self.job, "ledger");
        let attempt = || format!("cannot read {}", path.display());
        let mut ledger = self.of.disk.read(&path, self.ledger_at).attempt(attempt)?;
        while let Some(line) = whole_line(&mut *ledger).attempt(attempt)? {
            self.lines += 1;
            self.ledger_at += line.len() as u64 + 1;
            // The first line opens the job, and commits nothing.
            if self.lines > 1 {
                let number = self.lines;
                let commit: Commit = serde_json::from_str(&line)
                    .attempt(|| format!("line {number} of {} is no commit", path.display()))?;
                self.closed = commit.closed;
                self.commit(commit.lengths.unwrap_or_default());
            }
        }
        if self.of.log == ResultLog::Ledger {
            self.committed = self.ledger_at;
        }
        Ok(())
    }

    fn commit(&mut self, lengths: Lengths) {
        self.committed = match self.of.log {
            ResultLog::Counts => lengths.counts,
            ResultLog::Ranks => lengths.ranks,
            ResultLog::Rejects => lengths.rejects,
            ResultLog::Ledger => return,
        };
    }

    /// Prints what is committed and was not printed; whether somebody still reads.
    fn print(&mut self, out: &mut dyn Write) -> Result<bool, Failure> {
        let path = log_path(self.of.results, &self.job, name(self.of.log));
        let attempt = || format!("cannot read {}", path.display());
        if self.printed >= self.committed {
            return Ok(true);
        }
        let log = self.of.disk.read(&path, self.printed).attempt(attempt)?;
        let mut log = log.take(self.committed - self.printed);
        let mut line = Vec::new();
        while self.printed < self.committed && !self.is_stopped() {
            line.clear();
            log.read_until(b'\n', &mut line).attempt(attempt)?;
            if !line.ends_with(b"\n") {
                let (path, committed) = (path.display(), self.committed);
                return Err(Failure::new(format!(
                    "{path} has no row that ends at {committed}, up to where its ledger commits: \
                     `clicks verify` tells more",
                )));
            }
            self.printed += line.len() as u64;
            let text = match self.of.format {
                RowFormat::Json => None,
                RowFormat::Table => {
                    let row = table::row(self.of.log, &line);
                    Some(row.attempt(|| format!("cannot read a row of {}", path.display()))?)
                }
            };
            if !written(out.write_all(text.as_ref().map_or(&line, |text| text.as_bytes())))? {
                return Ok(false);
            }
        }
        written(out.flush())
    }
}

fn name(log: ResultLog) -> &'static str {
    match log {
        ResultLog::Counts => "counts",
        ResultLog::Ranks => "ranks",
        ResultLog::Rejects => "rejects",
        ResultLog::Ledger => "ledger",
    }
}

/// Whether something was written; if nobody reads it any more, that is no failure.
fn written(result: io::Result<()>) -> Result<bool, Failure> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        result => result.attempt(|| "cannot write to stdout".to_owned()).map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::fs;

    use super::*;
    use crate::files::disk::LocalDisk;

    /// A ledger line that commits `counts` bytes.
    fn commit(number: u64, counts: usize, closed: bool) -> String {
        format!(
            concat!(
                r#"{{"job":"ads","commit":{},"epoch":"2026-01-01T00:01:15Z","positions":[],"#,
                r#""marks":[],"records":9,"clicks":9,"duplicates":0,"rejected":0,"skipped":0,"#,
                r#""late":0,"counts":1,"ranks":0,"rejects":0,"lengths":{{"counts":{},"ranks":0,"#,
                r#""rejects":0}},"digest":"","previous":"","closed":{}}}"#,
                "\n"
            ),
            number, counts, closed
        )
    }

    const OPENING: &str = concat!(
        r#"{"job":"ads","commit":0,"version":"1","started":"2026-01-01T00:00:00Z","#,
        r#""positions":[],"meaning":{}}"#,
        "\n"
    );

    fn append(results: &Path, log: &str, text: &str) {
        LocalDisk.append(&log_path(results, "ads", log), text.as_bytes()).unwrap();
    }

    /// What is printed of counts, where each sleep does the next of `steps`.
    fn tailed(results: &Path, from: TailFrom, follow: bool, steps: &[&dyn Fn()]) -> String {
        let step = Cell::new(0);
        let sleep = |_| {
            steps[step.get()]();
            step.set(step.get() + 1);
        };
        let tailing = Tailing {
            disk: &LocalDisk,
            results,
            job: None,
            log: ResultLog::Counts,
            from,
            format: RowFormat::Json,
            follow,
            stop: &AtomicBool::new(false),
            sleep: &sleep,
        };
        let mut out = Vec::new();
        tail(&tailing, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn only_committed_rows_are_printed_until_the_job_is_closed() {
        let directory = tempfile::tempdir().unwrap();
        let results = directory.path();
        append(results, "ledger", &format!("{OPENING}{}", commit(1, 2, false)));
        append(results, "counts", "1\n2\n3\n");
        assert_eq!(tailed(results, TailFrom::Start, false, &[]), "1\n");

        let second = commit(2, 4, false);
        let (torn, rest) = second.split_at(20);
        let steps: [&dyn Fn(); 3] =
            [&|| append(results, "ledger", torn), &|| append(results, "ledger", rest), &|| {
                append(results, "ledger", &commit(3, 6, true))
            }];
        assert_eq!(tailed(results, TailFrom::Start, true, &steps), "1\n2\n3\n");
        assert_eq!(tailed(results, TailFrom::Start, true, &[]), "1\n2\n3\n");
        assert_eq!(tailed(results, TailFrom::End, true, &[]), "");
    }

    #[test]
    fn from_the_end_only_further_commits_are_printed() {
        let directory = tempfile::tempdir().unwrap();
        let results = directory.path();
        append(results, "ledger", &format!("{OPENING}{}", commit(1, 2, false)));
        append(results, "counts", "1\n2\n");
        let close: &dyn Fn() = &|| append(results, "ledger", &commit(2, 4, true));
        assert_eq!(tailed(results, TailFrom::End, true, &[close]), "2\n");
    }

    #[test]
    fn a_closed_pipe_ends_it_quietly() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let directory = tempfile::tempdir().unwrap();
        append(directory.path(), "ledger", &format!("{OPENING}{}", commit(1, 0, false)));
        let slept = RefCell::new(0);
        for (log, format) in
            [(ResultLog::Ledger, RowFormat::Json), (ResultLog::Counts, RowFormat::Table)]
        {
            let tailing = Tailing {
                disk: &LocalDisk,
                results: directory.path(),
                job: Some("ads"),
                log,
                from: TailFrom::Start,
                format,
                follow: true,
                stop: &AtomicBool::new(false),
                sleep: &|_| *slept.borrow_mut() += 1,
            };
            tail(&tailing, &mut Closed).unwrap();
        }
        assert_eq!(*slept.borrow(), 0);
    }

    #[test]
    fn a_log_that_is_shorter_than_committed_is_a_failure() {
        let directory = tempfile::tempdir().unwrap();
        append(directory.path(), "ledger", &format!("{OPENING}{}", commit(1, 9, true)));
        fs::write(log_path(directory.path(), "ads", "counts"), "1\n").unwrap();
        let tailing = Tailing {
            disk: &LocalDisk,
            results: directory.path(),
            job: None,
            log: ResultLog::Counts,
            from: TailFrom::Start,
            format: RowFormat::Json,
            follow: true,
            stop: &AtomicBool::new(false),
            sleep: &|_| (),
        };
        let failure = tail(&tailing, &mut Vec::new()).unwrap_err();
        assert!(failure.to_string().contains("`clicks verify` tells more"), "{failure}");
    }
}
