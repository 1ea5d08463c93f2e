//! Prints the rows that a job has committed, and those that it commits from here on.
//!
//! The ledger leads: a row is printed once the commit that it belongs to was read.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clicks_dataflows::ledger::Commit;
use clicks_dataflows::time::Epoch;

use crate::alias;
use crate::cli::{ResultLog, RowFormat, TailFrom};
use crate::failure::{Attempt, Failure};
use crate::jobs::{Found, find};
use crate::log;
use crate::logs::{Jobs, Logs, RowLog, Taken, check_whole};

pub mod table;

/// How long to wait before the ledger is looked at again.
const POLL_EVERY: Duration = Duration::from_millis(50);

/// After how many looks at the ledger an alias is looked at again: half a minute, as it may take a
/// tenth of a second in a cluster.
const POLLS_OF_ALIAS: u32 = 600;

/// What is printed, and for how long.
pub struct Tailing<'a> {
    /// Where the results are.
    pub results: &'a dyn Jobs,
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
    logs: Box<dyn Logs + 'a>,
    /// The log of rows; none if the ledger itself is printed.
    log: Option<RowLog>,
    /// Lines of the ledger that were read.
    lines: u64,
    /// Up to which rows were read.
    epoch: Epoch,
    closed: bool,
}

/// A line of the ledger.
struct Line {
    /// Without its LF.
    text: Vec<u8>,
    /// None of the line that opens the job, which the first one is if nothing was deleted.
    commit: Option<Commit>,
}

/// Prints to `out` until the job is closed, the flag is set, or nobody reads any more.
///
/// # Errors
///
/// When there is no such job, or its logs cannot be read.
pub fn tail(tailing: &Tailing<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let mut found = find(tailing.results, tailing.job)?;
    let logs = tailing.results.open(&found.job)?;
    let log = match tailing.log {
        ResultLog::Counts => Some(RowLog::Counts),
        ResultLog::Ranks => Some(RowLog::Ranks),
        ResultLog::Rejects => Some(RowLog::Rejects),
        ResultLog::Ledger => None,
    };
    let mut tail = Tail { of: tailing, logs, log, lines: 0, epoch: 0, closed: false };
    if tailing.from == TailFrom::End {
        tail.skip()?;
    }
    if tailing.format == RowFormat::Table
        && !written(writeln!(out, "{}", table::header(tailing.log)))?
    {
        return Ok(());
    }
    let mut polls: u32 = 0;
    loop {
        if !tail.print(out)? || tail.closed || !tailing.follow || tail.is_stopped() {
            return Ok(());
        }
        (tailing.sleep)(POLL_EVERY);
        polls += 1;
        if polls.is_multiple_of(POLLS_OF_ALIAS) {
            note_move(tailing.results, &mut found);
        }
    }
}

/// Says once that the alias by which a job was found stands for another one.
fn note_move(results: &dyn Jobs, found: &mut Found) {
    let Some(name) = &found.alias else { return };
    // What cannot be read is looked at again.
    let Ok(aliases) = results.aliases() else { return };
    let now = match alias::find(aliases, name) {
        Some(alias) if alias.job == found.job => return,
        Some(alias) => format!("is job {}", alias.job),
        None => "is an alias no more".to_owned(),
    };
    log::warn(&format!("{name} {now}: this goes on with job {}; start again to follow", found.job));
    found.alias = None;
}

impl Tail<'_> {
    fn is_stopped(&self) -> bool {
        self.of.stop.load(Ordering::Relaxed)
    }

    /// Passes over all that is committed.
    fn skip(&mut self) -> Result<(), Failure> {
        if let Some(log) = self.log {
            self.logs.begin_at_end(log)?;
        }
        let mut last = None;
        while let Some(Line { commit, .. }) = self.advance()? {
            last = commit.or(last);
        }
        let Some(last) = last else { return Ok(()) };
        self.epoch = last.epoch.0;
        self.log.map_or(Ok(()), |log| self.logs.skip(log, &last))
    }

    /// The next line of the ledger.
    fn advance(&mut self) -> Result<Option<Line>, Failure> {
        let Some(text) = self.logs.next_line()? else { return Ok(None) };
        self.lines += 1;
        let number = self.lines;
        if number == 1 {
            let commit = serde_json::from_slice(&text).ok();
            return Ok(Some(Line { text, commit }));
        }
        let commit: Commit = serde_json::from_slice(&text)
            .attempt(|| format!("line {number} of {} is no commit", self.logs.ledger_name()))?;
        self.closed = commit.closed;
        Ok(Some(Line { text, commit: Some(commit) }))
    }

    /// Prints what is committed and was not printed; whether somebody still reads.
    fn print(&mut self, out: &mut dyn Write) -> Result<bool, Failure> {
        while !self.is_stopped()
            && let Some(Line { mut text, commit }) = self.advance()?
        {
            let read = match (self.log, commit) {
                (Some(log), Some(commit)) => self.print_rows(log, &commit, out)?,
                (Some(_), None) => true,
                (None, _) => {
                    text.push(b'\n');
                    print_row(self.of, &text, out)?
                }
            };
            if !read {
                return Ok(false);
            }
        }
        written(out.flush())
    }

    fn print_rows(
        &mut self,
        log: RowLog,
        commit: &Commit,
        out: &mut dyn Write,
    ) -> Result<bool, Failure> {
        let after = std::mem::replace(&mut self.epoch, commit.epoch.0);
        let mut taken = Taken { rows: 0, is_torn: false, after };
        let of = self.of;
        for row in self.logs.rows(log, commit)? {
            let line = row?.line;
            taken.is_torn = !line.ends_with(b"\n");
            if taken.is_torn || of.stop.load(Ordering::Relaxed) {
                break;
            }
            taken.rows += 1;
            if !print_row(of, &line, out)? {
                return Ok(false);
            }
        }
        if !self.is_stopped() {
            check_whole(&mut *self.logs, log, commit, &taken)?;
        }
        Ok(true)
    }
}

/// Prints a row, which ends with LF; whether somebody still reads.
fn print_row(of: &Tailing<'_>, line: &[u8], out: &mut dyn Write) -> Result<bool, Failure> {
    match of.format {
        RowFormat::Json => written(out.write_all(line)),
        RowFormat::Table => {
            let row = table::row(of.log, line);
            let row = row.attempt(|| "cannot show a row as a table".to_owned())?;
            written(out.write_all(row.as_bytes()))
        }
    }
}

/// Whether something was written; if nobody reads it any more, that is no failure.
///
/// # Errors
///
/// When it cannot be written.
pub fn written(result: io::Result<()>) -> Result<bool, Failure> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        result => result.attempt(|| "cannot write to stdout".to_owned()).map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::fs;
    use std::path::Path;

    use clicks_dataflows::time::Time;

    use super::*;
    use crate::alias::Alias;
    use crate::files::disk::{Disk, LocalDisk};
    use crate::files::logs::JobFiles;
    use crate::files::results::log_path;

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
            results: &JobFiles::new(&LocalDisk, results),
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
                results: &JobFiles::new(&LocalDisk, directory.path()),
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
            results: &JobFiles::new(&LocalDisk, directory.path()),
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

    #[test]
    fn an_alias_that_moves_is_noted_once() {
        let directory = tempfile::tempdir().unwrap();
        let files = JobFiles::new(&LocalDisk, directory.path());
        let keep = |job: &str| {
            let (alias, job) = ("live".to_owned(), job.to_owned());
            files.keep_alias(&Alias { alias, job, since: Time(0), before: None }).unwrap();
        };
        keep("ads");
        let mut found = Found { job: "ads".to_owned(), alias: Some("live".to_owned()) };
        note_move(&files, &mut found);
        assert!(found.alias.is_some());
        keep("ads-2");
        note_move(&files, &mut found);
        assert_eq!(found, Found { job: "ads".to_owned(), alias: None });
    }
}
