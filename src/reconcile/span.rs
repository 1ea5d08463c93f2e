//! Between which commits of a job the raw log is read, and up to which its rows are.
//!
//! ```text
//! opening ─ … ─ after ─ … ─ until ─ … ─ last          commits
//!               └─ records read ──┘
//! └───────────── rows of counts ────────┘
//! ```
//!
//! No click of the minutes that are asked for lies before *after*: a click is at most `ahead_max`
//! beyond the greatest clock, or else the commit states it as `reach`. Positions and clocks there
//! are the ledger's own. No click of them that counts lies after *until*: by the greatest clock
//! there, each would be too late (docs/design.md, *What may be forgotten*).

use std::collections::BTreeMap;
use std::ops::Range;

use clicks_dataflows::clock::Clock;
use clicks_dataflows::ledger::{Commit, Position};
use clicks_dataflows::options::Options;
use clicks_dataflows::time::{Epoch, Millis, Minute};

use super::{Reconciling, damaged};
use crate::failure::Failure;
use crate::log;
use crate::raw::RawLog;
use crate::verify::Faults;
use crate::verify::chain::Chain;
use crate::verify::standing::Standing;

/// The commits that matter.
pub struct Span {
    /// The minutes that are compared.
    pub minutes: Range<Minute>,
    /// Where the job stood when reading begins; none if that is at its start.
    pub after: Option<Stands>,
    /// Where it stood when reading ends.
    pub until: Standing,
    /// The last commit whose rows are compared.
    pub last: Standing,
    /// Where its rows lie.
    pub rows: RowSpan,
    /// Whether the job has later commits.
    pub is_cut: bool,
}

/// Which rows of `counts` are read.
pub struct RowSpan {
    /// Those that follow; all of them if that is none.
    pub after: Option<RowBegin>,
    /// Up to those of this commit, which states how many they are together.
    pub last: Commit,
}

/// Where rows of `counts` begin that follow a commit.
#[derive(Clone)]
pub struct RowBegin {
    /// The commit.
    pub commit: Commit,
    /// Where they begin in the partitions of a topic.
    pub offsets: Vec<u64>,
}

/// Where a job stood.
#[derive(Clone)]
pub struct Stands {
    /// Up to which everything was told.
    pub epoch: Epoch,
    /// Of each partition the next offset, and its clock.
    pub positions: BTreeMap<u32, (u64, Clock)>,
}

/// Numbers of commits.
#[derive(Default)]
struct Numbers {
    after: u64,
    until: Option<u64>,
    last: u64,
}

impl Span {
    /// The commits between which `minutes` are decided.
    ///
    /// # Errors
    ///
    /// When the ledger is not right, or the raw log covers no commit.
    pub fn find(
        asked: &Reconciling<'_>,
        job: &str,
        raw: &RawLog,
        (options, minutes): (&Options, Range<Minute>),
    ) -> Result<Span, Failure> {
        let mut numbers = Numbers::default();
        let mut uncovered = None;
        walk(asked, job, |commit, standing| {
            uncovered =
                standing.positions.values().find(|position| !covers(raw, position)).cloned();
            if uncovered.is_some() {
                return false;
            }
            numbers.last = commit.commit;
            if reach(commit, standing, options) < minutes.start.start() {
                numbers.after = commit.commit;
            }
            let (clock, end) = (greatest_clock(standing), minutes.end.start());
            if numbers.until.is_none() && end.saturating_add(options.horizon_ms) <= clock {
                numbers.until = Some(commit.commit);
            }
            true
        })?;
        if let Some(position) = &uncovered {
            say_cut(asked, job, (raw, position), numbers.last)?;
        }
        let until_number = numbers.until.unwrap_or(numbers.last);
        let (mut after, mut until, mut last) = (None, None, None);
        let mut counts = 0;
        walk(asked, job, |commit, standing| {
            counts += commit.counts;
            if commit.commit == numbers.after {
                after = Some(Stands::of(standing));
            }
            if commit.commit == until_number {
                until = Some(standing.clone());
            }
            if commit.commit == numbers.last {
                last = Some((standing.clone(), Commit { counts, ..commit.clone() }));
            }
            commit.commit < numbers.last
        })?;
        let (Some(until), Some((last, commit))) = (until, last) else {
            return Err(Failure::refused(format!("job {job} has no commits yet")));
        };
        let rows = RowSpan { after: None, last: commit };
        Ok(Span { minutes, after, until, last, rows, is_cut: uncovered.is_some() })
    }
}

impl Stands {
    /// What matters of `standing`.
    pub fn of(standing: &Standing) -> Stands {
        let stands = |position: &Position| (position.offset, position.own_clock());
        let positions = standing.positions.iter();
        Stands {
            epoch: standing.epoch,
            positions: positions.map(|(number, at)| (*number, stands(at))).collect(),
        }
    }
}

/// Goes through the commits as long as `go_on` says so after one; the ledger must be right.
pub fn walk(
    asked: &Reconciling<'_>,
    job: &str,
    mut go_on: impl FnMut(&Commit, &Standing) -> bool,
) -> Result<(), Failure> {
    let mut logs = asked.results.open(job)?;
    let mut faults = Faults::default();
    let mut chain = Chain::new(job, logs.has_lengths());
    chain.begin(&mut *logs, &mut faults)?;
    while let Some(link) = chain.next(&mut *logs, None, &mut faults)? {
        if faults.count > 0 {
            return Err(damaged(job, &faults));
        }
        if !go_on(&link.commit, chain.standing()) {
            break;
        }
    }
    Ok(())
}

/// The greatest time at which a click may have happened that was read up to `commit`.
pub fn reach(commit: &Commit, standing: &Standing, options: &Options) -> Millis {
    let reach = commit.reach.map_or(0, |reach| reach.0);
    greatest_clock(standing).saturating_add(options.ahead_max_ms).max(reach)
}

/// The greatest clock of any partition.
pub fn greatest_clock(standing: &Standing) -> Millis {
    standing.positions.values().map(|position| position.clock.0).max().unwrap_or(0)
}

/// Whether the raw log has all that lies before `position`.
pub fn covers(raw: &RawLog, position: &Position) -> bool {
    let kept = raw.partitions().get(&position.name());
    position.offset <= kept.map_or(0, |kept| kept.end())
}

/// Says that the raw log ends before the job does, at the commit `last`.
fn say_cut(
    asked: &Reconciling<'_>,
    job: &str,
    (raw, position): (&RawLog, &Position),
    last: u64,
) -> Result<(), Failure> {
    let ends = ends(asked, job, (raw, position));
    if last == 0 {
        return Err(Failure::refused(format!("{ends}: no commit of it can be reconciled")));
    }
    log::say(&format!("{ends}: reconciled up to commit {last}"));
    Ok(())
}

/// Says where the raw log ends, and up to which `position` the job has read.
pub fn ends(asked: &Reconciling<'_>, job: &str, (raw, position): (&RawLog, &Position)) -> String {
    let name = position.name();
    let end = raw.partitions().get(&name).map_or(0, |kept| kept.end());
    let read = position.offset;
    format!("{}: {name} ends at offset {end}, but job {job} has read up to {read}", asked.raw)
}
