//! A topic into which generated clicks go.
//!
//! Records go to the partition that their plan says, without a key, and are of the time at which
//! they arrive by the plan. The producer is idempotent: what it sends again after an error comes
//! neither twice nor out of order.

use std::time;

use clicks_dataflows::time::{Millis, Time};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseRecord, Producer as _};

use crate::duration::Duration;
use crate::failure::{Attempt, Failure};
use crate::generate::{Made, Outlet, Plan};
use crate::kafka::client::{Cluster, PATIENCE, Producer};
use crate::kafka::policy;

/// How long a record waits for others with which it is sent.
const LINGER_MS: &str = "20";

/// Fewer records a second than this do not wait.
const FEW_PER_SECOND: u64 = 1000;

/// Records between two looks at what became of those before.
const LOOK_EVERY: u64 = 1024;

/// A topic that is there.
pub struct Topic {
    cluster: Cluster,
    name: String,
    partitions: u32,
    records: u64,
    /// How long it keeps records after the time that they state, if it deletes them by that.
    kept_ms: Option<Millis>,
}

impl Topic {
    /// Looks at a topic.
    ///
    /// # Errors
    ///
    /// When no broker answers, or the topic is missing.
    pub fn find(cluster: &Cluster, name: &str) -> Result<Topic, Failure> {
        let brokers = cluster.brokers();
        let attempt = || format!("cannot look at topic {name} at {brokers}");
        let client = cluster.asked()?;
        let metadata = cluster.reach()?;
        let found = metadata.topics().iter().find(|topic| topic.name() == name);
        let partitions = found.map_or(0, |topic| topic.partitions().len());
        if partitions == 0 {
            return Err(Failure::refused(format!(
                "topic {name} is missing at {brokers}: make it with `clicks topics create -b \
                 {brokers} --input {name} --partitions 4`",
            )));
        }
        let partitions = u32::try_from(partitions).expect("a partition is an i32");
        let mut records = 0;
        for partition in 0..partitions {
            let partition = i32::try_from(partition).expect("a partition is an i32");
            let ends = client.fetch_watermarks(name, partition, PATIENCE);
            let (low, end) = ends.attempt(attempt)?;
            records += u64::try_from(end - low).unwrap_or(0);
        }
        let kept_ms = policy::stated_time_kept_ms(cluster, name);
        Ok(Topic { cluster: cluster.clone(), name: name.to_owned(), partitions, records, kept_ms })
    }

    /// Its partitions.
    pub fn partitions(&self) -> u32 {
        self.partitions
    }

    /// The records that it holds, with the marks of transactions among them.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Checks that it can hold the records of `plan` at the time `now`.
    ///
    /// # Errors
    ///
    /// When it has too few partitions, or would delete the records as soon as they come.
    pub fn check(&self, plan: &Plan, now: Millis) -> Result<(), Failure> {
        let Topic { name, partitions, .. } = self;
        if plan.partitions > *partitions {
            return Err(Failure::refused(format!(
                "--partitions {} is more than topic {name} has: {partitions}",
                plan.partitions,
            )));
        }
        match self.kept_ms {
            Some(kept) if plan.start_ms + kept < now => Err(Failure::refused(format!(
                "topic {name} keeps records for {}, and the first would be of {}, by which it is \
                 deleted at once: make the topic with message.timestamp.type=LogAppendTime or \
                 retention.ms=-1, or let --start be later",
                Duration(kept),
                Time(plan.start_ms),
            ))),
            _ => Ok(()),
        }
    }

    /// Begins to write to it, at this rate if there is one.
    ///
    /// # Errors
    ///
    /// When librdkafka refuses a property.
    pub fn outlet(self, per_second: Option<u64>) -> Result<TopicOutlet, Failure> {
        let is_slow = per_second.is_some_and(|records| records < FEW_PER_SECOND);
        let producer = self.cluster.producer(&[
            ("enable.idempotence", "true"),
            ("acks", "all"),
            ("linger.ms", if is_slow { "0" } else { LINGER_MS }),
            ("batch.size", "1000000"),
            ("batch.num.messages", "100000"),
            ("compression.type", "lz4"),
            ("queue.buffering.max.messages", "500000"),
        ])?;
        Ok(TopicOutlet { topic: self.name, producer, taken: 0 })
    }
}

/// A topic that is written to.
pub struct TopicOutlet {
    topic: String,
    producer: Producer,
    taken: u64,
}

impl TopicOutlet {
    /// Hears what became of records that were sent, waiting at most so long.
    fn look(&self, patience: time::Duration) -> Result<(), Failure> {
        self.producer.poll(patience);
        match self.producer.context().undelivered() {
            Some(why) => Err(Failure::new(why)),
            None => Ok(()),
        }
    }
}

impl Outlet for TopicOutlet {
    fn take(&mut self, made: &Made) -> Result<(), Failure> {
        let partition = i32::try_from(made.partition).expect("a partition is an i32");
        let time = i64::try_from(made.arrival_ms).expect("the plan bounds the times");
        let record = BaseRecord::<(), [u8]>::to(&self.topic).partition(partition).timestamp(time);
        let mut record = record.payload(&made.line);
        loop {
            let (error, back) = match self.producer.send(record) {
                Ok(()) => break,
                Err(refused) => refused,
            };
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                let attempt =
                    || format!("cannot write to partition {partition} of topic {}", self.topic);
                return Err(error).attempt(attempt);
            }
            self.look(time::Duration::from_millis(1))?;
            record = back;
        }
        self.taken += 1;
        if self.taken.is_multiple_of(LOOK_EVERY) { self.look(time::Duration::ZERO) } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.look(time::Duration::ZERO)
    }

    fn finish(&mut self) -> Result<(), Failure> {
        while self.producer.in_flight_count() > 0 {
            self.look(time::Duration::from_millis(1))?;
        }
        self.look(time::Duration::ZERO)
    }
}
