//! The lists of one filter, from the sums of few ads.
//!
//! ```text
//! minutes    ... 12:03   12:04   12:05 ─▶ end of the sums
//! bar               3       2       3     in the last of each ad that reached one
//! tracked     ├ a: 9, b: 4, c: 3 ┤        it is tracked until that minute has left
//! unseen            2   +   1   +   2     the most that any other ad can have
//! ```
//!
//! An ad that is not tracked is below the bar in every minute of the span, which is longer than the
//! longest window, so that late clicks find bars too. Counts are integers, so the sum of the bars,
//! less one each, bounds its clicks. A list of tracked ads whose last has more is exact; otherwise
//! the window is summed in full. Any bar of at least one is right; bars only steer how many ads are
//! tracked and how often a window is summed.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;
use std::rc::Rc;

use crate::ads::{Ads, Name};
use crate::count::minutes::Minutes;
use crate::held::Table;
use crate::rank::boards::largest::{Largest, Place};
use crate::rank::boards::tracked::Tracked;
use crate::rank::boards::{Counted, Grew, Growth, Shape};
use crate::time::Minute;

/// Lists of one filter, by end and window, and what they are made of.
pub(super) struct Board {
    pub(super) shape: Rc<Shape>,
    pub(super) filter: u32,
    /// The end of the sums, if there are any.
    pub(super) end: Option<Minute>,
    /// Of each minute of the span, from the end back.
    pub(super) bars: VecDeque<u64>,
    pub(super) tracked: Tracked,
    /// Ads that reached a bar but are not tracked yet.
    pub(super) crossed: Vec<(Name, Minute)>,
    /// The first minute known.
    pub(super) since: Minute,
    /// The clicks at the last place of the last list, by window.
    pub(super) nth: Vec<u64>,
    pub(super) lists: BTreeMap<Minute, Vec<Vec<Place>>>,
    /// Cells from which the bar of the end was chosen.
    pub(super) chosen_from: usize,
    /// What all bars before each age leave to an untracked ad at most.
    pub(super) below: Vec<u64>,
    /// Clicks of the ad that is looked at, by minute.
    pub(super) looked_up: Table<Minute, u64>,
    costs: Costs,
}

/// How lists were made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Costs {
    /// From the sums of tracked ads.
    pub(crate) tracked: u64,
    /// By summing a longer window in full, as tracked ads did not suffice.
    pub(crate) full_scans: u64,
    /// By summing a window that is short, or for which there were no sums.
    pub(crate) summed: u64,
}

impl Costs {
    pub(super) fn add(&mut self, more: Costs) {
        self.tracked += more.tracked;
        self.full_scans += more.full_scans;
        self.summed += more.summed;
    }
}

impl Board {
    /// No lists.
    pub(super) fn new(shape: &Rc<Shape>, filter: u32) -> Board {
        Board {
            shape: Rc::clone(shape),
            filter,
            end: None,
            bars: VecDeque::new(),
            tracked: Tracked::new(shape.lengths.len()),
            crossed: Vec::new(),
            since: Minute::default(),
            nth: Vec::new(),
            lists: BTreeMap::new(),
            chosen_from: 0,
            below: Vec::new(),
            looked_up: Table::default(),
            costs: Costs::default(),
        }
    }

    /// Forgets all but the lists.
    pub(super) fn reset(&mut self) {
        self.end = None;
        self.tracked = Tracked::new(self.shape.lengths.len());
        self.bars.clear();
        self.below.clear();
        self.crossed.clear();
    }

    /// Forgets the ads that reached no bar since `minute`.
    pub(super) fn drop_before(&mut self, minute: Minute) {
        if let Some(before) = minute.0.checked_sub(1) {
            self.tracked.drop_until(Minute(before));
        }
    }

    /// What learns that cells have more clicks, if it matters to some sum.
    pub(super) fn learning<'a>(&'a mut self, grew: &'a mut Grew) -> Option<Learning<'a>> {
        let (end, bar) = (self.end?, self.bar(grew.minute())?);
        let within = |length: &u32| grew.minute().plus(*length) > end;
        let within = self.shape.lengths.iter().map(within).collect();
        grew.most = Some(0);
        Some(Learning { board: self, bar, within, grew })
    }

    /// Makes the lists that end with `end`; tells how.
    pub(super) fn evaluate(&mut self, Counted { minutes, ads }: Counted, end: Minute) -> Costs {
        let windows = self.shape.lengths.len() as u64;
        let lists = match self.end {
            Some(last) if end < last => {
                self.costs.summed += windows;
                self.scan_all(minutes, ads, end)
            }
            // The first minute may have hardly begun when its bar was chosen: it gets another.
            Some(last)
                if last > self.since
                    && end.0 - last.0 <= self.shape.longest()
                    && !self.outgrew(minutes, last) =>
            {
                self.track_crossed(minutes);
                (last.0..end.0).for_each(|_| self.slide(minutes));
                self.list(minutes, ads, end)
            }
            _ => {
                self.costs.summed += windows;
                self.rebuild(minutes, ads, end)
            }
        };
        self.lists.insert(end, lists);
        std::mem::take(&mut self.costs)
    }

    /// Whether minute `last` got so many more cells since its bar was chosen that most of its ads
    /// are tracked.
    fn outgrew(&self, minutes: &Minutes, last: Minute) -> bool {
        let cells = minutes.cells_of(last, self.filter);
        cells > 4 * self.chosen_from.max(FEW_CELLS) && 2 * self.tracked.len() > cells
    }

    /// The bar of a minute that the sums may contain.
    pub(super) fn bar(&self, minute: Minute) -> Option<u64> {
        let age = self.end?.0.checked_sub(minute.0)?;
        self.bars.get(age as usize).copied()
    }

    /// No untracked ad has more clicks in `minute`.
    pub(super) fn unseen(&self, minutes: &Minutes, minute: Minute) -> u64 {
        let most = minutes.most(minute, self.filter);
        self.bar(minute).map_or(most, |bar| most.min(bar - 1))
    }

    /// The lists that end with the sums.
    fn list(&mut self, minutes: &Minutes, ads: &Ads, end: Minute) -> Vec<Vec<Place>> {
        let shape = Rc::clone(&self.shape);
        let largest = || Largest::new(ads, shape.top);
        let mut by_window: Vec<Largest> = shape.lengths.iter().map(|_| largest()).collect();
        for (name, sums) in self.tracked.iter() {
            by_window.iter_mut().zip(sums).for_each(|(largest, sum)| largest.offer(*sum, name));
        }
        let mut lists = Vec::new();
        for (length, largest) in shape.lengths.iter().zip(by_window) {
            let list = largest.finish();
            let window = window(end, *length);
            let known = minutes.within(window.clone());
            let unseen: u64 = known.map(|minute| self.unseen(minutes, minute)).sum();
            let exact = unseen == 0 || shape.nth(&list) > unseen;
            let cost = match exact {
                true => &mut self.costs.tracked,
                false if *length > 1 => &mut self.costs.full_scans,
                false => &mut self.costs.summed,
            };
            *cost += 1;
            lists.push(if exact { list } else { self.scan(minutes, ads, window) });
        }
        self.nth = lists.iter().map(|list| shape.nth(list)).collect();
        lists
    }

    /// The list of a window, from all its cells.
    fn scan(&self, minutes: &Minutes, ads: &Ads, window: RangeInclusive<Minute>) -> Vec<Place> {
        let mut largest = Largest::new(ads, self.shape.top);
        minutes.sums(window, self.filter, |name, sum| largest.offer(sum, name));
        largest.finish()
    }

    /// The lists that end with `end`, from all cells.
    pub(super) fn scan_all(&self, minutes: &Minutes, ads: &Ads, end: Minute) -> Vec<Vec<Place>> {
        let windows = self.shape.lengths.iter().map(|length| window(end, *length));
        windows.map(|window| self.scan(minutes, ads, window)).collect()
    }
}

/// A board that learns which cells of a minute grew.
pub(super) struct Learning<'a> {
    board: &'a mut Board,
    bar: u64,
    /// Whether the minute is in each window that ends with the sums.
    within: Vec<bool>,
    grew: &'a mut Grew,
}

impl Learning<'_> {
    /// Learns that a cell has more clicks.
    #[inline]
    pub(super) fn learn(&mut self, growth: Growth) {
        let Growth { name, clicks, was } = growth;
        let slot = self.board.tracked.find(name);
        if let Some(slot) = slot {
            let sums = self.board.tracked.sums_mut(slot).iter_mut().zip(&self.within);
            sums.for_each(|(sum, within)| *sum += if *within { clicks - was } else { 0 });
            if clicks >= self.bar {
                self.board.tracked.raise(slot, self.grew.minute());
            }
        } else if clicks >= self.bar {
            self.board.crossed.push((name, self.grew.minute()));
        } else {
            self.grew.most = self.grew.most.max(Some(clicks));
            return;
        }
        self.grew.tracked.push((growth, slot));
    }
}

/// Cells of a minute of which it costs little to track all.
const FEW_CELLS: usize = if cfg!(test) { 16 } else { 1 << 10 };

/// The minutes of the window of that length which ends with `end`.
pub(super) fn window(end: Minute, length: u32) -> RangeInclusive<Minute> {
    end.minus(length - 1)..=end
}
