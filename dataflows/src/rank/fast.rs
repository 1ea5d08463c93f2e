//! `rank` of the fast engine: the lists of a worker, by its boards.
//!
//! ```text
//! grown cells, by epoch and minute ─▶ minutes, shared by reference with the arrangement
//!                                       └─▶ boards ─▶ lists
//! ```
//!
//! When lists are made and told is the same for both engines, see [`crate::rank`].
//!
//! Keeps references to the counts of the minutes that lists still need, and what [`Boards`] keep.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use timely::dataflow::operators::vec::Map;

use crate::ads::Ads;
use crate::count::batch::Added;
use crate::count::fast::Grown;
use crate::count::minutes::Minutes;
use crate::filter::{FilterId, Filters};
use crate::gauge::Gauges;
use crate::horizon::Advance;
use crate::options::Options;
use crate::rank::boards::{Boards, Counted, Growth};
use crate::rank::worker::{self, Lists};
use crate::rank::{List, rank_by};
use crate::time::{Epoch, Minute};
use crate::windows::{Group, Ranked};
use crate::{Stream, Updates};

/// The lists that each epoch tells.
pub(crate) fn rank<'scope>(
    grown: Stream<'scope, (Epoch, Rc<Grown>)>,
    ads: Rc<RefCell<Ads>>,
    advances: Stream<'scope, Advance>,
    options: &Options,
    gauges: &Gauges,
) -> Updates<'scope, List> {
    let filters = options.filters.clone();
    let grown = grown.map(move |(epoch, grown)| {
        let filters = grown.added.filters().map(|place| filters.id_at(place)).collect();
        (epoch, GrownMinute { grown, filters, by_filter: OnceCell::new().into() })
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
    grown: Rc<Grown>,
    filters: Rc<[FilterId]>,
    /// By the place of the filter; most are never asked for.
    by_filter: Rc<OnceCell<BTreeMap<u32, Vec<Growth>>>>,
}

impl GrownMinute {
    /// The growth of each cell under the filter at `place`.
    fn growths(&self, place: u32) -> &[Growth] {
        let minute = self.grown.minute;
        let by_filter = self.by_filter.get_or_init(|| {
            let mut by_filter: BTreeMap<u32, Vec<Growth>> = BTreeMap::new();
            for (Added { name, place, clicks, .. }, was) in &self.grown.cells {
                let clicks = was + u64::from(*clicks);
                let growth = Growth { minute, filter: *place, name: *name, clicks, was: *was };
                by_filter.entry(*place).or_default().push(growth);
            }
            by_filter
        });
        by_filter.get(&place).map_or(&[], Vec::as_slice)
    }
}

impl worker::Grown for GrownMinute {
    fn minute(&self) -> Minute {
        self.grown.minute
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

impl Lists for FastLists {
    type Grown = GrownMinute;

    fn learn(&mut self, grown: &[GrownMinute]) {
        for GrownMinute { grown, .. } in grown {
            self.minutes.add(grown.minute, Rc::clone(&grown.added));
        }
        for grown in grown {
            for place in grown.grown.added.filters() {
                if self.boards.touches(grown.grown.minute, place) {
                    grown.growths(place).iter().for_each(|growth| self.boards.grew(growth));
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
        for growth in grown.growths(place) {
            let changed = |(_, window, end)| changed((filter, window, end));
            self.boards.correct(counted, growth, ends, changed);
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
