//! Reading the partitions: the clock, the epoch and the acceptance of every record.

use crate::support::script::{ClickSpec, Item, Script, Settings};

/// A decision that the log does not determine: partition, offset, and the clock that the record
/// there, and all that follow, have at least.
pub type Mark = (u32, u64, u64);

/// What is known of a partition between two records.
#[derive(Clone, Copy, Debug, Default)]
pub struct Standing {
    /// Its own clock.
    pub clock: u64,
    /// The event time of a click that waits for another to move the clock.
    pub jump: Option<u64>,
    /// The greatest clock of the marks so far.
    pub lift: u64,
}

/// A line that was read.
pub struct Line<'a> {
    pub partition: u32,
    pub offset: u64,
    pub item: &'a Item,
    /// Before the line.
    pub before: Standing,
    /// After it.
    pub after: Standing,
    pub epoch: u64,
    /// Why it does not count, if it does not.
    pub refused: Option<&'static str>,
}

impl<'a> Line<'a> {
    /// The click, if it is one that was accepted.
    pub fn accepted(&self) -> Option<&'a ClickSpec> {
        match self.item {
            Item::Click(click) if self.refused.is_none() => Some(click),
            _ => None,
        }
    }

    /// Whether it is a record.
    pub fn is_record(&self) -> bool {
        !matches!(self.item, Item::Empty)
    }
}

/// All lines of all partitions, by partition and offset.
pub fn read<'a>(script: &'a Script, marks: &[Mark]) -> Vec<Line<'a>> {
    let mut lines = Vec::new();
    for (items, partition) in script.partitions.iter().zip(0..) {
        let mut standing = Standing::default();
        for (item, offset) in items.iter().zip(0..) {
            let before = standing;
            let here = marks.iter().filter(|mark| (mark.0, mark.1) == (partition, offset));
            standing.lift = here.map(|mark| mark.2).fold(standing.lift, u64::max);
            let refused = match item {
                Item::Click(click) => take(click, &mut standing, &script.settings),
                Item::Bad { reason, .. } => Some(*reason),
                Item::Empty => None,
            };
            let epoch = epoch(standing.clock.max(standing.lift), &script.settings);
            lines.push(Line { partition, offset, item, before, after: standing, epoch, refused });
        }
    }
    refuse_what_others_have_left(&mut lines, &script.settings);
    lines
}

/// The least multiple of `refresh` that is greater than `clock`.
fn epoch(clock: u64, settings: &Settings) -> u64 {
    (clock / settings.refresh_ms + 1) * settings.refresh_ms
}

/// Moves the clock by a click, or says why the click is refused.
fn take(click: &ClickSpec, standing: &mut Standing, settings: &Settings) -> Option<&'static str> {
    let event = click.event_ms;
    let logged = click.log_time.filter(|logged| settings.log_time && *logged > 0);
    if logged.is_some_and(|logged| event > logged + settings.ahead_max_ms) {
        return Some("ahead");
    }
    if is_too_late(event, standing.clock, settings) {
        return Some("too_late");
    }
    if let Some(logged) = logged {
        standing.clock = standing.clock.max(event.min(logged));
        standing.jump = None;
    } else if event > standing.clock + settings.jump_max_ms {
        if let Some(waiting) = standing.jump {
            standing.clock = waiting.min(event);
        }
        let still_beyond = event > standing.clock + settings.jump_max_ms;
        standing.jump = still_beyond.then_some(event);
    } else {
        standing.clock = standing.clock.max(event);
        standing.jump = None;
    }
    None
}

/// Whether the minute of `event` ended `horizon` or more before `clock`.
fn is_too_late(event: u64, clock: u64, settings: &Settings) -> bool {
    let end = (event / 60_000 + 1) * 60_000;
    end + settings.horizon_ms <= clock
}

/// Refuses clicks that came so late by a lift that the other partitions' clocks have left their
/// minutes behind.
fn refuse_what_others_have_left(lines: &mut [Line], settings: &Settings) {
    let clocks: Vec<(u64, u64)> = lines.iter().map(|line| (line.epoch, line.after.clock)).collect();
    for line in lines {
        let Some(click) = line.accepted() else { continue };
        let raised = line.epoch > epoch(line.after.clock, settings);
        let before = clocks.iter().filter(|(epoch, _)| *epoch < line.epoch);
        let greatest = before.map(|(_, clock)| *clock).max().unwrap_or(0);
        if raised && is_too_late(click.event_ms, greatest, settings) {
            line.refused = Some("too_late");
        }
    }
}
