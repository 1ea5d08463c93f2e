//! The ads that are tracked, with their sums in one row of memory.

use crate::ads::Name;
use crate::count::sealed::scramble;
use crate::held::Table;
use crate::time::Minute;

/// Sums over each window of some ads, by slot; slots change when ads are dropped.
pub(super) struct Tracked {
    windows: usize,
    slots: Table<Name, u32>,
    /// Of each slot its ad, and the last minute in which it reached the bar.
    ads: Vec<(Name, Minute)>,
    /// Of each slot as many sums as there are windows.
    sums: Vec<u64>,
    /// No ad reached its last bar before.
    first: Minute,
    /// Has a bit for each tracked ad, which others may share: most ads are told by it not to be.
    bits: Vec<u64>,
}

/// Bits among which those of tracked ads are: they lie in the processor's nearest cache.
const BITS: u32 = 1 << 16;

impl Tracked {
    /// No ads.
    pub(super) fn new(windows: usize) -> Tracked {
        Tracked {
            windows,
            slots: Table::default(),
            ads: Vec::new(),
            sums: Vec::new(),
            first: Minute(u32::MAX),
            bits: vec![0; BITS as usize / 64],
        }
    }

    /// Ads that are tracked.
    pub(super) fn len(&self) -> usize {
        self.ads.len()
    }

    /// The slot of an ad, if it is tracked.
    #[inline]
    pub(super) fn find(&self, name: Name) -> Option<usize> {
        let (word, bit) = place(name);
        if self.bits[word] & bit == 0 {
            return None;
        }
        self.slots.get(&name).map(|slot| *slot as usize)
    }

    /// Tracks an ad that reached the bar in `minute`, or notes that it did; returns its slot.
    pub(super) fn track(&mut self, name: Name, minute: Minute) -> usize {
        let next = u32::try_from(self.ads.len()).expect("there are fewer ads than names");
        let slot = *self.slots.entry(name).or_insert(next);
        if slot == next {
            self.ads.push((name, minute));
            self.first = self.first.min(minute);
            let (word, bit) = place(name);
            self.bits[word] |= bit;
            self.sums.resize(self.sums.len() + self.windows, 0);
        }
        self.raise(slot as usize, minute);
        slot as usize
    }

    /// Notes that an ad reached the bar in `minute`.
    pub(super) fn raise(&mut self, slot: usize, minute: Minute) {
        let (_, last) = &mut self.ads[slot];
        *last = minute.max(*last);
    }

    /// The sums of an ad, by window.
    pub(super) fn sums(&self, slot: usize) -> &[u64] {
        &self.sums[slot * self.windows..][..self.windows]
    }

    /// The sums of an ad, by window.
    pub(super) fn sums_mut(&mut self, slot: usize) -> &mut [u64] {
        &mut self.sums[slot * self.windows..][..self.windows]
    }

    /// All ads with their sums.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Name, &[u64])> {
        let names = self.ads.iter().map(|(name, _)| *name);
        names.zip(self.sums.chunks_exact(self.windows))
    }

    /// All ads with their sums.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (Name, &mut [u64])> {
        let names = self.ads.iter().map(|(name, _)| *name);
        names.zip(self.sums.chunks_exact_mut(self.windows))
    }

    /// Drops the ads that reached no bar after `minute`.
    pub(super) fn drop_until(&mut self, minute: Minute) {
        if self.first > minute {
            return;
        }
        self.first = minute.plus(1);
        let mut slot = 0;
        while let Some((name, last)) = self.ads.get(slot).copied() {
            if last > minute {
                slot += 1;
                continue;
            }
            self.slots.remove(&name);
            self.ads.swap_remove(slot);
            let last = self.ads.len() * self.windows;
            self.sums.copy_within(last.., slot * self.windows);
            self.sums.truncate(last);
            if let Some((moved, _)) = self.ads.get(slot) {
                let place = self.slots.get_mut(moved).expect("a tracked ad has a slot");
                *place = u32::try_from(slot).expect("a slot moves down");
            }
        }
        self.bits.fill(0);
        for (name, _) in &self.ads {
            let (word, bit) = place(*name);
            self.bits[word] |= bit;
        }
    }
}

/// Where the bit of an ad is.
fn place(name: Name) -> (usize, u64) {
    let at = scramble(name) / (u32::MAX / BITS + 1);
    (at as usize / 64, 1 << (at % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_ads_leave_the_sums_of_others() {
        let mut tracked = Tracked::new(2);
        for name in 0..10 {
            let slot = tracked.track(Name(name), Minute(name % 3));
            tracked.sums_mut(slot).copy_from_slice(&[u64::from(name), 100]);
        }
        let raised = tracked.track(Name(3), Minute(2));
        assert_eq!(tracked.sums(raised), [3, 100]);
        tracked.drop_until(Minute(1));
        let mut left: Vec<(Name, &[u64])> = tracked.iter().collect();
        left.sort_unstable();
        assert_eq!(left.iter().map(|(name, _)| name.0).collect::<Vec<_>>(), [2, 3, 5, 8]);
        for (name, sums) in left {
            assert_eq!(sums, [u64::from(name.0), 100]);
            assert_eq!(tracked.find(name).map(|slot| tracked.sums(slot)), Some(sums));
        }
        assert_eq!((tracked.len(), tracked.find(Name(4))), (4, None));
    }
}
