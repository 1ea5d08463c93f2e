//! Where a job stands after a commit, and what must hold between it and the next.

use std::collections::BTreeMap;

use clicks_dataflows::ledger::{Commit, Lengths, Mark, Position, Totals};
use clicks_dataflows::time::{Epoch, Millis, Time};

use super::Faults;
use crate::numbers::Numbers;

/// Where a job stands after its commits so far.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// The number of the last commit.
    pub commits: u64,
    /// Up to which everything is told.
    pub epoch: Epoch,
    /// Where each partition stands, by its number within the job.
    pub positions: BTreeMap<u32, Position>,
    /// All decisions, each with the number of its partition.
    pub marks: Vec<(u32, Mark)>,
    /// Which number a partition has.
    pub numbers: Numbers,
    /// The job's totals.
    pub totals: Totals,
    /// The lengths of its logs.
    pub lengths: Lengths,
    /// Whether its input is complete.
    pub closed: bool,
}

impl Standing {
    /// Checks what must hold between this commit and the one before.
    pub(super) fn check(
        &self,
        commit: &Commit,
        torn: bool,
        refresh_ms: Option<Millis>,
        faults: &mut Faults,
    ) {
        let number = commit.commit;
        let mut fault = |what: String| faults.add(format!("commit {number}: {what}"));
        if self.closed {
            fault(format!("it follows commit {}, which closed the job", self.commits));
        }
        let (epoch, before) = (commit.epoch.0, self.epoch);
        if refresh_ms.is_some_and(|refresh_ms| !epoch.is_multiple_of(refresh_ms)) {
            fault(format!("its epoch {} is no multiple of the job's refresh", commit.epoch));
        }
        if epoch < before || (epoch == before && !commit.closed) {
            fault(format!("its epoch {} is not after {}", commit.epoch, Time(before)));
        }
        let (old, new) = (self.totals, commit.totals);
        if new.records != new.clicks + new.duplicates + new.rejected + new.skipped {
            fault(format!(
                "{} records are not {} clicks, {} duplicates, {} rejected and {} skipped",
                new.records, new.clicks, new.duplicates, new.rejected, new.skipped,
            ));
        }
        for ((name, old), (_, new)) in old.named().into_iter().zip(new.named()) {
            if new < old {
                fault(format!("its total of {name} falls from {old} to {new}"));
            }
        }
        let rejected = new.rejected.saturating_sub(old.rejected);
        if !torn && rejected != commit.rejects {
            fault(format!("{rejected} more are rejected, but it has {} rejects", commit.rejects));
        }
        self.check_places(commit, torn, refresh_ms, &mut fault);
    }

    /// Checks positions and marks.
    fn check_places(
        &self,
        commit: &Commit,
        torn: bool,
        refresh_ms: Option<Millis>,
        fault: &mut dyn FnMut(String),
    ) {
        let mut numbers = self.numbers.clone();
        let mut reached = self.positions.clone();
        for position in &commit.positions {
            let partition = numbers.of(position.log.as_ref(), position.partition);
            if let Some(before) = reached.insert(partition, position.clone())
                && (before.offset > position.offset
                    || before.clock > position.clock
                    || before.name() != position.name())
            {
                fault(format!("the position of partition {partition} goes back"));
            }
        }
        let Some(refresh_ms) = refresh_ms else { return };
        for mark in &commit.marks {
            let number = numbers.of(mark.log.as_ref(), mark.partition);
            let from = self.positions.get(&number).map_or(0, |p| p.offset);
            let until = reached.get(&number).map_or(0, |p| p.offset);
            let epoch = mark.clock.0 + refresh_ms;
            let new = match mark.is_begin() {
                true => !self.positions.contains_key(&number) && mark.offset <= until,
                false => self.epoch < epoch && (from..until).contains(&mark.offset),
            };
            if !(new || torn) || epoch > commit.epoch.0 {
                let Mark { partition, offset, .. } = mark;
                fault(format!("its mark of {partition}:{offset} is of no record of it"));
            }
        }
    }

    /// Goes on to where the job stands after `commit`.
    pub(super) fn follow(&mut self, commit: &Commit) {
        self.commits = commit.commit;
        self.epoch = self.epoch.max(commit.epoch.0);
        self.stand(&commit.positions);
        for mark in &commit.marks {
            let partition = self.numbers.of(mark.log.as_ref(), mark.partition);
            self.marks.push((partition, mark.clone()));
        }
        self.totals = commit.totals;
        self.lengths = commit.lengths.unwrap_or(self.lengths);
        self.closed |= commit.closed;
    }

    /// Takes these positions, among others that stay.
    pub(super) fn stand(&mut self, positions: &[Position]) {
        for position in positions {
            let number = self.numbers.of(position.log.as_ref(), position.partition);
            self.positions.insert(number, position.clone());
        }
    }
}
