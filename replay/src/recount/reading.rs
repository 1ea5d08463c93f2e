//! One partition on its way into the recount: its clock, its marks, its epochs.

use std::collections::BTreeMap;
use std::mem;

use clicks_dataflows::click::Coordinates;
use clicks_dataflows::clock::Clock;
use clicks_dataflows::decode::{Decoder, SchemaError};
use clicks_dataflows::ingest::Record;
use clicks_dataflows::time::{Epoch, Millis};

use super::Recounting;
use super::rows::Rejected;
use crate::sort::SortError;

/// Where a partition begins, and what was decided of it.
#[derive(Clone, Debug, Default)]
pub struct Begin {
    /// The partition's number.
    pub partition: u32,
    /// Its clock before its first record.
    pub clock: Clock,
    /// Its marks: offset and clock.
    pub marks: BTreeMap<u64, Millis>,
}

/// A partition of which records are taken.
pub struct Reading<'a> {
    of: &'a mut Recounting,
    decoder: Decoder,
    begin: Begin,
    lift: Millis,
    /// The epoch of the record before, and its partition's clock after it.
    stood: (Epoch, Millis),
}

impl<'a> Reading<'a> {
    pub(super) fn new(of: &'a mut Recounting, decoder: Decoder, begin: Begin) -> Reading<'a> {
        Reading { of, decoder, begin, lift: 0, stood: (0, 0) }
    }

    /// Takes the line that names the columns.
    ///
    /// # Errors
    ///
    /// When no row under it can be a click.
    pub fn header(&mut self, line: &[u8]) -> Result<(), SchemaError> {
        self.decoder = self.decoder.with_header(line)?;
        Ok(())
    }

    /// Takes the next record.
    ///
    /// # Errors
    ///
    /// When the disk does not take what memory has no room for.
    pub fn record(&mut self, record: &Record<'_>) -> Result<(), SortError> {
        let at = Coordinates { partition: self.begin.partition, offset: record.offset };
        let options = &self.of.options;
        let (decoder, clock) = (&self.decoder, &mut self.begin.clock);
        let found = decoder.decode(record.value).and_then(|decoded| {
            let log_time = decoded.log_time.or(record.log_time);
            clock.judge(decoded.click.event_ms, log_time, options)?;
            Ok(decoded.click)
        });
        let own = options.epoch(clock.clock);
        let unmarked = options.epoch(clock.clock.max(self.lift));
        if let Some(mark) = self.begin.marks.remove(&record.offset) {
            self.lift = self.lift.max(mark);
            if options.epoch(self.lift) <= unmarked {
                self.of.recount.idle_marks.push(at);
            }
        }
        let epoch = options.epoch(clock.clock.max(self.lift));
        if epoch > self.of.epoch {
            self.of.recount.beyond.push(at);
            return Ok(());
        }
        let (before, own_before) = mem::replace(&mut self.stood, (epoch, clock.clock));
        if before != epoch {
            self.of.note_clock(before, own_before);
        }
        self.of.recount.totals.records += 1;
        match found {
            Ok(click) => self.of.take(at, &click, epoch, epoch > own),
            Err(refusal) => self.of.rejects.push(Rejected::new(at, refusal.reason)),
        }
    }

    /// The partition's own clock after its last record.
    pub fn close(self) -> Clock {
        let partition = self.begin.partition;
        let idle = self.begin.marks.keys().map(|offset| Coordinates { partition, offset: *offset });
        self.of.recount.idle_marks.extend(idle);
        let (epoch, clock) = self.stood;
        self.of.note_clock(epoch, clock);
        self.begin.clock
    }
}
