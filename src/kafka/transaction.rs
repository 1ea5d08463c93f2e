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

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use clicks_dataflows::time::Millis;
use rdkafka::consumer::{Consumer as _, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, Producer as _};
use rdkafka::{Offset, TopicPartitionList};

use crate::commit::sha256_hex;
use crate::failure::{Failure, Kind};
use crate::kafka::client::{Cluster, Producer};
use crate::kafka::failpoint::reach;
use crate::kafka::health::HEALTH;
use crate::kafka::ledger::{self, Upto};
use crate::kafka::results::{self, LOGS, Topics};
use crate::kafka::{failpoint, partition};
use crate::sink::Lines;
use crate::sink::thread::Sealed;
use crate::worker::monotonic_ms;

/// After so long the coordinator aborts a transaction by itself, and fences its producer.
const TRANSACTION_MS: Millis = 60_000;

/// How long one transaction may take before it is in doubt.
const DEADLINE_MS: Millis = 40_000;

/// How long one call may take.
const CALL: Duration = Duration::from_secs(5);

/// How long to wait before looking again at what was sent.
const BREATH: Duration = Duration::from_micros(500);

/// After how many looks in a row a topic that is not there has gone.
const MISSING: u32 = 3;

/// How long to wait before trying again what has failed.
const AGAIN: Duration = Duration::from_millis(500);

/// The largest record that is sent: a ledger line of many partitions, a list of many ads.
pub const MESSAGE_BYTES_MAX: u32 = 10_000_000;

/// What a commit makes visible.
pub struct Pending<'a> {
    /// The rows, and the ledger's line.
    pub sealed: &'a Sealed,
    /// Where the job stands in its input: topic, partition, offset.
    pub offsets: Vec<(String, i32, i64)>,
}

/// Why a transaction was not committed.
enum Stop {
    /// The same call may be made again.
    Again(String),
    /// It is certain that it was not, or not known.
    InDoubt(String),
    /// Another producer of the same name has been made, or the coordinator gave this one up.
    Fenced(String),
    /// It will not be: nothing is gained by trying again.
    Failed(String),
}

/// What the end of the ledger says.
enum Found {
    /// The pending commit.
    Pending,
    /// The one before it.
    Before,
    /// A line of another instance.
    Other,
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

    /// Makes a new producer; whether the pending commit had happened.
    fn recover(&mut self, pending: &Pending<'_>) -> Result<bool, Failure> {
        loop {
            if self.give_up.load(Ordering::Relaxed) {
                return Err(Failure::new(format!(
                    "cannot commit to topics {}.* at {}: nothing answers in time; the next start \
                     finds out whether the last commit happened",
                    self.topics.job,
                    self.cluster.brokers(),
                )));
            }
            self.check_topics()?;
            // Whoever has committed since owns the job: it must not be fenced. What it had to abort
            // of ours is aborted, so that its lines are seen without waiting.
            let found = self.find(pending, Upto::Open).and_then(|found| match found {
                Found::Other => Ok(found),
                Found::Pending | Found::Before => {
                    self.is_alive();
                    self.producer = producer(&self.cluster, &self.topics.job)
                        .map_err(|stop| stop.failure(&self.topics))?;
                    self.find(pending, Upto::End)
                }
            });
            match found {
                Ok(Found::Pending) => return Ok(true),
                Ok(Found::Before) => return Ok(false),
                Ok(Found::Other) => return Err(self.owned()),
                Err(failure) if failure.kind() == Kind::Refused => return Err(failure),
                Err(_) => std::thread::sleep(AGAIN),
            }
        }
    }

    /// Refuses to go on without a topic of the job, once it is certain that it has gone.
    fn check_topics(&mut self) -> Result<(), Failure> {
        let attempt = || format!("cannot find the topics of job {}", self.topics.job);
        // Without an answer nothing is certain.
        let gone = self.cluster.widths(CALL, attempt).ok().and_then(|widths| {
            let is_there = |name: &String| widths.get(name).is_some_and(|width| *width > 0);
            LOGS.map(|log| self.topics.name(log)).into_iter().find(|name| !is_there(name))
        });
        self.missing = if gone.is_some() { self.missing + 1 } else { 0 };
        match gone {
            Some(name) if self.missing >= MISSING => Err(Failure::refused(format!(
                "topic {name} has gone from {}: its rows have gone with it, so a new job is needed \
                 (--job)",
                self.cluster.brokers(),
            ))),
            _ => Ok(()),
        }
    }

    fn find(&self, pending: &Pending<'_>, upto: Upto) -> Result<Found, Failure> {
        self.is_alive();
        let last = ledger::last(&self.cluster, &self.topics.name("ledger"), upto)?;
        let last = last.map(|line| sha256_hex(&[&line]));
        Ok(match last {
            last if last == self.last => Found::Before,
            Some(last) if last == sha256_hex(&[pending.sealed.line().as_bytes()]) => Found::Pending,
            _ => Found::Other,
        })
    }

    fn owned(&self) -> Failure {
        Failure::of(
            Kind::Owned,
            format!(
                "another instance of job {} has taken it over at {}: this one stops, and has \
                 committed nothing since",
                self.topics.job,
                self.cluster.brokers(),
            ),
        )
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
    connect(&producer, &results::topic(job, "ledger"));
    let began = monotonic_ms();
    let late = || monotonic_ms() >= began + TRANSACTION_MS;
    again(&late, || producer.init_transactions(CALL))?;
    Ok(producer)
}

/// Lets a new client connect to the broker that leads `topic`, if it can be reached.
///
/// A client that is asked for the coordinator of transactions before it is connected looks again
/// after 500 ms; one that does not know the leader of a partition, after a second.
fn connect(producer: &Producer, topic: &str) {
    let client = producer.client();
    let led = client.fetch_metadata(Some(topic), CALL);
    // If there is nothing to connect to, that is found out by what follows.
    let _ = led.and_then(|_| client.fetch_watermarks(topic, 0, CALL));
}

/// Makes the same call again as long as that can help.
fn again(late: &dyn Fn() -> bool, call: impl Fn() -> Result<(), KafkaError>) -> Result<(), Stop> {
    loop {
        match call().map_err(Stop::of) {
            Err(Stop::Again(why)) if late() => return Err(Stop::InDoubt(why)),
            Err(Stop::Again(_)) => {}
            result => return result,
        }
    }
}

impl Stop {
    /// What `error` of a transactional call means.
    fn of(error: KafkaError) -> Stop {
        use RDKafkaErrorCode as Code;
        let why = error.to_string();
        let code = error.rdkafka_error_code();
        match (&error, code) {
            (_, Some(Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch)) => {
                Stop::Fenced(why)
            }
            (
                _,
                Some(
                    Code::TopicAuthorizationFailed
                    | Code::GroupAuthorizationFailed
                    | Code::ClusterAuthorizationFailed
                    | Code::TransactionalIdAuthorizationFailed
                    | Code::MessageSizeTooLarge
                    | Code::InvalidTransactionTimeout
                    | Code::UnknownMemberId
                    | Code::IllegalGeneration,
                ),
            ) => Stop::Failed(why),
            (KafkaError::Transaction(error), _) if error.is_retriable() => Stop::Again(why),
            _ => Stop::InDoubt(why),
        }
    }

    fn failure(self, topics: &Topics) -> Failure {
        match self {
            Stop::Again(why) | Stop::InDoubt(why) | Stop::Fenced(why) => {
                Failure::new(format!("cannot begin transactions as {}: {why}", topics.job))
            }
            Stop::Failed(why) => Failure::refused(format!(
                "cannot commit to the topics of job {}: {why}",
                topics.job,
            )),
        }
    }
}

#[cfg(test)]
mod tests;
