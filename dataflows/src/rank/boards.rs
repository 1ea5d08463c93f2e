//! The most clicked ads of windows of minutes, without summing those that are far from any list.
//!
//! ```text
//! growth ─▶ minutes ─┬─▶ board of filter 0 ─▶ lists by end and window
//!                    ├─▶ board of filter 3 ─▶ ...
//!                    └─▶ ...
//! ```
//!
//! The counts belong to someone else and are read here. What is told of an epoch comes in this
//! order: the minutes get their clicks, the boards learn which cells grew, lists are put right, and
//! new lists are made. A name that has a cell in a minute stands for the same ad as long as the
//! minute is held.
//!
//! Keeps a list per filter, window and end, and the sums of the ads that a [`Board`] tracks.

mod board;
mod bounds;
mod largest;
mod tracked;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::ads::{Ads, Name};
use crate::count::minutes::Minutes;
use crate::time::Minute;

use board::{Board, window};

pub(crate) use board::Costs;
pub(crate) use largest::Place;

/// A list's filter, by its place among all; its window in minutes; and its last minute.
pub(crate) type Group = (u32, u32, Minute);

/// What the lists are made from.
#[derive(Clone, Copy)]
pub(crate) struct Counted<'a> {
    /// The counts.
    pub(crate) minutes: &'a Minutes,
    /// The ads that the names in them stand for.
    pub(crate) ads: &'a Ads,
}

/// A cell has more clicks than before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Growth {
    /// The minute of the clicks.
    pub(crate) minute: Minute,
    /// The place of the filter that they match.
    pub(crate) filter: u32,
    /// The ad that was clicked.
    pub(crate) name: Name,
    /// Its clicks.
    pub(crate) clicks: u64,
    /// Its clicks before.
    pub(crate) was: u64,
}

/// Which lists there are, and how long.
struct Shape {
    lengths: Vec<u32>,
    top: usize,
}

/// The lists of all filters; see the module.
pub(crate) struct Boards {
    shape: Rc<Shape>,
    boards: BTreeMap<u32, Board>,
    costs: Costs,
}

impl Boards {
    /// No lists; `lengths` are in minutes, ascending, and `top` is at least one.
    pub(crate) fn new(lengths: &[u32], top: usize) -> Boards {
        assert!(!lengths.is_empty() && top > 0, "there are lists, and they have places");
        let shape = Rc::new(Shape { lengths: lengths.to_vec(), top });
        Boards { shape, boards: BTreeMap::new(), costs: Costs::default() }
    }

    /// Learns that a cell grew, once for each cell of those that the minutes got.
    pub(crate) fn grew(&mut self, growth: &Growth) {
        if let Some(board) = self.boards.get_mut(&growth.filter) {
            board.grew(growth);
        }
    }

    /// Puts right the lists of `ends` that hold a cell that grew; tells which changed.
    pub(crate) fn correct(
        &mut self,
        counted: Counted,
        growth: &Growth,
        ends: &[Minute],
        mut changed: impl FnMut(Group),
    ) {
        let filter = growth.filter;
        if !ends.is_empty() {
            let changed = |window, end| changed((filter, window, end));
            self.board(filter).correct(counted, growth, ends, changed);
        }
    }

    /// Makes the lists that end with `end`: of every filter, or of those in `filters`.
    pub(crate) fn evaluate(
        &mut self,
        counted: Counted,
        end: Minute,
        filters: Option<&BTreeSet<u32>>,
    ) {
        let minutes = counted.minutes;
        let within = || minutes.within(window(end, self.shape.longest()));
        let has_clicks = |filter: &u32| within().rev().any(|m| minutes.most(m, *filter) > 0);
        let clicked: BTreeSet<u32> = match filters {
            Some(filters) => filters.iter().copied().filter(has_clicks).collect(),
            None => within().flat_map(|minute| minutes.filters(minute)).collect(),
        };
        for filter in clicked {
            let costs = self.board(filter).evaluate(counted, end);
            self.costs.add(costs);
        }
    }

    /// Whether the longest window that ends with `end` has a click.
    pub(crate) fn has_clicks(&self, minutes: &Minutes, end: Minute) -> bool {
        minutes.within(window(end, self.shape.longest())).next().is_some()
    }

    /// The list of `group`, empty if it never had an ad.
    pub(crate) fn list(&self, (filter, window, end): Group) -> &[Place] {
        let lists = self.boards.get(&filter).and_then(|board| board.lists.get(&end));
        let at = self.shape.lengths.iter().position(|length| *length == window);
        lists.zip(at).map_or(&[], |(lists, at)| &lists[at])
    }

    /// The filters and windows that have a list which ends with `end`.
    pub(crate) fn groups(&self, end: Minute) -> Vec<Group> {
        let mut groups = Vec::new();
        for (filter, board) in &self.boards {
            let lists = board.lists.get(&end).into_iter().flatten();
            let known = self.shape.lengths.iter().zip(lists).filter(|(_, list)| !list.is_empty());
            groups.extend(known.map(|(length, _)| (*filter, *length, end)));
        }
        groups
    }

    /// Drops the lists that end before `minute`; tells the first minute whose counts are needed.
    pub(crate) fn forget_before(&mut self, minute: Minute) -> Minute {
        let longest = self.shape.longest();
        let mut first = minute;
        for board in self.boards.values_mut() {
            board.lists = board.lists.split_off(&minute);
            board.bounds.clear();
            match board.end {
                Some(end) if end.plus(longest) < minute => board.reset(),
                // Sums that slide still subtract what leaves.
                Some(end) => first = first.min(end),
                None => {}
            }
        }
        let first = first.minus(longest - 1);
        // Minutes that are forgotten free the names of their ads.
        self.boards.values_mut().for_each(|board| board.drop_before(first));
        self.boards.retain(|_, board| board.end.is_some() || !board.lists.is_empty());
        first
    }

    /// Ads that are tracked.
    pub(crate) fn tracked(&self) -> usize {
        self.boards.values().map(|board| board.tracked.len()).sum()
    }

    /// How the lists were made.
    pub(crate) fn costs(&self) -> Costs {
        self.costs
    }

    fn board(&mut self, filter: u32) -> &mut Board {
        let board = self.boards.entry(filter);
        board.or_insert_with(|| Board::new(&self.shape, filter))
    }
}

impl Shape {
    fn longest(&self) -> u32 {
        self.lengths.last().copied().expect("there is a window")
    }

    /// Minutes through which ads are tracked.
    fn span(&self) -> u32 {
        self.longest().saturating_mul(2)
    }

    /// The clicks at the last place of a list; zero if it has room.
    fn nth(&self, list: &[Place]) -> u64 {
        list.get(self.top - 1).map_or(0, |(clicks, _)| clicks.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ads::hash;
    use crate::count::sealed::Sealed;
    use crate::match_filters::Cell;
    use crate::random::Random;
    use crate::windows::{Ranked, Windows};

    /// What a script is made of.
    #[derive(Clone, Debug)]
    struct Plan {
        lengths: &'static [u32],
        top: usize,
        ads: u32,
        /// Clicks of an epoch, at most.
        clicks: u32,
        /// Whether few ads have most clicks.
        skewed: bool,
        /// One minute in so many is followed by a gap.
        gaps: u64,
        /// Lists are told before a minute settles.
        open: bool,
        epochs: u32,
        /// Minutes after which a minute takes no more clicks.
        horizon: u32,
    }

    /// Boards beside the simple windows.
    struct Both {
        windows: Windows,
        boards: Boards,
        minutes: Minutes,
        ads: Ads,
        opened: BTreeSet<(Minute, u32)>,
        settled: Minute,
        forgotten: Minute,
        open: bool,
    }

    type Cells = BTreeMap<(Minute, u32, u32), u32>;

    impl Both {
        fn new(plan: &Plan) -> Both {
            Both {
                windows: Windows::new(plan.lengths, plan.top),
                boards: Boards::new(plan.lengths, plan.top),
                minutes: Minutes::default(),
                ads: Ads::default(),
                opened: BTreeSet::new(),
                settled: Minute(0),
                forgotten: Minute(0),
                open: plan.open,
            }
        }

        /// Gives both the cells of an epoch, in the order of `Ranking::take`.
        fn take(&mut self, cells: &Cells, newest: Minute) {
            let mut parts: BTreeMap<Minute, Vec<(u32, Name, u32)>> = BTreeMap::new();
            let mut grown = Vec::new();
            for ((minute, filter, ad), clicks) in cells {
                // The order of ads is not that of their names.
                let id = format!("{:x}", ad.wrapping_mul(0x9E37_79B1));
                let name = self.ads.name(&id, hash(&id), u64::MAX);
                let was = self.minutes.clicks(*minute, *filter, name);
                let clicks_now = was + u64::from(*clicks);
                let growth =
                    Growth { minute: *minute, filter: *filter, name, clicks: clicks_now, was };
                let cell = Cell { minute: *minute, filter: *filter, ad: id.as_str().into() };
                parts.entry(*minute).or_default().push((*filter, name, *clicks));
                grown.push((growth, cell));
            }
            for (minute, mut cells) in parts {
                self.minutes.add(minute, Rc::new(Sealed::from_cells(&mut cells)));
            }
            for (growth, cell) in &grown {
                self.windows.add(cell, growth.clicks - growth.was);
                self.boards.grew(growth);
            }
            for (growth, cell) in &grown {
                let has_lists = |end: &Minute| {
                    *end < self.settled || self.opened.contains(&(*end, cell.filter))
                };
                let ends = (cell.minute.0..cell.minute.0 + self.boards.shape.longest()).map(Minute);
                let ends: Vec<Minute> = ends.filter(has_lists).collect();
                let (mut expected, mut changed) = (Vec::new(), Vec::new());
                self.windows.correct(cell, &ends, |group| expected.push(group));
                let counted = Counted { minutes: &self.minutes, ads: &self.ads };
                self.boards.correct(counted, growth, &ends, |group| changed.push(group));
                assert_eq!(changed, expected, "{cell:?}");
            }
            if self.open {
                let unsettled = cells.keys().filter(|(minute, ..)| *minute >= self.settled);
                let new: BTreeSet<_> =
                    unsettled.map(|(minute, filter, _)| (*minute, *filter)).collect();
                for (minute, filter) in new {
                    if self.opened.insert((minute, filter)) {
                        self.evaluate(minute, &BTreeSet::from([filter]));
                    }
                }
            }
            while self.settled < newest {
                let settled = self.settled;
                self.settled = settled.plus(1);
                let filters = (0..4).filter(|filter| !self.opened.contains(&(settled, *filter)));
                self.evaluate(settled, &filters.collect());
            }
        }

        fn evaluate(&mut self, end: Minute, filters: &BTreeSet<u32>) {
            let has_clicks = self.windows.has_clicks(end);
            assert_eq!(self.boards.has_clicks(&self.minutes, end), has_clicks);
            if has_clicks {
                self.windows.evaluate(end, Some(filters));
                let counted = Counted { minutes: &self.minutes, ads: &self.ads };
                self.boards.evaluate(counted, end, Some(filters));
            }
        }

        fn forget_before(&mut self, minute: Minute) {
            self.windows.forget_before(minute);
            self.minutes.forget_before(self.boards.forget_before(minute));
            self.opened = self.opened.split_off(&(minute, 0));
            self.forgotten = minute;
        }

        fn check(&self, ends: std::ops::RangeInclusive<u32>) {
            for end in ends.map(Minute) {
                let groups = self.boards.groups(end);
                assert_eq!(groups, self.windows.groups(end), "{end:?}");
                for group in groups {
                    let list = self.boards.list(group).iter();
                    let list: Vec<Ranked> =
                        list.map(|(n, name)| (*n, self.ads.ad(*name).clone())).collect();
                    assert_eq!(list, self.windows.list(group), "{group:?}");
                }
            }
        }
    }

    fn run(plan: &Plan, seed: u64) -> Costs {
        let mut random = Random(seed);
        let mut both = Both::new(plan);
        let mut newest = 200;
        both.settled = Minute(newest);
        for _ in 0..plan.epochs {
            let mut cells = Cells::new();
            for _ in 0..random.small(plan.clicks + 1) {
                let late =
                    if random.once_in(8) { random.small(plan.horizon) } else { random.small(2) };
                let minute = Minute(newest - late.min(plan.horizon)).max(both.forgotten);
                let mut ad = random.small(plan.ads);
                if plan.skewed {
                    ad = random.small(ad + 1);
                    ad = random.small(ad + 1);
                }
                let filter = random.small(2) * (1 + random.small(3));
                // Who is popular changes.
                let ad = if random.once_in(3) { ad + newest / 20 * plan.ads / 3 } else { ad };
                *cells.entry((minute, filter, ad)).or_default() += 1 + random.small(2);
            }
            both.take(&cells, Minute(newest - 1));
            both.check(both.forgotten.0..=newest);
            if random.once_in(2) {
                newest += 1;
                if random.once_in(plan.gaps) {
                    newest += random.small(plan.horizon * 2 + 8);
                }
            }
            if random.once_in(3) {
                let first = Minute(newest - plan.horizon).min(both.settled);
                both.forget_before(first.max(both.forgotten));
            }
        }
        both.boards.costs()
    }

    fn plan(random: &mut Random) -> Plan {
        let lengths: [&[u32]; 5] = [&[1], &[1, 5], &[2, 7, 60], &[1, 3, 9], &[4]];
        Plan {
            lengths: lengths[random.small(5) as usize],
            top: [1, 2, 3, 8, 20][random.small(5) as usize],
            ads: [2, 10, 100, 1000][random.small(4) as usize],
            clicks: [3, 30, 200][random.small(3) as usize],
            skewed: random.once_in(2),
            gaps: [5, 30, 1000][random.small(3) as usize],
            open: random.once_in(2),
            epochs: 40,
            horizon: [3, 12, 70][random.small(3) as usize],
        }
    }

    #[test]
    fn boards_have_the_lists_of_the_simple_windows() {
        let mut costs = Costs::default();
        for seed in 0..600 {
            let plan = plan(&mut Random(seed));
            let run = std::panic::catch_unwind(|| run(&plan, seed));
            let run = run.unwrap_or_else(|_| panic!("seed {seed} of {plan:?}"));
            costs.add(run);
        }
        println!("{costs:?}");
        assert!(costs.tracked > 1000 && costs.full_scans > 1000 && costs.summed > 1000);
    }
}
