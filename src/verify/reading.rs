//! A job's input, read for a recount: from where the job began to where it stands.

use std::mem;
use std::path::PathBuf;
use std::time::Duration;

use clicks_dataflows::clock::Clock;
use clicks_dataflows::decode::{Schema, SchemaError};
use clicks_dataflows::ingest::Record;
use clicks_dataflows::ledger::{Mark, Name, Opening, Position};
use clicks_dataflows::options::Options;
use clicks_dataflows::partition::Start;
use clicks_dataflows::time::{Epoch, Minute, Time};
use clicks_replay::recount::{Begin, Recounting};

use super::Faults;
use super::standing::Standing;
use crate::failure::{Attempt, Failure};
use crate::files::input::{Directory, DirectorySource, End};
use crate::kafka::source::{InputTopics, TopicSource};
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
    pub(super) fn source(&self, schema: &Schema) -> Box<dyn Source> {
        match self {
            Clicks::Files(path) => {
                let directory = Directory::new(path.clone(), schema);
                Box::new(DirectorySource::new(directory, End::Complete))
            }
            Clicks::Topics(topics) => Box::new(TopicSource::new(topics.clone())),
        }
    }

    pub(super) fn name(&self) -> String {
        match self {
            Clicks::Files(path) => path.display().to_string(),
            Clicks::Topics(topics) => {
                let topics = topics.lookout.topics().iter();
                topics.map(|topic| format!("kafka:{topic}")).collect::<Vec<_>>().join(", ")
            }
        }
    }
}

/// Until when what was read is told: a closed job has told what it held, but for what lies after
/// the last minute that it was asked for.
pub(crate) fn told_until(opening: &Opening, standing: &Standing, options: &Options) -> Epoch {
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

pub(crate) fn missing(position: &Position, begin: u64, faults: &mut Faults) {
    if position.offset > begin {
        let (name, offset) = (position.name(), position.offset);
        faults.add(format!("{name} is missing, but was counted up to {} {offset}", unit(&name)));
    }
}

pub(crate) fn deleted(name: &Name, begin: u64, first: u64) -> Failure {
    Failure::refused(format!(
        "{name} cannot be recounted: the job has read it from offset {begin} on, but its first \
         record is at offset {first}, as those before it have been deleted",
    ))
}

/// The first offset of a partition, its clock there, and its marks.
pub(crate) fn begin(number: u32, opening: &Opening, standing: &Standing) -> (u64, Begin) {
    let is_it = |position: &&Position| {
        standing.numbers.known(position.log.as_deref(), position.partition) == Some(number)
    };
    let first = opening.positions.iter().find(is_it);
    let clock = first.map_or_else(Clock::default, Position::own_clock);
    let marks = standing.marks.iter().filter(|(partition, _)| *partition == number);
    let (begins, raised): (Vec<&Mark>, Vec<&Mark>) =
        marks.map(|(_, mark)| mark).partition(|mark| mark.is_begin());
    let marks = raised.into_iter().map(|mark| (mark.offset, mark.clock.0)).collect();
    let added = begins.first().map_or(0, |mark| mark.offset);
    (first.map_or(added, |first| first.offset), Begin { partition: number, clock, marks })
}

/// Gives a partition's records up to `position` to the recount; whether its file has more.
pub(crate) fn read(
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
    let mut taken = Ok(());
    while next < end {
        let limit = usize::try_from(end - next).unwrap_or(BATCH).min(BATCH);
        let polled = source.poll(number, limit, &mut |piece| match piece {
            Piece::Header(line) => header = reading.header(line),
            Piece::Record(record) if header.is_ok() && taken.is_ok() && record.offset < end => {
                taken = reading.record(&record);
            }
            // What is known of a click is not believed here.
            Piece::Click(known) if header.is_ok() && taken.is_ok() && known.record.offset < end => {
                let value = (known.value)();
                let bytes = value.len() as u64;
                taken = reading.record(&Record { value: &value, bytes, ..known.record });
            }
            Piece::Record(_) | Piece::Click(_) => {}
        })?;
        mem::replace(&mut taken, Ok(())).attempt(|| format!("cannot recount {name}"))?;
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
    if clock != position.own_clock() {
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
