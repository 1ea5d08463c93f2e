//! `rank` of the fast engine: the lists of a worker, by its boards.
//!
//! ```text
//! counts ─▶ by epoch and minute ─▶ minutes, shared by reference with the arrangement
//!                                    └─▶ boards ─▶ lists
//! ```
//!
//! When lists are made and told is the same for both engines, see [`crate::rank`].
//!
//! Keeps references to the counts of the minutes that lists still need, and what [`Boards`] keep.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use timely::dataflow::operators::vec::Map;

use crate::ads::Ads;
use crate::count::batch::Told;
use crate::count::fast::Counts;
use crate::count::minutes::Minutes;
use crate::count::sealed::Sealed;
use crate::filter::{FilterId, Filters};
use crate::gauge::Gauges;
use crate::horizon::Advance;
use crate::options::Options;
use crate::rank::boards::{Boards, Counted, Growth};
use crate::rank::worker::{Grown, Lists};
use crate::rank::{List, rank_by};
use crate::time::Minute;
use crate::windows::{Group, Ranked};
use crate::{Stream, Updates};

/// The lists that each epoch tells.
pub(crate) fn rank<'scope>(
    counts: Counts<'scope>,
    ads: Rc<RefCell<Ads>>,
    advances: Stream<'scope, Advance>,
    options: &Options,
    gauges: &Gauges,
) -> Updates<'scope, List> {
    let filters = options.filters.clone();
    let grown = counts.stream.flat_map(move |span| {
        let told: Vec<Told> = span.inner.map(|batch| batch.told.clone()).unwrap_or_default();
        let filters = filters.clone();
        told.into_iter().map(move |Told { epoch, minute, added, .. }| {
            let ids = added.filters().map(|place| filters.id_at(place)).collect();
            (epoch, GrownMinute { minute, filters: ids, added })
        })
    });
    let lists = FastLists {
        minutes: Minutes::default(),
        boards: Boards::new(&options.windows, options.top),
        filters: options.filters.clone(),
        ads,
    };
    rank_by(lists, grown, advances, options, gauges)
}

/// Cells of a minute that grew.
#[derive(Clone)]
struct GrownMinute {
    minute: Minute,
    filters: Rc<[FilterId]>,
    added: Rc<Sealed>,
}

impl Grown for GrownMinute {
    fn minute(&self) -> Minute {
        self.minute
    }

    fn filters(&self) -> Vec<FilterId> {
        self.filters.to_vec()
    }
}

struct FastLists {
    minutes: Minutes,
    boards: Boards,
    filters: Filters,
    ads: Rc<RefCell<Ads>>,
}

impl FastLists {
    /// The growth of each cell of `grown` under the filter at `place`, once the minutes have it.
    fn growths(minutes: &Minutes, grown: &GrownMinute, place: u32) -> impl Iterator<Item = Growth> {
        let minute = grown.minute;
        grown.added.cells(place).map(move |(name, added)| {
            let clicks = minutes.clicks(minute, place, name);
            Growth { minute, filter: place, name, clicks, was: clicks - u64::from(added) }
        })
    }
}

impl Lists for FastLists {
    type Grown = GrownMinute;

    fn learn(&mut self, grown: &[GrownMinute]) {
        for GrownMinute { minute, added, .. } in grown {
            self.minutes.add(*minute, Rc::clone(added));
        }
        for grown in grown {
            for place in grown.added.filters() {
                if self.boards.touches(grown.minute, place) {
                    let growths = FastLists::growths(&self.minutes, grown, place);
                    growths.for_each(|growth| self.boards.grew(&growth));
                }
            }
        }
    }

    fn correct(
        &mut self,
        grown: &GrownMinute,
        filter: FilterId,
        ends: &[Minute],
        mut changed: impl FnMut(Group),
    ) {
        if ends.is_empty() {
            return;
        }
        let place = self.filters.place_of(filter);
        let ads = self.ads.borrow();
        let counted = Counted { minutes: &self.minutes, ads: &ads };
        for growth in FastLists::growths(&self.minutes, grown, place) {
            let changed = |(_, window, end)| changed((filter, window, end));
            self.boards.correct(counted, &growth, ends, changed);
        }
    }

    fn evaluate(&mut self, end: Minute, filters: &BTreeSet<FilterId>) {
        let places = filters.iter().map(|filter| self.filters.place_of(*filter)).collect();
        let ads = self.ads.borrow();
        let counted = Counted { minutes: &self.minutes, ads: &ads };
        self.boards.evaluate(counted, end, Some(&places));
    }

    fn has_clicks(&self, end: Minute) -> bool {
        self.boards.has_clicks(&self.minutes, end)
    }

    fn list(&self, (filter, window, end): Group) -> Vec<Ranked> {
        let ads = self.ads.borrow();
        let list = self.boards.list((self.filters.place_of(filter), window, end));
        list.iter().map(|(clicks, name)| (*clicks, ads.id(*name))).collect()
    }

    fn groups(&self, end: Minute) -> Vec<Group> {
        let groups = self.boards.groups(end).into_iter();
        groups.map(|(place, window, end)| (self.filters.id_at(place), window, end)).collect()
    }

    fn forget_before(&mut self, minute: Minute) {
        let needed = self.boards.forget_before(minute);
        self.minutes.forget_before(needed);
        self.ads.borrow_mut().release_before(needed.0.into());
    }

    fn minutes_held(&self) -> usize {
        self.minutes.len()
    }
}
