//! Commits made on a thread of their own, one after the other, while the graph goes on.
//!
//! ```text
//! graph ── rows, commit ──▶ seal: digest, ledger line ──▶ make ──▶ result
//! ```
//!
//! Each line of a ledger holds the hash of the one before, so lines are sealed where they are
//! written: in their order, and beside the graph. Rows come back emptied: memory that is new costs
//! more than what is written to it.

use std::cell::OnceCell;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use clicks_dataflows::ledger::{Commit, Position};

use crate::commit::{digest, sha256_hex};
use crate::failure::{Attempt, Failure};
use crate::sink::Rows;

/// A commit as it is written.
pub struct Sealed {
    /// Its rows.
    pub rows: Rows,
    /// The positions that it names.
    pub positions: Vec<Position>,
    line: OnceCell<String>,
    /// What the line says, but for its digest.
    commit: Option<Box<Commit>>,
}

impl Sealed {
    /// A line that opens a job.
    pub fn opening(line: String) -> Sealed {
        let rows = Rows::default();
        Sealed { rows, positions: Vec::new(), line: OnceCell::from(line), commit: None }
    }

    fn commit(rows: Rows, mut commit: Box<Commit>, last: String) -> Sealed {
        commit.previous = last;
        let positions = commit.positions.clone();
        Sealed { rows, positions, line: OnceCell::new(), commit: Some(commit) }
    }

    /// The ledger's line. The rows are digested when it is first asked for: by then they can be on
    /// their way.
    pub fn line(&self) -> &str {
        self.line.get_or_init(|| {
            let mut commit = self.commit.clone().expect("what is no opening is a commit");
            commit.digest = digest(&self.rows);
            serde_json::to_string(&commit).expect("a commit is JSON")
        })
    }
}

/// What the ledger is to get next.
enum Task {
    Opening(String),
    Commit(Rows, Box<Commit>),
}

/// After how long without a commit it is made sure that there can be one.
const AFFIRM_AFTER: Duration = Duration::from_secs(3);

/// What makes commits.
pub trait Maker {
    /// Makes a commit, all or nothing.
    ///
    /// # Errors
    ///
    /// When it is not certain that it is made.
    fn make(&mut self, sealed: &Sealed) -> Result<(), Failure>;

    /// Makes sure that the next commit could be made, while there is none to make.
    ///
    /// # Errors
    ///
    /// When another instance owns the job.
    fn affirm(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

impl<F: FnMut(&Sealed) -> Result<(), Failure>> Maker for F {
    fn make(&mut self, sealed: &Sealed) -> Result<(), Failure> {
        self(sealed)
    }
}

/// A thread that makes commits.
pub struct CommitThread {
    to: Sender<Task>,
    from: Receiver<Result<Rows, Failure>>,
    /// Whether a commit is being made.
    busy: bool,
    /// The emptied rows of a commit that is made.
    spare: Rows,
    thread: JoinHandle<()>,
}

impl CommitThread {
    /// Starts a thread that lets `maker` make commits, until one fails. `last` is the hash of the
    /// ledger's last line, empty before the first.
    ///
    /// # Errors
    ///
    /// When the system has no thread.
    pub fn start(last: &str, maker: impl Maker + Send + 'static) -> Result<CommitThread, Failure> {
        let (to, tasks) = channel::<Task>();
        let (result, from) = channel();
        let last = last.to_owned();
        let work = move || Work { tasks, result, maker, last }.run();
        let thread = std::thread::Builder::new().name("commits".to_owned()).spawn(work);
        let thread = thread.attempt(|| "cannot start a thread for commits".to_owned())?;
        Ok(CommitThread { to, from, busy: false, spare: Rows::default(), thread })
    }

    /// Begins to write the line that opens the job.
    ///
    /// # Errors
    ///
    /// When the thread has ended.
    pub fn open(&mut self, line: &str) -> Result<(), Failure> {
        self.send(Task::Opening(line.to_owned()))
    }

    /// Begins to make `commit`; gives room for the rows of the next.
    ///
    /// # Errors
    ///
    /// When the thread has ended.
    ///
    /// # Panics
    ///
    /// When the commit before is not made yet.
    pub fn commit(&mut self, rows: Rows, commit: Commit) -> Result<Rows, Failure> {
        self.send(Task::Commit(rows, Box::new(commit)))?;
        Ok(std::mem::take(&mut self.spare))
    }

    fn send(&mut self, task: Task) -> Result<(), Failure> {
        assert!(!self.busy, "a commit begins when the one before is made");
        self.to.send(task).map_err(|_| self.why_it_ended())?;
        self.busy = true;
        Ok(())
    }

    fn why_it_ended(&self) -> Failure {
        let told = self.from.try_recv().ok().and_then(Result::err);
        told.unwrap_or_else(|| Failure::new(DIED))
    }

    /// Whether the last commit is made; without waiting.
    ///
    /// # Errors
    ///
    /// Why it could not be made.
    pub fn is_ready(&mut self) -> Result<bool, Failure> {
        match self.from.try_recv() {
            Ok(result) => self.made(result),
            Err(TryRecvError::Empty) => Ok(!self.busy),
            Err(TryRecvError::Disconnected) => Err(Failure::new(DIED)),
        }
    }

    /// Waits until the last commit is made, but not longer than `within`; tells whether it is.
    ///
    /// # Errors
    ///
    /// Why it could not be made.
    pub fn finish_within(&mut self, within: Duration) -> Result<bool, Failure> {
        if !self.busy {
            return Ok(true);
        }
        match self.from.recv_timeout(within) {
            Ok(result) => self.made(result),
            Err(RecvTimeoutError::Timeout) => Ok(false),
            Err(RecvTimeoutError::Disconnected) => Err(Failure::new(DIED)),
        }
    }

    /// Waits until the last commit is made, as long as it takes.
    ///
    /// # Errors
    ///
    /// Why it could not be made.
    pub fn finish(&mut self) -> Result<(), Failure> {
        if !self.busy {
            return Ok(());
        }
        let result = self.from.recv().map_err(|_| Failure::new(DIED))?;
        self.made(result).map(|_| ())
    }

    fn made(&mut self, result: Result<Rows, Failure>) -> Result<bool, Failure> {
        self.busy = false;
        self.spare = result?;
        Ok(true)
    }

    /// Waits until the thread has done what it was given, and let go of what it owns.
    pub fn join(self) {
        let CommitThread { to, thread, .. } = self;
        drop(to);
        // If it has panicked, it has said so.
        let _ = thread.join();
    }
}

/// What the thread works on.
struct Work<M> {
    tasks: Receiver<Task>,
    result: Sender<Result<Rows, Failure>>,
    maker: M,
    /// The hash of the ledger's last line.
    last: String,
}

impl<M: Maker> Work<M> {
    /// Does what it is given, until something fails or nobody is there to give it anything.
    fn run(mut self) {
        loop {
            let made = match self.tasks.recv_timeout(AFFIRM_AFTER) {
                Ok(task) => self.make(task).map(Some),
                Err(RecvTimeoutError::Timeout) => self.maker.affirm().map(|()| None),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let failed = made.is_err();
            if let Some(made) = made.transpose() {
                // Nobody waits for the result of a job that has ended.
                let _ = self.result.send(made);
            }
            if failed {
                return;
            }
        }
    }

    fn make(&mut self, task: Task) -> Result<Rows, Failure> {
        let sealed = match task {
            Task::Opening(line) => Sealed::opening(line),
            Task::Commit(rows, commit) => {
                Sealed::commit(rows, commit, std::mem::take(&mut self.last))
            }
        };
        let made = self.maker.make(&sealed);
        self.last = sha256_hex(&[sealed.line().as_bytes()]);
        made.map(|()| sealed.rows.emptied())
    }
}

const DIED: &str = "the thread that makes commits has died";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_that_fails_is_the_last() {
        let make = |_: &Sealed| Err(Failure::new("the disk is full"));
        let mut commits = CommitThread::start("", make).unwrap();
        commits.open("{}").unwrap();
        assert_eq!(commits.finish().unwrap_err().to_string(), "the disk is full");
        // The thread ends some time after it has told of the failure.
        let after = commits.open("{}").and_then(|()| commits.finish());
        assert_eq!(after.unwrap_err().to_string(), DIED);
        commits.join();
    }

    #[test]
    fn a_commit_is_under_way_until_it_is_made() {
        let (go, gone) = channel();
        let make = move |_: &Sealed| gone.recv().map_err(|_| Failure::new("nobody lets it go"));
        let mut commits = CommitThread::start("", make).unwrap();
        assert!(commits.is_ready().unwrap());
        commits.open("{}").unwrap();
        assert!(!commits.is_ready().unwrap());
        assert!(!commits.finish_within(Duration::ZERO).unwrap());
        go.send(()).unwrap();
        commits.finish().unwrap();
        assert!(commits.is_ready().unwrap());
    }
}
