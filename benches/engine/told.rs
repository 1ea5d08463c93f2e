//! What a side tells, as values: who takes the rows, and how those of two sides are compared.

use clicks_dataflows::time::{Epoch, Minute};

use crate::ads::{Text, fold};

/// A row of `counts`.
#[derive(Clone, Copy, Debug)]
pub struct Count {
    /// When it is told.
    pub epoch: Epoch,
    /// The ad.
    pub ad: Text,
    /// The minute.
    pub minute: Minute,
    /// The filter.
    pub filter: u32,
    /// Its clicks.
    pub clicks: u64,
}

/// A row of `ranks`.
#[derive(Clone, Copy, Debug)]
pub struct Rank<'a> {
    /// When it is told.
    pub epoch: Epoch,
    /// The last minute of the window.
    pub minute: Minute,
    /// The filter.
    pub filter: u32,
    /// Minutes of the window.
    pub window: u32,
    /// The clicks and the ad of each place.
    pub ads: &'a [(u64, Text)],
}

/// Takes rows in the order in which they are told.
pub trait Sink {
    /// Takes a row of `counts`.
    fn count(&mut self, row: Count);
    /// Takes a row of `ranks`.
    fn rank(&mut self, row: Rank<'_>);
}

/// What came of the clicks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// First copies.
    pub clicks: u64,
    /// Further copies.
    pub duplicates: u64,
    /// The rows.
    pub rows: Checksum,
}

/// Rows, added up: equal rows have equal sums, whatever their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checksum {
    /// Rows of `counts`.
    pub counts: u64,
    /// Rows of `ranks`.
    pub ranks: u64,
    /// The sum of the hashes of all rows.
    pub sum: u64,
}

impl Sink for Checksum {
    #[inline]
    fn count(&mut self, row: Count) {
        let place = row.epoch ^ (u64::from(row.minute.0) << 20) ^ (u64::from(row.filter) << 60);
        self.counts += 1;
        self.sum = self.sum.wrapping_add(hash(row.ad, row.clicks, place));
    }

    fn rank(&mut self, row: Rank<'_>) {
        let list = u64::from(row.window) << 8 | u64::from(row.filter);
        let place = fold(row.epoch ^ (u64::from(row.minute.0) << 20), list ^ 0x1d8e_4e27_c47d_124f);
        self.ranks += 1;
        self.sum = self.sum.wrapping_add(place);
        for (at, (clicks, ad)) in (0_u64..).zip(row.ads) {
            self.sum = self.sum.wrapping_add(hash(*ad, *clicks, place.wrapping_add(at)));
        }
    }
}

fn hash(ad: Text, clicks: u64, place: u64) -> u64 {
    let [low, high] = ad.halves();
    let ad = fold(low ^ 0xa076_1d64_78bd_642f, high ^ 0xe703_7ed1_a0b4_28db);
    fold(ad ^ clicks.wrapping_mul(0x9e37_79b9_7f4a_7c15), place ^ 0x8ebc_6af0_9c88_c6e3)
}
