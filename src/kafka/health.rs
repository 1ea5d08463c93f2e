//! Whether the brokers can be reached, said once when it changes.
//!
//! One outage is many failures of many clients, with answers of other clients between them. It is
//! over when brokers answer and nothing has failed for a while.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use clicks_dataflows::time::Millis;

use crate::log;
use crate::worker::monotonic_ms;

/// How long nothing fails before an outage is over.
const CALM_MS: Millis = 2000;

/// Of all clients in this process: a program talks to one cluster.
pub static HEALTH: Health = Health { lost: AtomicBool::new(false), failed_at: AtomicU64::new(0) };

/// Whether brokers can be reached.
pub struct Health {
    lost: AtomicBool,
    /// When something last failed, by a monotonic clock.
    failed_at: AtomicU64,
}

impl Health {
    /// Something does not work for `reason`; it is tried again.
    pub fn lost(&self, reason: &str) {
        self.failed_at.store(monotonic_ms(), Ordering::Relaxed);
        if !self.lost.swap(true, Ordering::Relaxed) {
            log::warn(&format!("kafka: {reason}; trying again"));
        }
    }

    /// A broker has answered.
    pub fn found(&self) {
        let is_calm = || monotonic_ms() >= self.failed_at.load(Ordering::Relaxed) + CALM_MS;
        if self.lost.load(Ordering::Relaxed)
            && is_calm()
            && self.lost.swap(false, Ordering::Relaxed)
        {
            log::say("kafka: it works again");
        }
    }
}
