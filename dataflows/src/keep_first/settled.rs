//! The clicks seen of a minute that has settled: a row in order, and what came late.
//!
//! ```text
//! table ─┐
//!        ├─ some at a time, in order ─▶ new row      late ─▶ the next table
//! row  ──┘
//! ```
//!
//! Table and row answer until the new row is whole, and then make place for it. A new row is begun
//! when there is none, or when enough has come late: each late identity is then written with at
//! most [`LATE_SHARE`] others, and the late ones take at most a byte for each identity.

use std::io;

use super::identities::Identities;
use super::shelf::{Row, Shelf, find};

/// A frozen minute's row is written again when it has fewer than this for each late one,
const LATE_SHARE: u64 = 32;
/// and at least so many are late.
const LATE_MIN: u64 = 1 << 10;

/// Identities read at once for a row.
const CHUNK: usize = 1 << 12;

/// What was seen of a minute that has settled; each identity is in one place.
#[derive(Default)]
pub struct Settled {
    late: Identities,
    freezing: Option<Freezing>,
    row: Option<Box<dyn Row>>,
}

impl Settled {
    /// The identities that there are when the minute settles.
    pub fn new(late: Identities) -> Settled {
        Settled { late, ..Settled::default() }
    }

    /// Adds `identity`; whether it was not there.
    ///
    /// # Errors
    ///
    /// Those of the shelf: then nobody knows.
    pub fn insert(&mut self, identity: u128) -> io::Result<bool> {
        let freezing = self.freezing.as_ref();
        if self.late.contains(identity)
            || freezing.is_some_and(|freezing| freezing.table.contains(identity))
        {
            return Ok(false);
        }
        if let Some(row) = &self.row
            && find(&**row, identity, &mut Vec::new())?
        {
            return Ok(false);
        }
        Ok(self.late.insert(identity))
    }

    /// Whether there is something to freeze.
    pub fn is_due(&self) -> bool {
        let late = self.late.len() as u64;
        self.freezing.is_some()
            || match &self.row {
                None => late > 0,
                Some(row) => late >= LATE_MIN && late * LATE_SHARE > row.count(),
            }
    }

    /// Whether it was frozen before.
    pub fn has_row(&self) -> bool {
        self.row.is_some()
    }

    /// Moves about `enough` identities to a new row; how many.
    ///
    /// # Errors
    ///
    /// Those of the shelf: what was there before still answers.
    pub fn freeze(&mut self, enough: u64, shelf: &mut dyn Shelf) -> io::Result<u64> {
        if self.freezing.is_none() {
            let new = shelf.begin(self.count())?;
            self.freezing = Some(Freezing::new(std::mem::take(&mut self.late), new));
        }
        let freezing = self.freezing.as_mut().expect("it has begun");
        let mut moved = 0;
        while moved < enough {
            let some = freezing.step(self.row.as_deref())?;
            if some == 0 {
                self.row = self.freezing.take().map(|freezing| freezing.new);
                break;
            }
            moved += some;
        }
        Ok(moved)
    }

    /// How many identities there are.
    pub fn count(&self) -> u64 {
        let freezing = self.freezing.as_ref().map_or(0, |freezing| freezing.table.len());
        (self.late.len() + freezing) as u64 + self.row.as_ref().map_or(0, |row| row.count())
    }

    /// Bytes of memory that they take.
    pub fn bytes(&self) -> usize {
        let row = self.row.as_ref().map_or(0, |row| row.bytes());
        let freezing = self.freezing.as_ref().map_or(0, Freezing::bytes);
        size_of::<Settled>() + self.late.bytes() + freezing + row
    }
}

/// A table, and the row before if there is one, on their way to a new row.
struct Freezing {
    table: Identities,
    /// Where the table is read next, if not to its end.
    slot: Option<usize>,
    /// The number of the identity that is read next of the row before.
    at: u64,
    /// What was read of the table, and of the row.
    read: [Vec<u128>; 2],
    new: Box<dyn Row>,
}

impl Freezing {
    fn new(table: Identities, new: Box<dyn Row>) -> Freezing {
        Freezing { table, slot: Some(0), at: 0, read: Default::default(), new }
    }

    /// Moves some identities; how many, none at the end.
    fn step(&mut self, row: Option<&dyn Row>) -> io::Result<u64> {
        let [of_table, of_row] = &mut self.read;
        if let Some(slot) = self.slot.filter(|_| of_table.is_empty()) {
            self.slot = self.table.sort_from(slot, CHUNK, of_table);
        }
        if row.is_none() {
            self.new.append(of_table)?;
            let moved = of_table.len() as u64;
            of_table.clear();
            return Ok(moved);
        }
        let count = row.map_or(0, |row| row.count());
        if let Some(row) = row.filter(|_| of_row.is_empty()) {
            let mut page = Vec::new();
            while self.at < count && of_row.len() < CHUNK {
                let first = row.page(self.at, &mut page)?;
                let before = usize::try_from(self.at - first).expect("a page is in memory");
                of_row.extend_from_slice(&page[before..]);
                self.at = first + page.len() as u64;
            }
        }
        // What is still to be read is greater than the last that was.
        let until_table = of_table.last().filter(|_| self.slot.is_some());
        let until_row = of_row.last().filter(|_| self.at < count);
        let until = until_table.into_iter().chain(until_row).min().copied().unwrap_or(u128::MAX);
        let mut sorted = Vec::with_capacity(of_table.len() + of_row.len());
        for read in [of_table, of_row] {
            sorted.extend(read.drain(..read.partition_point(|identity| *identity <= until)));
        }
        // Two runs, which the sort finds and merges.
        sorted.sort();
        self.new.append(&sorted)?;
        Ok(sorted.len() as u64)
    }

    fn bytes(&self) -> usize {
        let read: usize = self.read.iter().map(|read| read.capacity() * size_of::<u128>()).sum();
        self.table.bytes() + read + self.new.bytes()
    }
}
