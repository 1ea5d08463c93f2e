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

use crate::ads::{Ad, Text};
use crate::tables::{Counts, FILTERS, Sealed, add};

/// Lengths of the windows in minutes.
pub const WINDOWS: [u32; 3] = [1, 5, 60];

/// Ads in a list.
pub const TOP: usize = 100;

/// Minutes of the longest window.
const LONGEST: u32 = WINDOWS[WINDOWS.len() - 1];

struct Held<A> {
    minute: Minute,
    sealed: Sealed<A>,
    bars: Counts,
}

#[derive(Clone, Copy, Default)]
struct Tracked {
    sums: [Counts; WINDOWS.len()],
    last_big: Minute,
}

/// Sums of the last minutes; see the module.
#[derive(Default)]
pub struct Windows<A> {
    held: VecDeque<Held<A>>,
    tracked: HashMap<A, Tracked, FixedState>,
    /// The clicks of the last ad of each list that was last made.
    least: [Counts; WINDOWS.len()],
}

impl<A: Ad> Windows<A> {
    /// Moves all windows on to end with `minute`, the one after the last.
    pub fn push(&mut self, minute: Minute, sealed: Sealed<A>) {
        let bars = self.bars(&sealed);
        self.slide(minute, &sealed);
        self.tracked.retain(|_, tracked| tracked.last_big.plus(LONGEST) > minute);
        while self.held.front().is_some_and(|held| held.minute.plus(LONGEST) <= minute) {
            self.held.pop_front();
        }
        for (ad, counts) in sealed.rows() {
            if !(0..FILTERS).any(|filter| counts[filter] >= bars[filter]) {
                continue;
            }
            let held = &self.held;
            let tracked = self.tracked.entry(ad).or_insert_with(|| {
                let mut sums = [counts; WINDOWS.len()];
                for held in held {
                    let past = held.sealed.get(ad);
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
    fn bars(&self, sealed: &Sealed<A>) -> Counts {
        std::array::from_fn(|filter| {
            let mut largest = Largest::default();
            sealed.counts.iter().for_each(|counts| largest.offer((counts[filter], ()), least));
            let own = largest.finish(least).get(TOP - 1).map_or(1, |last| last.0);
            let full = |at: &usize| self.held.len() >= WINDOWS[*at] as usize;
            let own = if full(&(WINDOWS.len() - 1)) { own } else { own / 2 };
            let longer = (1..WINDOWS.len()).filter(full);
            let wanted = longer.map(|at| self.least[at][filter] * 3 / 5 / WINDOWS[at] + 1);
            wanted.fold(own, u32::min).max(1)
        })
    }

    /// Adds what enters to the sums of tracked ads, and subtracts what leaves.
    fn slide(&mut self, minute: Minute, sealed: &Sealed<A>) {
        let held = &self.held;
        let leaving = WINDOWS.map(|length| {
            let left = minute.minus(length);
            held.iter().find(|held| held.minute == left).map(|held| &held.sealed)
        });
        let left: usize = leaving.iter().flatten().map(|sealed| sealed.ads.len()).sum();
        if self.tracked.len() * 8 < sealed.ads.len() + left {
            for (ad, tracked) in &mut self.tracked {
                let entered = sealed.get(*ad);
                for (sums, leaving) in tracked.sums.iter_mut().zip(leaving) {
                    add(sums, entered);
                    leaving.iter().for_each(|left| subtract(sums, left.get(*ad)));
                }
            }
            return;
        }
        for (ad, counts) in sealed.rows() {
            if let Some(tracked) = self.tracked.get_mut(&ad) {
                tracked.sums.iter_mut().for_each(|sums| add(sums, counts));
            }
        }
        for (at, leaving) in leaving.into_iter().enumerate() {
            for (ad, counts) in leaving.into_iter().flat_map(Sealed::rows) {
                if let Some(tracked) = self.tracked.get_mut(&ad) {
                    subtract(&mut tracked.sums[at], counts);
                }
            }
        }
    }

    /// The list of a filter and of the window with this place, most clicks first, then the least
    /// id; `ids` are those of numbers.
    pub fn list(&mut self, filter: usize, at: usize, ids: &[Text]) -> Vec<(u32, A)> {
        let order = |a: &(u32, A), b: &(u32, A)| {
            b.0.cmp(&a.0).then_with(|| a.1.text(ids).cmp(&b.1.text(ids)))
        };
        let mut largest = Largest::default();
        for (ad, tracked) in &self.tracked {
            largest.offer((tracked.sums[at][filter], *ad), order);
        }
        let mut list = largest.finish(order);
        let window = || self.held.iter().rev().take(WINDOWS[at] as usize);
        let unseen: u32 = window().map(|held| held.bars[filter] - 1).sum();
        if unseen > 0 && list.get(TOP - 1).map_or(0, |last| last.0) <= unseen {
            let mut sums: HashMap<A, u32, FixedState> = HashMap::default();
            for (ad, counts) in window().flat_map(|held| held.sealed.rows()) {
                *sums.entry(ad).or_default() += counts[filter];
            }
            let mut largest = Largest::default();
            sums.into_iter().for_each(|(ad, sum)| largest.offer((sum, ad), order));
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

fn least(a: &(u32, ()), b: &(u32, ())) -> Ordering {
    b.0.cmp(&a.0)
}

/// The first [`TOP`] of what is offered: those below what is known to be too little are not kept.
struct Largest<A> {
    kept: Vec<(u32, A)>,
    floor: u32,
}

impl<A> Default for Largest<A> {
    fn default() -> Largest<A> {
        Largest { kept: Vec::with_capacity(8 * TOP), floor: 1 }
    }
}

impl<A> Largest<A> {
    #[inline]
    fn offer(&mut self, ranked: (u32, A), order: impl Fn(&(u32, A), &(u32, A)) -> Ordering) {
        if ranked.0 >= self.floor {
            self.kept.push(ranked);
            if self.kept.len() == 8 * TOP {
                self.kept.select_nth_unstable_by(TOP - 1, order);
                self.kept.truncate(TOP);
                self.floor = self.kept[TOP - 1].0;
            }
        }
    }

    fn finish(mut self, order: impl Fn(&(u32, A), &(u32, A)) -> Ordering) -> Vec<(u32, A)> {
        self.kept.sort_unstable_by(order);
        self.kept.truncate(TOP);
        self.kept
    }
}
