//! Runs merged to one: a few at once, so that each is read in pieces that are worth a seek.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::ops::Range;

use bytemuck::Pod;

use super::runs::{Run, Runs};
use super::{Room, SortError};

/// The least that is read of a run at once.
const READ_BYTES_MIN: usize = 8 << 10;
/// The most that is read of a run at once.
const READ_BYTES_MAX: usize = 1 << 20;
/// The most runs that are merged at once.
const RUNS_MAX: usize = 512;

/// Runs that are being merged.
pub struct Merge<R> {
    room: Room,
    runs: Vec<Run<R>>,
    /// The first row that is left of each run, the least on top.
    heap: BinaryHeap<Reverse<(R, usize)>>,
}

impl<R: Pod + Ord> Merge<R> {
    /// Merges all of `runs`; as long as there are too many for one merge, some to longer ones.
    pub fn whole(mut runs: Runs, room: &Room) -> Result<Merge<R>, SortError> {
        let at_once = (room.bytes / READ_BYTES_MIN).clamp(2, RUNS_MAX);
        while runs.places.len() > at_once {
            let mut longer = Runs::new(room)?;
            for some in runs.places.chunks(at_once) {
                Merge::<R>::new(&runs, some, room)?.write(&mut longer)?;
            }
            runs = longer;
        }
        Merge::new(&runs, &runs.places, room)
    }

    fn new(runs: &Runs, places: &[Range<u64>], room: &Room) -> Result<Merge<R>, SortError> {
        // One more share is for what is written.
        let bytes = room.bytes / (places.len() + 1);
        let rows = bytes.clamp(READ_BYTES_MIN / 2, READ_BYTES_MAX) / size_of::<R>();
        let opened = places.iter().map(|place| runs.read(place, rows));
        let mut merge =
            Merge { room: room.clone(), runs: opened.collect(), heap: BinaryHeap::new() };
        for (run, number) in merge.runs.iter_mut().zip(0..) {
            merge.heap.extend(run.next(room)?.map(|row| Reverse((row, number))));
        }
        Ok(merge)
    }

    /// Writes what is left as one run.
    fn write(mut self, to: &mut Runs) -> Result<(), SortError> {
        let rows_max = READ_BYTES_MIN / size_of::<R>() + 1;
        let mut rows = Vec::with_capacity(rows_max);
        while let Some(row) = self.next()? {
            rows.push(row);
            if rows.len() == rows_max {
                to.write(&rows, &self.room)?;
                rows.clear();
            }
        }
        to.write(&rows, &self.room)?;
        to.end_run();
        Ok(())
    }

    /// The least row that is left.
    pub fn next(&mut self) -> Result<Option<R>, SortError> {
        let Some(mut top) = self.heap.peek_mut() else { return Ok(None) };
        let Reverse((row, number)) = *top;
        match self.runs[number].next(&self.room)? {
            Some(next) => *top = Reverse((next, number)),
            None => drop(PeekMut::pop(top)),
        }
        Ok(Some(row))
    }
}
