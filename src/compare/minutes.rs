//! A set of minutes, kept as the stretches of those that follow each other.

use std::collections::BTreeMap;

use clicks_dataflows::time::Minute;

/// A set of minutes; it holds one entry for each stretch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Minutes {
    /// The first minute of each stretch, with the first after it.
    stretches: BTreeMap<u32, u32>,
}

impl Minutes {
    /// Adds a minute.
    pub fn add(&mut self, minute: Minute) {
        let Minute(first) = minute;
        let before = self.stretches.range(..=first).next_back().map(|(first, end)| (*first, *end));
        let begin = match before {
            Some((_, end)) if first < end => return,
            Some((begin, end)) if first == end => begin,
            _ => first,
        };
        let end = self.stretches.remove(&(first + 1)).unwrap_or(first + 1);
        self.stretches.insert(begin, end);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.stretches.iter().map(|(first, end)| u64::from(end - first)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_that_follow_each_other_are_one_entry() {
        let mut minutes = Minutes::default();
        for minute in [5, 3, 4, 4, 9, 5, 8, 3] {
            minutes.add(Minute(minute));
        }
        assert_eq!(minutes.stretches, BTreeMap::from([(3, 6), (8, 10)]));
        assert_eq!(minutes.count(), 5);
        for minute in 0..1000 {
            minutes.add(Minute(minute));
        }
        assert_eq!(minutes.stretches, BTreeMap::from([(0, 1000)]));
    }
}
