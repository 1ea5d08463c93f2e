//! Numbers that stages show while they work.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A number that a stage keeps current, and anybody may read.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicU64>);

impl Gauge {
    /// Raises the number.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// Lowers the number, at most to 0.
    pub fn sub(&self, less: u64) {
        let lowered = |now: u64| Some(now.saturating_sub(less));
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, lowered)
            .expect("a lowered number is always given");
    }

    /// The number.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What the graph shows of its state; the workers of a process share one set.
#[derive(Clone, Debug, Default)]
pub struct Gauges {
    /// Identities held against duplicates.
    pub seen_clicks: Gauge,
    /// Cells held.
    pub cells: Gauge,
    /// Minutes for which a worker holds cells.
    pub minutes: Gauge,
}
