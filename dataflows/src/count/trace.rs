//! The counts of a worker as a trace of our own.
//!
//! ```text
//! trace: │ all before the readers │ batch │ batch │ …
//! ```
//!
//! What all readers have passed is one batch, by minute; minutes that can take no more clicks are
//! dropped from it whole. As a trace it is thus only faithful to readers who do not ask for those.

use std::collections::VecDeque;
use std::rc::Rc;

use differential_dataflow::logging::Logger;
use differential_dataflow::trace::{Description, ExertionLogic, Span, Trace, TraceReader};
use timely::dataflow::operators::generic::OperatorInfo;
use timely::order::PartialOrder;
use timely::progress::Antichain;
use timely::progress::frontier::AntichainRef;
use timely::scheduling::activate::Activator;

use crate::count::batch::Batch;
use crate::time::Epoch;

/// All counts of a worker; see the module.
pub(crate) struct CountTrace {
    /// What all readers have passed first, then batch by batch.
    spans: VecDeque<Span<Epoch, Rc<Batch>>>,
    upper: Antichain<Epoch>,
    logical: Antichain<Epoch>,
    physical: Antichain<Epoch>,
}

impl CountTrace {
    /// Makes one batch of those that all readers have passed.
    fn fold(&mut self) {
        while let [first, second, ..] = self.spans.make_contiguous() {
            let passed = |frontier: &Antichain<Epoch>| {
                PartialOrder::less_equal(&second.upper().borrow(), &frontier.borrow())
            };
            if !passed(&self.logical) || !passed(&self.physical) {
                return;
            }
            let desc = Description::new(
                first.lower().clone(),
                second.upper().clone(),
                Antichain::from_elem(0),
            );
            let mut all = first.inner.take();
            if let Some(later) = &second.inner {
                Rc::make_mut(all.get_or_insert_default()).absorb(later);
            }
            let all = all.map(|mut all| {
                Rc::make_mut(&mut all).told.clear();
                all
            });
            self.spans.pop_front();
            self.spans[0] = Span::new(desc, all);
        }
    }
}

impl TraceReader for CountTrace {
    type Time = Epoch;
    type Batch = Rc<Batch>;

    fn spans_through(
        &mut self,
        upper: AntichainRef<'_, Epoch>,
    ) -> Option<Vec<Span<Epoch, Rc<Batch>>>> {
        let mut through = Vec::new();
        for span in self.spans.iter().filter(|span| span.has_updates()) {
            if PartialOrder::less_equal(&span.upper().borrow(), &upper) {
                through.push(span.clone());
            } else if !PartialOrder::less_equal(&upper, &span.lower().borrow()) {
                return None;
            }
        }
        Some(through)
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

    fn map_spans<F: FnMut(&Span<Epoch, Rc<Batch>>)>(&self, each: F) {
        self.spans.iter().for_each(each);
    }
}

impl Trace for CountTrace {
    fn new(_: OperatorInfo, _: Option<Logger>, _: Option<Activator>) -> CountTrace {
        let start = || Antichain::from_elem(0);
        CountTrace { spans: VecDeque::new(), upper: start(), logical: start(), physical: start() }
    }

    fn exert(&mut self) {}

    fn set_exert_logic(&mut self, _: ExertionLogic) {}

    fn insert(&mut self, span: Span<Epoch, Rc<Batch>>) {
        if &self.upper != span.lower() {
            self.spans.push_back(Span::empty(self.upper.clone(), span.lower().clone()));
        }
        self.upper.clone_from(span.upper());
        self.spans.push_back(span);
        self.fold();
    }

    fn close(&mut self) {
        if !self.upper.is_empty() {
            let lower = std::mem::take(&mut self.upper);
            self.spans.push_back(Span::empty(lower, Antichain::new()));
        }
    }
}
