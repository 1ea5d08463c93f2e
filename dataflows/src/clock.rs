//! The clock of a partition: how far its clicks have come, from which follow their epochs.
//!
//! A click moves the clock to the lesser of its event time and its log time. Where there is no log
//! time, nothing vouches for a click far beyond the clock: it waits for the next to be as far
//! beyond, and the lesser of the two moves the clock. One wrong date moves nothing, wherever it
//! stands. The rule reads the partition's own records and nothing else.

use serde::{Deserialize, Serialize};

use crate::click::{Reason, Refusal};
use crate::horizon::first_minute;
use crate::options::Options;
use crate::time::{Millis, Minute, Time};

/// The clock of a partition after a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// The greatest event time that is vouched for; it never falls.
    pub clock: Millis,
    /// The event time of the last click, if it is far beyond the clock and waits for another.
    pub jump: Option<Millis>,
}

impl Clock {
    /// Takes the next click that decoded, and moves.
    ///
    /// # Errors
    ///
    /// `ahead` for a click that is too far beyond its log time, `too_late` for one whose minute
    /// is over for too long. Neither moves anything.
    #[inline]
    pub fn judge(
        &mut self,
        event_ms: Millis,
        log_time: Option<Millis>,
        options: &Options,
    ) -> Result<(), Refusal> {
        let log_time = log_time.filter(|ms| *ms > 0);
        if let Some(log_time) = log_time
            && event_ms > log_time.saturating_add(options.ahead_max_ms)
        {
            return Err(ahead(event_ms, log_time, options));
        }
        // Most clicks are no earlier than the horizon, whatever its minute.
        if event_ms < self.clock.saturating_sub(options.horizon_ms)
            && Minute::of(event_ms) < first_minute(self.clock, options)
        {
            return Err(too_late(event_ms, self.clock, options));
        }
        match log_time {
            Some(log_time) => self.reach(event_ms.min(log_time)),
            None if self.is_jump(event_ms, options) => self.jump(event_ms, options),
            None => self.reach(event_ms),
        }
        Ok(())
    }

    /// Whether a click at `event_ms` is too far beyond the clock to move it alone.
    fn is_jump(&self, event_ms: Millis, options: &Options) -> bool {
        event_ms > self.clock.saturating_add(options.jump_max_ms)
    }

    fn jump(&mut self, event_ms: Millis, options: &Options) {
        if let Some(before) = self.jump {
            self.clock = self.clock.max(before.min(event_ms));
        }
        self.jump = Some(event_ms).filter(|ms| self.is_jump(*ms, options));
    }

    fn reach(&mut self, ms: Millis) {
        self.clock = self.clock.max(ms);
        self.jump = None;
    }
}

fn ahead(event_ms: Millis, log_time: Millis, options: &Options) -> Refusal {
    let (event, logged) = (Time(event_ms), Time(log_time));
    let span = span(options.ahead_max_ms);
    let detail =
        format!("click_timestamp: {event} is more than {span} after its log time {logged}");
    Refusal { reason: Reason::Ahead, detail }
}

/// The refusal of a click at `event_ms` whose minute ended `horizon` or more before `clock`.
pub(crate) fn too_late(event_ms: Millis, clock: Millis, options: &Options) -> Refusal {
    let (event, clock) = (Time(event_ms), Time(clock));
    let span = span(options.horizon_ms);
    let detail =
        format!("click_timestamp: the minute of {event} ended {span} or more before {clock}");
    Refusal { reason: Reason::TooLate, detail }
}

/// A length of time in the largest unit of which it is a whole number: `90s`, but `2m`.
fn span(ms: Millis) -> String {
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)];
    match units.iter().find(|(_, length)| ms != 0 && ms.is_multiple_of(*length)) {
        Some((unit, length)) => format!("{}{unit}", ms / length),
        None => format!("{ms}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::Filters;
    use crate::options::{Copies, Emit};

    const HOUR: Millis = 3_600_000;

    fn options() -> Options {
        Options {
            refresh_ms: 1000,
            lateness_ms: 15_000,
            horizon_ms: 6 * HOUR,
            ahead_max_ms: HOUR,
            jump_max_ms: HOUR,
            correct_every_ms: 60_000,
            emit: Emit::Final,
            copies: Copies::default(),
            filters: Filters::default(),
            windows: vec![1],
            top: 100,
            from: Minute::default(),
            engine: crate::options::Engine::Fast,
        }
    }

    fn at(time: &str) -> Millis {
        let full = if time.contains('T') { time.to_owned() } else { format!("2026-01-01T{time}Z") };
        full.parse::<Time>().unwrap().0
    }

    /// Judges the clicks of `script`, `EVENT` or `EVENT LOGGED`, and shows the clock after each,
    /// with the jump that waits, or the reason of a refusal.
    fn clocks(start: Clock, script: &[&str]) -> Vec<String> {
        let mut clock = start;
        let short = |ms| Time(ms).to_string().replace("2026-01-01T", "");
        let shown = script.iter().map(|click| {
            let (event, logged) =
                click.split_once(' ').map_or((*click, None), |(event, logged)| {
                    (event, Some(if logged == "0" { 0 } else { at(logged) }))
                });
            let before = clock;
            if let Err(refusal) = clock.judge(at(event), logged, &options()) {
                assert_eq!(clock, before);
                return refusal.reason.as_str().to_owned();
            }
            let jump = clock.jump.map_or(String::new(), |jump| format!(" jump {}", short(jump)));
            short(clock.clock) + &jump
        });
        shown.collect()
    }

    fn noon() -> Clock {
        Clock { clock: at("12:00:00"), jump: None }
    }

    #[test]
    fn the_clock_rises_with_the_clicks_and_never_falls() {
        assert_eq!(
            clocks(noon(), &["12:00:05", "12:00:01", "13:00:05"]),
            ["12:00:05Z", "12:00:05Z", "13:00:05Z"],
        );
    }

    #[test]
    fn the_second_click_of_a_partition_starts_its_clock() {
        assert_eq!(
            clocks(Clock::default(), &["12:00:05", "12:00:03", "12:00:07"]),
            ["1970-01-01T00:00:00Z jump 12:00:05Z", "12:00:03Z", "12:00:07Z"],
        );
    }

    #[test]
    fn one_wrong_date_moves_nothing_at_the_start() {
        assert_eq!(
            clocks(Clock::default(), &["2099-01-01T00:00:00Z", "12:00:03", "12:00:07"]),
            ["1970-01-01T00:00:00Z jump 2099-01-01T00:00:00Z", "12:00:03Z", "12:00:07Z",],
        );
    }

    #[test]
    fn one_wrong_date_moves_nothing_in_the_middle_or_at_the_end() {
        let wrong = "2099-01-01T00:00:00Z";
        assert_eq!(
            clocks(noon(), &["12:00:05", wrong, "12:00:06", wrong]),
            [
                "12:00:05Z",
                "12:00:05Z jump 2099-01-01T00:00:00Z",
                "12:00:06Z",
                "12:00:06Z jump 2099-01-01T00:00:00Z",
            ],
        );
    }

    #[test]
    fn of_two_far_clicks_in_a_row_the_lesser_moves_the_clock() {
        assert_eq!(
            clocks(noon(), &["15:00:00", "14:30:00", "14:00:00"]),
            ["12:00:00Z jump 15:00:00Z", "14:30:00Z", "14:30:00Z"],
        );
        assert_eq!(
            clocks(noon(), &["14:00:00", "16:00:00", "18:00:00", "18:30:00"]),
            [
                "12:00:00Z jump 14:00:00Z",
                "14:00:00Z jump 16:00:00Z",
                "16:00:00Z jump 18:00:00Z",
                "18:00:00Z",
            ],
        );
    }

    #[test]
    fn an_hour_beyond_the_clock_is_no_jump_and_a_millisecond_more_is() {
        assert_eq!(clocks(noon(), &["13:00:00"]), ["13:00:00Z"]);
        assert_eq!(clocks(noon(), &["13:00:00.001"]), ["12:00:00Z jump 13:00:00.001Z"]);
    }

    #[test]
    fn a_log_time_vouches_for_its_click() {
        assert_eq!(
            clocks(noon(), &["15:00:00", "18:00:00 18:00:01", "19:00:00 18:30:00"]),
            ["12:00:00Z jump 15:00:00Z", "18:00:00Z", "18:30:00Z"],
        );
        assert_eq!(clocks(noon(), &["15:00:00 0"]), ["12:00:00Z jump 15:00:00Z"]);
        assert_eq!(clocks(noon(), &["12:30:00 12:00:01"]), ["12:00:01Z"]);
    }

    #[test]
    fn refused_clicks_move_neither_clock_nor_jump() {
        assert_eq!(
            clocks(noon(), &["15:00:00", "13:00:01 12:00:00", "05:59:59", "14:00:00"]),
            ["12:00:00Z jump 15:00:00Z", "ahead", "too_late", "14:00:00Z"],
        );
    }

    #[test]
    fn a_minute_takes_clicks_for_the_horizon_after_its_end() {
        assert_eq!(clocks(noon(), &["06:00:00"]), ["12:00:00Z"]);
        assert_eq!(clocks(noon(), &["05:59:59.999"]), ["too_late"]);
        assert_eq!(
            clocks(noon(), &["12:00:00.001", "06:00:00"]),
            ["12:00:00.001Z", "12:00:00.001Z"]
        );
    }

    #[test]
    fn refusals_name_both_times() {
        let mut clock = noon();
        let ahead = clock.judge(at("13:00:01"), Some(at("12:00:00")), &options()).unwrap_err();
        assert_eq!(
            ahead.detail,
            "click_timestamp: 2026-01-01T13:00:01Z is more than 1h after its log time \
             2026-01-01T12:00:00Z"
        );
        let late = clock.judge(at("05:59:59"), None, &options()).unwrap_err();
        assert_eq!(
            late.detail,
            "click_timestamp: the minute of 2026-01-01T05:59:59Z ended 6h or more before \
             2026-01-01T12:00:00Z"
        );
        assert_eq!([90_000, 120_000, 0, 1500].map(span), ["90s", "2m", "0ms", "1500ms"]);
    }
}
