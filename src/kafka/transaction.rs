//! One transaction for each commit, by one producer for each job.
//!
//! ```text
//! begin ─▶ counts, ranks, rejects ─▶ ledger line ─▶ flush ─▶ group offsets ─▶ commit
//!   └──── in doubt: a new producer, and the ledger's last line says whether it happened
//! ```
//!
//! While nothing is committed the group's offsets are told again now and then: who was taken over
//! hears of it.
//!
//! A producer that has lost its way is never used again: what it sent late could land in the next
//! transaction. Before a new one fences the old, and after it, the ledger is read; a line that is
//! not ours is that of another instance, which owns the job from then on.

mod attempt;
mod call;
mod course;
mod recover;
mod stop;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clicks_dataflows::time::Millis;
use rdkafka::consumer::{Consumer as _, ConsumerGroupMetadata};
use rdkafka::producer::Producer as _;

use crate::commit::sha256_hex;
use crate::failpoint::reach;
use crate::failure::Failure;
use crate::kafka::client::{Cluster, Producer};
use crate::kafka::health::HEALTH;
use crate::kafka::results::{self, Topics};
use crate::kafka::times::{TRANSACTION, Times};
use crate::sink::pulse::Pulse;
use crate::sink::thread::Sealed;
use crate::worker::monotonic_ms;
use call::{CALL, Call, again};
use course::Course;
use stop::Stop;

/// How often in a row brokers may take too long before nothing is gained by trying again.
const SLOW_MAX: u32 = 3;

/// The largest record that is sent: a ledger line of many partitions, a list of many ads.
pub const MESSAGE_BYTES_MAX: u32 = 10_000_000;

/// Where a group stands in a partition: topic, partition, offset.
pub type Place = (String, i32, i64);

/// What a commit makes visible.
pub struct Pending<'a> {
    /// The rows, and the ledger's line.
    pub sealed: &'a Sealed,
    /// Where the job stands in its input.
    pub offsets: Vec<Place>,
}

/// The job's transactions.
pub struct Transactions {
    cluster: Cluster,
    topics: Topics,
    producer: Arc<Producer>,
    group: Arc<ConsumerGroupMetadata>,
    /// The hash of the ledger's last line; none if there is no line.
    last: Option<String>,
    /// Set when nobody waits any more.
    give_up: Arc<AtomicBool>,
    times: Times,
    /// Beats when a call is begun.
    pulse: Pulse,
    /// Where the group stands, as it was told last.
    offsets: Vec<Place>,
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
        let times = Times::of(cluster)?;
        reach("before-init");
        let producer =
            producer(cluster, &topics.job, times).map_err(|stop| stop.failure(&topics))?;
        reach("after-init");
        let group = cluster.consumer(&[("group.id", &topics.job)])?.group_metadata();
        Ok(Transactions {
            cluster: cluster.clone(),
            group: Arc::new(group.expect("a consumer with a group has its metadata")),
            topics,
            producer,
            last: None,
            give_up: Arc::default(),
            times,
            pulse: Pulse::new(times.silence_ms()),
            offsets: Vec::new(),
            missing: 0,
        })
    }

    /// Goes on after a ledger line with this hash, where the group stands at `offsets`.
    pub fn resume(&mut self, last: &str, offsets: Vec<Place>) {
        self.last = Some(last.to_owned());
        self.offsets = offsets;
    }

    /// Set to end attempts that do not come to an end.
    pub fn give_up(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.give_up)
    }

    /// Beats when a call is begun.
    pub fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    fn is_alive(&self) {
        self.pulse.beat(monotonic_ms());
    }

    /// Makes `pending` visible, all or nothing, trying as long as that can help.
    ///
    /// # Errors
    ///
    /// When another instance owns the job, a broker will never take it, or brokers that answer
    /// take too long, again and again.
    pub fn commit(&mut self, pending: &Pending<'_>) -> Result<(), Failure> {
        let mut slow = 0;
        loop {
            let began = monotonic_ms();
            let stop = match self.attempt(pending, began) {
                Ok(()) => break,
                Err(stop) => stop,
            };
            slow = if matches!(stop, Stop::Slow(_)) { slow + 1 } else { 0 };
            if slow == SLOW_MAX {
                return Err(self.too_slow(pending));
            }
            self.doubt(stop, began)?;
            if self.recover(Some(pending))? {
                break;
            }
        }
        HEALTH.found();
        self.last = Some(sha256_hex(&[pending.sealed.line().as_bytes()]));
        if !pending.offsets.is_empty() {
            self.offsets.clone_from(&pending.offsets);
        }
        Ok(())
    }

    /// Makes sure that the job is still this instance's, while it has nothing to commit.
    ///
    /// A transaction says again where the group stands, which changes nothing, and fails if another
    /// instance has made a producer.
    ///
    /// # Errors
    ///
    /// When another instance owns the job.
    pub fn affirm(&mut self) -> Result<(), Failure> {
        if self.offsets.is_empty() {
            return Ok(());
        }
        let began = monotonic_ms();
        if let Err(stop) = self.say_offsets(&Course::new(began, self.times.deadline_ms())) {
            self.doubt(stop, began)?;
            self.recover(None)?;
        }
        HEALTH.found();
        Ok(())
    }

    /// Says that a transaction begun then is in doubt, if trying again can help.
    fn doubt(&self, stop: Stop, began: Millis) -> Result<(), Failure> {
        match stop {
            Stop::Failed(_) => Err(stop.failure(&self.topics)),
            Stop::Fenced(_) if monotonic_ms() < began + self.times.transaction_ms => {
                Err(self.owned())
            }
            Stop::Again(why) | Stop::InDoubt(why) | Stop::Slow(why) | Stop::Fenced(why) => {
                HEALTH.lost(&format!("a transaction is in doubt: {why}"));
                Ok(())
            }
        }
    }

    fn too_slow(&self, pending: &Pending<'_>) -> Failure {
        let rows = &pending.sealed.rows;
        Failure::new(format!(
            "cannot commit to the topics of job {}: brokers at {} answer, but have not taken {} \
             rows of {} KiB within {} s, {SLOW_MAX} times in a row; let {TRANSACTION} be longer, or \
             the brokers be faster",
            self.topics.job,
            self.cluster.brokers(),
            rows.count(),
            rows.bytes() >> 10,
            self.times.deadline_ms() / 1000,
        ))
    }
}

/// A producer of the job, all earlier ones of which are fenced.
fn producer(cluster: &Cluster, job: &str, times: Times) -> Result<Arc<Producer>, Stop> {
    let producer = cluster.producer(&[
        ("transactional.id", job),
        (TRANSACTION, &times.transaction_ms.to_string()),
        ("message.max.bytes", &MESSAGE_BYTES_MAX.to_string()),
        ("linger.ms", "0"),
        ("compression.type", "lz4"),
        ("queue.buffering.max.messages", "1000000"),
        // A row that was taken has nothing to say: to hear it would take each batch a breath.
        ("delivery.report.only.error", "true"),
    ]);
    let producer = Arc::new(producer.map_err(|failure| Stop::Failed(failure.to_string()))?);
    connect(&producer, &results::topic(job, "ledger"));
    let init: Call = Arc::new(|producer| producer.init_transactions(CALL));
    again(&Course::new(monotonic_ms(), times.transaction_ms), &producer, &init)?;
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

#[cfg(test)]
mod tests;
