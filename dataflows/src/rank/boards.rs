//! The most clicked ads of windows of minutes, without summing those that are far from any list.
//!
//! ```text
//! growth ─▶ minutes ─┬─▶ board of filter 0 ─▶ lists by end and window
//!                    ├─▶ board of filter 3 ─▶ ...
//!                    └─▶ ...
//! ```
//!
//! The counts belong to someone else and are read here. What is told of an epoch comes in this
//! order: the minutes get their clicks, the boards learn which cells grew, of all minutes and filters;
//! lists are put right, and new lists are made. A name that has a cell in a minute stands for the same ad as long as the
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
use crate::count::batch::Added;
use crate::count::fast::Growing;
use crate::count::minutes::Minutes;
use crate::time::Minute;

use board::{Board, Learning, window};

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
    /// The ad that was clicked.
    pub(crate) name: Name,
    /// Its clicks.
    pub(crate) clicks: u64,
    /// Its clicks before.
    pub(crate) was: u64,
}

/// The cells of a minute and a filter that grew.
#[derive(Debug)]
pub(crate) struct Grew {
    growing: Growing,
    filter: u32,
    /// Those of ads that are tracked, with their slots, and of ads that are not tracked yet.
    tracked: Vec<(Growth, Option<usize>)>,
    /// The most clicks of the others; none if it is not known which are tracked.
    most: Option<u64>,
}

impl Grew {
    /// Its minute.
    pub(crate) fn minute(&self) -> Minute {
        self.growing.minute
    }

    /// Its filter, by its place among all.
    pub(crate) fn filter(&self) -> u32 {
        self.filter
    }

    /// All of them.
    fn growths(&self) -> impl Iterator<Item = Growth> {
        self.growing.cells().filter(|(cell, _)| cell.place == self.filter).map(growth)
    }
}

fn growth((cell, was): (&Added, u64)) -> Growth {
    Growth { name: cell.name, clicks: was + u64::from(cell.clicks), was }
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

    /// Learns that cells of a minute grew, once for those that the minute got at an epoch; by filter.
    pub(crate) fn grew(&mut self, growing: &Growing) -> Vec<Grew> {
        let unknown = |filter: &u32| {
            let (filter, growing) = (*filter, growing.clone());
            Grew { growing, filter, tracked: Vec::new(), most: None }
        };
        let mut all: Vec<Grew> = growing.grown.places.iter().map(unknown).collect();
        let mut by_filter: Vec<Option<Learning>> = Vec::new();
        let mut grew = all.iter_mut().peekable();
        for (filter, board) in &mut self.boards {
            while grew.next_if(|grew| grew.filter < *filter).is_some() {}
            if let Some(grew) = grew.next_if(|grew| grew.filter == *filter) {
                by_filter.resize_with(*filter as usize, || None);
                by_filter.push(board.learning(grew));
            }
        }
        for (cell, was) in growing.cells() {
            if let Some(Some(learning)) = by_filter.get_mut(cell.place as usize) {
                learning.learn(growth((cell, was)));
            }
        }
        all
    }

    /// Puts right the lists of `ends` that hold a cell that grew; tells which changed.
    pub(crate) fn correct(
        &mut self,
        counted: Counted,
        grew: &Grew,
        ends: &[Minute],
        mut changed: impl FnMut(Group),
    ) {
        if !ends.is_empty() {
            let filter = grew.filter;
            let changed = |window, end| changed((filter, window, end));
            self.board(filter).correct(counted, grew, ends, changed);
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
