//! The clicks seen of each minute that may still take one.
//!
//! ```text
//!              open            settled: freezing             frozen
//! click ─▶  Identities  ─▶  Identities ──in order──▶ row  ─▶  row on the shelf
//!                           late: Identities                 late: Identities ─merged─▶ new row
//! ```
//!
//! Most clicks are of the newest minutes, and ask a table. A minute that has settled is *frozen*:
//! its identities go to the shelf in order, 16 bytes each and none in between, or none in memory.
//! Late clicks look there; the new ones among them wait in a table of their own until it is worth
//! the while to write the row again with them.
//!
//! That is done in steps, some with each epoch, and a table or row that is being moved answers
//! until the new row is whole. A disk that fails is a fault: from then on there is no answer.

use std::collections::BTreeMap;
use std::hint::black_box;

use super::identities::Identities;
use super::settled::Settled;
use super::shelf::Shelf;
use crate::faults::{Fault, Faults};
use crate::time::Minute;

/// Identities that are moved in a step; more if more than half as many came since the last.
const STEP: u64 = 1 << 16;

/// Identities of clicks, by the minute of the click.
pub struct SeenClicks {
    open: BTreeMap<Minute, Identities>,
    settled: BTreeMap<Minute, Settled>,
    first_open: Minute,
    count: u64,
    /// Identities that came since the last step.
    fresh: u64,
    /// Identities that a minute gets, by those before.
    expected: usize,
    shelf: Box<dyn Shelf>,
    faults: Faults,
    fault: Option<Fault>,
}

impl SeenClicks {
    /// Nothing seen. What fails on the shelf is told to `faults`.
    pub fn new(shelf: Box<dyn Shelf>, faults: Faults) -> SeenClicks {
        SeenClicks {
            open: BTreeMap::new(),
            settled: BTreeMap::new(),
            first_open: Minute(0),
            count: 0,
            fresh: 0,
            expected: 0,
            shelf,
            faults,
            fault: None,
        }
    }

    /// What was seen of `minute`, to be asked for several clicks.
    pub fn of(&mut self, minute: Minute) -> OfMinute<'_> {
        let place = if minute < self.first_open {
            Place::Settled(self.settled.entry(minute).or_default())
        } else {
            if !self.open.contains_key(&minute) {
                let most = self.open.values().map(Identities::len).max().unwrap_or(0);
                self.open.insert(minute, Identities::expecting(self.expected.max(most)));
            }
            Place::Open(self.open.get_mut(&minute).expect("it was opened"))
        };
        let (count, fresh) = (&mut self.count, &mut self.fresh);
        OfMinute { place, count, fresh, faults: &self.faults, fault: &mut self.fault }
    }

    /// Brings to the processor's cache what [`OfMinute::insert`] is about to look at, for some
    /// tens of clicks, so that it waits less.
    pub fn look_ahead(&self, clicks: impl Iterator<Item = (Minute, u128)>) {
        let (mut looked, mut last) = (0, None);
        for (minute, identity) in clicks {
            let (_, seen) = *last
                .take_if(|(of, _)| *of == minute)
                .get_or_insert_with(|| (minute, self.open.get(&minute)));
            looked ^= seen.map_or(0, |seen| seen.at_home(identity));
        }
        black_box(looked);
    }

    /// Forgets the minutes before `minute`; how many clicks there were.
    pub fn forget_before(&mut self, minute: Minute) -> u64 {
        let mut dropped = 0;
        while let Some(least) = self.open.first_entry().filter(|entry| *entry.key() < minute) {
            dropped += least.remove().len() as u64;
        }
        while let Some(least) = self.settled.first_entry().filter(|entry| *entry.key() < minute) {
            dropped += least.remove().count();
        }
        self.count -= dropped;
        dropped
    }

    /// Goes on freezing the minutes before `minute`, the first that has not settled.
    ///
    /// To be called at each epoch: what a call does is bounded, and keeps pace with what comes.
    pub fn freeze_before(&mut self, minute: Minute) {
        self.first_open = self.first_open.max(minute);
        while let Some(least) = self.open.first_entry().filter(|entry| *entry.key() < minute) {
            let (minute, late) = least.remove_entry();
            self.expected = late.len().max(self.expected / 2);
            self.settled.insert(minute, Settled::new(late));
        }
        let mut left = STEP.max(2 * std::mem::take(&mut self.fresh));
        while left > 0 && self.fault.is_none() {
            let due = self.settled.values_mut().filter(|settled| settled.is_due());
            let Some(settled) = due.min_by_key(|settled| settled.has_row()) else { return };
            match settled.freeze(left, &mut *self.shelf) {
                Ok(moved) => left = left.saturating_sub(moved),
                Err(error) => self.fault = Some(self.faults.tell(error.to_string())),
            }
        }
    }

    /// Clicks seen.
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Whether none was seen.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of memory that they take.
    pub fn bytes(&self) -> usize {
        self.open.values().map(Identities::bytes).sum::<usize>()
            + self.settled.values().map(Settled::bytes).sum::<usize>()
    }
}

/// What was seen of a minute.
pub struct OfMinute<'a> {
    place: Place<'a>,
    count: &'a mut u64,
    fresh: &'a mut u64,
    faults: &'a Faults,
    fault: &'a mut Option<Fault>,
}

enum Place<'a> {
    Open(&'a mut Identities),
    Settled(&'a mut Settled),
}

impl OfMinute<'_> {
    /// Takes note of a click; whether it is the first of its identity in its minute.
    ///
    /// # Errors
    ///
    /// After a fault, always: the epoch must stay open, see [`Faults`].
    #[inline]
    pub fn insert(&mut self, identity: u128) -> Result<bool, Fault> {
        self.fault.map_or(Ok(()), Err)?;
        let first = match &mut self.place {
            Place::Open(seen) => seen.insert(identity),
            Place::Settled(seen) => seen
                .insert(identity)
                .map_err(|error| *self.fault.insert(self.faults.tell(error.to_string())))?,
        };
        *self.count += u64::from(first);
        *self.fresh += u64::from(first);
        Ok(first)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io;

    use super::super::identities::tests::next;
    use super::super::shelf::{InMemory, Row};
    use super::*;

    fn identity(state: &mut u64) -> u128 {
        u128::from(next(state)) << 64 | u128::from(next(state))
    }

    /// The same to a store and to trees.
    struct Both {
        seen: SeenClicks,
        trees: BTreeMap<Minute, BTreeSet<u128>>,
        told: BTreeMap<Minute, Vec<u128>>,
        state: u64,
    }

    impl Both {
        /// Clicks of a minute, a quarter of them seen before.
        fn click(&mut self, minute: u32, count: usize) {
            let (minute, told) = (Minute(minute), self.told.entry(Minute(minute)).or_default());
            for number in 0..count {
                let again = number % 4 == 3 && !told.is_empty();
                let identity = if again {
                    told[usize::try_from(next(&mut self.state)).unwrap() % told.len()]
                } else {
                    identity(&mut self.state)
                };
                told.push(identity);
                let first = self.trees.entry(minute).or_default().insert(identity);
                assert_eq!(self.seen.of(minute).insert(identity), Ok(first));
            }
        }

        fn forget_before(&mut self, minute: u32) {
            let kept = self.trees.split_off(&Minute(minute));
            let gone = std::mem::replace(&mut self.trees, kept);
            let gone = gone.values().map(|tree| tree.len() as u64).sum::<u64>();
            assert_eq!(self.seen.forget_before(Minute(minute)), gone);
        }

        fn freeze_before(&mut self, minute: u32) {
            self.seen.freeze_before(Minute(minute));
            assert_eq!(
                self.seen.len(),
                self.trees.values().map(|tree| tree.len() as u64).sum::<u64>()
            );
        }
    }

    #[test]
    fn open_freezing_and_frozen_minutes_tell_first_copies() {
        let seen = SeenClicks::new(Box::new(InMemory), Faults::default());
        let mut both = Both { seen, trees: BTreeMap::new(), told: BTreeMap::new(), state: 5 };
        let mut halfway = 0;
        for minute in 1..=8 {
            both.click(minute, if minute % 2 == 0 { 300_000 } else { 500 });
            both.freeze_before(minute);
            for turn in 0..12 {
                both.click(minute - 1, 300 * turn);
                both.click(minute / 2, 2000);
                both.click(minute + 1, 10);
                both.freeze_before(minute);
                let settled = both.seen.settled.values();
                halfway += settled.filter(|settled| settled.is_due() && settled.has_row()).count();
            }
            both.forget_before(minute.saturating_sub(5));
        }
        assert!(halfway > 2, "a row was being written again only {halfway} times");
    }

    #[test]
    fn a_click_takes_less_than_24_bytes() {
        let mut state = 9;
        let mut seen = SeenClicks::new(Box::new(InMemory), Faults::default());
        let mut most: f64 = 0.0;
        for minute in 0..61 {
            for number in 0..20_000 {
                let late = if number % 100 == 0 { minute / 2 } else { minute };
                seen.of(Minute(late)).insert(identity(&mut state)).unwrap();
                if number % 1000 == 0 {
                    seen.freeze_before(Minute(minute));
                }
                if minute > 5 {
                    most = most.max(seen.bytes_each());
                }
            }
        }
        assert!(most < 24.0, "{most} bytes");
        assert!(seen.bytes_each() < 17.5, "{} bytes at the end", seen.bytes_each());
    }

    impl SeenClicks {
        #[expect(clippy::cast_precision_loss, reason = "a few bytes more or less")]
        fn bytes_each(&self) -> f64 {
            self.bytes() as f64 / self.len() as f64
        }
    }

    /// A shelf that takes everything, or nothing, and gives nothing back.
    struct Broken {
        takes: bool,
    }

    impl Shelf for Broken {
        fn begin(&mut self, _: u64) -> io::Result<Box<dyn Row>> {
            Ok(Box::new(Broken { takes: self.takes }))
        }
    }

    impl Row for Broken {
        fn append(&mut self, _: &[u128]) -> io::Result<()> {
            if self.takes { Ok(()) } else { Err(io::Error::other("the shelf is full")) }
        }

        fn page(&self, _: u64, _: &mut Vec<u128>) -> io::Result<u64> {
            Err(io::Error::other("the shelf is broken"))
        }

        fn count(&self) -> u64 {
            1
        }

        fn bytes(&self) -> usize {
            0
        }
    }

    #[test]
    fn after_a_fault_there_is_no_answer() {
        for (takes, fault) in [(true, "the shelf is broken"), (false, "the shelf is full")] {
            let faults = Faults::default();
            let mut seen = SeenClicks::new(Box::new(Broken { takes }), faults.clone());
            assert_eq!(seen.of(Minute(3)).insert(7), Ok(true));
            seen.freeze_before(Minute(4));
            assert_eq!(seen.of(Minute(3)).insert(8), Err(Fault));
            assert_eq!(seen.of(Minute(9)).insert(9), Err(Fault));
            assert_eq!(faults.first().as_deref(), Some(fault));
        }
    }
}
