//! A job's counts against the raw log: recounted by sorting, in bounded memory.
//!
//! ```text
//! ledger ─▶ which commits ─┬─▶ rows told, by minute, ad and filter ─────────┐
//!                          └─▶ raw log up to a commit ─▶ recount, by minute ─┴─▶ differences
//! ```
//!
//! None of the graph's stages takes part. What is held beside the room that is given: the name of
//! each ad once, the ledger's marks, and what `replay`'s recount says of itself.
//!
//! Once over a range of minutes, or continuously: hour after hour of a job that runs.

use std::io::Write;
use std::ops::Range;
use std::sync::atomic::AtomicBool;

use clicks_dataflows::time::{MINUTE_MS, Minute, Time};
use clicks_replay::sort::Room;

use crate::failure::{Attempt, Failure, Kind};
use crate::log;
use crate::logs::Jobs;
use crate::raw::RawLog;
use crate::verify::Faults;

mod compare;
mod continuous;
mod curve;
mod follow;
mod hours;
mod lag;
mod span;
mod told;
mod verdict;

pub use continuous::continuously;
use span::Span;
use verdict::{Job, Verdict};

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
    /// Set when the program is to stop.
    pub stop: &'a AtomicBool,
}

/// Compares, and prints the verdict to `out`.
///
/// # Errors
///
/// When there is a difference, or something cannot be read.
pub fn reconcile(asked: &Reconciling<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let job = Job::open(asked)?;
    let raw = RawLog::open(asked.raw, asked.topics, None, &job.config)?;
    let minutes = minutes(asked)?;
    let span = Span::find(asked, &job.name, &raw, (&job.config.options, minutes))?;
    let found = match job.hold(&raw, &span, out)? {
        Verdict::Found(found) => found,
        Verdict::Gone(why) => return Err(Failure::refused(why)),
        Verdict::Stopped => return Ok(()),
    };
    found.faults.iter().for_each(|fault| log::say(fault));
    let written = match found.differences {
        0 => writeln!(out, "job {}: {found}", job.name),
        _ => Ok(()),
    };
    written
        .and_then(|()| found.curve.as_ref().map_or(Ok(()), |found| curve::print(found, out)))
        .attempt(|| "cannot print what was found".to_owned())?;
    if found.differences == 0 {
        return Ok(());
    }
    Err(Failure::of(Kind::Differs, format!("job {}: {found}", job.name)))
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
