//! Where commits go: the rows of closed epochs become visible together, or not at all.
//!
//! ```text
//! Results ── open_ledger() ─▶ is it this job, does it mean the same, is its input there?
//!    └────── take_over() ───▶ Sink ── resume or begin ─▶ commit, commit, … ─▶ finish
//! ```

pub mod pulse;
pub mod thread;

use clicks_dataflows::ledger::{Commit, Lengths};

use crate::failure::Failure;
use crate::past::Past;

/// The committed lines of a ledger, without their LF, each read once.
///
/// They end where nothing more is certain without waiting for whoever works on the job.
pub trait Ledger: Iterator<Item = Result<String, Failure>> {
    /// Lets the lines go on to the true end of the ledger: what is not decided yet is waited for.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is not the one that it was.
    fn go_on(&mut self) -> Result<(), Failure>;
}

/// Where the results of a job are: a directory, or topics.
pub trait Results: Send + Sync {
    /// Where they are, in words.
    fn place(&self) -> String;

    /// What the ledger is called, in words.
    fn ledger_name(&self) -> String;

    /// The ledger of a job that is to run, from the line that opens it; without lines if it is new.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or the job cannot run here.
    fn open_ledger(&self) -> Result<Box<dyn Ledger + '_>, Failure>;

    /// The whole ledger, to its true end; without lines if there is none.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    fn ledger(&self) -> Result<Box<dyn Ledger + '_>, Failure> {
        let mut ledger = self.open_ledger()?;
        ledger.go_on()?;
        Ok(ledger)
    }

    /// Refuses a job that is to begin under a name that is an alias there.
    ///
    /// # Errors
    ///
    /// When it is one, or the aliases cannot be read.
    fn check_name(&self) -> Result<(), Failure> {
        Ok(())
    }

    /// Makes this process the owner of the job: from here on nobody else can commit.
    ///
    /// # Errors
    ///
    /// When another instance owns it, or nothing can be written there.
    fn take_over(&self) -> Result<Box<dyn Sink>, Failure>;
}

/// Result logs that this process owns.
pub trait Sink: Send {
    /// Writes the line that opens the job.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    fn begin(&mut self, line: &str) -> Result<(), Failure>;

    /// Goes on after what the ledger tells.
    ///
    /// # Errors
    ///
    /// When the logs do not hold what it tells.
    fn resume(&mut self, past: &Past) -> Result<(), Failure>;

    /// Bytes of each log with the last commit, where logs have lengths.
    fn lengths(&self) -> Option<Lengths>;

    /// Whether the last commit is made, so that the next can be; without waiting.
    ///
    /// # Errors
    ///
    /// When it is not certain that it is; the next start decides by the ledger.
    fn is_ready(&mut self) -> Result<bool, Failure>;

    /// Begins to make `rows` and `commit` visible, all or none; they are durable once the sink is
    /// ready again. It is the sink that gives `commit` its digest and the hash of the line before.
    /// What comes back has no rows, but room for those to come.
    ///
    /// # Errors
    ///
    /// Those of [`Sink::is_ready`].
    fn commit(&mut self, rows: Rows, commit: Commit) -> Result<Rows, Failure>;

    /// Waits until the last commit is made.
    ///
    /// # Errors
    ///
    /// Those of [`Sink::is_ready`].
    fn finish(&mut self) -> Result<(), Failure>;
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
        self.logs().iter().map(|lines| lines.count()).sum()
    }

    /// Bytes of their lines.
    pub fn bytes(&self) -> usize {
        self.logs().iter().map(|lines| lines.bytes.len()).sum()
    }

    /// The same memory without rows, unless it is so much that it is rather given back.
    #[must_use]
    pub fn emptied(self) -> Rows {
        let Rows { counts, ranks, rejects } = self;
        let [counts, ranks, rejects] = [counts, ranks, rejects].map(Lines::emptied);
        Rows { counts, ranks, rejects }
    }

    /// The logs in the order in which they are digested.
    pub fn logs(&self) -> [&Lines; 3] {
        [&self.counts, &self.ranks, &self.rejects]
    }
}

/// Memory that a log keeps for rows to come: that of a commit that was worth it.
const SPARE_BYTES_MAX: usize = 128 << 20;

/// Lines of a log, with the keys of their rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    /// The lines, each with its LF.
    pub bytes: Vec<u8>,
    /// The keys, one after the other.
    keys: Vec<u8>,
    /// Where each line and its key end.
    ends: Vec<(usize, usize)>,
}

impl Lines {
    /// Adds a row: `write` appends its line, without the LF, and its key.
    pub fn push(&mut self, write: impl FnOnce(&mut Vec<u8>, &mut Vec<u8>)) {
        write(&mut self.bytes, &mut self.keys);
        self.bytes.push(b'\n');
        self.ends.push((self.bytes.len(), self.keys.len()));
    }

    /// Adds a row that has no key, as serde writes it.
    pub fn push_keyless(&mut self, row: &impl serde::Serialize) {
        self.push(|line, _| {
            serde_json::to_writer(line, row).expect("a row is JSON, and memory takes it");
        });
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.ends.len() as u64
    }

    fn emptied(self) -> Lines {
        let Lines { mut bytes, mut keys, mut ends } = self;
        if bytes.capacity() + keys.capacity() > SPARE_BYTES_MAX {
            return Lines::default();
        }
        bytes.clear();
        keys.clear();
        ends.clear();
        Lines { bytes, keys, ends }
    }

    /// Each row, without its LF, and its key.
    pub fn rows(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut from = (0, 0);
        self.ends.iter().map(move |end| {
            let row = (&self.bytes[from.0..end.0 - 1], &self.keys[from.1..end.1]);
            from = *end;
            row
        })
    }
}
