//! Clicks of each cell, by the fast engine.
//!
//! ```text
//! cells ─exchange by ad─▶ arrangement ─▶ grown ─┬─▶ changes
//!                                               └─▶ `rank`
//! ```
//!
//! The arrangement is a trace of our own, see [`crate::count::batch`]. What a cell had before is
//! looked up once, for all who ask; the changes of a minute leave in the order in which they are
//! told.
//!
//! Keeps six bytes for each cell until its minute is beyond the horizon and all that was learnt
//! of it is told.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use differential_dataflow::operators::arrange::arrangement::arrange_core;
use differential_dataflow::operators::arrange::{Arranged, TraceAgent};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::{ExchangeCore, Pipeline};
use timely::dataflow::operators::generic::operator::Operator;

use crate::ads::Ads;
use crate::count::batch::{Added, Batch, CellBatcher, Told};
use crate::count::changes::{self, PackedChange};
use crate::count::changes_by;
use crate::count::minutes::Minutes;
use crate::count::sealed::Sealed;
use crate::count::trace::CountTrace;
use crate::gauge::{Gauge, Gauges};
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

/// The counts of this worker's ads, and the names of those.
pub(crate) fn count<'scope>(
    cells: PackedStream<'scope, PackedCell>,
    advances: Stream<'scope, Advance>,
    options: &Options,
) -> (Counts<'scope>, Rc<RefCell<Ads>>) {
    let ads = Rc::<RefCell<Ads>>::default();
    let horizon = Rc::<RefCell<Horizon>>::default();
    let batcher = CellBatcher::new(Rc::clone(&ads), Rc::clone(&horizon), options);
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
    (counts, ads)
}

/// Cells of a minute that grew at one epoch.
pub(crate) struct Grown {
    /// The minute.
    pub(crate) minute: Minute,
    /// The clicks that they got.
    pub(crate) added: Rc<Sealed>,
    /// Those clicks in the order in which they are told, with what was there before.
    pub(crate) cells: Vec<(Added, u64)>,
}

/// What `counts` learns, by epoch and minute.
pub(crate) fn grown<'scope>(
    counts: Counts<'scope>,
    gauges: &Gauges,
) -> Stream<'scope, (Epoch, Rc<Grown>)> {
    let mut held = CellsHeld { minutes: BTreeMap::new(), gauge: gauges.cells.clone() };
    changes_by(counts, move |batches, known, tell| {
        for_each_grown(&batches, &known, &mut held, |epoch, grown| tell((epoch, Rc::new(grown))));
    })
}

/// The changed totals; of minutes before the first that is told there are none.
pub(crate) fn changes<'scope>(
    grown: Stream<'scope, (Epoch, Rc<Grown>)>,
    ads: Rc<RefCell<Ads>>,
    options: &Options,
) -> PackedStream<'scope, PackedChange> {
    let options = options.clone();
    grown.unary::<changes::Builder, _, _, _>(Pipeline, "PackChanges", move |_, _| {
        move |grown, output| {
            grown.for_each(|time, data| {
                let ads = ads.borrow();
                let mut session = output.session_with_builder(&time);
                let mut changes = Packed::default();
                let mut send = |changes: &mut Packed<PackedChange>| session.give_container(changes);
                for (epoch, grown) in data.drain(..) {
                    let Grown { minute, cells, .. } = &*grown;
                    let cells = if *minute < options.from { &[][..] } else { cells };
                    for (cell, was) in cells {
                        let id = (cell.head, cell.id_bytes);
                        let of = (*minute, options.filters.id_at(cell.place));
                        let clicks = (*was, *was + u64::from(cell.clicks));
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

/// Calls `each` with what each epoch of `batches` told, given those `known` before.
fn for_each_grown(
    batches: &[Rc<Batch>],
    known: &[Rc<Batch>],
    held: &mut CellsHeld,
    mut each: impl FnMut(Epoch, Grown),
) {
    let mut since = Minutes::default();
    let told: Vec<&Told> = batches.iter().flat_map(|batch| &batch.told).collect();
    for of_epoch in told.chunk_by(|a, b| a.epoch == b.epoch) {
        for Told { epoch, minute, added, in_order } in of_epoch {
            let known = known.iter().map(|batch| &batch.minutes).chain([&since]);
            let known: Vec<&Minutes> = known.filter(|minutes| minutes.has(*minute)).collect();
            let was = |cell: &Added| -> u64 {
                known.iter().map(|known| known.clicks(*minute, cell.place, cell.name)).sum()
            };
            let cells: Vec<_> = in_order.iter().map(|cell| (*cell, was(cell))).collect();
            held.add(*minute, cells.iter().filter(|(_, was)| *was == 0).count() as u64);
            each(*epoch, Grown { minute: *minute, added: Rc::clone(added), cells });
        }
        for Told { minute, added, .. } in of_epoch {
            since.add(*minute, Rc::clone(added));
        }
    }
    batches.iter().for_each(|batch| held.forget_before(batch.forget_before));
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
