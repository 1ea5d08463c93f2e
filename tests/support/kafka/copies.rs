//! The topics of a job as a test writes them: what its directory holds, as it is or damaged.

use clicks::commit::sha256_hex;

use super::{Record, Topic, create_topic, produce, unique};
use crate::golden::shell::{Results, json};

/// Partitions of each log.
const WIDTHS: [(&str, i32); 4] = [("counts", 3), ("ranks", 2), ("rejects", 1), ("ledger", 1)];

/// What is to be written as the topics of a job.
#[derive(Clone, Debug)]
pub struct Copy {
    pub job: String,
    pub counts: Vec<Record>,
    pub ranks: Vec<Record>,
    pub rejects: Vec<Record>,
    /// The ledger's lines, whose chain holds.
    pub ledger: Vec<Record>,
}

impl Copy {
    /// What a directory holds of the job `ads`, under a name of its own.
    pub fn of(results: &Results) -> Copy {
        let job = unique("copy");
        let mut previous = String::new();
        let mut ledger = Vec::new();
        for line in &results.ledger {
            let mut record = json(line);
            record["job"] = job.as_str().into();
            let fields = record.as_object_mut().unwrap();
            fields.shift_remove("lengths");
            if fields.contains_key("previous") {
                record["previous"] = previous.as_str().into();
            }
            let line = record.to_string();
            previous = sha256_hex(&[line.as_bytes()]);
            ledger.push(keyless(&line));
        }
        Copy {
            job,
            counts: results.counts.iter().map(|row| counted(row)).collect(),
            ranks: results.ranks.iter().map(|row| ranked(row)).collect(),
            rejects: results.rejects.iter().map(|row| keyless(row)).collect(),
            ledger,
        }
    }

    /// Makes the topics, `counts` with these settings, and fills all of them.
    pub fn write(&self, counts: &[(&str, &str)]) {
        self.make(counts);
        self.append();
    }

    /// Makes the topics.
    pub fn make(&self, counts: &[(&str, &str)]) {
        for (log, width) in WIDTHS {
            let config = if log == "counts" { counts } else { &[] };
            create_topic(&self.topic(log).name, width, config);
        }
    }

    /// Appends all records, those of the ledger last.
    pub fn append(&self) {
        produce(&self.topic("counts"), &self.counts);
        produce(&self.topic("ranks"), &self.ranks);
        produce(&self.topic("rejects"), &self.rejects);
        produce(&self.topic("ledger"), &self.ledger);
    }

    /// The topic of a log.
    pub fn topic(&self, log: &str) -> Topic {
        Topic { brokers: super::brokers().to_owned(), name: format!("{}.{log}", self.job) }
    }
}

fn keyless(line: &str) -> Record {
    Record { value: Some(line.as_bytes().to_vec()), ..Record::default() }
}

fn counted(row: &str) -> Record {
    let value = json(row);
    let text = |name: &str| value[name].as_str().unwrap().to_owned();
    let (ad, minute, filter) = (text("ad_id"), text("minute"), &value["filter"]);
    let key = format!("{ad}|{minute}|{filter}");
    Record { partition: partition(&ad, 3), key: Some(key.into_bytes()), ..keyless(row) }
}

fn ranked(row: &str) -> Record {
    let value = json(row);
    let minute = value["minute"].as_str().unwrap();
    let key = format!("{}|{}|{minute}", value["filter"], value["window"]);
    Record { partition: partition(&key, 2), key: Some(key.into_bytes()), ..keyless(row) }
}

/// The partition of Java's default partitioner.
fn partition(key: &str, width: i32) -> i32 {
    const M: i32 = 0x5bd1_e995;
    let bytes = key.as_bytes();
    let mut h = 0x9747_b28c_u32.cast_signed() ^ i32::try_from(bytes.len()).unwrap();
    let (words, rest) = bytes.as_chunks::<4>();
    for word in words {
        let k = i32::from_le_bytes(*word).wrapping_mul(M);
        let k = k ^ (k.cast_unsigned() >> 24).cast_signed();
        h = h.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    for (at, byte) in rest.iter().enumerate().rev() {
        h ^= i32::from(*byte) << (8 * at);
    }
    if !rest.is_empty() {
        h = h.wrapping_mul(M);
    }
    h ^= (h.cast_unsigned() >> 13).cast_signed();
    h = h.wrapping_mul(M);
    h ^= (h.cast_unsigned() >> 15).cast_signed();
    (h & 0x7fff_ffff) % width
}
