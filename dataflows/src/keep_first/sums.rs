//! Clicks that are told together, added up by ad and by the filters that they match.
//!
//! A click adds to one sum, however many filters it matches; which filters those are is looked at
//! once for each sum, when it is told.
//!
//! A table of slots with linear probing, 32 bytes each and at most two in three of them taken.

use std::cmp::Ordering;
use std::hint::black_box;

use crate::ads::{HEAD_BYTES, Head, fold, halves, whole};
use crate::hashes::used;

/// An ad as a stage holds it: the head of its id, and its length; or, of an id that is longer, the
/// number of its name beyond [`LONG`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ad {
    pub head: Head,
    pub tail: u32,
}

/// From here on, [`Ad::tail`] is a name.
const LONG: u32 = 1 << 31;

impl Ad {
    /// The ad whose id is all in its head.
    pub fn short(head: Head, bytes: u16) -> Ad {
        debug_assert!(usize::from(bytes) <= HEAD_BYTES, "the others have names");
        Ad { head, tail: bytes.into() }
    }

    /// The ad whose id has a name.
    pub fn long(head: Head, name: u32) -> Ad {
        assert!(name < LONG, "fewer ads are known");
        Ad { head, tail: name | LONG }
    }

    /// The name, if it has one.
    pub fn name(self) -> Option<u32> {
        (self.tail >= LONG).then_some(self.tail & !LONG)
    }
}

/// Clicks of an ad that match the same filters.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    head: Head,
    tail: u32,
    clicks: u32,
    pattern: u64,
}

impl Slot {
    fn ad(&self) -> Ad {
        Ad { head: self.head, tail: self.tail }
    }
}

/// Clicks of one minute that are told at one epoch, by ad and pattern of filters.
#[derive(Default)]
pub struct Sums {
    slots: Vec<Slot>,
    taken: usize,
}

/// Slots of the smallest table.
const FEW: usize = 64;

impl Sums {
    /// No clicks yet, with room for `count` sums.
    pub fn expecting(count: usize) -> Sums {
        let slots = if count == 0 { 0 } else { (count / 2 * 3).next_power_of_two().max(FEW) };
        Sums { slots: vec![Slot::default(); slots], taken: 0 }
    }

    /// Adds clicks of `ad` that match the filters of `pattern`.
    #[inline]
    pub fn add(&mut self, ad: Ad, pattern: u64, clicks: u32) {
        if 3 * self.taken >= 2 * self.slots.len() {
            self.grow();
        }
        let mask = self.slots.len() - 1;
        let mut at = self.home(ad, pattern);
        loop {
            let slot = &mut self.slots[at];
            if slot.clicks == 0 {
                *slot = Slot { head: ad.head, tail: ad.tail, clicks, pattern };
                self.taken += 1;
                return;
            }
            if slot.ad() == ad && slot.pattern == pattern {
                slot.clicks = slot.clicks.checked_add(clicks).expect(FEWER);
                return;
            }
            at = (at + 1) & mask;
        }
    }

    /// How many sums there are.
    pub fn len(&self) -> usize {
        self.taken
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.taken == 0
    }

    /// Brings to the processor's cache what [`Sums::add`] is about to look at.
    pub fn look_ahead(&self, sums: &[(Ad, u64)]) {
        if self.slots.is_empty() {
            return;
        }
        let homes = sums.iter().map(|(ad, pattern)| self.slots[self.home(*ad, *pattern)].clicks);
        black_box(homes.fold(0, |all, clicks| all ^ clicks));
    }

    /// Calls `each` with the clicks of every ad under every filter, in the order of ids and then of
    /// filters; `places` gives the filters of a pattern, and `by_name` the order of long ids.
    pub fn tell<P: Iterator<Item = u32>>(
        self,
        places: impl Fn(u64) -> P,
        by_name: impl Fn(u32, u32) -> Ordering,
        mut each: impl FnMut(Ad, u32, u32),
    ) {
        let sums = self.in_order(by_name);
        let (mut by_place, mut touched) = (Vec::<u32>::new(), Vec::<u32>::new());
        for of_ad in sums.chunk_by(|a, b| a.ad() == b.ad()) {
            for Slot { pattern, clicks, .. } in of_ad {
                for place in places(*pattern) {
                    let at = place as usize;
                    if by_place.len() <= at {
                        by_place.resize(at + 1, 0);
                    }
                    if by_place[at] == 0 {
                        touched.push(place);
                    }
                    by_place[at] = by_place[at].checked_add(*clicks).expect(FEWER);
                }
            }
            touched.sort_unstable();
            for place in touched.drain(..) {
                each(of_ad[0].ad(), place, std::mem::take(&mut by_place[place as usize]));
            }
        }
    }

    /// The sums in the order of ids.
    ///
    /// What all heads begin with says nothing of their order: the 64 bits that follow it are sorted
    /// with the places of the sums, and decide nearly always.
    fn in_order(self, by_name: impl Fn(u32, u32) -> Ordering) -> Vec<Slot> {
        let taken = || self.slots.iter().filter(|slot| slot.clicks > 0);
        let first = taken().next().map_or(0, |slot| whole(slot.head));
        let differ = taken().fold(0, |differ, slot| differ | whole(slot.head) ^ first);
        let shared = differ.leading_zeros().min(64);
        let mut keys: Vec<(u64, u32)> = Vec::with_capacity(self.taken);
        for (at, slot) in (0..).zip(&self.slots).filter(|(_, slot)| slot.clicks > 0) {
            let [key, _] = halves(whole(slot.head) << shared);
            keys.push((key, at));
        }
        keys.sort_unstable_by_key(|(key, _)| *key);
        let mut sums: Vec<Slot> = Vec::with_capacity(self.taken);
        for same in keys.chunk_by(|a, b| a.0 == b.0) {
            let start = sums.len();
            sums.extend(same.iter().map(|(_, at)| self.slots[*at as usize]));
            sums[start..].sort_unstable_by(|a, b| {
                let by_head = a.head.cmp(&b.head);
                by_head.then_with(|| match (a.ad().name(), b.ad().name()) {
                    (Some(a), Some(b)) => by_name(a, b),
                    _ => a.tail.cmp(&b.tail),
                })
            });
        }
        sums
    }

    #[inline]
    fn home(&self, Ad { head: [high, low], tail }: Ad, pattern: u64) -> usize {
        let rest = u64::from(tail) << 32 ^ pattern.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let hash = fold(high ^ 0xA076_1D64_78BD_642F, low ^ rest ^ 0xE703_7ED1_A0B4_28DB);
        #[expect(clippy::cast_possible_truncation, reason = "any bits of a hash will do")]
        let hash = used(hash) as usize;
        hash & (self.slots.len() - 1)
    }

    #[cold]
    fn grow(&mut self) {
        let larger = vec![Slot::default(); (2 * self.slots.len()).max(FEW)];
        let slots = std::mem::replace(&mut self.slots, larger);
        self.taken = 0;
        for slot in slots.into_iter().filter(|slot| slot.clicks > 0) {
            self.add(slot.ad(), slot.pattern, slot.clicks);
        }
    }
}

const FEWER: &str = "an ad gets fewer clicks in a minute than u32";

/// The places whose bits are set in `word`, ascending.
pub fn bits(mut word: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let place = (word != 0).then(|| word.trailing_zeros())?;
        word &= word - 1;
        Some(place)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::ads;
    use crate::random::{Draw, Random};

    #[test]
    fn each_filter_of_a_pattern_gets_its_clicks() {
        let mut random = Random(5);
        for ads in [1, 20, 5000] {
            let mut sums = Sums::default();
            let mut expected = BTreeMap::<(String, u32), u32>::new();
            for _ in 0..20_000 {
                let id = random.small(ads).to_string();
                let pattern = u64::from(1 | random.small(8));
                let bytes = u16::try_from(id.len()).unwrap();
                sums.add(Ad::short(ads::head(id.as_bytes()), bytes), pattern, 1);
                for place in bits(pattern) {
                    *expected.entry((id.clone(), place)).or_default() += 1;
                }
            }
            let mut told = Vec::new();
            let no_names = |_, _| unreachable!("no id is long");
            sums.tell(bits, no_names, |ad, place, clicks| {
                let [high, low] = ad.head.map(u64::to_be_bytes);
                let id = [high, low].concat()[..ad.tail as usize].to_vec();
                told.push(((String::from_utf8(id).unwrap(), place), clicks));
            });
            assert_eq!(told, expected.into_iter().collect::<Vec<_>>());
        }
    }
}
