//! `keep_first`, `match_filters` and `settle` of the fast engine, in one operator.
//!
//! ```text
//! arrivals ─exchange by identity─▶ held ─▶ first copies ─▶ sums ─▶ cells that are told
//!                                                 └▶ tallies
//! ```
//!
//! Where copies are in the partition of their click, there is no exchange.
//!
//! What it tells is what the simple stages tell, row by row. A click that goes on adds to the sum
//! of its ad, its minute and its pattern of filters, and is gone; sums leave when they are told.
//!
//! Keeps what the simple stages keep: the clicks seen of the minutes that may still take one, and
//! the untold sums.

use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use bytemuck::{Pod, Zeroable};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::{ExchangeCore, ParallelizationContract, Pipeline};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use crate::ads::{self, Ads, HEAD_BYTES, Head, Name};
use crate::faults::Fault;
use crate::gauge::{Gauge, Gauges};
use crate::held::{Held, open_from};
use crate::horizon::{Advance, Horizon};
use crate::keep_first::arrivals::{Arrivals, Matching, PackedArrival};
use crate::keep_first::seen::SeenClicks;
use crate::keep_first::sums::{Ad, Sums, bits};
use crate::keep_first::{Kind, Tally};
use crate::options::{Copies, Options};
use crate::packed::{Packed, Row};
use crate::time::{Epoch, Minute};
use crate::{PackedStream, Stream, Updates};

/// A cell got clicks, which one worker has added up; the text is an id longer than its head.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct PackedCell {
    /// When it is told.
    pub epoch: Epoch,
    /// The head of its ad's id.
    pub head: Head,
    /// Its minute.
    pub minute: u32,
    /// The place of its filter.
    pub place: u32,
    /// Clicks that were added.
    pub clicks: u32,
    text_at: u32,
    /// The length of its ad's id.
    pub ad_bytes: u32,
    filling: u32,
}

impl PackedCell {
    /// Cells of an ad meet on one worker; `long` is its id if that is longer than its head.
    pub fn route(&self, long: &[u8]) -> u64 {
        // Tables take the other bits.
        ads::hash(self.head, self.ad_bytes as usize, long) >> 24
    }
}

#[cfg(feature = "abomonation")]
impl abomonation::Abomonation for PackedCell {}

impl Row for PackedCell {
    fn text(&self) -> (u32, u32) {
        let long = self.ad_bytes as usize > HEAD_BYTES;
        (self.text_at, if long { self.ad_bytes } else { 0 })
    }

    fn with_text_at(self, text_at: u32) -> PackedCell {
        PackedCell { text_at, ..self }
    }
}

/// Cells that are told, on their way to the worker of their ad.
pub type PackedCells = Packed<PackedCell>;

/// The clicks of each cell at the epochs at which they are told, and the tallies of each epoch.
pub fn keep_first<'scope>(
    arrivals: PackedStream<'scope, PackedArrival>,
    advances: Stream<'scope, Advance>,
    seen: SeenClicks,
    options: &Options,
    gauges: &Gauges,
) -> (PackedStream<'scope, PackedCell>, Updates<'scope, Tally>) {
    if options.copies == Copies::Partition {
        // The worker that reads a partition has all that may be the same.
        return keep_first_by(Pipeline, arrivals, advances, seen, options, gauges);
    }
    let by_identity = ExchangeCore::<CapacityContainerBuilder<Arrivals>, _>::new_core(
        |(arrival, _): &(PackedArrival, &[u8])| arrival.route(),
    );
    keep_first_by(by_identity, arrivals, advances, seen, options, gauges)
}

/// The same, once equal clicks have met by `pact`.
fn keep_first_by<'scope>(
    pact: impl ParallelizationContract<Epoch, Arrivals>,
    arrivals: PackedStream<'scope, PackedArrival>,
    advances: Stream<'scope, Advance>,
    seen: SeenClicks,
    options: &Options,
    gauges: &Gauges,
) -> (PackedStream<'scope, PackedCell>, Updates<'scope, Tally>) {
    let mut builder = OperatorBuilder::new("KeepFirst".to_owned(), arrivals.scope());
    let mut arrivals = builder.new_input(arrivals, pact);
    let mut advances = builder.new_input(advances, Pipeline);
    let (cells, told_cells) = builder.new_output();
    let (tallies, told_tallies) = builder.new_output();
    let mut cells = OutputBuilder::<Epoch, CapacityContainerBuilder<PackedCells>>::from(cells);
    let mut tallies = OutputBuilder::<Epoch, CapacityContainerBuilder<Vec<_>>>::from(tallies);
    let mut stage = Stage::new(seen, options, gauges.seen_clicks.clone());
    builder.build(move |_| {
        move |frontiers| {
            advances.for_each(|_, data| {
                data.iter().for_each(|advance| stage.horizon.note(advance));
            });
            arrivals.for_each(|time, data| {
                let times = time.retain_least(0).zip(time.retain_least(1));
                let Some((time, tally_time)) = times else { return };
                stage.hold(data, &time, &tally_time);
            });
            if stage.failed.is_some() {
                return;
            }
            let open = open_from(&frontiers[0]).min(open_from(&frontiers[1]));
            let (mut cells, mut tallies) = (cells.activate(), tallies.activate());
            while let Some((epoch, time, waiting)) = stage.arrivals.take_closed(open) {
                let Ok(tally) = stage.keep(epoch, &time, waiting.runs) else {
                    stage.failed = Some(time);
                    return;
                };
                let time = waiting.tally_time.expect("whatever waits came at a time");
                tallies.session_with_builder(&time).give((tally, epoch, 1));
            }
            while let Some((told_at, time, minutes)) = stage.untold.take_closed(open) {
                let mut session = cells.session_with_builder(&time);
                let mut told = PackedCells::default();
                let mut send = |told: &mut PackedCells| session.give_container(told);
                stage.tell(told_at, minutes, |cell, long| told.push_or(cell, long, &mut send));
                told.send(send);
            }
            stage.long.sweep(open);
            stage.wide.sweep(open);
        }
    });
    (told_cells, Updates::new(told_tallies))
}

/// Clicks that wait until their epoch is closed, by partition.
#[derive(Default)]
struct Waiting {
    tally_time: Option<Capability<Epoch>>,
    runs: BTreeMap<u32, Vec<Run>>,
}

/// Clicks of a partition and an epoch that came one after the other, where they came.
struct Run {
    arrivals: Rc<Arrivals>,
    range: Range<usize>,
}

impl Run {
    fn clicks(&self) -> &[PackedArrival] {
        &self.arrivals.rows()[self.range.clone()]
    }
}

/// Clicks that are looked up ahead, so that their cache misses overlap.
const AHEAD: usize = 64;

/// A minute while an epoch is looked at.
struct Open {
    minute: Minute,
    kind: Kind,
    /// When its clicks of the epoch are told, and what is told then.
    told_at: Epoch,
    sums: Sums,
}

struct Stage {
    options: Options,
    horizon: Horizon,
    arrivals: Held<Waiting>,
    seen: SeenClicks,
    seen_gauge: Gauge,
    /// The right to speak at the epoch of which it cannot tell: it stays open.
    failed: Option<Capability<Epoch>>,
    untold: Held<BTreeMap<Minute, Sums>>,
    /// Sums that a minute gets, by those before.
    usual: usize,
    /// The ids that are longer than their heads, of what is not told.
    long: Ads,
    /// The patterns that are wider than a word, as texts.
    wide: Ads,
}

impl Stage {
    fn new(seen: SeenClicks, options: &Options, seen_gauge: Gauge) -> Stage {
        Stage {
            options: options.clone(),
            horizon: Horizon::default(),
            arrivals: Held::new(),
            seen,
            seen_gauge,
            failed: None,
            untold: Held::new(),
            usual: 0,
            long: Ads::default(),
            wide: Ads::default(),
        }
    }

    /// Lets `arrivals` wait for the end of their epochs.
    fn hold(
        &mut self,
        arrivals: &mut Arrivals,
        time: &Capability<Epoch>,
        tally_time: &Capability<Epoch>,
    ) {
        let arrivals = Rc::new(arrivals.take());
        let mut start = 0;
        let together =
            |a: &PackedArrival, b: &PackedArrival| (a.epoch, a.partition) == (b.epoch, b.partition);
        for clicks in arrivals.rows().chunk_by(together) {
            let PackedArrival { epoch, partition, .. } = clicks[0];
            let waiting = self.arrivals.at(epoch, time);
            waiting.tally_time.get_or_insert_with(|| tally_time.delayed(&epoch));
            let range = start..start + clicks.len();
            start = range.end;
            let run = Run { arrivals: Rc::clone(&arrivals), range };
            waiting.runs.entry(partition).or_default().push(run);
        }
    }

    /// Adds the first copies among the clicks of a closed epoch to the sums that are told.
    fn keep(
        &mut self,
        epoch: Epoch,
        time: &Capability<Epoch>,
        runs: BTreeMap<u32, Vec<Run>>,
    ) -> Result<Tally, Fault> {
        let forgotten = self.seen.forget_before(self.horizon.first_minute(epoch, &self.options));
        self.seen_gauge.sub(forgotten);
        let before = self.seen.len();
        let mut tally = Tally::default();
        let mut open: Vec<Open> = Vec::new();
        for runs in runs.into_values().map(in_order) {
            for Run { arrivals, range } in runs {
                for clicks in arrivals.rows()[range].chunks(AHEAD) {
                    self.take(epoch, &arrivals, clicks, &mut open, &mut tally)?;
                }
            }
        }
        for Open { minute, told_at, sums, .. } in open {
            if !sums.is_empty() {
                self.untold.at(told_at, time).insert(minute, sums);
            }
        }
        self.seen_gauge.add(self.seen.len() - before);
        self.seen.freeze_before(self.options.first_unsettled(epoch));
        Ok(tally)
    }

    /// Adds the first copies among `clicks`, which are rows of `arrivals`, to the sums of `open`.
    fn take(
        &mut self,
        epoch: Epoch,
        arrivals: &Arrivals,
        clicks: &[PackedArrival],
        open: &mut Vec<Open>,
        tally: &mut Tally,
    ) -> Result<(), Fault> {
        let identities = clicks.iter().filter_map(|c| Some((Minute(c.minute), c.identity()?)));
        self.seen.look_ahead(identities);
        let mut added = [(Ad::default(), 0); AHEAD];
        for (added, click) in added.iter_mut().zip(clicks) {
            *added = self.added(epoch, click, arrivals.text(click));
        }
        if let Some(Open { sums, .. }) = open.last() {
            sums.look_ahead(&added[..clicks.len()]);
        }
        let mut added = added.iter();
        for clicks in clicks.chunk_by(|a, b| a.minute == b.minute) {
            let minute = Minute(clicks[0].minute);
            let known = open.iter().rposition(|open| open.minute == minute);
            let at = known.unwrap_or_else(|| {
                open.push(self.open(minute, epoch));
                open.len() - 1
            });
            let Open { kind, sums, .. } = &mut open[at];
            let mut seen = self.seen.of(minute);
            for (click, (ad, pattern)) in clicks.iter().zip(&mut added) {
                let first = click.identity().map(|identity| seen.insert(identity));
                if tally.add(first.transpose()?, *kind) {
                    sums.add(*ad, *pattern, 1);
                }
            }
        }
        Ok(())
    }

    /// The sum to which a click of `epoch` is added: its ad, and the pattern of its filters.
    fn added(&mut self, epoch: Epoch, click: &PackedArrival, text: &[u8]) -> (Ad, u64) {
        let (long, matching) = click.parts(text);
        let until = || self.options.told_at(epoch, Minute(click.minute));
        let ad = if long.is_empty() {
            Ad::short(click.head, click.ad_bytes)
        } else {
            Ad::long(click.head, self.long.name_of(long, until()).0)
        };
        let pattern = match matching {
            Matching::Word(word) => word,
            Matching::Wide(places) => self.wide.name_of(places.as_bytes(), until()).0.into(),
        };
        (ad, pattern)
    }

    /// A minute that gets clicks at `epoch`, with the sums that it has.
    fn open(&mut self, minute: Minute, epoch: Epoch) -> Open {
        let told_at = self.options.told_at(epoch, minute);
        let sums = self.untold.get(told_at).and_then(|minutes| minutes.remove(&minute));
        let kind = Kind::of(minute, epoch, &self.options);
        // Late clicks are few.
        let usual = if kind == Kind::Late { 0 } else { self.usual };
        Open { minute, told_at, kind, sums: sums.unwrap_or_else(|| Sums::expecting(usual)) }
    }

    /// Calls `each` with the cells of `minutes`, which are told at `epoch`, and ids longer than their
    /// heads.
    fn tell(
        &mut self,
        epoch: Epoch,
        minutes: BTreeMap<Minute, Sums>,
        mut each: impl FnMut(PackedCell, &[u8]),
    ) {
        let most = minutes.values().map(Sums::len).max().unwrap_or(0);
        self.usual = most.max(self.usual / 2);
        let by_name = |a, b| self.long.order(Name(a), Name(b));
        for (Minute(minute), sums) in minutes {
            let mut tell = |ad: Ad, place, clicks| {
                let long = ad.name().map_or("", |name| self.long.long(Name(name)));
                let ad_bytes = match ad.name() {
                    Some(_) => u32::try_from(long.len()).expect("an ad's id is short"),
                    None => ad.tail,
                };
                let (head, text_at, filling) = (ad.head, 0, 0);
                let cell =
                    PackedCell { epoch, head, minute, place, clicks, text_at, ad_bytes, filling };
                each(cell, long.as_bytes());
            };
            if self.options.filters.fit_a_word() {
                sums.tell(bits, by_name, &mut tell);
            } else {
                let places = |pattern: u64| {
                    let name = Name(u32::try_from(pattern).expect("a wide pattern is a name"));
                    let id = self.wide.id(name);
                    id.as_str().chars().map(u32::from).collect::<Vec<u32>>().into_iter()
                };
                sums.tell(places, by_name, &mut tell);
            }
        }
    }
}

/// The runs of a partition in the order of offsets: clicks that a mark lifts come another way, and
/// may come after those that it does not.
fn in_order(runs: Vec<Run>) -> Vec<Run> {
    let clicks = runs.iter().flat_map(|run| [run.clicks().first(), run.clicks().last()]);
    if clicks.flatten().is_sorted_by_key(|click| click.offset) {
        return runs;
    }
    let mut clicks: Vec<(&PackedArrival, &[u8])> = Vec::new();
    for run in &runs {
        clicks.extend(run.clicks().iter().map(|click| (click, run.arrivals.text(click))));
    }
    clicks.sort_by_key(|(click, _)| click.offset);
    let mut sorted = Arrivals::default();
    clicks.into_iter().for_each(|(click, text)| sorted.push(*click, text));
    let range = 0..sorted.len();
    vec![Run { arrivals: Rc::new(sorted), range }]
}
