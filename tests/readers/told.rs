//! A job whose results are told twice: in topics, and in a directory to compare them with.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use super::programs::sorted;
use crate::support::binary::Place;
use crate::support::kafka::{self, Record, Topic};

/// Partitions of `counts`.
pub const PARTITIONS: i32 = 3;

/// Pieces in which clicks come to a job that follows them.
pub const PIECES: usize = 3;

/// A job whose changes are told as they come.
pub const RUN: &str = "run --set job.emit=changes --set job.refresh=500ms";

/// A job whose changes are told as they come, in topics and in the directory `out` of a place.
pub struct Told {
    pub place: Place,
    pub job: String,
}

impl Told {
    /// A job that has told nothing: its clicks are there, and its topics.
    pub fn nothing() -> Told {
        let told = Told { place: Place::new(), job: kafka::unique("told") };
        let clicks = "--clicks 3000 --ads 50 --seed 3 --duplicates 0.05 --late 0.05 \
            --malformed 0.05 --per-second 20 --start 2026-01-01T12:00:00Z";
        told.place.succeed(&format!("generate --to in {clicks}"));
        fs::create_dir(told.place.path("growing")).unwrap();
        create_topics(&told.job);
        told
    }

    /// Tells all, in topics and in the directory.
    pub fn tell(&self) {
        let (job, brokers) = (&self.job, kafka::brokers());
        self.place.succeed(&format!("{RUN} --input in --output kafka: --job {job} -b {brokers}"));
        self.tell_files();
    }

    /// Tells all in the directory.
    pub fn tell_files(&self) {
        self.place.succeed(&format!("{RUN} --input in --output out --job {}", self.job));
    }

    /// Appends a piece of all clicks to the files of another directory, `growing`.
    pub fn grow(&self, piece: usize) {
        for file in (0..4).map(|partition| format!("clicks-{partition}.jsonl")) {
            let bytes = self.place.bytes(&format!("in/{file}"));
            let cut = |piece| bytes.len() * piece / PIECES;
            self.place.append(&format!("growing/{file}"), &bytes[cut(piece)..cut(piece + 1)]);
        }
    }

    /// The lines of one of its logs, as the directory has them.
    pub fn lines(&self, log: &str) -> Vec<String> {
        let bytes = self.place.bytes(&format!("out/{}.{log}.jsonl", self.job));
        String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
    }

    /// The lines of `counts`, sorted.
    pub fn counts(&self) -> Vec<String> {
        sorted(self.lines("counts"))
    }

    /// What the rows of `counts` add up to, as the subscriber prints it.
    pub fn table(&self) -> String {
        let table: BTreeMap<Cell, u64> =
            self.lines("counts").iter().map(|line| row(line)).collect();
        table.into_iter().map(printed).collect()
    }
}

/// An ad, a minute, a filter.
pub type Cell = (String, String, u64);

/// The cell of a row, and what it has become.
pub fn row(line: &str) -> (Cell, u64) {
    let row: Value = serde_json::from_str(line).unwrap();
    let text = |key: &str| row[key].as_str().unwrap().to_owned();
    let number = |key: &str| row[key].as_u64().unwrap();
    ((text("ad_id"), text("minute"), number("filter")), number("clicks"))
}

/// A cell as the subscriber prints it.
pub fn printed(((ad, minute, filter), clicks): (Cell, u64)) -> String {
    format!("{ad}\t{minute}\t{filter}\t{clicks}\n")
}

pub fn create_topics(job: &str) {
    for (log, partitions) in [("counts", PARTITIONS), ("ranks", 2), ("rejects", 1), ("ledger", 1)] {
        topic(job, log).create(partitions, &[]);
    }
}

/// The topic of a job's log.
pub fn topic(job: &str, log: &str) -> Topic {
    Topic { brokers: kafka::brokers().to_owned(), name: format!("{job}.{log}") }
}

pub fn record(partition: i32, value: &str) -> Record {
    Record { partition, value: Some(value.into()), ..Record::default() }
}
