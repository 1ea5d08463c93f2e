//! A partition on its way into the raw log: the segment that is being filled.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufWriter, Read as _, Seek as _};
use std::path::{Path, PathBuf};

use clicks_dataflows::clock::Clock;
use clicks_dataflows::decode::Decoder;
use clicks_dataflows::ingest::Record;
use clicks_dataflows::ledger::Name;
use clicks_dataflows::options::Options;
use clicks_dataflows::time::Millis;
use clicks_replay::raw::{Facts, Hour, SegmentWriter, VERSION};
use clicks_replay::unlinked::unlinked;

use crate::archive::{Archive, Roll};
use crate::failpoint::reach;
use crate::failure::{Attempt, Failure};
use crate::run::BATCH;
use crate::source::{Piece, Poll, Source};

/// A file that is filled.
type Spool = BufWriter<File>;

/// A partition that is archived.
pub struct Partition {
    number: u32,
    filling: Filling,
    /// Segments that have been filled, in their order.
    pub filled: VecDeque<Filled>,
    /// Whether nothing more comes.
    pub ended: bool,
}

/// A segment that has ended, and has yet to be sealed.
pub struct Filled {
    /// Its file.
    pub file: File,
    /// What it says about itself.
    pub facts: Facts,
}

impl Partition {
    /// A partition of which the raw log has what is before `first`, its last segment being `last`.
    pub fn new(
        archive: &Archive,
        (name, number): (&Name, u32),
        first: u64,
        last: Option<&Facts>,
    ) -> Partition {
        let file = match name {
            Name::File(file) => Some(file.clone()),
            Name::Partition { .. } => None,
        };
        let clock = last.map_or_else(Clock::default, |facts| facts.clocks.1);
        let template = Facts {
            version: VERSION,
            topic: archive.topic.clone(),
            partition: number,
            file,
            first,
            last: first,
            records: 0,
            bytes: 0,
            hour: last.map_or(0, hour_after),
            clocks: (clock, clock),
            mapping: archive.mapping.clone(),
            header: last.and_then(|facts| facts.header.clone()),
            log_times: None,
            click_times: None,
            shapes: Vec::new(),
        };
        let filling = Filling {
            decoder: archive.decoder.clone(),
            options: archive.options.clone(),
            spool: archive.spool.clone(),
            next: template,
            clock,
            open: None,
        };
        Partition { number, filling, filled: VecDeque::new(), ended: false }
    }

    /// Reads what is there; tells whether there was anything.
    pub fn read(&mut self, source: &mut dyn Source, now: Millis) -> Result<bool, Failure> {
        let (mut read, mut went) = (false, Ok(()));
        let (filling, filled) = (&mut self.filling, &mut self.filled);
        let polled = source.poll(self.number, BATCH, &mut |piece| {
            read = true;
            if went.is_ok() {
                went = filling.take(&piece, now, filled);
            }
        })?;
        went?;
        self.ended = polled.poll == Poll::Finished;
        Ok(read)
    }

    /// Ends the segment that is being filled, if it is time, or nothing more is to come.
    pub fn roll(&mut self, roll: &Roll, stopping: bool, now: Millis) -> Result<(), Failure> {
        let due = self.filling.open.as_ref().is_some_and(|(writer, began)| {
            writer.bytes() >= roll.bytes || now >= began + roll.after_ms
        });
        if due || stopping || self.ended {
            self.filling.finish(&mut self.filled)?;
        }
        Ok(())
    }
}

/// The segment that is being filled.
struct Filling {
    decoder: Decoder,
    options: Options,
    spool: PathBuf,
    /// What the segment says that is begun next.
    next: Facts,
    /// The clock after the last record.
    clock: Clock,
    /// The segment, and when it was begun.
    open: Option<(SegmentWriter<Spool>, Millis)>,
}

impl Filling {
    /// Takes what comes next; a segment that ends is one of `filled`.
    fn take(
        &mut self,
        piece: &Piece<'_>,
        now: Millis,
        filled: &mut VecDeque<Filled>,
    ) -> Result<(), Failure> {
        match piece {
            Piece::Header(line) => {
                let named = self.decoder.with_header(line);
                self.decoder = named.map_err(|error| Failure::refused(format!("{error}")))?;
                self.next.header = Some(String::from_utf8_lossy(line).into_owned());
                Ok(())
            }
            Piece::Record(record) => self.push(record, now, filled),
            Piece::Click(known) => {
                let value = (known.value)();
                let bytes = value.len() as u64;
                self.push(&Record { value: &value, bytes, ..known.record }, now, filled)
            }
        }
    }

    fn push(
        &mut self,
        record: &Record<'_>,
        now: Millis,
        filled: &mut VecDeque<Filled>,
    ) -> Result<(), Failure> {
        let whole = record.bytes == record.value.len() as u64;
        let click = if whole { self.decoder.read(record.value).ok() } else { None };
        let mut clock = self.clock;
        if let Some(click) = &click {
            let log_time = click.log_time.or(record.log_time);
            // What is too late or ahead moves nothing, and is archived all the same.
            let _ = clock.judge(click.event_ms, log_time, &self.options);
        }
        let event_ms = click.as_ref().map(|click| click.event_ms);
        let hour = self.hour(record.log_time, clock, event_ms);
        if self.open.as_ref().is_some_and(|(writer, _)| writer.facts().hour < hour.0) {
            self.finish(filled)?;
        }
        if self.open.is_none() {
            self.begin(hour, now)?;
        }
        let (writer, _) = self.open.as_mut().expect("it was begun");
        writer.push(record, click.as_ref()).attempt(|| cannot_fill(&self.spool))?;
        self.clock = clock;
        Ok(())
    }

    /// The hour of a segment that begins with a record.
    ///
    /// It is that of the log time; where there is none, that of the clock, which no single date
    /// moves far. It never goes back.
    fn hour(&self, log_time: Option<Millis>, clock: Clock, event_ms: Option<Millis>) -> Hour {
        let clock = Some(clock.clock).filter(|clock| *clock > 0);
        match log_time.or(clock) {
            Some(ms) => Hour::of(ms).max(Hour(self.next.hour)),
            None => Hour::of(event_ms.unwrap_or(0)),
        }
    }

    fn begin(&mut self, hour: Hour, now: Millis) -> Result<(), Failure> {
        reach("segment-begun");
        let file = unlinked(&self.spool).attempt(|| cannot_fill(&self.spool))?;
        let facts = Facts { hour: hour.0, clocks: (self.clock, self.clock), ..self.next.clone() };
        let writer = SegmentWriter::new(BufWriter::new(file), facts);
        self.open = Some((writer.attempt(|| cannot_fill(&self.spool))?, now));
        Ok(())
    }

    fn finish(&mut self, filled: &mut VecDeque<Filled>) -> Result<(), Failure> {
        let Some((writer, _)) = self.open.take() else { return Ok(()) };
        reach("segment-filled");
        let (file, facts) = writer.finish(self.clock).attempt(|| cannot_fill(&self.spool))?;
        let file = file.into_inner().map_err(|error| error.into_error());
        let file = file.attempt(|| cannot_fill(&self.spool))?;
        reach("segment-finished");
        (self.next.first, self.next.hour) = (facts.last + 1, hour_after(&facts));
        filled.push_back(Filled { file, facts });
        Ok(())
    }
}

/// The hour at which the segment after one begins at the least: where no clock had begun, that of
/// the segment was a guess.
fn hour_after(facts: &Facts) -> u64 {
    if facts.hour_is_known() { facts.hour } else { 0 }
}

/// All bytes of a file that was filled.
pub fn whole(mut file: File, spool: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = file.rewind().and_then(|()| file.read_to_end(&mut bytes));
    read.attempt(|| cannot_fill(spool))?;
    Ok(bytes)
}

fn cannot_fill(spool: &Path) -> String {
    format!(
        "cannot fill a segment in {}: what was not archived is read again by the next start",
        spool.display(),
    )
}
