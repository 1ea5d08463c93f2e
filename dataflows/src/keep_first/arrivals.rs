//! Clicks of the fast engine on their way to the worker that keeps the first of each.
//!
//! Which filters a click matches is known when it is decoded, so nothing else of its fields needs
//! to travel: a row of fixed width, and as text an ad's id that is longer than its head.

use bytemuck::{Pod, Zeroable};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::operator::Operator;

use crate::ads::{self, HEAD_BYTES, Head, halves};
use crate::click::{ClickRef, Coordinates};
use crate::filter::Filters;
use crate::hashes::used;
use crate::options::Options;
use crate::packed::{Packed, Row};
use crate::split::Arrival;
use crate::time::{Epoch, Minute};
use crate::{PackedStream, Updates};

/// A click, and where and when it came.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct PackedArrival {
    identity: [u64; 2],
    /// The head of its ad's id.
    pub head: Head,
    /// The epoch at which the graph learnt of it.
    pub epoch: Epoch,
    /// The offset of its record.
    pub offset: u64,
    /// The filters that it matches, a bit for each; if they are [`WIDE`], bytes of text instead.
    matching: u64,
    /// The partition of its record.
    pub partition: u32,
    /// The minute in which it happened.
    pub minute: u32,
    text_at: u32,
    /// The length of its ad's id.
    pub ad_bytes: u16,
    flags: u16,
}

/// Clicks that are on their way.
pub type Arrivals = Packed<PackedArrival>;

/// Nothing identifies the click.
const OWN: u16 = 1;

/// There are more filters than bits in a word: those that match end the text, each as the character
/// of its place.
const WIDE: u16 = 2;

/// Which filters a click matches, by their places in the order of ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matching<'a> {
    /// A bit for each of at most 64 filters.
    Word(u64),
    /// A character for each that matches.
    Wide(&'a str),
}

impl PackedArrival {
    /// What makes two clicks the same; none for a click of its own.
    pub fn identity(&self) -> Option<u128> {
        (self.flags & OWN == 0).then_some(ads::whole(self.identity))
    }

    /// Equal clicks meet on one worker; those of their own are spread.
    pub fn route(&self) -> u64 {
        let [high, _] = self.identity;
        let own = u64::from(self.partition) << 40 ^ self.offset;
        if self.flags & OWN == 0 { high } else { own.wrapping_mul(0x9E37_79B9_7F4A_7C15) }
    }

    /// The ad's id if it is longer than its head, and the filters that match.
    pub fn parts<'a>(&self, text: &'a [u8]) -> (&'a [u8], Matching<'a>) {
        let (long, wide) = text.split_at(self.long_bytes());
        if self.flags & WIDE == 0 {
            return (long, Matching::Word(self.matching));
        }
        (long, Matching::Wide(std::str::from_utf8(wide).expect("characters were written")))
    }

    fn long_bytes(&self) -> usize {
        let bytes = usize::from(self.ad_bytes);
        if bytes > HEAD_BYTES { bytes } else { 0 }
    }
}

#[cfg(feature = "abomonation")]
impl abomonation::Abomonation for PackedArrival {}

impl Row for PackedArrival {
    fn text(&self) -> (u32, u32) {
        let wide = if self.flags & WIDE == 0 { 0 } else { self.matching };
        let bytes = self.long_bytes() as u64 + wide;
        (self.text_at, u32::try_from(bytes).expect("there are fewer filters than characters"))
    }

    fn with_text_at(self, text_at: u32) -> PackedArrival {
        PackedArrival { text_at, ..self }
    }
}

/// Whole clicks as rows.
pub fn packed<'scope>(
    clicks: Updates<'scope, Arrival>,
    options: &Options,
) -> PackedStream<'scope, PackedArrival> {
    let filters = options.filters.clone();
    clicks.inner.unary::<CapacityContainerBuilder<Arrivals>, _, _, _>(
        Pipeline,
        "Pack",
        move |_, _| {
            move |clicks, output| {
                clicks.for_each(|time, data| {
                    let mut arrivals = Arrivals::default();
                    for (Arrival { at, click }, epoch, _) in data.drain(..) {
                        let seen = ClickRef::from(&click);
                        pack(&mut arrivals, at, &seen, click.identity, epoch, &filters);
                    }
                    output.session(&time).give_container(&mut arrivals);
                });
            }
        },
    )
}

/// Adds a click to `arrivals`, the same as others of `identity`.
pub fn pack(
    arrivals: &mut Arrivals,
    at: Coordinates,
    click: &ClickRef<'_>,
    identity: Option<u128>,
    epoch: Epoch,
    filters: &Filters,
) {
    let ad = click.ad.as_bytes();
    let [high, low] = halves(identity.unwrap_or(0));
    let mut row = PackedArrival {
        // The upper half finds places; the lower one tells identities apart all the same.
        identity: [used(high), low],
        head: ads::head(ad),
        epoch,
        offset: at.offset,
        matching: 0,
        partition: at.partition,
        minute: Minute::of(click.event_ms).0,
        text_at: 0,
        ad_bytes: u16::try_from(ad.len()).expect("an ad's id is at most 256 bytes"),
        flags: if identity.is_none() { OWN } else { 0 },
    };
    let long = &ad[..row.long_bytes()];
    if filters.fit_a_word() {
        row.matching = filters.bits(click);
        return arrivals.push(row, long);
    }
    let mut wide = String::new();
    filters.for_each_match(click, |place| wide.push(character(place)));
    row.matching = wide.len() as u64;
    row.flags |= WIDE;
    arrivals.push(row, &[long, wide.as_bytes()].concat());
}

/// The character that stands for the filter at `place`.
fn character(place: u32) -> char {
    char::from_u32(place).expect("there are fewer filters than characters")
}
