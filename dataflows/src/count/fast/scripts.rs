//! Scripts of cells that are played to the arrangement and to a tree, which must agree.
//!
//! Tests make them at random, and fuzzers of the bytes that they find.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use bytemuck::Zeroable;
use differential_dataflow::batcher::{Batcher, Extract};
use differential_dataflow::trace::{Description, Span, Trace, TraceReader};
use timely::dataflow::operators::generic::OperatorInfo;
use timely::progress::Antichain;

use super::{CellsHeld, for_each_grown};
use crate::ads::{self, Ads, HEAD_BYTES};
use crate::count::batch::{Added, Batch, CellBatcher, Told};
use crate::count::minutes::Minutes;
use crate::count::trace::CountTrace;
use crate::filter::Filters;
use crate::gauge::Gauge;
use crate::horizon::{Advance, Horizon, first_minute};
use crate::keep_first::fast::{PackedCell, PackedCells};
use crate::options::{Copies, Emit, Engine, Options};
use crate::random::Draw;
use crate::time::{Epoch, MINUTE_MS, Millis, Minute};

/// A cell in the order in which cells are told, and its clicks.
type Cells = BTreeMap<(String, Minute, u32), u64>;

/// Filters that have cells.
const PLACES: u32 = 3;

/// The arrangement beside a tree.
struct Both {
    options: Options,
    ads: Rc<RefCell<Ads>>,
    horizon: Rc<RefCell<Horizon>>,
    batcher: CellBatcher,
    trace: CountTrace,
    held: CellsHeld,
    gauge: Gauge,
    /// Sealed up to here, and read up to here; what lies between.
    sealed: Antichain<Epoch>,
    read: Antichain<Epoch>,
    unread: Vec<Rc<Batch>>,
    /// The tree: what each epoch will tell, what unread epochs told, and the counts before those.
    waiting: BTreeMap<Epoch, Cells>,
    told: BTreeMap<Epoch, Cells>,
    counts: Cells,
    forgotten: Minute,
    /// Earlier minutes are dropped once all is read: of those that the first batch told, the next
    /// says so.
    dropped: Minute,
    clock: Millis,
    /// The clock as of the epochs that are closed.
    clock_closed: Millis,
    ads_made: u32,
    changes: u64,
}

/// Plays a script; tells how many changes and how many names there were at last.
///
/// # Panics
///
/// When the arrangement is not as the tree.
pub(crate) fn play(draw: &mut impl Draw) -> (u64, usize) {
    let mut both = Both::new(options(draw));
    let ads = [2, 20, 400][draw.place(3)];
    for _ in 0..draw.place(80) {
        match draw.below(32) {
            0..=11 => both.learn(draw, ads),
            12..=16 => both.move_on(draw),
            17..=21 => both.seal(draw),
            22..=26 => both.read(),
            27..=30 => both.compact(),
            _ => both.burst(draw),
        }
    }
    both.finish();
    let names = both.ads.borrow().count();
    (both.changes, names)
}

fn options(draw: &mut impl Draw) -> Options {
    let lateness_ms = [0, 15_000, 90_000][draw.place(3)];
    Options {
        refresh_ms: [1000, 60_000][draw.place(2)],
        lateness_ms,
        horizon_ms: lateness_ms.max([60_000, 600_000][draw.place(2)]),
        ahead_max_ms: 60_000,
        jump_max_ms: 60_000,
        correct_every_ms: [1000, 60_000][draw.place(2)],
        emit: [Emit::Final, Emit::Changes][draw.place(2)],
        copies: Copies::default(),
        filters: Filters::default(),
        windows: vec![1],
        top: 1,
        from: Minute(0),
        engine: Engine::Fast,
    }
}

/// An id that is all in its head, or longer; some share theirs, and differ in length alone.
fn id(ad: u32) -> String {
    let number = (ad / 4).wrapping_mul(0x9E37_79B1);
    match ad % 4 {
        0 => format!("{number:x}"),
        1 => format!("{number:x}\0"),
        2 => format!("an ad of many: {number:x}"),
        _ => format!("an ad of many: {number:x} and more"),
    }
}

impl Both {
    fn new(options: Options) -> Both {
        let (ads, horizon) = (Rc::default(), Rc::default());
        let gauge = Gauge::default();
        Both {
            batcher: CellBatcher::new(Rc::clone(&ads), Rc::clone(&horizon), &options),
            trace: CountTrace::new(OperatorInfo::new(0, 0, [].into()), None, None),
            held: CellsHeld { minutes: BTreeMap::new(), gauge: gauge.clone() },
            options,
            ads,
            horizon,
            gauge,
            sealed: Antichain::from_elem(0),
            read: Antichain::from_elem(0),
            unread: Vec::new(),
            waiting: BTreeMap::new(),
            told: BTreeMap::new(),
            counts: Cells::new(),
            forgotten: Minute(0),
            dropped: Minute(0),
            clock: 30 * MINUTE_MS,
            clock_closed: 0,
            ads_made: 1 << 16,
            changes: 0,
        }
    }

    /// The epoch that is open.
    fn epoch(&self) -> Epoch {
        self.options.epoch(self.clock)
    }

    /// A minute that still takes clicks, mostly the newest.
    fn minute(&self, draw: &mut impl Draw) -> Minute {
        let back = if draw.once_in(3) { draw.small(12) } else { draw.small(2) };
        let newest = Minute::of(self.clock);
        newest.minus(back).max(first_minute(self.clock_closed, &self.options)).min(newest)
    }

    /// A worker sends cells of a few minutes.
    fn learn(&mut self, draw: &mut impl Draw, ads: u32) {
        let mut cells = PackedCells::default();
        for _ in 0..=draw.place(3) {
            let minute = self.minute(draw);
            for _ in 0..=draw.place(12) {
                let (ad, place) = (id(draw.small(ads)), draw.small(PLACES));
                self.send(&mut cells, minute, ad, place, 1 + draw.small(5));
            }
        }
        self.batcher.insert(&mut cells);
    }

    /// A minute gets clicks of many ads that were never seen before.
    fn burst(&mut self, draw: &mut impl Draw) {
        let (minute, mut cells) = (self.minute(draw), PackedCells::default());
        for _ in 0..1 << draw.small(14) {
            self.ads_made += 1;
            self.send(&mut cells, minute, id(self.ads_made), 0, 1);
        }
        self.batcher.insert(&mut cells);
    }

    fn send(
        &mut self,
        cells: &mut PackedCells,
        minute: Minute,
        ad: String,
        place: u32,
        clicks: u32,
    ) {
        let epoch = self.options.told_at(self.epoch(), minute);
        let mut cell = PackedCell::zeroed();
        (cell.epoch, cell.minute, cell.place, cell.clicks) = (epoch, minute.0, place, clicks);
        cell.head = ads::head(ad.as_bytes());
        cell.ad_bytes = u32::try_from(ad.len()).expect("it is short");
        cells.push(cell, if ad.len() > HEAD_BYTES { ad.as_bytes() } else { b"" });
        let waiting = self.waiting.entry(epoch).or_default();
        *waiting.entry((ad, minute, place)).or_default() += u64::from(clicks);
    }

    /// The clock goes on, and the epoch may be over.
    fn move_on(&mut self, draw: &mut impl Draw) {
        let epoch = self.epoch();
        let advance = Advance { epoch, clock: self.clock, ..Advance::default() };
        let forward = [1_000, 20_000, MINUTE_MS, 20 * MINUTE_MS][draw.place(4)];
        let before = self.clock;
        self.clock += forward;
        if self.epoch() > epoch {
            self.horizon.borrow_mut().note(&advance);
            self.clock_closed = before;
        }
    }

    /// The arrangement seals some epochs that are over.
    fn seal(&mut self, draw: &mut impl Draw) {
        let sealed = *self.sealed.first().expect("it is still open");
        let late = draw.below(3) * self.options.refresh_ms * draw.below(30);
        self.seal_to(Antichain::from_elem(self.epoch().saturating_sub(late).max(sealed)));
    }

    fn seal_to(&mut self, upper: Antichain<Epoch>) {
        if upper == self.sealed {
            return;
        }
        let later = upper.first().map(|upper| self.waiting.split_off(upper)).unwrap_or_default();
        let closed = std::mem::replace(&mut self.waiting, later);
        let (batch, retained) = self.batcher.extract(upper.borrow());
        assert_eq!(retained.first(), self.waiting.keys().next());
        let told = batch.as_ref().map_or(&[][..], |batch| &batch.told);
        assert!(told.is_sorted_by_key(|told| (told.epoch, told.minute)));
        let mut sealed = BTreeMap::<Epoch, Cells>::new();
        for Told { epoch, minute, added, .. } in told {
            assert!(*minute >= self.forgotten, "{minute:?} was forgotten");
            for place in added.filters() {
                for (name, clicks) in added.cells(place) {
                    let ad = self.ads.borrow().id(name).to_string();
                    let cells = sealed.entry(*epoch).or_default();
                    assert_eq!(cells.insert((ad, *minute, place), clicks.into()), None);
                }
            }
        }
        assert_eq!(sealed, closed);
        self.told.extend(closed);
        if let Some(batch) = &batch {
            let is_first = self.read.first() == Some(&0) && self.unread.is_empty();
            let dropped = if is_first { Minute(0) } else { batch.forget_before };
            self.dropped = self.dropped.max(dropped);
            self.forgotten = self.forgotten.max(batch.forget_before);
            self.unread.push(Rc::clone(batch));
        }
        let lower = std::mem::replace(&mut self.sealed, upper.clone());
        let since = Antichain::from_elem(0);
        self.trace.insert(Span::new(Description::new(lower, upper, since), batch));
    }

    /// What was sealed is told as changed totals, as `changes` does it.
    fn read(&mut self) {
        let known = self.trace.batches_through(self.read.borrow());
        let known = known.expect("nothing is compacted beyond what was read");
        let unread = std::mem::take(&mut self.unread);
        let mut expected = Vec::new();
        for (epoch, cells) in std::mem::take(&mut self.told) {
            for (cell, added) in cells {
                let count = self.counts.entry(cell.clone()).or_default();
                expected.push((epoch, cell, *count, added));
                *count += added;
            }
        }
        let (ads, mut changes) = (self.ads.borrow(), Vec::new());
        for_each_grown(&unread, &known, &mut self.held, |epoch, grown| {
            let of_minute = changes.len();
            for (Added { name, place, clicks, .. }, was) in grown.cells {
                let cell = (ads.id(name).to_string(), grown.minute, place);
                changes.push((epoch, cell, was, u64::from(clicks)));
            }
            assert!(changes[of_minute..].is_sorted());
        });
        drop(ads);
        changes.sort_unstable();
        assert_eq!(changes, expected);
        self.changes += changes.len() as u64;
        self.read.clone_from(&self.sealed);
        let kept = self.counts.keys().filter(|(_, minute, _)| *minute >= self.forgotten);
        assert_eq!(self.gauge.get(), kept.count() as u64);
        self.ads.borrow_mut().release_before(self.forgotten.0.into());
    }

    /// What was read becomes one batch.
    fn compact(&mut self) {
        self.trace.set_logical_compaction(self.read.borrow());
        self.trace.set_physical_compaction(self.read.borrow());
        if self.read == self.sealed {
            let known = self.known();
            assert!(known.len() < 2);
            let mut minutes = known.iter().flat_map(|all| all.minutes.within(..));
            assert!(minutes.all(|minute| minute >= self.dropped));
        }
    }

    /// All batches of the trace.
    fn known(&self) -> Vec<Rc<Batch>> {
        let mut known = Vec::new();
        self.trace.map_spans(|span| known.extend(span.inner.clone()));
        known
    }

    /// All that is left is sealed and read; what the trace holds at last is what the tree holds.
    fn finish(&mut self) {
        self.seal_to(Antichain::new());
        self.read();
        self.compact();
        let none = Minutes::default();
        let known = self.known();
        let minutes = known.first().map_or(&none, |all| &all.minutes);
        let mut held = Cells::new();
        for minute in minutes.within(self.forgotten..) {
            for place in 0..PLACES {
                minutes.cells(minute, place, |name, clicks| {
                    let ad = self.ads.borrow().id(name).to_string();
                    assert_eq!(held.insert((ad, minute, place), clicks), None);
                });
            }
        }
        self.counts.retain(|(_, minute, _), _| *minute >= self.forgotten);
        assert_eq!(held, self.counts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn the_arrangement_holds_and_tells_what_a_tree_does() {
        let (mut changes, mut names) = (0, 0);
        for seed in 0..300 {
            let played = std::panic::catch_unwind(|| play(&mut Random(seed)));
            let played = played.unwrap_or_else(|_| panic!("seed {seed}"));
            changes += played.0;
            names = names.max(played.1);
        }
        // Names became free, and were given to others.
        assert!(changes > 100_000 && names > 8192, "{changes} changes, {names} names");
    }
}
