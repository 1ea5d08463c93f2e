//! The first round of `rank`: the lists over the ads of one worker.
//!
//! When a list is made, put right and told is decided here, for both engines; the lists themselves
//! are those of [`Lists`].

use std::collections::{BTreeMap, BTreeSet};

use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use crate::filter::FilterId;
use crate::gauge::Gauge;
use crate::held::{Held, open_from};
use crate::horizon::{Advance, Horizon};
use crate::options::Options;
use crate::rank::{List, Opened, Part};
use crate::time::{Epoch, Minute};
use crate::windows::{Group, Ranked};
use crate::{Stream, Updates};

/// Cells of one minute that grew at one epoch.
pub(super) trait Grown: Clone + 'static {
    /// Their minute.
    fn minute(&self) -> Minute;

    /// The filters that they are of.
    fn filters(&self) -> Vec<FilterId>;
}

/// The lists of a worker: the simple windows, or the boards of the fast engine.
pub(super) trait Lists: 'static {
    /// What they learn.
    type Grown: Grown;

    /// What they tell of it to others.
    type Growing: Clone + 'static;

    /// Learns what an epoch brings; what others are to know of it.
    fn learn(&mut self, epoch: Epoch, grown: &[Self::Grown]) -> Vec<Self::Growing>;

    /// Puts right the lists of `filter` and `ends` that hold a cell of `grown`; tells which changed.
    fn correct(
        &mut self,
        grown: &Self::Grown,
        filter: FilterId,
        ends: &[Minute],
        changed: impl FnMut(Group),
    );

    /// Makes the lists of `filters` that end with `end`.
    fn evaluate(&mut self, end: Minute, filters: &BTreeSet<FilterId>);

    /// Whether the longest window that ends with `end` has a click.
    fn has_clicks(&self, end: Minute) -> bool;

    /// The list of `group`, empty if it never had an ad.
    fn list(&self, group: Group) -> Vec<Ranked>;

    /// The filters and windows that have a list which ends with `end`.
    fn groups(&self, end: Minute) -> Vec<Group>;

    /// Drops the lists that end before `minute`, and the counts that no later list needs.
    fn forget_before(&mut self, minute: Minute);

    /// Minutes held.
    fn minutes_held(&self) -> usize;
}

/// What a told epoch brings to a worker.
struct Work<G> {
    grown: Vec<G>,
    /// The right to tell what grew.
    growing_time: Option<Capability<Epoch>>,
    opened: BTreeSet<(Minute, FilterId)>,
}

impl<G> Default for Work<G> {
    fn default() -> Work<G> {
        Work { grown: Vec::new(), growing_time: None, opened: BTreeSet::new() }
    }
}

/// What grew, and the lists over the ads of this worker, made by `lists` from what `grown` says.
pub(super) fn rank_worker<'scope, L: Lists>(
    lists: L,
    grown: Stream<'scope, (Epoch, L::Grown)>,
    opened: Stream<'scope, Opened>,
    advances: Stream<'scope, Advance>,
    options: &Options,
    minutes_held: Gauge,
) -> (Stream<'scope, (Epoch, L::Growing)>, Updates<'scope, Part>) {
    let scope = grown.scope();
    let worker = scope.index();
    let mut builder = OperatorBuilder::new("RankWorker".to_owned(), scope);
    let mut grown = builder.new_input(grown, Pipeline);
    let mut opened = builder.new_input(opened, Pipeline);
    let mut advances = builder.new_input(advances, Pipeline);
    let (output, parts) = builder.new_output();
    let (growing_output, growing) = builder.new_output();
    let mut output = OutputBuilder::<Epoch, Builder<(Part, Epoch, isize)>>::from(output);
    let mut growing_output =
        OutputBuilder::<Epoch, Builder<(Epoch, L::Growing)>>::from(growing_output);
    let options = options.clone();
    let mut ranking = Ranking { lists, opened: BTreeSet::new(), options, minutes_held, held: 0 };
    let mut work = Held::<Work<L::Grown>>::new();
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
            grown.for_each(|time, data| {
                let times = time.retain_least(0).zip(time.retain_least(1));
                let Some((time, growing_time)) = times else { return };
                for (epoch, grown) in data.drain(..) {
                    let work = work.at(epoch, &time);
                    work.growing_time.get_or_insert_with(|| growing_time.delayed(&epoch));
                    work.grown.push(grown);
                }
            });
            let open = frontiers.iter().map(open_from).min().expect("there are three inputs");
            // Only the input's own frontier says that it has ended: that of changes may go on
            // for what expires.
            let last = match open_from(&frontiers[2]) {
                Epoch::MAX => horizon.last_minute(&ranking.options),
                _ => Minute(u32::MAX),
            };
            let (mut output, mut growing_output) = (output.activate(), growing_output.activate());
            while let Some((epoch, time, Work { grown, growing_time, opened })) =
                work.take_closed(open)
            {
                let growing = ranking.lists.learn(epoch, &grown);
                if let Some(time) = growing_time {
                    let growing = growing.into_iter().map(|growing| (epoch, growing));
                    growing_output.session_with_builder(&time).give_iterator(growing);
                }
                let told = ranking.take(epoch, &grown, opened, last);
                ranking.wake(epoch, &grown, last, &time, &mut work);
                let told = told.into_iter().map(|group| {
                    let ads = ranking.lists.list(group);
                    (Part { worker, list: List { group, ads } }, epoch, 1)
                });
                output.session_with_builder(&time).give_iterator(told);
                let learnt = epoch.saturating_sub(ranking.options.told_within()) + 1;
                ranking.forget_before(horizon.first_minute(learnt, &ranking.options));
            }
        }
    });
    (growing, Updates::new(parts))
}

/// A worker's lists, and which of theirs are told.
struct Ranking<L> {
    lists: L,
    /// Minutes and filters whose lists are told before the minute settles.
    opened: BTreeSet<(Minute, FilterId)>,
    options: Options,
    minutes_held: Gauge,
    /// What it shows of this worker.
    held: u64,
}

impl<L: Lists> Ranking<L> {
    /// Puts right the lists that `epoch` changes; the groups whose lists it tells, up to minute `last`.
    fn take(
        &mut self,
        epoch: Epoch,
        grown: &[L::Grown],
        opened: BTreeSet<(Minute, FilterId)>,
        last: Minute,
    ) -> BTreeSet<Group> {
        let mut told = BTreeSet::new();
        // Later lists were not told yet.
        let newest = self.opened.last().map(|(minute, _)| *minute);
        let newest = newest.max(Some(self.options.first_unsettled(epoch))).min(Some(last));
        for grown in grown {
            let minute = grown.minute();
            let until = minute.plus(self.options.window_max());
            let until = newest.map_or(until, |newest| until.min(newest.plus(1)));
            for filter in grown.filters() {
                let ends = (minute.0..until.0).map(Minute);
                let ends: Vec<Minute> =
                    ends.filter(|end| self.has_lists(*end, filter, epoch)).collect();
                self.lists.correct(grown, filter, &ends, |group| {
                    told.insert(group);
                });
            }
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
            told.extend(self.lists.groups(settled));
        }
        for (minute, filters) in new {
            if self.lists.has_clicks(minute) {
                self.lists.evaluate(minute, &filters);
                let groups = self.lists.groups(minute).into_iter();
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
        grown: &[L::Grown],
        last: Minute,
        time: &Capability<Epoch>,
        work: &mut Held<Work<L::Grown>>,
    ) {
        let next = self.options.first_unsettled(epoch);
        let longest = self.options.window_max();
        let minutes: BTreeSet<Minute> = grown.iter().map(Grown::minute).collect();
        let ends = minutes.into_iter().filter(|minute| minute.plus(longest) > next);
        let ends = ends.map(|minute| minute.max(next));
        let after = Some(next).filter(|end| self.lists.has_clicks(*end));
        for end in ends.chain(after).filter(|end| *end <= last) {
            work.at(self.options.settle(end), time);
        }
    }

    fn forget_before(&mut self, minute: Minute) {
        self.lists.forget_before(minute);
        self.opened = self.opened.split_off(&(minute, 0));
        self.minutes_held.sub(self.held);
        self.held = self.lists.minutes_held() as u64;
        self.minutes_held.add(self.held);
    }
}

type Builder<D> = CapacityContainerBuilder<Vec<D>>;
