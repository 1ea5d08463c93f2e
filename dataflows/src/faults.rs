//! What fails under a stage: told to whoever drives the graph, who ends the run.
//!
//! ```text
//! a stage ─▶ faults ─▶ the worker's loop: the run fails, and a restart resumes
//!    └─ keeps its capability: the epoch stays open, and nothing of it is committed
//! ```
//!
//! A stage has no way to return an error. After a fault it gives nothing more and keeps the
//! capability of the epoch that it works on. So the frontier stays where it is, on all workers and in all
//! processes, and no commit contains what the stage could not answer: whether, or how soon, the
//! loop looks here decides when the run ends and never what it tells.

use std::sync::{Arc, Mutex, PoisonError};

/// The first thing that failed, if any did; the workers of a process share it.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<Option<String>>>);

/// There is no answer: what failed is in the [`Faults`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault;

impl Faults {
    /// Tells of a failure, unless one was told before.
    pub fn tell(&self, what: impl Into<String>) -> Fault {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| what.into());
        Fault
    }

    /// What failed first.
    pub fn first(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
