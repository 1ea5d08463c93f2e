//! What the meaning of the results depends on, and what only steers.

use crate::filter::Filters;
use crate::time::{Epoch, Millis, Minute, round_up};

/// What is told of a minute that has not settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Emit {
    /// Nothing: each cell is told once, at its settling, and then corrected.
    #[default]
    Final,
    /// Every change, at its own epoch.
    Changes,
}

/// How it is computed; what is told is the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// By differential operators over whole clicks: the reference.
    Simple,
    /// By operators of our own over rows of fixed width.
    #[default]
    Fast,
}

/// Where the copies of a click may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Copies {
    /// Anywhere in the input.
    #[default]
    Anywhere,
    /// In the partition of the click: clicks of two partitions are never the same, and none has to
    /// leave the worker that reads it.
    Partition,
}

impl Copies {
    /// What makes a click of `partition` the same as another, given what its fields say.
    pub fn identity(self, identity: Option<u128>, partition: u32) -> Option<u128> {
        // Any odd number: partitions differ in all bits of what they add.
        const SPREAD: u128 = 0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835;
        match self {
            Copies::Anywhere => identity,
            Copies::Partition => {
                identity.map(|identity| identity ^ u128::from(partition).wrapping_mul(SPREAD))
            }
        }
    }
}

/// The options of the graph; all workers have the same.
#[derive(Clone, Debug)]
pub struct Options {
    /// Epochs are multiples of it.
    pub refresh_ms: Millis,
    /// How long after its end a minute settles.
    pub lateness_ms: Millis,
    /// How long after its end a minute takes clicks.
    pub horizon_ms: Millis,
    /// How far a click may happen after it was logged.
    pub ahead_max_ms: Millis,
    /// How far one click alone may move a clock, where there is no log time.
    pub jump_max_ms: Millis,
    /// Corrections are told at multiples of it.
    pub correct_every_ms: Millis,
    /// What is told of open minutes.
    pub emit: Emit,
    /// Where the copies of a click may be.
    pub copies: Copies,
    /// Filter 0, which takes every click, and those that were configured.
    pub filters: Filters,
    /// Lengths of the windows in minutes, ascending.
    pub windows: Vec<u32>,
    /// Ads in a list.
    pub top: usize,
    /// The first minute that is told; earlier clicks are skipped.
    pub from: Minute,
    /// How it is computed.
    pub engine: Engine,
}

impl Options {
    /// The epoch of a record after which its partition's clock is `clock`.
    pub fn epoch(&self, clock: Millis) -> Epoch {
        (clock / self.refresh_ms + 1) * self.refresh_ms
    }

    /// When `minute` settles.
    pub fn settle(&self, minute: Minute) -> Epoch {
        round_up(minute.end() + self.lateness_ms, self.refresh_ms)
    }

    /// The first minute that has not settled at `epoch`.
    pub fn first_unsettled(&self, epoch: Epoch) -> Minute {
        let mut minute = Minute::of(epoch.saturating_sub(self.lateness_ms)).minus(2);
        while self.settle(minute) <= epoch {
            minute = minute.plus(1);
        }
        minute
    }

    /// When a click of `minute` that was learnt at `epoch` is told.
    pub fn told_at(&self, epoch: Epoch, minute: Minute) -> Epoch {
        let settle = self.settle(minute);
        match self.emit {
            Emit::Changes => epoch,
            Emit::Final if epoch <= settle => settle,
            Emit::Final => round_up(epoch, self.correct_every_ms),
        }
    }

    /// How long after it was learnt a click of a settled minute is told at the latest.
    pub fn told_within(&self) -> Millis {
        match self.emit {
            Emit::Changes => 0,
            Emit::Final => self.correct_every_ms,
        }
    }

    /// Minutes of the longest window.
    pub fn window_max(&self) -> u32 {
        self.windows.last().copied().unwrap_or(1)
    }
}
