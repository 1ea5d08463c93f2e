//! Rows of a segment, as records and as clicks.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Int16Type, Int64Type, TimestampMillisecondType};
use arrow_array::{
    Array, BinaryArray, Int16Array, Int64Array, ListArray, RecordBatch, StringArray, StructArray,
    TimestampMillisecondArray,
};
use clicks_dataflows::time::Millis;

use super::error::RawError;
use super::segment::Segment;
use super::shape::Values;

/// Some rows.
pub struct Batch {
    offset: Int64Array,
    log_time: TimestampMillisecondArray,
    ad_id: StringArray,
    click_timestamp: TimestampMillisecondArray,
    user_id: StringArray,
    ip: StringArray,
    country: StringArray,
    click_id: StringArray,
    stated_log_time: TimestampMillisecondArray,
    shape: Int16Array,
    value: BinaryArray,
    bytes: Int64Array,
    beside: Option<(BinaryArray, ListArray)>,
    segment: Arc<Segment>,
}

/// A header of a record: its key and its value.
pub type Header<'a> = (&'a str, Option<&'a [u8]>);

impl Batch {
    /// The rows of `batch`, which are of `segment`.
    pub(super) fn of(batch: &RecordBatch, segment: &Arc<Segment>) -> Result<Batch, RawError> {
        let column = |name: &str| {
            batch
                .column_by_name(name)
                .ok_or_else(|| RawError::damaged(&segment.file, format!("it has no column {name}")))
        };
        let time = |name: &str| {
            column(name).map(|array| array.as_primitive::<TimestampMillisecondType>().clone())
        };
        let text = |name: &str| column(name).map(|array| array.as_string().clone());
        let beside = match batch.column_by_name("key") {
            Some(keys) => {
                Some((keys.as_binary().clone(), column("headers")?.as_list::<i32>().clone()))
            }
            None => None,
        };
        let batch = Batch {
            offset: column("offset")?.as_primitive::<Int64Type>().clone(),
            log_time: time("log_time")?,
            ad_id: text("ad_id")?,
            click_timestamp: time("click_timestamp")?,
            user_id: text("user_id")?,
            ip: text("ip")?,
            country: text("country")?,
            click_id: text("click_id")?,
            stated_log_time: time("stated_log_time")?,
            shape: column("shape")?.as_primitive::<Int16Type>().clone(),
            value: column("value")?.as_binary().clone(),
            bytes: column("bytes")?.as_primitive::<Int64Type>().clone(),
            beside,
            segment: Arc::clone(segment),
        };
        batch.check()?;
        Ok(batch)
    }

    /// Whose rows they are.
    pub fn segment(&self) -> &Segment {
        &self.segment
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.offset.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.offset.is_empty()
    }

    /// A record's offset.
    pub fn offset(&self, row: usize) -> u64 {
        unsigned(self.offset.value(row))
    }

    /// When the log took a record.
    pub fn log_time(&self, row: usize) -> Option<Millis> {
        time(&self.log_time, row)
    }

    /// The columns of the click that a record is, if it is one.
    pub fn click(&self, row: usize) -> Option<Values<'_>> {
        let ad_id = text(&self.ad_id, row)?;
        Some(Values {
            ad_id,
            time: time(&self.click_timestamp, row)?,
            user_id: text(&self.user_id, row),
            ip: text(&self.ip, row),
            country: text(&self.country, row),
            click_id: text(&self.click_id, row),
            log_time: time(&self.stated_log_time, row),
        })
    }

    /// A record's bytes, put into `value`, or their beginning; none if the record is a null.
    pub fn value<'a>(&'a self, row: usize, value: &'a mut Vec<u8>) -> Option<&'a [u8]> {
        let kept = (!self.value.is_null(row)).then(|| self.value.value(row));
        let Some(shape) = self.shape(row) else { return kept };
        let values = self.click(row).expect("rows with a shape are clicks");
        value.clear();
        self.segment.facts.shapes[shape].write(&values, kept.unwrap_or_default(), value);
        Some(value)
    }

    fn shape(&self, row: usize) -> Option<usize> {
        let shape = (!self.shape.is_null(row)).then(|| self.shape.value(row));
        shape.map(|shape| usize::try_from(shape).expect("shapes were checked"))
    }

    /// Refuses rows whose columns do not hold together.
    fn check(&self) -> Result<(), RawError> {
        let shapes = self.segment.facts.shapes.len();
        let is_click = |row| !self.ad_id.is_null(row) && !self.click_timestamp.is_null(row);
        let gives_back = |row| {
            usize::try_from(self.shape.value(row)).is_ok_and(|at| at < shapes) && is_click(row)
        };
        match (0..self.len()).find(|row| !self.shape.is_null(*row) && !gives_back(*row)) {
            Some(row) => {
                let offset = self.offset(row);
                let why = format!("offset {offset} has a shape that does not give it back");
                Err(RawError::damaged(&self.segment.file, why))
            }
            None => Ok(()),
        }
    }

    /// The whole length of a record whose bytes are `value`.
    pub fn bytes(&self, row: usize, value: &[u8]) -> u64 {
        match self.bytes.is_null(row) {
            true => value.len() as u64,
            false => unsigned(self.bytes.value(row)),
        }
    }

    /// A record's key, where keys were read.
    pub fn key(&self, row: usize) -> Option<&[u8]> {
        let (keys, _) = self.beside.as_ref()?;
        (!keys.is_null(row)).then(|| keys.value(row))
    }

    /// A record's headers, where they were read.
    pub fn headers(&self, row: usize) -> Vec<Header<'_>> {
        let Some((_, headers)) = self.beside.as_ref().filter(|(_, all)| !all.is_null(row)) else {
            return Vec::new();
        };
        let pairs: &StructArray = headers.values().as_struct();
        let (keys, values) =
            (pairs.column(0).as_string::<i32>(), pairs.column(1).as_binary::<i32>());
        let ends = headers.value_offsets();
        let at = |end: i32| usize::try_from(end).expect("lists lie in memory");
        let range = at(ends[row])..at(ends[row + 1]);
        range.map(|at| (keys.value(at), (!values.is_null(at)).then(|| values.value(at)))).collect()
    }
}

fn text(array: &StringArray, row: usize) -> Option<&str> {
    (!array.is_null(row)).then(|| array.value(row))
}

fn time(array: &TimestampMillisecondArray, row: usize) -> Option<Millis> {
    (!array.is_null(row)).then(|| unsigned(array.value(row)))
}

/// Offsets and times are no less than 0.
fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
