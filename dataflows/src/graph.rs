//! The whole system as one dataflow.
//!
//! ```text
//!     ingest         records of Kafka, files or the raw log, decoded and clocked
//!        │  └──────────────▶ notes     positions, clocks, marks
//!     split ───────────────▶ rejects
//!        │ clicks
//!     keep_first ──────────▶ tallies   a click delivered twice counts once
//!        │
//!     match_filters
//!        │ cells             (minute, filter, ad)
//!     settle                 combined per worker until they are told
//!        │
//!     count ───────────────▶ counts
//!        │
//!     rank ────────────────▶ ranks
//! ```
//!
//! A click's *minute* says when it happened and is part of the key. Its *epoch* says when the
//! graph learnt of it and is the timely timestamp. A late click is thus an ordinary update: an old
//! minute changes at a new epoch.

use std::rc::Rc;

use timely::dataflow::Scope;
use timely::dataflow::operators::Concat;

use crate::click::Reject;
use crate::count::changes::{self, PackedChange};
use crate::count::{self, count};
use crate::gauge::Gauges;
use crate::horizon::{Advance, advances};
use crate::ingest::{Ingest, ingest};
use crate::keep_first::arrivals::{PackedArrival, packed};
use crate::keep_first::seen::SeenClicks;
use crate::keep_first::{self, Tally, keep_first};
use crate::match_filters::match_filters;
use crate::options::{Engine, Options};
use crate::rank::{self, List, rank};
use crate::settle::settle;
use crate::split::{Arrival, split};
use crate::time::Epoch;
use crate::{Notes, PackedStream, Stream, Updates};

/// Everything the graph tells the outside world.
pub struct Outputs<'scope> {
    /// Changed counts of cells.
    pub counts: PackedStream<'scope, PackedChange>,
    /// Lists of the most clicked ads.
    pub ranks: Updates<'scope, List>,
    /// Records that are not clicks.
    pub rejects: Updates<'scope, Reject>,
    /// How many clicks of each kind there were.
    pub tallies: Updates<'scope, Tally>,
    /// Where the partitions stand, and what was decided of them.
    pub notes: Notes<'scope>,
}

/// Assembles the graph on this worker. All workers must assemble the same graph. `seen` is where
/// the fast engine keeps the clicks that it has seen: none yet.
pub fn assemble<'scope>(
    scope: Scope<'scope, Epoch>,
    seen: SeenClicks,
    options: &Options,
    gauges: &Gauges,
) -> (Ingest, Outputs<'scope>) {
    let (ingest, entries, notes) = ingest(scope, options);
    let advances = advances(notes.clone(), options);

    let (clicks, rejects) = split(entries.entries, advances.clone(), options);
    let (counts, ranks, tallies) = match options.engine {
        Engine::Simple => simple(clicks, advances, options, gauges),
        Engine::Fast => fast(entries.arrivals, clicks, advances, seen, options, gauges),
    };

    (ingest, Outputs { counts, ranks, rejects, tallies, notes })
}

/// What becomes of clicks: changed counts, lists, tallies.
type Told<'scope> =
    (PackedStream<'scope, PackedChange>, Updates<'scope, List>, Updates<'scope, Tally>);

/// The stages as differential operators over whole clicks.
fn simple<'scope>(
    clicks: Updates<'scope, Arrival>,
    advances: Stream<'scope, Advance>,
    options: &Options,
    gauges: &Gauges,
) -> Told<'scope> {
    let (clicks, tallies) = keep_first(clicks, advances.clone(), options, gauges);
    let cells = match_filters(clicks, &options.filters);
    let cells = settle(cells, options);
    let counts = count(cells, advances.clone(), options, gauges);
    let ranks = rank(counts.clone(), advances, options, gauges);
    (changes::packed(counts, options), ranks, tallies)
}

/// The same stages over rows of fixed width, the first three of them as one.
fn fast<'scope>(
    arrivals: PackedStream<'scope, PackedArrival>,
    lifted: Updates<'scope, Arrival>,
    advances: Stream<'scope, Advance>,
    seen: SeenClicks,
    options: &Options,
    gauges: &Gauges,
) -> Told<'scope> {
    let arrivals = arrivals.concat(packed(lifted, options));
    let (cells, tallies) =
        keep_first::fast::keep_first(arrivals, advances.clone(), seen, options, gauges);
    let counted = count::fast::count(cells, advances.clone(), options);
    let ads = Rc::clone(&counted.ads);
    let (growing, ranks) = rank::fast::rank(counted, advances, options, gauges);
    let changes = count::fast::changes(growing, ads, options);
    (changes, ranks, tallies)
}

#[cfg(test)]
mod laws;
