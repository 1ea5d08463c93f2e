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
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod scripts;
mod slide;
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

    /// Whether it matters to some sum that cells of `minute` grew; learns that they did.
    pub(crate) fn touches(&mut self, minute: Minute, filter: u32) -> bool {
        let Some(board) = self.boards.get_mut(&filter) else { return false };
        board.bounds.clear();
        board.end.is_some_and(|end| minute <= end)
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
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn tracked(&self) -> usize {
        self.boards.values().map(|board| board.tracked.len()).sum()
    }

    /// How the lists were made.
    #[cfg(any(test, feature = "fuzzing"))]
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
