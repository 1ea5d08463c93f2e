//! The least that a program can do with a topic: fetch, decode, count.
//!
//! One consumer with the settings of the job, records by the batch call, each decoded with the
//! job's decoder and counted in a map: no order, no copies found, nothing written. What reads is
//! shared with the loop that writes rows.

#![expect(unsafe_code, reason = "librdkafka's batch call, as the job makes it")]

use std::ptr;
use std::time::Duration;

use clicks_dataflows::click::AdId;
use clicks_dataflows::decode::{Decoder, Schema};
use clicks_dataflows::time::Minute;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use rdkafka::bindings as sys;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use crate::house::cluster;
use crate::support::Topic;

/// Records that a call takes at most.
const BATCH: usize = 10_000;

/// Clicks of each ad and minute.
pub type Counts = HashMap<(AdId, Minute), u64, FixedState>;

/// Counts the clicks of `topic`, which has so many partitions, up to its end.
pub fn count(topic: &Topic, partitions: i32) -> Counts {
    let decoder = Decoder::new(&Schema::default()).unwrap();
    let mut counts = Counts::default();
    read(topic, partitions, |_, value| {
        let click = decoder.decode(value).expect("each record is a click").click;
        let minute = click.minute();
        *counts.entry((click.ad, minute)).or_default() += 1;
    });
    counts
}

/// Reads `topic`, which has so many partitions, up to its end; `take` gets the partition and the
/// value of each record.
pub fn read(topic: &Topic, partitions: i32, mut take: impl FnMut(usize, &[u8])) {
    let consumer = cluster()
        .consumer(&[
            ("group.id", "bare"),
            ("isolation.level", "read_committed"),
            ("enable.partition.eof", "true"),
            ("fetch.wait.max.ms", "100"),
            ("queued.max.messages.kbytes", "65536"),
        ])
        .unwrap();
    // A client that knows who leads a partition does not wait before it looks again.
    consumer.fetch_watermarks(&topic.name, 0, Duration::from_secs(30)).unwrap();
    let mut start = TopicPartitionList::new();
    for partition in 0..partitions {
        start.add_partition_offset(&topic.name, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&start).unwrap();
    let mut open = partitions;
    let mut batch = vec![ptr::null_mut::<sys::rd_kafka_message_t>(); BATCH];
    // SAFETY: the client outlives its queue; each record is looked at and destroyed once.
    unsafe {
        let queue = sys::rd_kafka_queue_get_consumer(consumer.client().native_ptr());
        while open > 0 {
            let taken =
                sys::rd_kafka_consume_batch_queue(queue, 50, batch.as_mut_ptr(), batch.len());
            for &record in &batch[..usize::try_from(taken).unwrap_or(0)] {
                match RDKafkaErrorCode::from((*record).err) {
                    RDKafkaErrorCode::NoError => {
                        let value = (*record).payload.cast::<u8>();
                        let value = std::slice::from_raw_parts(value, (*record).len);
                        take(usize::try_from((*record).partition).unwrap(), value);
                    }
                    RDKafkaErrorCode::PartitionEOF => open -= 1,
                    error => println!("bare loop: {error}"),
                }
                sys::rd_kafka_message_destroy(record);
            }
        }
        sys::rd_kafka_queue_destroy(queue);
    }
}
