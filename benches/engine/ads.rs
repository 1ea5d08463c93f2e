//! Ads: their ids as numbers that compare as text does, and how those of a minute are put in order.

#![expect(
    clippy::cast_possible_truncation,
    reason = "places in a table are the low bits of hashes"
)]

use std::hash::Hash;

/// An ad's id: its bytes, then zeros, so that the order of numbers is the order of ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(u128);

impl Text {
    /// The id `id`.
    ///
    /// # Panics
    ///
    /// When it is longer than 16 bytes: this input has none.
    pub fn new(id: &str) -> Text {
        let mut bytes = [0; 16];
        bytes[..id.len()].copy_from_slice(id.as_bytes());
        Text(u128::from_be_bytes(bytes))
    }

    /// The id, and how many of its bytes count.
    #[inline]
    pub fn bytes(self) -> ([u8; 16], usize) {
        (self.0.to_be_bytes(), 16 - self.0.trailing_zeros() as usize / 8)
    }

    /// Appends the id to `line`.
    pub fn push_to(self, line: &mut Vec<u8>) {
        let (bytes, length) = self.bytes();
        line.extend_from_slice(&bytes[..length]);
    }

    /// Both halves.
    pub fn halves(self) -> [u64; 2] {
        [self.0 as u64, (self.0 >> 64) as u64]
    }
}

/// Both halves of a product: a fast hash of two numbers.
pub fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a).wrapping_mul(u128::from(b));
    product as u64 ^ (product >> 64) as u64
}

/// How the loop holds an ad: by its id, or by a number that it had beforehand.
pub trait Ad: Copy + Eq + Hash + Default {
    /// A hash of it: where it lies in tables, and among the ads of a minute.
    fn place(self) -> u32;

    /// Its id; `ids` are those of numbers.
    fn text(self, ids: &[Text]) -> Text;
}

impl Ad for Text {
    #[inline]
    fn place(self) -> u32 {
        let [low, high] = self.halves();
        (fold(low ^ 0x9e37_79b9_7f4a_7c15, high ^ 0xd6e8_feb8_6659_fd93) >> 32) as u32
    }

    fn text(self, _: &[Text]) -> Text {
        self
    }
}

impl Ad for u32 {
    #[inline]
    fn place(self) -> u32 {
        (u64::from(self).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
    }

    fn text(self, ids: &[Text]) -> Text {
        ids[self as usize]
    }
}

/// The places of `texts` in their order.
///
/// Only bits that differ are compared: ids such as `ad0012345` differ in some 25, which leave room
/// for the place in one word.
pub fn order(texts: &[Text], order: &mut Vec<u64>) {
    order.clear();
    let Some(first) = texts.first() else { return };
    let differing = texts.iter().fold(0, |bits, text| bits | (text.0 ^ first.0));
    if differing.count_ones() > 32 || texts.len() > u32::MAX as usize {
        order.extend(0..texts.len() as u64);
        order.sort_unstable_by_key(|at| texts[*at as usize]);
        return;
    }
    let runs = runs(differing);
    order.extend((0..).zip(texts).map(|(at, text)| {
        let key = runs.iter().fold(0, |key, run| {
            key << run.width | ((text.0 >> run.shift) as u64 & ((1 << run.width) - 1))
        });
        key << 32 | at
    }));
    sort(order, differing.count_ones());
    order.iter_mut().for_each(|key| *key &= u64::from(u32::MAX));
}

/// Bits that a pass of [`sort`] looks at.
const DIGIT: u32 = 9;

/// Sorts by so many bits from bit 32 on; what is equal there stays in its order.
fn sort(keys: &mut Vec<u64>, bits: u32) {
    let mut sorted = vec![0; keys.len()];
    for digit in 0..bits.div_ceil(DIGIT) {
        let place = |key: u64| (key >> (32 + digit * DIGIT)) as usize & ((1 << DIGIT) - 1);
        let mut next = [0; 1 << DIGIT];
        keys.iter().for_each(|key| next[place(*key)] += 1);
        let mut before = 0;
        for next in &mut next {
            before += std::mem::replace(next, before);
        }
        for key in keys.iter() {
            let next = &mut next[place(*key)];
            sorted[*next] = *key;
            *next += 1;
        }
        std::mem::swap(keys, &mut sorted);
    }
}

/// Neighbouring bits.
struct Run {
    shift: u32,
    width: u32,
}

/// The runs of ones in `bits`, the uppermost first.
fn runs(mut bits: u128) -> Vec<Run> {
    let (mut runs, mut below) = (Vec::new(), 0);
    while bits != 0 {
        let shift = bits.trailing_zeros();
        let width = (bits >> shift).trailing_ones();
        runs.push(Run { shift: below + shift, width });
        below += shift + width;
        bits = bits.checked_shr(shift + width).unwrap_or(0);
    }
    runs.reverse();
    runs
}
