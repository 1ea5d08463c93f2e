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
use crate::rank::boards::largest::Place;
use crate::rank::boards::{Counted, Grew, Growth};
use crate::time::Minute;

/// The lists of an end while they are put right, by window.
struct Ending {
    end: Minute,
    lists: Vec<Correcting>,
}

/// A list while it is put right.
struct Correcting {
    places: Vec<Place>,
    /// Whether the minute that grew is in its window.
    concerned: bool,
    /// The most clicks of an untracked ad in the other minutes of its window.
    others: u64,
    /// The clicks at its last place; zero if it has room.
    nth: u64,
    changed: bool,
}

impl Board {
    /// Puts right the lists of `ends` that hold a cell or come to; tells the windows of those that
    /// changed.
    pub(super) fn correct(
        &mut self,
        counted: Counted,
        grew: &Grew,
        ends: &[Minute],
        mut changed: impl FnMut(u32, Minute),
    ) {
        self.track_crossed(counted.minutes);
        let minute = grew.minute();
        let ends = ends.iter().map(|end| self.begin(counted.minutes, minute, *end));
        let mut ends: Vec<Ending> = ends.collect();
        for (growth, slot) in &grew.tracked {
            let slot = slot.or_else(|| self.tracked.find(growth.name));
            self.put(counted, (minute, *growth), slot, &mut ends);
        }
        // With fewer clicks in its minute, an ad that is not tracked enters no list.
        let concerned = ends.iter().flat_map(|end| &end.lists).filter(|list| list.concerned);
        let least = concerned.map(|list| list.nth.saturating_sub(list.others));
        let least = least.min().filter(|_| grew.most.is_some()).unwrap_or(0);
        if grew.most.is_none_or(|most| most >= least) {
            for growth in grew.growths().filter(|growth| growth.clicks >= least) {
                let slot = self.tracked.find(growth.name);
                self.put(counted, (minute, growth), slot, &mut ends);
            }
        }
        for Ending { end, lists } in ends {
            for (length, list) in self.shape.lengths.iter().zip(&lists) {
                if list.changed {
                    changed(*length, end);
                }
            }
            if lists.iter().any(|list| !list.places.is_empty()) {
                self.lists.insert(end, lists.into_iter().map(|list| list.places).collect());
            }
        }
    }

    /// Takes out the lists of `end`, to put them right after `minute` grew.
    fn begin(&mut self, minutes: &Minutes, minute: Minute, end: Minute) -> Ending {
        let lists = self.lists.remove(&end);
        let lists = lists.unwrap_or_else(|| vec![Vec::new(); self.shape.lengths.len()]);
        let lists = self.shape.lengths.iter().zip(lists).map(|(length, places)| {
            let concerned = minute.plus(*length) > end;
            let others = if concerned { self.others(minutes, minute, end, *length) } else { 0 };
            let nth = self.shape.nth(&places);
            Correcting { places, concerned, others, nth, changed: false }
        });
        Ending { end, lists: lists.collect() }
    }

    /// Puts the ad of a cell that grew, tracked in `slot` or not, into the lists that it belongs to.
    fn put(
        &mut self,
        Counted { minutes, ads }: Counted,
        (minute, growth): (Minute, Growth),
        slot: Option<usize>,
        ends: &mut [Ending],
    ) {
        if !self.looked_up.is_empty() {
            self.looked_up.clear();
        }
        for Ending { end, lists } in ends {
            // The sums that are held are of this end.
            let held = slot.filter(|_| self.end == Some(*end));
            for (at, list) in lists.iter_mut().enumerate().filter(|(_, list)| list.concerned) {
                let sum = match held {
                    Some(slot) => self.tracked.sums(slot)[at],
                    None if slot.is_none() && growth.clicks + list.others < list.nth => continue,
                    None => {
                        self.looked_up.insert(minute, growth.clicks);
                        self.sum(minutes, growth.name, slot, at, *end)
                    }
                };
                if sum >= list.nth
                    && put(&mut list.places, (Reverse(sum), growth.name), self.shape.top, ads)
                {
                    list.changed = true;
                    list.nth = self.shape.nth(&list.places);
                }
            }
        }
    }

    /// The most clicks of an untracked ad in the minutes of a window other than `minute`.
    fn others(&self, minutes: &Minutes, minute: Minute, end: Minute, length: u32) -> u64 {
        let first = end.minus(length - 1);
        let unseen = |from: Minute, until: Minute| -> u64 {
            let within = (from < until).then(|| minutes.within(from..until));
            let others = within.into_iter().flatten().filter(|other| *other != minute);
            others.map(|other| self.unseen(minutes, other)).sum()
        };
        // The minutes that have bars are added up beforehand.
        let Some(last) = self.end else { return unseen(first, end.plus(1)) };
        let barred = u32::try_from(self.bars.len()).expect("a span is short");
        let (from, to) = (first.max(last.plus(1).minus(barred)), end.min(last));
        if from > to {
            return unseen(first, end.plus(1));
        }
        let most =
            self.below[(last.0 - from.0 + 1) as usize] - self.below[(last.0 - to.0) as usize];
        let own = if from <= minute && minute <= to { self.bar(minute) } else { None };
        most - own.map_or(0, |bar| bar - 1) + unseen(first, from) + unseen(to.plus(1), end.plus(1))
    }

    /// Adds up the bars, less one each, from the end back.
    pub(super) fn add_up_bars(&mut self) {
        let mut sum = 0;
        self.below.clear();
        self.below.push(0);
        self.below.extend(self.bars.iter().map(|bar| {
            sum += bar - 1;
            sum
        }));
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
    let (Reverse(sum), name) = place;
    let ties = list.partition_point(|(known, _)| known.0 > sum);
    // Mostly nobody has as many.
    let mut at = ties;
    if list.get(ties).is_some_and(|(known, _)| known.0 == sum) {
        let tied = list[ties..].partition_point(|(known, _)| known.0 == sum);
        let of_ties = &list[ties..ties + tied];
        at += of_ties.partition_point(|(_, known)| ads.order(*known, name).is_lt());
    }
    match list[at..].iter().position(|(_, known)| *known == name) {
        Some(0) if list[at] == place => return false,
        Some(old) => list[at..=at + old].rotate_right(1),
        None if at >= top => return false,
        None => {
            list.insert(at, place);
            list.truncate(top);
        }
    }
    list[at] = place;
    true
}
