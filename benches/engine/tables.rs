//! What the loop holds of a minute that takes clicks: identities and counts in tables of its own.
//!
//! Open addressing with linear probing in one piece of memory, kept and used again by later
//! minutes. Rows of counts lie nearly in the order of their places.

use crate::ads::Ad;

/// Filters: every click, a country, blocks of addresses.
pub const FILTERS: usize = 3;

/// Clicks by filter.
pub type Counts = [u32; FILTERS];

/// Adds to each count.
pub fn add(counts: &mut Counts, more: Counts) {
    for (count, more) in counts.iter_mut().zip(more) {
        *count = count.wrapping_add(more);
    }
}

/// Identities; 0 marks a free place, and so stands for 1.
pub struct Seen {
    places: Vec<u128>,
    taken: usize,
}

impl Default for Seen {
    fn default() -> Seen {
        Seen { places: vec![0; 1 << 13], taken: 0 }
    }
}

impl Seen {
    /// Fetches where `identity` belongs.
    #[inline]
    pub fn fetch(&self, identity: u128) {
        fetch(&self.places[identity as usize & (self.places.len() - 1)]);
    }

    /// Whether `identity` was not there.
    #[inline]
    pub fn insert(&mut self, identity: u128) -> bool {
        let identity = identity.max(1);
        let places = &mut self.places[..];
        let mask = places.len() - 1;
        let mut at = identity as usize & mask;
        loop {
            let place = &mut places[at];
            if *place == identity {
                return false;
            }
            if *place == 0 {
                *place = identity;
                break;
            }
            at = at.wrapping_add(1) & mask;
        }
        self.taken = self.taken.wrapping_add(1);
        if self.taken * 3 > self.places.len() * 2 {
            self.grow();
        }
        true
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self) {
        let mask = self.places.len() * 2 - 1;
        let before = std::mem::replace(&mut self.places, vec![0; mask + 1]);
        for identity in before.into_iter().filter(|identity| *identity != 0) {
            let mut at = identity as usize & mask;
            while self.places[at] != 0 {
                at = (at + 1) & mask;
            }
            self.places[at] = identity;
        }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.places.fill(0);
        self.taken = 0;
    }
}

/// A row of [`AdCounts`]; free if no click is counted.
#[derive(Clone, Copy, Default)]
struct Row<A> {
    ad: A,
    place: u32,
    counts: Counts,
}

/// Clicks by ad; the upper bits of an ad's [place](Ad::place) say where to look.
pub struct AdCounts<A> {
    rows: Vec<Row<A>>,
    taken: usize,
    shift: u32,
}

impl<A: Ad> Default for AdCounts<A> {
    fn default() -> AdCounts<A> {
        AdCounts { rows: vec![Row::default(); 1 << 11], taken: 0, shift: 32 - 11 }
    }
}

impl<A: Ad> AdCounts<A> {
    /// Fetches where an ad of this place belongs.
    #[inline]
    pub fn fetch(&self, place: u32) {
        fetch(&self.rows[(place >> self.shift) as usize]);
    }

    /// Counts a click.
    #[inline]
    pub fn add(&mut self, ad: A, place: u32, counts: Counts) {
        let rows = &mut self.rows[..];
        let mask = rows.len() - 1;
        let mut at = (place >> self.shift) as usize & mask;
        loop {
            let row = &mut rows[at];
            if row.counts[0] == 0 {
                *row = Row { ad, place, counts };
                break;
            }
            if row.ad == ad {
                add(&mut row.counts, counts);
                return;
            }
            at = at.wrapping_add(1) & mask;
        }
        self.taken = self.taken.wrapping_add(1);
        if self.taken * 3 > self.rows.len() * 2 {
            self.grow();
        }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self) {
        let mask = self.rows.len() * 2 - 1;
        let before = std::mem::replace(&mut self.rows, vec![Row::default(); mask + 1]);
        self.shift -= 1;
        for row in before.into_iter().filter(|row| row.counts[0] > 0) {
            let mut at = (row.place >> self.shift) as usize;
            while self.rows[at].counts[0] > 0 {
                at = (at + 1) & mask;
            }
            self.rows[at] = row;
        }
    }

    /// All rows by place: they are nearly so, but for those that found theirs taken.
    pub fn sealed(&self) -> Sealed<A> {
        let mut sealed = Sealed::default();
        sealed.places.reserve_exact(self.taken);
        sealed.ads.reserve_exact(self.taken);
        sealed.counts.reserve_exact(self.taken);
        for row in self.rows.iter().filter(|row| row.counts[0] > 0) {
            let mut at = sealed.places.len();
            sealed.places.push(row.place);
            sealed.ads.push(row.ad);
            sealed.counts.push(row.counts);
            while at > 0 && sealed.places[at - 1] > row.place {
                sealed.places.swap(at - 1, at);
                sealed.ads.swap(at - 1, at);
                sealed.counts.swap(at - 1, at);
                at -= 1;
            }
        }
        sealed
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.rows.fill(Row::default());
        self.taken = 0;
    }
}

/// The counts of a minute that has settled, by ascending place.
#[derive(Default)]
pub struct Sealed<A> {
    /// Places of the ads.
    pub places: Vec<u32>,
    /// The ads.
    pub ads: Vec<A>,
    /// The clicks of each.
    pub counts: Vec<Counts>,
}

impl<A: Ad> Sealed<A> {
    /// Each ad and its clicks.
    pub fn rows(&self) -> impl Iterator<Item = (A, Counts)> {
        self.ads.iter().copied().zip(self.counts.iter().copied())
    }

    /// The clicks of an ad: places lie evenly, so a guess is near.
    pub fn get(&self, ad: A) -> Counts {
        let (place, count) = (ad.place(), self.places.len());
        let mut at = ((u64::from(place) * count as u64) >> 32) as usize;
        let mut step = 8;
        let mut end = at;
        while at > 0 && self.places[at] >= place {
            at = at.saturating_sub(step);
            step *= 2;
        }
        while end < count && self.places[end] < place {
            end = count.min(end + step);
            step *= 2;
        }
        at += self.places[at..end].partition_point(|other| *other < place);
        while self.places.get(at) == Some(&place) {
            if self.ads[at] == ad {
                return self.counts[at];
            }
            at += 1;
        }
        [0; FILTERS]
    }
}

/// Has the processor bring `at` near before it is wanted; without it the loop takes 5 to 8 % longer.
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "an instruction that has no effect but on the cache")]
#[inline]
fn fetch<T>(at: &T) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: the address is of a living value, and nothing is read.
    unsafe { _mm_prefetch(std::ptr::from_ref(at).cast(), _MM_HINT_T0) }
}

#[cfg(not(target_arch = "x86_64"))]
fn fetch<T>(_: &T) {}
