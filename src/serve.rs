//! A view that follows the result logs of a job, and what is served of it.
//!
//! ```text
//! Logs ─▶ follow ─▶ Follower ─▶ View ◀─ server, on threads of its own
//! ```
//!
//! What the store holds already is passed over; that it is a view of this very ledger is checked by
//! the digests of its first line and of the last one whose rows are kept.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clicks_dataflows::filter::FilterId;
use clicks_dataflows::ledger::{Commit, Opening};
use clicks_dataflows::time::{Epoch, Millis};
use clicks_dataflows::told::{CountRow, RankRow, RejectRow};
use clicks_view::api::{Site, Token, router};
use clicks_view::view::Follower;
use clicks_view::{Rules, Serving, Store, Tls, View};
use serde::Deserialize;

use crate::commit::sha256_hex;
use crate::config::Config;
use crate::failure::{Attempt, Failure};
use crate::logs::{Logs, RowLog, Taken, check_whole};
use crate::worker::wall_ms;

/// How long to wait before the ledger is looked at again.
const POLL_EVERY: Duration = Duration::from_millis(20);

/// After how many looks at the ledger an alias is looked at again: two seconds, as it may take a
/// tenth of one in a cluster.
const POLLS_OF_ALIAS: u32 = 100;

/// A job that is followed.
pub struct Following<'a> {
    job: String,
    logs: Box<dyn Logs + 'a>,
    follower: Follower,
    /// What is served.
    pub view: Arc<View>,
    /// Up to which rows were taken.
    epoch: Epoch,
}

/// How a job is followed.
pub struct Keeping<'a> {
    /// Where the view is kept.
    pub store: Arc<Store>,
    /// How long minutes are kept after the newest.
    pub keep_ms: Option<Millis>,
    /// What people call the filters.
    pub names: BTreeMap<FilterId, String>,
    /// Set when the program is to stop.
    pub stop: &'a AtomicBool,
}

impl<'a> Following<'a> {
    /// Begins a view of `job`, whose logs are `logs`, or goes on with one; none if it is stopped
    /// before the job has a ledger.
    ///
    /// # Errors
    ///
    /// When the logs cannot be read, or the store is not one of theirs.
    pub fn begin(
        job: &str,
        mut logs: Box<dyn Logs + 'a>,
        keeping: &Keeping<'_>,
    ) -> Result<Option<Following<'a>>, Failure> {
        let Some(line) = next(&mut *logs, keeping.stop)? else { return Ok(None) };
        let ledger = logs.ledger_name();
        let opening: Opening = serde_json::from_slice(&line)
            .attempt(|| format!("{ledger} does not begin with the line that opens a job"))?;
        let config = Config::from_meaning(&opening.meaning, Path::new(&ledger))
            .attempt(|| format!("{ledger}: its meaning cannot be"))?;
        let rules = Rules {
            job: job.to_owned(),
            opening: sha256_hex(&[&line]),
            options: config.options,
            meaning: opening.meaning,
            names: keeping.names.clone(),
        };
        let view = Arc::new(View::new(Arc::clone(&keeping.store), rules, wall_ms));
        let follower = Follower::new(Arc::clone(&view), keeping.keep_ms).map_err(of_store)?;
        let job = job.to_owned();
        let mut following = Following { job, logs, follower, view, epoch: 0 };
        following.pass(keeping.stop)?;
        Ok(Some(following))
    }

    /// Passes over what is kept.
    fn pass(&mut self, stop: &AtomicBool) -> Result<(), Failure> {
        let Some(standing) = self.follower.standing().map_err(of_store)? else { return Ok(()) };
        loop {
            let Some(line) = self.logs.next_line()? else {
                if stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
                return Err(self.other_ledger(standing.commit));
            };
            let commit = self.commit(&line)?;
            let number = commit.commit;
            if number == standing.commit && sha256_hex(&[&line]) != standing.line {
                return Err(self.other_ledger(number));
            }
            if number == standing.commit {
                for log in RowLog::ALL {
                    self.logs.skip(log, &commit)?;
                }
                self.epoch = commit.epoch.0;
            }
            self.follower.pass(commit);
            if number == standing.commit {
                self.follower.show();
                return Ok(());
            }
        }
    }

    /// Takes what is committed, until `stop` is set, or another job is to be followed: the one that
    /// `moved` names.
    ///
    /// # Errors
    ///
    /// When the logs cannot be read, or the store fails.
    pub fn follow(
        &mut self,
        stop: &AtomicBool,
        moved: &dyn Fn() -> Option<String>,
    ) -> Result<Option<String>, Failure> {
        let mut polls: u32 = 0;
        while !stop.load(Ordering::Relaxed) {
            self.catch_up(stop)?;
            std::thread::sleep(POLL_EVERY);
            polls = polls.wrapping_add(1);
            if polls.is_multiple_of(POLLS_OF_ALIAS)
                && let Some(job) = moved()
            {
                return Ok(Some(job));
            }
        }
        Ok(None)
    }

    /// Takes what is committed for now.
    ///
    /// # Errors
    ///
    /// When the logs cannot be read, or the store fails.
    pub fn catch_up(&mut self, stop: &AtomicBool) -> Result<(), Failure> {
        while let Some(line) = self.logs.next_line()? {
            self.take(&line, stop)?;
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
        }
        self.view.set_current();
        Ok(())
    }

    /// Takes a commit with its rows.
    fn take(&mut self, line: &[u8], stop: &AtomicBool) -> Result<(), Failure> {
        let commit = self.commit(line)?;
        for log in RowLog::ALL {
            if !self.take_rows(log, &commit, stop)? {
                return Ok(());
            }
        }
        self.epoch = commit.epoch.0;
        self.follower.commit(commit, sha256_hex(&[line])).map_err(of_store)
    }

    /// Takes the rows of a commit; whether it was not stopped.
    fn take_rows(
        &mut self,
        log: RowLog,
        commit: &Commit,
        stop: &AtomicBool,
    ) -> Result<bool, Failure> {
        let name = self.logs.name(log);
        let mut taken = Taken { rows: 0, is_torn: false, after: self.epoch };
        for row in self.logs.rows(log, commit)? {
            if stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
            let line = row?.line;
            let Some(line) = line.strip_suffix(b"\n") else {
                taken.is_torn = true;
                break;
            };
            taken.rows += 1;
            let what = || format!("row {} of commit {} in {name}", taken.rows, commit.commit);
            let follower = &mut self.follower;
            match log {
                RowLog::Counts => follower.count(read::<CountRow>(line, &what)?),
                RowLog::Ranks => follower.list(read::<RankRow>(line, &what)?),
                RowLog::Rejects => follower.reject(&read::<RejectRow<'_>>(line, &what)?, line),
            }
            .map_err(of_store)?;
        }
        if stop.load(Ordering::Relaxed) {
            return Ok(false);
        }
        check_whole(&mut *self.logs, log, commit, &taken).map(|()| true)
    }

    fn commit(&self, line: &[u8]) -> Result<Commit, Failure> {
        let commit = serde_json::from_slice(line);
        commit.attempt(|| format!("a line of {} is no commit", self.logs.ledger_name()))
    }

    fn other_ledger(&self, commit: u64) -> Failure {
        Failure::refused(format!(
            "the store in {} holds commit {commit} of job {}, and {} has another one or none: the \
             job was made again; remove the store, and it is built anew",
            self.view.store.place().display(),
            self.job,
            self.logs.ledger_name(),
        ))
    }
}

/// The store in `place`.
///
/// # Errors
///
/// When it cannot be had.
pub fn open_store(place: &Path) -> Result<Arc<Store>, Failure> {
    Store::open(place).map(Arc::new).map_err(of_store)
}

/// A server of `site`.
///
/// # Errors
///
/// When there are no threads to be had.
pub fn serve(
    listener: TcpListener,
    site: &Site,
    (token, tls): (Option<Token>, Option<Tls>),
) -> Result<Serving, Failure> {
    let serving = clicks_view::serve(listener, router(site.clone(), token), tls);
    serving.attempt(|| "cannot start to serve".to_owned())
}

/// A socket that listens at `address`.
///
/// # Errors
///
/// When it cannot be had.
pub fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).attempt(|| format!("cannot listen at {address}"))
}

/// The first line of a ledger; none if it is stopped before.
fn next(logs: &mut dyn Logs, stop: &AtomicBool) -> Result<Option<Vec<u8>>, Failure> {
    while !stop.load(Ordering::Relaxed) {
        if let Some(line) = logs.next_line()? {
            return Ok(Some(line));
        }
        std::thread::sleep(POLL_EVERY);
    }
    Ok(None)
}

fn read<'a, T: Deserialize<'a>>(line: &'a [u8], what: &dyn Fn() -> String) -> Result<T, Failure> {
    serde_json::from_slice(line).attempt(|| format!("cannot read {}", what()))
}

fn of_store(error: clicks_view::StoreError) -> Failure {
    let is_refused = matches!(error, clicks_view::StoreError::Wrong(_));
    let failure = Err::<(), _>(error).attempt(|| "cannot keep a view".to_owned());
    let failure = failure.expect_err("it is an error");
    if is_refused { failure.as_refused() } else { failure }
}
