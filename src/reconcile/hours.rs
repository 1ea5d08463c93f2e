//! Which hours of event time are due at a commit.
//!
//! ```text
//! commits ─ … ─ settled ─ … ─ closed ─ … ─ told ─ …
//!               │             │            └ what was learnt by then is told: due as closed
//!               │             └ its horizon has passed: no later click of the hour counts
//!               └ all its minutes have settled: due as settled
//! ```
//!
//! An hour that is due both ways at one commit is due as closed. The commit that ends the job
//! closes what is left, the last hour together with what lies beyond it.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;

use clicks_dataflows::options::{Emit, Options};
use clicks_dataflows::time::{Epoch, Minute, Time, round_up};
use clicks_replay::raw::Hour;

use super::span::greatest_clock;
use crate::verify::standing::Standing;

/// Hours that are due one by one at most; where clocks jump by more, they are due together.
const HOURS_MAX: u64 = 48;

/// Minutes of an hour.
const MINUTES: u64 = 60;

/// The hours of a job that are to be reconciled.
pub struct Hours {
    options: Options,
    /// The first that was not due as settled.
    settled: Hour,
    /// The first whose horizon had not passed.
    closed: Hour,
    /// Those whose horizon has passed, until what was learnt by then is told.
    closing: VecDeque<Closing>,
    /// The first that is not asked for.
    end: Hour,
}

/// Hours whose horizon has passed.
struct Closing {
    hours: Range<Hour>,
    /// Where the job stood then.
    until: Standing,
    /// When all that was learnt by then is told.
    told: Epoch,
}

/// Hours that are due.
pub struct Due {
    /// Which.
    pub hours: Range<Hour>,
    /// Up to where records are read.
    pub until: Standing,
    /// Whether no click of theirs can come any more.
    pub is_closed: bool,
}

impl Hours {
    /// The hours from `begin` up to `end`.
    pub fn new(options: Options, begin: Hour, end: Hour) -> Hours {
        Hours { options, settled: begin, closed: begin, closing: VecDeque::new(), end }
    }

    /// The hours that are due where the job stands.
    pub fn due(&mut self, standing: &Standing) -> Vec<Due> {
        let clock = greatest_clock(standing);
        let over = Hour::of(clock.saturating_sub(self.options.horizon_ms)).min(self.end);
        if self.closed < over {
            let told = match self.options.emit {
                Emit::Changes => standing.epoch,
                Emit::Final => round_up(standing.epoch, self.options.correct_every_ms),
            };
            let hours = self.closed..over;
            self.closing.push_back(Closing { hours, until: standing.clone(), told });
            self.closed = over;
        }
        let mut due = Vec::new();
        let is_told = |closing: &Closing| standing.closed || closing.told <= standing.epoch;
        while self.closing.front().is_some_and(is_told)
            && let Some(Closing { hours, until, .. }) = self.closing.pop_front()
        {
            self.settled = self.settled.max(hours.end);
            let due_of = |hours| Due { hours, until: until.clone(), is_closed: true };
            due.extend(one_by_one(hours).map(due_of));
        }
        let due_of = |is_closed| move |hours| Due { hours, until: standing.clone(), is_closed };
        if standing.closed {
            let last = Hour::of(clock).min(Hour(self.end.0 - 1)).max(self.closed);
            due.extend(one_by_one(self.closed..last).map(due_of(true)));
            due.extend((last < self.end).then(|| due_of(true)(last..self.end)));
            self.closed = self.end;
            return due;
        }
        let settled = unsettled(standing, &self.options).min(self.end);
        if self.settled < settled {
            due.extend(one_by_one(self.settled..settled).map(due_of(false)));
            self.settled = settled;
        }
        due
    }

    /// The first that was not due as closed.
    pub fn first(&self) -> Hour {
        self.closing.front().map_or(self.closed, |closing| closing.hours.start)
    }

    /// Whether all were.
    pub fn are_over(&self) -> bool {
        self.first() >= self.end
    }
}

/// The newest hour of which all minutes have settled, or that the end of the job has closed.
pub fn newest_settled(standing: &Standing, options: &Options) -> Option<Hour> {
    match standing.closed {
        true => Some(Hour::of(greatest_clock(standing))),
        false => unsettled(standing, options).0.checked_sub(1).map(Hour),
    }
}

/// The first hour that has not settled.
fn unsettled(standing: &Standing, options: &Options) -> Hour {
    Hour(u64::from(options.first_unsettled(standing.epoch).0) / MINUTES)
}

/// The minutes of `hours`.
pub fn minutes(hours: &Range<Hour>) -> Range<Minute> {
    let minute =
        |hour: Hour| Minute(u32::try_from(hour.0.saturating_mul(MINUTES)).unwrap_or(u32::MAX));
    minute(hours.start)..minute(hours.end)
}

/// Each of `hours` for itself, unless they are very many.
fn one_by_one(hours: Range<Hour>) -> impl Iterator<Item = Range<Hour>> {
    let Range { start: Hour(start), end: Hour(end) } = hours;
    let step = if end.saturating_sub(start) > HOURS_MAX { end - start } else { 1 };
    let step_size = usize::try_from(step).unwrap_or(usize::MAX);
    (start..end).step_by(step_size).map(move |hour| Hour(hour)..Hour(hour + step))
}

impl fmt::Display for Due {
    /// `2026-01-01T07: settled`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Range { start, end } = &self.hours;
        f.write_str(&text(*start))?;
        match end.0 - start.0 {
            1 => {}
            _ if *end == Hour(u64::MAX) => f.write_str(" and later")?,
            _ => write!(f, " to {}", text(Hour(end.0 - 1)))?,
        }
        f.write_str(if self.is_closed { ": closed" } else { ": settled" })
    }
}

/// An hour as it is written: `2026-01-01T07`.
pub fn text(hour: Hour) -> String {
    let time = Time(hour.start()).to_string();
    time.split(':').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use clicks_dataflows::filter::Filters;
    use clicks_dataflows::ledger::{Name, Position};
    use clicks_dataflows::options::{Copies, Engine};

    use super::*;

    const MINUTE: u64 = 60_000;

    fn options(emit: Emit) -> Options {
        Options {
            refresh_ms: 1000,
            lateness_ms: 15_000,
            horizon_ms: 120 * MINUTE,
            ahead_max_ms: MINUTE,
            jump_max_ms: MINUTE,
            correct_every_ms: MINUTE,
            emit,
            copies: Copies::default(),
            filters: Filters::default(),
            windows: vec![1],
            top: 1,
            from: Minute::default(),
            engine: Engine::Fast,
        }
    }

    /// What is due where the clock is `clock`, a second before the end of the epoch.
    fn due(hours: &mut Hours, clock: &str, closed: bool) -> Vec<String> {
        let Time(clock) = format!("2026-01-{clock}Z").parse().unwrap();
        let name = Name::Partition { log: None, partition: 0 };
        let position = Position { clock: Time(clock), ..Position::new(0, name, 0) };
        let standing = Standing {
            epoch: clock + 1000,
            positions: [(0, position)].into(),
            closed,
            ..Standing::default()
        };
        hours.due(&standing).iter().map(|due| due.to_string().replace("2026-01-", "")).collect()
    }

    fn at(hour: &str) -> Hour {
        Hour::of(format!("2026-01-{hour}:00:00Z").parse::<Time>().unwrap().0)
    }

    const NONE: [&str; 0] = [];

    #[test]
    fn an_hour_is_due_when_it_has_settled_and_when_it_is_closed_and_told() {
        let mut hours = Hours::new(options(Emit::Final), at("01T07"), Hour(u64::MAX));
        assert_eq!(due(&mut hours, "01T08:00:13", false), NONE);
        assert_eq!(due(&mut hours, "01T08:00:14", false), ["01T07: settled"]);
        assert_eq!(due(&mut hours, "01T09:59:59", false), ["01T08: settled"]);
        // The horizon has passed, and what was learnt until then is told at the next minute.
        assert_eq!(due(&mut hours, "01T10:00:00", false), NONE);
        assert_eq!(hours.first(), at("01T07"));
        assert_eq!(due(&mut hours, "01T10:00:59", false), ["01T07: closed", "01T09: settled"]);
        assert_eq!(hours.first(), at("01T08"));

        let mut hours = Hours::new(options(Emit::Changes), at("01T07"), Hour(u64::MAX));
        assert_eq!(due(&mut hours, "01T08:30:00", false), ["01T07: settled"]);
        assert_eq!(due(&mut hours, "01T10:00:00", false), ["01T07: closed", "01T08: settled"]);
    }

    #[test]
    fn the_end_closes_what_is_left_and_the_last_hour_with_all_beyond() {
        let mut hours = Hours::new(options(Emit::Final), at("01T07"), Hour(u64::MAX));
        assert_eq!(due(&mut hours, "01T08:30:00", false), ["01T07: settled"]);
        let last = ["01T07: closed", "01T08: closed", "01T09 and later: closed"];
        assert_eq!(due(&mut hours, "01T09:30:00", true), last);
        assert!(hours.are_over());

        let mut hours = Hours::new(options(Emit::Final), at("01T07"), at("01T09"));
        assert_eq!(due(&mut hours, "01T20:00:00", true), ["01T07: closed", "01T08: closed"]);
        let mut hours = Hours::new(options(Emit::Final), at("01T07"), at("01T12"));
        assert_eq!(due(&mut hours, "01T07:30:00", true), ["01T07 to 01T11: closed"]);
    }

    #[test]
    fn hours_that_are_not_asked_for_are_never_due() {
        let mut hours = Hours::new(options(Emit::Changes), at("01T07"), at("01T08"));
        assert_eq!(due(&mut hours, "01T06:59:00", false), NONE);
        assert_eq!(due(&mut hours, "01T09:30:00", false), ["01T07: settled"]);
        assert_eq!(due(&mut hours, "01T12:00:00", false), ["01T07: closed"]);
        assert!(hours.are_over());
    }

    #[test]
    fn hours_that_a_clock_jumps_over_are_due_together_if_they_are_many() {
        let mut hours = Hours::new(options(Emit::Changes), at("01T07"), Hour(u64::MAX));
        let first = ["01T07 to 11T05: closed", "11T06: settled", "11T07: settled"];
        assert_eq!(due(&mut hours, "11T08:30:00", false), first);
    }
}
