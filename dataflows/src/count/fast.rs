//! Clicks of each cell, by the fast engine.
//!
//! ```text
//! cells ─exchange by ad─▶ arrangement ─▶ told ─▶ `rank` ─┬─▶ lists
//!                              ▲                │        └─▶ grown ─▶ changes
//!                              └─ reading ◀─────┘
//! ```
//!
//! The arrangement is a trace of our own, see [`crate::count::trace`], and the one place that holds
//! counts. Whoever needs them reads it epoch by epoch, see [`Reading`]. The changes of a minute leave
//! in the order in which they are told.
//!
//! Keeps six bytes for each cell until its minute is beyond the horizon, all that was learnt of it
//! is told, and no list needs it; eight for each place in the tables of the minutes that are open.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use differential_dataflow::operators::arrange::arrangement::arrange_core;
use differential_dataflow::operators::arrange::{Arranged, TraceAgent};
use differential_dataflow::trace::{Span, TraceReader};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::{ExchangeCore, Pipeline};
use timely::dataflow::operators::generic::operator::Operator;
use timely::dataflow::operators::vec::Map;
use timely::progress::Antichain;

use crate::ads::Ads;
use crate::count::batch::{Added, Batch, CellBatcher, Grown, Told};
use crate::count::changes::{self, PackedChange};
use crate::count::minutes::Minutes;
use crate::count::trace::CountTrace;
use crate::gauge::Gauge;
use crate::horizon::{Advance, Horizon};
use crate::keep_first::fast::{PackedCell, PackedCells};
use crate::options::Options;
use crate::packed::Packed;
use crate::time::{Epoch, Minute};
use crate::{PackedStream, Stream};

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod scripts;

/// Counts by minute, filter and ad.
pub(crate) type Counts<'scope> = Arranged<'scope, TraceAgent<CountTrace>>;

/// The counts of a worker's ads, and what their readers share.
pub(crate) struct Counted<'scope> {
    /// The counts.
    pub(crate) counts: Counts<'scope>,
    /// The names of the ads.
    pub(crate) ads: Rc<RefCell<Ads>>,
    /// The first minute that their reader needs: earlier ones are dropped when they take no more
    /// clicks.
    pub(crate) needed: Rc<Cell<Minute>>,
}

/// The counts of this worker's ads.
pub(crate) fn count<'scope>(
    cells: PackedStream<'scope, PackedCell>,
    advances: Stream<'scope, Advance>,
    options: &Options,
) -> Counted<'scope> {
    let ads = Rc::<RefCell<Ads>>::default();
    let needed = Rc::<Cell<Minute>>::default();
    let horizon = Rc::<RefCell<Horizon>>::default();
    let batcher =
        CellBatcher::new(Rc::clone(&ads), Rc::clone(&horizon), Rc::clone(&needed), options);
    let noted = advances.unary::<CapacityContainerBuilder<Vec<()>>, _, _, _>(
        Pipeline,
        "Horizon",
        move |_, _| {
            move |advances, _| {
                let mut horizon = horizon.borrow_mut();
                advances.for_each(|_, data| data.iter().for_each(|advance| horizon.note(advance)));
            }
        },
    );
    drop(noted);
    let by_ad = ExchangeCore::<CapacityContainerBuilder<PackedCells>, _>::new_core(
        |(cell, long): &(PackedCell, &[u8])| cell.route(long),
    );
    let counts = arrange_core::<_, _, _, CountTrace>(cells, by_ad, "Count", |_, _| batcher);
    Counted { counts, ads, needed }
}

/// What the batches of counts tell, by epoch.
pub(crate) fn told<'scope>(
    batches: Stream<'scope, Span<Epoch, Rc<Batch>>>,
) -> Stream<'scope, (Epoch, Told)> {
    batches.flat_map(|span| {
        let told = span.inner.iter().flat_map(|batch| batch.told.iter().cloned());
        told.map(|told| (told.epoch, told)).collect::<Vec<_>>()
    })
}

/// Cells of a minute that grew at one epoch, with what was there before.
#[derive(Clone, Debug)]
pub(crate) struct Growing {
    /// The minute.
    pub(crate) minute: Minute,
    /// The cells.
    pub(crate) grown: Rc<Grown>,
    /// The clicks of each before; empty if the minute had none.
    pub(crate) was: Rc<[u64]>,
}

impl Growing {
    /// The cells, each with the clicks before.
    pub(crate) fn cells(&self) -> impl Iterator<Item = (&Added, u64)> {
        let was = |at: usize| self.was.get(at).copied().unwrap_or(0);
        self.grown.cells.iter().enumerate().map(move |(at, cell)| (cell, was(at)))
    }
}

/// The counts as of an epoch, and how a reader goes on to the next.
pub(crate) struct Reading<Tr> {
    trace: Tr,
    /// What the epochs up to here told.
    all: Rc<Batch>,
    held: CellsHeld,
}

impl<Tr: TraceReader<Time = Epoch, Batch = Rc<Batch>>> Reading<Tr> {
    /// Begins before the first epoch.
    pub(crate) fn new(trace: Tr, gauge: Gauge) -> Reading<Tr> {
        let held = CellsHeld { minutes: BTreeMap::new(), gauge };
        Reading { trace, all: Rc::default(), held }
    }

    /// Goes on to `epoch`, which `told` all that is new, by minute; tells what there was before.
    pub(crate) fn learn<'a>(
        &mut self,
        epoch: Epoch,
        told: impl Iterator<Item = &'a Told>,
    ) -> Vec<Growing> {
        let growing: Vec<Growing> = told.map(|told| self.growing(told)).collect();
        // A batch that somebody holds would have to be copied.
        self.all = Rc::default();
        let read = Antichain::from_elem(epoch + 1);
        self.trace.set_logical_compaction(read.borrow());
        self.trace.set_physical_compaction(read.borrow());
        let batches = self.trace.batches_through(read.borrow());
        self.all = Batch::joined(batches.expect("nothing is compacted beyond what was read"));
        self.held.forget_before(self.all.forget_before);
        growing
    }

    /// The counts.
    pub(crate) fn minutes(&self) -> &Minutes {
        &self.all.minutes
    }

    /// The first minute of which there are counts.
    pub(crate) fn first_minute(&self) -> Minute {
        self.all.forget_before
    }

    fn growing(&mut self, Told { minute, grown, .. }: &Told) -> Growing {
        let (minute, cells) = (*minute, &grown.cells);
        let was: Rc<[u64]> = match self.all.minutes.of(minute) {
            Some(known) => cells.iter().map(|cell| known.clicks(cell.place, cell.name)).collect(),
            None => Rc::default(),
        };
        let known = was.iter().filter(|was| **was > 0).count();
        self.held.add(minute, (cells.len() - known) as u64);
        Growing { minute, grown: Rc::clone(grown), was }
    }
}

/// The changed totals; of minutes before the first that is told there are none.
pub(crate) fn changes<'scope>(
    growing: Stream<'scope, (Epoch, Growing)>,
    ads: Rc<RefCell<Ads>>,
    options: &Options,
) -> PackedStream<'scope, PackedChange> {
    let options = options.clone();
    growing.unary::<changes::Builder, _, _, _>(Pipeline, "PackChanges", move |_, _| {
        move |growing, output| {
            growing.for_each(|time, data| {
                let ads = ads.borrow();
                let mut session = output.session_with_builder(&time);
                let mut changes = Packed::default();
                let mut send = |changes: &mut Packed<PackedChange>| session.give_container(changes);
                data.retain(|(_, growing)| growing.minute >= options.from);
                for (epoch, growing) in data.drain(..) {
                    for (cell, was) in growing.cells() {
                        let id = (cell.head, cell.id_bytes);
                        let of = (growing.minute, options.filters.id_at(cell.place));
                        let clicks = (was, was + u64::from(cell.clicks));
                        let change = PackedChange::new(epoch, id, of, clicks);
                        let long = if change.is_long() { ads.long(cell.name) } else { "" };
                        changes.push_or(change, long.as_bytes(), &mut send);
                    }
                }
                changes.send(send);
            });
        }
    })
}

/// How many cells the trace holds.
struct CellsHeld {
    minutes: BTreeMap<Minute, u64>,
    gauge: Gauge,
}

impl CellsHeld {
    fn add(&mut self, minute: Minute, new: u64) {
        *self.minutes.entry(minute).or_default() += new;
        self.gauge.add(new);
    }

    fn forget_before(&mut self, minute: Minute) {
        while let Some(least) = self.minutes.first_entry().filter(|entry| *entry.key() < minute) {
            self.gauge.sub(least.remove());
        }
    }
}
