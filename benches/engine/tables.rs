//! What the loop holds of a minute that takes clicks: identities and counts in tables of its own.
//!
//! Open addressing with linear probing in one piece of memory, kept and used again by later
//! minutes. Rows of counts lie nearly in the order of their keys.

#![expect(clippy::cast_possible_truncation, reason = "places in a table are bits of hashes")]

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
    /// Reads where `identity` belongs, so that it is near when it is wanted.
    #[inline]
    pub fn touch(&self, identity: u128) -> u32 {
        self.places[identity as usize & (self.places.len() - 1)] as u32
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
#[repr(align(16))]
struct Row {
    key: u32,
    counts: Counts,
}

/// Clicks by the [`key`] of an ad, whose upper bits say where to look.
pub struct AdCounts {
    rows: Vec<Row>,
    taken: usize,
    shift: u32,
}

impl Default for AdCounts {
    fn default() -> AdCounts {
        AdCounts { rows: vec![Row::default(); 1 << 11], taken: 0, shift: 32 - 11 }
    }
}

impl AdCounts {
    /// Reads where `key` belongs, so that it is near when it is wanted.
    #[inline]
    pub fn touch(&self, key: u32) -> u32 {
        self.rows[(key >> self.shift) as usize].key
    }

    /// Counts a click.
    #[inline]
    pub fn add(&mut self, key: u32, counts: Counts) {
        let rows = &mut self.rows[..];
        let mask = rows.len() - 1;
        let mut at = (key >> self.shift) as usize & mask;
        loop {
            let row = &mut rows[at];
            if row.counts[0] == 0 {
                *row = Row { key, counts };
                break;
            }
            if row.key == key {
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
            let mut at = (row.key >> self.shift) as usize;
            while self.rows[at].counts[0] > 0 {
                at = (at + 1) & mask;
            }
            self.rows[at] = row;
        }
    }

    /// All rows by key: they are nearly so, but for those that found their place taken.
    pub fn sorted(&self) -> (Vec<u32>, Vec<Counts>) {
        let (mut keys, mut counts) = (Vec::with_capacity(self.taken), Vec::new());
        counts.reserve_exact(self.taken);
        for row in self.rows.iter().filter(|row| row.counts[0] > 0) {
            let mut at = keys.len();
            keys.push(row.key);
            counts.push(row.counts);
            while at > 0 && keys[at - 1] > row.key {
                keys.swap(at - 1, at);
                counts.swap(at - 1, at);
                at -= 1;
            }
        }
        (keys, counts)
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.rows.fill(Row::default());
        self.taken = 0;
    }
}

/// The key of an ad: its number, mixed so that keys lie evenly, and no two are the same.
///
/// The finalizer of MurmurHash3 (Austin Appleby).
#[inline]
pub fn key(ad: u32) -> u32 {
    let mut h = ad ^ (ad >> 16);
    h = h.wrapping_mul(0x85eb_ca6b);
    h ^= h >> 13;
    h = h.wrapping_mul(0xc2b2_ae35);
    h ^ (h >> 16)
}

/// The ad of a key.
pub fn ad(key: u32) -> u32 {
    let mut x = key ^ (key >> 16);
    x = x.wrapping_mul(0x7ed1_b41d);
    x ^= (x >> 13) ^ (x >> 26);
    x = x.wrapping_mul(0xa5cb_9243);
    x ^ (x >> 16)
}
