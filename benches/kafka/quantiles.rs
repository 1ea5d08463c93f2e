//! Quantiles of milliseconds: all values are kept and sorted, so they are exact.

use clicks_dataflows::time::Millis;

/// Values that were measured.
#[derive(Default)]
pub struct Quantiles(Vec<Millis>);

impl Quantiles {
    /// Adds one.
    pub fn add(&mut self, ms: Millis) {
        self.0.push(ms);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The least value that is at least `per_mille` of all values.
    pub fn at(&mut self, per_mille: usize) -> Millis {
        self.0.sort_unstable();
        let last = self.0.len().saturating_sub(1);
        let rank = (self.0.len() * per_mille).div_ceil(1000).saturating_sub(1);
        self.0.get(rank.min(last)).copied().unwrap_or(0)
    }

    /// The ones that are looked at.
    pub fn text(&mut self) -> String {
        let (p50, p99, max) = (self.at(500), self.at(990), self.at(1000));
        format!("{:>7} {p50:>7} {p99:>7} {max:>7}", self.count())
    }
}
