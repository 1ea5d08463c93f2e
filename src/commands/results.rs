//! `clicks tail`, `clicks verify` and `clicks compare`: results of jobs, read.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::cli::{Compare, JobLocation, LogPlace, Reach, ResultPlace, RowFormat, Tail, Verify};
use crate::commands::{config, places, stop_flag};
use crate::compare::{Comparison, Shown};
use crate::failure::Failure;
use crate::files::disk::LocalDisk;
use crate::files::logs::JobFiles;
use crate::jobs::find_job;
use crate::kafka::client::Cluster;
use crate::kafka::logs::JobTopics;
use crate::kafka::source::InputTopics;
use crate::log;
use crate::logs::Jobs;
use crate::plural::some;
use crate::tail::{Tailing, tail};
use crate::verify::{Clicks, verify};

/// Lines of a table of differences, unless another number is asked for.
const LINES_SHOWN: u64 = 20;

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

/// Compares the counts of two jobs.
///
/// # Errors
///
/// When they differ, or the results cannot be read.
pub fn compare(args: &Compare) -> Result<ExitCode, Failure> {
    let Compare { one, other, by, top, format, reach } = args;
    let place = |location: &JobLocation| jobs(&location.results, reach, &Arc::default());
    let results = [place(one)?, place(other)?];
    let found =
        [find_job(&*results[0], Some(&one.job))?, find_job(&*results[1], Some(&other.job))?];
    let comparison = Comparison::of([(&*results[0], &found[0]), (&*results[1], &found[1])])?;
    comparison.head().iter().for_each(|line| log::say(line));
    let compared = comparison.compare()?;
    let top = top.or((*format == RowFormat::Table).then_some(LINES_SHOWN));
    let shown = Shown { by: *by, format: *format, top };
    let left = compared.print(&shown, &mut std::io::stdout().lock())?;
    if left > 0 {
        log::say(&format!("{} of differences are left out: --top shows more", some(left, "line")));
    }
    compared.summary().iter().for_each(|line| log::say(line));
    compared.failure().map_or(Ok(ExitCode::SUCCESS), Err)
}

/// The results at `place`; all waiting ends when `stop` is set.
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
