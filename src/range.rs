//! What part of the past a replay tells, and by whose marks.

use std::collections::{BTreeMap, BTreeSet};

use clicks_dataflows::clock::Clock;
use clicks_dataflows::ledger::{Name, Position};
use clicks_dataflows::partition::Start;
use clicks_dataflows::time::Epoch;

use crate::failure::Failure;
use crate::past::Past;

/// Where a job begins and ends to tell; by default all of its input.
#[derive(Default)]
pub struct Range {
    /// Offsets at which partitions begin, as if the log began there.
    pub offsets: BTreeMap<u32, u64>,
    /// The clocks before them, where a raw log has them.
    pub clocks: BTreeMap<u32, Clock>,
    /// Each partition is read until its clock reaches this, and rows up to it are told.
    pub until: Option<Epoch>,
    /// The job whose marks and floors are obeyed.
    pub obeyed: Option<Obeyed>,
}

/// A job whose decisions are obeyed.
pub struct Obeyed {
    /// Its ledger.
    pub past: Past,
    /// Its clocks at the offsets where this job begins.
    pub clocks: BTreeMap<u32, Position>,
}

impl Range {
    /// Where a new job begins to read the partitions `names`.
    ///
    /// # Errors
    ///
    /// When a partition that the obeyed job has read is missing, or an offset is of none.
    pub fn first_positions(
        &self,
        names: Vec<Name>,
        first: &mut dyn FnMut(&Name) -> Result<u64, Failure>,
    ) -> Result<BTreeMap<u32, Position>, Failure> {
        let mut unnamed: BTreeSet<Name> = names.into_iter().collect();
        let mut numbered: BTreeMap<u32, Name> = BTreeMap::new();
        for (number, position) in self.obeyed.iter().flat_map(|obeyed| obeyed.past.positions()) {
            let name = position.name();
            if !unnamed.remove(&name) {
                // A raw log knows nothing of partitions without a record.
                if self.obeyed.as_ref().is_some_and(|obeyed| !obeyed.past.has_read(position)) {
                    continue;
                }
                return Err(Failure::refused(format!(
                    "--marks-of: {name} is missing from the input, but job {} has read it",
                    self.obeyed.as_ref().map_or("", |obeyed| obeyed.past.job()),
                )));
            }
            numbered.insert(*number, name);
        }
        for name in unnamed {
            let next = numbered.last_key_value().map_or(0, |(partition, _)| partition + 1);
            numbered.insert(next, name);
        }
        if let Some(partition) = self.offsets.keys().find(|p| !numbered.contains_key(p)) {
            return Err(Failure::refused(format!("--from: there is no partition {partition}")));
        }
        let position = |(number, name)| {
            let offset =
                self.offsets.get(&number).map_or_else(|| first(&name), |offset| Ok(*offset));
            Ok((number, self.first_position(number, name, offset?)))
        };
        numbered.into_iter().map(position).collect()
    }

    fn first_position(&self, number: u32, name: Name, offset: u64) -> Position {
        let position = Position::new(number, name, offset);
        match self.obeyed.as_ref().and_then(|obeyed| obeyed.clocks.get(&number)) {
            Some(known) => position.with_clock(known.own_clock()),
            None => position.with_clock(self.clocks.get(&number).copied().unwrap_or_default()),
        }
    }

    /// Adds to `start` what the obeyed job decided of its partition.
    pub fn obey(&self, start: &mut Start) {
        let Some(Obeyed { past, .. }) = &self.obeyed else { return };
        for (offset, clock) in past.marks_of(start.partition, start.offset) {
            let mark = start.marks.entry(offset).or_default();
            *mark = clock.max(*mark);
        }
        let position = past.positions().get(&start.partition);
        let stands = position.map_or(0, |position| position.offset);
        start.floors.push((stands, past.epoch()));
    }
}
