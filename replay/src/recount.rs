//! The recount: what a job must have told up to its last commit, found by sorting.
//!
//! ```text
//! records ─▶ decode, clock, marks ─┬─▶ clicks ─▶ sort by minute and identity ─▶ counting
//!                                  └─▶ rejects
//! ```
//!
//! Clicks and rejects take the memory that they are given, and wait on disk beyond it. Beside them
//! it holds the name of each ad once, each set of filters that clicks match, the greatest clock of
//! each epoch, and clicks that marks have lifted: what a sleeping partition brought is judged last,
//! as the clocks of the others decide over it. Records beyond the job's epoch and marks that raise
//! nothing are held too; there are none unless the ledger or the input is not the job's.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::ops::Range;

use clicks_dataflows::click::{AdId, Click, Coordinates, Reason};
use clicks_dataflows::decode::Decoder;
use clicks_dataflows::filter::FilterId;
use clicks_dataflows::ledger::Totals;
use clicks_dataflows::options::Options;
use clicks_dataflows::time::{Epoch, Millis, Minute};

use crate::numbers::Numbers;
use crate::sort::{Room, SortError, Sorted, Sorter};

mod counting;
mod curve;
mod reading;
mod rows;
#[cfg(test)]
mod tests;

pub use counting::{Counted, Counting};
pub use curve::{Curve, LATENESSES_MS};
pub use reading::{Begin, Reading};

use curve::Curving;
use rows::{Rejected, Seen};

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
    /// The minutes that are counted.
    minutes: Range<Minute>,
    room: Room,
    seen: Sorter<Seen>,
    rejects: Sorter<Rejected>,
    /// Clicks that a mark lifts beyond their partition's clock.
    lifted: Vec<Seen>,
    names: Numbers<AdId>,
    filters: Numbers<Vec<FilterId>>,
    /// The greatest clock of any partition at the end of an epoch.
    clocks: BTreeMap<Epoch, Millis>,
    has_curve: bool,
    recount: Recount,
}

impl Recounting {
    /// A recount of what was told up to `epoch`, which takes up to `room`.
    pub fn new(options: Options, decoder: Decoder, epoch: Epoch, room: Room) -> Recounting {
        Recounting {
            options,
            decoder,
            epoch,
            told_until: epoch,
            minutes: Minute(0)..Minute(u32::MAX),
            seen: Sorter::new(room.part(2)),
            rejects: Sorter::new(room.part(8)),
            room,
            lifted: Vec::new(),
            names: Numbers::default(),
            filters: Numbers::default(),
            clocks: BTreeMap::new(),
            has_curve: false,
            recount: Recount::default(),
        }
    }

    /// Counts what would have been told until `told_until` too: it was told when the job was closed.
    #[must_use]
    pub fn told_until(self, told_until: Epoch) -> Recounting {
        Recounting { told_until, ..self }
    }

    /// Counts clicks of these minutes alone; the totals are theirs then.
    #[must_use]
    pub fn within(self, minutes: Range<Minute>) -> Recounting {
        Recounting { minutes, ..self }
    }

    /// Finds the lateness curve too.
    #[must_use]
    pub fn with_curve(self) -> Recounting {
        Recounting { has_curve: true, ..self }
    }

    /// Takes note that the greatest clock was `clock` after the records of epochs up to `epoch`, which
    /// are not read.
    pub fn begin_after(&mut self, epoch: Epoch, clock: Millis) {
        self.note_clock(epoch, clock);
    }

    /// The number of an ad.
    pub fn ad(&mut self, ad: &AdId) -> u32 {
        self.names.number(ad)
    }

    /// Begins a partition; its records up to its position in the last commit follow, in order.
    pub fn open(&mut self, begin: Begin) -> Reading<'_> {
        let decoder = self.decoder.clone();
        Reading::new(self, decoder, begin)
    }

    /// Counts what was taken, all at once: each cell is held.
    ///
    /// # Errors
    ///
    /// When the disk fails.
    pub fn finish(self) -> Result<Recount, SortError> {
        let (mut recount, mut rejects, mut counting) = self.sort()?;
        while let Some(rejected) = rejects.next()? {
            recount.rejects.push(rejected.told());
        }
        let mut counts = Vec::new();
        while let Some(counted) = counting.next()? {
            counts.push(counted);
        }
        let (ads, ranks) = counting.ads_sorted();
        let rank = |counted: &Counted| ranks[counted.ad as usize];
        counts.sort_unstable_by_key(|counted| (rank(counted), counted.minute, counted.filter));
        let counted = counts.iter().map(|counted| {
            let ad = ads[rank(counted) as usize].clone();
            (ad, counted.minute, counted.filter, counted.clicks)
        });
        recount.counts = counted.collect();
        recount.totals = counting.totals();
        recount.totals.rejected = recount.rejects.len() as u64;
        recount.beyond.sort_unstable();
        recount.idle_marks.sort_unstable();
        Ok(recount)
    }

    /// Counts what was taken, minute after minute, and says what is wrong beside: of the recount
    /// only that is filled.
    ///
    /// # Errors
    ///
    /// When the disk fails.
    pub fn count(self) -> Result<(Recount, Counting), SortError> {
        let (recount, _, counting) = self.sort()?;
        Ok((recount, counting))
    }

    fn sort(mut self) -> Result<(Recount, Sorted<Rejected>, Counting), SortError> {
        self.judge_lifted()?;
        let Recounting {
            options, told_until, room, seen, rejects, names, filters, recount, ..
        } = self;
        let curving = self.has_curve.then(|| Curving::new(room.part(16)));
        let counting = Counting {
            options,
            told_until,
            names,
            filters: filters.by_number().into_iter().cloned().collect(),
            totals: recount.totals,
            seen: seen.sort()?,
            room: room.part(16),
            curving,
            minute: Minute(0),
            next: None,
            cells: Sorted::default(),
            cell: None,
            ready: VecDeque::new(),
        };
        Ok((recount, rejects.sort()?, counting))
    }

    /// Refuses lifted clicks whose minute the clocks of earlier epochs have left behind.
    fn judge_lifted(&mut self) -> Result<(), SortError> {
        let mut greatest = 0;
        for clock in self.clocks.values_mut() {
            greatest = greatest.max(*clock);
            *clock = greatest;
        }
        for seen in mem::take(&mut self.lifted) {
            let before = self.clocks.range(..seen.epoch).next_back();
            let clock = before.map_or(0, |(_, clock)| *clock);
            if seen.minute().end().saturating_add(self.options.horizon_ms) <= clock {
                let at = Coordinates { partition: seen.partition, offset: seen.offset };
                self.rejects.push(Rejected::new(at, Reason::TooLate))?;
            } else {
                self.seen.push(seen)?;
            }
        }
        Ok(())
    }

    /// Notes a partition's clock at the end of an epoch.
    fn note_clock(&mut self, epoch: Epoch, clock: Millis) {
        let greatest = self.clocks.entry(epoch).or_default();
        *greatest = clock.max(*greatest);
    }

    fn take(
        &mut self,
        at: Coordinates,
        click: &Click,
        epoch: Epoch,
        lifted: bool,
    ) -> Result<(), SortError> {
        if !self.minutes.contains(&click.minute()) {
            return Ok(());
        }
        let identity = self.options.copies.identity(click.identity, at.partition);
        let ad = self.names.number(&click.ad);
        let filters = self.filters.number(&self.options.filters.matching(click).collect());
        let seen = Seen::new((at, click.minute(), epoch), identity, ad, filters);
        if lifted {
            self.lifted.push(seen);
            return Ok(());
        }
        self.seen.push(seen)
    }
}
