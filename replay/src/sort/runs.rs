//! Sorted runs, one after the other in a file without a name.

use std::fs::File;
use std::mem;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::rc::Rc;

use bytemuck::Pod;

use super::{Room, SortError};
use crate::unlinked::unlinked;

/// Runs that are written.
pub struct Runs {
    file: Rc<File>,
    /// Where each of them lies.
    pub places: Vec<Range<u64>>,
    /// Where the one that is being written begins, and how far it has come.
    open: Range<u64>,
}

impl Runs {
    /// Makes a file for them.
    pub fn new(room: &Room) -> Result<Runs, SortError> {
        let file = unlinked(&room.directory).map_err(|cause| room.cannot("keep", cause))?;
        Ok(Runs { file: Rc::new(file), places: Vec::new(), open: 0..0 })
    }

    /// Adds rows to the run that is being written.
    pub fn write<R: Pod>(&mut self, rows: &[R], room: &Room) -> Result<(), SortError> {
        let bytes: &[u8] = bytemuck::cast_slice(rows);
        let written = self.file.write_all_at(bytes, self.open.end);
        written.map_err(|cause| room.cannot("write", cause))?;
        self.open.end += bytes.len() as u64;
        Ok(())
    }

    /// Ends the run, and begins another.
    pub fn end_run(&mut self) {
        let end = self.open.end;
        self.places.push(mem::replace(&mut self.open, end..end));
    }

    /// Reads the run at `place`, so many rows at once.
    pub fn read<R: Pod>(&self, place: &Range<u64>, rows: usize) -> Run<R> {
        let (file, left) = (Rc::clone(&self.file), place.clone());
        Run { file, left, rows_max: rows.max(1), rows: Vec::new(), next: 0 }
    }
}

/// A run that is read.
pub struct Run<R> {
    file: Rc<File>,
    /// What is still on disk.
    left: Range<u64>,
    rows_max: usize,
    rows: Vec<R>,
    next: usize,
}

impl<R: Pod> Run<R> {
    /// Its next row.
    pub fn next(&mut self, room: &Room) -> Result<Option<R>, SortError> {
        if self.next == self.rows.len() {
            let left = (self.left.end - self.left.start) / size_of::<R>() as u64;
            let rows = usize::try_from(left).map_or(self.rows_max, |left| left.min(self.rows_max));
            self.rows.resize(rows, R::zeroed());
            let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut self.rows);
            let read = self.file.read_exact_at(bytes, self.left.start);
            read.map_err(|cause| room.cannot("read", cause))?;
            self.left.start += bytes.len() as u64;
            self.next = 0;
        }
        let row = self.rows.get(self.next).copied();
        self.next += usize::from(row.is_some());
        Ok(row)
    }
}
