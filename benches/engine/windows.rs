//! The most clicked ads of the last 1, 5 and 60 minutes, exact without summing the long tail.
//!
//! Each minute has a *bar* for each filter, a count that few ads reach. An ad that reached one in
//! the last hour is *tracked*: its sums slide along. An ad that is not tracked has in each minute
//! fewer clicks than the bar, so its sum is at most that of `bar - 1`; a list whose last ad has
//! more is exact, and any other is made from all ads of the window. Bars only steer cost.

use std::cmp::Ordering;
use std::collections::VecDeque;

use clicks_dataflows::time::Minute;
use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::ads::Ads;
use crate::tables::{Counts, FILTERS, ad, add};

/// Lengths of the windows in minutes.
pub const WINDOWS: [u32; 3] = [1, 5, 60];

/// Ads in a list.
pub const TOP: usize = 100;

/// Minutes of the longest window.
const LONGEST: u32 = WINDOWS[WINDOWS.len() - 1];

/// An ad's clicks and key.
pub type Ranked = (u32, u32);

/// The counts of a minute that has settled, by ascending key.
#[derive(Default)]
pub struct Sealed {
    /// Keys of the ads.
    pub keys: Vec<u32>,
    /// The clicks of each.
    pub counts: Vec<Counts>,
}

impl Sealed {
    fn rows(&self) -> impl Iterator<Item = (u32, Counts)> {
        self.keys.iter().copied().zip(self.counts.iter().copied())
    }

    /// The clicks of an ad: keys lie evenly, so a guess is near.
    fn get(&self, key: u32) -> Counts {
        let count = self.keys.len();
        let guess = (u64::from(key) * count as u64) >> 32;
        let guess = usize::try_from(guess).expect("it is less than the count");
        let (mut low, mut high, mut step) = (guess, guess, 8);
        while low > 0 && self.keys[low.min(count - 1)] > key {
            low = low.saturating_sub(step);
            step *= 2;
        }
        while high < count && self.keys[high] < key {
            high = count.min(high + step);
            step *= 2;
        }
        let found = self.keys[low..count.min(high + 1)].binary_search(&key);
        found.map_or([0; FILTERS], |at| self.counts[low + at])
    }
}

struct Held {
    minute: Minute,
    sealed: Sealed,
    bars: Counts,
}

#[derive(Clone, Copy, Default)]
struct Tracked {
    sums: [Counts; WINDOWS.len()],
    last_big: Minute,
}

/// Sums of the last minutes; see the module.
#[derive(Default)]
pub struct Windows {
    held: VecDeque<Held>,
    tracked: HashMap<u32, Tracked, FixedState>,
    /// The clicks of the last ad of each list that was last made.
    least: [Counts; WINDOWS.len()],
}

impl Windows {
    /// Moves all windows on to end with `minute`, the one after the last.
    pub fn push(&mut self, minute: Minute, sealed: Sealed) {
        let bars = self.bars(&sealed);
        self.slide(minute, &sealed);
        self.tracked.retain(|_, tracked| tracked.last_big.plus(LONGEST) > minute);
        while self.held.front().is_some_and(|held| held.minute.plus(LONGEST) <= minute) {
            self.held.pop_front();
        }
        for (key, counts) in sealed.rows() {
            if !(0..FILTERS).any(|filter| counts[filter] >= bars[filter]) {
                continue;
            }
            let held = &self.held;
            let tracked = self.tracked.entry(key).or_insert_with(|| {
                let mut sums = [counts; WINDOWS.len()];
                for held in held {
                    let past = held.sealed.get(key);
                    for (length, sums) in WINDOWS.iter().zip(&mut sums) {
                        if held.minute.plus(*length) > minute {
                            add(sums, past);
                        }
                    }
                }
                Tracked { sums, last_big: minute }
            });
            tracked.last_big = minute;
        }
        self.held.push_back(Held { minute, sealed, bars });
    }

    /// The bars of the minute that comes in.
    fn bars(&self, sealed: &Sealed) -> Counts {
        std::array::from_fn(|filter| {
            let mut largest = Largest::default();
            sealed.counts.iter().for_each(|counts| largest.offer((counts[filter], 0), byte_order));
            let own = largest.finish(byte_order).get(TOP - 1).map_or(1, |last| last.0);
            let full = |at: &usize| self.held.len() >= WINDOWS[*at] as usize;
            let own = if full(&(WINDOWS.len() - 1)) { own } else { own / 2 };
            let longer = (1..WINDOWS.len()).filter(full);
            let wanted = longer.map(|at| self.least[at][filter] * 3 / 5 / WINDOWS[at] + 1);
            wanted.fold(own, u32::min).max(1)
        })
    }

    /// Adds what enters to the sums of tracked ads, and subtracts what leaves.
    fn slide(&mut self, minute: Minute, sealed: &Sealed) {
        let held = &self.held;
        let leaving = WINDOWS.map(|length| {
            let left = minute.minus(length);
            held.iter().find(|held| held.minute == left).map(|held| &held.sealed)
        });
        let left: usize = leaving.iter().flatten().map(|sealed| sealed.keys.len()).sum();
        if self.tracked.len() * 8 < sealed.keys.len() + left {
            for (key, tracked) in &mut self.tracked {
                let entered = sealed.get(*key);
                for (sums, leaving) in tracked.sums.iter_mut().zip(leaving) {
                    add(sums, entered);
                    leaving.iter().for_each(|left| subtract(sums, left.get(*key)));
                }
            }
            return;
        }
        for (key, counts) in sealed.rows() {
            if let Some(tracked) = self.tracked.get_mut(&key) {
                tracked.sums.iter_mut().for_each(|sums| add(sums, counts));
            }
        }
        for (at, leaving) in leaving.into_iter().enumerate() {
            for (key, counts) in leaving.into_iter().flat_map(Sealed::rows) {
                if let Some(tracked) = self.tracked.get_mut(&key) {
                    subtract(&mut tracked.sums[at], counts);
                }
            }
        }
    }

    /// The list of a filter and of the window with this place, most clicks first, then the least
    /// id.
    pub fn list(&mut self, filter: usize, at: usize, ads: &Ads) -> Vec<Ranked> {
        let order = |a: &Ranked, b: &Ranked| {
            let text = |ranked: &Ranked| ads.text(ad(ranked.1));
            b.0.cmp(&a.0).then_with(|| text(a).cmp(&text(b)))
        };
        let mut largest = Largest::default();
        for (key, tracked) in &self.tracked {
            largest.offer((tracked.sums[at][filter], *key), order);
        }
        let mut list = largest.finish(order);
        let window = || self.held.iter().rev().take(WINDOWS[at] as usize);
        let unseen: u32 = window().map(|held| held.bars[filter] - 1).sum();
        if unseen > 0 && list.get(TOP - 1).map_or(0, |last| last.0) <= unseen {
            let mut sums: HashMap<u32, u32, FixedState> = HashMap::default();
            for (key, counts) in window().flat_map(|held| held.sealed.rows()) {
                *sums.entry(key).or_default() += counts[filter];
            }
            let mut largest = Largest::default();
            sums.into_iter().for_each(|(key, sum)| largest.offer((sum, key), order));
            list = largest.finish(order);
        }
        self.least[at][filter] = list.get(TOP - 1).map_or(0, |last| last.0);
        list
    }
}

fn subtract(counts: &mut Counts, less: Counts) {
    for (count, less) in counts.iter_mut().zip(less) {
        *count = count.wrapping_sub(less);
    }
}

fn byte_order(a: &Ranked, b: &Ranked) -> Ordering {
    b.cmp(a)
}

/// The first [`TOP`] of what is offered: those below what is known to be too little are not kept.
#[derive(Default)]
struct Largest {
    kept: Vec<Ranked>,
    floor: u32,
}

impl Largest {
    #[inline]
    fn offer(&mut self, ranked: Ranked, order: impl Fn(&Ranked, &Ranked) -> Ordering) {
        if ranked.0 > 0 && ranked.0 >= self.floor {
            self.kept.push(ranked);
            if self.kept.len() == 8 * TOP {
                self.kept.select_nth_unstable_by(TOP - 1, order);
                self.kept.truncate(TOP);
                self.floor = self.kept[TOP - 1].0;
            }
        }
    }

    fn finish(mut self, order: impl Fn(&Ranked, &Ranked) -> Ordering) -> Vec<Ranked> {
        self.kept.sort_unstable_by(order);
        self.kept.truncate(TOP);
        self.kept
    }
}
