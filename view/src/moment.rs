//! What all answers speak of: the job, and how far it has told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use clicks_dataflows::filter::FilterId;
use clicks_dataflows::ledger::{Commit, Name, Position, Totals};
use clicks_dataflows::options::Options;
use clicks_dataflows::time::{Epoch, Millis, Minute};
use clicks_dataflows::told::{CountRow, RankRow};

/// Commits that a moment remembers.
const COMMITS: usize = 120;

/// What does not change while a job runs.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The job.
    pub job: String,
    /// The SHA-256 of the line that opens its ledger.
    pub opening: String,
    /// Its options, as its ledger remembers them.
    pub options: Options,
    /// The same as the ledger says it.
    pub meaning: serde_json::Value,
    /// What people call its filters.
    pub names: BTreeMap<FilterId, String>,
}

/// A commit, and all of which it is the last.
#[derive(Clone, Debug, Default)]
pub struct Moment {
    /// How many commits there are.
    pub commit: u64,
    /// All epochs up to it are told.
    pub epoch: Epoch,
    /// Totals up to it.
    pub totals: Totals,
    /// Where each partition is read next, and its clock there.
    pub positions: BTreeMap<Name, Position>,
    /// Whether the input is complete, and everything settled.
    pub closed: bool,
    /// The last commits, the newest last.
    pub commits: VecDeque<Arc<Commit>>,
    /// When the view learnt of it, by the wall clock.
    pub seen_ms: Millis,
    /// The first minute that the view keeps.
    pub from: Minute,
    /// What the commit changed.
    pub changes: Arc<Changes>,
}

impl Moment {
    /// Makes of a moment the one of `commit`, which follows it and was seen at `now`.
    pub fn advance(before: &mut Option<Moment>, commit: Commit, now: Millis) {
        let moment = before.get_or_insert_with(Moment::default);
        moment.commit = commit.commit;
        moment.epoch = commit.epoch.0;
        moment.totals = commit.totals;
        moment.closed = commit.closed;
        moment.seen_ms = now;
        moment.positions.extend(commit.positions.iter().map(|at| (at.name(), at.clone())));
        moment.commits.push_back(Arc::new(commit));
        if moment.commits.len() > COMMITS {
            moment.commits.pop_front();
        }
    }

    /// The last minute that has settled.
    pub fn settled(&self, options: &Options) -> Minute {
        options.first_unsettled(self.epoch).minus(1)
    }

    /// The newest minute that has begun: that of the greatest clock, or of a click that waits to move
    /// one, unless it is far beyond.
    pub fn newest(&self, jump_max_ms: Millis) -> Minute {
        let reached = self.positions.values().map(|at| {
            let waits = at.jump.filter(|jump| jump.0 <= at.clock.0 + jump_max_ms);
            waits.map_or(at.clock.0, |jump| jump.0.max(at.clock.0))
        });
        Minute::of(reached.max().unwrap_or_default().max(self.epoch.saturating_sub(1)))
    }
}

/// Counts of a commit that are held at most; of one that has more, the store is asked.
const COUNTS_HELD: usize = 1_000_000;

/// Lists of a commit that are held at most.
const LISTS_HELD: usize = 20_000;

/// What one commit changed, for those who wait for it.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// After which epoch, and up to which.
    epochs: (Epoch, Epoch),
    /// By ad and filter, and then in the order in which they were told.
    counts: Vec<CountRow>,
    lists: Vec<RankRow>,
    /// Whether there were more than are held.
    is_partial: bool,
}

impl Changes {
    /// The counts of an ad that were told in `epochs`, if these are those of the commit.
    pub fn counts(
        &self,
        epochs: (Epoch, Epoch),
        (ad, filter): (&str, FilterId),
    ) -> Option<&[CountRow]> {
        if self.epochs != epochs || self.is_partial {
            return None;
        }
        let before = |row: &CountRow| (&*row.ad_id.0, row.filter) < (ad, filter);
        let within = |row: &CountRow| (&*row.ad_id.0, row.filter) == (ad, filter);
        let rows = &self.counts[self.counts.partition_point(before)..];
        Some(&rows[..rows.partition_point(within)])
    }

    /// The lists of a window that were told in `epochs`, if these are those of the commit.
    pub fn lists(
        &self,
        epochs: (Epoch, Epoch),
        (window, filter): (u32, FilterId),
    ) -> Option<impl Iterator<Item = &RankRow>> {
        let of = move |row: &&RankRow| (row.window, row.filter) == (window, filter);
        (self.epochs == epochs && !self.is_partial).then(|| self.lists.iter().filter(of))
    }

    pub(crate) fn add_count(&mut self, row: CountRow) {
        self.is_partial |= self.counts.len() == COUNTS_HELD;
        if !self.is_partial {
            self.counts.push(row);
        }
    }

    pub(crate) fn add_list(&mut self, row: RankRow) {
        self.is_partial |= self.lists.len() == LISTS_HELD;
        if !self.is_partial {
            self.lists.push(row);
        }
    }

    /// Says which epochs the commit covers.
    pub(crate) fn close(&mut self, epochs: (Epoch, Epoch)) {
        self.epochs = epochs;
        self.counts
            .sort_by(|one, other| (&one.ad_id.0, one.filter).cmp(&(&other.ad_id.0, other.filter)));
    }
}

#[cfg(test)]
mod tests {
    use clicks_dataflows::time::{MINUTE_MS, Time};

    use super::*;

    /// The newest minute where a partition has this clock, and a click waits at `jump`.
    fn newest(clock: Millis, jump: Option<Millis>, epoch: Epoch) -> u32 {
        let name = Name::Partition { log: None, partition: 0 };
        let at = Position {
            clock: Time(clock),
            jump: jump.map(Time),
            ..Position::new(0, name.clone(), 0)
        };
        let moment = Moment { epoch, positions: [(name, at)].into(), ..Moment::default() };
        moment.newest(5 * MINUTE_MS).0
    }

    #[test]
    fn a_minute_has_begun_with_the_click_that_is_about_to_move_the_clock() {
        let minute = |minute: u64| minute * MINUTE_MS;
        assert_eq!(newest(minute(7) + 1, None, minute(7) + 100), 7);
        assert_eq!(newest(minute(7) + 1, Some(minute(8)), minute(7) + 100), 8);
        assert_eq!(newest(minute(7) + 1, Some(minute(90)), minute(7) + 100), 7, "far beyond");
        assert_eq!(newest(0, None, minute(9)), 8, "the epoch is closed, and nothing is after it");
    }
}
