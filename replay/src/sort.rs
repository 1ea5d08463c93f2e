//! Rows in order, however many there are: those that memory has no room for wait on disk.
//!
//! ```text
//! push ─▶ rows in memory ── full ─▶ a sorted run in a file ─┐
//!                                   a sorted run in a file ─┴─▶ merge ─▶ rows in order
//! ```
//!
//! Rows have a fixed width and lie on disk as they do in memory. Files have no name, so that a
//! process that is killed leaves nothing, and nothing is synced: whoever begins again sorts again.
//! Rows that fit memory never touch the disk.

use std::cmp::Ordering;
use std::error::Error;
use std::path::PathBuf;
use std::{env, fmt, io, vec};

use bytemuck::Pod;

mod merge;
mod runs;
#[cfg(test)]
mod tests;

use merge::Merge;
use runs::Runs;

/// Rows that are made room for at first.
const ROWS_FIRST: usize = 64;

/// What sorting may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes of memory; a few kilobytes are taken in any case.
    pub bytes: usize,
    /// Where rows go that do not fit.
    pub directory: PathBuf,
}

impl Default for Room {
    /// 256 MB, and where temporary files are.
    fn default() -> Room {
        Room { bytes: 256_000_000, directory: env::temp_dir() }
    }
}

impl Room {
    /// One of so many equal parts of it.
    #[must_use]
    pub fn part(&self, of: usize) -> Room {
        Room { bytes: self.bytes / of, directory: self.directory.clone() }
    }

    fn cannot(&self, verb: &'static str, cause: io::Error) -> SortError {
        SortError { verb, directory: self.directory.clone(), cause }
    }
}

/// Rows that were not kept on disk, or not found there.
#[derive(Debug)]
pub struct SortError {
    verb: &'static str,
    directory: PathBuf,
    cause: io::Error,
}

impl fmt::Display for SortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} rows to be sorted in {}", self.verb, self.directory.display())
    }
}

impl Error for SortError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}

/// Takes rows in any order.
pub struct Sorter<R> {
    room: Room,
    rows: Vec<R>,
    rows_max: usize,
    runs: Option<Runs>,
}

impl<R: Pod + Ord> Sorter<R> {
    /// Takes up to `room`.
    pub fn new(room: Room) -> Sorter<R> {
        let rows_max = (room.bytes / size_of::<R>()).max(ROWS_FIRST);
        Sorter { room, rows: Vec::new(), rows_max, runs: None }
    }

    /// Takes a row.
    ///
    /// # Errors
    ///
    /// When the disk does not take what memory has no room for.
    pub fn push(&mut self, row: R) -> Result<(), SortError> {
        if self.rows.len() == self.rows.capacity() {
            self.make_room()?;
        }
        self.rows.push(row);
        Ok(())
    }

    /// The rows in order; equal ones all come.
    ///
    /// # Errors
    ///
    /// When the disk fails.
    pub fn sort(mut self) -> Result<Sorted<R>, SortError> {
        if self.runs.is_some() {
            self.spill()?;
        }
        let Sorter { room, mut rows, runs, .. } = self;
        let Some(runs) = runs else {
            rows.sort_unstable();
            return Ok(Sorted(Source::Memory(rows.into_iter())));
        };
        drop(rows);
        Ok(Sorted(Source::Disk(Merge::whole(runs, &room)?)))
    }

    /// Grows, or writes what there is.
    fn make_room(&mut self) -> Result<(), SortError> {
        match self.rows.len().cmp(&self.rows_max) {
            Ordering::Less => {
                let more = self.rows.len().max(ROWS_FIRST);
                self.rows.reserve_exact(more.min(self.rows_max - self.rows.len()));
                Ok(())
            }
            _ => self.spill(),
        }
    }

    /// Writes the rows in memory as a sorted run.
    fn spill(&mut self) -> Result<(), SortError> {
        self.rows.sort_unstable();
        let runs = match &mut self.runs {
            Some(runs) => runs,
            None => self.runs.insert(Runs::new(&self.room)?),
        };
        runs.write(&self.rows, &self.room)?;
        runs.end_run();
        self.rows.clear();
        Ok(())
    }
}

/// Rows in order.
pub struct Sorted<R>(Source<R>);

/// Where they come from.
enum Source<R> {
    Memory(vec::IntoIter<R>),
    Disk(Merge<R>),
}

impl<R: Pod + Ord> Sorted<R> {
    /// The next row.
    ///
    /// # Errors
    ///
    /// When the disk fails.
    #[expect(
        clippy::should_implement_trait,
        reason = "errors are easier to pass on this way round"
    )]
    pub fn next(&mut self) -> Result<Option<R>, SortError> {
        match &mut self.0 {
            Source::Memory(rows) => Ok(rows.next()),
            Source::Disk(merge) => merge.next(),
        }
    }

    /// Whether the rows have come from memory alone.
    pub fn is_in_memory(&self) -> bool {
        matches!(self.0, Source::Memory(_))
    }
}

impl<R> Default for Sorted<R> {
    /// No rows.
    fn default() -> Sorted<R> {
        Sorted(Source::Memory(Vec::new().into_iter()))
    }
}
