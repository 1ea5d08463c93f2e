//! The lists of a worker, by the simple [`Windows`].

use std::collections::BTreeSet;

use crate::count::Change;
use crate::filter::FilterId;
use crate::rank::worker::{Grown, Lists};
use crate::time::{Epoch, Minute};
use crate::windows::{Group, Ranked, Windows};

impl Grown for Change {
    fn minute(&self) -> Minute {
        self.cell.minute
    }

    fn filters(&self) -> Vec<FilterId> {
        vec![self.cell.filter]
    }
}

impl Lists for Windows {
    type Grown = Change;

    // Changes are told by who makes them.
    type Growing = ();

    fn learn(&mut self, _: Epoch, changes: &[Change]) -> Vec<()> {
        for Change { cell, clicks, was } in changes {
            self.add(cell, clicks - was);
        }
        Vec::new()
    }

    fn correct(
        &mut self,
        change: &Change,
        _: FilterId,
        ends: &[Minute],
        changed: impl FnMut(Group),
    ) {
        Windows::correct(self, &change.cell, ends, changed);
    }

    fn evaluate(&mut self, end: Minute, filters: &BTreeSet<FilterId>) {
        Windows::evaluate(self, end, Some(filters));
    }

    fn has_clicks(&self, end: Minute) -> bool {
        Windows::has_clicks(self, end)
    }

    fn list(&self, group: Group) -> Vec<Ranked> {
        Windows::list(self, group).to_vec()
    }

    fn groups(&self, end: Minute) -> Vec<Group> {
        Windows::groups(self, end)
    }

    fn forget_before(&mut self, minute: Minute) {
        Windows::forget_before(self, minute);
    }

    fn minutes_held(&self) -> usize {
        Windows::minutes_held(self)
    }
}
