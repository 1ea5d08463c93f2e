//! What another process sees of a job: its committed records, as they become readable.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

use clicks::worker::{monotonic_ms, wall_ms};
use clicks_dataflows::ledger::Commit;
use clicks_dataflows::time::{Epoch, Millis, Time};
use memchr::memmem;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};

use crate::house::House;

/// How long what was sent may take to be seen, all in all.
const DEADLINE_MS: Millis = 60_000;

/// A thread that reads the committed records of a job.
pub struct Reader<S> {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<S>,
}

/// What is made of the records.
pub trait Sight: Send + 'static {
    /// Takes a record of a log that became readable at `now`.
    fn take(&mut self, log: &str, record: &[u8], now: Millis);

    /// Whether all that is waited for was seen.
    fn is_done(&self) -> bool;
}

impl<S: Sight> Reader<S> {
    /// Reads `logs` of a job from their beginning, as any program would: with the settings that
    /// librdkafka has by itself, but for the second that it waits when its queue was full.
    pub fn start(house: &House, logs: &[&'static str], mut sight: S) -> Reader<S> {
        let stop = Arc::new(AtomicBool::new(false));
        let consumer = consumer(house, logs);
        let stopped = Arc::clone(&stop);
        let prefix = house.name.len() + 1;
        let thread = spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let Some(Ok(record)) = consumer.poll(Duration::from_millis(50)) else { continue };
                sight.take(&record.topic()[prefix..], record.payload().unwrap(), wall_ms());
                if sight.is_done() {
                    break;
                }
            }
            sight
        });
        Reader { stop, thread }
    }

    /// What was seen, once it is all there or has taken too long.
    pub fn end(self) -> S {
        let since = monotonic_ms();
        while !self.thread.is_finished() && monotonic_ms() < since + DEADLINE_MS {
            std::thread::sleep(Duration::from_millis(10));
        }
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn consumer(house: &House, logs: &[&str]) -> BaseConsumer {
    let mut start = TopicPartitionList::new();
    let mut config = house.topic("ledger").config();
    config.set("group.id", "seen").set("isolation.level", "read_committed");
    config.set("fetch.queue.backoff.ms", "1").set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create().unwrap();
    for log in logs {
        let topic = house.topic(log);
        for partition in 0..topic.ends().len() {
            let partition = i32::try_from(partition).unwrap();
            start.add_partition_offset(&topic.name, partition, Offset::Beginning).unwrap();
        }
    }
    consumer.assign(&start).unwrap();
    consumer
}

/// Commits, and when the last of their rows became readable.
#[derive(Default)]
pub struct Commits {
    /// Those of which all is readable.
    pub whole: Vec<Whole>,
    /// Those of which rows are missing.
    waiting: VecDeque<(Commit, Epoch)>,
    /// Rows by epoch.
    rows: BTreeMap<Epoch, u64>,
    /// The last committed epoch.
    epoch: Epoch,
    /// The records and the epoch after which nothing is waited for.
    wanted: (u64, Epoch),
}

/// A commit of which all is readable.
pub struct Whole {
    /// Its epochs are greater than this.
    pub after: Epoch,
    /// The last of them.
    pub epoch: Epoch,
    /// Its rows.
    pub rows: u64,
    /// When all of it was readable.
    pub at: Millis,
    /// Records of the job up to it.
    pub records: u64,
}

impl Commits {
    /// Waits for so many records and for this epoch.
    pub fn until(records: u64, epoch: Epoch) -> Commits {
        Commits { wanted: (records, epoch), ..Commits::default() }
    }
}

impl Sight for Commits {
    fn take(&mut self, log: &str, record: &[u8], now: Millis) {
        if log == "ledger" {
            // The first line opens the job.
            if let Ok(commit) = serde_json::from_slice::<Commit>(record) {
                let after = std::mem::replace(&mut self.epoch, commit.epoch.0);
                self.waiting.push_back((commit, after));
            }
        } else {
            *self.rows.entry(epoch_of(record)).or_default() += 1;
        }
        while let Some((commit, after)) = self.waiting.front() {
            let (after, epoch) = (*after, commit.epoch.0);
            let rows = commit.counts + commit.ranks + commit.rejects;
            let there: u64 = self.rows.range(after + 1..=epoch).map(|(_, rows)| rows).sum();
            assert!(there <= rows, "epochs up to {epoch} have {there} rows, their commit {rows}");
            if there < rows {
                break;
            }
            let records = commit.totals.records;
            self.whole.push(Whole { after, epoch, rows, at: now, records });
            self.waiting.pop_front();
        }
    }

    fn is_done(&self) -> bool {
        let (records, epoch) = self.wanted;
        self.whole.last().is_some_and(|last| last.records >= records && last.epoch >= epoch)
    }
}

fn epoch_of(row: &[u8]) -> Epoch {
    let name = br#""epoch":""#;
    let at = memmem::rfind(row, name).expect("a row has an epoch") + name.len();
    let length = memchr::memchr(b'"', &row[at..]).unwrap();
    let text = std::str::from_utf8(&row[at..at + length]).unwrap();
    text.parse::<Time>().unwrap().0
}

/// When the row of each click became readable, where each is of an ad of its own.
pub struct Rows {
    /// By the number of the click; 0 if it was not seen.
    pub at: Vec<Millis>,
    /// Clicks that were not seen.
    pub missing: usize,
}

impl Sight for Rows {
    fn take(&mut self, _: &str, record: &[u8], now: Millis) {
        let digits = record.strip_prefix(br#"{"ad_id":"a"#).unwrap();
        let length = memchr::memchr(b'"', digits).unwrap();
        let click: usize = std::str::from_utf8(&digits[..length]).unwrap().parse().unwrap();
        assert_eq!(self.at[click], 0, "click {click} is told twice");
        self.at[click] = now;
        self.missing -= 1;
    }

    fn is_done(&self) -> bool {
        self.missing == 0
    }
}
