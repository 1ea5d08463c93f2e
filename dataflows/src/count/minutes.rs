//! The counts of many minutes, each in a few sealed parts.
//!
//! A part that is added is merged with the one before it while that is smaller than twice its size.
//! Parts thus halve in size, so that there are few, and a large one is seldom copied: what a minute
//! had when it settled stays shared with whoever else holds it.

use std::collections::BTreeMap;
use std::ops::{RangeBounds, RangeInclusive};
use std::rc::Rc;

use crate::ads::Name;
use crate::count::sealed::{Column, Sealed, unscramble};
use crate::held::Table;
use crate::time::Minute;

/// Counts by minute, filter and ad; a clone shares all parts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Minutes {
    minutes: BTreeMap<Minute, Vec<Rc<Sealed>>>,
}

impl Minutes {
    /// Gives `minute` so many more clicks.
    pub(crate) fn add(&mut self, minute: Minute, part: Rc<Sealed>) {
        if part.is_empty() {
            return;
        }
        let parts = self.minutes.entry(minute).or_default();
        let mut part = part;
        while let Some(last) = parts.pop_if(|last| last.len() < 2 * part.len()) {
            part = Rc::new(Sealed::merge(&last, &part));
        }
        parts.push(part);
    }

    /// The clicks of a cell, zero if there are none.
    pub(crate) fn clicks(&self, minute: Minute, filter: u32, name: Name) -> u64 {
        self.parts(minute).iter().map(|part| u64::from(part.clicks(filter, name))).sum()
    }

    /// Calls `each` with every ad of a minute and its clicks.
    pub(crate) fn cells(&self, minute: Minute, filter: u32, mut each: impl FnMut(Name, u64)) {
        let mut columns = self.columns(minute, filter);
        Column::totals(&mut columns, |key, clicks| each(unscramble(key), clicks));
    }

    /// Calls `each` with every ad of some minutes and its clicks in all of them.
    pub(crate) fn sums(
        &self,
        minutes: RangeInclusive<Minute>,
        filter: u32,
        mut each: impl FnMut(Name, u64),
    ) {
        let parts = self.minutes.range(minutes).flat_map(|(_, parts)| parts);
        let mut columns: Vec<Column> = parts.map(|part| part.column(filter)).collect();
        columns.retain(|column| column.len() > 0);
        if columns.len() <= FEW_COLUMNS {
            return Column::totals(&mut columns, |key, clicks| each(unscramble(key), clicks));
        }
        let cells: usize = columns.iter().map(Column::len).sum();
        let ranges = u32::try_from(cells / RANGE_CELLS + 1).unwrap_or(u32::MAX);
        let mut sums: Table<u32, u64> = Table::default();
        for range in 1..=ranges {
            let limit = (u64::from(range) << 32) / u64::from(ranges);
            for column in &mut columns {
                // The last range takes what is left, as its limit is beyond u32.
                let below = u32::try_from(limit).map_or(*column, |limit| column.take_below(limit));
                for (name, clicks) in below.cells() {
                    *sums.entry(name.0).or_default() += u64::from(clicks);
                }
            }
            sums.drain().for_each(|(name, clicks)| each(Name(name), clicks));
        }
    }

    /// The cells of a filter in each part of a minute.
    pub(crate) fn columns(&self, minute: Minute, filter: u32) -> Vec<Column<'_>> {
        let columns = self.parts(minute).iter().map(|part| part.column(filter));
        columns.filter(|column| column.len() > 0).collect()
    }

    /// No ad has more clicks in a minute.
    pub(crate) fn most(&self, minute: Minute, filter: u32) -> u64 {
        self.parts(minute).iter().map(|part| u64::from(part.most(filter))).sum()
    }

    /// The filters that have a click in a minute, some repeatedly.
    pub(crate) fn filters(&self, minute: Minute) -> impl Iterator<Item = u32> {
        self.parts(minute).iter().flat_map(|part| part.filters())
    }

    /// Whether a minute has a click.
    pub(crate) fn has(&self, minute: Minute) -> bool {
        self.minutes.contains_key(&minute)
    }

    /// Those of some minutes that have a click.
    pub(crate) fn within(
        &self,
        minutes: impl RangeBounds<Minute>,
    ) -> impl DoubleEndedIterator<Item = Minute> {
        self.minutes.range(minutes).map(|(minute, _)| *minute)
    }

    /// Drops the minutes before `minute`; tells how many cells they had.
    pub(crate) fn forget_before(&mut self, minute: Minute) -> usize {
        let kept = self.minutes.split_off(&minute);
        let dropped = std::mem::replace(&mut self.minutes, kept).into_values();
        let whole = dropped.filter_map(|parts| {
            parts.into_iter().rev().reduce(|a, b| Rc::new(Sealed::merge(&b, &a)))
        });
        whole.map(|part| part.len()).sum()
    }

    /// Minutes that have a click.
    pub(crate) fn len(&self) -> usize {
        self.minutes.len()
    }

    fn parts(&self, minute: Minute) -> &[Rc<Sealed>] {
        self.minutes.get(&minute).map_or(&[], Vec::as_slice)
    }
}

/// Columns that are merged by looking at the first key of each.
const FEW_COLUMNS: usize = 4;

/// Cells whose sums lie in the processor's caches.
const RANGE_CELLS: usize = 1 << 14;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Draw, Random};

    type Counts = BTreeMap<(Minute, u32, Name), u64>;

    fn check(minutes: &Minutes, counts: &Counts) {
        for minute in (0..10).map(Minute) {
            let of_minute = || counts.iter().filter(|((m, _, _), _)| *m == minute);
            assert_eq!(minutes.has(minute), of_minute().next().is_some());
            for filter in 0..4 {
                let of_filter = || of_minute().filter(|((_, f, _), _)| *f == filter);
                let mut cells = BTreeMap::new();
                minutes.cells(minute, filter, |name, clicks| {
                    assert_eq!(cells.insert(name, clicks), None);
                });
                assert!(of_filter().map(|((_, _, n), c)| (*n, *c)).eq(cells));
                let most = of_filter().map(|(_, clicks)| *clicks).max().unwrap_or(0);
                assert!(minutes.most(minute, filter) >= most);
                assert_eq!(minutes.filters(minute).any(|f| f == filter), most > 0);
            }
        }
        for ((minute, filter, name), clicks) in counts {
            assert_eq!(minutes.clicks(*minute, *filter, *name), *clicks);
        }
    }

    #[test]
    fn minutes_hold_what_a_map_holds() {
        let mut random = Random(3);
        for round in 0..100 {
            let (mut minutes, mut counts) = (Minutes::default(), Counts::new());
            for _ in 0..random.below(60) {
                let minute = Minute(random.small(8));
                let mut cells = Vec::new();
                for _ in 0..random.below(if round % 2 == 0 { 5 } else { 100 }) {
                    let (filter, name) = (random.small(3), Name(random.small(50)));
                    cells.push((filter, name, 1));
                    *counts.entry((minute, filter, name)).or_default() += 1;
                }
                minutes.add(minute, Rc::new(Sealed::from_cells(cells)));
            }
            check(&minutes, &counts);
            assert_eq!(minutes.within(Minute(0)..).count(), minutes.len());
            let clone = minutes.clone();
            let kept = counts.split_off(&(Minute(4), 0, Name(0)));
            assert_eq!(minutes.forget_before(Minute(4)), counts.len());
            check(&minutes, &kept);
            counts.extend(kept);
            check(&clone, &counts);
        }
    }

    #[test]
    fn sums_are_those_of_a_map() {
        let mut random = Random(4);
        for cells in [0, 1, 10, 30_000] {
            let (mut minutes, mut sums) = (Minutes::default(), BTreeMap::new());
            for minute in (0..10).map(Minute) {
                let mut part = Vec::new();
                for _ in 0..cells {
                    let name = Name(random.small(20_000));
                    part.push((1, name, 1));
                    let within = (3..=8).contains(&minute.0);
                    *sums.entry(name).or_default() += u64::from(within);
                }
                minutes.add(minute, Rc::new(Sealed::from_cells(part)));
            }
            sums.retain(|_, sum| *sum > 0);
            let mut found = BTreeMap::new();
            minutes.sums(Minute(3)..=Minute(8), 1, |name, sum| {
                assert_eq!(found.insert(name, sum), None);
            });
            assert_eq!(found, sums);
        }
    }

    #[test]
    fn a_large_part_stays_shared() {
        let mut minutes = Minutes::default();
        let cells = (0..10_000).map(|name| (0, Name(name), 1));
        let settled = Rc::new(Sealed::from_cells(cells));
        minutes.add(Minute(1), Rc::clone(&settled));
        for name in 0..3000 {
            let late = Sealed::from_cells([(0, Name(name), 1)]);
            minutes.add(Minute(1), Rc::new(late));
            assert!(minutes.parts(Minute(1)).len() < 14);
        }
        assert!(Rc::ptr_eq(&settled, &minutes.parts(Minute(1))[0]));
        assert_eq!(minutes.clicks(Minute(1), 0, Name(7)), 2);
    }
}
