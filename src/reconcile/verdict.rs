//! What a job has told of some minutes, held against the raw log.

use std::collections::BTreeSet;
use std::fmt;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::Ordering;

use clicks_dataflows::decode::Decoder;
use clicks_dataflows::ledger::{Name, Opening};
use clicks_dataflows::time::{Millis, Time};
use clicks_replay::recount::{Begin, Curve, Recount, Recounting};

use super::compare::Compared;
use super::span::{Span, Stands};
use super::told::ToldRows;
use super::{Reconciling, damaged};
use crate::config::Config;
use crate::failure::{Attempt, Failure};
use crate::jobs::find_job;
use crate::logs::{Missing, RowLog};
use crate::plural::some;
use crate::raw::RawLog;
use crate::verify::Faults;
use crate::verify::chain::{Beginning, Chain};
use crate::verify::reading::{begin, deleted, missing, read, told_until};

/// The job that is reconciled.
pub struct Job<'a> {
    /// What is asked for.
    pub asked: &'a Reconciling<'a>,
    /// Its name.
    pub name: String,
    /// The line that opened it.
    pub opening: Opening,
    /// What that says.
    pub config: Config,
    decoder: Decoder,
}

/// How a comparison has ended.
pub enum Verdict {
    /// With what was found.
    Found(Box<Found>),
    /// Rows are gone without which nothing can be said, for this reason.
    Gone(String),
    /// Before its end, as the program is to stop.
    Stopped,
}

/// What a comparison has found.
pub struct Found {
    /// Totals that differ, and faults.
    pub differences: u64,
    /// The faults, each in words.
    pub faults: Vec<String>,
    /// Of which so many were not printed.
    hidden: u64,
    minutes: usize,
    rows: u64,
    /// The lateness curve, if it was asked for.
    pub curve: Option<Curve>,
}

impl<'a> Job<'a> {
    /// Finds the job that is asked for.
    ///
    /// # Errors
    ///
    /// When there is none, or its ledger does not begin as it must.
    pub fn open(asked: &'a Reconciling<'a>) -> Result<Job<'a>, Failure> {
        let name = find_job(asked.results, asked.job)?;
        let mut logs = asked.results.open(&name)?;
        let mut faults = Faults::default();
        let mut chain = Chain::new(&name, logs.has_lengths());
        match chain.begin(&mut *logs, &mut faults)? {
            Beginning::Opening(opening) if faults.count == 0 => {
                let config = Config::from_meaning(&opening.meaning, Path::new(&logs.ledger_name()));
                let config = config.attempt(|| format!("the meaning of job {name} cannot be"))?;
                let decoder = Decoder::new(&config.schema);
                let decoder = decoder.attempt(|| "cannot read the raw log".to_owned())?;
                Ok(Job { asked, name, opening, config, decoder })
            }
            _ => Err(damaged(&name, &faults)),
        }
    }

    /// Compares what was told of the minutes of `span` with `raw`; prints what differs to `out`.
    ///
    /// # Errors
    ///
    /// When something cannot be read.
    pub fn hold(&self, raw: &RawLog, span: &Span, out: &mut dyn Write) -> Result<Verdict, Failure> {
        let (asked, options) = (self.asked, &self.config.options);
        let (epoch, room) = (span.until.epoch, asked.room.clone());
        let mut told = ToldRows::new(asked.room.part(4), span.minutes.clone());
        let mut recounting = Recounting::new(options.clone(), self.decoder.clone(), epoch, room)
            .told_until(told_until(&self.opening, &span.last, options))
            .within(span.minutes.clone());
        if asked.curve {
            recounting = recounting.with_curve();
        }
        let (missing, name) = {
            let mut logs = asked.results.open(&self.name)?;
            let missing = told.read(&mut *logs, &span.rows, &mut recounting)?;
            (missing, logs.name(RowLog::Counts))
        };
        // Rows of topics are not waited for when it is to stop: they are not missing.
        let is_stopped = || asked.stop.load(Ordering::Relaxed);
        if is_stopped() {
            return Ok(Verdict::Stopped);
        }
        let why = |why| format!("{name} cannot be reconciled: {why}");
        match missing {
            Missing::Deleted => {
                return Err(Failure::refused(why("its oldest rows have been deleted")));
            }
            Missing::Compacted if span.is_cut => {
                let gone = "it is compacted, so that what was told at an earlier commit is gone";
                return Ok(Verdict::Gone(why(gone)));
            }
            Missing::Compacted | Missing::Never => {}
        }
        let mut faults = Faults::default();
        self.take_records(raw, span, &mut recounting, &mut faults)?;
        if is_stopped() {
            return Ok(Verdict::Stopped);
        }
        let attempt = || format!("cannot recount {}", asked.raw);
        let (recount, mut counting) = recounting.count().attempt(attempt)?;
        note(&recount, epoch, &mut faults);
        let mut compared = Compared::default();
        compared.compare(told.sort()?, &mut counting, asked.top, out).attempt(attempt)?;
        Ok(Verdict::Found(Box::new(Found {
            differences: compared.differences + faults.count as u64,
            faults: faults.lines().map(|line| line.trim_start().to_owned()).collect(),
            hidden: compared.differences.saturating_sub(asked.top),
            minutes: compared.minutes,
            rows: compared.rows,
            curve: counting.curve().cloned(),
        })))
    }

    /// Gives the recount the records between the commits of `span`, as long as it is not to stop.
    fn take_records(
        &self,
        raw: &RawLog,
        span: &Span,
        recounting: &mut Recounting,
        faults: &mut Faults,
    ) -> Result<(), Failure> {
        let input = raw.input();
        let mut unnamed: BTreeSet<Name> = raw.partitions().keys().cloned().collect();
        if let Some(Stands { epoch, positions, .. }) = &span.after {
            let clock: Millis = positions.values().map(|(_, clock)| clock.clock).max().unwrap_or(0);
            recounting.begin_after(*epoch, clock);
        }
        for (number, position) in &span.until.positions {
            if self.asked.stop.load(Ordering::Relaxed) {
                break;
            }
            let name = position.name();
            let (mut offset, mut begin) = begin(*number, &self.opening, &span.until);
            let after = span.after.as_ref().and_then(|at| at.positions.get(number));
            if let Some((stood, clock)) = after {
                let marks = begin.marks.split_off(stood);
                (offset, begin) = (*stood, Begin { clock: *clock, marks, ..begin });
            }
            if !unnamed.remove(&name) {
                missing(position, offset, faults);
                continue;
            }
            if offset == position.offset {
                continue;
            }
            let mut source = (input.source)();
            let first = source.first(&name)?;
            if first > offset {
                return Err(deleted(&name, offset, first));
            }
            read(&mut *source, position, (offset, begin), recounting, faults)?;
        }
        Ok(())
    }
}

/// Notes what is wrong with the records up to `epoch`.
fn note(recount: &Recount, epoch: Millis, faults: &mut Faults) {
    for at in &recount.beyond {
        let (partition, offset, epoch) = (at.partition, at.offset, Time(epoch));
        faults.add(format!("record {partition}:{offset} is of an epoch after {epoch}"));
    }
    for at in &recount.idle_marks {
        faults.add(format!("the mark of record {}:{} raises nothing", at.partition, at.offset));
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.differences {
            0 => f.write_str("differences: none")?,
            differences => f.write_str(&some(differences, "difference"))?,
        }
        write!(f, " over {}, {}", some(self.minutes, "minute"), some(self.rows, "row"))?;
        match self.hidden {
            0 => Ok(()),
            hidden => write!(f, ", of which {hidden} are not shown"),
        }
    }
}
