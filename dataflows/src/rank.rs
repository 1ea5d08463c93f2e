//! The most clicked ads of each filter and window.
//!
//! ```text
//! changes ─┬──────────────▶ lists of each worker ─exchange by group─▶ lists of all ─▶ ranks
//!          └─ opened ─▶ all ┘
//! advances ────────────────┘
//! ```
//!
//! An ad lives on one worker, so its sums are whole there, and the first of all are among the
//! first of each. A list is made when its minute settles (`emit = "changes"`: when its minute gets
//! its first click anywhere), and put right by each later change.
//!
//! Keeps what [`Windows`] keeps, and of each list the workers' parts and what was told last.

use std::collections::{BTreeMap, BTreeSet};

use differential_dataflow::Hashable;
use serde::{Deserialize, Serialize};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::generic::operator::{Operator, empty};
use timely::dataflow::operators::vec::{Broadcast, Map};

use crate::count::Change;
use crate::filter::FilterId;
use crate::gauge::Gauges;
use crate::held::{Held, open_from};
use crate::horizon::{Advance, Horizon};
use crate::options::{Emit, Options};
use crate::time::{Epoch, Minute};
use crate::windows::{Group, Ranked, Windows};
use crate::{Stream, Updates};

pub(crate) mod boards;
pub(crate) mod fast;
mod simple;
mod worker;

use worker::{Grown, Lists, rank_worker};

/// A list as it is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct List {
    /// Its filter, window and last minute.
    pub group: Group,
    /// Most clicks first, then the least id.
    pub ads: Vec<Ranked>,
}

/// The lists that each epoch tells.
pub fn rank<'scope>(
    changes: Updates<'scope, Change>,
    advances: Stream<'scope, Advance>,
    options: &Options,
    gauges: &Gauges,
) -> Updates<'scope, List> {
    let windows = Windows::new(&options.windows, options.top);
    let grown = changes.inner.map(|(change, epoch, _)| (epoch, change));
    rank_by(windows, grown, advances, options, gauges).1
}

/// What grew and the lists that each epoch tells, of what `grown` says, each worker's made by
/// `lists`.
fn rank_by<'scope, L: Lists>(
    lists: L,
    grown: Stream<'scope, (Epoch, L::Grown)>,
    advances: Stream<'scope, Advance>,
    options: &Options,
    gauges: &Gauges,
) -> (Stream<'scope, (Epoch, L::Growing)>, Updates<'scope, List>) {
    let opened = opened(grown.clone(), options);
    let minutes_held = gauges.minutes.clone();
    let (growing, parts) =
        rank_worker(lists, grown, opened, advances.clone(), options, minutes_held);
    (growing, rank_all(parts, advances, options))
}

/// A minute has its first click of a filter, at an epoch.
type Opened = (Epoch, Minute, FilterId);

/// The first click of each minute and filter, told to all workers if lists of open minutes are.
fn opened<'scope, G: Grown>(
    grown: Stream<'scope, (Epoch, G)>,
    options: &Options,
) -> Stream<'scope, Opened> {
    if options.emit == Emit::Final {
        return empty(grown.scope());
    }
    let mut known: BTreeSet<(Minute, FilterId)> = BTreeSet::new();
    let opened = grown.flat_map(move |(epoch, grown)| {
        // To forget one is to tell it again, which does no harm.
        while known.len() > 100_000 {
            known.pop_first();
        }
        let minute = grown.minute();
        let first = grown.filters().into_iter().filter(|filter| known.insert((minute, *filter)));
        let first: Vec<FilterId> = first.collect();
        first.into_iter().map(move |filter| (epoch, minute, filter))
    });
    opened.broadcast()
}

/// A worker's part of a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Part {
    worker: usize,
    list: List,
}

/// A list of all workers.
#[derive(Default)]
struct Whole {
    /// What each worker told, if there are several.
    parts: BTreeMap<usize, Vec<Ranked>>,
    told: Vec<Ranked>,
}

/// The lists over the ads of all workers.
fn rank_all<'scope>(
    parts: Updates<'scope, Part>,
    advances: Stream<'scope, Advance>,
    options: &Options,
) -> Updates<'scope, List> {
    let by_group = Exchange::new(|(part, _, _): &(Part, Epoch, isize)| part.list.group.hashed());
    let options = options.clone();
    let workers = parts.inner.scope().peers();
    let lists = parts.inner.binary_frontier::<_, Builder<List>, _, _, _, _>(
        advances,
        by_group,
        Pipeline,
        "RankAll",
        move |_, _| {
            let mut held = Held::<Vec<Part>>::new();
            let mut horizon = Horizon::default();
            let mut wholes: BTreeMap<(Minute, FilterId, u32), Whole> = BTreeMap::new();
            move |(parts, open_parts), (advances, open_advances), output| {
                advances.for_each(|_, data| data.iter().for_each(|advance| horizon.note(advance)));
                parts.for_each(|time, data| {
                    let Some(time) = time.retain_least(0) else { return };
                    for (part, epoch, _) in data.drain(..) {
                        held.at(epoch, &time).push(part);
                    }
                });
                let open = open_from(open_parts).min(open_from(open_advances));
                while let Some((epoch, time, parts)) = held.take_closed(open) {
                    let mut changed = BTreeMap::new();
                    for Part { worker, list: List { group, ads } } in parts {
                        let (filter, window, minute) = group;
                        let whole = wholes.entry((minute, filter, window)).or_default();
                        if workers == 1 {
                            changed.insert((minute, filter, window), ads);
                        } else {
                            whole.parts.insert(worker, ads);
                            changed.insert((minute, filter, window), Vec::new());
                        }
                    }
                    let mut session = output.session(&time);
                    for ((minute, filter, window), mut ads) in changed {
                        let whole = wholes.entry((minute, filter, window)).or_default();
                        if workers > 1 {
                            ads = whole.first(options.top);
                        }
                        if options.settle(minute) == epoch || ads != whole.told {
                            whole.told.clone_from(&ads);
                            let group = (filter, window, minute);
                            session.give((List { group, ads }, epoch, 1));
                        }
                    }
                    let learnt = epoch.saturating_sub(options.told_within()) + 1;
                    let minute = horizon.first_minute(learnt, &options);
                    wholes = wholes.split_off(&(minute, 0, 0));
                }
            }
        },
    );
    Updates::new(lists)
}

impl Whole {
    /// The first of all parts.
    fn first(&self, top: usize) -> Vec<Ranked> {
        let mut ads: Vec<Ranked> = self.parts.values().flatten().cloned().collect();
        ads.sort_unstable();
        ads.truncate(top);
        ads
    }
}

type Builder<D> = CapacityContainerBuilder<Vec<(D, Epoch, isize)>>;
