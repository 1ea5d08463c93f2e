//! Counts of a minute that do not change any more, in six bytes each.
//!
//! ```text
//! spans    filter 0            filter 3      filter 7
//!          │                   │             │
//! keys     03 1f 52 77 a0 e9   11 52 c4      52
//! counts    1  9  1  2  1  1    1  4  1       1
//! ```
//!
//! A filter is its place among all filters, and a key is an ad's name, scrambled so that keys are
//! spread evenly whatever names are in use. An ad is thus found near the place where its key
//! belongs, in a step or two.

use crate::ads::Name;
use crate::count::clicks::{Clicks, Of};
use crate::count::radix::sort_by_key;

/// Clicks by filter and ad; see the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sealed {
    spans: Vec<Span>,
    keys: Vec<u32>,
    counts: Clicks,
}

/// Where the cells of a filter lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    filter: u32,
    start: usize,
    /// The most clicks of an ad.
    most: u32,
}

/// The cells of one filter, in order of key.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Column<'a> {
    keys: &'a [u32],
    counts: Of<'a>,
}

impl Sealed {
    /// The counts of `cells`, of filter, ad and clicks each; equal ones are summed.
    pub(crate) fn from_cells(cells: impl IntoIterator<Item = (u32, Name, u32)>) -> Sealed {
        let mut columns: Vec<Vec<(u32, u32)>> = Vec::new();
        for (filter, name, clicks) in cells {
            let at = filter as usize;
            if columns.len() <= at {
                columns.resize(at + 1, Vec::new());
            }
            columns[at].push((scramble(name), clicks));
        }
        let mut sealed = Sealed::with_room(columns.iter().map(Vec::len).sum());
        for (filter, mut column) in (0..).zip(columns).filter(|(_, column)| !column.is_empty()) {
            sort_by_key(&mut column);
            sealed.begin(filter);
            for same in column.chunk_by(|a, b| a.0 == b.0) {
                let add = |sum: u32, (_, clicks): &(u32, u32)| sum.checked_add(*clicks);
                sealed.push(same[0].0, same.iter().try_fold(0, add).expect(FITS));
            }
        }
        sealed.keys.shrink_to_fit();
        sealed.counts.shrink_to_fit();
        sealed
    }

    /// The counts of both.
    pub(crate) fn merge(a: &Sealed, b: &Sealed) -> Sealed {
        let mut merged = Sealed::with_room(a.len() + b.len());
        let (mut left, mut right) = (a.filters().peekable(), b.filters().peekable());
        loop {
            let filter = match (left.peek(), right.peek()) {
                (Some(a), Some(b)) => *a.min(b),
                (Some(filter), None) | (None, Some(filter)) => *filter,
                (None, None) => break,
            };
            left.next_if_eq(&filter);
            right.next_if_eq(&filter);
            merged.begin(filter);
            Column::totals(&mut [a.column(filter), b.column(filter)], |key, clicks| {
                merged.push(key, u32::try_from(clicks).expect(FITS));
            });
        }
        merged.keys.shrink_to_fit();
        merged.counts.shrink_to_fit();
        merged
    }

    fn with_room(cells: usize) -> Sealed {
        let (keys, counts) = (Vec::with_capacity(cells), Clicks::with_room(cells));
        Sealed { spans: Vec::new(), keys, counts }
    }

    /// Goes on with the cells of `filter`, which has some.
    fn begin(&mut self, filter: u32) {
        self.spans.push(Span { filter, start: self.keys.len(), most: 0 });
    }

    /// Appends a cell of that filter, after those of lesser keys.
    #[inline]
    fn push(&mut self, key: u32, clicks: u32) {
        let span = self.spans.last_mut().expect("a filter was begun");
        span.most = span.most.max(clicks);
        self.keys.push(key);
        self.counts.push(clicks);
    }

    /// The cells of `filter`.
    pub(crate) fn column(&self, filter: u32) -> Column<'_> {
        let Ok(at) = self.spans.binary_search_by_key(&filter, |span| span.filter) else {
            return Column::default();
        };
        let end = self.spans.get(at + 1).map_or(self.keys.len(), |next| next.start);
        let place = self.spans[at].start..end;
        Column { keys: &self.keys[place.clone()], counts: self.counts.of(place) }
    }

    /// The clicks of an ad, zero if there are none.
    pub(crate) fn clicks(&self, filter: u32, name: Name) -> u32 {
        self.column(filter).clicks(name)
    }

    /// The ads of `filter` with their clicks.
    #[cfg(test)]
    pub(crate) fn cells(&self, filter: u32) -> impl Iterator<Item = (Name, u32)> {
        self.column(filter).cells()
    }

    /// The most clicks of an ad in `filter`.
    pub(crate) fn most(&self, filter: u32) -> u32 {
        let at = self.spans.binary_search_by_key(&filter, |span| span.filter);
        at.map_or(0, |at| self.spans[at].most)
    }

    /// The filters that have a cell, ascending.
    pub(crate) fn filters(&self) -> impl Iterator<Item = u32> {
        self.spans.iter().map(|span| span.filter)
    }

    /// Cells held.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no cell.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Bytes held, about.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.len() * 4 + self.counts.bytes() + self.spans.len() * size_of::<Span>()
    }
}

const FITS: &str = "a cell has fewer clicks than u32 in its minute";

impl<'a> Column<'a> {
    /// Calls `each` with every key of `columns` and its clicks in all of them, in order of key;
    /// leaves the columns empty.
    pub(crate) fn totals(columns: &mut [Column<'a>], mut each: impl FnMut(u32, u64)) {
        if let [column] = columns {
            let Column { keys, counts } = std::mem::take(column);
            return keys.iter().zip(counts.iter()).for_each(|(key, n)| each(*key, u64::from(n)));
        }
        while let Some(least) = columns.iter().filter_map(|column| column.keys.first()).min() {
            let (least, mut total) = (*least, 0);
            for column in columns.iter_mut().filter(|column| column.keys.first() == Some(&least)) {
                total += u64::from(column.counts.at(0));
                *column = column.split_at(1).1;
            }
            each(least, total);
        }
    }

    /// The clicks of an ad, zero if there are none.
    pub(crate) fn clicks(&self, name: Name) -> u32 {
        let key = scramble(name);
        self.find(key).map_or(0, |at| self.counts.at(at))
    }

    /// The ads with their clicks.
    pub(crate) fn cells(&self) -> impl Iterator<Item = (Name, u32)> + use<'a> {
        self.keys.iter().zip(self.counts.iter()).map(|(key, clicks)| (unscramble(*key), clicks))
    }

    /// Cells held.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The cells with keys below `limit`, taken off the front.
    pub(crate) fn take_below(&mut self, limit: u32) -> Column<'a> {
        let guess = self.keys.iter().position(|key| *key >= limit).unwrap_or(self.keys.len());
        let (below, rest) = self.split_at(guess);
        *self = rest;
        below
    }

    fn split_at(&self, at: usize) -> (Column<'a>, Column<'a>) {
        let (first_keys, keys) = self.keys.split_at(at);
        let (first_counts, counts) = self.counts.split_at(at);
        (Column { keys: first_keys, counts: first_counts }, Column { keys, counts })
    }

    /// Where `key` is: looked for around the place that it has if keys are spread evenly.
    fn find(&self, key: u32) -> Option<usize> {
        let keys = self.keys;
        let guess = usize::try_from((u64::from(key) * keys.len() as u64) >> 32);
        let guess = guess.expect("it is below the length");
        let mut step = 8;
        let (mut from, mut to) = (guess, guess);
        if *keys.get(guess)? < key {
            while to < keys.len() && keys[to] < key {
                (from, to, step) = (to, to + step, step * 2);
            }
        } else {
            while from > 0 && keys[from] > key {
                (from, to, step) = (from.saturating_sub(step), from, step * 2);
            }
        }
        let to = keys.len().min(to + 1);
        keys[from..to].binary_search(&key).ok().map(|at| from + at)
    }
}

/// Odd, so that multiplying by it can be undone: 2^32 over the golden ratio.
const FACTOR: u32 = 0x9E37_79B1;

/// What undoes it.
const INVERSE: u32 = inverse(FACTOR);

/// The key of an ad.
pub(crate) fn scramble(name: Name) -> u32 {
    name.0.wrapping_mul(FACTOR)
}

/// The ad of a key.
pub(crate) fn unscramble(key: u32) -> Name {
    Name(key.wrapping_mul(INVERSE))
}

/// The inverse of an odd number modulo 2^32, by Newton's iteration.
const fn inverse(odd: u32) -> u32 {
    let mut inverse = odd;
    let mut bits = 3;
    while bits < 32 {
        inverse = inverse.wrapping_mul(2u32.wrapping_sub(odd.wrapping_mul(inverse)));
        bits *= 2;
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Draw, Random};
    use std::collections::BTreeMap;

    type Counts = BTreeMap<(u32, Name), u32>;

    fn random_cells(
        random: &mut Random,
        cells: u64,
        ads: u64,
        spread: u32,
    ) -> Vec<(u32, Name, u32)> {
        let ads = u32::try_from(ads).unwrap();
        let filters = 1 + random.small(5);
        let cell = |_| {
            let name = Name(random.small(ads).wrapping_mul(spread));
            (random.small(filters) * 3, name, 1 + random.small(9))
        };
        (0..cells).map(cell).collect()
    }

    fn add(counts: &mut Counts, cells: &[(u32, Name, u32)]) {
        for (filter, name, clicks) in cells {
            *counts.entry((*filter, *name)).or_default() += clicks;
        }
    }

    fn check(sealed: &Sealed, counts: &Counts, probes: u32) {
        assert_eq!(sealed.len(), counts.len());
        assert_eq!(sealed.is_empty(), counts.is_empty());
        for filter in 0..15 {
            let of_filter = || counts.iter().filter(|((f, _), _)| *f == filter);
            let mut cells: Vec<(Name, u32)> = sealed.cells(filter).collect();
            cells.sort_unstable();
            let expected: Vec<(Name, u32)> = of_filter().map(|((_, n), c)| (*n, *c)).collect();
            assert_eq!(cells, expected);
            assert_eq!(sealed.most(filter), of_filter().map(|(_, c)| *c).max().unwrap_or(0));
            assert_eq!(sealed.filters().any(|f| f == filter), !expected.is_empty());
            for name in (0..probes).chain([u32::MAX]).map(Name) {
                let expected = counts.get(&(filter, name)).copied().unwrap_or(0);
                assert_eq!(sealed.clicks(filter, name), expected);
            }
        }
    }

    #[test]
    fn sealed_counts_are_those_of_a_map() {
        let mut random = Random(1);
        for round in 0..300 {
            let (cells, ads) = (random.below(200), 1 + random.below(100));
            let spread = [1, 1, 1 << 20, INVERSE][round % 4];
            let (mut sealed, mut counts) = (Sealed::default(), Counts::new());
            for _ in 0..1 + round % 3 {
                let cells = random_cells(&mut random, cells, ads, spread);
                add(&mut counts, &cells);
                sealed = Sealed::merge(&sealed, &Sealed::from_cells(cells));
            }
            check(&sealed, &counts, 120);
            let names: Vec<Name> = counts.keys().map(|(_, name)| *name).collect();
            for name in names {
                let expected = counts.get(&(3, name)).copied().unwrap_or(0);
                assert_eq!(sealed.clicks(3, name), expected);
            }
        }
    }

    #[test]
    fn a_large_minute_is_found_again() {
        let mut random = Random(2);
        let cells = random_cells(&mut random, 300_000, 200_000, 1);
        let mut counts = Counts::new();
        add(&mut counts, &cells);
        let sealed = Sealed::from_cells(cells);
        check(&sealed, &counts, 200_000);
        assert!(sealed.bytes() < sealed.len() * 6 + 1000);
    }

    #[test]
    fn scrambling_is_undone() {
        for name in [0, 1, 2, 77, 1 << 31, u32::MAX] {
            assert_eq!(unscramble(scramble(Name(name))), Name(name));
        }
    }

    #[test]
    #[should_panic(expected = "a cell has fewer clicks than u32 in its minute")]
    fn a_count_beyond_u32_is_refused() {
        let one = |clicks| Sealed::from_cells([(0, Name(1), clicks)]);
        Sealed::merge(&one(u32::MAX), &one(1));
    }
}
