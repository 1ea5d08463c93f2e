//! Result topics as a sink: commits are made on a thread of their own, one after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::time::Duration;

use clicks_dataflows::ledger::{Commit, Lengths, Position};
use clicks_dataflows::time::Millis;

use crate::failure::{Attempt, Failure};
use crate::kafka::failpoint::reach;
use crate::kafka::transaction::{Pending, Transactions};
use crate::log;
use crate::past::Past;
use crate::sink::{Rows, Sink};
use crate::worker::monotonic_ms;

/// How long an end waits for the last commit.
const FINISH_WITHIN: Duration = Duration::from_secs(20);

/// How long one call of the thread may take: to read the ledger where a transaction is open.
const SILENT_MS: Millis = 180_000;

/// After how long it is said that somebody waits.
const SAY_AFTER: Duration = Duration::from_secs(1);

/// The result topics of a job that this process owns.
pub struct TopicSink {
    state: State,
    /// The topics of the input, for the offsets of the job's group.
    inputs: Vec<String>,
}

enum State {
    /// It is not known yet what the ledger holds.
    Taken(Box<Transactions>),
    Working(Working),
}

/// A thread that makes commits.
struct Working {
    to: Sender<Pending>,
    from: Receiver<Result<(), Failure>>,
    /// Whether a commit is being made.
    busy: bool,
    give_up: Arc<AtomicBool>,
    /// When the thread last began a call.
    alive_at: Arc<AtomicU64>,
}

impl TopicSink {
    /// A sink whose predecessors are fenced.
    pub fn new(transactions: Transactions, inputs: &[String]) -> TopicSink {
        TopicSink { state: State::Taken(Box::new(transactions)), inputs: inputs.to_vec() }
    }

    /// Lets the thread begin, after the ledger's last line if there is one.
    fn start(&mut self, last: Option<&str>) -> Result<&mut Working, Failure> {
        reach("after-ledger");
        let (to, pending) = channel();
        let (result, from) = channel();
        let working =
            Working { to, from, busy: false, give_up: Arc::default(), alive_at: Arc::default() };
        let taken = std::mem::replace(&mut self.state, State::Working(working));
        let State::Taken(mut transactions) = taken else {
            unreachable!("a sink begins or resumes once")
        };
        if let Some(last) = last {
            transactions.resume(last);
        }
        let working = self.working();
        working.give_up = transactions.give_up();
        working.alive_at = transactions.alive_at();
        let work = move || {
            while let Ok(pending) = pending.recv() {
                // Nobody waits for the result of a job that has ended.
                let _ = result.send(transactions.commit(&pending));
            }
        };
        let thread = std::thread::Builder::new().name("commits".to_owned()).spawn(work);
        thread.attempt(|| "cannot start a thread for commits".to_owned())?;
        Ok(working)
    }

    fn working(&mut self) -> &mut Working {
        match &mut self.state {
            State::Working(working) => working,
            State::Taken(_) => unreachable!("a sink begins or resumes before it commits"),
        }
    }
}

impl Working {
    /// Whether the thread has been in one call for longer than any may take.
    fn is_silent(&self) -> bool {
        monotonic_ms() > self.alive_at.load(Ordering::Relaxed) + SILENT_MS
    }

    fn send(&mut self, pending: Pending) {
        self.alive_at.store(monotonic_ms(), Ordering::Relaxed);
        self.to.send(pending).expect("the thread lives as long as it is sent to");
        self.busy = true;
    }

    fn finish(&mut self) -> Result<(), Failure> {
        if !self.busy {
            return Ok(());
        }
        self.busy = false;
        let mut result = self.from.recv_timeout(SAY_AFTER);
        if matches!(result, Err(RecvTimeoutError::Timeout)) {
            let within = FINISH_WITHIN.as_secs();
            log::say(&format!("waiting for the last commit, for {within} s at most"));
            result = self.from.recv_timeout(FINISH_WITHIN);
        }
        match result {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => {
                self.give_up.store(true, Ordering::Relaxed);
                Err(Failure::new(
                    "the last commit does not come to an end: the next start finds out by the \
                     ledger whether it happened",
                ))
            }
            Err(RecvTimeoutError::Disconnected) => Err(Failure::new(DIED)),
        }
    }
}

const DIED: &str = "the thread that makes commits has died";

impl Sink for TopicSink {
    fn begin(&mut self, line: &str) -> Result<(), Failure> {
        let line = line.to_owned();
        if let State::Taken(transactions) = &self.state {
            transactions.check_unopened()?;
        }
        let working = self.start(None)?;
        working.send(Pending { rows: Rows::default(), line, offsets: Vec::new() });
        working.finish()
    }

    fn resume(&mut self, past: &Past) -> Result<(), Failure> {
        self.start(Some(past.last_line_hash())).map(|_| ())
    }

    fn lengths(&self) -> Option<Lengths> {
        None
    }

    fn is_ready(&mut self) -> Result<bool, Failure> {
        let working = self.working();
        if !working.busy {
            return Ok(true);
        }
        match working.from.try_recv() {
            Ok(result) => {
                working.busy = false;
                result.map(|()| true)
            }
            Err(TryRecvError::Empty) if working.is_silent() => Err(Failure::new(
                "a call of Kafka's client does not return: the next start finds out by the ledger \
                 whether the last commit happened",
            )),
            Err(TryRecvError::Empty) => Ok(false),
            Err(TryRecvError::Disconnected) => Err(Failure::new(DIED)),
        }
    }

    fn commit(&mut self, rows: Rows, commit: &Commit, line: &str) -> Result<(), Failure> {
        self.finish()?;
        let offsets = commit.positions.iter().filter_map(|position| offset(position, &self.inputs));
        let (offsets, line) = (offsets.collect(), line.to_owned());
        self.working().send(Pending { rows, line, offsets });
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Failure> {
        self.working().finish()
    }
}

impl Drop for TopicSink {
    fn drop(&mut self) {
        if let State::Working(working) = &self.state {
            working.give_up.store(true, Ordering::Relaxed);
        }
    }
}

/// A position as the offset of a consumer group.
fn offset(position: &Position, inputs: &[String]) -> Option<(String, i32, i64)> {
    let topic = position.log.as_ref().or(inputs.first())?;
    let partition = i32::try_from(position.partition).ok()?;
    Some((topic.clone(), partition, i64::try_from(position.offset).ok()?))
}
