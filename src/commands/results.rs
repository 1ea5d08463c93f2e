//! `clicks tail` and `clicks verify`: a job's results, read.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::cli::{LogPlace, Reach, ResultPlace, Tail, Verify};
use crate::commands::{config, places, stop_flag};
use crate::failure::Failure;
use crate::files::disk::LocalDisk;
use crate::files::logs::JobFiles;
use crate::kafka::client::Cluster;
use crate::kafka::logs::JobTopics;
use crate::kafka::source::InputTopics;
use crate::logs::Jobs;
use crate::tail::{Tailing, tail};
use crate::verify::{Clicks, verify};

/// Prints committed rows, as they come.
///
/// # Errors
///
/// When there is no such job, or it cannot be read.
pub fn print_rows(args: &Tail) -> Result<ExitCode, Failure> {
    let stop = stop_flag()?;
    let results = jobs(&args.results, &args.reach, &stop)?;
    let tailing = Tailing {
        results: &*results,
        job: args.job.as_deref(),
        log: args.log,
        from: args.from,
        format: args.format,
        follow: !args.no_follow,
        stop: &stop,
        sleep: &std::thread::sleep,
    };
    tail(&tailing, &mut std::io::stdout().lock())?;
    Ok(ExitCode::SUCCESS)
}

/// Checks ledger, digests and rows, and recounts the input if it is given.
///
/// # Errors
///
/// When there is a difference, or the results cannot be read.
pub fn check(args: &Verify) -> Result<ExitCode, Failure> {
    let results = jobs(&args.results, &args.reach, &Arc::default())?;
    let input = match &args.input[..] {
        [] => None,
        places => Some(clicks(places, &args.reach)?),
    };
    let verified = verify(&*results, args.job.as_deref(), input.as_ref())?;
    for line in &verified.lines {
        println!("{line}");
    }
    verified.failure().map_or(Ok(ExitCode::SUCCESS), Err)
}

/// The results at `place`.
pub(super) fn jobs(
    place: &ResultPlace,
    reach: &Reach,
    stop: &Arc<AtomicBool>,
) -> Result<Box<dyn Jobs>, Failure> {
    Ok(match place {
        ResultPlace::Directory(path) => Box::new(JobFiles::new(&LocalDisk, path)),
        ResultPlace::Kafka => {
            Box::new(JobTopics { cluster: cluster(reach)?, stop: Arc::clone(stop) })
        }
    })
}

/// The clicks at `places`, up to where they end now.
fn clicks(input: &[LogPlace], reach: &Reach) -> Result<Clicks, Failure> {
    if let [LogPlace::Directory(path)] = input {
        return Ok(Clicks::Files(path.clone()));
    }
    let topics = places::topics(input)?;
    let topics = InputTopics::new(&cluster(reach)?, &topics, "clicks-reader");
    topics.lookout.extents()?;
    let ends = Some(topics.lookout.ends());
    Ok(Clicks::Topics(InputTopics { ends, ..topics }))
}

fn cluster(reach: &Reach) -> Result<Cluster, Failure> {
    Cluster::new(&config(&reach.config())?.kafka)
}
