//! One transaction for each commit, by one producer for each job.
//!
//! ```text
//! begin ─▶ counts, ranks, rejects ─▶ ledger line ─▶ flush ─▶ group offsets ─▶ commit
//!   └──── in doubt: a new producer, and the ledger's last line says whether it happened
//! ```
//!
//! A producer that has lost its way is never used again: what it sent late could land in the next
//! transaction. Before a new one fences the old, and after it, the ledger is read; a line that is
//! not ours is that of another instance, which owns the job from then on.

mod recover;
mod stop;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use clicks_dataflows::time::Millis;
use rdkafka::consumer::{Consumer as _, ConsumerGroupMetadata};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseRecord, Producer as _};
use rdkafka::{Offset, TopicPartitionList};

use crate::commit::sha256_hex;
use crate::failure::Failure;
use crate::kafka::client::{Cluster, Producer};
use crate::kafka::failpoint::reach;
use crate::kafka::health::HEALTH;
use crate::kafka::ledger::{self, Upto};
use crate::kafka::results::Topics;
use crate::kafka::{failpoint, partition};
use crate::sink::Lines;
use crate::sink::thread::Sealed;
use crate::worker::monotonic_ms;
use stop::{Stop, again};

/// After so long the coordinator aborts a transaction by itself, and fences its producer.
const TRANSACTION_MS: Millis = 60_000;

/// How long one transaction may take before it is in doubt.
const DEADLINE_MS: Millis = 40_000;

/// How long one call may take.
const CALL: Duration = Duration::from_secs(5);

/// How long to wait before looking again at what was sent.
const BREATH: Duration = Duration::from_micros(500);

/// The largest record that is sent: a ledger line of many partitions, a list of many ads.
pub const MESSAGE_BYTES_MAX: u32 = 10_000_000;

/// What a commit makes visible.
pub struct Pending<'a> {
    /// The rows, and the ledger's line.
    pub sealed: &'a Sealed,
    /// Where the job stands in its input: topic, partition, offset.
    pub offsets: Vec<(String, i32, i64)>,
}

/// The job's transactions.
pub struct Transactions {
    cluster: Cluster,
    topics: Topics,
    producer: Producer,
    group: ConsumerGroupMetadata,
    /// The hash of the ledger's last line; none if there is no line.
    last: Option<String>,
    /// Set when nobody waits any more.
    give_up: Arc<AtomicBool>,
    /// When a call was last begun, by a monotonic clock.
    alive_at: Arc<AtomicU64>,
    /// How often in a row a topic of the job was not there.
    missing: u32,
}

impl Transactions {
    /// Fences the job's predecessor, and aborts what it left open.
    ///
    /// # Errors
    ///
    /// When the brokers do not answer, or will not have it.
    pub fn begin(cluster: &Cluster, topics: Topics) -> Result<Transactions, Failure> {
        reach("before-init");
        let producer = producer(cluster, &topics.job).map_err(|stop| stop.failure(&topics))?;
        reach("after-init");
        let group = cluster.consumer(&[("group.id", &topics.job)])?.group_metadata();
        Ok(Transactions {
            cluster: cluster.clone(),
            group: group.expect("a consumer with a group has its metadata"),
            topics,
            producer,
            last: None,
            give_up: Arc::default(),
            alive_at: Arc::default(),
            missing: 0,
        })
    }

    /// Makes sure that the ledger is as empty as it was found: it is opened once.
    ///
    /// # Errors
    ///
    /// When it has a line, or cannot be read.
    pub fn check_unopened(&self) -> Result<(), Failure> {
        match ledger::last(&self.cluster, &self.topics.name("ledger"), Upto::End)? {
            None => Ok(()),
            Some(_) => Err(Failure::new(format!(
                "topic {} was not there, and now has lines: start again",
                self.topics.name("ledger"),
            ))),
        }
    }

    /// Goes on after a ledger line with this hash.
    pub fn resume(&mut self, last: &str) {
        self.last = Some(last.to_owned());
    }

    /// Set to end attempts that do not come to an end.
    pub fn give_up(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.give_up)
    }

    /// When a call was last begun: some of librdkafka's do not return, whatever their deadline.
    pub fn alive_at(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.alive_at)
    }

    fn is_alive(&self) {
        self.alive_at.store(monotonic_ms(), Ordering::Relaxed);
    }

    /// Makes `pending` visible, all or nothing, trying as long as it takes.
    ///
    /// # Errors
    ///
    /// When another instance owns the job, or a broker will never take it.
    pub fn commit(&mut self, pending: &Pending<'_>) -> Result<(), Failure> {
        loop {
            let began = monotonic_ms();
            let happened = match self.attempt(pending, began) {
                Ok(()) => true,
                Err(stop @ Stop::Failed(_)) => return Err(stop.failure(&self.topics)),
                Err(Stop::Fenced(_)) if monotonic_ms() < began + TRANSACTION_MS => {
                    return Err(self.owned());
                }
                Err(Stop::Again(why) | Stop::InDoubt(why) | Stop::Fenced(why)) => {
                    HEALTH.lost(&format!("a commit is in doubt: {why}"));
                    self.recover(pending)?
                }
            };
            if happened {
                HEALTH.found();
                self.last = Some(sha256_hex(&[pending.sealed.line().as_bytes()]));
                return Ok(());
            }
        }
    }

    /// One transaction.
    fn attempt(&self, pending: &Pending<'_>, began: Millis) -> Result<(), Stop> {
        self.is_alive();
        let late = || monotonic_ms() >= began + DEADLINE_MS;
        reach("before-begin");
        self.producer.begin_transaction().map_err(Stop::of)?;
        reach("after-begin");
        let Topics { counts, ranks, .. } = self.topics;
        self.send_all("counts", &pending.sealed.rows.counts, &late, |key| {
            let ad = key.rsplitn(3, |byte| *byte == b'|').last().unwrap_or(key);
            partition::of_key(ad, counts)
        })?;
        reach("after-counts");
        self.send_all("ranks", &pending.sealed.rows.ranks, &late, |key| {
            partition::of_key(key, ranks)
        })?;
        reach("after-ranks");
        self.send_all("rejects", &pending.sealed.rows.rejects, &late, |_| 0)?;
        reach("after-rejects");
        self.send(&self.topics.name("ledger"), 0, (pending.sealed.line().as_bytes(), b""), &late)?;
        reach("after-ledger-line");
        reach("before-flush");
        // Undrained, the commit would wait in steps of 100 ms.
        while self.producer.in_flight_count() > 0 {
            self.breathe();
            if late() || self.is_fatal() {
                break;
            }
        }
        reach("after-flush");
        self.send_offsets(pending, &late)?;
        reach("before-commit");
        self.is_alive();
        if failpoint::asked_for("commit-sent") {
            let _ = self.producer.commit_transaction(Duration::from_millis(1));
        }
        reach("commit-sent");
        again(&late, || self.producer.commit_transaction(CALL))?;
        reach("commit-answered");
        Ok(())
    }

    fn send_all(
        &self,
        log: &str,
        lines: &Lines,
        late: &dyn Fn() -> bool,
        partition: impl Fn(&[u8]) -> i32,
    ) -> Result<(), Stop> {
        let topic = self.topics.name(log);
        lines.rows().try_for_each(|(row, key)| self.send(&topic, partition(key), (row, key), late))
    }

    /// Sends a row and its key, if it has one.
    fn send(
        &self,
        topic: &str,
        partition: i32,
        (row, key): (&[u8], &[u8]),
        late: &dyn Fn() -> bool,
    ) -> Result<(), Stop> {
        let mut record = BaseRecord::<[u8], [u8]>::to(topic).partition(partition).payload(row);
        if !key.is_empty() {
            record = record.key(key);
        }
        loop {
            let (error, back) = match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err(refused) => refused,
            };
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                return Err(Stop::of(error));
            }
            if late() || self.is_fatal() {
                return Err(Stop::InDoubt("rows are not taken".to_owned()));
            }
            self.breathe();
            record = back;
        }
    }

    fn send_offsets(&self, pending: &Pending<'_>, late: &dyn Fn() -> bool) -> Result<(), Stop> {
        if pending.offsets.is_empty() {
            return Ok(());
        }
        reach("before-offsets");
        self.is_alive();
        let mut offsets = TopicPartitionList::with_capacity(pending.offsets.len());
        for (topic, partition, offset) in &pending.offsets {
            let offset = Offset::Offset(*offset);
            offsets.add_partition_offset(topic, *partition, offset).map_err(Stop::of)?;
        }
        let send = || self.producer.send_offsets_to_transaction(&offsets, &self.group, CALL);
        again(late, send)?;
        reach("after-offsets");
        Ok(())
    }

    /// Lets the producer work for a moment, and hears what it says.
    fn breathe(&self) {
        self.is_alive();
        // Asked to wait for less than 2 ms, it spins.
        self.producer.poll(Duration::ZERO);
        std::thread::sleep(BREATH);
    }

    fn is_fatal(&self) -> bool {
        self.producer.client().fatal_error().is_some()
    }
}

/// A producer of the job, all earlier ones of which are fenced.
fn producer(cluster: &Cluster, job: &str) -> Result<Producer, Stop> {
    let producer = cluster.producer(&[
        ("transactional.id", job),
        ("transaction.timeout.ms", &TRANSACTION_MS.to_string()),
        ("message.max.bytes", &MESSAGE_BYTES_MAX.to_string()),
        ("linger.ms", "0"),
        ("compression.type", "lz4"),
        ("queue.buffering.max.messages", "1000000"),
        // A row that was taken has nothing to say: to hear it would take each batch a breath.
        ("delivery.report.only.error", "true"),
    ]);
    let producer = producer.map_err(|failure| Stop::Failed(failure.to_string()))?;
    let began = monotonic_ms();
    let late = || monotonic_ms() >= began + TRANSACTION_MS;
    again(&late, || producer.init_transactions(CALL))?;
    Ok(producer)
}

#[cfg(test)]
mod tests;
