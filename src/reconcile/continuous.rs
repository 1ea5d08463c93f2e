//! Hour after hour of a job that runs: each is reconciled when it has settled, and when closed.
//!
//! ```text
//! ledger ── the next commit ─▶ hours that are due ── raw log covers them? ─▶ verdict
//!    ▲                              │ none                 │ not yet
//!    └────────── wait ◀─────────────┘                      └─▶ wait, look again
//! ```
//!
//! Whether an hour is due, and up to which commits it is held against the raw log, follows from the
//! ledger alone: when the raw log lags behind, the ledger waits, and the verdict is the same.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use clicks_dataflows::time::{Minute, Time};
use clicks_replay::raw::Hour;

use super::follow::{Following, Read, Strays};
use super::hours::{Due, Hours, newest_settled, text};
use super::lag::Growing;
use super::span::walk;
use super::verdict::{Job, Verdict};
use super::{Reconciling, minutes};
use crate::failure::{Attempt, Failure, Kind};
use crate::log;
use crate::plural::some;

/// How long to wait before a ledger that has ended is looked at again.
const LEDGER_EVERY: Duration = Duration::from_secs(1);

/// How soon it is seen that the program is to stop.
const TICK: Duration = Duration::from_millis(100);

/// What was found so far.
#[derive(Default)]
struct Tally {
    /// Verdicts.
    verdicts: u64,
    /// Those with differences, and commits with rows where none can be.
    differing: u64,
}

/// Reconciles until the job ends, the last hour that is asked for is closed, or the program is to
/// stop; prints each verdict to `out`.
///
/// # Errors
///
/// When there was a difference, or something cannot be read.
pub fn continuously(asked: &Reconciling<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let end = minutes(asked)?.end;
    let job = Job::open(asked)?;
    let mut raw = Growing::open(&job)?;
    let mut begin = begin(&job)?;
    match begin {
        Some(hour) => log::say(&format!("job {}: reconciling from {} on", job.name, text(hour))),
        None => log::say(&format!("job {}: no hour has settled yet", job.name)),
    }
    let mut following = Following::open(&job)?;
    let mut hours: Option<Hours> = None;
    let mut tally = Tally::default();
    'commits: while !is_stopped(asked.stop) {
        let first = begin.unwrap_or_default();
        let closed = first..hours.as_ref().map_or(first, Hours::first);
        let Some(Read { strays }) = following.next(&closed)? else {
            pause(asked.stop, LEDGER_EVERY);
            continue;
        };
        if is_stopped(asked.stop) {
            break;
        }
        if let Some(strays) = strays {
            tally.add_strays(&job, &strays, out)?;
        }
        begin = begin.or_else(|| newest_settled(following.standing(), &job.config.options));
        let Some(begin) = begin else { continue };
        let options = &job.config.options;
        let hours =
            hours.get_or_insert_with(|| Hours::new(options.clone(), begin, hour_after(end)));
        for due in hours.due(following.standing()) {
            let Some(log) = raw.covering(&due.until)? else { break 'commits };
            let verdict = job.hold(log, &following.span(&due), out);
            if !tally.add(&job, &due, verdict, out)? {
                break 'commits;
            }
        }
        following.forget(hours.first());
        if hours.are_over() {
            break;
        }
    }
    let Tally { verdicts, differing } = tally;
    if differing == 0 {
        return Ok(());
    }
    let why =
        format!("job {}: differences in {differing} of {}", job.name, some(verdicts, "verdict"));
    Err(Failure::of(Kind::Differs, why))
}

/// The hour with which it begins, if that is known: the newest that has settled, or is asked for.
fn begin(job: &Job<'_>) -> Result<Option<Hour>, Failure> {
    if let Some(Time(from)) = job.asked.from {
        return Ok(Some(Hour::of(from)));
    }
    let mut newest = None;
    walk(job.asked, &job.name, |_, standing| {
        newest = newest_settled(standing, &job.config.options);
        !is_stopped(job.asked.stop)
    })?;
    Ok(newest)
}

/// The first hour that begins at `end` or later.
fn hour_after(end: Minute) -> Hour {
    match end {
        Minute(u32::MAX) => Hour(u64::MAX),
        Minute(minute) => Hour(u64::from(minute).div_ceil(60)),
    }
}

impl Tally {
    /// Tells a verdict; false if there is none, as the program is to stop.
    fn add(
        &mut self,
        job: &Job<'_>,
        due: &Due,
        verdict: Result<Verdict, Failure>,
        out: &mut dyn Write,
    ) -> Result<bool, Failure> {
        let name = &job.name;
        let (found, differs) = match verdict {
            Ok(Verdict::Found(found)) => {
                let say = |fault| log::say(&format!("job {name}: {due}: {fault}"));
                found.faults.iter().for_each(say);
                (found.to_string(), found.differences > 0)
            }
            Ok(Verdict::Gone(why)) => {
                log::warn(&format!("job {name}: {due}: {why}; it is compared when it is closed"));
                return Ok(true);
            }
            Ok(Verdict::Stopped) => return Ok(false),
            Err(failure) if failure.kind() == Kind::Differs => (failure.in_full(), true),
            Err(failure) => return Err(failure),
        };
        self.verdicts += 1;
        self.differing += u64::from(differs);
        print(out, &format!("job {name}: {due}: {found}"))?;
        Ok(true)
    }

    /// Tells rows of a commit that are where none can be.
    fn add_strays(
        &mut self,
        job: &Job<'_>,
        strays: &Strays,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let Strays { commit, row, is_closed, others } = strays;
        self.verdicts += 1;
        self.differing += 1;
        let why = match is_closed {
            true => "after its hour was closed",
            false => "of which no click can have been read",
        };
        let more = match others {
            0 => String::new(),
            others => format!(", and {} like it", some(*others, "row")),
        };
        let (name, ad, minute) = (&job.name, &row.ad_id, row.minute);
        print(out, &format!("job {name}: commit {commit}: it tells {minute} of {ad}, {why}{more}"))
    }
}

fn print(out: &mut dyn Write, line: &str) -> Result<(), Failure> {
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .attempt(|| "cannot print a verdict".to_owned())
}

/// Whether the program is to stop.
pub fn is_stopped(stop: &AtomicBool) -> bool {
    stop.load(Ordering::Relaxed)
}

/// Waits so long, or until the program is to stop.
pub fn pause(stop: &AtomicBool, length: Duration) {
    let mut left = length;
    while !left.is_zero() && !is_stopped(stop) {
        let part = left.min(TICK);
        thread::sleep(part);
        left -= part;
    }
}
