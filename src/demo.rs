//! A demonstration: clicks are made, counted and shown in one process.
//!
//! ```text
//! generator ─▶ DIR/clicks/*.jsonl ─▶ job ─▶ DIR/results/*.jsonl ─▶ Committed ─▶ Screen
//! (a thread)                   (its own threads)                       (this thread)
//! ```
//!
//! A page shows the same in a browser, by a view of its own.
//!
//! What is shown is read from the result logs as any reader would, so it is what was committed.
//! The directory is a temporary one, and is removed however the demonstration ends.

mod committed;
mod page;
mod rate;
mod running;
mod screen;
mod table;

use std::io::{ErrorKind, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use clicks_dataflows::time::Millis;

use crate::config::Config;
use crate::failure::{Attempt, Failure};
use crate::generate::Truth;
use crate::summary::Summary;
use crate::temporary::TemporaryDirectory;
use crate::worker::{monotonic_ms, wall_ms};

use committed::Committed;
use rate::Rate;
use running::{PARTITIONS, Running, WORKERS};
use table::{View, grouped};

pub use screen::Screen;

/// How often the ledger is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What is shown, and for how long.
pub struct Showing {
    /// The job's configuration; its input is what the generator writes.
    pub config: Config,
    /// Records to generate in a second.
    pub rate: u64,
    /// For how long; none is until `stop`.
    pub seconds: Option<u64>,
    /// Where the page is served, if it is.
    pub listener: Option<TcpListener>,
    /// Ends it when it is set; it is set at the end in any case.
    pub stop: Arc<AtomicBool>,
}

/// Shows it on `out` until its end, and blocks so long.
///
/// An `out` that nobody reads any more ends it, too.
///
/// # Errors
///
/// When the generator or the job fails, the results cannot be read, or `out` cannot be written.
pub fn run(showing: &Showing, screen: Screen, out: &mut dyn Write) -> Result<(), Failure> {
    let directory = TemporaryDirectory::new("demo")?;
    let running = Running::start(showing, &directory)?;
    let mut look = Look {
        showing,
        directory: &directory,
        committed: Committed::new(directory.inner("results")?, &showing.config.job),
        rate: Rate::default(),
        began: monotonic_ms(),
        screen,
    };
    let watched = look.watch(&running, out);
    showing.stop.store(true, Ordering::Relaxed);
    let seconds = look.seconds(monotonic_ms());
    let (truth, summary) = running.end()?;
    watched?;
    look.take(monotonic_ms())?;
    // Who does not read any more does not miss the end.
    let _ = look.draw(out);
    directory.remove()?;
    let _ = writeln!(out, "{}", farewell(&truth, &summary, seconds));
    Ok(())
}

/// What was committed, and who is shown it.
struct Look<'a> {
    showing: &'a Showing,
    directory: &'a TemporaryDirectory,
    committed: Committed,
    rate: Rate,
    began: Millis,
    screen: Screen,
}

impl Look<'_> {
    /// Shows what is committed until something ends it.
    fn watch(&mut self, running: &Running, out: &mut dyn Write) -> Result<(), Failure> {
        loop {
            let now = monotonic_ms();
            let over = self.showing.seconds.is_some_and(|seconds| self.seconds(now) >= seconds);
            if over || self.showing.stop.load(Ordering::Relaxed) || running.has_ended() {
                return Ok(());
            }
            self.take(now)?;
            if self.screen.is_due(now) {
                match self.draw(out) {
                    Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
                    drawn => drawn.attempt(|| "cannot write to stdout".to_owned())?,
                }
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Takes what has been committed since the last look.
    fn take(&mut self, now: Millis) -> Result<(), Failure> {
        if self.committed.advance()? {
            self.rate.add(now, self.committed.totals.clicks);
        }
        Ok(())
    }

    fn draw(&mut self, out: &mut dyn Write) -> std::io::Result<()> {
        let now = monotonic_ms();
        let Showing { config, rate, seconds, .. } = self.showing;
        let mut windows = config.options.windows.iter().copied();
        let lists = [windows.next(), windows.next()].into_iter().flatten();
        let view = View {
            page: self.showing.listener.as_ref().and_then(|at| at.local_addr().ok()),
            title: format!(
                "clicks demo: {} records/s in {PARTITIONS} partitions, {WORKERS} workers",
                grouped(*rate)
            ),
            seconds: self.seconds(now),
            seconds_max: *seconds,
            clicks_per_second: self.rate.per_second(now),
            totals: self.committed.totals,
            commits: self.committed.commits,
            frontier: self.committed.epoch,
            wall_ms: wall_ms(),
            files: (
                self.directory.path().display().to_string(),
                self.directory.bytes(&["clicks", "results"]),
            ),
            lists: lists.map(|window| (window, self.committed.newest(window))).collect(),
        };
        self.screen.draw(&view, now, out)
    }

    fn seconds(&self, now: Millis) -> u64 {
        (now - self.began) / 1000
    }
}

/// What is said at the end; the records that are missing are newer than the last commit.
fn farewell(truth: &Truth, summary: &Summary, seconds: u64) -> String {
    let (counted, made) = (grouped(summary.totals.records), grouped(truth.records));
    format!(
        "stopped after {seconds} s: counted {counted} of {made} records; no files are left behind"
    )
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::cli::ConfigArgs;

    /// Somebody who reads until an ad is named, or an end of another kind.
    struct Reader {
        text: String,
        stop: Arc<AtomicBool>,
        end: Option<ErrorKind>,
    }

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.text += std::str::from_utf8(bytes).unwrap();
            self.stop.fetch_or(self.text.contains("most in 1 min: ad"), Ordering::Relaxed);
            self.end.map_or(Ok(bytes.len()), |end| Err(end.into()))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn shown(rate: u64, end: Option<ErrorKind>) -> (Result<(), String>, String) {
        let set = vec!["job.emit=changes".parse().unwrap(), "job.refresh=100ms".parse().unwrap()];
        let config = Config::load(&ConfigArgs { set, ..ConfigArgs::default() }, []).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let mut reader = Reader { text: String::new(), stop: Arc::clone(&stop), end };
        let showing = Showing { config, rate, seconds: None, listener: None, stop };
        let ended = run(&showing, Screen::plain(), &mut reader);
        (ended.map_err(|failure| failure.to_string()), reader.text)
    }

    #[test]
    fn clicks_are_shown_until_the_demonstration_is_stopped() {
        let (ended, text) = shown(1000, None);
        assert_eq!(ended, Ok(()));
        let last = text.lines().last().unwrap();
        assert!(last.starts_with("stopped after ") && !last.contains("counted 0 "), "{text}");
    }

    #[test]
    fn a_reader_that_leaves_ends_it_and_one_that_fails_is_a_failure() {
        assert_eq!(shown(1000, Some(ErrorKind::BrokenPipe)).0, Ok(()));
        let full = shown(1000, Some(ErrorKind::StorageFull)).0;
        assert_eq!(full, Err("cannot write to stdout".to_owned()));
    }

    #[test]
    fn a_generator_that_fails_ends_it() {
        assert_eq!(shown(0, None).0, Err("cannot generate clicks".to_owned()));
    }
}
