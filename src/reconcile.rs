//! A job's counts against the raw log: recounted by sorting, in bounded memory.
//!
//! ```text
//! ledger ─▶ which commits ─┬─▶ rows told, by minute, ad and filter ─────────┐
//!                          └─▶ raw log up to a commit ─▶ recount, by minute ─┴─▶ differences
//! ```
//!
//! None of the graph's stages takes part. What is held beside the room that is given: the name of
//! each ad once, the ledger's marks, and what `replay`'s recount says of itself.

use std::collections::BTreeSet;
use std::io::Write;
use std::ops::Range;
use std::path::Path;

use clicks_dataflows::decode::Decoder;
use clicks_dataflows::ledger::{Name, Opening};
use clicks_dataflows::time::{MINUTE_MS, Millis, Minute, Time};
use clicks_replay::recount::{Begin, Curve, Recounting};
use clicks_replay::sort::Room;

use crate::config::Config;
use crate::failure::{Attempt, Failure, Kind};
use crate::jobs::find_job;
use crate::log;
use crate::logs::Jobs;
use crate::plural::some;
use crate::raw::RawLog;
use crate::verify::Faults;
use crate::verify::chain::{Beginning, Chain};
use crate::verify::reading::{begin, deleted, missing, read, told_until};

mod compare;
mod curve;
mod span;
mod told;

use compare::Compared;
use span::{Span, Stands};
use told::ToldRows;

/// What is compared with what.
pub struct Reconciling<'a> {
    /// The results.
    pub results: &'a dyn Jobs,
    /// The job, where there are several.
    pub job: Option<&'a str>,
    /// Where the raw log is.
    pub raw: &'a str,
    /// Its topics; all of them if none is named.
    pub topics: &'a [String],
    /// From the minute of this time on.
    pub from: Option<Time>,
    /// Up to the minute that this time begins or lies in.
    pub until: Option<Time>,
    /// Differences that are told; the others are counted.
    pub top: u64,
    /// What sorting may take.
    pub room: Room,
    /// Whether the lateness curve is printed too.
    pub curve: bool,
}

/// Compares, and prints the verdict to `out`.
///
/// # Errors
///
/// When there is a difference, or something cannot be read.
pub fn reconcile(asked: &Reconciling<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let job = find_job(asked.results, asked.job)?;
    let (opening, config) = open(asked, &job)?;
    let raw = RawLog::open(asked.raw, asked.topics, None, &config)?;
    let minutes = minutes(asked)?;
    let span = Span::find(asked, &job, &raw, (&config.options, &minutes))?;
    let mut told = ToldRows::new(asked.room.part(4), minutes.clone());
    let decoder = Decoder::new(&config.schema).attempt(|| "cannot read the raw log".to_owned())?;
    let mut recounting =
        Recounting::new(config.options.clone(), decoder, span.until.epoch, asked.room.clone())
            .told_until(told_until(&opening, &span.last, &config.options))
            .within(minutes);
    if asked.curve {
        recounting = recounting.with_curve();
    }
    told.read(asked, &job, &span, &mut recounting)?;
    let mut faults = Faults::default();
    take_records(&raw, &opening, &span, &mut recounting, &mut faults)?;

    let attempt = || format!("cannot recount {}", asked.raw);
    let (recount, mut counting) = recounting.count().attempt(attempt)?;
    for at in &recount.beyond {
        let epoch = Time(span.until.epoch);
        faults.add(format!("record {}:{} is of an epoch after {epoch}", at.partition, at.offset));
    }
    for at in &recount.idle_marks {
        faults.add(format!("the mark of record {}:{} raises nothing", at.partition, at.offset));
    }
    faults.lines().for_each(|line| log::say(line.trim_start()));
    let mut compared = Compared::default();
    compared.compare(told.sort()?, &mut counting, asked.top, out).attempt(attempt)?;
    let counted = format!("{}, {}", some(compared.minutes, "minute"), some(compared.rows, "row"));
    let differences = compared.differences + faults.count as u64;
    let written = match differences {
        0 => writeln!(out, "job {job}: differences: none over {counted}"),
        _ => Ok(()),
    };
    written
        .and_then(|()| counting.curve().map_or(Ok(()), |curve: &Curve| curve::print(curve, out)))
        .attempt(|| "cannot print what was found".to_owned())?;
    if differences == 0 {
        return Ok(());
    }
    let more = compared.differences.saturating_sub(asked.top);
    let more = if more > 0 { format!(", of which {more} are not shown") } else { String::new() };
    let differences = some(differences, "difference");
    Err(Failure::of(Kind::Differs, format!("job {job}: {differences} over {counted}{more}")))
}

/// The line that opened the job, and its configuration.
fn open(asked: &Reconciling<'_>, job: &str) -> Result<(Opening, Config), Failure> {
    let mut logs = asked.results.open(job)?;
    let mut faults = Faults::default();
    let mut chain = Chain::new(job, logs.has_lengths());
    match chain.begin(&mut *logs, &mut faults)? {
        Beginning::Opening(opening) if faults.count == 0 => {
            let config = Config::from_meaning(&opening.meaning, Path::new(&logs.ledger_name()));
            let config = config.attempt(|| format!("the meaning of job {job} cannot be"))?;
            Ok((opening, config))
        }
        _ => Err(damaged(job, &faults)),
    }
}

/// Says that there is nothing to hold the raw log against.
fn damaged(job: &str, faults: &Faults) -> Failure {
    let first = faults.first.first().map_or("", String::as_str);
    let why = format!("job {job} cannot be reconciled: {first} (`clicks verify` says more)");
    Failure::of(Kind::Differs, why)
}

/// The minutes that are asked for.
fn minutes(asked: &Reconciling<'_>) -> Result<Range<Minute>, Failure> {
    let first = asked.from.map_or(Minute(0), |Time(from)| Minute::of(from));
    let end = |Time(until): Time| Minute::of(until.saturating_add(MINUTE_MS - 1));
    let end = asked.until.map_or(Minute(u32::MAX), end);
    if first >= end {
        let why = "--until is not after --from: no minute lies between them";
        return Err(Failure::refused(why));
    }
    Ok(first..end)
}

/// Gives the recount the records between the commits of `span`.
fn take_records(
    raw: &RawLog,
    opening: &Opening,
    span: &Span,
    recounting: &mut Recounting,
    faults: &mut Faults,
) -> Result<(), Failure> {
    let input = raw.input();
    let mut unnamed: BTreeSet<Name> = raw.partitions().keys().cloned().collect();
    if let Some(Stands { epoch, positions }) = &span.after {
        let clock: Millis = positions.values().map(|(_, clock)| clock.clock).max().unwrap_or(0);
        recounting.begin_after(*epoch, clock);
    }
    for (number, position) in &span.until.positions {
        let name = position.name();
        let (mut offset, mut begin) = begin(*number, opening, &span.until);
        if let Some((stood, clock)) = span.after.as_ref().and_then(|at| at.positions.get(number)) {
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
