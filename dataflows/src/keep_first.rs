//! A click delivered twice counts once.
//!
//! ```text
//! clicks ─exchange by identity─▶ first copies
//!                             └▶ tallies: how many of each kind, by epoch
//! ```
//!
//! Of equal clicks the one with the least (epoch, partition, offset) counts. Clicks are held until
//! their epoch is closed and then taken in that order, so arrival decides nothing.
//!
//! Keeps 16 bytes for each click of the minutes that may still take one, and forgets by minute.

mod identities;
pub mod seen;
mod settled;
pub mod shelf;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::core::OkErr;
use timely::dataflow::operators::generic::operator::Operator;

use crate::click::{Click, Coordinates};
use crate::gauge::{Gauge, Gauges};
use crate::held::{Held, Seen, open_from};
use crate::horizon::{Advance, Horizon};
use crate::options::Options;
use crate::split::Arrival;
use crate::time::{Epoch, Minute};
use crate::{Stream, Updates};

pub mod arrivals;
pub mod fast;
mod sums;

/// How many clicks of each kind an epoch brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// First copies.
    pub clicks: u64,
    /// Further copies.
    pub duplicates: u64,
    /// Clicks before the first minute that is told.
    pub skipped: u64,
    /// First copies learnt after their minute had settled.
    pub late: u64,
    /// First copies that nothing identifies, each a click of its own.
    pub own: u64,
}

impl Tally {
    /// Adds a click, the `first` of its kind, or of its own, whose minute is of this `kind`; tells
    /// whether it goes on: it is no further copy, and some list needs it.
    fn add(&mut self, first: Option<bool>, kind: Kind) -> bool {
        let copy = first == Some(false);
        if let Kind::Skipped { needed } = kind {
            self.skipped += 1;
            return !copy && needed;
        }
        if copy {
            self.duplicates += 1;
            return false;
        }
        self.clicks += 1;
        self.own += u64::from(first.is_none());
        self.late += u64::from(kind == Kind::Late);
        true
    }
}

/// What an epoch finds a minute to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It is not told; its clicks are `needed` if it shares a window with one that is.
    Skipped { needed: bool },
    /// It has not settled before.
    Timely,
    /// It has settled.
    Late,
}

impl Kind {
    fn of(minute: Minute, epoch: Epoch, options: &Options) -> Kind {
        if minute < options.from {
            return Kind::Skipped { needed: minute.plus(options.window_max()) > options.from };
        }
        if epoch > options.settle(minute) { Kind::Late } else { Kind::Timely }
    }
}

/// The first copy of each click, at its epoch, and the tallies of each epoch.
pub fn keep_first<'scope>(
    clicks: Updates<'scope, Arrival>,
    advances: Stream<'scope, Advance>,
    options: &Options,
    gauges: &Gauges,
) -> (Updates<'scope, Click>, Updates<'scope, Tally>) {
    let by_identity = Exchange::new(|(arrival, _, _): &(Arrival, Epoch, isize)| route(arrival));
    let (options, gauge) = (options.clone(), gauges.seen_clicks.clone());
    let kept = clicks.inner.binary_frontier::<_, CapacityContainerBuilder<Vec<Kept>>, _, _, _, _>(
        advances,
        by_identity,
        Pipeline,
        "KeepFirst",
        move |_, _| {
            let mut arrivals = Held::<Vec<Arrival>>::new();
            let mut horizon = Horizon::default();
            let mut seen = SeenClicks { minutes: BTreeMap::new(), gauge };
            move |(clicks, open_clicks), (advances, open_advances), output| {
                advances.for_each(|_, data| data.iter().for_each(|advance| horizon.note(advance)));
                clicks.for_each(|time, data| {
                    let Some(time) = time.retain_least(0) else { return };
                    for (arrival, epoch, _) in data.drain(..) {
                        arrivals.at(epoch, &time).push(arrival);
                    }
                });
                let open = open_from(open_clicks).min(open_from(open_advances));
                while let Some((epoch, time, mut arrivals)) = arrivals.take_closed(open) {
                    seen.forget_before(horizon.first_minute(epoch, &options));
                    arrivals.sort_unstable_by_key(|arrival| arrival.at);
                    let mut tally = Tally::default();
                    let mut session = output.session(&time);
                    for Arrival { at: _, click } in arrivals {
                        if seen.take(&click, epoch, &options, &mut tally) {
                            session.give(Ok((click, epoch, 1)));
                        }
                    }
                    session.give(Err((tally, epoch, 1)));
                }
            }
        },
    );
    let (firsts, tallies) = kept.ok_err(|kept| kept);
    (Updates::new(firsts), Updates::new(tallies))
}

/// What leaves the operator before its two sides are parted.
type Kept = Result<(Click, Epoch, isize), (Tally, Epoch, isize)>;

/// Equal clicks meet on one worker; those of their own are spread.
fn route(Arrival { at: Coordinates { partition, offset }, click }: &Arrival) -> u64 {
    match click.identity {
        Some(identity) => (identity >> 64) as u64,
        None => (u64::from(*partition) << 40 ^ offset).wrapping_mul(0x9E37_79B9_7F4A_7C15),
    }
}

/// Identities of the clicks of each minute that may still take one.
struct SeenClicks {
    minutes: BTreeMap<Minute, Seen<u128>>,
    gauge: Gauge,
}

impl SeenClicks {
    /// Whether `click` goes on: it is a first copy, and some list needs it.
    fn take(&mut self, click: &Click, epoch: Epoch, options: &Options, tally: &mut Tally) -> bool {
        let minute = click.minute();
        let first = click.identity.map(|identity| {
            let first = self.minutes.entry(minute).or_default().insert(identity);
            self.gauge.add(u64::from(first));
            first
        });
        tally.add(first, Kind::of(minute, epoch, options))
    }

    fn forget_before(&mut self, minute: Minute) {
        while let Some(least) = self.minutes.first_entry().filter(|entry| *entry.key() < minute) {
            self.gauge.sub(least.remove().len() as u64);
        }
    }
}
