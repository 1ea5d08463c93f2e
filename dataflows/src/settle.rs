//! Clicks wait for the epoch at which they are told, and are combined meanwhile.
//!
//! ```text
//! (cell, epoch, 1) … ─▶ (cell, told_at(epoch, minute), clicks)
//! ```
//!
//! Each worker adds up its own clicks before any are exchanged, so a hot ad costs one update per
//! worker and told epoch, however many clicks it gets.
//!
//! Keeps each untold cell once per told epoch, until that is closed.

use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::operator::Operator;

use crate::Updates;
use crate::held::{Held, Table, open_from};
use crate::match_filters::Cell;
use crate::options::Options;
use crate::time::Epoch;

/// The clicks of each cell, at the epochs at which they are told.
pub fn settle<'scope>(cells: Updates<'scope, Cell>, options: &Options) -> Updates<'scope, Cell> {
    let options = options.clone();
    let told = cells.inner.unary_frontier::<Builder, _, _, _>(Pipeline, "Settle", move |_, _| {
        let mut untold = Held::<Table<Cell, isize>>::new();
        move |(cells, open), output| {
            cells.for_each(|time, data| {
                let Some(time) = time.retain_least(0) else { return };
                for (cell, epoch, clicks) in data.drain(..) {
                    let told_at = options.told_at(epoch, cell.minute);
                    *untold.at(told_at, &time).entry(cell).or_default() += clicks;
                }
            });
            while let Some((told_at, time, cells)) = untold.take_closed(open_from(open)) {
                let updates = cells.into_iter().map(|(cell, clicks)| (cell, told_at, clicks));
                output.session(&time).give_iterator(updates);
            }
        }
    });
    Updates::new(told)
}

type Builder = CapacityContainerBuilder<Vec<(Cell, Epoch, isize)>>;
