//! What was taken, counted minute after minute.
//!
//! ```text
//! clicks by minute and identity ─▶ first copies ─▶ by ad and filters ─▶ counts of the minute
//! ```
//!
//! The time is a part of every identity, so copies of a click share its minute, and no minute needs
//! to know of another.

use std::collections::{BTreeMap, VecDeque};

use clicks_dataflows::click::AdId;
use clicks_dataflows::filter::FilterId;
use clicks_dataflows::ledger::Totals;
use clicks_dataflows::options::Options;
use clicks_dataflows::time::{Epoch, Minute};

use super::curve::{Curve, Curving};
use super::rows::{Cell, Seen};
use crate::numbers::Numbers;
use crate::sort::{Room, SortError, Sorted, Sorter};

/// Clicks of an ad in a minute under a filter, as told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counted {
    /// The minute.
    pub minute: Minute,
    /// The ad's number, see [`Counting::ads`].
    pub ad: u32,
    /// The filter.
    pub filter: FilterId,
    /// How many there are.
    pub clicks: u64,
}

/// A recount that has taken all records.
pub struct Counting {
    pub(super) options: Options,
    pub(super) told_until: Epoch,
    pub(super) names: Numbers<AdId>,
    /// Filters by their number.
    pub(super) filters: Vec<Vec<FilterId>>,
    pub(super) seen: Sorted<Seen>,
    pub(super) totals: Totals,
    pub(super) room: Room,
    pub(super) curving: Option<Curving>,
    pub(super) minute: Minute,
    /// The first click of the next minute, once one was counted.
    pub(super) next: Option<Seen>,
    /// The minute's cells, of which the first is beside them.
    pub(super) cells: Sorted<Cell>,
    pub(super) cell: Option<Cell>,
    /// Counts of an ad.
    pub(super) ready: VecDeque<Counted>,
}

impl Counting {
    /// The next count, in the order of minutes, numbers of ads, and filters.
    ///
    /// # Errors
    ///
    /// When the disk fails.
    #[expect(
        clippy::should_implement_trait,
        reason = "errors are easier to pass on this way round"
    )]
    pub fn next(&mut self) -> Result<Option<Counted>, SortError> {
        while self.ready.is_empty() {
            if self.cell.is_some() {
                self.count_ad()?;
            } else if !self.count_minute()? {
                return Ok(None);
            }
        }
        Ok(self.ready.pop_front())
    }

    /// The ads by their numbers.
    pub fn ads(&self) -> Vec<&AdId> {
        self.names.by_number()
    }

    /// The ads by their order, and the place of each number there.
    pub fn ads_sorted(&self) -> (Vec<&AdId>, Vec<u32>) {
        (self.names.sorted().collect(), self.names.ranks())
    }

    /// Totals of all minutes, once those are counted; rejects are no part of it.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// The lateness curve of all minutes, once those are counted, if it was asked for.
    pub fn curve(&self) -> Option<&Curve> {
        self.curving.as_ref().map(Curving::curve)
    }

    /// Finds the first copies of the next minute; whether there is one.
    fn count_minute(&mut self) -> Result<bool, SortError> {
        let mut next = match self.next.take() {
            Some(next) => Some(next),
            None => self.seen.next()?,
        };
        let Some(Seen { minute, .. }) = next else { return Ok(false) };
        self.minute = Minute(minute);
        let mut cells = Sorter::new(self.room.clone());
        let mut first: Option<Seen> = None;
        while let Some(seen) = next.filter(|seen| seen.minute == minute) {
            if self.minute < self.options.from {
                self.totals.skipped += 1;
            } else if first.is_some_and(|first| seen.is_copy_of(&first)) {
                self.totals.duplicates += 1;
            } else {
                self.take_first(&seen, &mut cells)?;
                first = Some(seen);
            }
            next = self.seen.next()?;
        }
        self.next = next;
        if let Some(curving) = &mut self.curving {
            curving.end_minute(self.minute, &self.options)?;
        }
        self.cells = cells.sort()?;
        self.cell = self.cells.next()?;
        Ok(true)
    }

    fn take_first(&mut self, seen: &Seen, cells: &mut Sorter<Cell>) -> Result<(), SortError> {
        self.totals.clicks += 1;
        self.totals.late += u64::from(seen.epoch > self.options.settle(seen.minute()));
        let filters = seen.filters();
        if let Some(curving) = &mut self.curving {
            let matching = &self.filters[filters as usize];
            curving.take(seen, matching, self.told_until, &self.options)?;
        }
        if self.options.told_at(seen.epoch, seen.minute()) > self.told_until {
            return Ok(());
        }
        cells.push(Cell { ad: seen.ad, filters })
    }

    /// Counts the clicks of the minute's next ad.
    fn count_ad(&mut self) -> Result<(), SortError> {
        let mut counts: BTreeMap<FilterId, u64> = BTreeMap::new();
        let mut ad = None;
        while let Some(cell) = self.cell.filter(|cell| ad.is_none_or(|ad| ad == cell.ad)) {
            ad = Some(cell.ad);
            let mut clicks = 0;
            while self.cell == Some(cell) {
                clicks += 1;
                self.cell = self.cells.next()?;
            }
            for filter in &self.filters[cell.filters as usize] {
                *counts.entry(*filter).or_default() += clicks;
            }
        }
        let (minute, ad) = (self.minute, ad.expect("a minute with cells has an ad"));
        let counts = counts.into_iter();
        self.ready.extend(counts.map(|(filter, clicks)| Counted { minute, ad, filter, clicks }));
        Ok(())
    }
}
