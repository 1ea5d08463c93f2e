//! What part of the past a replay tells, and by whose marks.

use std::collections::{BTreeMap, BTreeSet};

use clicks_dataflows::ledger::Position;
use clicks_dataflows::partition::Start;
use clicks_dataflows::time::{Epoch, Time};

use crate::failure::Failure;
use crate::past::Past;

/// Where a job begins and ends to tell; by default all of its input.
#[derive(Default)]
pub struct Range {
    /// Offsets at which partitions begin, as if the log began there.
    pub offsets: BTreeMap<u32, u64>,
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
    pub fn first_positions(&self, names: Vec<String>) -> Result<Vec<Position>, Failure> {
        let mut unnamed: BTreeSet<String> = names.into_iter().collect();
        let mut numbered: BTreeMap<u32, String> = BTreeMap::new();
        for position in self.obeyed.iter().flat_map(|obeyed| obeyed.past.positions().values()) {
            let Some(name) = &position.file else { continue };
            if !unnamed.remove(name) {
                return Err(Failure::refused(format!(
                    "--marks-of: {name} is missing from the input, but job {} has read it",
                    self.obeyed.as_ref().map_or("", |obeyed| obeyed.past.job()),
                )));
            }
            numbered.insert(position.partition, name.clone());
        }
        for name in unnamed {
            let next = numbered.last_key_value().map_or(0, |(partition, _)| partition + 1);
            numbered.insert(next, name);
        }
        if let Some(partition) = self.offsets.keys().find(|p| !numbered.contains_key(p)) {
            return Err(Failure::refused(format!("--from: there is no partition {partition}")));
        }
        let first = |(partition, name): (u32, String)| self.first_position(partition, name);
        Ok(numbered.into_iter().map(first).collect())
    }

    fn first_position(&self, partition: u32, name: String) -> Position {
        let offset = self.offsets.get(&partition).copied().unwrap_or(0);
        let known = self.obeyed.as_ref().and_then(|obeyed| obeyed.clocks.get(&partition));
        Position {
            partition,
            file: Some(name),
            offset,
            clock: known.map_or(Time(0), |known| known.clock),
            jump: known.and_then(|known| known.jump),
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
