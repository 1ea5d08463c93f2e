//! The recount: what a job must have told up to its last commit, found by sorting.
//!
//! ```text
//! records ─▶ decode, clock, marks ─┬─▶ clicks ─▶ sort by identity ─▶ sort by cell ─▶ counts
//!                                  └─▶ rejects
//! ```
//!
//! It holds the whole input in memory: 48 bytes a click, twice that while a vector grows, each ad
//! once, and 40 bytes a cell at the end. What a sleeping partition brought is judged last, as the
//! clocks of the others decide over it.

use std::mem;

use clicks_dataflows::click::{AdId, Click, Coordinates, Reason};
use clicks_dataflows::decode::Decoder;
use clicks_dataflows::filter::FilterId;
use clicks_dataflows::ledger::Totals;
use clicks_dataflows::options::Options;
use clicks_dataflows::time::{Epoch, Millis, Minute};

use crate::numbers::Numbers;

mod reading;
#[cfg(test)]
mod tests;

pub use reading::{Begin, Reading};

/// What a job must have told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recount {
    /// Clicks of each ad, minute and filter as told, sorted.
    pub counts: Vec<(AdId, Minute, FilterId, u64)>,
    /// Totals over all records.
    pub totals: Totals,
    /// Records that do not count, by partition and offset.
    pub rejects: Vec<(u32, u64, Reason)>,
    /// Records whose epoch is after the last that was told; they are in nothing else.
    pub beyond: Vec<Coordinates>,
    /// Marks that raise the epoch of no record.
    pub idle_marks: Vec<Coordinates>,
}

/// A recount that takes records.
pub struct Recounting {
    options: Options,
    decoder: Decoder,
    /// All that was told was told up to it.
    epoch: Epoch,
    /// What is told until then counts, if its record was read.
    told_until: Epoch,
    /// Clicks with an identity.
    identified: Vec<Seen>,
    /// Clicks of their own.
    own: Vec<Seen>,
    /// Clicks that a mark lifts beyond their partition's clock, with whether they are of their own.
    lifted: Vec<(Seen, bool)>,
    names: Numbers<AdId>,
    filters: Numbers<Vec<FilterId>>,
    /// Clocks of all partitions, each at the end of an epoch.
    clocks: Vec<(Epoch, Millis)>,
    recount: Recount,
}

/// A click, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    identity: u128,
    epoch: Epoch,
    partition: u32,
    offset: u64,
    minute: u32,
    ad: u32,
    filters: u32,
}

impl Recounting {
    /// A recount of what was told up to `epoch`.
    pub fn new(options: Options, decoder: Decoder, epoch: Epoch) -> Recounting {
        Recounting {
            options,
            decoder,
            epoch,
            told_until: epoch,
            identified: Vec::new(),
            own: Vec::new(),
            lifted: Vec::new(),
            names: Numbers::default(),
            filters: Numbers::default(),
            clocks: Vec::new(),
            recount: Recount::default(),
        }
    }

    /// Counts what would have been told until `told_until` too: it was told when the job was closed.
    #[must_use]
    pub fn told_until(self, told_until: Epoch) -> Recounting {
        Recounting { told_until, ..self }
    }

    /// Begins a partition; its records up to its position in the last commit follow, in order.
    pub fn open(&mut self, begin: Begin) -> Reading<'_> {
        let decoder = self.decoder.clone();
        Reading::new(self, decoder, begin)
    }

    /// Counts what was taken.
    pub fn finish(mut self) -> Recount {
        self.judge_lifted();
        let from = self.options.from;
        let mut identified = mem::take(&mut self.identified);
        identified.sort_unstable();
        let accepted = identified.len() + self.own.len();
        let early = |seen: &Seen| Minute(seen.minute) < from;
        let skipped = identified.iter().chain(&self.own).filter(|seen| early(seen)).count();
        identified.dedup_by_key(|seen| seen.identity);
        identified.append(&mut self.own);
        identified.retain(|seen| !early(seen));
        let late = |seen: &&Seen| seen.epoch > self.options.settle(Minute(seen.minute));

        let totals = &mut self.recount.totals;
        totals.skipped = skipped as u64;
        totals.clicks = identified.len() as u64;
        totals.duplicates = (accepted - skipped - identified.len()) as u64;
        totals.late = identified.iter().filter(late).count() as u64;
        totals.rejected = self.recount.rejects.len() as u64;
        self.recount.rejects.sort_unstable();
        self.recount.beyond.sort_unstable();
        self.recount.idle_marks.sort_unstable();
        self.recount.counts = self.count(identified);
        self.recount
    }

    /// Refuses lifted clicks whose minute the clocks of earlier epochs have left behind.
    fn judge_lifted(&mut self) {
        self.clocks.sort_unstable();
        let mut greatest = 0;
        for (_, clock) in &mut self.clocks {
            greatest = greatest.max(*clock);
            *clock = greatest;
        }
        for (seen, own) in mem::take(&mut self.lifted) {
            let before = self.clocks.partition_point(|(epoch, _)| *epoch < seen.epoch);
            let clock = before.checked_sub(1).map_or(0, |at| self.clocks[at].1);
            if Minute(seen.minute).end().saturating_add(self.options.horizon_ms) <= clock {
                self.recount.rejects.push((seen.partition, seen.offset, Reason::TooLate));
            } else if own {
                self.own.push(seen);
            } else {
                self.identified.push(seen);
            }
        }
    }

    /// The clicks of each cell that were told, sorted.
    fn count(&self, firsts: Vec<Seen>) -> Vec<(AdId, Minute, FilterId, u64)> {
        let told =
            |seen: &Seen| self.options.told_at(seen.epoch, Minute(seen.minute)) <= self.told_until;
        let ranks = self.names.ranks();
        let cell = |seen: Seen| (ranks[seen.ad as usize], seen.minute, seen.filters);
        let mut cells: Vec<_> = firsts.into_iter().filter(told).map(cell).collect();
        cells.sort_unstable();
        let filters: Vec<&Vec<FilterId>> = self.filters.by_number();
        let mut counts = Vec::new();
        for same in cells.chunk_by(|one, other| one == other) {
            let (ad, minute, set) = same[0];
            let clicks = same.len() as u64;
            counts.extend(filters[set as usize].iter().map(|filter| (ad, minute, *filter, clicks)));
        }
        counts.sort_unstable();
        let ads: Vec<&AdId> = self.names.sorted().collect();
        let cell = |count: &(u32, u32, FilterId, u64)| (count.0, count.1, count.2);
        let cells = counts.chunk_by(|one, other| cell(one) == cell(other)).map(|same| {
            let (ad, minute, filter) = cell(&same[0]);
            let clicks = same.iter().map(|(_, _, _, clicks)| clicks).sum();
            (ads[ad as usize].clone(), Minute(minute), filter, clicks)
        });
        cells.collect()
    }
}

impl Recounting {
    /// Notes a partition's clock after a record; `same` says that the last had this epoch.
    fn note_clock(&mut self, epoch: Epoch, clock: Millis, same: bool) {
        match self.clocks.last_mut() {
            Some(last) if same => last.1 = clock,
            _ => self.clocks.push((epoch, clock)),
        }
    }

    fn take(&mut self, at: Coordinates, click: &Click, epoch: Epoch, lifted: bool) {
        let identity = self.options.copies.identity(click.identity, at.partition);
        let seen = Seen {
            identity: identity.unwrap_or_default(),
            epoch,
            partition: at.partition,
            offset: at.offset,
            minute: click.minute().0,
            ad: self.names.number(&click.ad),
            filters: self.filters.number(&self.options.filters.matching(click).collect()),
        };
        match identity {
            own if lifted => self.lifted.push((seen, own.is_none())),
            None => self.own.push(seen),
            Some(_) => self.identified.push(seen),
        }
    }
}
