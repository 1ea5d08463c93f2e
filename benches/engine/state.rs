//! Bytes of state: what a row of counts takes, and what a click seen takes.
//!
//! ```text
//!          ads in a minute   clicks of each
//! each     ADS               1 ┬─ as many clicks, half the rows: what a row takes
//! half     ADS / 2           2 ┘
//! twice    ADS               2 ─── as `each`, but twice the clicks: what a click takes
//! ```
//!
//! A row is an ad's minute with the counts of its filters. What is compared is the heap of the
//! graph, with all that it holds for the rows and clicks of the horizon, at a moment at which it has
//! nothing to do: tables, their free places, rows on the shelf, lists. What all inputs have alike
//! cancels out: the names of the ads, buffers, code.

use std::sync::Arc;

use clicks::generate::line::ad_id;
use clicks::generate::random::mix;
use clicks_dataflows::click::AdId;
use clicks_dataflows::gauge::Gauges;
use clicks_dataflows::time::{MINUTE_MS, Millis};
use timely::Config;
use timely::worker::Worker;

use crate::Args;
use crate::ads::Text;
use crate::graph::{Feed, QUIET_STEPS, take};
use crate::heap::live_bytes;
use crate::race::{Bar, Figure};
use crate::support::job::{LATENESS_MS, decoder, options};
use crate::support::lines::{PARTITIONS, START_MS};
use crate::told::Told;
use crate::workload::{Click, Decoded};

/// Ads of a minute.
const ADS: u32 = 20_000;

/// Ads beside them that are in all lists, as without any each ad would be in the running.
const POPULAR: u32 = 150;

/// Clicks of a popular ad in a minute.
const POPULAR_CLICKS: u32 = 20;

/// Minutes with clicks: those that are held for late clicks and for the lists that they change, an
/// hour each, and some that are forgotten.
const MINUTES: u64 = 135;

/// When the last of them ends.
const END_MS: Millis = START_MS + MINUTES * MINUTE_MS;

/// For so long there are a few more clicks once it has settled.
const TAIL_MS: Millis = 20_000;

/// How much event time is fed before the graph comes to rest.
const PORTION_MS: usize = 5000;

/// Bytes of a row and of a click seen.
pub fn state(_: &Args) -> Vec<Figure> {
    println!("\nstate: {MINUTES} minutes of {ADS} ads, horizon 1 hour");
    let each = Load { ads: ADS, clicks: 1, matches_all: false };
    let half = Load { ads: ADS / 2, clicks: 2, ..each };
    let twice = Load { clicks: 2, ..each };
    let all = |load: Load| Load { matches_all: true, ..load }.held();
    let a_row = |each: Held, half: Held| {
        assert_eq!((each.clicks, each.rows), (half.clicks, 2 * half.rows), "only rows differ");
        ratio(each.bytes - half.bytes, each.rows - half.rows)
    };
    let a_click = |twice: Held, each: Held| {
        assert_eq!(twice.rows, each.rows, "only clicks differ");
        ratio(twice.bytes - each.bytes, twice.clicks - each.clicks)
    };
    let of_all = a_row(all(each), all(half));
    let (each, half, twice) = (each.held(), half.held(), twice.held());
    let figure = |work, bytes| Figure::new(work, Bar::AtMost(24.0), Some(bytes));
    vec![
        figure("bytes of an (ad, minute) with clicks of all 3 filters", of_all),
        figure("bytes of an (ad, minute) with clicks of 1.3 of 3 filters", a_row(each, half)),
        figure("bytes of a click seen", a_click(twice, each)),
    ]
}

fn ratio(bytes: i64, of: i64) -> f64 {
    bytes as f64 / of as f64
}

/// What the graph holds.
#[derive(Clone, Copy, Debug)]
struct Held {
    /// Ads' minutes, those of popular ads left out.
    rows: i64,
    /// Clicks seen.
    clicks: i64,
    /// All of it.
    bytes: i64,
}

/// Clicks that are the same in each minute.
#[derive(Clone, Copy, Debug)]
struct Load {
    /// Ads of a minute; if they are half of all, minutes have the one half or the other.
    ads: u32,
    /// Clicks of each.
    clicks: u32,
    /// Whether each click matches all filters; else some do.
    matches_all: bool,
}

impl Load {
    /// What the graph holds after these clicks.
    fn held(self) -> Held {
        let decoded = Arc::new(self.decoded());
        let work = move |worker: &mut Worker| run(worker, &decoded);
        let guards = timely::execute(Config::thread(), work).expect("a thread can be started");
        let (bytes, [minutes, clicks]) = guards.join().remove(0).expect("no worker fails");
        let held = Held { rows: minutes * i64::from(self.ads), clicks, bytes };
        println!("  {self:?}: {held:?}, {minutes} minutes");
        held
    }

    /// The clicks, and at the end some that settle the last minute.
    fn decoded(self) -> Decoded {
        let mut decoded = Decoded { ads: Vec::new(), partitions: vec![Vec::new(); PARTITIONS] };
        let mut made: usize = 0;
        let mut push = |event_ms: Millis, ad: u32, matches: [bool; 2]| {
            let click = click(made as u64, event_ms, ad, matches);
            decoded.partitions[made % PARTITIONS].push(click);
            made += 1;
        };
        for minute in 0..MINUTES {
            let start = START_MS + minute * MINUTE_MS;
            let other = u32::try_from(minute % 2).expect("it is 0 or 1") * (ADS - self.ads);
            let of_ads = (0..self.clicks).flat_map(|_| 0..self.ads).map(|ad| {
                let matches = self.matches_all;
                (other + ad, [matches || ad % 5 == 0, matches || ad % 10 == 1])
            });
            let popular = (0..POPULAR_CLICKS).flat_map(|_| ADS..ADS + POPULAR);
            let clicks = of_ads.chain(popular.map(|ad| (ad, [true; 2])));
            let count = u64::from(self.ads * self.clicks + POPULAR * POPULAR_CLICKS);
            for (number, (ad, matches)) in (0..).zip(clicks) {
                push(start + number * MINUTE_MS / count, ad, matches);
            }
        }
        for event_ms in (END_MS..END_MS + LATENESS_MS + TAIL_MS).step_by(1000) {
            (0..PARTITIONS).for_each(|_| push(event_ms, ADS, [true; 2]));
        }
        decoded
    }
}

/// A click that matches the filters of a country and of blocks, or not.
fn click(number: u64, event_ms: Millis, ad: u32, [country, block]: [bool; 2]) -> Click {
    let id = ad_id(ad.into());
    Click {
        id: Text::new(&id),
        text: AdId::from(&*id),
        event_ms,
        identity: [mix(number), mix(!number)],
        ad,
        user: 0,
        ip: if block { 16 << 24 } else { 1 << 24 },
        country: u16::from(!country),
    }
}

/// The bytes that the graph holds when the last minute has settled, the minutes of which it has
/// rows, and the clicks seen.
fn run(worker: &mut Worker, decoded: &Decoded) -> (i64, [i64; 2]) {
    let (before, gauges) = (live_bytes(), Gauges::default());
    let options = options(1);
    let (mut feed, mut outbox) = Feed::assemble(worker, decoded, &decoder(), &options, &gauges);
    let mut told = Told::default();
    for until in (START_MS..END_MS + LATENESS_MS + TAIL_MS / 2).step_by(PORTION_MS) {
        feed.push(|_, _, clicks| {
            let next = clicks.iter().position(|click| click.event_ms >= until);
            next.unwrap_or(clicks.len())
        });
        for _ in 0..QUIET_STEPS {
            worker.step();
        }
        let open = outbox.open_from().expect("there are clicks to come");
        take(&mut outbox, open, &mut told);
    }
    let Gauges { minutes, seen_clicks, .. } = gauges;
    (live_bytes() - before, [minutes, seen_clicks].map(|gauge| gauge.get().cast_signed()))
}
