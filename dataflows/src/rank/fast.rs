//! `rank` of the fast engine: the lists of a worker, by its boards.
//!
//! ```text
//! told cells, by epoch and minute ─▶ counts, read from the arrangement ─┬─▶ boards ─▶ lists
//!                                                                       └─▶ what grew
//! ```
//!
//! When lists are made and told is the same for both engines, see [`crate::rank`].
//!
//! Keeps what [`Boards`] keep, and in the arrangement the minutes that lists still need.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use differential_dataflow::operators::arrange::TraceAgent;
use timely::dataflow::operators::vec::Map;

use crate::ads::Ads;
use crate::count::batch::Told;
use crate::count::fast::{self, Counted, Growing, Reading};
use crate::count::trace::CountTrace;
use crate::filter::{FilterId, Filters};
use crate::gauge::Gauges;
use crate::horizon::Advance;
use crate::options::Options;
use crate::rank::boards::{self, Boards, Grew};
use crate::rank::worker::{self, Lists};
use crate::rank::{List, rank_by};
use crate::time::{Epoch, Minute};
use crate::windows::{Group, Ranked};
use crate::{Stream, Updates};

/// What grew at each epoch, and the lists that it tells.
pub(crate) fn rank<'scope>(
    counted: Counted<'scope>,
    advances: Stream<'scope, Advance>,
    options: &Options,
    gauges: &Gauges,
) -> (Stream<'scope, (Epoch, Growing)>, Updates<'scope, List>) {
    let Counted { counts, ads, needed } = counted;
    let filters = options.filters.clone();
    let told = fast::told(counts.stream).map(move |(epoch, told)| {
        let filters = told.grown.places.iter().map(|place| filters.id_at(*place)).collect();
        (epoch, ToldMinute { told, filters })
    });
    let lists = FastLists {
        counts: Reading::new(counts.trace, gauges.cells.clone()),
        boards: Boards::new(&options.windows, options.top),
        grew: BTreeMap::new(),
        filters: options.filters.clone(),
        ads,
        needed,
    };
    rank_by(lists, told, advances, options, gauges)
}

/// Cells of a minute that get clicks.
#[derive(Clone)]
struct ToldMinute {
    told: Told,
    filters: Rc<[FilterId]>,
}

impl worker::Grown for ToldMinute {
    fn minute(&self) -> Minute {
        self.told.minute
    }

    fn filters(&self) -> Vec<FilterId> {
        self.filters.to_vec()
    }
}

struct FastLists {
    counts: Reading<TraceAgent<CountTrace>>,
    boards: Boards,
    /// What grew at the epoch that is worked on, by minute and the place of the filter.
    grew: BTreeMap<(Minute, u32), Grew>,
    filters: Filters,
    ads: Rc<RefCell<Ads>>,
    /// What the arrangement is told of what is needed.
    needed: Rc<Cell<Minute>>,
}

impl Lists for FastLists {
    type Grown = ToldMinute;
    type Growing = Growing;

    fn learn(&mut self, epoch: Epoch, told: &[ToldMinute]) -> Vec<Growing> {
        let growing = self.counts.learn(epoch, told.iter().map(|told| &told.told));
        self.grew.clear();
        for growing in &growing {
            let grew = self.boards.grew(growing).into_iter();
            self.grew.extend(grew.map(|grew| ((grew.minute(), grew.filter()), grew)));
        }
        growing
    }

    fn correct(
        &mut self,
        told: &ToldMinute,
        filter: FilterId,
        ends: &[Minute],
        mut changed: impl FnMut(Group),
    ) {
        if ends.is_empty() {
            return;
        }
        let place = self.filters.place_of(filter);
        let ads = self.ads.borrow();
        let counted = boards::Counted { minutes: self.counts.minutes(), ads: &ads };
        let grew = &self.grew[&(told.told.minute, place)];
        self.boards.correct(counted, grew, ends, |(_, window, end)| changed((filter, window, end)));
    }

    fn evaluate(&mut self, end: Minute, filters: &BTreeSet<FilterId>) {
        let places = filters.iter().map(|filter| self.filters.place_of(*filter)).collect();
        let ads = self.ads.borrow();
        let counted = boards::Counted { minutes: self.counts.minutes(), ads: &ads };
        self.boards.evaluate(counted, end, Some(&places));
    }

    fn has_clicks(&self, end: Minute) -> bool {
        self.boards.has_clicks(self.counts.minutes(), end)
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
        // Lists are right: what grew would hold the cells of a minute until the next.
        self.grew.clear();
        self.needed.set(self.boards.forget_before(minute));
        // Names are in use as long as the arrangement holds their minutes.
        self.ads.borrow_mut().release_before(self.counts.first_minute().0.into());
    }

    fn minutes_held(&self) -> usize {
        self.counts.minutes().len()
    }
}
