//! The columns of a segment, and how each is written.
//!
//! | column | holds |
//! |---|---|
//! | `offset`, `log_time` | the record's place in its partition; when the log took it |
//! | `ad_id`, `click_timestamp`, `user_id`, `ip`, `country`, `click_id` | the click, if it is one |
//! | `stated_log_time` | the log time that the record states, if fields say that it does |
//! | `shape` | the number of the shape that gives the record back |
//! | `value` | its bytes, where no shape does, or what stands in the gaps of its shape; none for a null |
//! | `bytes` | its length, where `value` is only its beginning |
//! | `key`, `headers` | what a topic holds beside the value |
//!
//! Topic and partition are in the path, where readers look for them.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, Schema, TimeUnit};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

/// The offset, which is the first column.
pub const OFFSET: usize = 0;

/// The number of columns that the graph needs, which are the first; keys and headers follow.
pub const NEEDED: usize = 12;

/// Rows of a row group at most: what is read at once.
pub const ROWS_MAX: usize = 1 << 16;

/// Bytes of a row group at most.
pub const GROUP_BYTES_MAX: usize = 16 << 20;

/// Numbers that are near the one before.
const NEAR: [&str; 4] = ["offset", "log_time", "click_timestamp", "stated_log_time"];

/// Values that repeat so much that a dictionary of them is smaller.
const REPEATED: [&str; 2] = ["country", "shape"];

/// Bytes of which nobody asks the least.
const OPAQUE: [&str; 2] = ["value", "key"];

/// The columns.
pub fn schema() -> Arc<Schema> {
    let time = || DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let column = |name: &str, kind: DataType| Field::new(name, kind, true);
    let header = Fields::from(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", DataType::Binary, true),
    ]);
    let headers = Field::new("element", DataType::Struct(header), false);
    Arc::new(Schema::new(vec![
        Field::new("offset", DataType::Int64, false),
        column("log_time", time()),
        column("ad_id", DataType::Utf8),
        column("click_timestamp", time()),
        column("user_id", DataType::Utf8),
        column("ip", DataType::Utf8),
        column("country", DataType::Utf8),
        column("click_id", DataType::Utf8),
        column("stated_log_time", time()),
        column("shape", DataType::Int16),
        column("value", DataType::Binary),
        column("bytes", DataType::Int64),
        column("key", DataType::Binary),
        column("headers", DataType::List(Arc::new(headers))),
    ]))
}

/// How they are written.
pub fn properties() -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_created_by(format!("clicks {}", env!("CARGO_PKG_VERSION")))
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_dictionary_enabled(false)
        .set_max_row_group_row_count(Some(ROWS_MAX))
        .set_max_row_group_bytes(Some(GROUP_BYTES_MAX))
        // Of each row group: what is read is read whole.
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true);
    for column in NEAR.map(ColumnPath::from) {
        properties = properties.set_column_encoding(column, Encoding::DELTA_BINARY_PACKED);
    }
    for column in REPEATED.map(ColumnPath::from) {
        properties = properties.set_column_dictionary_enabled(column, true);
    }
    for column in OPAQUE.map(ColumnPath::from) {
        properties = properties.set_column_statistics_enabled(column, EnabledStatistics::None);
    }
    properties.set_column_bloom_filter_enabled("ad_id".into(), true).build()
}
