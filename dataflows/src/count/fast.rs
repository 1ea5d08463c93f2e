//! Clicks of each cell, by the fast engine.
//!
//! ```text
//! cells ─exchange by ad─▶ arrangement ─┬─▶ changes
//!                                      └─▶ counts, by epoch and minute, for `rank`
//! ```
//!
//! The arrangement is a trace of our own, see [`crate::count::batch`]. The changes of an epoch
//! leave in the order in which they are told.
//!
//! Keeps eight bytes for each cell until its minute is beyond the horizon and all that was learnt
//! of it is told.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use differential_dataflow::operators::arrange::arrangement::arrange_core;
use differential_dataflow::operators::arrange::{Arranged, TraceAgent};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::{ExchangeCore, Pipeline};
use timely::dataflow::operators::generic::operator::Operator;

use crate::ads::{Ads, Name};
use crate::count::batch::{Batch, CellBatcher, CountTrace, Told};
use crate::count::minutes::Minutes;
use crate::count::{Change, changes_by};
use crate::gauge::{Gauge, Gauges};
use crate::horizon::{Advance, Horizon};
use crate::keep_first::fast::{PackedCell, PackedCells};
use crate::match_filters::Cell;
use crate::options::Options;
use crate::time::{Epoch, Minute};
use crate::{PackedStream, Stream, Updates};

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

/// What `counts` learns, as changed totals, those of an epoch by ad, minute and filter.
pub(crate) fn changes<'scope>(
    counts: Counts<'scope>,
    ads: Rc<RefCell<Ads>>,
    options: &Options,
    gauges: &Gauges,
) -> Updates<'scope, Change> {
    let (options, gauge) = (options.clone(), gauges.cells.clone());
    let mut held = CellsHeld { minutes: BTreeMap::new(), gauge };
    changes_by(counts, move |batches, known, tell| {
        let ads = ads.borrow();
        for_each_change(&batches, &known, &ads, &mut held, |epoch, changed| {
            let filter = options.filters.id_at(changed.place);
            let (minute, ad) = (changed.minute, ads.id(changed.name));
            let cell = Cell { minute, filter, ad };
            let (was, clicks) = (changed.was, changed.was + u64::from(changed.added));
            tell(epoch, Change { cell, clicks, was });
        });
    })
}

/// A cell whose count changed.
struct Changed {
    name: Name,
    minute: Minute,
    place: u32,
    added: u32,
    was: u64,
}

/// Calls `each` with the changes of each epoch of `batches` in their order, given those `known`
/// before.
fn for_each_change(
    batches: &[Rc<Batch>],
    known: &[Rc<Batch>],
    ads: &Ads,
    held: &mut CellsHeld,
    mut each: impl FnMut(Epoch, Changed),
) {
    let mut since = Minutes::default();
    let told: Vec<&Told> = batches.iter().flat_map(|batch| &batch.told).collect();
    for of_epoch in told.chunk_by(|a, b| a.epoch == b.epoch) {
        let epoch = of_epoch[0].epoch;
        let mut changed = Vec::new();
        for Told { minute, in_order, .. } in of_epoch {
            let known = known.iter().map(|batch| &batch.minutes).chain([&since]);
            let known: Vec<&Minutes> = known.filter(|minutes| minutes.has(*minute)).collect();
            let minute = *minute;
            let mut new = 0;
            for (name, place, added) in in_order.iter().copied() {
                let was = known.iter().map(|known| known.clicks(minute, place, name)).sum();
                new += u64::from(was == 0);
                changed.push(Changed { name, minute, place, added, was });
            }
            held.add(minute, new);
        }
        if of_epoch.len() > 1 {
            // What it told of each minute is in order: these are runs, which are merged.
            changed.sort_by(|a, b| {
                let place = |changed: &Changed| (changed.minute, changed.place);
                ads.order(a.name, b.name).then_with(|| place(a).cmp(&place(b)))
            });
        }
        changed.into_iter().for_each(|changed| each(epoch, changed));
        for Told { minute, added, .. } in of_epoch {
            since.add(*minute, Rc::clone(added));
        }
    }
    for batch in batches {
        held.forget_before(batch.forget_before);
    }
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
