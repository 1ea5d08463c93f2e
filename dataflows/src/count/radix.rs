//! Cells sorted by key without comparing them.
//!
//! Sorting by the least significant digit first, each pass stable: D. E. Knuth, "The Art of Computer
//! Programming", volume 3, 5.2.5. Three passes over digits of 11 bits.

/// Bits of a digit.
const DIGIT: u32 = 11;

/// Digits of a key.
const DIGITS: usize = 3;

/// Cells that are sorted sooner by comparing them.
const FEW: usize = 1 << 9;

/// Sorts pairs of key and clicks by key.
pub(crate) fn sort_by_key(cells: &mut Vec<(u32, u32)>) {
    if cells.len() < FEW {
        return cells.sort_unstable_by_key(|(key, _)| *key);
    }
    let mut ends = [[0; 1 << DIGIT]; DIGITS];
    for (key, _) in &*cells {
        for (pass, ends) in ends.iter_mut().enumerate() {
            ends[digit(*key, pass)] += 1;
        }
    }
    let mut sorted = vec![(0, 0); cells.len()];
    for (pass, places) in ends.iter_mut().enumerate() {
        let mut next = 0;
        for place in places.iter_mut() {
            next += std::mem::replace(place, next);
        }
        for cell in &*cells {
            let place = &mut places[digit(cell.0, pass)];
            sorted[*place] = *cell;
            *place += 1;
        }
        std::mem::swap(cells, &mut sorted);
    }
}

#[inline]
fn digit(key: u32, pass: usize) -> usize {
    (key as usize >> (DIGIT as usize * pass)) & ((1 << DIGIT) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Draw, Random};

    #[test]
    fn cells_are_in_the_order_of_keys_and_those_of_a_key_as_they_were() {
        let mut random = Random(6);
        for (count, keys) in [(0, 1), (1, 1), (FEW - 1, u32::MAX), (FEW, 3), (50_000, u32::MAX)] {
            let mut cells: Vec<(u32, u32)> =
                (0..).take(count).map(|at| (random.small(keys), at)).collect();
            cells.extend([(u32::MAX, 0); FEW].iter().take(count / 2));
            let mut sorted = cells.clone();
            sorted.sort_by_key(|(key, _)| *key);
            sort_by_key(&mut cells);
            let keys = |cells: &[(u32, u32)]| cells.iter().map(|(key, _)| *key).collect::<Vec<_>>();
            assert_eq!(keys(&cells), keys(&sorted));
            if cells.len() >= FEW {
                assert_eq!(cells, sorted);
            }
        }
    }
}
