//! The recount of the input, compared with what was told.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use clicks_dataflows::click::{AdId, Reason};
use clicks_dataflows::clock::Clock;
use clicks_dataflows::decode::{Decoder, Schema, SchemaError};
use clicks_dataflows::filter::FilterId;
use clicks_dataflows::ingest::Record;
use clicks_dataflows::ledger::{Mark, Name, Opening, Position};
use clicks_dataflows::options::Options;
use clicks_dataflows::partition::Start;
use clicks_dataflows::time::{Epoch, Minute, Time};
use clicks_replay::recount::{Begin, Recount, Recounting};

use super::Faults;
use super::row::Told;
use super::standing::Standing;
use crate::config::Config;
use crate::failure::{Attempt, Failure};
use crate::files::input::{Directory, DirectorySource, End};
use crate::kafka::source::{InputTopics, TopicSource};
use crate::logs::Missing;
use crate::plural::some;
use crate::source::{Piece, Poll, Source};

/// Records taken of a partition at once.
const BATCH: usize = 4096;

/// How long to wait for records that are on their way.
const PATIENCE: Duration = Duration::from_millis(1);

/// The clicks that a job has read.
pub enum Clicks {
    /// Files of a directory.
    Files(PathBuf),
    /// Topics, up to where they end.
    Topics(InputTopics),
}

impl Clicks {
    /// A source of them that has opened nothing.
    fn source(&self, schema: &Schema) -> Box<dyn Source> {
        match self {
            Clicks::Files(path) => {
                let directory = Directory::new(path.clone(), schema);
                Box::new(DirectorySource::new(directory, End::Complete))
            }
            Clicks::Topics(topics) => Box::new(TopicSource::new(topics.clone())),
        }
    }

    fn name(&self) -> String {
        match self {
            Clicks::Files(path) => path.display().to_string(),
            Clicks::Topics(topics) => {
                let topics = topics.lookout.topics().iter();
                topics.map(|topic| format!("kafka:{topic}")).collect::<Vec<_>>().join(", ")
            }
        }
    }
}

/// Recounts `input` up to the last commit: the verdict, notes, and the differences.
pub fn compare(
    input: &Clicks,
    config: &Config,
    opening: &Opening,
    standing: &Standing,
    told: &Told,
) -> Result<(String, Vec<String>, Faults), Failure> {
    let decoder = Decoder::new(&config.schema).attempt(|| "cannot read the input".to_owned())?;
    let mut recounting = Recounting::new(config.options.clone(), decoder, standing.epoch)
        .told_until(told_until(opening, standing, &config.options));
    let mut names: BTreeSet<Name> = input.source(&config.schema).discover()?.into_iter().collect();
    let (mut notes, mut faults) = (Vec::new(), Faults::default());
    for (number, position) in &standing.positions {
        let name = position.name();
        let mut source = input.source(&config.schema);
        let first = source.first(&name)?;
        let begin = begin(*number, opening, standing);
        if !names.remove(&name) {
            missing(position, begin.0, &mut faults);
            continue;
        }
        if first > begin.0 {
            return Err(deleted(&name, begin.0, first));
        }
        if read(&mut *source, position, begin, &mut recounting, &mut faults)? {
            notes.push(format!("  {name} goes on after the last commit"));
        }
    }
    notes.extend(names.iter().map(|name| format!("  {name} is no partition of the job yet")));
    let recount = recounting.finish();
    notes.extend(differences(&recount, standing, told, &mut faults));
    let minutes: BTreeSet<Minute> = recount.counts.iter().map(|(_, minute, ..)| *minute).collect();
    let verdict = match faults.count {
        0 => "differences: none".to_owned(),
        count => some(count, "difference"),
    };
    let verdict = format!(
        "recount of {}: {verdict} over {}, {}",
        input.name(),
        some(minutes.len(), "minute"),
        some(recount.counts.len(), "cell"),
    );
    Ok((verdict, notes, faults))
}

/// Until when what was read is told: a closed job has told what it held, but for what lies after
/// the last minute that it was asked for.
fn told_until(opening: &Opening, standing: &Standing, options: &Options) -> Epoch {
    if !standing.closed {
        return standing.epoch;
    }
    let until = opening.meaning["until"].as_str().and_then(|until| until.parse::<Time>().ok());
    until.map_or(Epoch::MAX, |Time(until)| options.settle(Minute::of(until.saturating_sub(1))))
}

/// A record's place in words: files have lines.
fn unit(name: &Name) -> &'static str {
    match name {
        Name::File(_) => "line",
        Name::Partition { .. } => "offset",
    }
}

fn missing(position: &Position, begin: u64, faults: &mut Faults) {
    if position.offset > begin {
        let (name, offset) = (position.name(), position.offset);
        faults.add(format!("{name} is missing, but was counted up to {} {offset}", unit(&name)));
    }
}

fn deleted(name: &Name, begin: u64, first: u64) -> Failure {
    Failure::refused(format!(
        "{name} cannot be recounted: the job has read it from offset {begin} on, but its first \
         record is at offset {first}, as those before it have been deleted",
    ))
}

/// The first offset of a partition, its clock there, and its marks.
fn begin(number: u32, opening: &Opening, standing: &Standing) -> (u64, Begin) {
    let is_it = |position: &&Position| {
        standing.numbers.known(position.log.as_deref(), position.partition) == Some(number)
    };
    let first = opening.positions.iter().find(is_it);
    let clock = first.map_or_else(Clock::default, |first| Clock {
        clock: first.clock.0,
        jump: first.jump.map(|jump| jump.0),
    });
    let marks = standing.marks.iter().filter(|(partition, _)| *partition == number);
    let (begins, raised): (Vec<&Mark>, Vec<&Mark>) =
        marks.map(|(_, mark)| mark).partition(|mark| mark.is_begin());
    let marks = raised.into_iter().map(|mark| (mark.offset, mark.clock.0)).collect();
    let added = begins.first().map_or(0, |mark| mark.offset);
    (first.map_or(added, |first| first.offset), Begin { partition: number, clock, marks })
}

/// Gives a partition's records up to `position` to the recount; whether its file has more.
fn read(
    source: &mut dyn Source,
    position: &Position,
    (offset, begin): (u64, Begin),
    recounting: &mut Recounting,
    faults: &mut Faults,
) -> Result<bool, Failure> {
    let (name, number, end) = (position.name(), begin.partition, position.offset);
    source.open(&name, &Start { partition: number, offset, ..Start::default() })?;
    let mut reading = recounting.open(begin);
    let mut next = offset;
    let mut header: Result<(), SchemaError> = Ok(());
    while next < end {
        let limit = usize::try_from(end - next).unwrap_or(BATCH).min(BATCH);
        let polled = source.poll(number, limit, &mut |piece| match piece {
            Piece::Header(line) => header = reading.header(line),
            Piece::Record(record) if header.is_ok() && record.offset < end => {
                reading.record(&record);
            }
            // What is known of a click is not believed here.
            Piece::Click(known) if header.is_ok() && known.record.offset < end => {
                let value = (known.value)();
                let bytes = value.len() as u64;
                reading.record(&Record { value: &value, bytes, ..known.record });
            }
            Piece::Record(_) | Piece::Click(_) => {}
        })?;
        if polled.poll != Poll::More {
            next = polled.next;
            break;
        }
        if polled.next == next {
            std::thread::sleep(PATIENCE);
        }
        next = polled.next;
    }
    header.attempt(|| format!("cannot read {name}"))?;
    let clock = reading.close();
    if next < end {
        let unit = unit(&name);
        faults.add(format!("{name} ends at {unit} {next}, but was counted up to {unit} {end}"));
        return Ok(false);
    }
    if (clock.clock, clock.jump) != (position.clock.0, position.jump.map(|jump| jump.0)) {
        let (told, found) = (position.clock, Time(clock.clock));
        faults.add(format!("clock of {name}: {told} in the ledger, {found} recounted"));
    }
    // A topic goes on for ever.
    let mut more = false;
    if matches!(name, Name::File(_)) {
        source.poll(number, 1, &mut |_| more = true)?;
    }
    Ok(more)
}

/// Lists in what the recount differs; a note if rows that could differ are no longer there.
fn differences(
    recount: &Recount,
    standing: &Standing,
    told: &Told,
    faults: &mut Faults,
) -> Option<String> {
    for at in &recount.beyond {
        let epoch = Time(standing.epoch);
        faults.add(format!("record {}:{} is of an epoch after {epoch}", at.partition, at.offset));
    }
    for at in &recount.idle_marks {
        faults.add(format!("the mark of record {}:{} raises nothing", at.partition, at.offset));
    }
    let totals = standing.totals.named().into_iter().zip(recount.totals.named());
    for ((name, told), (_, found)) in totals {
        if told != found {
            faults.add(format!("{name}: {told} in the ledger, {found} recounted"));
        }
    }
    let counts = told.counts.iter().map(|(cell, clicks)| (cell.clone(), *clicks));
    let recounted = recount.counts.iter().cloned();
    let recounted = recounted.map(|(ad, minute, filter, clicks)| ((ad, minute, filter), clicks));
    let [counts_lost, _, rejects_lost] = told.lost.map(|lost| lost == Some(Missing::Deleted));
    let mut lost = 0_u64;
    compare_sorted(counts, recounted, |(ad, minute, filter), told, found| {
        if told.is_none() && counts_lost {
            lost += 1;
            return;
        }
        let (told, found) = (told.unwrap_or(0), found.unwrap_or(0));
        faults.add(cell_differs((ad, *minute, *filter), told, found));
    });
    let rejects = told.rejects.iter().map(|(partition, offset, why)| ((*partition, *offset), *why));
    let found =
        recount.rejects.iter().map(|(partition, offset, why)| ((*partition, *offset), *why));
    compare_sorted(rejects, found, |(partition, offset), told, found| {
        if told.is_none() && rejects_lost {
            lost += 1;
            return;
        }
        let why = |reason: Option<Reason>| reason.map_or("no reject", Reason::as_str);
        let (told, found) = (why(told), why(found));
        faults.add(format!("record {partition}:{offset}: {told} told, {found} recounted"));
    });
    let note = |lost| format!("  of {} nothing that was told is left", some(lost, "recounted row"));
    (lost > 0).then(|| note(lost))
}

fn cell_differs((ad, minute, filter): (&AdId, Minute, FilterId), told: u64, found: u64) -> String {
    let ad = ad.as_str();
    format!("ad {ad:?}, minute {minute}, filter {filter}: {told} told, {found} recounted")
}

/// Walks two sorted sequences side by side, and tells where they differ.
fn compare_sorted<K: Ord, V: PartialEq + Copy>(
    ours: impl Iterator<Item = (K, V)>,
    theirs: impl Iterator<Item = (K, V)>,
    mut differs: impl FnMut(&K, Option<V>, Option<V>),
) {
    let (mut ours, mut theirs) = (ours.peekable(), theirs.peekable());
    loop {
        let least = match (ours.peek(), theirs.peek()) {
            (Some((our, _)), Some((their, _))) => our.cmp(their),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (None, None) => return,
        };
        let our = if least.is_le() { ours.next() } else { None };
        let their = if least.is_ge() { theirs.next() } else { None };
        let values = (our.as_ref().map(|(_, v)| *v), their.as_ref().map(|(_, v)| *v));
        if values.0 != values.1
            && let Some((key, _)) = our.or(their)
        {
            differs(&key, values.0, values.1);
        }
    }
}
