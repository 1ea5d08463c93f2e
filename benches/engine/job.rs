//! The job's side: the one that ships, over the same clicks.

use std::path::Path;

use clicks::files::input::{Directory, End};
use clicks::files::results::ResultDirectory;
use clicks::run::Job;
use clicks::source::Source;
use clicks::watch::{Watch, Watched};
use clicks_dataflows::decode::Schema;
use clicks_dataflows::time::Millis;
use timely::CommunicationConfig;

use crate::support::job::{job, options};
use crate::support::told::DigestingDisk;

/// Runs the job from the directory `from` to files in `to`.
pub fn run_directory(from: &Path, to: &Path, workers: usize) {
    let input = Directory::new(from.to_owned(), &Schema::default()).input(End::Complete);
    let nothing = || -> Box<dyn Source> { unreachable!("the directory is read") };
    let job = Job {
        communication: communication(workers),
        input: input.name,
        ending: input.ending,
        source: input.source,
        results: std::sync::Arc::new(ResultDirectory::new(to.to_owned(), "bench")),
        ..job(options(6), nothing, &DigestingDisk::default())
    };
    let totals = job.run(Box::new(Nobody)).expect("directories can be read and written").totals;
    assert_eq!((totals.late, totals.rejected), (0, 0), "the loop makes no corrections");
}

fn communication(workers: usize) -> CommunicationConfig {
    match workers {
        1 => CommunicationConfig::Thread,
        _ => CommunicationConfig::Process(workers),
    }
}

/// Nobody watches.
struct Nobody;

impl Watch for Nobody {
    fn show(&mut self, _: &Watched<'_>, _: Millis) {}
}
