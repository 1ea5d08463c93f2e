//! How a job comes to be this process's own, and what is checked before any record is read.
//!
//! ```text
//! ledger ─▶ same meaning, input there? ─▶ lock, or fence ─▶ its last lines ─▶ resume or begin
//! ```

use std::collections::BTreeMap;

use clicks_dataflows::ledger::{Name, Opening, Position};
use clicks_dataflows::partition::Start;
use clicks_dataflows::time::Time;

use crate::config::meaning_differs;
use crate::failure::Failure;
use crate::log;
use crate::past::Past;
use crate::run::{BATCH, Job};
use crate::sink::{Ledger, Sink};
use crate::source::{Ending, Piece, Poll};
use crate::worker;

/// What came of taking a job over.
pub enum Begun {
    /// This process owns it.
    Owned {
        /// Its ledger.
        past: Past,
        /// Where its commits go.
        sink: Box<dyn Sink>,
    },
    /// It is closed, and there is nothing to own.
    Closed(Past),
}

impl Job {
    /// Takes the job over: fences its predecessor, then reads its ledger to the end, or opens it.
    ///
    /// What would refuse this start is looked at before, so that it disturbs nobody: by the ledger
    /// as far as it is committed then. What is added to it until the predecessor is fenced is looked
    /// at too, and can hardly refuse what was not refused.
    ///
    /// # Errors
    ///
    /// When the job is refused, or the outside world fails.
    pub fn begin(&self) -> Result<Begun, Failure> {
        let mut ledger = self.results.open_ledger()?;
        let mut seen = self.read_on(None, &mut *ledger)?;
        if let Some(closed) = seen.take_if(|past| past.is_closed()) {
            return Ok(Begun::Closed(closed));
        }
        let positions = match &seen {
            Some(_) => Vec::new(),
            None => {
                self.results.check_name()?;
                self.first_positions()?
            }
        };
        let mut sink = self.results.take_over()?;
        ledger.go_on()?;
        match self.read_on(seen, &mut *ledger)? {
            Some(past) if past.is_closed() => Ok(Begun::Closed(past)),
            Some(past) => {
                sink.resume(&past)?;
                if past.commits() > 0 {
                    log::say(&self.goes_on(&past));
                }
                Ok(Begun::Owned { past, sink })
            }
            None => {
                let opening = self.opening(positions);
                let line = serde_json::to_string(&opening).expect("an opening is JSON");
                sink.begin(&line)?;
                Ok(Begun::Owned { past: Past::begin(opening, &line), sink })
            }
        }
    }

    /// Reads the lines of the ledger that follow those of `past`, and refuses what they refuse.
    fn read_on(
        &self,
        past: Option<Past>,
        ledger: &mut dyn Ledger,
    ) -> Result<Option<Past>, Failure> {
        let name = self.results.ledger_name();
        let past = Past::read_on(past, ledger, &name, &self.options)?;
        if let Some(past) = &past {
            self.check_meaning(past.opening())?;
            match past.is_closed() {
                true => self.check_unchanged(past)?,
                false => self.check_input(past)?,
            }
        }
        Ok(past)
    }

    /// Where a job goes on that was begun before, for people.
    fn goes_on(&self, past: &Past) -> String {
        let starts = past.go_back(&self.options).starts;
        let again = starts.iter().map(|(_, start)| start.committed.saturating_sub(start.offset));
        let clock = starts.iter().map(|(_, start)| start.clock.clock).max().unwrap_or(0);
        let from = if clock > 0 { Time(clock).to_string() } else { "its start".to_owned() };
        format!(
            "job {} goes on after commit {} (epoch {}), reading again from {from} on: {} offsets \
             of {} partitions",
            self.name,
            past.commits(),
            Time(past.epoch()),
            again.sum::<u64>(),
            starts.len(),
        )
    }

    fn opening(&self, positions: Vec<Position>) -> Opening {
        Opening {
            job: self.name.clone(),
            commit: 0,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: Time(worker::wall_ms()),
            positions,
            meaning: self.meaning.clone(),
        }
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
        let asked = |(number, position): &(&u32, &Position)| {
            position.offset > 0 && self.range.offsets.contains_key(number)
        };
        for (number, position) in positions.iter().filter(asked) {
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

    /// What a job has read before is given to it again, and can be read from where it goes back to.
    fn check_input(&self, past: &Past) -> Result<(), Failure> {
        let mut source = (self.source)();
        let mut starts = past.go_back(&self.options).starts.into_iter();
        starts.try_for_each(|(name, start)| source.check(&name, &start))
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
            let mut count = |piece: Piece<'_>| more += u64::from(piece.is_record());
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
