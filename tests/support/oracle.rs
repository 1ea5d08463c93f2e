//! What must be told of a script, found by sorting and recounting.
//!
//! ```text
//! script, marks ─▶ lines (clock, epoch, refused) ─▶ fates ─▶ counted ─▶ counts, ranks
//!                                                     └────────────────▶ rejects, totals
//! ```
//!
//! It shares no code with the graph, keeps everything, and does each thing in the most obvious
//! way: a list is counted anew whenever it may have changed. Only complete inputs are told; what
//! a run that goes on has told up to epoch E are the rows up to E, with E as the `floor`.

mod clock;
mod counts;
mod filters;
#[cfg(test)]
mod laws;
mod ranks;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::support::script::{ClickSpec, Script, Settings};
use clock::Line;
pub use clock::Mark;
pub use rows::{digest, rfc3339, without_detail};

/// What there is to know besides the script.
#[derive(Clone, Debug, Default)]
pub struct Telling {
    /// The decisions of the run.
    pub marks: Vec<Mark>,
    /// The first minute that is told, counted from 1970.
    pub from: u64,
    /// The greatest epoch that was committed before the input ended.
    pub floor: u64,
    /// Log and number of each partition, where rows name them.
    pub logs: Vec<(String, u32)>,
}

/// What must be told.
pub struct Oracle {
    settings: Settings,
    lines: Vec<(Seen, Fate)>,
    /// Per partition, after its last line: offset, clock and jump.
    ends: Vec<(u64, u64, Option<u64>)>,
    counts: Vec<(u64, String)>,
    ranks: Vec<(u64, String)>,
    rejects: Vec<(u64, String)>,
    /// What the script demands of each reject's detail.
    details: Vec<Option<String>>,
    closing_epoch: u64,
}

/// Totals of a job up to an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub records: u64,
    pub clicks: u64,
    pub duplicates: u64,
    pub rejected: u64,
    pub skipped: u64,
    pub late: u64,
}

/// What of a record's reading is asked for later.
struct Seen {
    partition: u32,
    offset: u64,
    epoch: u64,
    before: (u64, Option<u64>),
    clock: u64,
    /// The event time, where it was accepted.
    event_ms: Option<u64>,
}

/// What becomes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Click { late: bool },
    Duplicate,
    Rejected,
    Skipped,
}

/// A click that counts under a filter, and when that is told.
pub struct Counted {
    filter: u32,
    ad: String,
    minute: u64,
    told: u64,
}

/// What must be told of `script` under `marks`.
pub fn tell(script: &Script, marks: &[Mark]) -> Oracle {
    tell_as(script, &Telling { marks: marks.to_vec(), ..Telling::default() })
}

/// The same, told from the minute `from` on.
pub fn tell_from(script: &Script, marks: &[Mark], from: u64) -> Oracle {
    tell_as(script, &Telling { marks: marks.to_vec(), from, ..Telling::default() })
}

/// The same, with everything that can be asked for.
pub fn tell_as(script: &Script, telling: &Telling) -> Oracle {
    let settings = &script.settings;
    let lines = clock::read(script, &telling.marks);
    let firsts = first_copies(&lines, settings);

    let mut counted = Vec::new();
    for line in lines.iter().filter(|line| firsts.contains(&(line.partition, line.offset))) {
        let click = line.accepted().expect("a first copy was accepted");
        let minute = click.event_ms / 60_000;
        let told = settings.told_at(line.epoch, minute);
        for filter in filters::passed(click, settings) {
            counted.push(Counted { filter, ad: click.ad.clone(), minute, told });
        }
    }
    let counts = counts::tell(&counted, settings, telling.from);
    let last = last_minute(&lines, settings, telling.floor);
    let ranks = ranks::tell(&counted, settings, telling.from, last);
    let (rejects, details) = tell_rejects(&lines, &telling.logs);

    let told = counts.iter().chain(&ranks).map(|(epoch, _)| *epoch);
    let read = lines.iter().filter(|line| line.is_record()).map(|line| line.epoch);
    let closing_epoch = told.chain(read).max().unwrap_or(0).max(telling.floor);
    Oracle {
        settings: settings.clone(),
        ends: ends(script, &lines),
        lines: fates(&lines, &firsts, settings, telling.from),
        counts,
        ranks,
        rejects,
        details,
        closing_epoch,
    }
}

impl Oracle {
    /// The rows of `counts` with their epochs, in order.
    pub fn counts(&self) -> &[(u64, String)] {
        &self.counts
    }

    /// The rows of `ranks` with their epochs, in order.
    pub fn ranks(&self) -> &[(u64, String)] {
        &self.ranks
    }

    /// The rows of `rejects` with their epochs, in order and [`without_detail`].
    pub fn rejects(&self) -> &[(u64, String)] {
        &self.rejects
    }

    /// The first row of `rejects` that is not as it must be, and how it must be; details are
    /// compared where the script states them.
    pub fn wrong_reject(&self, actual: &[String]) -> Option<String> {
        for (i, (_, expected)) in self.rejects.iter().enumerate() {
            let Some(row) = actual.get(i) else { return Some(format!("missing: {expected}")) };
            let wanted = self.details[i].as_ref().map(|detail| rows::quoted(detail));
            let wanted = wanted.as_ref().map(|quoted| &quoted[1..quoted.len() - 1]);
            if without_detail(row) != *expected
                || wanted.is_some_and(|_| rows::detail(row) != wanted)
            {
                return Some(format!("{row}\ninstead of\n{expected}\nwith detail {wanted:?}"));
            }
        }
        actual.get(self.rejects.len()).map(|row| format!("one too many: {row}"))
    }

    /// The epoch of the commit that closes the job.
    pub fn closing_epoch(&self) -> u64 {
        self.closing_epoch
    }

    /// The totals over the records up to `epoch`.
    pub fn totals(&self, epoch: u64) -> Totals {
        let mut totals = Totals::default();
        for (_, fate) in self.lines.iter().filter(|(seen, _)| seen.epoch <= epoch) {
            totals.records += 1;
            match fate {
                Fate::Click { late } => {
                    totals.clicks += 1;
                    totals.late += u64::from(*late);
                }
                Fate::Duplicate => totals.duplicates += 1,
                Fate::Rejected => totals.rejected += 1,
                Fate::Skipped => totals.skipped += 1,
            }
        }
        totals
    }

    /// For each partition the first offset beyond `epoch`, and its own clock and jump before it:
    /// (partition, offset, clock, jump).
    pub fn positions(&self, epoch: u64) -> Vec<(u32, u64, u64, Option<u64>)> {
        let mut positions = Vec::new();
        for (&end, partition) in self.ends.iter().zip(0..) {
            let mut of_partition =
                self.lines.iter().filter(|(seen, _)| seen.partition == partition);
            let (offset, clock, jump) = match of_partition.find(|(seen, _)| seen.epoch > epoch) {
                Some((seen, _)) => (seen.offset, seen.before.0, seen.before.1),
                None => end,
            };
            positions.push((partition, offset, clock, jump));
        }
        positions
    }

    /// Every record: (partition, offset, epoch).
    pub fn records(&self) -> Vec<(u32, u64, u64)> {
        self.lines.iter().map(|(seen, _)| (seen.partition, seen.offset, seen.epoch)).collect()
    }

    /// The greatest event time accepted up to `epoch`, where it lies more than `ahead_max` beyond
    /// every clock.
    pub fn reach(&self, epoch: u64) -> Option<u64> {
        let read = || self.lines.iter().map(|(seen, _)| seen).filter(|seen| seen.epoch <= epoch);
        let clock = read().map(|seen| seen.clock).max().unwrap_or(0);
        let event_ms = read().filter_map(|seen| seen.event_ms).max()?;
        (event_ms > clock + self.settings.ahead_max_ms).then_some(event_ms)
    }
}

impl Settings {
    /// When `minute` settles.
    fn settle(&self, minute: u64) -> u64 {
        ((minute + 1) * 60_000 + self.lateness_ms).next_multiple_of(self.refresh_ms)
    }

    /// When a click of `minute` that was learnt at `epoch` is told.
    fn told_at(&self, epoch: u64, minute: u64) -> u64 {
        if self.changes {
            epoch
        } else if epoch <= self.settle(minute) {
            self.settle(minute)
        } else {
            epoch.next_multiple_of(self.correct_every_ms)
        }
    }
}

/// Coordinates of the clicks that count: of the same clicks the one with the least (epoch,
/// partition, offset).
fn first_copies(lines: &[Line], settings: &Settings) -> BTreeSet<(u32, u64)> {
    let mut accepted: Vec<(&Line, &ClickSpec)> =
        lines.iter().filter_map(|line| Some((line, line.accepted()?))).collect();
    accepted.sort_by_key(|(line, _)| (line.epoch, line.partition, line.offset));
    let mut seen = BTreeSet::new();
    let mut firsts = BTreeSet::new();
    for (line, click) in accepted {
        let within = if settings.copies_stay { Some(line.partition) } else { None };
        let is_first = identity(click).is_none_or(|identity| seen.insert((within, identity)));
        if is_first {
            firsts.insert((line.partition, line.offset));
        }
    }
    firsts
}

/// What makes two clicks the same; none for a click of its own.
fn identity(click: &ClickSpec) -> Option<Vec<String>> {
    let time = click.event_ms.to_string();
    match (&click.click_id, &click.user, &click.ip) {
        (Some(click_id), _, _) => Some(vec![time, click_id.clone()]),
        (None, Some(user), Some(ip)) => {
            Some(vec![time, click.ad.clone(), user.clone(), ip.clone()])
        }
        _ => None,
    }
}

/// The last minute that has lists: that of the last click, or the last that had settled by the
/// last epoch that is known to have closed before the end.
fn last_minute(lines: &[Line], settings: &Settings, floor: u64) -> u64 {
    let clicked =
        lines.iter().filter_map(|line| line.accepted()).map(|click| click.event_ms / 60_000);
    let clocks = lines.iter().map(|line| line.after.clock.max(line.after.lift));
    let closed = clocks.max().unwrap_or(0).max(floor) / settings.refresh_ms * settings.refresh_ms;
    // The minute that ends `lateness` before `closed`, or the last one that ends earlier.
    let settled = (closed.saturating_sub(settings.lateness_ms) / 60_000).saturating_sub(1);
    clicked.max().unwrap_or(0).max(settled)
}

/// The rows of all rejects with their epochs, in order, and what the script says of their details.
fn tell_rejects(
    lines: &[Line],
    logs: &[(String, u32)],
) -> (Vec<(u64, String)>, Vec<Option<String>>) {
    let mut refused: Vec<(&Line, &str)> =
        lines.iter().filter_map(|line| Some((line, line.refused?))).collect();
    refused.sort_by_key(|(line, _)| (line.epoch, line.partition, line.offset));
    let row = |(line, reason): &(&Line, &str)| {
        let at = (line.partition, line.offset);
        let row = rows::reject_row(at, reason, &line.item.line(), line.epoch);
        (line.epoch, rows::named(row, line.partition, logs))
    };
    let details = refused.iter().map(|(line, _)| line.item.detail()).collect();
    (refused.iter().map(row).collect(), details)
}

/// What becomes of each record.
fn fates(
    lines: &[Line],
    firsts: &BTreeSet<(u32, u64)>,
    settings: &Settings,
    from: u64,
) -> Vec<(Seen, Fate)> {
    let fate = |line: &Line| {
        let Some(click) = line.accepted() else { return Fate::Rejected };
        let minute = click.event_ms / 60_000;
        if minute < from {
            Fate::Skipped
        } else if firsts.contains(&(line.partition, line.offset)) {
            Fate::Click { late: line.epoch > settings.settle(minute) }
        } else {
            Fate::Duplicate
        }
    };
    let seen = |line: &Line| Seen {
        partition: line.partition,
        offset: line.offset,
        epoch: line.epoch,
        before: (line.before.clock, line.before.jump),
        clock: line.after.clock,
        event_ms: line.accepted().map(|click| click.event_ms),
    };
    lines.iter().filter(|line| line.is_record()).map(|line| (seen(line), fate(line))).collect()
}

/// Offset, clock and jump at the end of each partition.
fn ends(script: &Script, lines: &[Line]) -> Vec<(u64, u64, Option<u64>)> {
    let mut ends = Vec::new();
    for (_, partition) in script.partitions.iter().zip(0..) {
        let last = lines.iter().rev().find(|line| line.partition == partition);
        ends.push(
            last.map_or((0, 0, None), |line| (line.offset + 1, line.after.clock, line.after.jump)),
        );
    }
    ends
}
