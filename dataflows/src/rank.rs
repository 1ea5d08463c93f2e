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

#[cfg_attr(not(test), expect(dead_code, reason = "the fast engine is joined to the graph next"))]
pub(crate) mod boards;

use std::collections::{BTreeMap, BTreeSet};

use differential_dataflow::Hashable;
use serde::{Deserialize, Serialize};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::generic::operator::{Operator, empty};
use timely::dataflow::operators::vec::{Broadcast, Map};

use crate::count::Change;
use crate::filter::FilterId;
use crate::gauge::{Gauge, Gauges};
use crate::held::{Held, open_from};
use crate::horizon::{Advance, Horizon};
use crate::options::{Emit, Options};
use crate::time::{Epoch, Minute};
use crate::windows::{Group, Ranked, Windows};
use crate::{Stream, Updates};

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
    let opened = opened(changes.clone(), options);
    let parts = rank_worker(changes, opened, advances.clone(), options, gauges.minutes.clone());
    rank_all(parts, advances, options)
}

/// A minute has its first click of a filter, at an epoch.
type Opened = (Epoch, Minute, FilterId);

/// The first click of each minute and filter, told to all workers if lists of open minutes are.
fn opened<'scope>(changes: Updates<'scope, Change>, options: &Options) -> Stream<'scope, Opened> {
    if options.emit == Emit::Final {
        return empty(changes.scope());
    }
    let mut known: BTreeSet<(Minute, FilterId)> = BTreeSet::new();
    let opened = changes.inner.flat_map(move |(Change { cell, .. }, epoch, _)| {
        // To forget one is to tell it again, which does no harm.
        while known.len() > 100_000 {
            known.pop_first();
        }
        let first = known.insert((cell.minute, cell.filter));
        first.then_some((epoch, cell.minute, cell.filter))
    });
    opened.broadcast()
}

/// A worker's part of a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Part {
    worker: usize,
    list: List,
}

/// What a told epoch brings to a worker.
#[derive(Default)]
struct Work {
    changes: Vec<Change>,
    opened: BTreeSet<(Minute, FilterId)>,
}

/// The lists over the ads of this worker.
fn rank_worker<'scope>(
    changes: Updates<'scope, Change>,
    opened: Stream<'scope, Opened>,
    advances: Stream<'scope, Advance>,
    options: &Options,
    minutes_held: Gauge,
) -> Updates<'scope, Part> {
    let scope = changes.scope();
    let worker = scope.index();
    let mut builder = OperatorBuilder::new("RankWorker".to_owned(), scope);
    let mut changes = builder.new_input(changes.inner, Pipeline);
    let mut opened = builder.new_input(opened, Pipeline);
    let mut advances = builder.new_input(advances, Pipeline);
    let (output, parts) = builder.new_output();
    let mut output = OutputBuilder::<Epoch, Builder<Part>>::from(output);
    let mut ranking = Ranking::new(options);
    let mut work = Held::<Work>::new();
    let mut horizon = Horizon::default();
    builder.build(move |_| {
        move |frontiers| {
            advances.for_each(|_, data| data.iter().for_each(|advance| horizon.note(advance)));
            opened.for_each(|time, data| {
                let Some(time) = time.retain_least(0) else { return };
                for (epoch, minute, filter) in data.drain(..) {
                    work.at(epoch, &time).opened.insert((minute, filter));
                }
            });
            changes.for_each(|time, data| {
                let Some(time) = time.retain_least(0) else { return };
                for (change, epoch, _) in data.drain(..) {
                    work.at(epoch, &time).changes.push(change);
                }
            });
            let open = frontiers.iter().map(open_from).min().expect("there are three inputs");
            // Only the input's own frontier says that it has ended: that of changes may go on
            // for what expires.
            let last = match open_from(&frontiers[2]) {
                Epoch::MAX => horizon.last_minute(&ranking.options),
                _ => Minute(u32::MAX),
            };
            let mut output = output.activate();
            while let Some((epoch, time, Work { changes, opened })) = work.take_closed(open) {
                let held = ranking.windows.minutes_held() as u64;
                let told = ranking.take(epoch, &changes, opened, last);
                ranking.wake(epoch, &changes, last, &time, &mut work);
                let told = told.into_iter().map(|group| {
                    let ads = ranking.windows.list(group).to_vec();
                    (Part { worker, list: List { group, ads } }, epoch, 1)
                });
                output.session_with_builder(&time).give_iterator(told);
                let learnt = epoch.saturating_sub(ranking.options.told_within()) + 1;
                ranking.forget_before(horizon.first_minute(learnt, &ranking.options));
                minutes_held.sub(held);
                minutes_held.add(ranking.windows.minutes_held() as u64);
            }
        }
    });
    Updates::new(parts)
}

/// A worker's windows, and which lists of theirs are told.
struct Ranking {
    windows: Windows,
    /// Minutes and filters whose lists are told before the minute settles.
    opened: BTreeSet<(Minute, FilterId)>,
    options: Options,
}

impl Ranking {
    fn new(options: &Options) -> Ranking {
        Ranking {
            windows: Windows::new(&options.windows, options.top),
            opened: BTreeSet::new(),
            options: options.clone(),
        }
    }

    /// Learns what `epoch` brings; the groups whose lists it tells, up to minute `last`.
    fn take(
        &mut self,
        epoch: Epoch,
        changes: &[Change],
        opened: BTreeSet<(Minute, FilterId)>,
        last: Minute,
    ) -> BTreeSet<Group> {
        let mut told = BTreeSet::new();
        for Change { cell, clicks, was } in changes {
            self.windows.add(cell, clicks - was);
        }
        for Change { cell, .. } in changes {
            let ends = cell.minute.0..cell.minute.plus(self.options.window_max()).0;
            let ends: Vec<Minute> = ends
                .map(Minute)
                .filter(|end| *end <= last && self.has_lists(*end, cell.filter, epoch))
                .collect();
            self.windows.correct(cell, &ends, |group| {
                told.insert(group);
            });
        }
        let unsettled = self.options.first_unsettled(epoch);
        let mut new: BTreeMap<Minute, BTreeSet<FilterId>> = BTreeMap::new();
        for (minute, filter) in opened {
            if self.options.settle(minute) >= epoch && self.opened.insert((minute, filter)) {
                new.entry(minute).or_default().insert(filter);
            }
        }
        let settled = unsettled.minus(1);
        if self.options.settle(settled) == epoch && settled <= last {
            let open = self.options.filters.ids();
            let open = open.filter(|filter| !self.opened.contains(&(settled, *filter)));
            new.entry(settled).or_default().extend(open);
            told.extend(self.windows.groups(settled));
        }
        for (minute, filters) in new {
            if self.windows.has_clicks(minute) {
                self.windows.evaluate(minute, Some(&filters));
                let groups = self.windows.groups(minute).into_iter();
                told.extend(groups.filter(|(filter, _, _)| filters.contains(filter)));
            }
        }
        told
    }

    /// Whether the lists of `filter` that end with `end` were told before `epoch`, empty ones too.
    fn has_lists(&self, end: Minute, filter: FilterId, epoch: Epoch) -> bool {
        self.options.settle(end) < epoch || self.opened.contains(&(end, filter))
    }

    /// Makes sure that the next minute to settle finds this worker at work, if it has clicks.
    fn wake(
        &self,
        epoch: Epoch,
        changes: &[Change],
        last: Minute,
        time: &Capability<Epoch>,
        work: &mut Held<Work>,
    ) {
        let next = self.options.first_unsettled(epoch);
        let longest = self.options.window_max();
        let minutes: BTreeSet<Minute> = changes.iter().map(|change| change.cell.minute).collect();
        let ends = minutes.into_iter().filter(|minute| minute.plus(longest) > next);
        let ends = ends.map(|minute| minute.max(next));
        let after = Some(next).filter(|end| self.windows.has_clicks(*end));
        for end in ends.chain(after).filter(|end| *end <= last) {
            work.at(self.options.settle(end), time);
        }
    }

    fn forget_before(&mut self, minute: Minute) {
        self.windows.forget_before(minute);
        self.opened = self.opened.split_off(&(minute, 0));
    }
}

/// A list of all workers.
#[derive(Default)]
struct Whole {
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
                    let mut changed = BTreeSet::new();
                    for Part { worker, list: List { group: (filter, window, minute), ads } } in
                        parts
                    {
                        let whole = wholes.entry((minute, filter, window)).or_default();
                        whole.parts.insert(worker, ads);
                        changed.insert((minute, filter, window));
                    }
                    let mut session = output.session(&time);
                    for (minute, filter, window) in changed {
                        let whole = wholes.entry((minute, filter, window)).or_default();
                        let ads = whole.first(options.top);
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
