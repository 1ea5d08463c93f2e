//! Damage of every kind to a segment is found before anything is decoded, and is no panic.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema};
use clicks_dataflows::clock::Clock;
use clicks_dataflows::decode::{self, Decoder};
use clicks_dataflows::ingest::{Beside, Header, Record};
use parquet::arrow::ArrowWriter;

use super::catalog::Catalog;
use super::check::check;
use super::columns::schema;
use super::error::RawError;
use super::facts::{Facts, Mapping, VERSION};
use super::layout::Hour;
use super::reader::{Reading, Step};
use super::seal::{room, seal};
use super::segment::Wanted;
use super::store::Store;
use super::write::SegmentWriter;

/// A raw log of one segment, in a directory that goes with it.
struct Log {
    directory: tempfile::TempDir,
    facts: Facts,
    whole: Vec<u8>,
}

impl Log {
    fn new() -> Log {
        let mapping =
            Mapping { input: serde_json::json!({}), ahead_max_ms: 1000, jump_max_ms: 1000 };
        let facts = Facts {
            version: VERSION,
            topic: "clicks".into(),
            partition: 0,
            file: None,
            first: 7,
            last: 7,
            records: 0,
            bytes: 0,
            hour: Hour::of(1_767_225_600_000).0,
            clocks: (Clock::default(), Clock::default()),
            mapping,
            header: None,
            log_times: None,
            click_times: None,
            shapes: Vec::new(),
        };
        let decoder = Decoder::new(&decode::Schema::default()).unwrap();
        let mut writer = SegmentWriter::new(Vec::new(), facts).unwrap();
        for number in 0..300_u64 {
            let value = match number % 10 {
                9 => "no click".to_owned(),
                ad => format!(
                    r#"{{"ad_id":"ad{ad}","click_timestamp":{},"user_id":"u{number}","ip":"10.0.0.{ad}"}}"#,
                    1_767_225_600_000 + number * 977,
                ),
            };
            let headers = [Header { key: "trace", value: Some(b"abc") }];
            let beside = Beside { key: Some(b"key"), headers: &headers, null: false };
            let (value, log_time) = (value.as_bytes(), Some(1_767_225_600_000 + number * 1000));
            let bytes = value.len() as u64;
            let record = Record { offset: 7 + number, log_time, value, bytes, beside };
            writer.push(&record, decoder.read(value).ok().as_ref()).unwrap();
        }
        let (mut whole, facts) = writer.finish(Clock::default()).unwrap();
        seal(&mut whole, "segment").unwrap();
        let log = Log { directory: tempfile::tempdir().unwrap(), facts, whole };
        log.put(&log.whole);
        log
    }

    /// Puts `segment` into the place of its segment.
    fn put(&self, segment: &[u8]) {
        let path = self.directory.path().join(self.facts.place().path().as_ref());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, segment).unwrap();
    }

    fn store(&self) -> Store {
        let path = self.directory.path().to_str().unwrap();
        Store::open(path, [], std::time::Duration::from_secs(1)).unwrap()
    }

    /// Whether a whole check finds nothing, and what a job would read.
    fn read(&self) -> (bool, Result<Vec<u8>, RawError>) {
        let store = self.store();
        let catalog = Catalog::read(&store, None).unwrap();
        let sound = check(&store, &catalog, true).faults.is_empty();
        let segments = catalog.partitions.values().next().unwrap();
        let read = || {
            let mut reading = Reading::new(&store, segments, 7, Wanted::Clicks)?;
            let (mut read, mut value) = (Vec::new(), Vec::new());
            loop {
                match reading.step()? {
                    Step::Waiting => std::thread::yield_now(),
                    Step::End(_) => return Ok(read),
                    Step::Rows(mut rows) => {
                        while let Some(batch) = rows.batch()? {
                            for row in 0..batch.len() {
                                read.extend(batch.offset(row).to_le_bytes());
                                read.extend(batch.log_time(row).unwrap().to_le_bytes());
                                read.extend(batch.value(row, &mut value).unwrap());
                                let Some(click) = batch.click(row) else { continue };
                                read.extend(click.ad_id.as_bytes());
                                read.extend(click.time.to_le_bytes());
                                read.extend(click.user_id.unwrap().as_bytes());
                                read.extend(click.ip.unwrap().as_bytes());
                            }
                        }
                    }
                }
            }
        };
        (sound, read())
    }
}

/// A sealed file that has the facts of a segment of no records, and these columns.
fn segment_of(log: &Log, columns: Schema) -> Vec<u8> {
    let mut writer = ArrowWriter::try_new(Vec::new(), Arc::new(columns), None).unwrap();
    let facts = Facts { records: 0, ..log.facts.clone() };
    writer.append_key_value_metadata(facts.to_footer());
    room(0).into_iter().for_each(|pair| writer.append_key_value_metadata(pair));
    let mut segment = writer.into_inner().unwrap();
    seal(&mut segment, "segment").unwrap();
    segment
}

#[test]
fn columns_that_are_missing_or_of_another_kind_are_refused() {
    let log = Log::new();
    let refused = |columns: Vec<Arc<Field>>| {
        log.put(&segment_of(&log, Schema::new(columns)));
        let (sound, read) = log.read();
        assert!(!sound);
        assert!(matches!(read, Err(RawError::Damaged { .. })), "{:?}", read.err());
    };
    let fields = schema().fields().to_vec();
    for at in 0..fields.len() {
        let mut fewer = fields.clone();
        fewer.remove(at);
        refused(fewer);
        let mut others = fields.clone();
        let other = others[at].as_ref().clone().with_data_type(DataType::Float64);
        others[at] = Arc::new(other);
        refused(others);
    }
}

#[test]
fn each_bit_that_flips_is_found_and_nothing_else_is_read() {
    let log = Log::new();
    let (sound, whole) = log.read();
    assert!(sound);
    let whole = whole.unwrap();
    let (mut passed, mut segment) = (0, log.whole.clone());
    // Each byte once, and no two neighbours at the same bit.
    for at in 0..segment.len() {
        let bit = 1 << (at * 5 % 8);
        segment[at] ^= bit;
        log.put(&segment);
        segment[at] ^= bit;
        let (sound, read) = log.read();
        assert!(!sound, "bit {bit} of byte {at} is not found");
        if let Ok(read) = read {
            assert!(read == whole, "bit {bit} of byte {at} changes what is read");
            passed += 1;
        }
    }
    // Keys, headers, blooms, the digest of the file.
    assert!(passed < segment.len() / 2, "{passed} of {}", segment.len());
}

#[test]
fn a_segment_that_is_cut_off_anywhere_is_found() {
    let log = Log::new();
    for length in 0..log.whole.len() {
        log.put(&log.whole[..length]);
        let (sound, read) = log.read();
        assert!(!sound && read.is_err(), "{length} bytes are taken for {}", log.whole.len());
    }
}
