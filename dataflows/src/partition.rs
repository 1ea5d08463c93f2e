//! One partition on its way into the graph: its clock, its epoch, its marks.
//!
//! ```text
//! record ─▶ decode ─▶ clock ─▶ epoch = least multiple of refresh > max(clock, lift)
//!                                   └─ raised by sleep, floor or mark ─▶ mark, lift
//! ```
//!
//! Epochs never fall along a partition, so each is one contiguous range of offsets. When one ends,
//! a note at that epoch says where it ended, and how far the clock had come.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::click::{ClickRef, Coordinates, Reason, Refusal, Reject};
use crate::clock::Clock;
use crate::decode::{Decoder, SchemaError, check_length};
use crate::horizon::Advance;
use crate::ingest::{Handles, Record, Rights, Unsent};
use crate::keep_first::arrivals::pack;
use crate::options::{Engine, Options};
use crate::split::{Arrival, Entry};
use crate::time::{Epoch, Millis, Minute};

/// What a partition tells of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Note {
    /// At the end of an epoch.
    Progress(Progress),
    /// When a record was lifted.
    Lift(Lift),
}

impl Note {
    /// The epoch of which it tells.
    pub fn epoch(&self, refresh_ms: Millis) -> Epoch {
        match self {
            Note::Progress(progress) => progress.epoch,
            Note::Lift(lift) => lift.clock + refresh_ms,
        }
    }
}

/// What a partition has brought up to the end of an epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The partition's number.
    pub partition: u32,
    /// The epoch.
    pub epoch: Epoch,
    /// The first offset whose epoch is greater.
    pub offset: u64,
    /// The partition's own clock there.
    pub clock: Clock,
    /// The greatest event time of its clicks.
    pub reach: Millis,
    /// Records of this epoch.
    pub records: u64,
    /// Of its clicks that are too late, the one that is furthest behind.
    pub behind: Option<Behind>,
}

/// A record whose epoch was raised: it becomes a mark of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Lift {
    /// The partition's number.
    pub partition: u32,
    /// The record's offset.
    pub offset: u64,
    /// The clock that it has at least.
    pub clock: Millis,
}

/// How far a click that is too late is behind the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Behind {
    /// From the end of its minute to the clock: a longer horizon would have taken it.
    pub ms: Millis,
    /// The offset of the record that moved the clock there.
    pub moved_by: u64,
}

impl Progress {
    /// What others need to know of it.
    pub fn advance(&self, options: &Options) -> Advance {
        let Progress { epoch, clock, reach, .. } = *self;
        Advance { epoch, clock: clock.clock, reach, closed: epoch - options.refresh_ms }
    }
}

/// Where a partition begins, and what was decided of it before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The partition's number.
    pub partition: u32,
    /// The first offset to read.
    pub offset: u64,
    /// The clock before it.
    pub clock: Clock,
    /// Marks from that offset on: offset and clock.
    pub marks: BTreeMap<u64, Millis>,
    /// From each of these offsets on, epochs are greater than the one beside it.
    pub floors: Vec<(u64, Epoch)>,
    /// The job has committed what lies before this offset.
    pub committed: u64,
}

/// One partition on its way into the graph.
pub struct Partition {
    number: u32,
    decoder: Decoder,
    marks: BTreeMap<u64, Millis>,
    floors: Vec<(u64, Epoch)>,
    committed: u64,
    rights: Rights,
    /// Its own clock.
    clock: Clock,
    /// The epoch that its clock gave last.
    epoch_known: Epoch,
    /// What its last mark says: the clock that gives the epoch is at least this.
    lift: Millis,
    /// The next offset to read.
    next: u64,
    /// The greatest event time of its clicks.
    reach: Millis,
    /// Records of the current epoch that have not been sent.
    unsent: Unsent,
    /// Records of the current epoch.
    records: u64,
    /// The offset of the record that last moved the clock.
    moved_by: u64,
    /// Of the clicks of the current epoch that are too late, the one that is furthest behind.
    behind: Option<Behind>,
    /// When the clock last rose, by a monotonic clock.
    risen_at: Millis,
    /// When it was last seen at its true end, unless more has come since.
    ended_at: Option<Millis>,
}

impl Partition {
    /// A partition that begins at `start`.
    pub(crate) fn new(start: Start, decoder: Decoder, rights: Rights, now: Millis) -> Partition {
        Partition {
            number: start.partition,
            decoder,
            marks: start.marks,
            floors: start.floors,
            committed: start.committed,
            rights,
            clock: start.clock,
            epoch_known: 0,
            lift: 0,
            next: start.offset,
            reach: start.clock.clock,
            unsent: Unsent::default(),
            records: 0,
            moved_by: 0,
            behind: None,
            risen_at: now,
            ended_at: None,
        }
    }

    /// Its number.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The least epoch that it may still produce.
    pub fn epoch(&self) -> Epoch {
        self.rights.epoch()
    }

    /// The greater of its own clock and what lifted it.
    pub fn clock(&self) -> Millis {
        self.clock.clock.max(self.lift)
    }

    /// The next offset to read.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// For how long its clock has stood still.
    pub fn still_ms(&self, now: Millis) -> Millis {
        now.saturating_sub(self.risen_at)
    }

    /// Whether its clock has not risen for `idle_after_ms`, and it is at its true end.
    pub fn is_asleep(&self, idle_after_ms: Millis, now: Millis) -> bool {
        self.still_ms(now) >= idle_after_ms
            && self.ended_at.is_some_and(|ended_at| ended_at >= self.risen_at)
            && !self.is_behind()
    }

    /// Whether it reads again what was committed before.
    pub fn is_behind(&self) -> bool {
        self.next < self.committed
    }

    pub(crate) fn header(&mut self, line: &[u8]) -> Result<(), SchemaError> {
        self.decoder = self.decoder.with_header(line)?;
        Ok(())
    }

    /// Takes the next record: decodes it, moves the clock, finds its epoch.
    pub(crate) fn push(
        &mut self,
        record: Record<'_>,
        now: Millis,
        options: &Options,
        handles: &mut Handles,
    ) {
        let click = check_length(record.bytes).and_then(|()| self.decoder.read(record.value));
        let quote = || record.value.to_vec();
        match click {
            Ok(click) => self.take((Ok(&click), &quote), record, now, options, handles),
            Err(refusal) => self.take((Err(refusal), &quote), record, now, options, handles),
        }
    }

    /// Takes the next record, of which `click` has been read: moves the clock, finds its epoch.
    /// `quote` makes its value.
    pub(crate) fn take(
        &mut self,
        (click, quote): (Result<&ClickRef<'_>, Refusal>, &dyn Fn() -> Vec<u8>),
        record: Record<'_>,
        now: Millis,
        options: &Options,
        handles: &mut Handles,
    ) {
        let mut clock = self.clock;
        let mut late = None;
        let found = click.and_then(|click| {
            let log_time = click.log_time.or(record.log_time);
            let judged = clock.judge(click.event_ms, log_time, options);
            if let Err(Refusal { reason: Reason::TooLate, .. }) = judged {
                let ms = clock.clock - Minute::of(click.event_ms).end();
                late = Some(Behind { ms, moved_by: self.moved_by });
            }
            judged.map(|()| click)
        });
        let own = self.epoch_after(clock.clock, options);
        let unlifted = if self.lift > clock.clock { options.epoch(self.lift) } else { own };
        self.next = record.offset;
        let epoch = unlifted.max(self.epoch_least(options));
        self.end_epoch(epoch, handles);
        if epoch > unlifted {
            self.lift(epoch - options.refresh_ms, now, handles);
        }
        if clock.clock > self.clock.clock {
            (self.moved_by, self.risen_at) = (record.offset, now);
        }
        self.clock = clock;
        if late.is_some() {
            self.behind = self.behind.max(late);
        }
        let at = Coordinates { partition: self.number, offset: record.offset };
        match found {
            Ok(click) => {
                self.reach = self.reach.max(click.event_ms);
                match epoch > own {
                    true => self.add_lifted(at, click, epoch, quote(), options),
                    false => self.add(at, click, epoch, options, handles),
                }
            }
            Err(refusal) => {
                let quote = quote();
                let bytes = record.bytes.max(quote.len() as u64);
                let reject = Reject::new(at, refusal, &quote, bytes);
                self.unsent.entries.push((Entry::Reject(reject), epoch, 1));
            }
        }
        self.records += 1;
        self.next = record.offset + 1;
    }

    /// Lifts the next record to a clock of `clock`, and tells of it.
    fn lift(&mut self, clock: Millis, now: Millis, handles: &mut Handles) {
        (self.lift, self.risen_at) = (clock, now);
        let lift = Lift { partition: self.number, offset: self.next, clock };
        handles.note(Note::Lift(lift), &self.rights);
    }

    /// Adds a click that a mark lifts beyond its own clock to what is sent next.
    fn add_lifted(
        &mut self,
        at: Coordinates,
        click: &ClickRef<'_>,
        epoch: Epoch,
        bytes: Vec<u8>,
        options: &Options,
    ) {
        let arrival = Arrival::new(at, click, options);
        self.unsent.entries.push((Entry::Lifted(arrival, bytes), epoch, 1));
    }

    /// Adds a click to what is sent next.
    fn add(
        &mut self,
        at: Coordinates,
        click: &ClickRef<'_>,
        epoch: Epoch,
        options: &Options,
        handles: &mut Handles,
    ) {
        if options.engine == Engine::Simple {
            let arrival = Arrival::new(at, click, options);
            self.unsent.entries.push((Entry::Click(arrival), epoch, 1));
            return;
        }
        let arrivals = &mut self.unsent.arrivals;
        let identity = options.copies.identity(click.identity, at.partition);
        pack(arrivals, at, click, identity, epoch, &options.filters);
        if arrivals.is_full() {
            handles.send_arrivals(arrivals, &self.rights);
        }
    }

    /// Takes note that it has been read up to before `next`, its true end if `at_end`.
    pub(crate) fn read_to(&mut self, next: u64, at_end: bool, now: Millis, handles: &mut Handles) {
        self.next = next;
        handles.send(&mut self.unsent, &self.rights);
        self.ended_at = at_end.then_some(now);
    }

    /// Tells of the clock with which it begins, and gives up the epochs before.
    pub(crate) fn begin(&mut self, options: &Options, handles: &mut Handles) {
        if self.clock.clock > 0 {
            handles.note(Note::Progress(self.progress()), &self.rights);
        }
        self.move_on(0, options, handles);
    }

    /// Gives up the epochs before `epoch`, and those that its next record cannot have.
    pub(crate) fn move_on(&mut self, epoch: Epoch, options: &Options, handles: &mut Handles) {
        let least = self.epoch_least(options).max(options.epoch(self.clock()));
        self.end_epoch(epoch.max(least), handles);
    }

    /// Tells where it ended.
    pub(crate) fn close(mut self, options: &Options, handles: &mut Handles) {
        self.move_on(0, options, handles);
        handles.send(&mut self.unsent, &self.rights);
        handles.note(Note::Progress(self.progress()), &self.rights);
    }

    /// The epoch of a record after which the clock is `clock`: most have that of the one before.
    fn epoch_after(&mut self, clock: Millis, options: &Options) -> Epoch {
        let known = self.epoch_known;
        if clock >= known || clock + options.refresh_ms < known {
            self.epoch_known = options.epoch(clock);
        }
        self.epoch_known
    }

    /// The least epoch of the next record, whatever it holds: what was given up, marks, floor.
    #[inline]
    fn epoch_least(&self, options: &Options) -> Epoch {
        if self.marks.is_empty() && self.floors.is_empty() {
            return self.rights.epoch();
        }
        let mark = self.marks.get(&self.next).copied();
        let floors = self.floors.iter().filter(|(from, _)| self.next >= *from);
        let lift = floors.map(|(_, epoch)| *epoch).chain(mark).filter(|clock| *clock > 0).max();
        lift.map_or(0, |clock| options.epoch(clock)).max(self.rights.epoch())
    }

    /// Ends the current epoch if `epoch` is a later one: sends what is left, and tells of it.
    #[inline]
    fn end_epoch(&mut self, epoch: Epoch, handles: &mut Handles) {
        if epoch > self.rights.epoch() {
            self.go_on_to(epoch, handles);
        }
    }

    fn go_on_to(&mut self, epoch: Epoch, handles: &mut Handles) {
        handles.send(&mut self.unsent, &self.rights);
        if self.records > 0 {
            handles.note(Note::Progress(self.progress()), &self.rights);
            (self.records, self.behind) = (0, None);
        }
        self.rights.downgrade(epoch);
    }

    fn progress(&self) -> Progress {
        Progress {
            partition: self.number,
            epoch: self.rights.epoch(),
            offset: self.next,
            clock: self.clock,
            reach: self.reach,
            records: self.records,
            behind: self.behind,
        }
    }
}
