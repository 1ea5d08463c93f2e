//! A segment as it is read: its footer, then one row group after the other.

use std::io::Cursor;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::statistics::Statistics;

use super::batch::Batch;
use super::catalog::Listed;
use super::columns::{self, schema};
use super::error::RawError;
use super::facts::Facts;
use super::seal::{self, footer_bytes, of_group};

/// Bytes of the end of a file that are read in the hope that the footer is in them.
pub const TAIL_BYTES: u64 = 1 << 16;

/// Rows that are decoded together.
const BATCH: usize = 4096;

/// What a segment's footer says.
pub struct Segment {
    /// What the segment says about itself.
    pub facts: Facts,
    /// The file, in words.
    pub file: String,
    metadata: ArrowReaderMetadata,
    /// Digests of what is needed of each row group.
    groups: Vec<u64>,
}

/// Which columns are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// What the graph needs.
    Clicks,
    /// All that the log held.
    Everything,
}

impl Wanted {
    fn mask(self, segment: &Segment) -> ProjectionMask {
        match self {
            Wanted::Clicks => {
                ProjectionMask::roots(segment.metadata.parquet_schema(), 0..columns::NEEDED)
            }
            Wanted::Everything => ProjectionMask::all(),
        }
    }
}

/// What was found of a footer.
pub enum Footer {
    /// All of it.
    Whole(Box<Segment>),
    /// So many bytes of the end of the file are needed.
    Needs(u64),
}

impl Segment {
    /// The segment `listed`, called `file`, of whose end `tail` was read.
    ///
    /// # Errors
    ///
    /// When it is no segment of this raw log, or damaged.
    pub fn of(listed: &Listed, tail: &Bytes, file: &str) -> Result<Footer, RawError> {
        let bytes = footer_bytes(tail, listed.size, file)?;
        let footer = usize::try_from(bytes).ok().and_then(|bytes| tail.len().checked_sub(bytes));
        let Some(start) = footer else { return Ok(Footer::Needs(bytes)) };
        let seal::Footer { metadata, groups } = seal::open(&tail[start..], file)?;
        let facts = Facts::of(&metadata, file)?;
        if facts.place() != listed.place {
            return Err(RawError::damaged(
                file,
                format!("it says that it is {}", facts.place().path()),
            ));
        }
        let rows = metadata.file_metadata().num_rows();
        if u64::try_from(rows) != Ok(facts.records) {
            return Err(RawError::damaged(
                file,
                format!("it has {rows} rows, and says that they are {}", facts.records),
            ));
        }
        let options = ArrowReaderOptions::new().with_schema(schema());
        let metadata = ArrowReaderMetadata::try_new(Arc::new(metadata), options)
            .map_err(|error| RawError::damaged(file, format!("columns: {error}")))?;
        let file = file.to_owned();
        Ok(Footer::Whole(Box::new(Segment { facts, file, metadata, groups })))
    }

    /// How many row groups it has.
    pub fn groups(&self) -> usize {
        self.metadata.metadata().num_row_groups()
    }

    /// The last offset of a row group, if its statistics say so.
    pub fn last_of(&self, group: usize) -> Option<u64> {
        let column = self.metadata.metadata().row_group(group).column(columns::OFFSET);
        match column.statistics()? {
            Statistics::Int64(offsets) => u64::try_from(*offsets.max_opt()?).ok(),
            _ => None,
        }
    }

    /// Where in the file the wanted columns of a row group are.
    pub fn ranges(&self, group: usize, wanted: Wanted) -> Vec<Range<u64>> {
        let mask = wanted.mask(self);
        let columns = self.metadata.metadata().row_group(group).columns().iter().enumerate();
        let wanted = columns.filter(|(leaf, _)| mask.leaf_included(*leaf));
        let range = |(start, length): (u64, u64)| start..start + length;
        wanted.map(|(_, column)| range(column.byte_range())).collect()
    }

    /// The rows of a row group, of whose wanted columns `bytes` are at [`Segment::ranges`].
    ///
    /// # Errors
    ///
    /// When they are damaged.
    pub fn rows(
        self: &Arc<Self>,
        group: usize,
        wanted: Wanted,
        bytes: Vec<Bytes>,
    ) -> Result<Rows, RawError> {
        let read = bytes.iter().map(|bytes| bytes.len() as u64).sum();
        if of_group(bytes.iter().take(columns::NEEDED).map(|bytes| &bytes[..]))
            != self.groups[group]
        {
            let why = format!("row group {group} is not that of its digest");
            return Err(RawError::damaged(&self.file, why));
        }
        let starts = self.ranges(group, wanted).into_iter().map(|range| range.start);
        let chunks = Chunks(starts.zip(bytes).collect());
        let reader =
            ParquetRecordBatchReaderBuilder::new_with_metadata(chunks, self.metadata.clone())
                .with_row_groups(vec![group])
                .with_projection(wanted.mask(self))
                .with_batch_size(BATCH)
                .build()
                .map_err(|error| RawError::damaged(&self.file, error))?;
        Ok(Rows { segment: Arc::clone(self), reader, bytes: read })
    }
}

/// The rows of a row group, some at a time.
pub struct Rows {
    segment: Arc<Segment>,
    reader: ParquetRecordBatchReader,
    bytes: u64,
}

impl Rows {
    /// Whose rows they are.
    pub fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    /// Bytes that were read for them.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next rows.
    ///
    /// # Errors
    ///
    /// When they are damaged.
    pub fn batch(&mut self) -> Result<Option<Batch>, RawError> {
        match self.reader.next() {
            None => Ok(None),
            Some(Ok(batch)) => Batch::of(&batch, &self.segment).map(Some),
            Some(Err(error)) => Err(RawError::damaged(&self.segment.file, error)),
        }
    }
}

/// Some stretches of a file.
struct Chunks(Vec<(u64, Bytes)>);

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.0.iter().map(|(start, bytes)| start + bytes.len() as u64).max().unwrap_or(0)
    }
}

impl ChunkReader for Chunks {
    type T = Cursor<Bytes>;

    fn get_read(&self, start: u64) -> Result<Cursor<Bytes>, ParquetError> {
        let found =
            self.0.iter().find(|(at, bytes)| start >= *at && start < at + bytes.len() as u64);
        let (at, bytes) = found.ok_or_else(|| not_read(start))?;
        let skipped = usize::try_from(start - at).map_err(|_| not_read(start))?;
        Ok(Cursor::new(bytes.slice(skipped..)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let bytes = self.get_read(start)?.into_inner();
        let enough = bytes.len() >= length;
        enough.then(|| bytes.slice(..length)).ok_or_else(|| not_read(start))
    }
}

fn not_read(start: u64) -> ParquetError {
    ParquetError::EOF(format!("a page at byte {start} is outside of its column"))
}
