//! One transaction: what is sent, and in which order.

use std::sync::Arc;
use std::time::Duration;

use clicks_dataflows::time::Millis;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseRecord, Producer as _};
use rdkafka::{Offset, TopicPartitionList};

use super::call::{CALL, Call, again};
use super::course::Course;
use super::stop::Stop;
use super::{Pending, Place, Transactions};
use crate::failpoint;
use crate::failpoint::reach;
use crate::kafka::partition;
use crate::kafka::results::Topics;
use crate::sink::Lines;
use crate::worker::monotonic_ms;

/// How long to wait before looking again at what was sent.
const BREATH: Duration = Duration::from_micros(500);

impl Transactions {
    /// One transaction.
    pub(super) fn attempt(&self, pending: &Pending<'_>, began: Millis) -> Result<(), Stop> {
        self.is_alive();
        let course = Course::new(began, self.times.deadline_ms());
        reach("before-begin");
        self.producer.begin_transaction().map_err(Stop::of)?;
        reach("after-begin");
        let Topics { counts, ranks, .. } = self.topics;
        self.send_all("counts", &pending.sealed.rows.counts, &course, |key| {
            let ad = key.rsplitn(3, |byte| *byte == b'|').last().unwrap_or(key);
            partition::of_key(ad, counts)
        })?;
        reach("after-counts");
        self.send_all("ranks", &pending.sealed.rows.ranks, &course, |key| {
            partition::of_key(key, ranks)
        })?;
        reach("after-ranks");
        self.send_all("rejects", &pending.sealed.rows.rejects, &course, |_| 0)?;
        reach("after-rejects");
        let line = (pending.sealed.line().as_bytes(), &b""[..]);
        self.send(&self.topics.name("ledger"), 0, line, &course)?;
        reach("after-ledger-line");
        reach("before-flush");
        self.drain(&course)?;
        reach("after-flush");
        reach("before-offsets");
        self.send_offsets(&pending.offsets, &course)?;
        reach("after-offsets");
        reach("before-commit");
        self.is_alive();
        if failpoint::asked_for("commit-sent") {
            let _ = self.producer.commit_transaction(Duration::from_millis(1));
        }
        reach("commit-sent");
        self.end(&course)?;
        reach("commit-answered");
        Ok(())
    }

    /// One transaction without rows.
    pub(super) fn say_offsets(&self, course: &Course) -> Result<(), Stop> {
        self.is_alive();
        self.producer.begin_transaction().map_err(Stop::of)?;
        self.send_offsets(&self.offsets, course)?;
        self.end(course)
    }

    fn send_all(
        &self,
        log: &str,
        lines: &Lines,
        course: &Course,
        partition: impl Fn(&[u8]) -> i32,
    ) -> Result<(), Stop> {
        let topic = self.topics.name(log);
        lines
            .rows()
            .try_for_each(|(row, key)| self.send(&topic, partition(key), (row, key), course))
    }

    /// Sends a row and its key, if it has one.
    fn send(
        &self,
        topic: &str,
        partition: i32,
        (row, key): (&[u8], &[u8]),
        course: &Course,
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
            self.breathe(course)?;
            record = back;
        }
    }

    /// Waits until all rows are taken: undrained, the commit would wait in steps of 100 ms.
    fn drain(&self, course: &Course) -> Result<(), Stop> {
        while self.producer.in_flight_count() > 0 {
            self.breathe(course)?;
        }
        Ok(())
    }

    fn send_offsets(&self, places: &[Place], course: &Course) -> Result<(), Stop> {
        if places.is_empty() {
            return Ok(());
        }
        self.is_alive();
        let mut offsets = TopicPartitionList::with_capacity(places.len());
        for (topic, partition, offset) in places {
            let offset = Offset::Offset(*offset);
            offsets.add_partition_offset(topic, *partition, offset).map_err(Stop::of)?;
        }
        let group = Arc::clone(&self.group);
        let send: Call =
            Arc::new(move |producer| producer.send_offsets_to_transaction(&offsets, &group, CALL));
        again(course, &self.producer, &send)
    }

    fn end(&self, course: &Course) -> Result<(), Stop> {
        self.is_alive();
        let commit: Call = Arc::new(|producer| producer.commit_transaction(CALL));
        again(course, &self.producer, &commit)
    }

    /// Lets the producer work for a moment on what is on its way, and hears what it says.
    fn breathe(&self, course: &Course) -> Result<(), Stop> {
        self.is_alive();
        // Asked to wait for less than 2 ms, it spins.
        self.producer.poll(Duration::ZERO);
        std::thread::sleep(BREATH);
        if let Some((code, why)) = self.producer.client().fatal_error() {
            return Err(Stop::of_code(Some(code), why, false));
        }
        let now = monotonic_ms();
        course.see(self.producer.in_flight_count(), now);
        if course.is_late(now) { Err(course.overrun()) } else { Ok(()) }
    }
}
