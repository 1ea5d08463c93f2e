//! The workload: clicks that follow from a seed, decoded in memory.
//!
//! Ads are popular by Zipf's law; 80 % of the clicks arrive within 2 s, the rest within 14 s, so
//! that none is late; 1 % of the records are copies. Which partition a click comes from has nothing
//! to do with its ad.

use clicks::generate::line::ad_id;
use clicks::generate::random::{Random, Zipf, mix};
use clicks_dataflows::click::AdId;
use clicks_dataflows::time::{MINUTE_MS, Millis, Minute};

use crate::ads::Text;
use crate::support::lines::{PARTITIONS, START_MS};
use crate::tables::Counts;
use crate::tuned::Facts;

/// What is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Records, copies among them.
    pub clicks: u64,
    /// Minutes over which they are spread.
    pub minutes: u64,
    /// Ads that are clicked.
    pub ads: u64,
    /// Per cent of the clicks that go to one ad whatever Zipf's law says.
    pub hot: u64,
    /// Whether copies come from the partition of the click; else from any.
    pub pinned: bool,
}

/// Countries from which people click.
pub const COUNTRIES: u16 = 240;

/// Most clicks arrive so soon, all others within [`FAR_MS`].
const NEAR_MS: Millis = 2_000;

/// All clicks arrive so soon.
const FAR_MS: Millis = 14_000;

/// Clicks that may be copied.
const RECENT: u64 = 8192;

/// Spreads popular ads over the ids; a prime, so that each rank has an id of its own.
const STRIDE: u64 = 2_654_435_761;

/// A click of fixed width: 96 bytes.
#[derive(Clone, Debug)]
pub struct Click {
    /// The id of its ad, as a number.
    pub id: Text,
    /// The same as text.
    pub text: AdId,
    /// When it happened.
    pub event_ms: Millis,
    /// What makes two records the same click, upper half first.
    pub identity: [u64; 2],
    /// The number of its ad.
    pub ad: u32,
    /// Who clicked.
    pub user: u32,
    /// From which IPv4 address.
    pub ip: u32,
    /// From which country: 0 has a fifth of all clicks.
    pub country: u16,
}

impl Click {
    /// What the loop needs; `ad` is how it knows the ad.
    #[inline]
    pub fn facts<A>(&self, ad: A) -> Facts<A> {
        let [high, low] = self.identity;
        Facts {
            identity: u128::from(high) << 64 | u128::from(low),
            minute: minute_of(self.event_ms),
            ad,
            counts: matches(self.country == 0, self.ip),
        }
    }
}

/// The minute of a time.
#[inline]
pub fn minute_of(event_ms: Millis) -> Minute {
    Minute(u32::try_from(event_ms / MINUTE_MS).expect("minutes are counted in u32"))
}

/// A click of each filter that matches: those of [`options`](crate::support::job::options).
#[inline]
pub fn matches(at_home: bool, ip: u32) -> Counts {
    [1, at_home.into(), (16..=28).contains(&(ip >> 24)).into()]
}

/// The code of a country.
pub fn country_code(country: u16) -> [u8; 3] {
    let letter = |number: u16| b'A' + u8::try_from(number % 26).expect("it is a letter");
    match country {
        0 => *b"USA",
        other => [b'A', letter(other / 26), letter(other)],
    }
}

/// Makes the clicks of a shape in the order of their arrival, each with its partition.
pub struct Maker {
    shape: Shape,
    ids: Vec<Text>,
    random: Random,
    popular: Zipf,
    recent: Vec<(usize, Click)>,
    made: u64,
}

impl Maker {
    /// Starts at the first click of `shape`.
    pub fn new(shape: Shape) -> Maker {
        let popular = Zipf::new(shape.ads, 1.05);
        let ids = (0..shape.ads).map(|ad| Text::new(&ad_id(ad))).collect();
        Maker { shape, ids, random: Random::new(7), popular, recent: Vec::new(), made: 0 }
    }

    fn fresh(&mut self, arrival_ms: Millis) -> (usize, Click) {
        let random = &mut self.random;
        let far = if random.below(10) < 8 { NEAR_MS } else { FAR_MS };
        let event_ms = arrival_ms - random.below(far);
        let is_hot = random.below(100) < self.shape.hot;
        let rank = if is_hot { 1 } else { self.popular.draw(random) };
        let id = mix(self.made.wrapping_mul(STRIDE) ^ 7);
        let country = match random.below(5) {
            0 => 0,
            _ => {
                1 + random
                    .below(u64::from(COUNTRIES) - 1)
                    .min(random.below(u64::from(COUNTRIES) - 1))
            }
        };
        let ip = (1 + random.below(130)) << 24 | random.below(1 << 24);
        let small = |number: u64| u32::try_from(number).expect("it is bounded");
        let ad = small(rank * STRIDE % self.shape.ads);
        let click = Click {
            id: self.ids[ad as usize],
            text: AdId::from(&*ad_id(ad.into())),
            event_ms,
            identity: [mix(id), id],
            ad,
            user: small(random.below(50_000_000)),
            ip: small(ip),
            country: u16::try_from(country).expect("there are few countries"),
        };
        (random.place(PARTITIONS), click)
    }

    /// A copy of a click that is still in time.
    fn copy(&mut self, arrival_ms: Millis) -> Option<(usize, Click)> {
        let place = self.random.place(self.recent.len().max(1));
        let (partition, click) = self.recent.get(place)?.clone();
        let partition = if self.shape.pinned { partition } else { self.random.place(PARTITIONS) };
        (click.event_ms + FAR_MS > arrival_ms).then_some((partition, click))
    }
}

impl Iterator for Maker {
    type Item = (usize, Click);

    fn next(&mut self) -> Option<(usize, Click)> {
        let Shape { clicks, minutes, .. } = self.shape;
        if self.made == clicks {
            return None;
        }
        let span = u128::from(minutes * MINUTE_MS);
        let after = u128::from(self.made) * span / u128::from(clicks);
        let arrival_ms = START_MS + u64::try_from(after).expect("it is within the span");
        self.made += 1;
        if self.random.below(100) == 0
            && let Some(copy) = self.copy(arrival_ms)
        {
            return Some(copy);
        }
        let fresh = self.fresh(arrival_ms);
        let place = usize::try_from(self.made % RECENT).expect("it is small");
        match self.recent.get_mut(place) {
            Some(recent) => recent.clone_from(&fresh),
            None => self.recent.push(fresh.clone()),
        }
        Some(fresh)
    }
}

/// Clicks of each partition, and the ids of all ads.
pub struct Decoded {
    /// Ids by number.
    pub ads: Vec<Text>,
    /// Clicks of each partition, in their order.
    pub partitions: Vec<Vec<Click>>,
}

impl Decoded {
    /// Makes all clicks of `shape`.
    pub fn make(shape: Shape) -> Decoded {
        let room = usize::try_from(shape.clicks).expect("they fit") / PARTITIONS;
        let empty = || Vec::with_capacity(room + room / 100);
        let mut partitions: Vec<Vec<Click>> = (0..PARTITIONS).map(|_| empty()).collect();
        let mut maker = Maker::new(shape);
        for (partition, click) in &mut maker {
            partitions[partition].push(click);
        }
        Decoded { ads: maker.ids, partitions }
    }
}
