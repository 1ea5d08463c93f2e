//! The lateness curve: what would have been late, and corrected, under other latenesses.
//!
//! When a late click is told follows from its epoch alone, whatever the lateness. So a correction
//! of a cell at one epoch is told under each lateness under which the last of its clicks is late.

use clicks_dataflows::options::{Emit, Options};
use clicks_dataflows::time::{Epoch, Millis, Minute, round_up};

use super::rows::{Late, Seen};
use crate::sort::{Room, SortError, Sorter};

/// The latenesses that are asked for, ascending.
pub const LATENESSES_MS: [Millis; 12] =
    [0, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 900_000, 3_600_000];

/// First copies and corrections under each lateness.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Curve {
    /// First copies.
    pub firsts: u64,
    /// Of each of [`LATENESSES_MS`], how many first copies are late.
    pub late: [u64; LATENESSES_MS.len()],
    /// Of each, how many corrections are told.
    pub corrections: [u64; LATENESSES_MS.len()],
}

/// A curve that is being found, minute by minute.
pub(super) struct Curving {
    curve: Curve,
    room: Room,
    /// The minute's clicks that may be late, under each of their filters.
    late: Sorter<Late>,
}

impl Curving {
    pub fn new(room: Room) -> Curving {
        Curving { curve: Curve::default(), late: Sorter::new(room.clone()), room }
    }

    /// Takes a first copy that matches `filters`, if it is `told`.
    pub fn take(
        &mut self,
        first: &Seen,
        filters: &[u32],
        told_until: Epoch,
        options: &Options,
    ) -> Result<(), SortError> {
        self.curve.firsts += 1;
        let settles = settles(first.minute(), options);
        // Settlings ascend with latenesses.
        let late = settles.partition_point(|settle| *settle < first.epoch);
        self.curve.late[..late].iter_mut().for_each(|late| *late += 1);
        let told = match options.emit {
            Emit::Changes => first.epoch,
            Emit::Final => round_up(first.epoch, options.correct_every_ms),
        };
        if late == 0 || told > told_until {
            return Ok(());
        }
        let (ad, epoch) = (first.ad, first.epoch);
        filters
            .iter()
            .try_for_each(|filter| self.late.push(Late { ad, filter: *filter, told, epoch }))
    }

    /// Ends the minute.
    pub fn end_minute(&mut self, minute: Minute, options: &Options) -> Result<(), SortError> {
        let fresh = Sorter::new(self.room.clone());
        let mut rows = std::mem::replace(&mut self.late, fresh).sort()?;
        let settles = settles(minute, options);
        let mut last: Option<Late> = None;
        loop {
            let next = rows.next()?;
            let correction = |late: &Late| (late.ad, late.filter, late.told);
            if let Some(last) = last
                && next.as_ref().map(correction) != Some(correction(&last))
            {
                let late = settles.partition_point(|settle| *settle < last.epoch);
                self.curve.corrections[..late].iter_mut().for_each(|told| *told += 1);
            }
            last = next;
            if last.is_none() {
                return Ok(());
            }
        }
    }

    pub fn curve(&self) -> &Curve {
        &self.curve
    }
}

/// When a minute settles under each lateness.
fn settles(minute: Minute, options: &Options) -> [Epoch; LATENESSES_MS.len()] {
    LATENESSES_MS.map(|lateness_ms| round_up(minute.end() + lateness_ms, options.refresh_ms))
}
