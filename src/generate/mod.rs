//! A reproducible stream of clicks of which the truth is known.
//!
//! ```text
//! Plan ─▶ Generator ─▶ Made, Made, Made … ─▶ write ─▶ Outlet: clicks-0.jsonl, …, or a topic
//!                                              └────▶ Truth ─▶ truth.json
//! ```
//!
//! The same plan makes the same bytes: every choice follows from its seed. (Popularity is computed
//! in floating point, so this holds between machines whose mathematical library is the same.)
//! What a record is, a fresh click, a copy, a late one or no click at all, is known when it is
//! made, whatever the graph thinks of it later.

pub mod clicks;
pub mod files;
pub mod line;
pub mod random;
pub mod truth;
pub mod write;

use clicks_dataflows::time::{Millis, TIME_MAX};
use serde::{Deserialize, Serialize};

pub use clicks::{Generator, Kind, Made};
pub use files::Files;
pub use line::Fault;
pub use truth::Truth;
pub use write::{Outlet, Pace, Progress, Writing, write};

/// The most partitions that are written: each may be an open file.
const PARTITIONS_MAX: u32 = 1000;

/// The most ads that are counted.
const ADS_MAX: u64 = 100_000_000;

/// Room before the first arrival, into which late clicks reach back.
const START_MIN: Millis = 86_400_000;

/// What to generate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Distinct clicks; copies and malformed records come on top.
    pub clicks: u64,
    /// Partitions over which they are spread, by ad.
    pub partitions: u32,
    /// What all random choices follow from.
    pub seed: u64,
    /// Ads that may be clicked.
    pub ads: u64,
    /// The exponent of Zipf's law by which ads are popular; 0 makes all alike.
    pub skew: f64,
    /// The fraction of records that are copies of a recent click.
    pub duplicates: f64,
    /// The fraction of records that are clicks of a minute that has settled.
    pub late: f64,
    /// The fraction of records that are no clicks.
    pub malformed: f64,
    /// When the first record arrives.
    pub start_ms: Millis,
    /// Records that arrive in a second.
    pub per_second: f64,
    /// The lateness to which fresh clicks keep, and late ones do not.
    pub lateness_ms: Millis,
}

impl Plan {
    /// Checks that the plan can be carried out.
    ///
    /// # Errors
    /// Says which value is wrong, and what would be right.
    pub fn check(&self) -> Result<(), String> {
        let fraction = |name: &str, value: f64| match (0.0..=1.0).contains(&value) {
            true => Ok(()),
            false => Err(format!("{name} must lie between 0 and 1, not {value}")),
        };
        fraction("duplicates", self.duplicates)?;
        fraction("late", self.late)?;
        fraction("malformed", self.malformed)?;
        if self.duplicates + self.malformed > 0.99 || self.not_fresh() > 1.0 {
            return Err("duplicates and malformed must leave 1 % of the records to clicks, \
                        and with late be at most 1"
                .into());
        }
        if !(1..=PARTITIONS_MAX).contains(&self.partitions) {
            return Err(format!("partitions must be 1 to {PARTITIONS_MAX}"));
        }
        if !(1..=ADS_MAX).contains(&self.ads) {
            return Err(format!("ads must be 1 to {ADS_MAX}"));
        }
        if !(0.0..=10.0).contains(&self.skew) {
            return Err(format!("skew must lie between 0 and 10, not {}", self.skew));
        }
        if !(0.001..=1e9).contains(&self.per_second) {
            return Err(format!(
                "the rate must lie between 0.001 and 1e9 a second, not {}",
                self.per_second
            ));
        }
        let end = self.start_ms.checked_add(self.duration_ms());
        if self.start_ms < START_MIN || end.is_none_or(|end| end > TIME_MAX) {
            return Err("the clicks must lie between 1970-01-02 and the year 9999".into());
        }
        Ok(())
    }

    /// About how long it takes for all to arrive, in milliseconds.
    pub fn duration_ms(&self) -> Millis {
        let records = self.clicks as f64 / (1.0 - self.duplicates - self.malformed).max(0.01);
        millis(records * 1000.0 / self.per_second)
    }

    /// When the record with this number, from 0, arrives.
    fn arrival_ms(&self, record: u64) -> Millis {
        self.start_ms + millis(record as f64 * 1000.0 / self.per_second)
    }

    fn not_fresh(&self) -> f64 {
        self.duplicates + self.late + self.malformed
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "no time is negative, and one beyond all years is the greatest"
)]
fn millis(time: f64) -> Millis {
    time as Millis
}

#[cfg(test)]
mod tests {
    use super::Plan;

    /// What the tests of this module start from: a minute and a half of clicks.
    pub(super) fn plan() -> Plan {
        Plan {
            clicks: 100_000,
            partitions: 4,
            seed: 7,
            ads: 10_000,
            skew: 1.05,
            duplicates: 0.02,
            late: 0.01,
            malformed: 0.005,
            start_ms: 1_767_225_600_000,
            per_second: 1000.0,
            lateness_ms: 15_000,
        }
    }

    #[test]
    fn impossible_plans_are_refused() {
        assert_eq!(plan().check(), Ok(()));
        for (wrong, named) in [
            (Plan { partitions: 0, ..plan() }, "partitions"),
            (Plan { ads: 0, ..plan() }, "ads"),
            (Plan { duplicates: -0.1, ..plan() }, "duplicates"),
            (Plan { malformed: 1.0, ..plan() }, "malformed"),
            (Plan { late: 1.0, ..plan() }, "late"),
            (Plan { skew: f64::NAN, ..plan() }, "skew"),
            (Plan { per_second: 0.0, ..plan() }, "rate"),
            (Plan { start_ms: 0, ..plan() }, "1970"),
            (Plan { start_ms: u64::MAX, ..plan() }, "9999"),
            (Plan { clicks: u64::MAX, ..plan() }, "9999"),
        ] {
            let told = wrong.check().unwrap_err();
            assert!(told.contains(named), "{named}: {told}");
        }
    }
}
