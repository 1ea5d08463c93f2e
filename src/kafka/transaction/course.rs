//! How a transaction gets on: whether it is late, and whether that is the brokers' absence.
//!
//! Brokers that are away take nothing; they are waited for. Brokers that take rows up to the
//! deadline, and not all of them, would not take them the next time either.

use std::cell::Cell;

use clicks_dataflows::time::Millis;

use super::stop::Stop;

/// The course of one transaction, by a monotonic clock.
pub struct Course {
    began: Millis,
    deadline_ms: Millis,
    /// Records that are on their way.
    in_flight: Cell<i32>,
    /// When they last became fewer.
    taken_at: Cell<Millis>,
}

impl Course {
    /// Of a transaction that begins at `now`.
    pub fn new(now: Millis, deadline_ms: Millis) -> Course {
        Course { began: now, deadline_ms, in_flight: Cell::new(0), taken_at: Cell::new(0) }
    }

    /// So many records are on their way at `now`.
    pub fn see(&self, in_flight: i32, now: Millis) {
        if in_flight < self.in_flight.replace(in_flight) {
            self.taken_at.set(now);
        }
    }

    /// Whether its time is over at `now`.
    pub fn is_late(&self, now: Millis) -> bool {
        now >= self.began + self.deadline_ms
    }

    /// Why rows that are still on their way when it is late were not taken.
    pub fn overrun(&self) -> Stop {
        if self.taken_at.get() >= self.began + self.deadline_ms / 2 {
            Stop::Slow("rows are taken too slowly".to_owned())
        } else {
            Stop::InDoubt("rows are not taken".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_that_take_rows_to_the_last_are_slow_and_others_are_away() {
        let course = Course::new(100, 40);
        course.see(10, 100);
        course.see(9, 110);
        course.see(9, 139);
        assert!(!course.is_late(139) && course.is_late(140));
        assert!(matches!(course.overrun(), Stop::InDoubt(_)));
        course.see(8, 139);
        assert!(matches!(course.overrun(), Stop::Slow(_)));
    }
}
