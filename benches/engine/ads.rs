//! Ads: their ids as numbers that compare as text does, and small numbers that stand for them.

#![expect(
    clippy::cast_possible_truncation,
    reason = "places in a table are the low bits of hashes"
)]

/// An ad's id: its bytes, then zeros, so that the order of numbers is the order of ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text(u128);

impl Text {
    /// The id `id`.
    ///
    /// # Panics
    ///
    /// When it is longer than 16 bytes: this input has none.
    pub fn new(id: &str) -> Text {
        let mut bytes = [0; 16];
        bytes[..id.len()].copy_from_slice(id.as_bytes());
        Text(u128::from_be_bytes(bytes))
    }

    /// Appends the id to `line`.
    pub fn push_to(self, line: &mut Vec<u8>) {
        let length = 16 - self.0.trailing_zeros() as usize / 8;
        line.extend_from_slice(&self.0.to_be_bytes()[..length]);
    }

    /// Both halves.
    pub fn halves(self) -> [u64; 2] {
        [self.0 as u64, (self.0 >> 64) as u64]
    }

    fn hash(self) -> u64 {
        let [low, high] = self.halves();
        fold(low ^ 0x9e37_79b9_7f4a_7c15, high ^ 0xd6e8_feb8_6659_fd93)
    }
}

/// Both halves of a product: a fast hash of two numbers.
pub fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a).wrapping_mul(u128::from(b));
    product as u64 ^ (product >> 64) as u64
}

/// Ads by number, and the numbers of those that were looked for by their text.
pub struct Ads {
    texts: Vec<Text>,
    /// Of each place the upper half of a hash, and the ad's number, from 1; 0 is free.
    places: Vec<u64>,
}

impl Ads {
    /// Ads that have their numbers already.
    pub fn numbered(texts: Vec<Text>) -> Ads {
        Ads { texts, places: Vec::new() }
    }

    /// No ads yet.
    pub fn unknown() -> Ads {
        Ads { texts: Vec::new(), places: vec![0; 1 << 12] }
    }

    /// The id of an ad.
    pub fn text(&self, ad: u32) -> Text {
        self.texts[ad as usize]
    }

    /// The number of the ad `text`: the next one, if it is new.
    pub fn number(&mut self, text: Text) -> u32 {
        let (hash, mask) = (text.hash(), self.places.len() - 1);
        let mut at = hash as usize;
        loop {
            let place = self.places[at & mask];
            if place == 0 {
                break;
            }
            let number = (place as u32).wrapping_sub(1);
            if place >> 32 == hash >> 32 && self.texts[number as usize] == text {
                return number;
            }
            at = at.wrapping_add(1);
        }
        self.texts.push(text);
        let number = u32::try_from(self.texts.len()).expect("there are fewer ads than u32");
        self.places[at & mask] = (hash >> 32) << 32 | u64::from(number);
        if self.texts.len() * 2 > self.places.len() {
            self.grow();
        }
        number - 1
    }

    #[cold]
    fn grow(&mut self) {
        let mask = self.places.len() * 2 - 1;
        self.places = vec![0; mask + 1];
        for (number, text) in (1..).zip(&self.texts) {
            let hash = text.hash();
            let mut at = hash as usize;
            while self.places[at & mask] != 0 {
                at = at.wrapping_add(1);
            }
            self.places[at & mask] = (hash >> 32) << 32 | number;
        }
    }
}

/// The places of `texts` in their order.
///
/// Only bits that differ are compared: ids such as `ad0012345` differ in some 25, which leave room
/// for the place in one word.
pub fn order(texts: &[Text], order: &mut Vec<u64>) {
    order.clear();
    let Some(first) = texts.first() else { return };
    let differing = texts.iter().fold(0, |bits, text| bits | (text.0 ^ first.0));
    if differing.count_ones() > 32 || texts.len() > u32::MAX as usize {
        order.extend(0..texts.len() as u64);
        order.sort_unstable_by_key(|at| texts[*at as usize]);
        return;
    }
    let runs = runs(differing);
    order.extend((0..).zip(texts).map(|(at, text)| {
        let key = runs.iter().fold(0, |key, run| {
            key << run.width | ((text.0 >> run.shift) as u64 & ((1 << run.width) - 1))
        });
        key << 32 | at
    }));
    order.sort_unstable();
    order.iter_mut().for_each(|key| *key &= u64::from(u32::MAX));
}

/// Neighbouring bits.
struct Run {
    shift: u32,
    width: u32,
}

/// The runs of ones in `bits`, the uppermost first.
fn runs(mut bits: u128) -> Vec<Run> {
    let (mut runs, mut below) = (Vec::new(), 0);
    while bits != 0 {
        let shift = bits.trailing_zeros();
        let width = (bits >> shift).trailing_ones();
        runs.push(Run { shift: below + shift, width });
        below += shift + width;
        bits = bits.checked_shr(shift + width).unwrap_or(0);
    }
    runs.reverse();
    runs
}
