//! Signs of life of a thread, for whoever waits for it.
//!
//! Some calls of librdkafka do not return, whatever their deadline. Nobody can end such a call, yet
//! a job must not wait for it for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clicks_dataflows::time::Millis;

/// When a thread last gave a sign of life, shared with those who wait for it.
#[derive(Clone, Debug)]
pub struct Pulse {
    last: Arc<AtomicU64>,
    silence_ms_max: Millis,
}

impl Pulse {
    /// Of a thread that may be silent for so long; it begins at time 0 of a monotonic clock.
    pub fn new(silence_ms_max: Millis) -> Pulse {
        Pulse { last: Arc::default(), silence_ms_max }
    }

    /// At `now` the thread begins something, or is given something to do.
    pub fn beat(&self, now: Millis) {
        self.last.store(now, Ordering::Relaxed);
    }

    /// Whether at `now` it has been silent for longer than it may be.
    pub fn has_stopped(&self, now: Millis) -> bool {
        now > self.last.load(Ordering::Relaxed) + self.silence_ms_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_given_up_when_it_has_been_silent_for_too_long() {
        let pulse = Pulse::new(10);
        assert!(!pulse.has_stopped(10));
        assert!(pulse.has_stopped(11));
        pulse.clone().beat(11);
        assert!(!pulse.has_stopped(21));
        assert!(pulse.has_stopped(22));
    }
}
