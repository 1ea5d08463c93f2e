//! A loop that reads a topic and writes the rows that the job writes, without transactions.
//!
//! It reads as the bare loop does and counts as the plain one of the bench `graph`: copies are
//! looked for, and minutes told once they have settled. Rows go under the job's keys to the job's
//! partitions, by a producer with the job's compression and the client's own linger. What it cannot
//! do is go on after it was killed.

use std::time::Duration;

use clicks::kafka::client::Producer;
use clicks::kafka::partition;
use clicks::sink::Lines;
use clicks_dataflows::time::Millis;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseRecord, Producer as _};

use crate::bare;
use crate::beside::job::{decoder, options};
use crate::beside::plain::{Logs, Plain};
use crate::house::{House, cluster};
use crate::support::Topic;

/// Event time after which it is looked whether a minute has settled.
const LOOK_MS: Millis = 1000;

/// How long a broker may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Counts the clicks of `topic`, which has so many partitions, up to its end, and writes the rows
/// of the minutes that have settled to the topics of `house`.
pub fn count(topic: &Topic, partitions: i32, house: &House) {
    let decoder = decoder();
    let mut plain = Plain::new(options(6), Topics::of(house));
    let mut clocks = vec![0; usize::try_from(partitions).unwrap()];
    bare::read(topic, partitions, |partition, value| {
        let click = decoder.decode(value).expect("each record is a click").click;
        plain.take(&click);
        let clock = &mut clocks[partition];
        let before = std::mem::replace(clock, click.event_ms.max(*clock));
        if *clock / LOOK_MS > before / LOOK_MS {
            plain.settle_until(clocks.iter().copied().min().unwrap_or(0));
        }
    });
    plain.logs.finish();
}

/// Topics of results, and how many partitions they have.
struct Topics {
    producer: Producer,
    counts: (String, u32),
    ranks: (String, u32),
}

impl Topics {
    fn of(house: &House) -> Topics {
        let producer = cluster().producer(&[
            ("compression.type", "lz4"),
            ("queue.buffering.max.messages", "1000000"),
            ("delivery.report.only.error", "true"),
        ]);
        let producer = producer.unwrap();
        let [counts, ranks] = ["counts", "ranks"].map(|log| {
            let name = house.topic(log).name;
            // A client that knows who leads a partition does not wait before it looks again.
            let found = producer.client().fetch_metadata(Some(&name), PATIENCE).unwrap();
            let width = found.topics()[0].partitions().len();
            (name, u32::try_from(width).unwrap())
        });
        Topics { producer, counts, ranks }
    }

    fn send(&self, topic: &str, partition: i32, (row, key): (&[u8], &[u8])) {
        let mut record = BaseRecord::to(topic).partition(partition).payload(row).key(key);
        while let Err((error, back)) = self.producer.send(record) {
            assert_eq!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::QueueFull), "{error}");
            self.producer.poll(Duration::from_millis(1));
            record = back;
        }
    }

    /// Waits until the broker has all rows.
    fn finish(&self) {
        while self.producer.in_flight_count() > 0 {
            self.producer.poll(Duration::from_millis(1));
        }
        let undelivered = self.producer.context().undelivered();
        assert_eq!(undelivered, None, "the broker takes all rows");
    }
}

impl Logs for Topics {
    fn counts(&mut self, rows: &Lines) {
        let (topic, width) = &self.counts;
        for (row, key) in rows.rows() {
            let ad = key.rsplitn(3, |byte| *byte == b'|').last().unwrap_or(key);
            self.send(topic, partition::of_key(ad, *width), (row, key));
        }
    }

    fn ranks(&mut self, rows: &Lines) {
        let (topic, width) = &self.ranks;
        for (row, key) in rows.rows() {
            self.send(topic, partition::of_key(key, *width), (row, key));
        }
    }
}
