//! Cells of the fast engine on their way into the arrangement, as batches.
//!
//! ```text
//! cells ─▶ batcher ─▶ batch: what each closed epoch told of each minute, in the order of ids
//!                        └─▶ trace: batches that all readers have passed, as one, by minute
//! ```
//!
//! What an epoch told of a minute is put in order once, and shared by reference with all readers.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use differential_dataflow::batcher::{Batcher, Extract};
use timely::progress::Antichain;
use timely::progress::frontier::AntichainRef;

use crate::ads::{Ads, Head, Name};
use crate::count::minutes::Minutes;
use crate::horizon::Horizon;
use crate::keep_first::fast::{PackedCell, PackedCells};
use crate::options::Options;
use crate::time::{Epoch, Minute};

/// What an epoch told of a minute.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) epoch: Epoch,
    pub(crate) minute: Minute,
    /// The first minute that has not settled at this epoch.
    pub(crate) unsettled: Minute,
    pub(crate) grown: Rc<Grown>,
}

/// Cells of a minute that got clicks.
#[derive(Debug)]
pub(crate) struct Grown {
    /// In the order in which they are told: by id, then by filter.
    pub(crate) cells: Vec<Added>,
    /// The places of their filters, ascending.
    pub(crate) places: Vec<u32>,
}

/// What a range of epochs told.
#[derive(Clone, Default)]
pub(crate) struct Batch {
    /// By epoch and minute; nothing in the batch of what all readers have passed.
    pub(crate) told: Vec<Told>,
    /// By minute what all readers have passed; nothing in other batches.
    pub(crate) minutes: Minutes,
    /// Nobody needs the minutes before.
    pub(crate) forget_before: Minute,
}

impl Batch {
    /// Adds what a later batch told to what all readers have passed, and forgets what it says.
    pub(super) fn absorb(&mut self, later: &Batch) {
        for of_epoch in later.told.chunk_by(|a, b| a.epoch == b.epoch) {
            for Told { minute, unsettled, grown, .. } in of_epoch {
                let cells = grown.cells.iter();
                let cells = cells.map(|cell| (cell.place, cell.name, cell.clicks));
                self.minutes.add(*minute, cells, *minute < *unsettled);
            }
            self.minutes.seal_before(of_epoch[0].unsettled);
        }
        self.forget_before = self.forget_before.max(later.forget_before);
        self.minutes.forget_before(self.forget_before);
    }

    /// What `batches`, which follow each other from the first epoch on, told by minute.
    pub(super) fn joined(batches: Vec<Rc<Batch>>) -> Rc<Batch> {
        let mut batches = batches.into_iter().peekable();
        let all = batches.next_if(|first| first.told.is_empty());
        // There are others if some reader has not passed them.
        batches.fold(all.unwrap_or_default(), |mut all, later| {
            Rc::make_mut(&mut all).absorb(&later);
            all
        })
    }

    /// What the epochs before `epoch` told, and the rest.
    pub(super) fn split_at(&self, epoch: Epoch) -> (Batch, Batch) {
        let at = self.told.partition_point(|told| told.epoch < epoch);
        let (before, after) = self.told.split_at(at);
        let before = Batch { told: before.to_vec(), ..Batch::default() };
        let forget_before = self.forget_before;
        (before, Batch { told: after.to_vec(), forget_before, ..Batch::default() })
    }
}

/// Gathers cells until the epoch at which they are told is closed.
pub(crate) struct CellBatcher {
    ads: Rc<RefCell<Ads>>,
    horizon: Rc<RefCell<Horizon>>,
    /// The first minute that whoever reads the counts needs, even if it takes no more clicks.
    needed: Rc<Cell<Minute>>,
    options: Options,
    waiting: BTreeMap<Epoch, BTreeMap<Minute, Vec<Added>>>,
    retained: Antichain<Epoch>,
}

/// A cell of a minute, to which clicks are added.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Added {
    /// The head of its ad's id.
    pub(crate) head: Head,
    /// The length of that id.
    pub(crate) id_bytes: u32,
    /// What stands for its ad.
    pub(crate) name: Name,
    /// The place of its filter.
    pub(crate) place: u32,
    /// So many clicks.
    pub(crate) clicks: u32,
}

impl CellBatcher {
    pub(crate) fn new(
        ads: Rc<RefCell<Ads>>,
        horizon: Rc<RefCell<Horizon>>,
        needed: Rc<Cell<Minute>>,
        options: &Options,
    ) -> CellBatcher {
        CellBatcher {
            ads,
            horizon,
            needed,
            options: options.clone(),
            waiting: BTreeMap::new(),
            retained: Antichain::new(),
        }
    }

    /// The first minute of which a cell may be told at `upper` or later.
    fn first_minute(&self, upper: Epoch) -> Minute {
        let learnt = upper.saturating_sub(self.options.told_within());
        let first = self.horizon.borrow_mut().first_minute(learnt, &self.options);
        first.min(self.options.first_unsettled(upper))
    }
}

impl Batcher<PackedCells> for CellBatcher {
    fn insert(&mut self, cells: &mut PackedCells) {
        let mut ads = self.ads.borrow_mut();
        let together = |a: &PackedCell, b: &PackedCell| (a.epoch, a.minute) == (b.epoch, b.minute);
        for of_minute in cells.rows().chunk_by(together) {
            let PackedCell { epoch, minute, .. } = of_minute[0];
            let waiting = self.waiting.entry(epoch).or_default();
            let waiting = waiting.entry(Minute(minute)).or_default();
            waiting.reserve(of_minute.len());
            let mut last: Option<(Head, u32, Name)> = None;
            for cell in of_minute {
                let PackedCell { head, ad_bytes: id_bytes, place, clicks, .. } = *cell;
                let long = cells.text(cell);
                // The cells of an ad come one after the other.
                let known = last
                    .filter(|(of, bytes, _)| (*of, *bytes) == (head, id_bytes) && long.is_empty());
                let name = known.map_or_else(
                    || ads.name(head, id_bytes as usize, long, minute.into()),
                    |(_, _, name)| name,
                );
                last = Some((head, id_bytes, name));
                waiting.push(Added { head, id_bytes, name, place, clicks });
            }
        }
    }
}

/// Puts `cells` in the order in which they are told, each once.
fn in_order(mut cells: Vec<Added>, ads: &Ads) -> Vec<Added> {
    // Each worker sends its own in order: these are few runs, which are merged.
    cells.sort_by(|a, b| {
        let by_head = a.head.cmp(&b.head);
        by_head.then_with(|| match a.name == b.name {
            true => a.place.cmp(&b.place),
            false => ads.order(a.name, b.name),
        })
    });
    cells.dedup_by(|next, cell| {
        let same = (next.name, next.place) == (cell.name, cell.place);
        if same {
            let sum = cell.clicks.checked_add(next.clicks);
            cell.clicks = sum.expect("a cell gets fewer clicks than u32");
        }
        same
    });
    cells
}

impl Extract for CellBatcher {
    type Time = Epoch;
    type Output = Rc<Batch>;

    fn extract<'a>(
        &'a mut self,
        upper: AntichainRef<'_, Epoch>,
    ) -> (Option<Rc<Batch>>, AntichainRef<'a, Epoch>) {
        let open = upper.first().copied();
        let later = open.map(|open| self.waiting.split_off(&open)).unwrap_or_default();
        let closed = std::mem::replace(&mut self.waiting, later);
        self.retained.clear();
        self.retained.extend(self.waiting.first_key_value().map(|(epoch, _)| *epoch));
        let mut told = Vec::new();
        for (epoch, minutes) in closed {
            let unsettled = self.options.first_unsettled(epoch);
            for (minute, cells) in minutes {
                let cells = in_order(cells, &self.ads.borrow());
                let grown = Rc::new(Grown { places: places(&cells), cells });
                told.push(Told { epoch, minute, unsettled, grown });
            }
        }
        if told.is_empty() {
            return (None, self.retained.borrow());
        }
        let forget_before = open.map_or(Minute(0), |open| self.first_minute(open));
        let forget_before = forget_before.min(self.needed.get());
        self.ads.borrow_mut().sweep_released();
        let batch = Batch { told, forget_before, ..Batch::default() };
        (Some(Rc::new(batch)), self.retained.borrow())
    }
}

/// The places of the filters of `cells`, ascending.
pub(crate) fn places(cells: &[Added]) -> Vec<u32> {
    let mut has = Vec::new();
    for Added { place, .. } in cells {
        let place = *place as usize;
        if has.len() <= place {
            has.resize(place + 1, false);
        }
        has[place] = true;
    }
    (0..).zip(has).filter(|(_, has)| *has).map(|(place, _)| place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::Filters;
    use crate::horizon::Advance;
    use crate::options::{Copies, Emit, Engine};

    #[test]
    fn what_an_open_epoch_says_forgets_nothing() {
        let options = Options {
            refresh_ms: 1000,
            lateness_ms: 0,
            horizon_ms: 60_000,
            ahead_max_ms: 60_000,
            jump_max_ms: 60_000,
            correct_every_ms: 60_000,
            emit: Emit::Changes,
            copies: Copies::default(),
            filters: Filters::default(),
            windows: vec![1],
            top: 1,
            from: Minute(0),
            engine: Engine::Fast,
        };
        let horizon = Rc::<RefCell<Horizon>>::default();
        for epoch in [300_000, 600_000] {
            let advance = Advance { epoch, clock: epoch - 500, ..Advance::default() };
            horizon.borrow_mut().note(&advance);
        }
        let batcher = CellBatcher::new(Rc::default(), horizon, Rc::default(), &options);
        assert_eq!(batcher.first_minute(600_000), Minute(3));
        assert_eq!(batcher.first_minute(601_000), Minute(8));
    }
}
