//! A segment as it is written.
//!
//! ```text
//! record ─▶ columns, and its shape or its bytes ─▶ row groups ─▶ a file, its facts in the footer
//! ```

use std::io::Write;
use std::sync::Arc;

use arrow_array::builder::{
    ArrayBuilder, BinaryBuilder, Int16Builder, Int64Builder, ListBuilder, StringBuilder,
    StructBuilder, TimestampMillisecondBuilder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::DataType;
use clicks_dataflows::click::ClickRef;
use clicks_dataflows::clock::Clock;
use clicks_dataflows::ingest::{Header, Record};
use clicks_dataflows::time::Millis;
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;

use super::columns::{properties, schema};
use super::facts::Facts;
use super::seal::room;
use super::shape::{Recent, Room, Values, write_ip};

/// Records that are put into columns together.
const BATCH: usize = 4096;

/// A segment that records are added to.
pub struct SegmentWriter<W: Write + Send> {
    writer: ArrowWriter<W>,
    rows: Rows,
    facts: Facts,
    recent: Recent,
    ip: String,
    room: Room,
}

impl<W: Write + Send> SegmentWriter<W> {
    /// A segment in `file` of which `facts` say where it begins.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn new(file: W, facts: Facts) -> Result<SegmentWriter<W>, ParquetError> {
        Ok(SegmentWriter {
            writer: ArrowWriter::try_new(file, schema(), Some(properties()))?,
            rows: Rows::default(),
            facts,
            recent: Recent::default(),
            ip: String::new(),
            room: Room::default(),
        })
    }

    /// Adds the next record, and the click that it is, if it is one.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn push(
        &mut self,
        record: &Record<'_>,
        click: Option<&ClickRef<'_>>,
    ) -> Result<(), ParquetError> {
        self.facts.last = record.offset;
        self.facts.records += 1;
        self.facts.bytes += record.bytes;
        widen(&mut self.facts.log_times, record.log_time);
        widen(&mut self.facts.click_times, click.map(|click| click.event_ms));
        let whole = record.value.len() as u64 == record.bytes;
        let mut ip = std::mem::take(&mut self.ip);
        let values = click.map(|click| {
            let address = click.ip.map(|address| {
                write_ip(address, &mut ip);
                ip.as_str()
            });
            Values::of(click, address)
        });
        let shape = values.as_ref().filter(|_| whole).and_then(|values| {
            self.recent.fit(&mut self.facts.shapes, record.value, values, &mut self.room)
        });
        let kept = match shape {
            Some(_) => Some(self.room.gaps.as_slice()).filter(|gaps| !gaps.is_empty()),
            None => (!record.beside.null).then_some(record.value),
        };
        self.rows.push(record, values.as_ref(), (shape, kept));
        self.ip = ip;
        if self.rows.offset.len() == BATCH {
            self.writer.write(&self.rows.finish())?;
        }
        Ok(())
    }

    /// Its first offset.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// About how many bytes it has.
    pub fn bytes(&self) -> u64 {
        (self.writer.bytes_written() + self.writer.in_progress_size()) as u64
    }

    /// Ends the segment, after which the clock is `after`; it has yet to be sealed.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn finish(mut self, after: Clock) -> Result<(W, Facts), ParquetError> {
        if self.rows.offset.len() > 0 {
            self.writer.write(&self.rows.finish())?;
        }
        self.facts.clocks.1 = after;
        self.writer.flush()?;
        self.writer.append_key_value_metadata(self.facts.to_footer());
        for pair in room(self.writer.flushed_row_groups().len()) {
            self.writer.append_key_value_metadata(pair);
        }
        Ok((self.writer.into_inner()?, self.facts))
    }
}

fn widen(range: &mut Option<(Millis, Millis)>, ms: Option<Millis>) {
    if let Some(ms) = ms {
        let (least, greatest) = range.unwrap_or((ms, ms));
        *range = Some((least.min(ms), greatest.max(ms)));
    }
}

/// Columns that are filled.
struct Rows {
    offset: Int64Builder,
    log_time: TimestampMillisecondBuilder,
    ad_id: StringBuilder,
    click_timestamp: TimestampMillisecondBuilder,
    user_id: StringBuilder,
    ip: StringBuilder,
    country: StringBuilder,
    click_id: StringBuilder,
    stated_log_time: TimestampMillisecondBuilder,
    shape: Int16Builder,
    value: BinaryBuilder,
    bytes: Int64Builder,
    key: BinaryBuilder,
    headers: ListBuilder<StructBuilder>,
}

impl Default for Rows {
    fn default() -> Rows {
        let time = || TimestampMillisecondBuilder::new().with_timezone("UTC");
        let schema = schema();
        let headers = schema.field_with_name("headers").expect("it is a column");
        let DataType::List(element) = headers.data_type() else {
            unreachable!("headers are a list")
        };
        let DataType::Struct(fields) = element.data_type() else {
            unreachable!("a header is a pair")
        };
        let pairs = StructBuilder::from_fields(fields.clone(), 0);
        Rows {
            offset: Int64Builder::new(),
            log_time: time(),
            ad_id: StringBuilder::new(),
            click_timestamp: time(),
            user_id: StringBuilder::new(),
            ip: StringBuilder::new(),
            country: StringBuilder::new(),
            click_id: StringBuilder::new(),
            stated_log_time: time(),
            shape: Int16Builder::new(),
            value: BinaryBuilder::new(),
            bytes: Int64Builder::new(),
            key: BinaryBuilder::new(),
            headers: ListBuilder::new(pairs).with_field(Arc::clone(element)),
        }
    }
}

impl Rows {
    /// Adds a record with its shape, and what is kept of its bytes.
    fn push(
        &mut self,
        record: &Record<'_>,
        values: Option<&Values<'_>>,
        (shape, kept): (Option<usize>, Option<&[u8]>),
    ) {
        self.offset.append_value(signed(record.offset));
        self.log_time.append_option(record.log_time.map(signed));
        self.ad_id.append_option(values.map(|values| values.ad_id));
        self.click_timestamp.append_option(values.map(|values| signed(values.time)));
        self.user_id.append_option(values.and_then(|values| values.user_id));
        self.ip.append_option(values.and_then(|values| values.ip));
        self.country.append_option(values.and_then(|values| values.country));
        self.click_id.append_option(values.and_then(|values| values.click_id));
        self.stated_log_time.append_option(values.and_then(|values| values.log_time).map(signed));
        let number = shape.map(|shape| i16::try_from(shape).expect("shapes are few"));
        self.shape.append_option(number);
        self.value.append_option(kept);
        let longer = record.bytes > record.value.len() as u64;
        self.bytes.append_option(longer.then(|| signed(record.bytes)));
        self.key.append_option(record.beside.key);
        self.push_headers(record.beside.headers);
    }

    fn push_headers(&mut self, headers: &[Header<'_>]) {
        let pairs = self.headers.values();
        for header in headers {
            let key: &mut StringBuilder = pairs.field_builder(0).expect("a header has a key");
            key.append_value(header.key);
            let value: &mut BinaryBuilder = pairs.field_builder(1).expect("a header has a value");
            value.append_option(header.value);
            pairs.append(true);
        }
        self.headers.append(!headers.is_empty());
    }

    fn finish(&mut self) -> RecordBatch {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.offset.finish()),
            Arc::new(self.log_time.finish()),
            Arc::new(self.ad_id.finish()),
            Arc::new(self.click_timestamp.finish()),
            Arc::new(self.user_id.finish()),
            Arc::new(self.ip.finish()),
            Arc::new(self.country.finish()),
            Arc::new(self.click_id.finish()),
            Arc::new(self.stated_log_time.finish()),
            Arc::new(self.shape.finish()),
            Arc::new(self.value.finish()),
            Arc::new(self.bytes.finish()),
            Arc::new(self.key.finish()),
            Arc::new(self.headers.finish()),
        ];
        RecordBatch::try_new(schema(), columns).expect("columns are those of the schema")
    }
}

/// Offsets and times are small enough to be signed.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
