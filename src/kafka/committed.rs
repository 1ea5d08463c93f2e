//! A partition of ours, read as it is committed.
//!
//! Offsets have gaps: markers of transactions, aborted records, what was compacted. So the reader's
//! position tells where it is, never a number of records. The end is that of a reader that takes
//! everything: what precedes it is committed or aborted once the reader of committed records has
//! come there, whatever transactions are open now.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use rdkafka::consumer::Consumer as _;
use rdkafka::error::RDKafkaErrorCode;

use crate::failure::{Attempt, Failure};
use crate::kafka::client::{Cluster, Consumer, PATIENCE};
use crate::kafka::fetch::{Fetched, Queue};
use crate::kafka::lookout::Place;

/// The group of readers, which commits nothing.
pub const GROUP: &str = "clicks-reader";

/// Records taken at once.
const BATCH: usize = 1000;

/// How long one wait lasts.
const WAIT: Duration = Duration::from_millis(100);

/// After how long without anything new reading is given up. A broker aborts what was left open
/// after a minute, and looks for that every ten seconds.
const WAITED_MS_MAX: u32 = 90_000;

/// Bytes that are fetched ahead of all partitions together, at least and at most of one.
const AHEAD_BYTES: usize = 64 << 20;
const AHEAD_BYTES_OF_ONE: (usize, usize) = (256 << 10, 8 << 20);

/// A record as it lies in its partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Its offset.
    pub offset: u64,
    /// Its key; empty if it has none.
    pub key: Vec<u8>,
    /// What it holds.
    pub value: Vec<u8>,
}

/// What the next record is.
pub enum Next {
    /// A record.
    Record(Taken),
    /// Not known yet, after a wait.
    Wait,
    /// Nothing more is committed before the end.
    End,
}

/// The committed records of a partition, from an offset to an end.
pub struct Committed {
    queue: Queue,
    waiting: VecDeque<Taken>,
    next: u64,
    end: u64,
    place: Place,
    /// How many waits in a row have brought nothing.
    waits: u32,
}

/// A reader of committed records of `topics`, of which so many partitions will be read.
///
/// # Errors
///
/// When librdkafka refuses a property, or no broker answers.
pub fn reader(
    cluster: &Cluster,
    topics: &[&str],
    partitions: usize,
) -> Result<Rc<Consumer>, Failure> {
    let (least, most) = AHEAD_BYTES_OF_ONE;
    let bytes = (AHEAD_BYTES / partitions.max(1)).clamp(least, most);
    let consumer = cluster.consumer(&[
        ("group.id", GROUP),
        ("isolation.level", "read_committed"),
        ("enable.partition.eof", "true"),
        ("fetch.wait.max.ms", "10"),
        // A small row costs more in the queue than in its log.
        ("queued.min.messages", "10000"),
        ("queued.max.messages.kbytes", &(bytes >> 10).to_string()),
    ])?;
    for topic in topics {
        // Unasked, the client looks for leaders once a second.
        let metadata = consumer.fetch_metadata(Some(topic), PATIENCE);
        metadata.attempt(|| format!("cannot find topic {topic} at {}", cluster.brokers()))?;
    }
    Ok(Rc::new(consumer))
}

impl Committed {
    /// Reads `place` from `next` to `end`.
    ///
    /// # Errors
    ///
    /// When the client refuses it.
    pub fn open(
        consumer: &Rc<Consumer>,
        place: Place,
        next: u64,
        end: u64,
    ) -> Result<Committed, Failure> {
        let queue = Queue::open(consumer, &place.topic, place.partition, next)?;
        Ok(Committed { queue, waiting: VecDeque::new(), next, end, place, waits: 0 })
    }

    /// Where it is read.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Where the next record lies, or may lie.
    pub fn next_offset(&self) -> u64 {
        self.waiting.front().map_or(self.next, |record| record.offset)
    }

    /// Up to where it is read.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Goes on to an end that lies further on.
    pub fn extend(&mut self, end: u64) {
        self.end = self.end.max(end);
    }

    /// The next committed record before the end, waiting once if it is not there.
    ///
    /// # Errors
    ///
    /// When the partition cannot be read, or nothing comes for too long.
    pub fn step(&mut self) -> Result<Next, Failure> {
        if self.waiting.is_empty() && self.next < self.end {
            self.fill(WAIT)?;
        }
        match self.waiting.front() {
            Some(record) if record.offset < self.end => {
                Ok(self.waiting.pop_front().map_or(Next::End, Next::Record))
            }
            None if self.next < self.end => Ok(Next::Wait),
            _ => Ok(Next::End),
        }
    }

    /// The next committed record, wherever the end is, if it has come already.
    ///
    /// # Errors
    ///
    /// When the partition cannot be read.
    pub fn follow(&mut self) -> Result<Option<Taken>, Failure> {
        if self.waiting.is_empty() {
            self.fill(Duration::ZERO)?;
        }
        Ok(self.waiting.pop_front())
    }

    /// Whether a record has come that was not handed over.
    pub fn has_more(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// For how long nothing has come, though this is not the end.
    pub fn stands_still(&self) -> Duration {
        WAIT * self.waits
    }

    /// The records that have come and were not handed over, after asking for more if `wanted`
    /// is true of all of them.
    ///
    /// # Errors
    ///
    /// When the partition cannot be read.
    pub fn ahead(
        &mut self,
        wanted: impl Fn(&Taken) -> bool,
    ) -> Result<impl Iterator<Item = &Taken>, Failure> {
        if self.waiting.back().is_none_or(wanted) {
            self.fill(Duration::ZERO)?;
        }
        Ok(self.waiting.iter())
    }

    fn fill(&mut self, patience: Duration) -> Result<(), Failure> {
        let (mut failed, mut next) = (None, self.next);
        let waiting = &mut self.waiting;
        let taken = self.queue.take(BATCH, patience, &mut |fetched| match fetched {
            Fetched::Record { offset, value, beside, .. } => {
                let key = beside.key.unwrap_or_default();
                waiting.push_back(Taken { offset, key: key.to_vec(), value: value.to_vec() });
                next = next.max(offset + 1);
            }
            Fetched::End(offset) => next = next.max(offset),
            Fetched::Error(RDKafkaErrorCode::BrokerTransportFailure) => {}
            Fetched::Error(error) => failed = Some(error),
        });
        self.next = next;
        let Place { topic, partition } = &self.place;
        if let Some(error) = failed {
            let attempt = || format!("cannot read partition {partition} of topic {topic}");
            return Err(error).attempt(attempt);
        }
        if taken > 0 {
            self.waits = 0;
        } else if !patience.is_zero() {
            self.waits += 1;
        }
        if self.waits * u32::try_from(WAIT.as_millis()).unwrap_or(1) > WAITED_MS_MAX {
            return Err(Failure::new(format!(
                "cannot read partition {partition} of topic {topic} up to offset {}: nothing came \
                 after {} for {} s; an open transaction of another producer may hold it",
                self.end,
                self.next,
                WAITED_MS_MAX / 1000,
            )));
        }
        Ok(())
    }
}

/// The values up to the end, waiting for each.
impl Iterator for Committed {
    type Item = Result<Vec<u8>, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.step() {
                Ok(Next::Record(record)) => return Some(Ok(record.value)),
                Ok(Next::Wait) => {}
                Ok(Next::End) => return None,
                Err(failure) => {
                    self.end = 0;
                    return Some(Err(failure));
                }
            }
        }
    }
}
