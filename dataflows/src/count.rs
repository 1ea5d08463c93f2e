//! Clicks of each cell.
//!
//! ```text
//! (cell, clicks) ─exchange by ad─▶ arrangement ─▶ changes
//!                          ▲            │
//!                          └── expire ◀─┴── advances
//! ```
//!
//! The arrangement is keyed by cell, and its difference is the count: nothing else holds a total.
//! A minute that can take no more clicks is taken out again by negating what the arrangement holds
//! of it. That is no change of a count, and is not told.
//!
//! Keeps each cell until its minute is beyond the horizon and all that was learnt of it is told.

use differential_dataflow::AsCollection;
use differential_dataflow::Hashable;
use differential_dataflow::operators::arrange::arrangement::arrange_core;
use differential_dataflow::operators::arrange::{Arranged, TraceAgent};
use differential_dataflow::trace::cursor::cursor_list;
use differential_dataflow::trace::implementations::{KeyBatcher, KeySpine};
use differential_dataflow::trace::{Cursor, TraceReader};
use serde::{Deserialize, Serialize};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::CapabilitySet;
use timely::dataflow::operators::core::feedback::{ConnectLoop, Feedback};
use timely::dataflow::operators::generic::operator::Operator;
use timely::progress::Antichain;

use crate::click::AdId;
use crate::gauge::Gauges;
use crate::held::{Held, open_from};
use crate::horizon::{Advance, Horizon, first_minute};
use crate::match_filters::Cell;
use crate::options::Options;
use crate::time::{Epoch, Minute};
use crate::{Stream, Updates};

pub(crate) mod batch;
pub mod changes;
mod clicks;
pub(crate) mod fast;
pub(crate) mod minutes;
mod open;
mod radix;
pub(crate) mod sealed;
pub(crate) mod trace;

/// A cell got clicks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Change {
    /// The cell.
    pub cell: Cell,
    /// Its clicks now.
    pub clicks: u64,
    /// Its clicks before.
    pub was: u64,
}

/// Counts by cell; the multiplicity is the count.
type Counts = TraceAgent<KeySpine<Cell, Epoch, isize>>;

/// The changed counts of each told epoch; all cells of an ad are on one worker.
pub fn count<'scope>(
    cells: Updates<'scope, Cell>,
    advances: Stream<'scope, Advance>,
    options: &Options,
    gauges: &Gauges,
) -> Updates<'scope, Change> {
    let (expired, expiring) = cells.scope().feedback::<Vec<(Cell, Epoch, isize)>>(1);
    let cells = cells.concat(expiring.as_collection()).map(|cell| (cell, ()));
    let by_ad = Exchange::new(|((cell, ()), _, _): &((Cell, ()), Epoch, isize)| cell.ad.hashed());
    let counts: Arranged<'scope, Counts> =
        arrange_core(cells.inner, by_ad, "Count", KeyBatcher::new);
    expire(counts.clone(), advances, options, gauges).connect_loop(expired);
    changes(counts, gauges)
}

/// What `counts` learns, as changed totals; what expires is left out.
fn changes<'scope>(counts: Arranged<'scope, Counts>, gauges: &Gauges) -> Updates<'scope, Change> {
    let gauge = gauges.cells.clone();
    let Arranged { stream, mut trace } = counts;
    let changes = stream.unary_frontier::<Builder<Change>, _, _, _>(Pipeline, "Changes", |_, _| {
        let mut before = Antichain::from_elem(0);
        move |(spans, _), output| {
            let mut times = CapabilitySet::new();
            let mut batches = Vec::new();
            let mut upper = before.clone();
            spans.for_each(|time, spans| {
                time.retain_stamp(0).iter().for_each(|time| times.insert(time.clone()));
                for span in spans.drain(..) {
                    upper.clone_from(span.upper());
                    batches.extend(span.inner);
                }
            });
            if !times.is_empty() {
                let known = trace.batches_through(before.borrow());
                let known = known.expect("nothing is compacted beyond what was read");
                let mut session = output.session(&times);
                for_each_total(batches, known, |cell, epoch, was, now| {
                    if now > was {
                        gauge.add(u64::from(was == 0));
                        session.give((Change { cell: cell.clone(), clicks: now, was }, epoch, 1));
                    }
                });
            }
            before = upper;
            trace.advance_upper(&mut before);
            trace.set_logical_compaction(before.borrow());
            trace.set_physical_compaction(before.borrow());
        }
    });
    Updates::new(changes)
}

/// Calls `each` with the total of a cell before and after each of its updates in `batches`,
/// given the batches `known` before.
fn for_each_total(
    batches: Vec<Batch>,
    known: Vec<Batch>,
    mut each: impl FnMut(&Cell, Epoch, u64, u64),
) {
    let (mut updates, updates_storage) = cursor_list(batches);
    let (mut totals, totals_storage) = cursor_list(known);
    let mut learnt: Vec<(Epoch, isize)> = Vec::new();
    while let Some(cell) = updates.get_key(&updates_storage) {
        let mut total = 0;
        totals.seek_key(&totals_storage, cell);
        if totals.get_key(&totals_storage) == Some(cell) {
            totals.map_times(&totals_storage, |_, clicks| total += clicks);
        }
        learnt.clear();
        updates.map_times(&updates_storage, |epoch, clicks| learnt.push((*epoch, *clicks)));
        learnt.sort_unstable();
        for (epoch, clicks) in &learnt {
            each(cell, *epoch, as_total(total), as_total(total + clicks));
            total += clicks;
        }
        updates.step_key(&updates_storage);
    }
}

/// The negation of what `counts` holds of minutes that can take no more clicks.
fn expire<'scope>(
    counts: Arranged<'scope, Counts>,
    advances: Stream<'scope, Advance>,
    options: &Options,
    gauges: &Gauges,
) -> Stream<'scope, (Cell, Epoch, isize)> {
    let Arranged { stream, mut trace } = counts;
    let (options, gauge) = (options.clone(), gauges.cells.clone());
    stream.binary_frontier::<_, Builder<Cell>, _, _, _, _>(
        advances,
        Pipeline,
        Pipeline,
        "Expire",
        move |_, _| {
            let mut horizon = Horizon::default();
            let mut due = Held::<()>::new();
            let (mut noted, mut kept) = (Minute::default(), Minute::default());
            move |(spans, open_counts), (advances, open_advances), output| {
                spans.for_each(|_, spans| spans.clear());
                advances.for_each(|time, data| {
                    let Some(time) = time.retain_least(0) else { return };
                    for advance in data.drain(..) {
                        horizon.note(&advance);
                        let minute = first_minute(advance.clock, &options);
                        if minute > noted {
                            noted = minute;
                            // What was learnt until then is told by then.
                            due.at(advance.epoch + options.told_within(), &time);
                        }
                    }
                });
                let open = open_from(open_counts);
                while let Some((at, time, ())) = due.take_closed(open.min(open_from(open_advances)))
                {
                    let learnt = at - options.told_within() + 1;
                    let minute = horizon.first_minute(learnt, &options);
                    let expired = held_before(&mut trace, kept, minute);
                    gauge.sub(expired.len() as u64);
                    let negated = expired.into_iter().map(|(cell, clicks)| (cell, at, -clicks));
                    output.session(&time).give_iterator(negated);
                    kept = kept.max(minute);
                }
                let read = Antichain::from_iter((open < Epoch::MAX).then_some(open));
                trace.set_logical_compaction(read.borrow());
                trace.set_physical_compaction(read.borrow());
            }
        },
    )
}

/// The cells of the minutes from `from` to before `until`, with their totals.
fn held_before(trace: &mut Counts, from: Minute, until: Minute) -> Vec<(Cell, isize)> {
    let mut batches = Vec::new();
    trace.map_spans(|span| batches.extend(span.inner.clone()));
    let (mut cells, storage) = cursor_list(batches);
    let least = Cell { minute: from, filter: 0, ad: AdId::from("") };
    cells.seek_key(&storage, &least);
    let mut held = Vec::new();
    while let Some(cell) = cells.get_key(&storage).filter(|cell| cell.minute < until) {
        let mut total = 0;
        cells.map_times(&storage, |_, clicks| total += clicks);
        if total != 0 {
            held.push((cell.clone(), total));
        }
        cells.step_key(&storage);
    }
    held
}

fn as_total(clicks: isize) -> u64 {
    u64::try_from(clicks).expect("a cell never loses more clicks than it got")
}

type Batch = <Counts as TraceReader>::Batch;
type Builder<D> = CapacityContainerBuilder<Vec<(D, Epoch, isize)>>;
