//! What an ad that grew in an old minute can have at most, and its exact sums.
//!
//! Most ads that grow are far from any list. What they can have beside the clicks of their minute
//! is bounded by the other minutes of a window, the same for all of them, so that one comparison
//! tells that there is nothing to do.

use std::cmp::Reverse;
use std::ops::Range;

use crate::ads::{Ads, Name};
use crate::count::minutes::Minutes;
use crate::rank::boards::board::Board;
use crate::rank::boards::largest::{Place, order};
use crate::rank::boards::{Counted, Growth};
use crate::time::Minute;

/// What bounds the untracked ads that grew in one minute.
pub(super) struct Bounds {
    /// Ends of the lists that are to be put right.
    ends: Vec<Minute>,
    /// The first minute that shares a window with the one that grew.
    first: Minute,
    /// The most clicks in all minutes between the first and each later one, that one left out.
    before: Vec<u64>,
    /// With fewer clicks in its minute, an ad enters no list.
    least: u64,
}

impl Bounds {
    /// The most clicks in the other minutes of the window.
    fn others(&self, end: Minute, length: u32) -> u64 {
        let first = end.minus(length - 1).0 - self.first.0;
        let behind = end.0 - self.first.0 + 1;
        self.before[behind as usize] - self.before[first as usize]
    }
}

impl Board {
    /// Puts right the lists of `ends` that hold the cell or come to; tells the window of each.
    pub(super) fn correct(
        &mut self,
        Counted { minutes, ads }: Counted,
        growth: &Growth,
        ends: &[Minute],
        mut changed: impl FnMut(u32, Minute),
    ) {
        self.track_crossed(minutes);
        let mut known = std::mem::take(&mut self.bounds);
        if known.get(&growth.minute).is_none_or(|bounds| bounds.ends != ends) {
            known.insert(growth.minute, self.bounds_of(minutes, growth.minute, ends));
        }
        let bounds = &known[&growth.minute];
        let slot = self.tracked.find(growth.name);
        if slot.is_some() || growth.clicks >= bounds.least {
            self.looked_up.clear();
            self.looked_up.insert(growth.minute, growth.clicks);
            let mut lists = std::mem::take(&mut self.lists);
            for end in ends {
                let lists = lists.entry(*end);
                let lists = lists.or_insert_with(|| vec![Vec::new(); self.shape.lengths.len()]);
                for (at, list) in lists.iter_mut().enumerate() {
                    let length = self.shape.lengths[at];
                    if growth.minute.plus(length) <= *end {
                        continue;
                    }
                    let most = || growth.clicks + bounds.others(*end, length);
                    if slot.is_none() && most() < self.shape.nth(list) {
                        continue;
                    }
                    let sum = self.sum(minutes, growth.name, slot, at, *end);
                    if put(list, (Reverse(sum), growth.name), self.shape.top, ads) {
                        changed(length, *end);
                    }
                }
            }
            self.lists = lists;
        }
        self.bounds = known;
    }

    /// The bounds of the ads that grew in `minute`.
    fn bounds_of(&self, minutes: &Minutes, minute: Minute, ends: &[Minute]) -> Bounds {
        let longest = self.shape.longest();
        let (first, last) = (minute.minus(longest - 1), minute.plus(longest - 1));
        let mut before = vec![0; (last.0 - first.0) as usize + 2];
        for other in minutes.within(first..=last).filter(|other| *other != minute) {
            before[(other.0 - first.0) as usize + 1] = self.unseen(minutes, other);
        }
        let mut sum = 0;
        for most in &mut before {
            sum += *most;
            *most = sum;
        }
        let mut bounds = Bounds { ends: ends.to_vec(), first, before, least: u64::MAX };
        for end in ends {
            for (at, length) in self.shape.lengths.iter().enumerate() {
                if minute.plus(*length) > *end {
                    let list = self.lists.get(end).map_or(&[][..], |lists| &lists[at]);
                    let least = self.shape.nth(list).saturating_sub(bounds.others(*end, *length));
                    bounds.least = bounds.least.min(least);
                }
            }
        }
        bounds
    }

    /// The clicks of an ad, tracked in `slot` or not, in the window `at` that ends with `end`.
    fn sum(
        &mut self,
        minutes: &Minutes,
        name: Name,
        slot: Option<usize>,
        at: usize,
        end: Minute,
    ) -> u64 {
        let first = |end: Minute| end.minus(self.shape.lengths[at] - 1);
        let tracked = slot.zip(self.end);
        let near = tracked.filter(|(_, last)| last.0.abs_diff(end.0) * 2 < self.shape.lengths[at]);
        let Some((slot, last)) = near else {
            let range = first(end)..end.plus(1);
            return self.look_up(minutes, name, slot, range);
        };
        // Of two windows that overlap, the early one has its first minutes alone.
        let (early, late) = (end.min(last), end.max(last));
        let only_early = first(early)..first(late);
        let only_late = early.plus(1)..late.plus(1);
        let sum = self.tracked.sums(slot)[at];
        let only_early = self.look_up(minutes, name, Some(slot), only_early);
        let only_late = self.look_up(minutes, name, Some(slot), only_late);
        if end < last { sum + only_early - only_late } else { sum + only_late - only_early }
    }

    /// The clicks of an ad in some minutes, each looked up once.
    fn look_up(
        &mut self,
        minutes: &Minutes,
        name: Name,
        slot: Option<usize>,
        range: Range<Minute>,
    ) -> u64 {
        let mut sum = 0;
        for minute in minutes.within(range) {
            let known = self.looked_up.get(&minute).copied();
            sum += known.unwrap_or_else(|| {
                // An ad that is not tracked is below the bar.
                let none = slot.is_none() && self.bar(minute) == Some(1);
                let clicks = if none { 0 } else { minutes.clicks(minute, self.filter, name) };
                self.looked_up.insert(minute, clicks);
                clicks
            });
        }
        sum
    }
}

/// Puts `place` into `list`, instead of that of the same ad with fewer clicks; tells whether the
/// list changed.
fn put(list: &mut Vec<Place>, place: Place, top: usize, ads: &Ads) -> bool {
    // An ad's sum only grows, so its old place is this one or behind it.
    let at = match list.binary_search_by(|known| order(ads, known, &place)) {
        Ok(_) => return false,
        Err(at) if at >= top => return false,
        Err(at) => at,
    };
    if let Some(old) = list[at..].iter().position(|(_, name)| *name == place.1) {
        list.remove(at + old);
    }
    list.insert(at, place);
    list.truncate(top);
    true
}
