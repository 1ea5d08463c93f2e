//! `clicks replay`: a job over a part of the past, and which part that is.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clicks_dataflows::gauge::Gauge;
use clicks_dataflows::ledger::Name;
use clicks_dataflows::time::{MINUTE_MS, Minute, Time};

use crate::cli::{JobLocation, Position, Replay};
use crate::commands::places::Places;
use crate::commands::run::{Clicks, bytes, check_topics, drive, progress, progress_of};
use crate::commands::{config, stop_flag};
use crate::config::Config;
use crate::failure::Failure;
use crate::files::input::{Directory, End, Until};
use crate::kafka::lookout::Place;
use crate::kafka::source::InputTopics;
use crate::log;
use crate::past::Past;
use crate::range::{Obeyed, Range};
use crate::raw::RawLog;
use crate::run::Job;

/// Aggregates a directory or topics again, between two positions.
///
/// # Errors
///
/// When the job is refused, or the outside world fails.
pub fn replay(replay: &Replay) -> Result<ExitCode, Failure> {
    let aggregate = &replay.aggregate;
    let config = config(&aggregate.config)?;
    let places = Places::new(&config);
    let clicks = Clicks::new(aggregate, &replay.topic, (&config, &places))?;
    let results = places.results(&aggregate.output, &config.job, clicks.topics())?;
    let stop = stop_flag()?;
    check_topics(aggregate, &config, &places, &clicks)?;
    let mut range = range(replay, &config, &places)?;
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
        Clicks::Raw(raw) => {
            let raw = within(raw, &mut range, replay, &config)?;
            (raw.input(), progress_of(&raw, aggregate))
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
        // No run ends by itself as a replay does: neither goes on with the other's job.
        Position::Start | Position::End => job.meaning["until"] = serde_json::json!("end"),
    }
    job.range = range;
    drive(job, aggregate, progress)
}

/// The topics between the positions of a replay.
fn between(
    topics: &InputTopics,
    range: &mut Range,
    replay: &Replay,
    config: &Config,
) -> Result<InputTopics, Failure> {
    let positions = range.first_positions(topics.names()?, &mut |_| Ok(0))?;
    let mut numbered = BTreeMap::new();
    for (number, position) in positions {
        numbered.insert(number, topics.place(&position.name())?);
    }
    let mut ends = topics.lookout.ends();
    if let Position::Offsets(offsets) = &replay.until {
        for (number, offset) in offsets {
            let place = numbered.get(number).ok_or_else(|| {
                Failure::refused(format!("--until: there is no partition {number}"))
            })?;
            check_order(range, *number, *offset)?;
            let end = ends.insert(place.clone(), *offset).unwrap_or(0);
            if end < *offset {
                let Place { topic, partition } = place;
                log::say(&format!(
                    "--until {number}={offset}: partition {partition} of topic {topic} ends at \
                     offset {end}: waiting until it has come there",
                ));
            }
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

/// The raw log between the positions of a replay, and the topics after it as they are now.
fn within(
    raw: &RawLog,
    range: &mut Range,
    replay: &Replay,
    config: &Config,
) -> Result<RawLog, Failure> {
    let mut names: Vec<Name> = raw.partitions().keys().cloned().collect();
    if let Some(topics) = raw.then() {
        names.extend(topics.names()?);
        names.sort();
        names.dedup();
    }
    let positions = range.first_positions(names, &mut |_| Ok(0))?;
    let mut raw = raw.clone();
    match &replay.until {
        Position::Offsets(offsets) => {
            for (number, until) in offsets {
                let position = positions.get(number).ok_or_else(|| {
                    Failure::refused(format!("--until: there is no partition {number}"))
                })?;
                check_order(range, *number, *until)?;
                raw.ends.insert(position.name(), *until);
            }
        }
        Position::Start => return Err(nothing_before()),
        Position::Time(_) | Position::End => {}
    }
    raw.end_topics();
    if let Position::Time(Time(from)) = replay.from {
        let options = &config.options;
        let longest = u64::from(options.window_max()) * MINUTE_MS;
        let time = Minute::of(from).start().saturating_sub(longest);
        let found = raw.at_time(time, options)?;
        for (number, position) in &positions {
            let Some(facts) = found.get(&position.name()) else { continue };
            range.offsets.insert(*number, facts.first);
            if facts.mapping.has_clocks_of(options) {
                range.clocks.insert(*number, facts.clocks.0);
            }
        }
    }
    Ok(raw)
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
fn range(replay: &Replay, config: &Config, places: &Places<'_>) -> Result<Range, Failure> {
    let mut range = Range::default();
    if let Some(location) = &replay.marks_of {
        range.obeyed = Some(obey(location, config, places, replay)?);
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
fn obey(
    location: &JobLocation,
    config: &Config,
    places: &Places<'_>,
    replay: &Replay,
) -> Result<Obeyed, Failure> {
    let (results, job) = (&location.results, places.job(location)?);
    let theirs_results = places.results(results, &job, &[])?;
    let Some(past) = Past::read(&*theirs_results, &config.options)? else {
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
