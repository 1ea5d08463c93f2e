//! Clicks that are told together, added up by ad and by the filters that they match.
//!
//! A click adds to one sum, however many filters it matches; which filters those are is looked at
//! once for each sum, when it is told.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::ads::Name;

/// Clicks of one minute that are told at one epoch, by ad and pattern of filters.
#[derive(Default)]
pub struct Sums(HashMap<(Name, u64), u32, FixedState>);

impl Sums {
    /// Adds a click of `ad` that matches the filters of `pattern`.
    pub fn add(&mut self, ad: Name, pattern: u64) {
        let clicks = self.0.entry((ad, pattern)).or_default();
        *clicks = clicks.checked_add(1).expect("an ad gets fewer clicks in a minute than u32");
    }

    /// Calls `each` with the clicks of every ad under every filter, by ad and then by filter;
    /// `places` gives the filters of a pattern.
    pub fn tell<P: Iterator<Item = u32>>(
        self,
        places: impl Fn(u64) -> P,
        mut each: impl FnMut(Name, u32, u32),
    ) {
        let mut sums: Vec<((Name, u64), u32)> = self.0.into_iter().collect();
        sums.sort_unstable_by_key(|(key, _)| *key);
        let (mut by_place, mut touched) = (Vec::<u32>::new(), Vec::<u32>::new());
        for of_ad in sums.chunk_by(|((a, _), _), ((b, _), _)| a == b) {
            let ad = of_ad[0].0.0;
            for ((_, pattern), clicks) in of_ad {
                for place in places(*pattern) {
                    let at = place as usize;
                    if by_place.len() <= at {
                        by_place.resize(at + 1, 0);
                    }
                    if by_place[at] == 0 {
                        touched.push(place);
                    }
                    let sum = by_place[at].checked_add(*clicks);
                    by_place[at] = sum.expect("an ad gets fewer clicks in a minute than u32");
                }
            }
            touched.sort_unstable();
            for place in touched.drain(..) {
                each(ad, place, std::mem::take(&mut by_place[place as usize]));
            }
        }
    }
}

/// The places whose bits are set in `word`, ascending.
pub fn bits(mut word: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let place = (word != 0).then(|| word.trailing_zeros())?;
        word &= word - 1;
        Some(place)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_filter_of_a_pattern_gets_its_clicks() {
        let mut sums = Sums::default();
        for (ad, word) in [(2, 0b001), (1, 0b101), (1, 0b011), (2, 0b001), (1, 0b101)] {
            sums.add(Name(ad), word);
        }
        let mut told = Vec::new();
        sums.tell(bits, |ad, place, clicks| told.push((ad.0, place, clicks)));
        assert_eq!(told, [(1, 0, 3), (1, 1, 1), (1, 2, 2), (2, 0, 2)]);
    }
}
