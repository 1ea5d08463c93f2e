//! Whether the brokers can be reached, said once when it changes.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::log;

/// Of all clients of a cluster in this process.
#[derive(Debug, Default)]
pub struct Health {
    lost: AtomicBool,
}

impl Health {
    /// Something does not work for `reason`; librdkafka tries again by itself.
    pub fn lost(&self, reason: &str) {
        if !self.lost.swap(true, Ordering::Relaxed) {
            log::say(&format!("kafka: {reason}; trying again"));
        }
    }

    /// A broker has answered.
    pub fn found(&self) {
        if self.lost.swap(false, Ordering::Relaxed) {
            log::say("kafka: it works again");
        }
    }
}
