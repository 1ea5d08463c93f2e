//! Result topics as a sink: a thread makes transactions, and nobody waits for it for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use clicks_dataflows::ledger::{Commit, Lengths, Position};
use clicks_dataflows::time::Millis;

use crate::failure::Failure;
use crate::kafka::failpoint::reach;
use crate::kafka::transaction::{Pending, Transactions};
use crate::log;
use crate::past::Past;
use crate::sink::thread::CommitThread;
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
    /// The topics of the input, for the offsets of the job's group.
    inputs: Vec<String>,
    /// Until it is known what the ledger holds.
    transactions: Option<Transactions>,
    /// From then on.
    working: Option<Working>,
}

/// A thread that makes transactions.
struct Working {
    commits: CommitThread,
    give_up: Arc<AtomicBool>,
    /// When the thread last began a call.
    alive_at: Arc<AtomicU64>,
}

impl TopicSink {
    /// A sink whose predecessors are fenced.
    pub fn new(transactions: Transactions, inputs: &[String]) -> TopicSink {
        TopicSink { inputs: inputs.to_vec(), transactions: Some(transactions), working: None }
    }

    /// Lets the thread begin, after the ledger's last line if there is one.
    fn start(&mut self, last: Option<&str>) -> Result<&mut Working, Failure> {
        reach("after-ledger");
        let mut transactions = self.transactions.take().expect("a sink begins or resumes once");
        if let Some(last) = last {
            transactions.resume(last);
        }
        let (give_up, alive_at) = (transactions.give_up(), transactions.alive_at());
        let inputs = self.inputs.clone();
        let commits = CommitThread::start(last.unwrap_or_default(), move |sealed| {
            let positions = sealed.positions.iter();
            let offsets = positions.filter_map(|position| offset(position, &inputs)).collect();
            transactions.commit(&Pending { sealed, offsets })
        })?;
        Ok(self.working.insert(Working { commits, give_up, alive_at }))
    }

    fn working(&mut self) -> &mut Working {
        self.working.as_mut().expect("a sink begins or resumes before it commits")
    }
}

impl Working {
    /// The thread is given something to do.
    fn wake(&mut self) -> &mut CommitThread {
        self.alive_at.store(monotonic_ms(), Ordering::Relaxed);
        &mut self.commits
    }

    /// Whether the thread has been in one call for longer than any may take.
    fn is_silent(&self) -> bool {
        monotonic_ms() > self.alive_at.load(Ordering::Relaxed) + SILENT_MS
    }

    fn finish(&mut self) -> Result<(), Failure> {
        if self.commits.finish_within(SAY_AFTER)? {
            return Ok(());
        }
        let within = FINISH_WITHIN.as_secs();
        log::say(&format!("waiting for the last commit, for {within} s at most"));
        if self.commits.finish_within(FINISH_WITHIN)? {
            return Ok(());
        }
        self.give_up.store(true, Ordering::Relaxed);
        Err(Failure::new(
            "the last commit does not come to an end: the next start finds out by the ledger \
             whether it happened",
        ))
    }
}

impl Sink for TopicSink {
    fn begin(&mut self, line: &str) -> Result<(), Failure> {
        let working = self.start(None)?;
        working.wake().open(line)?;
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
        let ready = working.commits.is_ready()?;
        if !ready && working.is_silent() {
            return Err(Failure::new(
                "a call of Kafka's client does not return: the next start finds out by the ledger \
                 whether the last commit happened",
            ));
        }
        Ok(ready)
    }

    fn commit(&mut self, rows: Rows, commit: Commit) -> Result<Rows, Failure> {
        self.finish()?;
        self.working().wake().commit(rows, commit)
    }

    fn finish(&mut self) -> Result<(), Failure> {
        self.working().finish()
    }
}

impl Drop for TopicSink {
    fn drop(&mut self) {
        if let Some(working) = &self.working {
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
