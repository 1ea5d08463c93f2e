//! What the footer of a segment says about it.
//!
//! Under `clicks` the footer holds these facts as JSON. What moves or copies segments need not know.

use clicks_dataflows::clock::Clock;
use clicks_dataflows::options::Options;
use clicks_dataflows::time::Millis;
use parquet::file::metadata::{KeyValue, ParquetMetaData};
use serde::{Deserialize, Serialize};

use super::error::RawError;
use super::layout::{Hour, Partition, Place};
use super::shape::Shape;

/// The version of segments that are written.
pub const VERSION: u32 = 1;

const FACTS: &str = "clicks";

/// What a segment says about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// Of the layout and of these facts.
    pub version: u32,
    /// The topic, or the directory.
    pub topic: String,
    /// The partition's number.
    pub partition: u32,
    /// The file of a directory that the partition is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub file: Option<String>,
    /// The first offset: records before it are in earlier segments.
    pub first: u64,
    /// The last record's offset: the next segment begins after it.
    pub last: u64,
    /// How many records it holds; others of its offsets are none.
    pub records: u64,
    /// Bytes of their values.
    pub bytes: u64,
    /// The hour under which it lies, since 1970.
    pub hour: u64,
    /// The clock before its first record, and after its last.
    pub clocks: (Clock, Clock),
    /// What clocks depend on, and fields.
    pub mapping: Mapping,
    /// The line that named the columns.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub header: Option<String>,
    /// The least and the greatest log time.
    pub log_times: Option<(Millis, Millis)>,
    /// The least and the greatest time of a click.
    pub click_times: Option<(Millis, Millis)>,
    /// Shapes of records, by number.
    pub shapes: Vec<Shape>,
}

/// By what the records of a segment were decoded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mapping {
    /// Format and fields, as ledgers remember them.
    pub input: serde_json::Value,
    /// How far a click may be ahead of its log time.
    pub ahead_max_ms: Millis,
    /// How far a click without log time moves the clock by itself.
    pub jump_max_ms: Millis,
}

impl Mapping {
    /// Whether clocks are those of a job with `options`.
    pub fn has_clocks_of(&self, options: &Options) -> bool {
        self.ahead_max_ms == options.ahead_max_ms && self.jump_max_ms == options.jump_max_ms
    }
}

impl Facts {
    /// Where the segment lies.
    pub fn place(&self) -> Place {
        let partition = Partition { topic: self.topic.clone(), number: self.partition };
        Place { partition, first: self.first, hour: Hour(self.hour) }
    }

    /// Whether its hour is that of a log time or of a clock, and no guess by a record.
    pub fn hour_is_known(&self) -> bool {
        self.log_times.is_some() || self.clocks.1.clock > 0
    }

    /// As the footer holds them.
    pub fn to_footer(&self) -> KeyValue {
        KeyValue::new(FACTS.to_owned(), serde_json::to_string(self).expect("facts are JSON"))
    }

    /// What the footer of `file` holds.
    ///
    /// # Errors
    ///
    /// When it is no segment, or of a later version.
    pub fn of(metadata: &ParquetMetaData, file: &str) -> Result<Facts, RawError> {
        let values = metadata.file_metadata().key_value_metadata();
        let facts = values.into_iter().flatten().find(|pair| pair.key == FACTS);
        let Some(facts) = facts.and_then(|pair| pair.value.as_deref()) else {
            return Err(RawError::damaged(file, "its footer has no facts of clicks"));
        };
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let parse = |error| RawError::damaged(file, format!("facts in its footer: {error}"));
        let Versioned { version } = serde_json::from_str(facts).map_err(parse)?;
        if version > VERSION {
            return Err(RawError::Place(format!(
                "{file} is of version {version}, and this program reads versions up to {VERSION}: \
                 use a later one",
            )));
        }
        serde_json::from_str(facts).map_err(parse)
    }
}
