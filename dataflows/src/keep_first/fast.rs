//! `keep_first`, `match_filters` and `settle` of the fast engine, in one operator.
//!
//! ```text
//! arrivals ─exchange by identity─▶ held ─▶ first copies ─▶ sums ─▶ cells that are told
//!                                                 └▶ tallies
//! ```
//!
//! What it tells is what the simple stages tell, row by row. A click that goes on adds to the sum
//! of its ad, its minute and its pattern of filters, and is gone; sums leave when they are told.
//!
//! Keeps what the simple stages keep: the clicks seen of the minutes that may still take one, and
//! the untold sums.

use std::collections::BTreeMap;

use bytemuck::{Pod, Zeroable};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::{ExchangeCore, Pipeline};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use crate::ads::{self, Ads, Name};
use crate::faults::Fault;
use crate::gauge::{Gauge, Gauges};
use crate::held::{Held, open_from};
use crate::horizon::{Advance, Horizon};
use crate::keep_first::Tally;
use crate::keep_first::arrivals::{Arrivals, Matching, PackedArrival};
use crate::keep_first::seen::SeenClicks;
use crate::keep_first::sums::{Sums, bits};
use crate::options::Options;
use crate::packed::{Packed, Row};
use crate::time::{Epoch, Minute};
use crate::{PackedStream, Stream, Updates};

/// A cell got clicks, which one worker has added up; the ad's id is the text.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct PackedCell {
    /// When it is told.
    pub epoch: Epoch,
    /// The hash of its ad, see [`crate::ads::hash`].
    pub ad_hash: u64,
    /// Its minute.
    pub minute: u32,
    /// The place of its filter.
    pub place: u32,
    /// Clicks that were added.
    pub clicks: u32,
    text_at: u32,
    ad_bytes: u32,
    filling: u32,
}

impl Row for PackedCell {
    fn text(&self) -> (u32, u32) {
        (self.text_at, self.ad_bytes)
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
    let by_identity = ExchangeCore::<CapacityContainerBuilder<Arrivals>, _>::new_core(
        |(arrival, _): &(PackedArrival, &[u8])| arrival.route(),
    );
    let mut builder = OperatorBuilder::new("KeepFirst".to_owned(), arrivals.scope());
    let mut arrivals = builder.new_input(arrivals, by_identity);
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
                let Ok(tally) = stage.keep(epoch, &time, waiting.clicks) else {
                    stage.failed = Some(time);
                    return;
                };
                let time = waiting.tally_time.expect("whatever waits came at a time");
                tallies.session_with_builder(&time).give((tally, epoch, 1));
            }
            while let Some((told_at, time, minutes)) = stage.untold.take_closed(open) {
                let mut session = cells.session_with_builder(&time);
                stage.tell(told_at, minutes, |cell, ad| session.give((cell, ad)));
            }
            stage.ads.sweep(open);
            stage.wide.sweep(open);
        }
    });
    (told_cells, Updates::new(told_tallies))
}

/// Clicks that wait until their epoch is closed, by partition.
#[derive(Default)]
struct Waiting {
    tally_time: Option<Capability<Epoch>>,
    clicks: Vec<(u32, Vec<Click>)>,
}

/// Clicks whose identities are looked up ahead, so that their cache misses overlap.
const AHEAD: usize = 64;

/// A click that waits.
struct Click {
    identity: Option<u128>,
    offset: u64,
    pattern: u64,
    minute: Minute,
    ad: Name,
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
    /// The ads of what waits and is not told.
    ads: Ads,
    /// Of patterns that are wider than a word, their texts.
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
            ads: Ads::default(),
            wide: Ads::default(),
        }
    }

    /// Lets `arrivals` wait for the end of their epochs.
    fn hold(
        &mut self,
        arrivals: &Arrivals,
        time: &Capability<Epoch>,
        tally_time: &Capability<Epoch>,
    ) {
        let mut arrivals = arrivals.iter().peekable();
        while let Some((PackedArrival { epoch, partition, .. }, _)) = arrivals.peek().copied() {
            let waiting = self.arrivals.at(epoch, time);
            waiting.tally_time.get_or_insert_with(|| tally_time.delayed(&epoch));
            let clicks = waiting.of(partition);
            let mut told = None;
            while let Some((arrival, text)) =
                arrivals.next_if(|(next, _)| (next.epoch, next.partition) == (epoch, partition))
            {
                let minute = Minute(arrival.minute);
                let (_, until) = told
                    .filter(|(known, _)| *known == minute)
                    .unwrap_or_else(|| (minute, self.options.told_at(epoch, minute)));
                told = Some((minute, until));
                let (ad, matching) = arrival.parts(text);
                let pattern = match matching {
                    Matching::Word(word) => word,
                    Matching::Wide(places) => {
                        let places = places.as_bytes();
                        u64::from(self.wide.name(places, ads::hash(places), until).0)
                    }
                };
                let ad = self.ads.name(ad, arrival.ad_hash, until);
                let (identity, offset) = (arrival.identity(), arrival.offset);
                clicks.push(Click { identity, offset, pattern, minute, ad });
            }
        }
    }

    /// Adds the first copies among the `clicks` of a closed epoch to the sums that are told.
    fn keep(
        &mut self,
        epoch: Epoch,
        time: &Capability<Epoch>,
        mut clicks: Vec<(u32, Vec<Click>)>,
    ) -> Result<Tally, Fault> {
        let forgotten = self.seen.forget_before(self.horizon.first_minute(epoch, &self.options));
        self.seen_gauge.sub(forgotten);
        let before = self.seen.len();
        clicks.sort_unstable_by_key(|(partition, _)| *partition);
        let mut tally = Tally::default();
        let mut open: Vec<(Minute, Epoch, Sums)> = Vec::new();
        for (_, mut clicks) in clicks {
            // Those that were lifted may come after those that were not.
            if !clicks.is_sorted_by_key(|click| click.offset) {
                clicks.sort_unstable_by_key(|click| click.offset);
            }
            for (at, click) in clicks.iter().enumerate() {
                if at % AHEAD == 0 {
                    let ahead = clicks[at..].iter().take(AHEAD);
                    let ahead = ahead.filter_map(|click| Some((click.minute, click.identity?)));
                    self.seen.look_ahead(ahead);
                }
                let Click { identity, pattern, minute, ad, .. } = *click;
                let first = identity.map(|identity| self.seen.insert(minute, identity));
                let first = first.transpose()?;
                if !tally.add(first, minute, epoch, &self.options) {
                    continue;
                }
                let known = open.iter().rposition(|(of, _, _)| *of == minute);
                let at = known.unwrap_or_else(|| {
                    let told_at = self.options.told_at(epoch, minute);
                    let sums = self.untold.at(told_at, time).remove(&minute);
                    open.push((minute, told_at, sums.unwrap_or_default()));
                    open.len() - 1
                });
                open[at].2.add(ad, pattern);
            }
        }
        for (minute, told_at, sums) in open {
            self.untold.at(told_at, time).insert(minute, sums);
        }
        self.seen_gauge.add(self.seen.len() - before);
        self.seen.freeze_before(self.options.first_unsettled(epoch));
        Ok(tally)
    }

    /// Calls `each` with the cells of `minutes`, which are told at `epoch`, and their ads' ids.
    fn tell(
        &self,
        epoch: Epoch,
        minutes: BTreeMap<Minute, Sums>,
        mut each: impl FnMut(PackedCell, &[u8]),
    ) {
        for (minute, sums) in minutes {
            let mut tell = |ad: Name, place, clicks| {
                let text = self.ads.ad(ad).as_str().as_bytes();
                let ad_bytes = u32::try_from(text.len()).expect("an ad's id is short");
                let (ad_hash, minute) = (self.ads.hash_of(ad), minute.0);
                let cell = PackedCell {
                    epoch,
                    ad_hash,
                    minute,
                    place,
                    clicks,
                    text_at: 0,
                    ad_bytes,
                    filling: 0,
                };
                each(cell, text);
            };
            if self.options.filters.fit_a_word() {
                sums.tell(bits, &mut tell);
            } else {
                let places = |pattern: u64| {
                    let name = Name(u32::try_from(pattern).expect("a wide pattern is a name"));
                    self.wide.ad(name).as_str().chars().map(u32::from)
                };
                sums.tell(places, &mut tell);
            }
        }
    }
}

impl Waiting {
    fn of(&mut self, partition: u32) -> &mut Vec<Click> {
        let known = self.clicks.iter().position(|(of, _)| *of == partition);
        let at = known.unwrap_or_else(|| {
            self.clicks.push((partition, Vec::new()));
            self.clicks.len() - 1
        });
        &mut self.clicks[at].1
    }
}
