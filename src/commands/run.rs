//! `clicks run` and `clicks replay`: a job from its arguments to its summary.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use clicks_dataflows::ledger::Name;
use clicks_dataflows::time::{Minute, Time};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag::register_conditional_shutdown;

use crate::cli::{Aggregate, JobLocation, Position, Replay, Run};
use crate::commands::{config, listen, stop_flag};
use crate::config::Config;
use crate::failure::{Failure, Kind};
use crate::files::input::{Directory, End, Until};
use crate::files::results::ResultDirectory;
use crate::log;
use crate::past::Past;
use crate::progress::Progress;
use crate::range::{Obeyed, Range};
use crate::run::Job;
use crate::worker::monotonic_ms;

/// Aggregates a directory to its end, or as it grows.
///
/// # Errors
///
/// When the job is refused, or the outside world fails.
pub fn run(run: &Run) -> Result<ExitCode, Failure> {
    let config = config(&run.aggregate.config)?;
    let input = Directory::new(run.aggregate.input.clone(), &config.schema);
    let end = if run.follow { End::Followed } else { End::Complete };
    let total = if run.follow { None } else { Some(bytes(&input)?) };
    let progress = progress(&run.aggregate, total, &input);
    let results = ResultDirectory::new(run.aggregate.output.clone(), &config.job);
    drive(Job::new(&config, input.input(end), Arc::new(results))?, &run.aggregate, progress)
}

/// Aggregates a directory again, between two positions.
///
/// # Errors
///
/// When the job is refused, or the outside world fails.
pub fn replay(replay: &Replay) -> Result<ExitCode, Failure> {
    let aggregate = &replay.aggregate;
    let config = config(&aggregate.config)?;
    let input = Directory::new(aggregate.input.clone(), &config.schema);
    let range = range(replay, &config)?;
    let end = end(&input, &range, &replay.until)?;
    let progress = progress(aggregate, Some(bytes(&input)?), &input);
    let results = ResultDirectory::new(aggregate.output.clone(), &config.job);
    let mut job = Job::new(&config, input.input(end), Arc::new(results))?;
    match &replay.from {
        Position::Time(Time(from)) => {
            job.options.from = Minute::of(*from);
            let from = Time(job.options.from.start()).to_string();
            job.meaning["from"] = serde_json::json!(from);
        }
        Position::Offsets(offsets) => job.meaning["from"] = serde_json::json!(offsets),
        Position::Start | Position::End => {}
    }
    match &replay.until {
        Position::Time(until) => job.meaning["until"] = serde_json::json!(until.to_string()),
        Position::Offsets(offsets) => job.meaning["until"] = serde_json::json!(offsets),
        Position::Start | Position::End => {}
    }
    job.range = range;
    drive(job, aggregate, progress)
}

/// What part of the past is told, and whose marks are obeyed.
fn range(replay: &Replay, config: &Config) -> Result<Range, Failure> {
    let mut range = Range::default();
    if let Some(location) = &replay.marks_of {
        range.obeyed = Some(obey(location, config, replay)?);
    }
    let first = match &replay.from {
        Position::Start => Minute::default(),
        Position::Time(Time(from)) => Minute::of(*from),
        Position::Offsets(offsets) => {
            range.offsets.clone_from(offsets);
            Minute::default()
        }
        Position::End => {
            return Err(Failure::refused("--from end: there is nothing to replay after the end"));
        }
    };
    if let Position::Time(Time(until)) = replay.until {
        let last = until.checked_sub(1).map(Minute::of).filter(|last| *last >= first);
        let last = last.ok_or_else(|| {
            Failure::refused("--until is not after --from: no minute lies between them")
        })?;
        range.until = Some(config.options.settle(last));
    }
    Ok(range)
}

/// How the partitions of a replay end: where they are now, unless an offset says otherwise.
fn end(input: &Directory, range: &Range, until: &Position) -> Result<End, Failure> {
    let mut ends = BTreeMap::new();
    for (name, path) in input.partitions().map_err(Failure::as_refused)? {
        let length = path.metadata().map_or(0, |metadata| metadata.len());
        ends.insert(name, Until::Bytes(length));
    }
    if let Position::Offsets(offsets) = until {
        let names = ends.keys().cloned().map(Name::File);
        let positions = range.first_positions(names.collect())?;
        for (partition, offset) in offsets {
            let Some(name) = positions.get(partition).and_then(|position| position.file.clone())
            else {
                return Err(Failure::refused(format!(
                    "--until: there is no partition {partition}"
                )));
            };
            let from = range.offsets.get(partition).copied().unwrap_or(0);
            if from > *offset {
                return Err(Failure::refused(format!(
                    "--from {partition}={from} is after --until {partition}={offset}"
                )));
            }
            ends.insert(name, Until::Offset(*offset));
        }
    } else if *until == Position::Start {
        return Err(Failure::refused("--until start: there is nothing to replay before the start"));
    }
    Ok(End::At(ends))
}

/// The job whose marks are obeyed, if it reads its input as this one does.
fn obey(location: &JobLocation, config: &Config, replay: &Replay) -> Result<Obeyed, Failure> {
    let JobLocation { results, job } = location;
    let directory = ResultDirectory::new(results.clone(), job);
    let Some(past) = Past::read(&directory)? else {
        return Err(Failure::refused(format!(
            "--marks-of: there is no job {job} in {}",
            results.display()
        )));
    };
    let (theirs, ours) = (&past.opening().meaning, config.meaning());
    for key in ["refresh", "input"] {
        if theirs[key] != ours[key] {
            return Err(Failure::refused(format!(
                "--marks-of: job {job} was run with {key} = {}, this one has {}: they must be \
                 the same",
                theirs[key], ours[key],
            )));
        }
    }
    let clocks = match &replay.from {
        Position::Offsets(offsets) => past.positions_at(&directory, offsets)?,
        _ => BTreeMap::new(),
    };
    Ok(Obeyed { past, clocks })
}

/// Bytes of the input; an input that is not there is wrong usage.
fn bytes(input: &Directory) -> Result<u64, Failure> {
    input.bytes().map_err(Failure::as_refused)
}

fn progress(aggregate: &Aggregate, total: Option<u64>, input: &Directory) -> Progress {
    Progress::new(total, input.read.clone(), aggregate.stats, aggregate.no_progress)
}

fn drive(mut job: Job, aggregate: &Aggregate, progress: Progress) -> Result<ExitCode, Failure> {
    job.stop = stop_flag()?;
    job.communication = aggregate.cluster.communication();
    let several = aggregate.cluster.hosts.len() > 1;
    if several {
        // While it waits for others nothing has been read: a signal ends it at once.
        listen(&[SIGINT, SIGTERM], |signal| {
            register_conditional_shutdown(signal, 0, Arc::clone(&job.connecting))
        })?;
    }
    end_with_any_thread(several);
    let name = job.name.clone();
    let began = monotonic_ms();
    let summary = job.run(Box::new(progress))?;
    summary.lines(&name, monotonic_ms() - began).iter().for_each(|line| log::say(line));
    Ok(ExitCode::SUCCESS)
}

/// Ends the whole process when one of its threads panics, as the others would wait for it for
/// ever; with a clear message when that is because another process of the job has ended.
fn end_with_any_thread(several: bool) {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let file = panic.location().map_or("", |location| location.file());
        if several && file.contains("timely_communication") {
            log::complain(
                "another process of the job has ended, or runs another number of workers (-w): \
                 this one cannot go on alone; start all processes again, with the same -w, and \
                 they resume from the last commit",
            );
        } else {
            print(panic);
        }
        std::process::exit(Kind::Failed.exit_code().into());
    }));
}
