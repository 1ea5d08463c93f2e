//! Clicks go on; what is no click leaves as a reject.
//!
//! ```text
//! entries ─┬─▶ clicks
//!          └─▶ rejects
//! advances ┘
//! ```
//!
//! The source has decoded and judged each record by its own partition's clock. What is left for
//! this stage are the clicks of a partition that slept, or appeared, while others went on: at an
//! epoch to which a mark lifts them, their own clock says nothing about how late they are, so they
//! are judged by the greatest clock of the epochs before. Time that merely passed moves no clock,
//! so a pause makes nothing too late.
//!
//! Holds lifted clicks until their epoch is closed, and nothing else.

use serde::{Deserialize, Serialize};
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::core::OkErr;
use timely::dataflow::operators::generic::operator::Operator;

use crate::click::{Click, ClickRef, Coordinates, Reason, Refusal, Reject};
use crate::held::{Held, open_from};
use crate::horizon::{Advance, Horizon, first_minute};
use crate::options::Options;
use crate::time::{Epoch, Time};
use crate::{Stream, Updates};

/// A record as it enters the graph.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Entry {
    /// A click at the epoch of its own partition's clock.
    Click(Arrival),
    /// A click that a mark lifts beyond that clock, with its bytes, should it turn out too late.
    Lifted(Arrival, Vec<u8>),
    /// A record that is no click.
    Reject(Reject),
}

/// A click, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// Where its record stands.
    pub at: Coordinates,
    /// The click.
    pub click: Click,
}

impl Arrival {
    /// The click at `at`, the same as those that it may be a copy of.
    pub(crate) fn new(at: Coordinates, click: &ClickRef<'_>, options: &Options) -> Arrival {
        let mut click = Click::from(click);
        click.identity = options.copies.identity(click.identity, at.partition);
        Arrival { at, click }
    }
}

/// Parts clicks and rejects, each at the epoch of its record.
pub fn split<'scope>(
    entries: Updates<'scope, Entry>,
    advances: Stream<'scope, Advance>,
    options: &Options,
) -> (Updates<'scope, Arrival>, Updates<'scope, Reject>) {
    let options = options.clone();
    let judged = entries.inner.binary_frontier::<_, Builder, _, _, _, _>(
        advances,
        Pipeline,
        Pipeline,
        "Split",
        move |_, _| {
            let mut lifted = Held::<Vec<(Arrival, Vec<u8>)>>::new();
            let mut horizon = Horizon::default();
            move |(entries, open_entries), (advances, open_advances), output| {
                advances.for_each(|_, data| data.iter().for_each(|advance| horizon.note(advance)));
                entries.for_each(|time, data| {
                    let Some(time) = time.retain_least(0) else { return };
                    let mut session = output.session(&time);
                    for (entry, epoch, _) in data.drain(..) {
                        let judged = match entry {
                            Entry::Click(arrival) => Ok((arrival, epoch, 1)),
                            Entry::Reject(reject) => Err((reject, epoch, 1)),
                            Entry::Lifted(arrival, bytes) => {
                                lifted.at(epoch, &time).push((arrival, bytes));
                                continue;
                            }
                        };
                        session.give(judged);
                    }
                });
                let open = open_from(open_entries).min(open_from(open_advances));
                while let Some((epoch, time, arrivals)) = lifted.take_closed(open) {
                    let clock = horizon.clock_before(epoch);
                    let judged = arrivals.into_iter().map(|(arrival, bytes)| {
                        match too_late(&arrival, &bytes, clock, &options) {
                            None => Ok((arrival, epoch, 1)),
                            Some(reject) => Err((reject, epoch, 1)),
                        }
                    });
                    output.session(&time).give_iterator(judged);
                }
                // Also without lifted clicks: what waits to be effective stays short.
                horizon.clock_before(open);
            }
        },
    );
    let (clicks, rejects) = judged.ok_err(|judged| judged);
    (Updates::new(clicks), Updates::new(rejects))
}

/// What leaves the operator before its two sides are parted.
type Judged = Result<(Arrival, Epoch, isize), (Reject, Epoch, isize)>;
type Builder = timely::container::CapacityContainerBuilder<Vec<Judged>>;

/// The reject of a click whose minute is beyond the horizon of `clock`.
fn too_late(arrival: &Arrival, bytes: &[u8], clock: Epoch, options: &Options) -> Option<Reject> {
    if arrival.click.minute() >= first_minute(clock, options) {
        return None;
    }
    let event = Time(arrival.click.event_ms);
    let detail = format!("click_timestamp: {event} is beyond the horizon of {}", Time(clock));
    let refusal = Refusal { reason: Reason::TooLate, detail };
    Some(Reject::new(arrival.at, refusal, bytes, bytes.len() as u64))
}
