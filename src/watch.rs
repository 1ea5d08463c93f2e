//! What people see of a run while it goes on.

use clicks_dataflows::gauge::Gauges;
use clicks_dataflows::ledger::{Position, Totals};
use clicks_dataflows::time::{Epoch, Millis};

use crate::commit::Committer;
use crate::reader::Reader;
use crate::worker::Plan;

/// Somebody who is shown how it goes.
pub trait Watch {
    /// Shows `watched` as of `now`; it is called often, and decides itself how often to look.
    fn show(&mut self, watched: &Watched<'_>, now: Millis);
}

/// How it goes.
pub struct Watched<'a> {
    /// The job's totals, up to the last closed epoch.
    pub totals: Totals,
    /// The greatest clock, up to the last closed epoch.
    pub clock: Millis,
    /// The least epoch that is open.
    pub frontier: Option<Epoch>,
    /// What the stages hold.
    pub gauges: &'a Gauges,
    committer: &'a Committer,
    reader: &'a Reader<'a>,
}

impl<'a> Watched<'a> {
    /// How it goes on the first worker.
    pub fn new(
        committer: &'a Committer,
        reader: &'a Reader<'a>,
        frontier: Option<Epoch>,
        plan: &'a Plan,
    ) -> Watched<'a> {
        Watched {
            totals: committer.totals(),
            clock: committer.clock(),
            frontier,
            gauges: &plan.gauges,
            committer,
            reader,
        }
    }

    /// Where each partition stands, up to the last closed epoch.
    pub fn positions(&self) -> impl Iterator<Item = &Position> {
        self.committer.positions().values()
    }

    /// The partition that holds the frontier of a followed input, and for how long.
    pub fn holder(&self, now: Millis) -> Option<(String, Millis)> {
        let (partition, held_ms) = self.reader.holder(now)?;
        Some((self.committer.name(partition), held_ms))
    }
}
