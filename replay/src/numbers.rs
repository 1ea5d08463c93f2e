//! Small numbers in the place of values that many clicks share.

use std::collections::BTreeMap;

/// Values, numbered as they come.
pub struct Numbers<T>(BTreeMap<T, u32>);

impl<T: Ord + Clone> Numbers<T> {
    /// The number of `value`, which is given one if it has none.
    ///
    /// # Panics
    ///
    /// When there are more values than `u32` has numbers.
    pub fn number(&mut self, value: &T) -> u32 {
        if let Some(number) = self.0.get(value) {
            return *number;
        }
        let next = u32::try_from(self.0.len()).expect("fewer values than u32 are numbered");
        self.0.insert(value.clone(), next);
        next
    }

    /// The values, ascending.
    pub fn sorted(&self) -> impl Iterator<Item = &T> {
        self.0.keys()
    }

    /// The place of each number among the sorted values.
    pub fn ranks(&self) -> Vec<u32> {
        let mut ranks = vec![0; self.0.len()];
        for (number, rank) in self.0.values().zip(0..) {
            ranks[*number as usize] = rank;
        }
        ranks
    }

    /// The values in the order of their numbers.
    pub fn by_number(&self) -> Vec<&T> {
        let mut values: Vec<(u32, &T)> =
            self.0.iter().map(|(value, number)| (*number, value)).collect();
        values.sort_unstable_by_key(|(number, _)| *number);
        values.into_iter().map(|(_, value)| value).collect()
    }
}

impl<T> Default for Numbers<T> {
    fn default() -> Numbers<T> {
        Numbers(BTreeMap::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_arrival_and_ranks_the_order() {
        let mut numbers = Numbers::default();
        assert_eq!(["c", "a", "c", "b"].map(|value| numbers.number(&value)), [0, 1, 0, 2]);
        assert_eq!(numbers.sorted().copied().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(numbers.ranks(), [2, 0, 1]);
        assert_eq!(numbers.by_number(), [&"c", &"a", &"b"]);
    }
}
