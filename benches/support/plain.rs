//! The same counts and lists by a plain loop on one thread, as one would write it for this input.
//!
//! It knows that no click is late: a minute is told once, when the clocks of all partitions have
//! passed its settling, and there are no corrections, no positions, no commits.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use clicks::sink;
use clicks_dataflows::click::{AdId, Click};
use clicks_dataflows::filter::FilterId;
use clicks_dataflows::options::Options;
use clicks_dataflows::time::{Epoch, Millis, Minute, Time};
use clicks_dataflows::told::write::Writer;
use clicks_dataflows::told::{CountRow, RankRow, RankedAd, State};
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};

use super::job::{BATCH, decoder, options};
use super::lines::Lines;
use super::told::{Digesting, Told};

/// An ad's place in [`Plain::ads`].
type Ad = u32;

/// Clicks of a minute by filter and ad.
type Counts = HashMap<(FilterId, Ad), u64, FixedState>;

/// Counts `lines`, taking the partitions in turn.
pub fn count(lines: &Lines) -> Told {
    let decoder = decoder();
    let mut plain = Plain::new(options(6), <[Digesting; 2]>::default());
    let mut clocks = vec![0; lines.partitions().len()];
    for start in (0..).step_by(BATCH) {
        for (partition, clock) in lines.partitions().iter().zip(&mut clocks) {
            for offset in start..partition.len().min(start + BATCH) {
                let decoded = decoder.decode(partition.line(offset));
                let click = decoded.expect("each line is a click").click;
                *clock = click.event_ms.max(*clock);
                plain.take(&click);
            }
            if partition.len() <= start + BATCH {
                *clock = Millis::MAX;
            }
        }
        let clock = clocks.iter().copied().min().unwrap_or(Millis::MAX);
        plain.settle_until(clock);
        if clock == Millis::MAX {
            break;
        }
    }
    let [counts, ranks] = plain.logs.map(|log| log.digest());
    Told { counts, ranks, ..plain.told }
}

/// Where the rows of a minute go when it is told.
pub trait Logs {
    /// Takes its rows of `counts`.
    fn counts(&mut self, rows: &sink::Lines);
    /// Takes its rows of `ranks`.
    fn ranks(&mut self, rows: &sink::Lines);
}

impl Logs for [Digesting; 2] {
    fn counts(&mut self, rows: &sink::Lines) {
        self[0].append(&rows.bytes);
    }

    fn ranks(&mut self, rows: &sink::Lines) {
        self[1].append(&rows.bytes);
    }
}

/// What the loop holds.
pub struct Plain<L> {
    options: Options,
    numbers: HashMap<AdId, Ad, FixedState>,
    ads: Vec<AdId>,
    /// Identities of each minute that takes clicks.
    seen: BTreeMap<Minute, HashSet<u128, FixedState>>,
    /// Counts of each minute that some window still needs.
    counts: BTreeMap<Minute, Counts>,
    /// The last minute that is told.
    settled: Option<Minute>,
    /// Clicks of each ad in the windows that end with it, by filter and window.
    sums: BTreeMap<(FilterId, u32), Vec<u64>>,
    told: Told,
    writer: Writer,
    /// Takes the rows.
    pub logs: L,
}

impl<L: Logs> Plain<L> {
    /// No clicks yet.
    pub fn new(options: Options, logs: L) -> Plain<L> {
        let groups = options.filters.ids().flat_map(|filter| {
            options.windows.iter().map(move |window| ((filter, *window), Vec::new()))
        });
        Plain {
            sums: groups.collect(),
            options,
            numbers: HashMap::default(),
            ads: Vec::new(),
            seen: BTreeMap::new(),
            counts: BTreeMap::new(),
            settled: None,
            told: Told::default(),
            writer: Writer::default(),
            logs,
        }
    }

    /// Counts a click, unless it is a copy.
    pub fn take(&mut self, click: &Click) {
        let minute = click.minute();
        let identity = click.identity.expect("each click has an id");
        if !self.seen.entry(minute).or_default().insert(identity) {
            self.told.duplicates += 1;
            return;
        }
        assert!(Some(minute) > self.settled, "only copies come late");
        self.told.clicks += 1;
        let ad = match self.numbers.get(&click.ad) {
            Some(ad) => *ad,
            None => {
                let ad = Ad::try_from(self.ads.len()).expect("there are fewer ads than u32");
                self.ads.push(click.ad.clone());
                self.numbers.insert(click.ad.clone(), ad);
                ad
            }
        };
        let counts = self.counts.entry(minute).or_default();
        for filter in self.options.filters.matching(click) {
            *counts.entry((filter, ad)).or_default() += 1;
        }
    }

    /// Tells the minutes that have settled once all clocks have reached `clock`.
    pub fn settle_until(&mut self, clock: Millis) {
        let first = self.counts.first_key_value().map(|(minute, _)| *minute);
        let last = self.counts.last_key_value().map(|(minute, _)| *minute);
        while let Some(minute) = self.settled.map(|minute| minute.plus(1)).or(first)
            && Some(minute) <= last
            && self.options.settle(minute) <= clock
        {
            let settle = self.options.settle(minute);
            self.tell_counts(minute, settle);
            self.slide_to(minute);
            self.tell_lists(minute, settle);
            self.settled = Some(minute);
            self.forget(minute, settle);
        }
    }

    fn tell_counts(&mut self, minute: Minute, settle: Epoch) {
        let counts = self.counts.entry(minute).or_default();
        let mut cells: Vec<_> = counts
            .iter()
            .map(|((filter, ad), clicks)| (self.ads[*ad as usize].as_str(), *filter, *clicks))
            .collect();
        cells.sort_unstable();
        let mut rows = sink::Lines::default();
        for (ad, filter, clicks) in cells {
            let row = CountRow {
                ad_id: ad,
                minute,
                filter,
                clicks,
                was: 0,
                epoch: Time(settle),
                state: State::Final,
            };
            rows.push(|line, key| self.writer.count(&row, line, key));
        }
        self.logs.counts(&rows);
    }

    /// Moves the windows on to end with `minute`.
    fn slide_to(&mut self, minute: Minute) {
        for ((filter, window), sums) in &mut self.sums {
            sums.resize(self.ads.len(), 0);
            for ((of, ad), clicks) in self.counts.get(&minute).into_iter().flatten() {
                if of == filter {
                    sums[*ad as usize] += clicks;
                }
            }
            let left = minute.minus(*window);
            for ((of, ad), clicks) in self.counts.get(&left).into_iter().flatten() {
                if of == filter {
                    sums[*ad as usize] -= clicks;
                }
            }
        }
    }

    fn tell_lists(&mut self, minute: Minute, settle: Epoch) {
        let mut rows = sink::Lines::default();
        for ((filter, window), sums) in &self.sums {
            let ads = first_of(&self.ads, sums, self.options.top);
            if !ads.is_empty() {
                let row = RankRow {
                    filter: *filter,
                    window: *window,
                    minute,
                    ads,
                    epoch: Time(settle),
                    state: State::Final,
                };
                rows.push(|line, key| self.writer.rank(&row, line, key));
            }
        }
        self.logs.ranks(&rows);
    }

    /// Drops what no click and no window needs any more once `minute` has settled.
    fn forget(&mut self, minute: Minute, settle: Epoch) {
        self.counts = self.counts.split_off(&minute.minus(self.options.window_max() - 1));
        let open = Minute::of(settle.saturating_sub(self.options.horizon_ms));
        self.seen = self.seen.split_off(&open);
    }
}

/// The ads with most clicks, then the least ids.
fn first_of<'a>(ads: &'a [AdId], sums: &[u64], top: usize) -> Vec<RankedAd<&'a str>> {
    let mut clicked: Vec<u64> = sums.iter().copied().filter(|sum| *sum > 0).collect();
    // All that can be among them, ties included: few, so that only they are sorted by id.
    let least = match clicked.len() > top {
        true => *clicked.select_nth_unstable_by_key(top - 1, |sum| Reverse(*sum)).1,
        false => 1,
    };
    let ads = ads.iter().zip(sums).filter(|(_, sum)| **sum >= least);
    let mut ads: Vec<_> = ads.map(|(ad, sum)| (Reverse(*sum), ad)).collect();
    ads.sort_unstable();
    ads.truncate(top);
    let ads = ads.into_iter();
    ads.map(|(clicks, ad)| RankedAd { ad_id: ad.as_str(), clicks: clicks.0 }).collect()
}
