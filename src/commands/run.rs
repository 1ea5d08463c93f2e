//! `clicks run` and `clicks replay`: a job from its arguments to its summary.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use clicks_dataflows::decode::Format;
use clicks_dataflows::gauge::Gauge;
use clicks_dataflows::ledger::Name;
use clicks_dataflows::time::{MINUTE_MS, Minute, Time};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag::register_conditional_shutdown;

use crate::cli::{Aggregate, JobLocation, LogPlace, Position, Replay, ResultPlace, Run};
use crate::commands::{config, listen, places, stop_flag};
use crate::config::Config;
use crate::failure::{Failure, Kind};
use crate::files::input::{Directory, End, Until};
use crate::kafka::checks::{self, Use};
use crate::kafka::client::Cluster;
use crate::kafka::source::InputTopics;
use crate::log;
use crate::past::Past;
use crate::progress::Progress;
use crate::range::{Obeyed, Range};
use crate::run::Job;
use crate::sink::Results;
use crate::worker::monotonic_ms;

/// Aggregates a directory to its end, or as it grows, or topics as they come.
///
/// # Errors
///
/// When the job is refused, or the outside world fails.
pub fn run(run: &Run) -> Result<ExitCode, Failure> {
    let config = config(&run.aggregate.config)?;
    let clicks = Clicks::new(&run.aggregate.input, &config)?;
    let results = results(&run.aggregate, &config, &clicks)?;
    let stop = stop_flag()?;
    check_topics(&run.aggregate, &config, &clicks)?;
    let (input, progress) = match &clicks {
        Clicks::Files(directory) => {
            let end = if run.follow { End::Followed } else { End::Complete };
            let total = if run.follow { None } else { Some(bytes(directory)?) };
            (directory.input(end), progress(&run.aggregate, total, directory.read.clone()))
        }
        Clicks::Topics(topics) => {
            (topics.input(), progress(&run.aggregate, None, Gauge::default()).behind(topics))
        }
    };
    let job = Job { stop, ..Job::new(&config, input, results)? };
    drive(job, &run.aggregate, progress)
}

/// Aggregates a directory or topics again, between two positions.
///
/// # Errors
///
/// When the job is refused, or the outside world fails.
pub fn replay(replay: &Replay) -> Result<ExitCode, Failure> {
    let aggregate = &replay.aggregate;
    let config = config(&aggregate.config)?;
    let clicks = Clicks::new(&aggregate.input, &config)?;
    let results = results(aggregate, &config, &clicks)?;
    let stop = stop_flag()?;
    check_topics(aggregate, &config, &clicks)?;
    let mut range = range(replay, &config)?;
    let (input, progress) = match &clicks {
        Clicks::Files(directory) => {
            let end = end(directory, &range, &replay.until)?;
            let progress = progress(aggregate, Some(bytes(directory)?), directory.read.clone());
            (directory.input(end), progress)
        }
        Clicks::Topics(topics) => {
            let topics = between(topics, &mut range, replay, &config)?;
            (topics.input(), progress(aggregate, None, Gauge::default()).behind(&topics))
        }
    };
    let mut job = Job { stop, ..Job::new(&config, input, results)? };
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

/// The clicks that a job reads.
enum Clicks {
    /// Files of a directory.
    Files(Directory),
    /// Topics.
    Topics(InputTopics),
}

impl Clicks {
    fn new(places: &[LogPlace], config: &Config) -> Result<Clicks, Failure> {
        if let [LogPlace::Directory(path)] = places {
            return Ok(Clicks::Files(Directory::new(path.clone(), &config.schema)));
        }
        let topics = places::topics(places)?;
        if matches!(config.schema.format, Format::Csv { columns: None }) {
            return Err(Failure::refused(
                "input.columns: a topic has no header, so name its columns",
            ));
        }
        let cluster = Cluster::new(&config.kafka)?;
        Ok(Clicks::Topics(InputTopics::new(&cluster, &topics, &config.job)))
    }

    fn topics(&self) -> &[String] {
        match self {
            Clicks::Files(_) => &[],
            Clicks::Topics(topics) => topics.lookout.topics(),
        }
    }
}

/// Where the job's results are.
fn results(
    aggregate: &Aggregate,
    config: &Config,
    clicks: &Clicks,
) -> Result<Arc<dyn Results>, Failure> {
    places::results(&aggregate.output, &config.job, config, clicks.topics())
}

/// Refuses topics that the job cannot commit to; the first process does so for all.
fn check_topics(aggregate: &Aggregate, config: &Config, clicks: &Clicks) -> Result<(), Failure> {
    let inputs = clicks.topics();
    let job = (aggregate.output == ResultPlace::Kafka).then_some(config.job.as_str());
    if aggregate.cluster.process > 0 || inputs.is_empty() && job.is_none() {
        return Ok(());
    }
    let used = Use { inputs, job, options: &config.options };
    checks::check(&Cluster::new(&config.kafka)?, &used)
}

/// The topics between the positions of a replay.
fn between(
    topics: &InputTopics,
    range: &mut Range,
    replay: &Replay,
    config: &Config,
) -> Result<InputTopics, Failure> {
    let numbered = topics.numbered()?;
    let mut ends = topics.lookout.ends();
    if let Position::Offsets(offsets) = &replay.until {
        for (number, offset) in offsets {
            let place = numbered.get(number).ok_or_else(|| {
                Failure::refused(format!("--until: there is no partition {number}"))
            })?;
            check_order(range, *number, *offset)?;
            ends.insert(place.clone(), *offset);
        }
    } else if replay.until == Position::Start {
        return Err(nothing_before());
    }
    if let Position::Time(Time(from)) = replay.from {
        let options = &config.options;
        let longest = u64::from(options.window_max()) * MINUTE_MS;
        let time = Minute::of(from).start().saturating_sub(longest + options.ahead_max_ms);
        let found = topics.lookout.at_time(time)?;
        let offset = |place| found.get(place).copied().unwrap_or(0);
        range.offsets = numbered.iter().map(|(number, place)| (*number, offset(place))).collect();
    }
    Ok(InputTopics { ends: Some(ends), ..topics.clone() })
}

fn check_order(range: &Range, number: u32, until: u64) -> Result<(), Failure> {
    match range.offsets.get(&number) {
        Some(from) if *from > until => Err(Failure::refused(format!(
            "--from {number}={from} is after --until {number}={until}"
        ))),
        _ => Ok(()),
    }
}

fn nothing_before() -> Failure {
    Failure::refused("--until start: there is nothing to replay before the start")
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
        let positions = range.first_positions(names.collect(), &mut |_| Ok(0))?;
        for (partition, offset) in offsets {
            let Some(name) = positions.get(partition).and_then(|position| position.file.clone())
            else {
                return Err(Failure::refused(format!(
                    "--until: there is no partition {partition}"
                )));
            };
            check_order(range, *partition, *offset)?;
            ends.insert(name, Until::Offset(*offset));
        }
    } else if *until == Position::Start {
        return Err(nothing_before());
    }
    Ok(End::At(ends))
}

/// The job whose marks are obeyed, if it reads its input as this one does.
fn obey(location: &JobLocation, config: &Config, replay: &Replay) -> Result<Obeyed, Failure> {
    let JobLocation { results, job } = location;
    let theirs_results = places::results(results, job, config, &[])?;
    let Some(past) = Past::read(&*theirs_results)? else {
        return Err(Failure::refused(format!("--marks-of: there is no job {job} in {results}")));
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
        Position::Offsets(offsets) => past.positions_at(&*theirs_results, offsets)?,
        _ => BTreeMap::new(),
    };
    Ok(Obeyed { past, clocks })
}

/// Bytes of the input; an input that is not there is wrong usage.
fn bytes(input: &Directory) -> Result<u64, Failure> {
    input.bytes().map_err(Failure::as_refused)
}

fn progress(aggregate: &Aggregate, total: Option<u64>, read: Gauge) -> Progress {
    Progress::new(total, read, aggregate.stats, aggregate.no_progress)
}

fn drive(mut job: Job, aggregate: &Aggregate, progress: Progress) -> Result<ExitCode, Failure> {
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
