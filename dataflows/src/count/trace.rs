//! The counts of a worker as a trace of our own.
//!
//! ```text
//! trace: │ all before the readers │ batch │ batch │ …
//! ```
//!
//! What all readers have passed is one batch, by minute; each epoch is added to it as soon as they
//! have passed it, in the middle of a batch too. Minutes that nobody needs are dropped from it whole:
//! as a trace it is only faithful to readers who do not ask for those.

use std::collections::VecDeque;
use std::rc::Rc;

use differential_dataflow::logging::Logger;
use differential_dataflow::trace::{Description, ExertionLogic, Span, Trace, TraceReader};
use timely::dataflow::operators::generic::OperatorInfo;
use timely::progress::Antichain;
use timely::progress::frontier::AntichainRef;
use timely::scheduling::activate::Activator;

use crate::count::batch::Batch;
use crate::time::Epoch;

/// All counts of a worker; see the module.
pub(crate) struct CountTrace {
    /// What all readers have passed.
    all: Counted,
    later: VecDeque<Counted>,
    upper: Antichain<Epoch>,
    logical: Antichain<Epoch>,
    physical: Antichain<Epoch>,
}

/// What some epochs told.
type Counted = Span<Epoch, Rc<Batch>>;

impl CountTrace {
    /// Makes one batch of what all readers have passed.
    fn fold(&mut self) {
        let passed = first(&self.logical).min(first(&self.physical));
        while let Some(next) = self.later.pop_front() {
            if first(next.lower()) >= passed {
                self.later.push_front(next);
                return;
            }
            let (before, after) = cut(&next, passed);
            let (lower, upper) = (self.all.lower().clone(), before.upper().clone());
            let mut all = self.all.inner.take();
            if let Some(before) = &before.inner {
                Rc::make_mut(all.get_or_insert_default()).absorb(before);
            }
            self.all = Span::new(Description::new(lower, upper, Antichain::from_elem(0)), all);
            after.into_iter().for_each(|after| self.later.push_front(after));
        }
    }

    /// All spans that are not empty intervals.
    fn spans(&self) -> impl Iterator<Item = &Counted> {
        let all = Some(&self.all).filter(|all| all.lower() != all.upper());
        all.into_iter().chain(&self.later)
    }
}

/// The least epoch of a frontier; the greatest of all if there is none.
fn first(frontier: &Antichain<Epoch>) -> Epoch {
    frontier.first().copied().unwrap_or(Epoch::MAX)
}

/// What `span` has before `epoch`, which is beyond its beginning, and the rest.
fn cut(span: &Counted, epoch: Epoch) -> (Counted, Option<Counted>) {
    if first(span.upper()) <= epoch {
        return (span.clone(), None);
    }
    let at = || Antichain::from_elem(epoch);
    let describe = |lower, upper| Description::new(lower, upper, Antichain::from_elem(0));
    let parts = span.inner.as_ref().map(|batch| batch.split_at(epoch));
    let (before, after) = parts.map(|(a, b)| (Rc::new(a), Rc::new(b))).unzip();
    let before = Span::new(describe(span.lower().clone(), at()), before);
    (before, Some(Span::new(describe(at(), span.upper().clone()), after)))
}

impl TraceReader for CountTrace {
    type Time = Epoch;
    type Batch = Rc<Batch>;

    fn spans_through(&mut self, upper: AntichainRef<'_, Epoch>) -> Option<Vec<Counted>> {
        let upper = upper.first().copied().unwrap_or(Epoch::MAX);
        // What readers have passed is one, so that nobody goes back there.
        if first(self.all.upper()) > upper {
            return None;
        }
        let through = self.spans().take_while(|span| first(span.lower()) < upper);
        Some(through.map(|span| cut(span, upper).0).filter(Span::has_updates).collect())
    }

    fn set_logical_compaction(&mut self, frontier: AntichainRef<'_, Epoch>) {
        self.logical = frontier.to_owned();
        self.fold();
    }

    fn get_logical_compaction(&mut self) -> AntichainRef<'_, Epoch> {
        self.logical.borrow()
    }

    fn set_physical_compaction(&mut self, frontier: AntichainRef<'_, Epoch>) {
        self.physical = frontier.to_owned();
        self.fold();
    }

    fn get_physical_compaction(&mut self) -> AntichainRef<'_, Epoch> {
        self.physical.borrow()
    }

    fn map_spans<F: FnMut(&Counted)>(&self, each: F) {
        self.spans().for_each(each);
    }
}

impl Trace for CountTrace {
    fn new(_: OperatorInfo, _: Option<Logger>, _: Option<Activator>) -> CountTrace {
        let start = || Antichain::from_elem(0);
        CountTrace {
            all: Span::empty(start(), start()),
            later: VecDeque::new(),
            upper: start(),
            logical: start(),
            physical: start(),
        }
    }

    fn exert(&mut self) {}

    fn set_exert_logic(&mut self, _: ExertionLogic) {}

    fn insert(&mut self, span: Counted) {
        if &self.upper != span.lower() {
            self.later.push_back(Span::empty(self.upper.clone(), span.lower().clone()));
        }
        self.upper.clone_from(span.upper());
        self.later.push_back(span);
        self.fold();
    }

    fn close(&mut self) {
        if !self.upper.is_empty() {
            let lower = std::mem::take(&mut self.upper);
            self.later.push_back(Span::empty(lower, Antichain::new()));
        }
    }
}
