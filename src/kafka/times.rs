//! How long a commit may take: all of it follows from the time of a transaction.
//!
//! ```text
//! 0 ──── begun, in its time ────▶ deadline ── in doubt ──▶ given up ─── … ───▶ silence
//!                                   2/3                  transaction             3x
//! ```

use std::ops::RangeInclusive;

use clicks_dataflows::time::Millis;

use crate::failure::Failure;
use crate::kafka::client::Cluster;

/// The property that says after how long a coordinator gives a transaction up.
pub const TRANSACTION: &str = "transaction.timeout.ms";

/// The time of a transaction if nobody sets it.
const TRANSACTION_MS: Millis = 60_000;

/// What it may be: a question to brokers that are away takes some seconds, and brokers take no more
/// than 15 minutes unless they are told to.
const BOUNDS_MS: RangeInclusive<Millis> = 10_000..=900_000;

/// How long a commit may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// After so long the coordinator aborts a transaction by itself, and fences its producer.
    pub transaction_ms: Millis,
}

impl Times {
    /// As the user set them, or as they are.
    ///
    /// # Errors
    ///
    /// When the time of a transaction is out of bounds.
    pub fn of(cluster: &Cluster) -> Result<Times, Failure> {
        let Some(set) = cluster.producer_property(TRANSACTION) else {
            return Ok(Times { transaction_ms: TRANSACTION_MS });
        };
        match set.parse() {
            Ok(transaction_ms) if BOUNDS_MS.contains(&transaction_ms) => {
                Ok(Times { transaction_ms })
            }
            _ => Err(Failure::refused(format!(
                "{TRANSACTION} is {set}: a transaction may take from {} to {} milliseconds",
                BOUNDS_MS.start(),
                BOUNDS_MS.end(),
            ))),
        }
    }

    /// How long one transaction may take before it is in doubt.
    pub fn deadline_ms(self) -> Millis {
        self.transaction_ms / 3 * 2
    }

    /// How long one call may take, such as to read the ledger where a transaction is open.
    pub fn silence_ms(self) -> Millis {
        self.transaction_ms * 3
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::Kafka;

    fn times(set: &[(&str, &str)]) -> Result<Times, Failure> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let kafka = Kafka {
            brokers: "b:1".to_owned(),
            properties: set.iter().map(own).collect(),
            consumer: BTreeMap::new(),
            producer: BTreeMap::new(),
        };
        Times::of(&Cluster::new(&kafka).unwrap())
    }

    #[test]
    fn the_time_of_a_transaction_is_the_users_within_bounds() {
        assert_eq!(times(&[]).unwrap().deadline_ms(), 40_000);
        assert_eq!(times(&[(TRANSACTION, "30000")]).unwrap().deadline_ms(), 20_000);
        for wrong in ["9999", "900001"] {
            let refused = times(&[(TRANSACTION, wrong)]).unwrap_err().to_string();
            assert!(refused.contains(TRANSACTION) && refused.contains(wrong), "{refused}");
        }
    }
}
