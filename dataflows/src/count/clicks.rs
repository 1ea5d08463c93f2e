//! Counts in two bytes each, and the few that need more.
//!
//! ```text
//! small   9  1  MANY  2  1  MANY  1
//! large         └─ place 2: 70,123  └─ place 5: 1,000,000
//! ```

use std::ops::Range;

/// Stands for a count that is among the large ones.
const MANY: u16 = u16::MAX;

/// Counts by place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Clicks {
    small: Vec<u16>,
    /// Place and count, in the order of places.
    large: Vec<(usize, u32)>,
}

/// The counts of some places.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Of<'a> {
    small: &'a [u16],
    /// Those of all places.
    large: &'a [(usize, u32)],
    /// The place of the first.
    first: usize,
}

impl Clicks {
    /// No counts, with room for so many.
    pub(crate) fn with_room(counts: usize) -> Clicks {
        Clicks { small: Vec::with_capacity(counts), large: Vec::new() }
    }

    /// Appends a count.
    #[inline]
    pub(crate) fn push(&mut self, clicks: u32) {
        match u16::try_from(clicks) {
            Ok(clicks) if clicks < MANY => self.small.push(clicks),
            _ => {
                self.large.push((self.small.len(), clicks));
                self.small.push(MANY);
            }
        }
    }

    /// The counts of `places`.
    pub(crate) fn of(&self, places: Range<usize>) -> Of<'_> {
        Of { first: places.start, small: &self.small[places], large: &self.large }
    }

    /// Gives back the room that is not needed.
    pub(crate) fn shrink_to_fit(&mut self) {
        self.small.shrink_to_fit();
        self.large.shrink_to_fit();
    }

    /// Bytes held, about.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&self.small[..]) + size_of_val(&self.large[..])
    }
}

impl<'a> Of<'a> {
    /// The count with number `at` among these.
    #[inline]
    pub(crate) fn at(&self, at: usize) -> u32 {
        let clicks = self.small[at];
        if clicks < MANY { clicks.into() } else { self.large(at) }
    }

    /// All of them.
    pub(crate) fn iter(self) -> impl Iterator<Item = u32> + use<'a> {
        (0..self.small.len()).map(move |at| self.at(at))
    }

    /// The first `count`, and the others.
    pub(crate) fn split_at(&self, count: usize) -> (Of<'a>, Of<'a>) {
        let (before, after) = self.small.split_at(count);
        (Of { small: before, ..*self }, Of { small: after, first: self.first + count, ..*self })
    }

    #[cold]
    fn large(&self, at: usize) -> u32 {
        let found = self.large.binary_search_by_key(&(self.first + at), |(place, _)| *place);
        self.large[found.expect("it is among the large ones")].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_all_sizes_are_where_they_were_put() {
        let sizes = [1, 65_534, 65_535, 65_536, 2, u32::MAX, 0, 70_000];
        let mut clicks = Clicks::default();
        sizes.iter().for_each(|count| clicks.push(*count));
        for start in 0..sizes.len() {
            for end in start..=sizes.len() {
                let of = clicks.of(start..end);
                assert_eq!(of.iter().collect::<Vec<u32>>(), sizes[start..end]);
                for middle in 0..=end - start {
                    let (before, after) = of.split_at(middle);
                    assert!(
                        before.iter().chain(after.iter()).eq(sizes[start..end].iter().copied())
                    );
                }
            }
        }
        assert_eq!(clicks.bytes(), 8 * 2 + 4 * size_of::<(usize, u32)>());
    }
}
