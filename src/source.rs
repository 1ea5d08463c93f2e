//! What the graph needs from an input: partitions of records, each read in the order of offsets.

use clicks_dataflows::click::ClickRef;
use clicks_dataflows::ingest::Record;
use clicks_dataflows::ledger::Name;
use clicks_dataflows::partition::Start;

use crate::failure::Failure;

/// A log of records: a directory of files, a topic, or a test's script.
pub trait Source {
    /// Partitions that have appeared since the last call, in the order of their names.
    ///
    /// # Errors
    ///
    /// When the log cannot be looked at, or is not what it was.
    fn discover(&mut self) -> Result<Vec<Name>, Failure>;

    /// The first offset that a partition still has.
    ///
    /// # Errors
    ///
    /// When the log cannot be looked at, or the partition is none of it.
    fn first(&mut self, _: &Name) -> Result<u64, Failure> {
        Ok(0)
    }

    /// Refuses what [`Source::open`] would, as far as it is known without reading.
    ///
    /// # Errors
    ///
    /// Those of [`Source::open`].
    fn check(&mut self, _: &Name, _: &Start) -> Result<(), Failure> {
        Ok(())
    }

    /// Begins to read the partition `name` as `start` says.
    ///
    /// # Errors
    ///
    /// When the partition cannot be read from there.
    fn open(&mut self, name: &Name, start: &Start) -> Result<(), Failure>;

    /// Hands over at most `limit` records of a partition, without waiting.
    ///
    /// # Errors
    ///
    /// When the log cannot be read.
    fn poll(
        &mut self,
        partition: u32,
        limit: usize,
        take: &mut dyn FnMut(Piece<'_>),
    ) -> Result<Polled, Failure>;
}

/// How an input ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Never: partitions may appear, grow and sleep.
    Open,
    /// Nothing more will ever come: everything settles.
    Complete,
    /// More lies beyond: what is held is told as it stands after the last record.
    Cut,
}

/// What a source hands over.
pub enum Piece<'a> {
    /// The line that names the columns; it has an offset, yet is no record.
    Header(&'a [u8]),
    /// A record.
    Record(Record<'a>),
    /// A record of which the log knows the click.
    Click(Known<'a>),
}

/// A record whose click is known without its value.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// The record, its value empty.
    pub record: Record<'a>,
    /// The click that it is.
    pub click: &'a ClickRef<'a>,
    /// Makes its value.
    pub value: &'a dyn Fn() -> Vec<u8>,
}

impl Piece<'_> {
    /// Whether it is a record.
    pub fn is_record(&self) -> bool {
        !matches!(self, Piece::Header(_))
    }
}

/// How far a partition has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Polled {
    /// The next offset to read.
    pub next: u64,
    /// Whether more is there.
    pub poll: Poll,
}

/// Whether a partition may yield more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poll {
    /// More is there.
    More,
    /// This is its true end as of now; more may come.
    AtEnd,
    /// Nothing more will come.
    Finished,
}
