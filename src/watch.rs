//! What people see of a run while it goes on.

use clicks_dataflows::gauge::Gauges;
use clicks_dataflows::ledger::Totals;
use clicks_dataflows::time::{Epoch, Millis};

use crate::reader::Reader;
use crate::worker::{Lead, Plan};

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
    reader: &'a Reader<'a>,
}

impl<'a> Watched<'a> {
    /// How it goes on the first worker.
    pub fn new(
        lead: &Lead<'_>,
        reader: &'a Reader<'a>,
        frontier: Option<Epoch>,
        plan: &'a Plan,
    ) -> Watched<'a> {
        Watched {
            totals: lead.committer.totals(),
            clock: lead.committer.clock(),
            frontier,
            gauges: &plan.gauges,
            reader,
        }
    }

    /// The partition of the first worker that holds the frontier, and for how long its clock has
    /// stood still.
    pub fn holder(&self, now: Millis) -> Option<(&str, Millis)> {
        self.reader.holder(now)
    }
}
