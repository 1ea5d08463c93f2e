//! Which number a partition has within a job.
//!
//! Partitions of a directory and of a single topic have their own. Those of several topics are
//! numbered as they appear in the ledger, so that a restart, and whoever reads it, gives the same.

use std::collections::BTreeMap;

/// The numbers of partitions that have appeared.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    of_logs: BTreeMap<(String, u32), u32>,
}

impl Numbers {
    /// The number of a partition, which takes the next one if it has not appeared before.
    pub fn of(&mut self, log: Option<&String>, partition: u32) -> u32 {
        let Some(log) = log else { return partition };
        let next = u32::try_from(self.of_logs.len()).expect("fewer partitions than u32");
        *self.of_logs.entry((log.clone(), partition)).or_insert(next)
    }

    /// The number of a partition that has appeared.
    pub fn known(&self, log: Option<&str>, partition: u32) -> Option<u32> {
        let Some(log) = log else { return Some(partition) };
        self.of_logs.get(&(log.to_owned(), partition)).copied()
    }
}
