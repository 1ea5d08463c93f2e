//! Scripts of cells that are played to the arrangement and to a tree, which must agree.
//!
//! Tests make them at random, and fuzzers of the bytes that they find.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use bytemuck::Zeroable;
use differential_dataflow::batcher::{Batcher, Extract};
use differential_dataflow::operators::arrange::{TraceAgent, TraceWriter};
use differential_dataflow::trace::{Description, Span, Trace, TraceReader};
use timely::dataflow::operators::generic::OperatorInfo;
use timely::progress::{Antichain, Stamp};

use super::Reading;
use crate::ads::{self, Ads, HEAD_BYTES};
use crate::count::batch::{Added, CellBatcher, Told};
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
    writer: TraceWriter<CountTrace>,
    reading: Reading<TraceAgent<CountTrace>>,
    /// Another reader, who may be far behind.
    other: TraceAgent<CountTrace>,
    gauge: Gauge,
    /// Sealed up to here, and what of it was not read.
    sealed: Antichain<Epoch>,
    unread: Vec<Told>,
    /// The tree: what each epoch will tell, what unread epochs told, and the counts before those.
    waiting: BTreeMap<Epoch, Cells>,
    told: BTreeMap<Epoch, Cells>,
    counts: Cells,
    forgotten: Minute,
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
            22..=26 => both.read(draw),
            27..=30 => both.read_elsewhere(draw),
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
        let needed = Rc::new(Cell::new(Minute(u32::MAX)));
        let info = || OperatorInfo::new(0, 0, [].into());
        let trace = CountTrace::new(info(), None, None);
        let (agent, writer) = TraceAgent::new(trace, info(), None);
        let gauge = Gauge::default();
        Both {
            batcher: CellBatcher::new(Rc::clone(&ads), Rc::clone(&horizon), needed, &options),
            writer,
            other: agent.clone(),
            reading: Reading::new(agent, gauge.clone()),
            options,
            ads,
            horizon,
            gauge,
            sealed: Antichain::from_elem(0),
            unread: Vec::new(),
            waiting: BTreeMap::new(),
            told: BTreeMap::new(),
            counts: Cells::new(),
            forgotten: Minute(0),
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
        for Told { epoch, minute, grown, .. } in told {
            assert!(*minute >= self.forgotten, "{minute:?} was forgotten");
            let mut places: Vec<u32> = grown.cells.iter().map(|cell| cell.place).collect();
            places.sort_unstable();
            places.dedup();
            assert_eq!(grown.places, places);
            for Added { name, place, clicks, .. } in &grown.cells {
                let ad = self.ads.borrow().id(*name).to_string();
                let cells = sealed.entry(*epoch).or_default();
                assert_eq!(cells.insert((ad, *minute, *place), (*clicks).into()), None);
            }
        }
        assert_eq!(sealed, closed);
        self.told.extend(closed);
        if let Some(batch) = &batch {
            self.forgotten = self.forgotten.max(batch.forget_before);
            self.unread.extend(batch.told.iter().cloned());
        }
        let lower = std::mem::replace(&mut self.sealed, upper.clone());
        let since = Antichain::from_elem(0);
        self.writer.insert(Span::new(Description::new(lower, upper, since), batch), Stamp::new());
    }

    /// Some of the epochs that were sealed are told as changed totals, as `rank` does it.
    fn read(&mut self, draw: &mut impl Draw) {
        let count = draw.place(8);
        self.read_epochs(count);
    }

    fn read_epochs(&mut self, count: usize) {
        for _ in 0..count {
            let Some((epoch, cells)) = self.told.pop_first() else { return };
            let at = self.unread.partition_point(|told| told.epoch == epoch);
            let told: Vec<Told> = self.unread.drain(..at).collect();
            let mut expected = Vec::new();
            for (cell, added) in cells {
                let count = self.counts.entry(cell.clone()).or_default();
                expected.push((cell, *count, added));
                *count += added;
            }
            let mut changes = Vec::new();
            for growing in self.reading.learn(epoch, told.iter()) {
                let of_minute = changes.len();
                for (Added { name, place, clicks, .. }, was) in growing.cells() {
                    let ad = self.ads.borrow().id(*name).to_string();
                    changes.push(((ad, growing.minute, *place), was, u64::from(*clicks)));
                }
                assert!(changes[of_minute..].is_sorted());
            }
            changes.sort_unstable();
            assert_eq!(changes, expected);
            self.changes += changes.len() as u64;
        }
        self.check();
    }

    /// The other reader goes on, to an epoch that may lie in the middle of a batch.
    fn read_elsewhere(&mut self, draw: &mut impl Draw) {
        let sealed = self.sealed.first().copied().expect("it is still open");
        let refreshes = draw.below(100);
        self.read_elsewhere_to(sealed.saturating_sub(refreshes * self.options.refresh_ms));
    }

    fn read_elsewhere_to(&mut self, epoch: Epoch) {
        let read = Antichain::from_elem(epoch);
        self.other.set_logical_compaction(read.borrow());
        self.other.set_physical_compaction(read.borrow());
        let read = self.other.get_physical_compaction().to_owned();
        assert!(self.other.batches_through(read.borrow()).is_some());
    }

    /// What is read of the arrangement is what the tree holds.
    fn check(&self) {
        let first = self.reading.first_minute();
        assert!(first <= self.forgotten);
        self.ads.borrow_mut().release_before(first.0.into());
        let kept = self.counts.iter().filter(|((_, minute, _), _)| *minute >= first);
        let kept: Cells = kept.map(|(cell, clicks)| (cell.clone(), *clicks)).collect();
        assert_eq!(self.gauge.get(), kept.len() as u64);
        assert_eq!(self.cells(self.reading.minutes()), kept);
    }

    /// All cells of `minutes`.
    fn cells(&self, minutes: &Minutes) -> Cells {
        let mut held = Cells::new();
        for minute in minutes.within(..) {
            for place in 0..PLACES {
                minutes.cells(minute, place, |name, clicks| {
                    let ad = self.ads.borrow().id(name).to_string();
                    assert_eq!(held.insert((ad, minute, place), clicks), None);
                });
            }
        }
        held
    }

    /// All that is left is sealed and read; of minutes that were forgotten nothing is held at last.
    fn finish(&mut self) {
        self.seal_to(Antichain::new());
        self.read_epochs(usize::MAX);
        self.reading.learn(Epoch::MAX - 1, [].iter());
        assert_eq!(self.reading.first_minute(), self.forgotten);
        self.check();
        self.read_elsewhere_to(Epoch::MAX);
        let mut held = Vec::new();
        self.other.map_spans(|span| held.extend(span.inner.clone()));
        assert!(held.len() < 2, "what all have read is one batch");
        let held = held.first().map_or(Cells::new(), |all| self.cells(&all.minutes));
        assert_eq!(held, self.cells(self.reading.minutes()));
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
