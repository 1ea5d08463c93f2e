//! Records of a partition in batches, each partition from a queue of its own.
//!
//! A partition that is not asked keeps what it has fetched and fetches no more, so that uneven
//! partitions hold bounded memory. The calls below are those that rdkafka does not wrap: taking a
//! batch costs half of taking its records one by one.

#![expect(unsafe_code, reason = "librdkafka's batch call; see the invariants of `Queue`")]

use std::ffi::{CStr, CString};
use std::ptr;
use std::rc::Rc;
use std::time::Duration;

use clicks_dataflows::ingest::{Beside, Header};
use clicks_dataflows::time::Millis;
use rdkafka::bindings as sys;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use crate::failure::{Attempt, Failure};
use crate::kafka::client::Consumer;

/// What a partition holds.
pub enum Fetched<'a> {
    /// A record.
    Record {
        /// Its offset.
        offset: u64,
        /// When the log took it, or the producer made it; absent if nobody says.
        time: Option<Millis>,
        /// What it holds; nothing if it is a tombstone.
        value: &'a [u8],
        /// Its key, its headers where they were asked for, and whether it is a tombstone.
        beside: Beside<'a>,
    },
    /// Nothing lies before this offset that has not been handed over, and nothing at it yet.
    End(u64),
    /// The partition cannot be read on, or not for the moment.
    Error(RDKafkaErrorCode),
}

/// The queue of one partition.
///
/// Invariants: `queue` is a queue of `consumer`, which lives as long as it; records are destroyed
/// before `take` returns, so that no slice outlives its record.
pub struct Queue {
    queue: *mut sys::rd_kafka_queue_t,
    /// Whether headers are handed over.
    headers: bool,
    batch: Vec<*mut sys::rd_kafka_message_t>,
    topic: String,
    partition: i32,
    consumer: Rc<Consumer>,
}

impl Queue {
    /// Begins to read a partition at `offset`.
    ///
    /// # Errors
    ///
    /// When the client refuses it.
    pub fn open(
        consumer: &Rc<Consumer>,
        topic: &str,
        partition: u32,
        offset: u64,
    ) -> Result<Queue, Failure> {
        let attempt = || format!("cannot read partition {partition} of topic {topic}");
        let name = CString::new(topic).attempt(attempt)?;
        let partition = i32::try_from(partition).attempt(attempt)?;
        let offset = i64::try_from(offset).attempt(attempt)?;
        // SAFETY: the client is alive, and `name` ends with a zero.
        let queue = unsafe {
            sys::rd_kafka_queue_get_partition(
                consumer.client().native_ptr(),
                name.as_ptr(),
                partition,
            )
        };
        if queue.is_null() {
            return Err(Failure::new(attempt()));
        }
        let queue = Queue {
            queue,
            headers: false,
            batch: Vec::new(),
            topic: topic.to_owned(),
            partition,
            consumer: Rc::clone(consumer),
        };
        // SAFETY: the queue is alive; without a target it keeps what it gets.
        unsafe { sys::rd_kafka_queue_forward(queue.queue, ptr::null_mut()) };
        let mut start = TopicPartitionList::new();
        start.add_partition_offset(topic, partition, Offset::Offset(offset)).attempt(attempt)?;
        consumer.incremental_assign(&start).attempt(attempt)?;
        Ok(queue)
    }

    /// Hands over headers too.
    #[must_use]
    pub fn with_headers(mut self) -> Queue {
        self.headers = true;
        self
    }

    /// Hands over at most `limit` records, waiting at most `patience` for the first; returns how
    /// many things it has handed over.
    pub fn take(
        &mut self,
        limit: usize,
        patience: Duration,
        take: &mut dyn FnMut(Fetched<'_>),
    ) -> usize {
        self.batch.resize(limit, ptr::null_mut());
        let patience = i32::try_from(patience.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the queue is alive, and the batch has room for `limit` records.
        let taken = unsafe {
            sys::rd_kafka_consume_batch_queue(
                self.queue,
                patience,
                self.batch.as_mut_ptr(),
                self.batch.len(),
            )
        };
        let taken = usize::try_from(taken).unwrap_or(0);
        for record in &self.batch[..taken] {
            // SAFETY: the first `taken` pointers are records of ours, each destroyed once.
            unsafe {
                let headers = if self.headers { headers(*record) } else { Vec::new() };
                take(fetched(*record, &headers));
                sys::rd_kafka_message_destroy(*record);
            }
        }
        taken
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: the queue is destroyed once, before its consumer.
        unsafe { sys::rd_kafka_queue_destroy(self.queue) };
        let mut gone = TopicPartitionList::new();
        gone.add_partition(&self.topic, self.partition);
        // A consumer that is closing has given up all partitions.
        let _ = self.consumer.incremental_unassign(&gone);
    }
}

/// What `record` is.
///
/// # Safety
///
/// `record` points to a record that outlives the result.
unsafe fn fetched<'a>(
    record: *mut sys::rd_kafka_message_t,
    headers: &'a [Header<'a>],
) -> Fetched<'a> {
    // SAFETY: as the caller promises; places and lengths are of the same record.
    unsafe {
        let offset = u64::try_from((*record).offset).unwrap_or(0);
        match RDKafkaErrorCode::from((*record).err) {
            RDKafkaErrorCode::NoError => {}
            RDKafkaErrorCode::PartitionEOF => return Fetched::End(offset),
            error => return Fetched::Error(error),
        }
        let key =
            (!(*record).key.is_null()).then(|| bytes((*record).key.cast(), (*record).key_len));
        let null = (*record).payload.is_null();
        let value = bytes((*record).payload.cast(), (*record).len);
        let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        let time = sys::rd_kafka_message_timestamp(record, &mut kind);
        Fetched::Record {
            offset,
            time: Millis::try_from(time).ok().filter(|time| *time > 0),
            value,
            beside: Beside { key, headers, null },
        }
    }
}

/// The headers of `record`, in their order; a key that is not UTF-8 is cut before the first byte
/// that is none.
///
/// # Safety
///
/// `record` points to a record that outlives the result.
unsafe fn headers<'a>(record: *mut sys::rd_kafka_message_t) -> Vec<Header<'a>> {
    let mut found = Vec::new();
    // SAFETY: as the caller promises; names and values are of the same record.
    unsafe {
        let mut all = ptr::null_mut();
        let code = sys::rd_kafka_message_headers(record, &mut all);
        if code != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return found;
        }
        for at in 0.. {
            let (mut name, mut value, mut length) = (ptr::null(), ptr::null(), 0);
            let code = sys::rd_kafka_header_get_all(all, at, &mut name, &mut value, &mut length);
            if code != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                break;
            }
            let key = CStr::from_ptr(name).to_bytes();
            let key = key.utf8_chunks().next().map_or("", |chunk| chunk.valid());
            let value = (!value.is_null()).then(|| bytes(value.cast(), length));
            found.push(Header { key, value });
        }
    }
    found
}

/// The bytes at `start`; nothing if there is no such place.
///
/// # Safety
///
/// `length` bytes are at `start`, unless it is null, and outlive the result.
unsafe fn bytes<'a>(start: *const u8, length: usize) -> &'a [u8] {
    match start.is_null() {
        true => &[],
        // SAFETY: as the caller promises.
        false => unsafe { std::slice::from_raw_parts(start, length) },
    }
}
