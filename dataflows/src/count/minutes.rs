//! The counts of many minutes: open ones in tables, the others in a few sealed parts each.
//!
//! A minute that is told before it has settled is open, and changes in place; it is sealed when it
//! has settled. A part that comes later is merged with the one before it while that is smaller than
//! twice its size. Parts thus halve in size, so that there are few, and a large one is seldom copied.
//!
//! A clone shares all minutes: an open one is copied when it changes while somebody else holds it.

use std::collections::BTreeMap;
use std::ops::{RangeBounds, RangeInclusive};
use std::rc::Rc;

use crate::ads::Name;
use crate::count::open::{Open, Table as OpenTable};
use crate::count::sealed::{Column, Sealed, unscramble};
use crate::held::Table;
use crate::time::Minute;

/// Counts by minute, filter and ad; a clone shares them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Minutes {
    minutes: BTreeMap<Minute, Counts>,
}

/// The counts of a minute.
#[derive(Clone, Debug)]
pub(crate) enum Counts {
    /// It is told before it has settled.
    Open(Rc<Open>),
    /// Parts, each at most half as large as the one before it.
    Sealed(Vec<Rc<Sealed>>),
}

/// The cells of a filter in an open minute, or in a part of a sealed one.
#[derive(Clone, Copy)]
pub(crate) enum Cells<'a> {
    /// In no order.
    Open(&'a OpenTable),
    /// In the order of keys.
    Sealed(Column<'a>),
}

impl Minutes {
    /// Gives the cells of `minute`, by filter and ad, so many more clicks; `settled` says that it has
    /// settled, and stays open only if it is.
    pub(crate) fn add(
        &mut self,
        minute: Minute,
        cells: impl Iterator<Item = (u32, Name, u32)>,
        settled: bool,
    ) {
        let mut cells = cells.peekable();
        if cells.peek().is_none() {
            return;
        }
        let counts = self.minutes.entry(minute).or_insert_with(|| match settled {
            true => Counts::Sealed(Vec::new()),
            false => Counts::Open(Rc::default()),
        });
        match counts {
            Counts::Open(open) => {
                let open = Rc::make_mut(open);
                cells.for_each(|(filter, name, clicks)| open.add(filter, name, clicks));
            }
            Counts::Sealed(parts) => {
                let mut part = Rc::new(Sealed::from_cells(cells));
                while let Some(last) = parts.pop_if(|last| last.len() < 2 * part.len()) {
                    part = Rc::new(Sealed::merge(&last, &part));
                }
                parts.push(part);
            }
        }
    }

    /// Seals the open minutes before `minute`, which have settled.
    pub(crate) fn seal_before(&mut self, minute: Minute) {
        // Those that are open are the last.
        for counts in self.minutes.range_mut(..minute).rev().map(|(_, counts)| counts) {
            let Counts::Open(open) = counts else { return };
            *counts = Counts::Sealed(vec![Rc::new(open.sealed())]);
        }
    }

    /// The counts of a minute, if it has a click.
    pub(crate) fn of(&self, minute: Minute) -> Option<&Counts> {
        self.minutes.get(&minute)
    }

    /// The clicks of a cell, zero if there are none.
    #[inline]
    pub(crate) fn clicks(&self, minute: Minute, filter: u32, name: Name) -> u64 {
        self.of(minute).map_or(0, |counts| counts.clicks(filter, name))
    }

    /// Calls `each` with every ad of a minute and its clicks.
    pub(crate) fn cells(&self, minute: Minute, filter: u32, mut each: impl FnMut(Name, u64)) {
        match self.of(minute) {
            None => {}
            Some(Counts::Open(open)) => {
                let cells = open.table(filter).into_iter().flat_map(OpenTable::cells);
                cells.for_each(|(name, clicks)| each(name, clicks.into()));
            }
            Some(Counts::Sealed(parts)) => {
                let columns = parts.iter().map(|part| part.column(filter));
                let mut columns: Vec<Column> = columns.filter(|c| c.len() > 0).collect();
                Column::totals(&mut columns, |key, clicks| each(unscramble(key), clicks));
            }
        }
    }

    /// Calls `each` with every ad of some minutes and its clicks in all of them.
    pub(crate) fn sums(
        &self,
        minutes: RangeInclusive<Minute>,
        filter: u32,
        mut each: impl FnMut(Name, u64),
    ) {
        // Few minutes are open: their cells are put in order for this.
        let opened: Vec<Sealed> =
            self.range(minutes.clone()).filter_map(Counts::resealed).collect();
        let parts = self.range(minutes).flat_map(Counts::parts).map(Rc::as_ref).chain(&opened);
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
    pub(crate) fn columns(&self, minute: Minute, filter: u32) -> Vec<Cells<'_>> {
        match self.of(minute) {
            None => Vec::new(),
            Some(Counts::Open(open)) => open.table(filter).map(Cells::Open).into_iter().collect(),
            Some(Counts::Sealed(parts)) => {
                let columns = parts.iter().map(|part| part.column(filter));
                columns.filter(|column| column.len() > 0).map(Cells::Sealed).collect()
            }
        }
    }

    /// Cells of a filter in all parts of a minute.
    pub(crate) fn cells_of(&self, minute: Minute, filter: u32) -> usize {
        self.columns(minute, filter).iter().map(Cells::len).sum()
    }

    /// No ad has more clicks in a minute.
    pub(crate) fn most(&self, minute: Minute, filter: u32) -> u64 {
        match self.of(minute) {
            None => 0,
            Some(Counts::Open(open)) => open.most(filter).into(),
            Some(Counts::Sealed(parts)) => {
                parts.iter().map(|part| u64::from(part.most(filter))).sum()
            }
        }
    }

    /// The filters that have a click in a minute, some repeatedly.
    pub(crate) fn filters(&self, minute: Minute) -> impl Iterator<Item = u32> {
        let counts = self.of(minute);
        let open = counts.and_then(Counts::open).into_iter().flat_map(|open| open.filters());
        let parts = counts.map_or(&[][..], Counts::parts).iter();
        open.chain(parts.flat_map(|part| part.filters()))
    }

    /// Those of some minutes that have a click.
    pub(crate) fn within(
        &self,
        minutes: impl RangeBounds<Minute>,
    ) -> impl DoubleEndedIterator<Item = Minute> {
        self.minutes.range(minutes).map(|(minute, _)| *minute)
    }

    /// Drops the minutes before `minute`.
    pub(crate) fn forget_before(&mut self, minute: Minute) {
        while let Some(least) = self.minutes.first_entry().filter(|least| *least.key() < minute) {
            least.remove();
        }
    }

    /// Minutes that have a click.
    pub(crate) fn len(&self) -> usize {
        self.minutes.len()
    }

    fn range(&self, minutes: RangeInclusive<Minute>) -> impl Iterator<Item = &Counts> {
        self.minutes.range(minutes).map(|(_, counts)| counts)
    }
}

impl Counts {
    /// The clicks of a cell, zero if there are none.
    #[inline]
    pub(crate) fn clicks(&self, filter: u32, name: Name) -> u64 {
        match self {
            Counts::Open(open) => open.clicks(filter, name).into(),
            Counts::Sealed(parts) => {
                parts.iter().map(|part| u64::from(part.clicks(filter, name))).sum()
            }
        }
    }

    fn open(&self) -> Option<&Open> {
        match self {
            Counts::Open(open) => Some(open),
            Counts::Sealed(_) => None,
        }
    }

    fn parts(&self) -> &[Rc<Sealed>] {
        match self {
            Counts::Open(_) => &[],
            Counts::Sealed(parts) => parts,
        }
    }

    /// The counts of an open minute as they would be sealed.
    fn resealed(&self) -> Option<Sealed> {
        self.open().map(Open::sealed)
    }
}

impl Cells<'_> {
    /// Calls `each` with the ads and their clicks.
    pub(crate) fn for_each(&self, mut each: impl FnMut(Name, u32)) {
        match self {
            Cells::Open(table) => table.cells().for_each(|(name, clicks)| each(name, clicks)),
            Cells::Sealed(column) => column.cells().for_each(|(name, clicks)| each(name, clicks)),
        }
    }

    /// The clicks of an ad, zero if there are none.
    pub(crate) fn clicks(&self, name: Name) -> u32 {
        match self {
            Cells::Open(table) => table.clicks(name),
            Cells::Sealed(column) => column.clicks(name),
        }
    }

    /// Cells held.
    pub(crate) fn len(&self) -> usize {
        match self {
            Cells::Open(table) => table.len(),
            Cells::Sealed(column) => column.len(),
        }
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

    type Expected = BTreeMap<(Minute, u32, Name), u64>;

    fn check(minutes: &Minutes, counts: &Expected) {
        for minute in (0..10).map(Minute) {
            let of_minute = || counts.iter().filter(|((m, _, _), _)| *m == minute);
            assert_eq!(minutes.of(minute).is_some(), of_minute().next().is_some());
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
            let (mut minutes, mut counts) = (Minutes::default(), Expected::new());
            let mut settled = Minute(0);
            for _ in 0..random.below(60) {
                let minute = Minute(random.small(8));
                let mut cells = Vec::new();
                for _ in 0..random.below(if round % 2 == 0 { 5 } else { 100 }) {
                    let (filter, name) = (random.small(3), Name(random.small(50)));
                    cells.push((filter, name, 1));
                    *counts.entry((minute, filter, name)).or_default() += 1;
                }
                minutes.add(minute, cells.into_iter(), minute < settled);
                if random.once_in(30) {
                    settled = settled.plus(2);
                    minutes.seal_before(settled);
                }
            }
            check(&minutes, &counts);
            assert_eq!(minutes.within(Minute(0)..).count(), minutes.len());
            // A clone is not changed by what comes later, nor by what is forgotten.
            let clone = minutes.clone();
            minutes.add(Minute(7), [(0, Name(60), 1)].into_iter(), false);
            minutes.seal_before(Minute(9));
            minutes.forget_before(Minute(4));
            check(&clone, &counts);
            counts.insert((Minute(7), 0, Name(60)), 1);
            check(&minutes, &counts.split_off(&(Minute(4), 0, Name(0))));
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
                minutes.add(minute, part.into_iter(), minute < Minute(7));
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
        minutes.add(Minute(1), cells, true);
        let settled = Rc::clone(&parts(&minutes)[0]);
        for name in 0..3000 {
            minutes.add(Minute(1), [(0, Name(name), 1)].into_iter(), true);
            assert!(parts(&minutes).len() < 14);
        }
        assert!(Rc::ptr_eq(&settled, &parts(&minutes)[0]));
        assert_eq!(minutes.clicks(Minute(1), 0, Name(7)), 2);
    }

    fn parts(minutes: &Minutes) -> &[Rc<Sealed>] {
        minutes.of(Minute(1)).map_or(&[], Counts::parts)
    }
}
