//! How the sums of a board come to another end.
//!
//! Mostly they slide by a minute: what enters is added, what leaves is subtracted, and the ads that
//! reach the bar of the new minute are tracked, with sums from the minutes before. Far ahead, and at
//! first, they are made anew.

use crate::ads::{Ads, Name};
use crate::count::minutes::{Cells, Minutes};
use crate::rank::boards::board::{Board, window};
use crate::rank::boards::largest::{Nth, Place};
use crate::time::Minute;

impl Board {
    /// Moves the end of the sums on by one minute.
    pub(super) fn slide(&mut self, minutes: &Minutes) {
        let last = self.end.expect("sums that slide have an end");
        let end = last.plus(1);
        let bar;
        (bar, self.chosen_from) = self.choose_bar(minutes, end, last);
        let entering = minutes.columns(end, self.filter);
        let left = |length: &u32| {
            let left = end.0.checked_sub(*length);
            left.map_or(Vec::new(), |left| minutes.columns(Minute(left), self.filter))
        };
        let leaving: Vec<Vec<Cells>> = self.shape.lengths.iter().map(left).collect();
        let cells: usize = entering.iter().chain(leaving.iter().flatten()).map(Cells::len).sum();
        // A look-up costs as much as a few steps through a column.
        let few = self.tracked.len() * 8 < cells;
        if few {
            for (name, sums) in self.tracked.iter_mut() {
                let new = clicks_in(&entering, name);
                for (sum, left) in sums.iter_mut().zip(&leaving) {
                    *sum = *sum + new - clicks_in(left, name);
                }
            }
        } else {
            leaving.iter().enumerate().for_each(|(at, left)| self.subtract(at, left));
        }
        let mut new = Vec::new();
        minutes.cells(end, self.filter, |name, clicks| {
            if few && clicks < bar {
                return;
            }
            match self.tracked.find(name) {
                Some(slot) => {
                    if !few {
                        self.tracked.sums_mut(slot).iter_mut().for_each(|sum| *sum += clicks);
                    }
                    if clicks >= bar {
                        self.tracked.raise(slot, end);
                    }
                }
                None if clicks >= bar => new.push((name, clicks)),
                None => {}
            }
        });
        let history = self.history(minutes, last);
        for (name, clicks) in new {
            let slot = self.tracked.track(name, end);
            self.add_to(slot, end, end, clicks);
            self.sum_history(slot, name, &history, end);
        }
        self.bars.push_front(bar);
        self.bars.truncate(self.shape.span() as usize);
        self.end = Some(end);
        self.add_up_bars();
        if let Some(left) = end.0.checked_sub(self.shape.span()) {
            self.tracked.drop_until(Minute(left));
        }
    }

    /// Subtracts what leaves the window `at` from the sums.
    fn subtract(&mut self, at: usize, left: &[Cells]) {
        for cells in left {
            cells.for_each(|name, clicks| {
                if let Some(slot) = self.tracked.find(name) {
                    self.tracked.sums_mut(slot)[at] -= u64::from(clicks);
                }
            });
        }
    }

    /// The minutes in which an untracked ad may have clicks, with their cells.
    fn history<'a>(&self, minutes: &'a Minutes, end: Minute) -> Vec<(Minute, Vec<Cells<'a>>)> {
        let bars = self.bars.iter().zip(0..self.shape.longest());
        let with_clicks = bars.filter(|(bar, _)| **bar > 1);
        let known = with_clicks.map(|(_, age)| end.minus(age));
        known.map(|minute| (minute, minutes.columns(minute, self.filter))).collect()
    }

    /// Adds what `history` has of an ad to its sums.
    fn sum_history(
        &mut self,
        slot: usize,
        name: Name,
        history: &[(Minute, Vec<Cells>)],
        end: Minute,
    ) {
        for (minute, columns) in history {
            self.add_to(slot, *minute, end, clicks_in(columns, name));
        }
    }

    /// Adds clicks of `minute` to the sums over the windows to `end` that contain it.
    fn add_to(&mut self, slot: usize, minute: Minute, end: Minute, clicks: u64) {
        for (sum, length) in self.tracked.sums_mut(slot).iter_mut().zip(&self.shape.lengths) {
            *sum += if minute.plus(*length) > end { clicks } else { 0 };
        }
    }

    /// The bar of a new minute, after lists that ended with `last`, and the cells that it is chosen
    /// from.
    fn choose_bar(&self, minutes: &Minutes, minute: Minute, last: Minute) -> (u64, usize) {
        let cells = |minute| minutes.cells_of(minute, self.filter);
        let (own, before) = (cells(minute), cells(minute.minus(1)));
        // A minute that has hardly begun will be like the one before it.
        let like = if own * 2 < before { minute.minus(1) } else { minute };
        let mut nth = Nth::new(self.shape.top);
        minutes.cells(like, self.filter, |_, clicks| nth.offer(clicks));
        let is_full = |length: u32| self.since.plus(length) <= last.plus(1);
        let own = nth.finish() / if is_full(self.shape.longest()) { 1 } else { 2 };
        let windows = self.shape.lengths.iter().zip(&self.nth);
        let longer = windows.filter(|(length, _)| **length > 1 && is_full(**length));
        let bars = longer.map(|(length, nth)| nth * 3 / 5 / u64::from(*length) + 1);
        (bars.fold(own, u64::min).max(1), cells(like))
    }

    /// Begins anew with sums that end with `end`; the lists there.
    pub(super) fn rebuild(&mut self, minutes: &Minutes, ads: &Ads, end: Minute) -> Vec<Vec<Place>> {
        self.reset();
        let lists = self.scan_all(minutes, ads, end);
        self.nth = lists.iter().map(|list| self.shape.nth(list)).collect();
        let span = self.shape.span();
        let has_clicks = |minute: &Minute| !minutes.columns(*minute, self.filter).is_empty();
        let known: Vec<Minute> = minutes.within(window(end, span)).filter(has_clicks).collect();
        self.since = known.first().copied().unwrap_or(end);
        self.bars.resize(span as usize, 1);
        for minute in &known {
            let (bar, chosen_from) = self.choose_bar(minutes, *minute, end);
            self.chosen_from = if *minute == end { chosen_from } else { 0 };
            self.bars[(end.0 - minute.0) as usize] = bar;
            minutes.cells(*minute, self.filter, |name, clicks| {
                if clicks >= bar {
                    self.tracked.track(name, *minute);
                }
            });
        }
        for minute in known {
            minutes.cells(minute, self.filter, |name, clicks| {
                if let Some(slot) = self.tracked.find(name) {
                    self.add_to(slot, minute, end, clicks);
                }
            });
        }
        self.end = Some(end);
        self.add_up_bars();
        lists
    }

    /// Tracks the ads that grew to a bar.
    pub(super) fn track_crossed(&mut self, minutes: &Minutes) {
        let Some(end) = self.end.filter(|_| !self.crossed.is_empty()) else { return };
        let mut crossed = std::mem::take(&mut self.crossed);
        crossed.sort_unstable();
        crossed.dedup();
        let history = self.history(minutes, end);
        for of_ad in crossed.chunk_by(|a, b| a.0 == b.0) {
            let (name, last) = *of_ad.last().expect("a chunk is not empty");
            let slot = self.tracked.track(name, last);
            self.sum_history(slot, name, &history, end);
            // History leaves out the minutes in which only ads that crossed have clicks.
            for (_, minute) in of_ad {
                if self.bar(*minute) == Some(1) {
                    let clicks = minutes.clicks(*minute, self.filter, name);
                    self.add_to(slot, *minute, end, clicks);
                }
            }
        }
    }
}

fn clicks_in(columns: &[Cells], name: Name) -> u64 {
    columns.iter().map(|column| u64::from(column.clicks(name))).sum()
}
