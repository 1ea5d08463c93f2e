//! The most clicked ads of windows of minutes, kept exact as minutes grow.
//!
//! For each filter, window and end minute there is a list of the most clicked ads. Two moves keep
//! the lists right:
//!
//! - **evaluate**: a list that was never asked for is made from the sums of all ads in its window.
//!   Sums are held for one end minute and slide to the next: what enters is added, what leaves is
//!   subtracted. The largest are selected, not sorted out of all.
//! - **correct**: a list that exists changes only by ads whose counts grew. Each is taken out,
//!   given its new sum, and put back in order. As counts never shrink, no other ad moves up.
//!
//! Keeps the counts of the minutes that may still take clicks, and of those that share a window
//! with them; sums of every ad in the longest window; and a list per filter, window and end.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::click::AdId;
use crate::filter::FilterId;
use crate::held::Table;
use crate::match_filters::Cell;
use crate::names::{Name, Names};
use crate::time::Minute;

/// A list's filter, window in minutes, and last minute.
pub type Group = (FilterId, u32, Minute);

/// A ranked ad: most clicks first, then the least id, so that ties never depend on workers.
pub type Ranked = (Reverse<u64>, AdId);

/// Counts of the last minutes, and the lists over them.
pub struct Windows {
    lengths: Vec<u32>,
    top: usize,
    names: Names,
    minutes: BTreeMap<Minute, Table<(FilterId, Name), u64>>,
    lists: BTreeMap<Minute, BTreeMap<(FilterId, u32), Vec<Ranked>>>,
    sums: Sums,
}

/// The sums of every ad over each window that ends with `end`.
#[derive(Default)]
struct Sums {
    end: Minute,
    ads: Table<(FilterId, Name), Vec<u64>>,
}

impl Windows {
    /// No clicks yet; `lengths` are in minutes, ascending.
    pub fn new(lengths: &[u32], top: usize) -> Windows {
        Windows {
            lengths: lengths.to_vec(),
            top,
            names: Names::default(),
            minutes: BTreeMap::new(),
            lists: BTreeMap::new(),
            sums: Sums::default(),
        }
    }

    /// Gives `cell` so many more clicks.
    pub fn add(&mut self, cell: &Cell, clicks: u64) {
        let minute = self.minutes.entry(cell.minute).or_default();
        let known = self.names.find(&cell.ad).filter(|n| minute.contains_key(&(cell.filter, *n)));
        let name = known.unwrap_or_else(|| self.names.take(&cell.ad));
        *minute.entry((cell.filter, name)).or_default() += clicks;
        self.sums.add(&self.lengths, cell.minute, (cell.filter, name), clicks);
    }

    /// Whether the longest window that ends with `end` has a click.
    pub fn has_clicks(&self, end: Minute) -> bool {
        self.minutes.range(self.first_of(end)..=end).next().is_some()
    }

    /// Makes the lists that end with `end`: of every filter, or of those in `filters`.
    pub fn evaluate(&mut self, end: Minute, filters: Option<&BTreeSet<FilterId>>) {
        let sums = self.sums_at(end);
        let mut largest: BTreeMap<(FilterId, u32), Largest> = BTreeMap::new();
        for ((filter, name), by_window) in &sums.ads {
            if filters.is_some_and(|filters| !filters.contains(filter)) {
                continue;
            }
            for (window, sum) in self.lengths.iter().zip(by_window) {
                if *sum > 0 {
                    let largest = largest.entry((*filter, *window)).or_insert_with(Largest::new);
                    largest.offer(*sum, *name, self.top, &self.names);
                }
            }
        }
        let lists = self.lists.entry(end).or_default();
        for (key, largest) in largest {
            lists.insert(key, largest.finish(self.top, &self.names));
        }
        if sums.end >= self.sums.end {
            self.sums = sums;
        }
    }

    /// Puts right the lists of `ends` that hold `cell`, whose count has grown; tells which changed.
    pub fn correct(&mut self, cell: &Cell, ends: &[Minute], mut changed: impl FnMut(Group)) {
        let Some(name) = self.names.find(&cell.ad) else { return };
        for end in ends {
            for (at, window) in self.lengths.iter().enumerate() {
                if cell.minute.plus(*window) <= *end {
                    continue;
                }
                let key = (cell.filter, name);
                let sum = match self.sums.ads.get(&key).filter(|_| self.sums.end == *end) {
                    Some(sums) => sums[at],
                    None => self.sum(key, end.minus(*window - 1), *end),
                };
                let lists = self.lists.entry(*end).or_default();
                let list = lists.entry((cell.filter, *window)).or_default();
                if put(list, (Reverse(sum), cell.ad.clone()), self.top) {
                    changed((cell.filter, *window, *end));
                }
            }
        }
    }

    /// The list of `group`, empty if it never had an ad.
    pub fn list(&self, (filter, window, end): Group) -> &[Ranked] {
        let list = self.lists.get(&end).and_then(|lists| lists.get(&(filter, window)));
        list.map_or(&[], Vec::as_slice)
    }

    /// The filters and windows that have a list which ends with `end`.
    pub fn groups(&self, end: Minute) -> Vec<Group> {
        let lists = self.lists.get(&end).into_iter().flat_map(BTreeMap::keys);
        lists.map(|(filter, window)| (*filter, *window, end)).collect()
    }

    /// Drops the lists that end before `minute`, and the counts that no later list needs.
    pub fn forget_before(&mut self, minute: Minute) {
        self.lists = self.lists.split_off(&minute);
        let needed = self.first_of(minute);
        // Sums that slide still subtract what leaves, so their own minutes stay.
        let needed = needed.min(self.first_of(self.sums.end));
        while let Some(least) = self.minutes.first_entry().filter(|least| *least.key() < needed) {
            for (_, name) in least.remove().into_keys() {
                self.names.release(name);
            }
        }
    }

    /// Minutes held.
    pub fn minutes_held(&self) -> usize {
        self.minutes.len()
    }

    fn longest(&self) -> u32 {
        self.lengths.last().copied().unwrap_or(1)
    }

    /// The first minute of the longest window that ends with `end`.
    fn first_of(&self, end: Minute) -> Minute {
        end.minus(self.longest() - 1)
    }

    fn sum(&self, key: (FilterId, Name), from: Minute, end: Minute) -> u64 {
        self.minutes.range(from..=end).filter_map(|(_, counts)| counts.get(&key)).sum()
    }

    /// The sums at `end`: those that are held, slid there, or new ones.
    fn sums_at(&mut self, end: Minute) -> Sums {
        let near = end >= self.sums.end && end <= self.sums.end.plus(self.longest());
        if !near {
            let mut sums = Sums { end, ..Sums::default() };
            for (minute, counts) in self.minutes.range(self.first_of(end)..=end) {
                counts.iter().for_each(|(k, n)| sums.add(&self.lengths, *minute, *k, *n));
            }
            return sums;
        }
        let mut sums = std::mem::take(&mut self.sums);
        while sums.end < end {
            sums.slide(&self.lengths, &self.minutes);
        }
        sums
    }
}

impl Sums {
    /// Adds clicks of `minute` to the windows that contain it.
    fn add(&mut self, lengths: &[u32], minute: Minute, key: (FilterId, Name), clicks: u64) {
        let longest = lengths.last().copied().unwrap_or(1);
        if minute > self.end || minute.plus(longest) <= self.end {
            return;
        }
        let sums = self.ads.entry(key).or_insert_with(|| vec![0; lengths.len()]);
        for (sum, length) in sums.iter_mut().zip(lengths) {
            *sum += if minute.plus(*length) > self.end { clicks } else { 0 };
        }
    }

    /// Moves the end on by one minute.
    fn slide(&mut self, lengths: &[u32], minutes: &BTreeMap<Minute, Table<(FilterId, Name), u64>>) {
        for (at, length) in lengths.iter().enumerate() {
            let Some(left) = (self.end.0 + 1).checked_sub(*length) else { continue };
            for (key, clicks) in minutes.get(&Minute(left)).into_iter().flatten() {
                let sums = self.ads.get_mut(key).expect("what leaves a window was in it");
                sums[at] -= clicks;
                if at + 1 == lengths.len() && sums[at] == 0 {
                    self.ads.remove(key);
                }
            }
        }
        self.end = self.end.plus(1);
        for (key, clicks) in minutes.get(&self.end).into_iter().flatten() {
            self.add(lengths, self.end, *key, *clicks);
        }
    }
}

/// Puts `ranked` into `list`, in place of the same ad with fewer clicks; tells whether it changed.
fn put(list: &mut Vec<Ranked>, ranked: Ranked, top: usize) -> bool {
    // An ad's sum only grows, so its old entry is at its place or behind it.
    let place = match list.binary_search(&ranked) {
        Ok(_) => return false,
        Err(place) if place >= top => return false,
        Err(place) => place,
    };
    if let Some(old) = list[place..].iter().position(|(_, ad)| *ad == ranked.1) {
        list.remove(place + old);
    }
    list.insert(place, ranked);
    list.truncate(top);
    true
}

/// The largest sums offered, in a buffer that is cut down when it is full.
struct Largest {
    sums: Vec<(u64, Name)>,
    /// The least sum that can still be among them.
    bar: u64,
}

impl Largest {
    fn new() -> Largest {
        Largest { sums: Vec::new(), bar: 0 }
    }

    fn offer(&mut self, sum: u64, name: Name, top: usize, names: &Names) {
        if sum >= self.bar {
            self.sums.push((sum, name));
            if self.sums.len() >= top * 4 + 64 {
                self.cut(top, names);
            }
        }
    }

    fn cut(&mut self, top: usize, names: &Names) {
        if self.sums.len() > top {
            let order = |(sum, name): &(u64, Name)| (Reverse(*sum), names.ad(*name).as_str());
            self.sums.select_nth_unstable_by(top - 1, |a, b| order(a).cmp(&order(b)));
            self.sums.truncate(top);
            self.bar = self.sums[top - 1].0;
        }
    }

    fn finish(mut self, top: usize, names: &Names) -> Vec<Ranked> {
        self.cut(top, names);
        let ranked = self.sums.into_iter().map(|(sum, n)| (Reverse(sum), names.ad(n).clone()));
        let mut list: Vec<Ranked> = ranked.collect();
        list.sort_unstable();
        list
    }
}
