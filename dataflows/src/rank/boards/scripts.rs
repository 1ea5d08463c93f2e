//! Scripts that are played to the boards and to the simple windows, which must agree, and be what
//! sorting gives.
//!
//! Tests make them at random, and fuzzers of the bytes that they find.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::rc::Rc;

use super::board::{Costs, window};
use super::{Boards, Counted};
use crate::ads::{Ads, Name};
use crate::count::batch::{Added, Grown, places};
use crate::count::fast::Growing;
use crate::count::minutes::Minutes;
use crate::match_filters::Cell;
use crate::random::Draw;
use crate::time::Minute;
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
    /// Whether other ads are popular every few minutes.
    changing: bool,
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
    /// All cells, with the ids of their ads.
    cells: BTreeMap<(Minute, u32, String), u64>,
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
            cells: BTreeMap::new(),
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
            let name = self.ads.name_of(id.as_bytes(), u64::MAX);
            let was = self.minutes.clicks(*minute, *filter, name);
            let added = Added { head: [0; 2], id_bytes: 0, name, place: *filter, clicks: *clicks };
            let cell = Cell { minute: *minute, filter: *filter, ad: id.as_str().into() };
            parts.entry(*minute).or_default().push((*filter, name, *clicks));
            *self.cells.entry((*minute, *filter, id)).or_default() += u64::from(*clicks);
            grown.push((added, was, cell));
        }
        for (minute, cells) in parts {
            self.minutes.add(minute, cells.into_iter(), minute < self.settled);
        }
        self.minutes.seal_before(self.settled);
        for (added, _, cell) in &grown {
            self.windows.add(cell, added.clicks.into());
        }
        let mut grew = Vec::new();
        for of_minute in grown.chunk_by(|a, b| a.2.minute == b.2.minute) {
            let cells: Vec<Added> = of_minute.iter().map(|(added, ..)| *added).collect();
            let was = of_minute.iter().map(|(_, was, _)| *was).collect();
            let grown = Rc::new(Grown { places: places(&cells), cells });
            grew.extend(self.boards.grew(&Growing { minute: of_minute[0].2.minute, grown, was }));
        }
        for grew in grew {
            let (minute, filter) = (grew.minute(), grew.filter());
            let has_lists =
                |end: &Minute| *end < self.settled || self.opened.contains(&(*end, filter));
            let ends = (minute.0..minute.0 + self.boards.shape.longest()).map(Minute);
            let ends: Vec<Minute> = ends.filter(has_lists).collect();
            let (mut expected, mut changed) = (BTreeSet::new(), BTreeSet::new());
            for (_, _, cell) in &grown {
                if (cell.minute, cell.filter) == (minute, filter) {
                    self.windows.correct(cell, &ends, |group| {
                        expected.insert(group);
                    });
                }
            }
            let counted = Counted { minutes: &self.minutes, ads: &self.ads };
            self.boards.correct(counted, &grew, &ends, |group| assert!(changed.insert(group)));
            assert_eq!(changed, expected, "{minute:?}, {filter}");
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

    /// Checks that the ads of names that boards hold are those that had them.
    fn check_names(&self) {
        for board in self.boards.boards.values() {
            let all = self.minutes.within(Minute(0)..);
            let known = all.map(|minute| self.minutes.columns(minute, board.filter));
            let known: Vec<_> = known.flatten().collect();
            for (name, _) in board.tracked.iter() {
                assert!(known.iter().any(|column| column.clicks(name) > 0), "{name:?} is free");
            }
        }
    }

    /// Ads of all filters in the longest window.
    fn cells(&self, end: u32) -> usize {
        let first = Minute(end).minus(self.boards.shape.longest() - 1);
        let mut cells = 0;
        (0..4).for_each(|filter| self.minutes.sums(first..=Minute(end), filter, |_, _| cells += 1));
        cells
    }

    /// Checks the lists that end with `end` against all cells of their windows, in order.
    fn check_sorted(&self, end: Minute) {
        for group in self.boards.groups(end) {
            let (filter, length, _) = group;
            let mut sums = BTreeMap::<&str, u64>::new();
            for ((_, of, id), clicks) in self.of_minutes(window(end, length)) {
                if *of == filter {
                    *sums.entry(id).or_default() += clicks;
                }
            }
            let sums = sums.into_iter().map(|(id, sum)| (Reverse(sum), id.into()));
            let mut sorted: Vec<Ranked> = sums.collect();
            sorted.sort_unstable();
            sorted.truncate(self.boards.shape.top);
            assert_eq!(self.windows.list(group), sorted, "{group:?}");
        }
    }

    fn of_minutes(
        &self,
        minutes: RangeInclusive<Minute>,
    ) -> impl Iterator<Item = (&(Minute, u32, String), &u64)> {
        let (first, end) = minutes.into_inner();
        self.cells.range((first, 0, String::new())..(end.plus(1), 0, String::new()))
    }

    fn check(&self, ends: RangeInclusive<u32>) {
        for end in ends.map(Minute) {
            let groups = self.boards.groups(end);
            assert_eq!(groups, self.windows.groups(end), "{end:?}");
            for group in groups {
                let list = self.boards.list(group).iter();
                let list: Vec<Ranked> = list.map(|(n, name)| (*n, self.ads.id(*name))).collect();
                assert_eq!(list, self.windows.list(group), "{group:?}");
            }
        }
    }
}

/// Plays a short script of some plan.
///
/// # Panics
///
/// When a list is not as it should be.
#[cfg(feature = "fuzzing")]
pub(crate) fn play(draw: &mut impl Draw) {
    let plan = plan(draw);
    run(&Plan { epochs: 1 + draw.small(16), clicks: plan.clicks.min(60), ..plan }, draw);
}

/// Plays a script; tells how lists were made, and how often most ads were not tracked.
fn run(plan: &Plan, random: &mut impl Draw) -> (Costs, u32) {
    let mut pruned = 0;
    let mut both = Both::new(plan);
    let mut newest = 200;
    both.settled = Minute(newest);
    for _ in 0..plan.epochs {
        let mut cells = Cells::new();
        for _ in 0..random.small(plan.clicks + 1) {
            let late = if random.once_in(8) { random.small(plan.horizon) } else { random.small(2) };
            let minute = Minute(newest - late.min(plan.horizon)).max(both.forgotten);
            let mut ad = random.small(plan.ads);
            if plan.skewed {
                (0..3).for_each(|_| ad = random.small(ad + 1));
            }
            let filter = random.small(2) * (1 + random.small(3));
            if plan.changing {
                ad += minute.0 / 6 * plan.ads;
            }
            *cells.entry((minute, filter, ad)).or_default() += 1 + random.small(2);
        }
        both.take(&cells, Minute(newest - 1));
        both.check(both.forgotten.0..=newest);
        both.check_sorted(Minute(newest - random.small(1 + newest - both.forgotten.0)));
        pruned += u32::from(both.boards.tracked() * 2 < both.cells(newest));
        if random.once_in(2) {
            newest += 1;
            if random.once_in(plan.gaps) {
                newest += random.small(plan.horizon * 2 + 8);
            }
        }
        if random.once_in(3) {
            let first = Minute(newest - plan.horizon).min(both.settled);
            both.forget_before(first.max(both.forgotten));
            both.check_names();
        }
    }
    (both.boards.costs(), pruned)
}

fn plan(random: &mut impl Draw) -> Plan {
    let lengths: [&[u32]; 5] = [&[1], &[1, 5], &[2, 7, 60], &[1, 3, 9], &[4]];
    Plan {
        lengths: lengths[random.small(5) as usize],
        top: [1, 2, 3, 8, 20][random.small(5) as usize],
        ads: [2, 10, 100, 1000][random.small(4) as usize],
        clicks: [3, 30, 400, 400][random.small(4) as usize],
        skewed: !random.once_in(3),
        changing: random.once_in(2),
        gaps: [5, 30, 1000][random.small(3) as usize],
        open: random.once_in(2),
        epochs: if random.once_in(10) { 200 } else { 40 },
        horizon: [3, 12, 70][random.small(3) as usize],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn boards_have_the_lists_of_the_simple_windows() {
        let (mut costs, mut pruned) = (Costs::default(), 0);
        for seed in 0..400 {
            let plan = plan(&mut Random(seed));
            let played = std::panic::catch_unwind(|| run(&plan, &mut Random(seed)));
            let played = played.unwrap_or_else(|_| panic!("seed {seed} of {plan:?}"));
            costs.add(played.0);
            pruned += played.1;
        }
        // Every way of making lists was gone often.
        assert!(costs.tracked > 100_000 && costs.full_scans > 100 && costs.summed > 10_000);
        assert!(pruned > 1000, "{pruned} of {costs:?}");
    }
}
