//! How a job comes to be this process's own, and what is checked before any record is read.
//!
//! ```text
//! opening: meaning the same? ─▶ lock, or fence ─▶ ledger ─▶ resume or begin
//! ```

use std::collections::BTreeMap;

use clicks_dataflows::ledger::{Name, Opening, Position};
use clicks_dataflows::partition::Start;
use clicks_dataflows::time::Time;

use crate::config::meaning_differs;
use crate::failure::Failure;
use crate::past::Past;
use crate::run::{BATCH, Job};
use crate::sink::Sink;
use crate::source::{Ending, Piece, Poll};
use crate::worker;

/// A job that this process owns.
pub struct Begun {
    /// Its ledger.
    pub past: Past,
    /// Where its commits go.
    pub sink: Box<dyn Sink>,
}

impl Job {
    /// Takes the job over: fences its predecessor, then reads its ledger, or opens it.
    ///
    /// What would refuse this start is looked at before, so that it disturbs nobody.
    pub fn begin(&self) -> Result<Begun, Failure> {
        if let Some(opening) = Past::read_opening(&*self.results)? {
            self.check_meaning(&opening)?;
            self.check_given(opening.positions.iter())?;
        }
        let mut sink = self.results.take_over()?;
        if let Some(past) = Past::read(&*self.results)? {
            self.check_meaning(past.opening())?;
            if past.is_closed() {
                self.check_unchanged(&past)?;
            } else {
                self.check_given(past.positions().values())?;
            }
            sink.resume(&past)?;
            return Ok(Begun { past, sink });
        }
        let opening = Opening {
            job: self.name.clone(),
            commit: 0,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: Time(worker::wall_ms()),
            positions: self.first_positions()?,
            meaning: self.meaning.clone(),
        };
        let line = serde_json::to_string(&opening).expect("an opening is JSON");
        sink.begin(&line)?;
        Ok(Begun { past: Past::begin(opening, &line), sink })
    }

    /// Where a new job begins to read each partition.
    fn first_positions(&self) -> Result<Vec<Position>, Failure> {
        let mut source = (self.source)();
        let names = source.discover().map_err(Failure::as_refused)?;
        if names.is_empty() && self.ending != Ending::Open {
            return Err(Failure::refused(format!(
                "--input {} has no partition: it needs at least one file",
                self.input,
            )));
        }
        let positions = self.range.first_positions(names, &mut |name| source.first(name))?;
        for (number, position) in positions.iter().filter(|(_, position)| position.offset > 0) {
            let offset = position.offset;
            let start = Start { partition: *number, offset, ..Start::default() };
            source.open(&position.name(), &start).map_err(|failure| {
                Failure::refused(format!("--from {number}={offset}: {failure}"))
            })?;
        }
        Ok(positions.into_values().collect())
    }

    fn check_meaning(&self, opening: &Opening) -> Result<(), Failure> {
        let Some((key, theirs, ours)) = meaning_differs(&opening.meaning, &self.meaning) else {
            return Ok(());
        };
        let (job, place) = (&self.name, self.results.place());
        let how = |until: &serde_json::Value| match until.is_null() {
            true => "`clicks run`".to_owned(),
            false => format!("`clicks replay --until {}`", until.as_str().unwrap_or("OFFSETS")),
        };
        Err(Failure::refused(match key.as_str() {
            "job.until" => format!(
                "job {job} in {place} was begun by {}, and does not go on by {}: start a new job \
                 with --job",
                how(&theirs),
                how(&ours),
            ),
            _ => format!(
                "job {job} in {place} was begun with {key} = {theirs}, and cannot go on with \
                 {ours}: give it back its value, or start a new job with --job",
            ),
        }))
    }

    /// What a job has read before is given to it again.
    fn check_given<'a>(
        &self,
        mut positions: impl Iterator<Item = &'a Position>,
    ) -> Result<(), Failure> {
        let mut source = (self.source)();
        positions.try_for_each(|position| source.first(&position.name()).map(|_| ()))
    }

    /// A closed job has nothing to do, unless its input is not what it was.
    fn check_unchanged(&self, past: &Past) -> Result<(), Failure> {
        // Up to a time, what the files hold beyond it is no part of the job.
        if self.range.until.is_some() {
            return Ok(());
        }
        let mut source = (self.source)();
        let names = source.discover()?;
        // A topic goes on for ever: what it holds beyond the asked end is no part of the job.
        if names.iter().any(|name| matches!(name, Name::Partition { .. })) {
            return Ok(());
        }
        let read: BTreeMap<Name, u64> =
            past.positions().values().map(|position| (position.name(), position.offset)).collect();
        if let Some(missing) = read.keys().find(|name| !names.contains(name)) {
            return Err(self.grown(&format!("{missing} is missing")));
        }
        for (name, number) in names.into_iter().zip(0..) {
            let Some(at) = read.get(&name).copied() else {
                return Err(self.grown(&format!("{name} has appeared")));
            };
            source.open(&name, &Start { partition: number, offset: at, ..Start::default() })?;
            let mut more = 0;
            let mut count = |piece: Piece<'_>| more += u64::from(matches!(piece, Piece::Record(_)));
            while source.poll(number, BATCH, &mut count)?.poll == Poll::More {}
            if more > 0 {
                return Err(self.grown(&format!("{name} has grown beyond line {at}")));
            }
        }
        Ok(())
    }

    fn grown(&self, what: &str) -> Failure {
        Failure::refused(format!(
            "job {} is closed, as its input was complete, but {what}: start a new job with --job, \
             and follow input that changes with --follow",
            self.name,
        ))
    }
}
