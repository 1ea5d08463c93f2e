//! The largest of many, in a buffer that is cut down when it is full.

use std::cmp::{Ordering, Reverse};

use crate::ads::{Ads, Name};

/// An ad's place in a list: most clicks first, then the least ad, which its name does not tell.
pub(crate) type Place = (Reverse<u64>, Name);

/// The order of places, by the ads themselves.
pub(super) fn order(ads: &Ads, a: &Place, b: &Place) -> Ordering {
    a.0.cmp(&b.0).then_with(|| ads.order(a.1, b.1))
}

/// The first places of those offered.
pub(super) struct Largest<'a> {
    ads: &'a Ads,
    top: usize,
    places: Vec<Place>,
    /// What comes behind it is not among them.
    last: Option<Place>,
}

impl<'a> Largest<'a> {
    /// The first `top`, of none.
    pub(super) fn new(ads: &'a Ads, top: usize) -> Largest<'a> {
        Largest { ads, top, places: Vec::new(), last: None }
    }

    /// One more ad.
    pub(super) fn offer(&mut self, sum: u64, name: Name) {
        let place = (Reverse(sum), name);
        if sum == 0 || self.last.is_some_and(|last| order(self.ads, &place, &last).is_gt()) {
            return;
        }
        self.places.push(place);
        if self.places.len() >= self.top * 4 + 64 {
            self.cut();
            self.last = self.places.last().copied();
        }
    }

    /// The list, in order.
    pub(super) fn finish(mut self) -> Vec<Place> {
        self.cut();
        self.places.sort_unstable_by(|a, b| order(self.ads, a, b));
        self.places.shrink_to_fit();
        self.places
    }

    /// Leaves the first, of which the last is at its place.
    fn cut(&mut self) {
        if self.places.len() > self.top {
            self.places.select_nth_unstable_by(self.top - 1, |a, b| order(self.ads, a, b));
            self.places.truncate(self.top);
        }
    }
}

/// The N-th largest of the counts offered.
pub(super) struct Nth {
    top: usize,
    counts: Vec<u64>,
    /// Counts below it are not among the largest.
    least: u64,
}

impl Nth {
    /// The N-th largest of none.
    pub(super) fn new(top: usize) -> Nth {
        Nth { top, counts: Vec::new(), least: 0 }
    }

    /// One more count.
    pub(super) fn offer(&mut self, count: u64) {
        if count > self.least {
            self.counts.push(count);
            if self.counts.len() >= self.top * 4 + 64 {
                self.least = self.cut();
            }
        }
    }

    /// The N-th largest; zero if there are fewer.
    pub(super) fn finish(mut self) -> u64 {
        if self.counts.len() < self.top { self.least } else { self.cut() }
    }

    fn cut(&mut self) -> u64 {
        let (_, nth, _) = self.counts.select_nth_unstable_by_key(self.top - 1, |n| Reverse(*n));
        let nth = *nth;
        self.counts.truncate(self.top);
        nth
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Draw, Random};

    #[test]
    fn the_largest_are_the_first_of_all_in_order() {
        let mut random = Random(5);
        for round in 0..200 {
            let mut ads = Ads::default();
            let ids = (0..random.below(1000)).map(|_| random.below(100_000).to_string());
            let mut names: Vec<Name> = ids.map(|id| ads.name_of(id.as_bytes(), 0)).collect();
            names.sort_unstable();
            names.dedup();
            let (top, most) = (1 + random.small(30) as usize, 1 + random.below(1 + round * 3));
            let mut all: Vec<Place> =
                names.iter().map(|name| (Reverse(random.below(most)), *name)).collect();
            let (mut largest, mut nth) = (Largest::new(&ads, top), Nth::new(top));
            for (Reverse(sum), name) in &all {
                largest.offer(*sum, *name);
                nth.offer(*sum);
            }
            all.retain(|(sum, _)| sum.0 > 0);
            all.sort_unstable_by_key(|(sum, name)| (*sum, ads.id(*name)));
            all.truncate(top);
            assert_eq!(nth.finish(), all.get(top - 1).map_or(0, |(sum, _)| sum.0));
            assert_eq!(largest.finish(), all);
        }
    }
}
