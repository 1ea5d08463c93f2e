//! `clicks run` and `clicks replay`: a job from its arguments to its summary.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use clicks_dataflows::time::{Minute, Time};

use crate::cli::{Aggregate, JobLocation, Position, Replay, Run};
use crate::commands::{config, stop_flag};
use crate::config::Config;
use crate::failure::{Failure, Kind};
use crate::files::disk::{Disk, LocalDisk};
use crate::files::input::{End, Until};
use crate::log;
use crate::past::Past;
use crate::progress::Progress;
use crate::range::Obeyed;
use crate::run::{Job, Summary};
use crate::worker::{Ended, monotonic_ms};

/// Aggregates a directory to its end, or as it grows.
///
/// # Errors
///
/// When the job is refused, or the outside world fails.
pub fn run(run: &Run) -> Result<ExitCode, Failure> {
    let (mut job, _) = job(&run.aggregate)?;
    if run.follow {
        job.end = End::Followed;
    }
    drive(job, &run.aggregate)
}

/// Aggregates a directory again, between two positions.
///
/// # Errors
///
/// When the job is refused, or the outside world fails.
pub fn replay(replay: &Replay) -> Result<ExitCode, Failure> {
    let (mut job, config) = job(&replay.aggregate)?;
    if let Position::Time(Time(from)) = replay.from {
        job.options.from = Minute::of(from);
        job.meaning["from"] = serde_json::json!(Time(Minute::of(from).start()).to_string());
    }
    let obeyed = replay.marks_of.as_ref().map(|location| obey(location, &config, replay));
    job.range.obeyed = obeyed.transpose()?;
    if let Position::Offsets(offsets) = &replay.from {
        job.range.offsets.clone_from(offsets);
        job.meaning["from"] = serde_json::json!(offsets);
    } else if replay.from == Position::End {
        return Err(Failure::refused("--from end: there is nothing to replay after the end"));
    }
    job.end = end(&job, &replay.until)?;
    job.range.until = match replay.until {
        Position::Time(Time(until)) => {
            let before = until.checked_sub(1).map(Minute::of);
            let last = before.filter(|last| *last >= job.options.from);
            Some(job.options.settle(last.ok_or_else(|| {
                Failure::refused("--until is not after --from: no minute lies between them")
            })?))
        }
        _ => None,
    };
    drive(job, &replay.aggregate)
}

/// How the partitions of a replay end: where they are now, unless an offset says otherwise.
fn end(job: &Job, until: &Position) -> Result<End, Failure> {
    let mut ends = BTreeMap::new();
    for (name, path) in job.input.partitions()? {
        let length = path.metadata().map_or(0, |metadata| metadata.len());
        ends.insert(name, Until::Bytes(length));
    }
    if let Position::Offsets(offsets) = until {
        let names: Vec<String> =
            job.range.first_positions(ends.keys().cloned().collect())?.into_iter()
                .filter_map(|position| position.file)
                .collect();
        for (partition, offset) in offsets {
            let Some(name) = names.get(*partition as usize) else {
                return Err(Failure::refused(format!("--until: there is no partition {partition}")));
            };
            ends.insert(name.clone(), Until::Offset(*offset));
        }
    } else if *until == Position::Start {
        return Err(Failure::refused("--until start: there is nothing to replay before the start"));
    }
    Ok(End::At(ends))
}

/// The job whose marks are obeyed, if it reads its input as this one does.
fn obey(location: &JobLocation, config: &Config, replay: &Replay) -> Result<Obeyed, Failure> {
    let JobLocation { results, job } = location;
    let Some(past) = Past::read(&LocalDisk, results, job)? else {
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
        Position::Offsets(offsets) => past.positions_at(&LocalDisk, results, offsets)?,
        _ => BTreeMap::new(),
    };
    Ok(Obeyed { past, clocks })
}

fn job(aggregate: &Aggregate) -> Result<(Job, Config), Failure> {
    let config = config(&aggregate.config)?;
    let disk: Arc<dyn Disk> = Arc::new(LocalDisk);
    let mut job = Job::new(&config, aggregate.input.clone(), aggregate.output.clone(), disk)?;
    job.communication = aggregate.cluster.communication();
    Ok((job, config))
}

fn drive(mut job: Job, aggregate: &Aggregate) -> Result<ExitCode, Failure> {
    job.stop = stop_flag()?;
    let several = aggregate.cluster.hosts.len() > 1;
    if several {
        die_with_peers();
    }
    let total = match job.end {
        End::Followed => None,
        End::Complete | End::At(_) => Some(job.input.bytes()?),
    };
    let read = job.input.read.clone();
    let progress = Progress::new(total, read, aggregate.stats, aggregate.no_progress);
    let name = job.name.clone();
    let began = monotonic_ms();
    let summary = job.run(Box::new(progress))?;
    tell(&name, &summary, monotonic_ms() - began);
    Ok(ExitCode::SUCCESS)
}

/// Ends the process with a clear message when another process of the job has ended.
fn die_with_peers() {
    let panicked = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let thread = std::thread::current().name().unwrap_or_default().to_owned();
        let file = panic.location().map_or("", |location| location.file());
        if thread.starts_with("timely:") && file.contains("timely_communication") {
            log::complain(
                "another process of the job has ended: this one cannot go on alone; start all \
                 processes again, and they resume from the last commit",
            );
            std::process::exit(Kind::Failed.exit_code().into());
        }
        panicked(panic);
    }));
}

/// The summary at the end of a run.
fn tell(job: &str, summary: &Summary, took_ms: u64) {
    let Summary { ended, totals, before, tolls, .. } = summary;
    if summary.was_closed {
        log::say(&format!("job {job} is closed: its input was complete, and has not changed"));
        return;
    }
    let records = totals.records - before.records;
    let clicks = totals.clicks - before.clicks;
    let rejected: Vec<String> =
        tolls.rejected.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    let rejected = if rejected.is_empty() { String::new() } else { format!(" ({})", rejected.join(", ")) };
    let how = match ended {
        Ended::Closed => "is complete",
        Ended::Stopped => "has stopped; the next run goes on",
    };
    let seconds = took_ms.max(1) as f64 / 1000.0;
    log::say(&format!(
        "job {job} {how}\n  {records} records: {clicks} clicks, {} duplicates, {} rejected{rejected}, \
         {} skipped; {} late\n  {} rows: {} counts, {} ranks, {} rejects, in {} commits\n  \
         {seconds:.1} s, {:.0} clicks/s",
        totals.duplicates - before.duplicates,
        totals.rejected - before.rejected,
        totals.skipped - before.skipped,
        totals.late - before.late,
        tolls.rows.iter().sum::<u64>(),
        tolls.rows[0],
        tolls.rows[1],
        tolls.rows[2],
        tolls.commits,
        clicks as f64 / seconds,
    ));
    for warning in summary.warnings() {
        log::say(&format!("warning: {warning}"));
    }
}
