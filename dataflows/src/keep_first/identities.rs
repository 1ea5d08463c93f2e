//! A set of identities, nearly in order.
//!
//! ```text
//! least identity ─────────────────────────────────────▶ greatest
//! slots   │ 03… │ 05… │     │ 6a… │ 6b… │ 69… │     │ f1… │
//!                           └─ a run, in any order ┘
//! strays  those that found no slot near their home
//! ```
//!
//! An identity is a hash, so its first 64 bits are as good as any hash of it. They choose its
//! *home*, a share of the slots in proportion; it takes the first free slot from there on. Slots
//! are thus in order but for short runs, and growing or draining the set walks memory straight on.
//!
//! Identities that are no good hash crowd together. Nobody looks further than [`REACH`] slots from
//! a home: those that find none become strays, in a tree. A weak hash costs time, never an answer.

use std::collections::BTreeSet;

/// Slots of the smallest set that is not empty.
const SLOTS_MIN: usize = 16;

/// Slots from its home within which an identity is looked for.
const REACH: usize = 512;

/// Bytes that a stray takes in the tree, which does not tell: a node of 11 is half full at least.
const STRAY_BYTES: usize = 40;

/// Identities of clicks, each once: 21 to 32 bytes each, 24 if as many as expected came.
#[derive(Default)]
pub struct Identities {
    /// Zero where no identity is.
    slots: Vec<u128>,
    /// Slots that are taken.
    taken: usize,
    /// Those that found no slot in reach.
    strays: BTreeSet<u128>,
    /// Whether the identity 0 is among them.
    zero: bool,
    /// Slots for as many as there will be, by what is known.
    slots_expected: usize,
}

/// What the slots near an identity's home say of it.
enum Found {
    Here,
    Free(usize),
    Crowded,
}

impl Identities {
    /// None yet, and about `count` to come.
    ///
    /// Takes the room once a 16th of them is there: a set that gets few stays small.
    pub fn expecting(count: usize) -> Identities {
        Identities { slots_expected: count / 2 * 3, ..Identities::default() }
    }

    /// Adds `identity`; whether it was not there.
    #[inline]
    pub fn insert(&mut self, identity: u128) -> bool {
        if identity == 0 {
            return !std::mem::replace(&mut self.zero, true);
        }
        match self.find(identity) {
            Found::Here => false,
            Found::Crowded if !self.slots.is_empty() => self.strays.insert(identity),
            Found::Free(slot) if !self.is_full() => {
                self.slots[slot] = identity;
                self.taken += 1;
                true
            }
            Found::Free(_) | Found::Crowded => {
                self.grow();
                self.insert(identity)
            }
        }
    }

    /// Whether `identity` is among them.
    pub fn contains(&self, identity: u128) -> bool {
        if identity == 0 {
            return self.zero;
        }
        match self.find(identity) {
            Found::Here => true,
            Found::Free(_) => false,
            Found::Crowded => self.strays.contains(&identity),
        }
    }

    /// What is in the slot where `identity` is looked for first.
    ///
    /// Looked at for many identities at once, slots come from memory side by side; the searches
    /// that follow, each waiting for its own, find them at hand.
    #[inline]
    pub fn at_home(&self, identity: u128) -> u128 {
        self.slots.get(self.home(identity)).copied().unwrap_or_default()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.taken + self.strays.len() + usize::from(self.zero)
    }

    /// Bytes of memory that it takes.
    pub fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<u128>() + self.strays.len() * STRAY_BYTES
    }

    /// Appends to `sorted` those that follow `slot`, in order, until it has `enough` of them or a
    /// few more. The slot to go on from; none if they are all there.
    pub fn sort_from(&self, slot: usize, enough: usize, sorted: &mut Vec<u128>) -> Option<usize> {
        if slot == 0 && self.zero {
            sorted.push(0);
        }
        let mut slot = slot;
        loop {
            slot += self.slots[slot..].iter().position(|identity| *identity != 0)?;
            let run = &self.slots[slot..];
            let length = run.iter().position(|identity| *identity == 0).unwrap_or(run.len());
            let start = sorted.len();
            sorted.extend_from_slice(&run[..length]);
            if !self.strays.is_empty() {
                let from = self.least_at(slot);
                let strays = self.strays.range(from..);
                sorted.extend(strays.take_while(|stray| self.home(**stray) < slot + length));
            }
            sorted[start..].sort_unstable();
            slot += length;
            if sorted.len() >= enough {
                return Some(slot);
            }
        }
    }

    #[inline]
    fn find(&self, identity: u128) -> Found {
        let home = self.home(identity);
        let end = self.slots.len().min(home + REACH);
        for (slot, there) in self.slots[home..end].iter().enumerate() {
            if *there == identity {
                return Found::Here;
            }
            if *there == 0 {
                return Found::Free(home + slot);
            }
        }
        Found::Crowded
    }

    /// The slot that an identity takes if it is free: greater for greater identities.
    #[inline]
    fn home(&self, identity: u128) -> usize {
        let share = (identity >> 64).wrapping_mul(self.slots.len() as u128) >> 64;
        usize::try_from(share).expect("a share of the slots is less than all")
    }

    /// The least identity whose home is `slot`.
    fn least_at(&self, slot: usize) -> u128 {
        ((slot as u128) << 64).div_ceil(self.slots.len() as u128) << 64
    }

    fn is_full(&self) -> bool {
        self.taken >= self.slots.len() / 4 * 3
    }

    /// Moves to half as many slots again, or at once to as many as are expected.
    fn grow(&mut self) {
        let mut slots = (self.slots.len() / 2 * 3).max(SLOTS_MIN);
        if slots >= self.slots_expected / 16 {
            slots = slots.max(self.slots_expected);
        }
        let before = std::mem::take(self);
        self.slots = vec![0; slots];
        self.zero = before.zero;
        self.slots_expected = before.slots_expected;
        // Homes come nearly in order: each goes to the end of the run before, or begins one. It is
        // not a branch, as half of them would be guessed wrong.
        let (mut start, mut end) = (0, 0);
        for identity in before.slots.into_iter().filter(|identity| *identity != 0) {
            let home = self.home(identity);
            start = if home >= end { home } else { start };
            end = end.max(home);
            if home >= start && end < slots.min(home + REACH) {
                self.slots[end] = identity;
                self.taken += 1;
                end += 1;
            } else {
                self.insert(identity);
                let run = self.slots[end..].iter().take_while(|there| **there != 0);
                end += run.count();
            }
        }
        for stray in before.strays {
            self.insert(stray);
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// The next of a row of random numbers: splitmix64.
    pub fn next(state: &mut u64) -> u64 {
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = *state;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    /// Inserts each twice, and compares with a tree all the way.
    fn agree(identities: impl Iterator<Item = u128>) -> Identities {
        let (mut set, mut tree) = (Identities::default(), BTreeSet::new());
        for identity in identities {
            assert_eq!(set.contains(identity), tree.contains(&identity));
            assert_eq!(set.insert(identity), tree.insert(identity));
            assert!(!set.insert(identity));
            assert_eq!(set.len(), tree.len());
        }
        assert!(tree.iter().all(|identity| set.contains(*identity)));
        let (mut steps, mut slot) = (Vec::new(), Some(0));
        while let Some(from) = slot {
            slot = set.sort_from(from, steps.len() + 100, &mut steps);
        }
        assert!(steps.iter().eq(&tree), "not in order");
        set
    }

    #[test]
    fn a_good_hash_has_few_strays_and_little_slack() {
        let mut state = 7;
        let set = agree((0..200_000).map(|_| u128::from(next(&mut state)) << 64 | 5));
        assert!(set.strays.len() < 100, "{} strays", set.strays.len());
        assert!(set.bytes() <= set.len() * 33, "{} bytes", set.bytes());
    }

    #[test]
    fn room_is_taken_when_much_of_what_is_expected_is_there() {
        let mut state = 3;
        let mut set = Identities::expecting(100_000);
        let mut take = |set: &mut Identities, count: usize| {
            (0..count).for_each(|_| assert!(set.insert(u128::from(next(&mut state)) << 64)));
        };
        take(&mut set, 1_000);
        assert!(set.bytes() < 64_000, "{} bytes", set.bytes());
        take(&mut set, 99_000);
        assert_eq!(set.bytes() - set.strays.len() * STRAY_BYTES, 2_400_000);
        let mut sorted = Vec::new();
        assert_eq!(set.sort_from(0, usize::MAX, &mut sorted), None);
        assert!(sorted.is_sorted() && sorted.len() == set.len());
    }

    #[test]
    fn zero_is_an_identity() {
        agree([0, 1, u128::MAX, 1 << 64, 0].into_iter());
        agree([0].into_iter());
        agree([].into_iter());
    }

    #[test]
    fn identities_that_share_their_first_64_bits_are_told_apart() {
        let mut state = 1;
        for first in [0, 1 << 63, u64::MAX] {
            agree((0..50_000).map(|_| u128::from(first) << 64 | u128::from(next(&mut state))));
            agree((0..50_000).map(|number| u128::from(first) << 64 | number));
        }
    }

    #[test]
    fn crowded_identities_are_told_apart() {
        let mut state = 2;
        // Few distinct first bits, few of them repeated, and many small numbers between.
        agree((0..100_000).map(|_| {
            let bits = next(&mut state);
            let first = match next(&mut state) % 3 {
                0 => (bits % 50) << 58,
                1 => (0x1234 << 48) + bits % 4096,
                _ => bits,
            };
            u128::from(first) << 64 | u128::from(next(&mut state) % 2000)
        }));
    }
}
