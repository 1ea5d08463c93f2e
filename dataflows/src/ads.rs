//! Ads as the hot stages hold them: by their ids in full, in few bytes.
//!
//! ```text
//! id        "ad0012345"                    "https://example.com/banner-7"
//! head       ad0012345·······  9            https://example.  28
//! name       one number of four bytes for each id that a worker knows
//! ```
//!
//! The *head* of an id is its first 16 bytes; with its length it says all of an id that is no
//! longer. A *name* is a number that stands for an ad within one [`Ads`]. Two ads are the same if
//! their ids are: hashes find the place to look, and the bytes decide.
//!
//! Whoever uses a name says until when. Names whose time has passed are free again; they are
//! looked for when twice as many are held as were in use the last time, so that a sweep costs
//! little for each name.

use std::cmp::Ordering;
use std::hash::BuildHasher;

use compact_str::CompactString;
use hashbrown::HashTable;

use crate::click::AdId;
use crate::hashes::{Hashes, used};
use crate::held::Table;

/// The first 16 bytes of an id, then zeros, as numbers whose order is that of the bytes.
pub type Head = [u64; 2];

/// Bytes of a head: an id of no more is all in there.
pub const HEAD_BYTES: usize = 16;

/// The head of `id`.
#[inline]
pub fn head(id: &[u8]) -> Head {
    match id.len() {
        HEAD_BYTES.. => [number(&id[..8]), number(&id[8..HEAD_BYTES])],
        8.. => [number(&id[..8]), short_number(&id[8..])],
        _ => [short_number(id), 0],
    }
}

/// The id of `bytes` bytes that is all in `head`, whose bytes these are.
#[inline]
pub(crate) fn text(head: &[u8; HEAD_BYTES], bytes: usize) -> &str {
    // Sixteen bytes are looked at in two steps, fewer one by one.
    &std::str::from_utf8(head).expect("an id is text")[..bytes]
}

/// The number of eight bytes.
fn number(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes.try_into().expect("there are eight"))
}

/// The number of at most seven bytes and zeros, without a copy of a length that varies.
fn short_number(bytes: &[u8]) -> u64 {
    let first = |four: &[u8]| u32::from_be_bytes(four.try_into().expect("there are four"));
    match bytes {
        [] => 0,
        [a] => u64::from(*a) << 56,
        [a, b] => u64::from(*a) << 56 | u64::from(*b) << 48,
        [a, b, c] => u64::from(*a) << 56 | u64::from(*b) << 48 | u64::from(*c) << 40,
        more => {
            // The last four overlap the first.
            let (high, low) = (first(&more[..4]), first(&more[more.len() - 4..]));
            let rest = u64::from(low) << (8 * (8 - more.len()));
            u64::from(high) << 32 | rest & 0xFFFF_FFFF
        }
    }
}

/// The hash of an id of `bytes` bytes, which is `long` unless it is all in its head: the same in
/// every process of a build, and part of nothing that is kept.
pub fn hash([high, low]: Head, bytes: usize, long: &[u8]) -> u64 {
    if bytes > HEAD_BYTES {
        return Hashes::default().hash_one(long);
    }
    used(fold(high ^ 0x9E37_79B9_7F4A_7C15, low ^ bytes as u64 ^ 0xD6E8_FEB8_6659_FD93))
}

/// Both halves of a product: a fast hash of two numbers.
pub fn fold(a: u64, b: u64) -> u64 {
    let [high, low] = halves(u128::from(a) * u128::from(b));
    high ^ low
}

/// The upper and the lower half of a number.
#[expect(clippy::cast_possible_truncation, reason = "the lower half is what is left of it")]
pub fn halves(number: u128) -> [u64; 2] {
    [(number >> 64) as u64, number as u64]
}

/// The number of which these are the upper and the lower half.
pub fn whole([high, low]: [u64; 2]) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}

/// How two ids compare, by head and length; `long` compares them if both are longer than heads.
pub(crate) fn order(
    (head_a, bytes_a): (Head, u32),
    (head_b, bytes_b): (Head, u32),
    long: impl FnOnce() -> Ordering,
) -> Ordering {
    head_a.cmp(&head_b).then_with(|| match bytes_a.min(bytes_b) as usize > HEAD_BYTES {
        true => long(),
        // The shorter is where the longer begins, or has zeros there.
        false => bytes_a.cmp(&bytes_b),
    })
}

/// Stands for an ad within one [`Ads`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(pub u32);

/// Ads and their names; see the module.
#[derive(Default)]
pub struct Ads {
    /// Each with half of the hash of its ad, so that nobody has to look at the ad to move it.
    names: HashTable<(Name, u32)>,
    known: Vec<Known>,
    /// The ids that are longer than their heads.
    long: Table<Name, Box<str>>,
    free: Vec<Name>,
    /// Names that were in use after the last sweep.
    swept: usize,
    /// Nobody uses a name until before this any more.
    released: u64,
}

struct Known {
    head: Head,
    bytes: u32,
    until: u64,
}

/// Names of which none is worth a sweep.
const FEW: usize = 1 << 12;

impl Ads {
    /// The name of the ad whose id has `bytes` bytes and is `long` unless it is all in its head, in
    /// use until `until` at least.
    pub fn name(&mut self, head: Head, bytes: usize, long: &[u8], until: u64) -> Name {
        let hash = hash(head, bytes, long) >> 32;
        let hash = u32::try_from(hash).expect("it is half of it");
        let same = |(name, of): &(Name, u32)| {
            *of == hash && {
                let known = &self.known[name.0 as usize];
                known.head == head
                    && known.bytes as usize == bytes
                    && (bytes <= HEAD_BYTES || self.long[name].as_bytes() == long)
            }
        };
        if let Some((name, _)) = self.names.find(spread(hash), same) {
            let known = &mut self.known[name.0 as usize];
            known.until = known.until.max(until);
            return *name;
        }
        let bytes = u32::try_from(bytes).expect("an id is short");
        self.add(Known { head, bytes, until }, hash, long)
    }

    /// The name of `id`, as [`Ads::name`] gives it.
    pub fn name_of(&mut self, id: &[u8], until: u64) -> Name {
        self.name(head(id), id.len(), id, until)
    }

    fn add(&mut self, known: Known, hash: u32, long: &[u8]) -> Name {
        let is_long = known.bytes as usize > HEAD_BYTES;
        let name = match self.free.pop() {
            Some(name) => {
                self.known[name.0 as usize] = known;
                name
            }
            None => {
                self.known.push(known);
                Name(u32::try_from(self.known.len() - 1).expect("fewer ads than u32 are in use"))
            }
        };
        if is_long {
            let text = std::str::from_utf8(long).expect("an id is text");
            self.long.insert(name, text.into());
        }
        self.names.insert_unique(spread(hash), (name, hash), |(_, hash)| spread(*hash));
        name
    }

    /// The id that `name` stands for.
    pub fn id(&self, name: Name) -> AdId {
        let Known { head, bytes, .. } = self.known[name.0 as usize];
        if bytes as usize > HEAD_BYTES {
            return AdId(CompactString::from(&*self.long[&name]));
        }
        let head = head.map(u64::to_be);
        AdId(CompactString::from(text(bytemuck::cast_ref(&head), bytes as usize)))
    }

    /// The id that `name` stands for, if it is longer than its head.
    pub fn long(&self, name: Name) -> &str {
        self.long.get(&name).map_or("", |id| id)
    }

    /// How the ids that two names stand for compare.
    pub fn order(&self, a: Name, b: Name) -> Ordering {
        let (known_a, known_b) = (&self.known[a.0 as usize], &self.known[b.0 as usize]);
        let by_long = || self.long(a).cmp(self.long(b));
        order((known_a.head, known_a.bytes), (known_b.head, known_b.bytes), by_long)
    }

    /// Ads that have a name.
    pub fn count(&self) -> usize {
        self.names.len()
    }

    /// Takes note that whoever uses names has let go of those in use until before `now`.
    pub fn release_before(&mut self, now: u64) {
        self.released = self.released.max(now);
    }

    /// Frees the names of which everybody has let go, see [`Ads::sweep`].
    pub fn sweep_released(&mut self) {
        self.sweep(self.released);
    }

    /// Frees the names that were in use until before `now`, if there may be enough of them.
    pub fn sweep(&mut self, now: u64) {
        if self.names.len() < 2 * self.swept.max(FEW) {
            return;
        }
        let Ads { names, known, long, free, .. } = self;
        names.retain(|(name, _)| {
            let used = known[name.0 as usize].until >= now;
            if !used {
                long.remove(name);
                free.push(*name);
            }
            used
        });
        self.swept = self.names.len();
    }
}

/// A hash for a table, made of half of one.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: [&str; 9] = [
        "a",
        "a\0",
        "ad0012345",
        "sixteen bytes id",
        "sixteen bytes id\0",
        "sixteen bytes id and more",
        "sixteen bytes id and other",
        "é",
        "zz",
    ];

    #[test]
    fn ids_of_all_lengths_keep_their_names_and_their_order() {
        let mut ads = Ads::default();
        let names = IDS.map(|id| ads.name_of(id.as_bytes(), 0));
        assert_eq!(names, IDS.map(|id| ads.name_of(id.as_bytes(), 0)));
        for (a, id_a) in names.into_iter().zip(IDS) {
            assert_eq!(ads.id(a).as_str(), id_a);
            for (b, id_b) in names.into_iter().zip(IDS) {
                assert_eq!(ads.order(a, b), id_a.cmp(id_b), "{id_a:?} {id_b:?}");
            }
        }
    }

    #[test]
    fn names_are_free_after_their_last_use() {
        let mut ads = Ads::default();
        let id = |number: u64| format!("an ad of many: {number}");
        for number in 0..2 * FEW as u64 {
            ads.name_of(id(number).as_bytes(), number % 2);
        }
        ads.sweep(1);
        assert_eq!(ads.count(), FEW);
        for number in 0..2 * FEW as u64 {
            let name = ads.name_of(id(number).as_bytes(), 1);
            assert_eq!(ads.id(name).as_str(), id(number));
        }
        assert_eq!((ads.count(), ads.known.len()), (2 * FEW, 2 * FEW));
    }
}
