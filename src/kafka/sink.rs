//! Result topics as a sink: a thread makes transactions, and nobody waits for it for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clicks_dataflows::ledger::{Commit, Lengths, Position};

use crate::failpoint::reach;
use crate::failure::Failure;
use crate::kafka::transaction::{Pending, Place, Transactions};
use crate::log;
use crate::past::Past;
use crate::sink::pulse::Pulse;
use crate::sink::thread::{CommitThread, Maker, Sealed};
use crate::sink::{Rows, Sink};
use crate::worker::monotonic_ms;

/// How long an end waits for the last commit.
const FINISH_WITHIN: Duration = Duration::from_secs(20);

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
    pulse: Pulse,
}

impl TopicSink {
    /// A sink whose predecessors are fenced.
    pub fn new(transactions: Transactions, inputs: &[String]) -> TopicSink {
        TopicSink { inputs: inputs.to_vec(), transactions: Some(transactions), working: None }
    }

    /// Lets the thread begin, after the ledger's last line if there is one.
    fn start(&mut self, past: Option<&Past>) -> Result<&mut Working, Failure> {
        reach("after-ledger");
        let mut transactions = self.transactions.take().expect("a sink begins or resumes once");
        if let Some(past) = past {
            let offsets = offsets(past.positions().values(), &self.inputs);
            transactions.resume(past.last_line_hash(), offsets);
        }
        let (give_up, pulse) = (transactions.give_up(), transactions.pulse());
        let maker = TransactionMaker { transactions, inputs: self.inputs.clone() };
        let last = past.map(Past::last_line_hash).unwrap_or_default();
        let commits = CommitThread::start(last, maker)?;
        Ok(self.working.insert(Working { commits, give_up, pulse }))
    }

    fn working(&mut self) -> &mut Working {
        self.working.as_mut().expect("a sink begins or resumes before it commits")
    }
}

/// Makes a transaction of each commit.
struct TransactionMaker {
    transactions: Transactions,
    inputs: Vec<String>,
}

impl Maker for TransactionMaker {
    fn make(&mut self, sealed: &Sealed) -> Result<(), Failure> {
        let offsets = offsets(&sealed.positions, &self.inputs);
        self.transactions.commit(&Pending { sealed, offsets })
    }

    fn affirm(&mut self) -> Result<(), Failure> {
        self.transactions.affirm()
    }
}

impl Working {
    /// The thread is given something to do.
    fn wake(&mut self) -> &mut CommitThread {
        self.pulse.beat(monotonic_ms());
        &mut self.commits
    }

    /// Whether the last commit is made; fails if the thread is in a call that does not return.
    fn is_ready(&mut self) -> Result<bool, Failure> {
        let ready = self.commits.is_ready()?;
        if !ready && self.pulse.has_stopped(monotonic_ms()) {
            return Err(Failure::new(
                "a call of Kafka's client does not return: the next start finds out by the ledger \
                 whether the last commit happened",
            ));
        }
        Ok(ready)
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
        self.start(Some(past)).map(|_| ())
    }

    fn lengths(&self) -> Option<Lengths> {
        None
    }

    fn is_ready(&mut self) -> Result<bool, Failure> {
        self.working().is_ready()
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

/// Positions as the offsets of a consumer group.
fn offsets<'a>(positions: impl IntoIterator<Item = &'a Position>, inputs: &[String]) -> Vec<Place> {
    positions.into_iter().filter_map(|position| offset(position, inputs)).collect()
}

fn offset(position: &Position, inputs: &[String]) -> Option<Place> {
    let topic = position.log.as_ref().or(inputs.first())?;
    let partition = i32::try_from(position.partition).ok()?;
    Some((topic.clone(), partition, i64::try_from(position.offset).ok()?))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use clicks_dataflows::time::Millis;

    use super::*;

    /// A sink whose thread is in a call that does not return, which it may be for so long.
    fn hanging(silence_ms_max: Millis) -> (TopicSink, Sender<()>) {
        let (go, gone) = channel();
        let make = move |_: &Sealed| gone.recv().map_err(|_| Failure::new("it is let go"));
        let commits = CommitThread::start("", make).unwrap();
        let mut working =
            Working { commits, give_up: Arc::default(), pulse: Pulse::new(silence_ms_max) };
        working.wake().open("{}").unwrap();
        (TopicSink { inputs: Vec::new(), transactions: None, working: Some(working) }, go)
    }

    #[test]
    fn a_call_that_does_not_return_ends_the_run() {
        let (mut sink, _held) = hanging(0);
        let until = monotonic_ms() + 60_000;
        let failure = loop {
            match sink.is_ready() {
                Err(failure) => break failure,
                Ok(ready) => assert!(!ready && monotonic_ms() < until, "it is waited for"),
            }
        };
        assert!(failure.to_string().contains("does not return"), "{failure}");
    }

    #[test]
    fn a_call_is_waited_for_as_long_as_it_may_take() {
        let (mut sink, _held) = hanging(Millis::from(u32::MAX));
        assert!(!sink.is_ready().unwrap());
    }
}
