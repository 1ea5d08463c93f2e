//! The hand-written loop: the complete job on one thread, as fast as is known to this project.
//!
//! ```text
//! clicks ─▶ group of 64: minute, ad, filters ─▶ touch the places ─▶ seen? ─▶ count
//!                                                 minute settles ─▶ rows by ad ─▶ windows ─▶ lists
//! ```
//!
//! It knows that no click is late: a minute is told once, and then nothing is kept of it but its
//! counts for the windows. Places in tables are read for a whole group before the first is
//! written, so that memory is waited for once and not 64 times.

use std::collections::VecDeque;
use std::hint::black_box;

use clicks_dataflows::time::{Epoch, Millis, Minute};

use crate::ads::{Ads, Text, order};
use crate::tables::{AdCounts, Counts, FILTERS, Seen, ad, key};
use crate::told::{Count, Rank, Sink, Told};
use crate::windows::{Sealed, WINDOWS, Windows};
use crate::workload::Decoded;

/// How long after its end a minute settles.
pub const LATENESS_MS: Millis = 15_000;

/// Clicks taken of a partition at once.
const BATCH: usize = 4096;

/// Clicks whose places are touched together.
const GROUP: usize = 64;

/// How the loop knows ads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Known {
    /// By their ids, which it looks for in a table for each click
    Text,
    /// By numbers that they had beforehand
    Number,
}

/// What the loop needs of a click.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts {
    /// What makes two records the same click.
    pub identity: u128,
    /// The minute in which it happened.
    pub minute: Minute,
    /// The number of its ad.
    pub ad: u32,
    /// 1 for each filter that it matches.
    pub counts: Counts,
}

/// Counts `decoded`, taking the partitions in turn.
pub fn count<S: Sink>(decoded: &Decoded, known: Known, sink: S) -> (Tally, S) {
    let ads = match known {
        Known::Text => Ads::unknown(),
        Known::Number => Ads::numbered(decoded.ads.clone()),
    };
    let mut tuned = Tuned::new(ads, sink);
    let mut clocks = vec![0; decoded.partitions.len()];
    for start in (0..).step_by(BATCH) {
        for (partition, clock) in decoded.partitions.iter().zip(&mut clocks) {
            let end = partition.len().min(start + BATCH);
            let batch = &partition[start.min(end)..end];
            match known {
                Known::Text => tuned.take(batch, |click, ads| {
                    click.facts(ads.number(decoded.ads[click.ad as usize]))
                }),
                Known::Number => tuned.take(batch, |click, _| click.facts(click.ad)),
            }
            *clock = batch.iter().fold(*clock, |clock, click| clock.max(click.event_ms));
            if end == partition.len() {
                *clock = Millis::MAX;
            }
        }
        let clock = clocks.iter().copied().min().unwrap_or(Millis::MAX);
        while tuned.settle(clock).is_some() {}
        if clock == Millis::MAX {
            break;
        }
    }
    (tuned.tally, tuned.sink)
}

/// How many clicks there were.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// First copies.
    pub clicks: u64,
    /// Further copies.
    pub duplicates: u64,
}

impl Tally {
    /// With the rows that were told.
    pub fn told(self, rows: crate::told::Checksum) -> Told {
        Told { clicks: self.clicks, duplicates: self.duplicates, rows }
    }
}

/// A minute that takes clicks.
#[derive(Default)]
struct Open {
    seen: Seen,
    counts: AdCounts,
}

/// What the loop holds.
pub struct Tuned<S> {
    ads: Ads,
    /// The minute of the first in `open`.
    first: Minute,
    open: VecDeque<Open>,
    spare: Vec<Open>,
    windows: Windows,
    texts: Vec<Text>,
    order: Vec<u64>,
    told: bool,
    /// How many clicks there were.
    pub tally: Tally,
    /// Takes the rows.
    pub sink: S,
}

impl<S: Sink> Tuned<S> {
    /// No clicks yet.
    pub fn new(ads: Ads, sink: S) -> Tuned<S> {
        Tuned {
            ads,
            first: Minute(0),
            open: VecDeque::new(),
            spare: Vec::new(),
            windows: Windows::default(),
            texts: Vec::new(),
            order: Vec::new(),
            told: false,
            tally: Tally::default(),
            sink,
        }
    }

    /// Takes clicks, of which `facts` tells what matters.
    #[inline]
    pub fn take<C>(&mut self, clicks: &[C], facts: impl Fn(&C, &mut Ads) -> Facts) {
        let mut group = [Facts::default(); GROUP];
        for clicks in clicks.chunks(GROUP) {
            let group = &mut group[..clicks.len()];
            for (fact, click) in group.iter_mut().zip(clicks) {
                *fact = facts(click, &mut self.ads);
            }
            self.count(group);
        }
    }

    fn count(&mut self, group: &[Facts]) {
        let mut touched = 0;
        for facts in group {
            let key = key(facts.ad);
            let Open { seen, counts } = self.minute(facts.minute);
            touched ^= seen.touch(facts.identity) ^ counts.touch(key);
        }
        black_box(touched);
        let mut clicks = 0;
        for facts in group {
            let Open { seen, counts } = &mut self.open[(facts.minute.0 - self.first.0) as usize];
            if seen.insert(facts.identity) {
                counts.add(key(facts.ad), facts.counts);
                clicks += 1;
            }
        }
        self.tally.clicks += clicks;
        self.tally.duplicates += group.len() as u64 - clicks;
    }

    #[inline]
    fn minute(&mut self, minute: Minute) -> &mut Open {
        if self.open.is_empty() && !self.told {
            self.first = minute;
        }
        while minute < self.first {
            assert!(!self.told, "no click is late");
            self.open.push_front(self.spare.pop().unwrap_or_default());
            self.first = self.first.minus(1);
        }
        let at = (minute.0 - self.first.0) as usize;
        while self.open.len() <= at {
            self.open.push_back(self.spare.pop().unwrap_or_default());
        }
        &mut self.open[at]
    }

    /// Tells the first open minute, if it has settled once all clocks have reached `clock`.
    pub fn settle(&mut self, clock: Millis) -> Option<Minute> {
        let (minute, epoch) = (self.first, self.first.end() + LATENESS_MS);
        if epoch > clock {
            return None;
        }
        let mut open = self.open.pop_front()?;
        (self.first, self.told) = (minute.plus(1), true);
        let (keys, counts) = open.counts.sorted();
        self.tell_counts(minute, epoch, &keys, &counts);
        self.windows.push(minute, Sealed { keys, counts });
        self.tell_lists(minute, epoch);
        open.seen.clear();
        open.counts.clear();
        self.spare.push(open);
        Some(minute)
    }

    fn tell_counts(&mut self, minute: Minute, epoch: Epoch, keys: &[u32], counts: &[Counts]) {
        self.texts.clear();
        self.texts.extend(keys.iter().map(|key| self.ads.text(ad(*key))));
        order(&self.texts, &mut self.order);
        for at in &self.order {
            let at = usize::try_from(*at).expect("it is a place");
            let ad = self.texts[at];
            for (filter, clicks) in (0..).zip(counts[at]) {
                if clicks > 0 {
                    self.sink.count(Count { epoch, ad, minute, filter, clicks: clicks.into() });
                }
            }
        }
    }

    fn tell_lists(&mut self, minute: Minute, epoch: Epoch) {
        for (filter, number) in (0..FILTERS).zip(0..) {
            for (at, window) in WINDOWS.into_iter().enumerate() {
                let list = self.windows.list(filter, at, &self.ads);
                let ads =
                    list.iter().map(|(clicks, key)| ((*clicks).into(), self.ads.text(ad(*key))));
                let ads: Vec<(u64, Text)> = ads.collect();
                if !ads.is_empty() {
                    self.sink.rank(Rank { epoch, minute, filter: number, window, ads: &ads });
                }
            }
        }
    }
}
