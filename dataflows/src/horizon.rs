//! How far the clocks have come, told to every worker, so that stages know what to forget.
//!
//! ```text
//! notes ─▶ advances ─▶ broadcast ─▶ a `Horizon` in each stage that keeps state
//! ```
//!
//! An advance travels at the epoch up to which it speaks. Whoever has seen an epoch close thus
//! knows the greatest clock of all partitions as of that epoch, whatever the timing: what a stage
//! forgets is a function of the log, and so are its results.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use timely::dataflow::operators::vec::{Broadcast, Map};

use crate::options::Options;
use crate::partition::Note;
use crate::time::{Epoch, Millis, Minute};
use crate::{Notes, Stream};

/// What one partition tells at an epoch of how far it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advance {
    /// The epoch at which it tells.
    pub epoch: Epoch,
    /// Its own clock after its records of that epoch.
    pub clock: Millis,
    /// The greatest event time of its clicks.
    pub reach: Millis,
    /// The last epoch that it has closed.
    pub closed: Epoch,
}

/// What `notes` say about clocks, on every worker.
pub fn advances<'scope>(notes: Notes<'scope>, options: &Options) -> Stream<'scope, Advance> {
    let options = options.clone();
    let advances = notes.flat_map(move |note| match note {
        Note::Progress(progress) => Some(progress.advance(&options)),
        Note::Lift(_) => None,
    });
    advances.broadcast()
}

/// The greatest clock as of the epochs that a stage has seen close.
#[derive(Default)]
pub struct Horizon {
    waiting: BTreeMap<Epoch, Millis>,
    clock: Millis,
    reach: Millis,
    closed: Epoch,
}

impl Horizon {
    /// Takes note of `advance`, to be effective when its epoch is.
    pub fn note(&mut self, advance: &Advance) {
        let clock = self.waiting.entry(advance.epoch).or_default();
        *clock = (*clock).max(advance.clock);
        self.reach = self.reach.max(advance.reach);
        self.closed = self.closed.max(advance.closed);
    }

    /// The greatest clock of any partition as of the epochs before `epoch`, which are closed.
    pub fn clock_before(&mut self, epoch: Epoch) -> Millis {
        while let Some(entry) = self.waiting.first_entry().filter(|entry| *entry.key() < epoch) {
            self.clock = self.clock.max(entry.remove());
        }
        self.clock
    }

    /// The first minute that may still take clicks at `epoch` or later.
    pub fn first_minute(&mut self, epoch: Epoch, options: &Options) -> Minute {
        first_minute(self.clock_before(epoch), options)
    }

    /// The last minute that gets lists once the input has ended.
    pub fn last_minute(&self, options: &Options) -> Minute {
        let settled = options.first_unsettled(self.closed).minus(1);
        Minute::of(self.reach).max(settled)
    }
}

/// The first minute that a clock leaves open: those before it ended `horizon` or more ago.
pub fn first_minute(clock: Millis, options: &Options) -> Minute {
    Minute::of(clock.saturating_sub(options.horizon_ms))
}
