//! Results whose commits are made before the graph goes on: a disk takes the same steps each time.

use clicks::failure::Failure;
use clicks::files::results::ResultDirectory;
use clicks::past::Past;
use clicks::sink::{Ledger, Results, Rows, Sink};
use clicks_dataflows::ledger::{Commit, Lengths};

/// A directory whose commits are waited for.
pub struct InStep(pub ResultDirectory);

impl Results for InStep {
    fn place(&self) -> String {
        self.0.place()
    }

    fn ledger_name(&self) -> String {
        self.0.ledger_name()
    }

    fn open_ledger(&self) -> Result<Box<dyn Ledger + '_>, Failure> {
        self.0.open_ledger()
    }

    fn take_over(&self) -> Result<Box<dyn Sink>, Failure> {
        Ok(Box::new(SinkInStep(self.0.take_over()?)))
    }
}

struct SinkInStep(Box<dyn Sink>);

impl Sink for SinkInStep {
    fn begin(&mut self, line: &str) -> Result<(), Failure> {
        self.0.begin(line)
    }

    fn resume(&mut self, past: &Past) -> Result<(), Failure> {
        self.0.resume(past)
    }

    fn lengths(&self) -> Option<Lengths> {
        self.0.lengths()
    }

    fn is_ready(&mut self) -> Result<bool, Failure> {
        self.0.is_ready()
    }

    fn commit(&mut self, rows: Rows, commit: Commit) -> Result<Rows, Failure> {
        let spare = self.0.commit(rows, commit)?;
        self.0.finish()?;
        Ok(spare)
    }

    fn finish(&mut self) -> Result<(), Failure> {
        self.0.finish()
    }
}
