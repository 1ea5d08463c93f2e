//! The hand-written loop: the complete job on one thread, as fast as is known to this project.
//!
//! ```text
//! clicks ─▶ group of 64: minute, ad, filters ─▶ fetch the places ─▶ seen? ─▶ count
//!                                                 minute settles ─▶ rows by ad ─▶ windows ─▶ lists
//! ```
//!
//! It knows that no click is late: a minute is told once, and then nothing is kept of it but its
//! counts for the windows. Places in tables are fetched for a whole group before the first is
//! wanted, so that memory is waited for once and not 64 times.

use std::collections::VecDeque;

use clicks_dataflows::time::{Epoch, Millis, Minute};

use crate::ads::{Ad, Text, order};
use crate::tables::{AdCounts, Counts, FILTERS, Sealed, Seen};
use crate::told::{Count, Rank, Sink, Told};
use crate::windows::{WINDOWS, Windows};
use crate::workload::{Click, Decoded};

/// How long after its end a minute settles.
pub const LATENESS_MS: Millis = 15_000;

/// Clicks taken of a partition at once.
const BATCH: usize = 4096;

/// Clicks whose places are fetched together.
const GROUP: usize = 64;

/// How the loop knows ads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Known {
    /// By their ids
    Text,
    /// By numbers that they had beforehand
    Number,
}

/// What the loop needs of a click.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<A> {
    /// What makes two records the same click.
    pub identity: u128,
    /// Its ad.
    pub ad: A,
    /// The minute in which it happened.
    pub minute: Minute,
    /// 1 for each filter that it matches.
    pub counts: Counts,
}

/// Counts `decoded`, knowing ads as told.
pub fn count<S: Sink>(decoded: &Decoded, known: Known, sink: S) -> (Tally, S) {
    match known {
        Known::Text => in_turn(decoded, sink, |click| click.facts(click.id)),
        Known::Number => in_turn(decoded, sink, |click| click.facts(click.ad)),
    }
}

/// Counts `decoded`, taking the partitions in turn.
fn in_turn<A: Ad, S: Sink>(
    decoded: &Decoded,
    sink: S,
    facts: impl Fn(&Click) -> Facts<A>,
) -> (Tally, S) {
    let mut tuned = Tuned::new(sink);
    let mut clocks = vec![0; decoded.partitions.len()];
    for start in (0..).step_by(BATCH) {
        for (partition, clock) in decoded.partitions.iter().zip(&mut clocks) {
            let end = partition.len().min(start + BATCH);
            let batch = &partition[start.min(end)..end];
            tuned.take(batch, &facts);
            *clock = batch.iter().fold(*clock, |clock, click| clock.max(click.event_ms));
            if end == partition.len() {
                *clock = Millis::MAX;
            }
        }
        let clock = clocks.iter().copied().min().unwrap_or(Millis::MAX);
        while tuned.settle(clock, &decoded.ads).is_some() {}
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
struct Open<A> {
    seen: Seen,
    counts: AdCounts<A>,
}

impl<A: Ad> Default for Open<A> {
    fn default() -> Open<A> {
        Open { seen: Seen::default(), counts: AdCounts::default() }
    }
}

/// What the loop holds.
pub struct Tuned<A, S> {
    /// The minute of the first in `open`.
    first: Minute,
    open: VecDeque<Open<A>>,
    spare: Vec<Open<A>>,
    windows: Windows<A>,
    texts: Vec<Text>,
    order: Vec<u64>,
    told: bool,
    /// How many clicks there were.
    pub tally: Tally,
    /// Takes the rows.
    pub sink: S,
}

impl<A: Ad, S: Sink> Tuned<A, S> {
    /// No clicks yet.
    pub fn new(sink: S) -> Tuned<A, S> {
        Tuned {
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
    pub fn take<C>(&mut self, clicks: &[C], facts: impl Fn(&C) -> Facts<A>) {
        let mut group = [Facts::default(); GROUP];
        for clicks in clicks.chunks(GROUP) {
            let group = &mut group[..clicks.len()];
            for (fact, click) in group.iter_mut().zip(clicks) {
                *fact = facts(click);
            }
            self.fetch(group);
            self.count(group);
        }
    }

    /// Fetches the places of `group`, most of which is of one minute.
    #[inline]
    fn fetch(&mut self, group: &[Facts<A>]) {
        let Open { seen, counts } = self.minute(group[0].minute);
        for facts in group {
            seen.fetch(facts.identity);
            counts.fetch(facts.ad.place());
        }
    }

    #[inline]
    fn count(&mut self, mut group: &[Facts<A>]) {
        self.tally.clicks += group.len() as u64;
        while let Some(first) = group.first() {
            let minute = first.minute;
            let same = group.iter().take_while(|facts| facts.minute == minute).count();
            let (now, later) = group.split_at(same);
            let Open { seen, counts } = self.minute(minute);
            let mut duplicates = 0;
            for facts in now {
                if seen.insert(facts.identity) {
                    counts.add(facts.ad, facts.ad.place(), facts.counts);
                } else {
                    duplicates += 1;
                }
            }
            self.tally.clicks -= duplicates;
            self.tally.duplicates += duplicates;
            group = later;
        }
    }

    /// The minute, opened if it was not.
    fn minute(&mut self, minute: Minute) -> &mut Open<A> {
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

    /// Tells the first open minute, if it has settled once all clocks have reached `clock`; `ids`
    /// are those of numbers.
    pub fn settle(&mut self, clock: Millis, ids: &[Text]) -> Option<Minute> {
        let (minute, epoch) = (self.first, self.first.end() + LATENESS_MS);
        if epoch > clock {
            return None;
        }
        let mut open = self.open.pop_front()?;
        (self.first, self.told) = (minute.plus(1), true);
        let sealed = open.counts.sealed();
        self.tell_counts(minute, epoch, &sealed, ids);
        self.windows.push(minute, sealed);
        self.tell_lists(minute, epoch, ids);
        open.seen.clear();
        open.counts.clear();
        self.spare.push(open);
        Some(minute)
    }

    fn tell_counts(&mut self, minute: Minute, epoch: Epoch, sealed: &Sealed<A>, ids: &[Text]) {
        self.texts.clear();
        self.texts.extend(sealed.ads.iter().map(|ad| ad.text(ids)));
        order(&self.texts, &mut self.order);
        for at in &self.order {
            let at = usize::try_from(*at).expect("it is a place");
            let ad = self.texts[at];
            for (filter, clicks) in (0..).zip(sealed.counts[at]) {
                if clicks > 0 {
                    self.sink.count(Count { epoch, ad, minute, filter, clicks: clicks.into() });
                }
            }
        }
    }

    fn tell_lists(&mut self, minute: Minute, epoch: Epoch, ids: &[Text]) {
        for (filter, number) in (0..FILTERS).zip(0..) {
            for (at, window) in WINDOWS.into_iter().enumerate() {
                let list = self.windows.list(filter, at, ids).into_iter();
                let ads: Vec<(u64, Text)> =
                    list.map(|(clicks, ad)| (clicks.into(), ad.text(ids))).collect();
                if !ads.is_empty() {
                    self.sink.rank(Rank { epoch, minute, filter: number, window, ads: &ads });
                }
            }
        }
    }
}
