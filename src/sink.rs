//! Where commits go: the rows of closed epochs become visible together, or not at all.

use clicks_dataflows::ledger::Lengths;

use crate::failure::Failure;

/// Result logs: a directory, or a test's memory.
pub trait Sink {
    /// Bytes of each log that are committed, where logs have lengths.
    fn lengths(&self) -> Option<Lengths>;

    /// Makes `rows` and the ledger's next `line` visible, all or none; they are durable afterwards.
    ///
    /// # Errors
    ///
    /// When it is not certain that they are; the next start decides by the ledger.
    fn commit(&mut self, rows: &Rows, line: &str) -> Result<(), Failure>;
}

/// The rows of a commit, each a line with its LF.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// Of `counts`.
    pub counts: Lines,
    /// Of `ranks`.
    pub ranks: Lines,
    /// Of `rejects`.
    pub rejects: Lines,
}

impl Rows {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.counts.count + self.ranks.count + self.rejects.count
    }

    /// The logs in the order in which they are digested.
    pub fn logs(&self) -> [&Lines; 3] {
        [&self.counts, &self.ranks, &self.rejects]
    }
}

/// Lines of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    /// The lines, each with its LF.
    pub bytes: Vec<u8>,
    /// How many.
    pub count: u64,
}

impl Lines {
    /// Adds `row` as JSON.
    pub fn push(&mut self, row: &impl serde::Serialize) {
        serde_json::to_writer(&mut self.bytes, row).expect("a row is JSON, and memory takes it");
        self.bytes.push(b'\n');
        self.count += 1;
    }
}
