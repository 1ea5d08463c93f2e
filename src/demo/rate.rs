//! How many a second, over the last seconds.

use std::collections::VecDeque;

use clicks_dataflows::time::Millis;

/// Over how long the rate is taken.
const OVER_MS: Millis = 5000;

/// Sums as they were at some times.
#[derive(Debug, Default)]
pub struct Rate {
    sums: VecDeque<(Millis, u64)>,
}

impl Rate {
    /// The sum is `sum` at `now`; times and sums ascend.
    pub fn add(&mut self, now: Millis, sum: u64) {
        self.sums.push_back((now, sum));
        // The first one is the last that is old enough.
        while self.sums.get(1).is_some_and(|(then, _)| then + OVER_MS <= now) {
            self.sums.pop_front();
        }
    }

    /// The rate up to the last sum; 0 if that is long ago, or there is only one.
    pub fn per_second(&self, now: Millis) -> u64 {
        let (Some((first, from)), Some((last, to))) = (self.sums.front(), self.sums.back()) else {
            return 0;
        };
        if last + OVER_MS <= now || first == last {
            return 0;
        }
        (to - from) * 1000 / (last - first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let mut rate = Rate::default();
        assert_eq!(rate.per_second(0), 0);
        for second in 0..20 {
            rate.add(second * 1000, second.min(12) * 100 + second.saturating_sub(12) * 300);
        }
        assert_eq!(rate.per_second(19_900), 300);
        assert_eq!(rate.per_second(24_000), 0);
    }

    #[test]
    fn one_sum_has_no_rate() {
        let mut rate = Rate::default();
        rate.add(1000, 70);
        assert_eq!(rate.per_second(1000), 0);
        rate.add(1500, 170);
        assert_eq!(rate.per_second(1500), 200);
    }
}
