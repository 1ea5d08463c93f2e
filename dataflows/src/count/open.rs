//! Counts of a minute that is told before it has settled, in tables that change in place.
//!
//! ```text
//! key        0x03…   0x04…           0x71…   0x70…        the key of an ad, as in `sealed`
//! place        0       1      2        3       4      5   the key's first bits, or close behind
//! clicks       9       1      ·        2       1      ·
//! ```
//!
//! Each epoch adds a few clicks to many ads. A table takes them where the ad is, which nobody has
//! to merge; and it gives an ad's clicks in one step. Its places are nearly in the order of keys, so
//! that it is soon sealed when the minute has settled.

use crate::ads::Name;
use crate::count::sealed::{Sealed, scramble, unscramble};
use crate::hashes::used;

/// Clicks by filter and ad.
#[derive(Clone, Debug, Default)]
pub(crate) struct Open {
    /// By the place of the filter.
    tables: Vec<Table>,
}

/// Clicks of the ads under one filter.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    /// Key and clicks; without clicks a place is free.
    places: Vec<(u32, u32)>,
    taken: usize,
    /// The most clicks of an ad.
    most: u32,
}

/// Places of the smallest table.
const FEW: usize = 64;

impl Open {
    /// Gives an ad more clicks, at least one.
    #[inline]
    pub(crate) fn add(&mut self, filter: u32, name: Name, clicks: u32) {
        let at = filter as usize;
        if self.tables.len() <= at {
            self.tables.resize_with(at + 1, Table::default);
        }
        self.tables[at].add(scramble(name), clicks);
    }

    /// The table of `filter`, if it has a cell.
    pub(crate) fn table(&self, filter: u32) -> Option<&Table> {
        self.tables.get(filter as usize).filter(|table| table.taken > 0)
    }

    /// The clicks of an ad, zero if there are none.
    #[inline]
    pub(crate) fn clicks(&self, filter: u32, name: Name) -> u32 {
        self.table(filter).map_or(0, |table| table.clicks(name))
    }

    /// The most clicks of an ad in `filter`.
    pub(crate) fn most(&self, filter: u32) -> u32 {
        self.table(filter).map_or(0, |table| table.most)
    }

    /// The filters that have a cell, ascending.
    pub(crate) fn filters(&self) -> impl Iterator<Item = u32> {
        (0..).zip(&self.tables).filter(|(_, table)| table.taken > 0).map(|(filter, _)| filter)
    }

    /// The same counts, which change no more.
    pub(crate) fn sealed(&self) -> Sealed {
        let of_filter = |filter| {
            let cells = self.table(filter).into_iter().flat_map(Table::cells);
            cells.map(move |(name, clicks)| (filter, name, clicks))
        };
        Sealed::from_cells(self.filters().flat_map(of_filter))
    }
}

impl Table {
    fn add(&mut self, key: u32, clicks: u32) {
        if 3 * self.taken >= 2 * self.places.len() {
            self.grow();
        }
        let at = self.find(key);
        let (of, sum) = &mut self.places[at];
        self.taken += usize::from(*sum == 0);
        *of = key;
        *sum = sum.checked_add(clicks).expect("a cell has fewer clicks than u32 in its minute");
        self.most = self.most.max(*sum);
    }

    /// The clicks of an ad, zero if there are none.
    #[inline]
    pub(crate) fn clicks(&self, name: Name) -> u32 {
        self.places[self.find(scramble(name))].1
    }

    /// The ads with their clicks.
    pub(crate) fn cells(&self) -> impl Iterator<Item = (Name, u32)> {
        let taken = self.places.iter().filter(|(_, clicks)| *clicks > 0);
        taken.map(|(key, clicks)| (unscramble(*key), *clicks))
    }

    /// Ads that have clicks.
    pub(crate) fn len(&self) -> usize {
        self.taken
    }

    /// The place of a key, or the free one at which it belongs; a table has free places.
    #[inline]
    fn find(&self, key: u32) -> usize {
        let mut at = self.home(key);
        loop {
            let (of, clicks) = self.places[at];
            if of == key || clicks == 0 {
                return at;
            }
            at = (at + 1) & (self.places.len() - 1);
        }
    }

    #[inline]
    fn home(&self, key: u32) -> usize {
        let hash = used(u64::from(key) << 32 | u64::from(key));
        let home = hash >> (64 - self.places.len().trailing_zeros());
        usize::try_from(home).expect("it is below the length")
    }

    #[cold]
    fn grow(&mut self) {
        let larger = vec![(0, 0); (2 * self.places.len()).max(FEW)];
        let places = std::mem::replace(&mut self.places, larger);
        for (key, clicks) in places.into_iter().filter(|(_, clicks)| *clicks > 0) {
            let at = self.find(key);
            self.places[at] = (key, clicks);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::random::{Draw, Random};

    #[test]
    fn an_open_minute_holds_what_a_map_holds_and_seals_it() {
        let mut random = Random(7);
        for ads in [1, 30, 4000] {
            let (mut open, mut counts) = (Open::default(), BTreeMap::<(u32, Name), u32>::new());
            for _ in 0..6000 {
                let (filter, name) = (2 * random.small(3), Name(random.small(ads)));
                let clicks = 1 + random.small(3);
                open.add(filter, name, clicks);
                *counts.entry((filter, name)).or_default() += clicks;
            }
            let sealed = open.sealed();
            for filter in 0..6 {
                let of_filter = || counts.iter().filter(|((of, _), _)| *of == filter);
                let mut cells: Vec<(Name, u32)> =
                    open.table(filter).into_iter().flat_map(Table::cells).collect();
                cells.sort_unstable();
                assert!(of_filter().map(|((_, name), n)| (*name, *n)).eq(cells));
                assert_eq!(open.table(filter).map_or(0, Table::len), of_filter().count());
                assert_eq!(open.most(filter), of_filter().map(|(_, n)| *n).max().unwrap_or(0));
                assert_eq!(open.filters().any(|of| of == filter), of_filter().next().is_some());
                for name in (0..=ads).map(Name) {
                    let expected = counts.get(&(filter, name)).copied().unwrap_or(0);
                    assert_eq!(open.clicks(filter, name), expected);
                    assert_eq!(sealed.clicks(filter, name), expected);
                }
            }
        }
    }
}
