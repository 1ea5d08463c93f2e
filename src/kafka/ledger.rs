//! A topic of one partition, read as it is committed: the ledger.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use crate::failure::{Attempt, Failure};
use crate::kafka::client::{Cluster, Consumer, PATIENCE};
use crate::kafka::fetch::{Fetched, Queue};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::RDKafkaErrorCode;

/// Records taken at once.
const BATCH: usize = 1000;

/// How long one wait lasts.
const WAIT: Duration = Duration::from_millis(100);

/// The committed records of a partition, from an offset to where it ended when asked.
///
/// The end is that of a reader that takes everything: what precedes it is committed or aborted once
/// the reader of committed records has come there, whatever transactions are open now.
pub struct Committed {
    queue: Queue,
    waiting: VecDeque<(u64, Vec<u8>)>,
    next: u64,
    end: u64,
    /// Whether nothing precedes what is read.
    whole: bool,
    topic: String,
    /// How many waits in a row have brought nothing.
    waits: u32,
}

impl Committed {
    /// Reads partition 0 of `topic`, from `span` offsets before its end, or all of it.
    ///
    /// # Errors
    ///
    /// When the topic cannot be read.
    pub fn open(cluster: &Cluster, topic: &str, span: Option<u64>) -> Result<Committed, Failure> {
        let attempt = || format!("cannot read topic {topic} at {}", cluster.brokers());
        let all =
            cluster.consumer(&[("group.id", topic), ("isolation.level", "read_uncommitted")])?;
        let (low, end) = all.fetch_watermarks(topic, 0, PATIENCE).attempt(attempt)?;
        let [low, end] = [low, end].map(|offset| u64::try_from(offset).unwrap_or(0));
        let next = span.map_or(low, |span| low.max(end.saturating_sub(span)));
        let consumer: Rc<Consumer> = Rc::new(cluster.consumer(&[
            ("group.id", topic),
            ("isolation.level", "read_committed"),
            ("enable.partition.eof", "true"),
            ("fetch.wait.max.ms", "10"),
        ])?);
        let queue = Queue::open(&consumer, topic, 0, next)?;
        let (waiting, topic) = (VecDeque::new(), topic.to_owned());
        Ok(Committed { queue, waiting, next, end, whole: next == low, topic, waits: 0 })
    }

    fn fill(&mut self) -> Result<(), Failure> {
        let (mut failed, mut next) = (None, self.next);
        let waiting = &mut self.waiting;
        let taken = self.queue.take(BATCH, WAIT, &mut |fetched| match fetched {
            Fetched::Record { offset, value, .. } => {
                waiting.push_back((offset, value.to_vec()));
                next = next.max(offset + 1);
            }
            Fetched::End(offset) => next = next.max(offset),
            Fetched::Error(RDKafkaErrorCode::BrokerTransportFailure) => {}
            Fetched::Error(error) => failed = Some(error),
        });
        self.next = next;
        if let Some(error) = failed {
            return Err(error).attempt(|| format!("cannot read topic {}", self.topic));
        }
        self.waits = if taken > 0 { 0 } else { self.waits + 1 };
        if self.waits * u32::try_from(WAIT.as_millis()).unwrap_or(1) > 60_000 {
            return Err(Failure::new(format!(
                "cannot read topic {} up to offset {}: nothing came after {} for a minute; an open \
                 transaction of another producer may hold it",
                self.topic, self.end, self.next,
            )));
        }
        Ok(())
    }
}

impl Iterator for Committed {
    type Item = Result<Vec<u8>, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.waiting.pop_front() {
                Some((offset, value)) if offset < self.end => return Some(Ok(value)),
                Some(_) => return None,
                None if self.next >= self.end => return None,
                None => {
                    if let Err(failure) = self.fill() {
                        self.end = 0;
                        return Some(Err(failure));
                    }
                }
            }
        }
    }
}

/// The last committed record of a topic of one partition, found from its end.
///
/// # Errors
///
/// When the topic cannot be read.
pub fn last(cluster: &Cluster, topic: &str) -> Result<Option<Vec<u8>>, Failure> {
    let mut span = 64;
    loop {
        let committed = Committed::open(cluster, topic, Some(span))?;
        let whole = committed.whole;
        let last = committed.last().transpose()?;
        if last.is_some() || whole {
            return Ok(last);
        }
        span *= 8;
    }
}
