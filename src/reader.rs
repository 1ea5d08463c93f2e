//! One worker's reading: its partitions, which of them are asleep, and when all stop.
//!
//! ```text
//!             ┌ words of all workers: partitions begin, clocks, stop
//!             ▼
//! source ─▶ Reader ─▶ ingest
//! ```
//!
//! A partition that is asleep follows the least of those awake on any worker; when all are asleep,
//! they go on from the greatest clock by the time that passes. What others say of their clocks may
//! be old: a partition then gives up epochs later, or is lifted more often, and that is recorded.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use clicks_dataflows::ingest::Ingest;
use clicks_dataflows::ledger::{Name, Position};
use clicks_dataflows::partition::{Partition, Start};
use clicks_dataflows::time::{Epoch, Millis};
use timely::worker::Worker;

use crate::failure::{Failure, Kind};
use crate::log;
use crate::source::{Ending, Piece, Poll, Source};
use crate::steer::{Clocks, Steer, Word};
use crate::stride::Stride;
use crate::worker::{Ended, Lead, Plan};

/// How often the first worker looks for new partitions.
const DISCOVER_EVERY_MS: Millis = 500;

/// What came of one turn.
pub enum Turn {
    /// So many records were read.
    Read(u64),
    /// Everybody stops.
    Halt,
}

/// The reading side of one worker.
pub struct Reader<'p> {
    plan: &'p Plan,
    worker: usize,
    peers: usize,
    steer: Steer,
    ingest: Ingest,
    /// Names of this worker's partitions.
    names: BTreeMap<u32, Name>,
    /// How many records each of them is asked for at once.
    strides: BTreeMap<u32, Stride>,
    /// How far each worker has come, as it last said.
    clocks: BTreeMap<usize, Clocks>,
    /// The least epoch of those awake, whose it is, and since when.
    held: Option<((Epoch, u32), Millis)>,
    /// Since when all are asleep, and the greatest clock then.
    all_asleep: Option<(Millis, Millis)>,
    /// Whether the partitions that were there at the start have been opened.
    opened: bool,
    discovered_at: Millis,
    /// Whether nobody reads on, as commits lag behind, and whether that was said.
    paused: bool,
    said_pause: bool,
    said_stop: bool,
    stopping: bool,
    said_halt: bool,
    failure: Option<Failure>,
}

impl<'p> Reader<'p> {
    /// The reader of `worker`, before any partition is open.
    pub fn new(worker: &Worker, plan: &'p Plan, steer: Steer, ingest: Ingest) -> Reader<'p> {
        Reader {
            plan,
            worker: worker.index(),
            peers: worker.peers(),
            steer,
            ingest,
            names: BTreeMap::new(),
            strides: BTreeMap::new(),
            clocks: BTreeMap::new(),
            held: None,
            all_asleep: None,
            opened: false,
            discovered_at: 0,
            paused: false,
            said_pause: false,
            said_stop: false,
            stopping: false,
            said_halt: false,
            failure: None,
        }
    }

    /// Says where the partitions begin.
    pub fn begin(&mut self, lead: &mut Lead<'_>, source: &mut dyn Source) {
        for (name, start) in std::mem::take(&mut lead.starts) {
            self.steer.say(Word::Open { name, start });
        }
        match self.discover(lead, source) {
            Ok(()) => self.steer.say(Word::Opened),
            Err(failure) => self.stop_for(failure),
        }
    }

    /// Opens the partitions that have appeared, each at its first offset; each takes the next number.
    fn discover(&mut self, lead: &mut Lead<'_>, source: &mut dyn Source) -> Result<(), Failure> {
        for name in source.discover()? {
            if lead.committer.knows(&name) {
                continue;
            }
            let partition = lead.committer.next_partition(&name);
            let offset = source.first(&name)?;
            if offset > 0 {
                log::say(&format!(
                    "{name} is new to the job and begins at offset {offset}: the records before it \
                     have been deleted, and the job never had any of them",
                ));
            }
            let floors = vec![(0, lead.committer.epoch())];
            let start = Start { partition, offset, floors, ..Start::default() };
            lead.committer.open(partition, Position::new(partition, name.clone(), offset));
            self.steer.say(Word::Open { name, start });
        }
        Ok(())
    }

    /// Hears what is said, reads what is there, lets go of what sleeps.
    ///
    /// A failure of the source is told by [`Reader::halted`], once all workers have stopped.
    pub fn turn(
        &mut self,
        source: &mut dyn Source,
        lead: Option<&mut Lead<'_>>,
        frontier: Option<Epoch>,
        now: Millis,
    ) -> Turn {
        while let Some(word) = self.steer.hear() {
            if self.heed(word, source, now) {
                return Turn::Halt;
            }
        }
        if self.plan.stop.load(Ordering::Relaxed) {
            self.stop(None);
        }
        if self.failure.is_some() || self.stopping || self.paused {
            return Turn::Read(0);
        }
        let read = self.read(source, lead, frontier, now);
        Turn::Read(read.unwrap_or_else(|failure| {
            self.stop_for(failure);
            0
        }))
    }

    /// Acts on `word`; tells whether everybody stops.
    fn heed(&mut self, word: Word, source: &mut dyn Source, now: Millis) -> bool {
        match word {
            Word::Join(_) | Word::Refuse(_) | Word::Done => {
                unreachable!("all workers have joined before any reads")
            }
            Word::Open { name, start } => {
                if start.partition as usize % self.peers == self.worker {
                    self.names.insert(start.partition, name.clone());
                    match source.open(&name, &start) {
                        Ok(()) => self.ingest.open(start, self.plan.decoder.clone(), now),
                        Err(failure) => self.stop_for(failure),
                    }
                }
            }
            Word::Opened => {
                self.opened = true;
                // A partition that could not be opened is not one that has ended.
                if self.plan.ending != Ending::Open && self.failure.is_none() {
                    self.ingest.close_spare();
                }
            }
            Word::Clocks(worker, clocks) => {
                self.clocks.insert(worker, clocks);
            }
            Word::Pause(paused) => self.paused = paused,
            Word::Stop(failed) => {
                self.stopping = true;
                if let Some((kind, why)) = failed {
                    self.failure.get_or_insert_with(|| Failure::of(kind, why));
                }
            }
            Word::Halt => return true,
        }
        false
    }

    fn read(
        &mut self,
        source: &mut dyn Source,
        lead: Option<&mut Lead<'_>>,
        frontier: Option<Epoch>,
        now: Millis,
    ) -> Result<u64, Failure> {
        let wanted = frontier.unwrap_or(Epoch::MAX).saturating_add(self.plan.pace.align_max_ms);
        let partitions = self.ingest.partitions().filter(|p| p.epoch() <= wanted);
        let partitions: Vec<u32> = partitions.map(Partition::number).collect();
        let mut read = 0;
        for partition in partitions {
            read += self.poll(partition, source, now)?;
        }
        if self.plan.ending != Ending::Open || !self.opened {
            return Ok(read);
        }
        self.let_go(now);
        if let Some(lead) = lead
            && now >= self.discovered_at + DISCOVER_EVERY_MS
        {
            self.discovered_at = now;
            self.discover(lead, source)?;
        }
        Ok(read)
    }

    /// Reads a batch of one partition.
    fn poll(
        &mut self,
        partition: u32,
        source: &mut dyn Source,
        now: Millis,
    ) -> Result<u64, Failure> {
        let (mut read, mut header) = (0, Ok(()));
        let mut stride = self.strides.get(&partition).copied().unwrap_or_default();
        let limit = stride.records(self.plan.batch);
        let from = self.ingest.partition(partition).map_or(0, Partition::epoch);
        let mut inlet = self.ingest.inlet(partition);
        let polled = source.poll(partition, limit, &mut |piece| match piece {
            Piece::Header(line) => header = inlet.header(line),
            Piece::Record(record) if header.is_ok() => {
                inlet.push(record, now);
                read += 1;
            }
            Piece::Click(known) if header.is_ok() => {
                inlet.push_click((known.click, known.value), known.record, now);
                read += 1;
            }
            Piece::Record(_) | Piece::Click(_) => {}
        })?;
        header.map_err(|error| Failure::refused(format!("{}: {error}", self.name(partition))))?;
        self.ingest.inlet(partition).read_to(polled.next, polled.poll == Poll::AtEnd, now);
        let open = self.ingest.partition(partition);
        let moved = open.map_or(0, Partition::epoch).saturating_sub(from);
        stride.took(read, moved, self.plan.pace.align_max_ms);
        self.strides.insert(partition, stride);
        if polled.poll != Poll::More && open.is_some_and(Partition::is_behind) {
            return Err(Failure::refused(format!(
                "{} ends at {}, but the job has committed more of it: it is shorter than it was, \
                 restore it",
                self.name(partition),
                polled.next,
            )));
        }
        let clock = open.map_or(0, Partition::clock);
        let reached = self.plan.until.is_some_and(|until| clock >= until);
        if polled.poll == Poll::Finished || reached {
            self.ingest.close(partition);
        }
        Ok(read as u64)
    }

    /// Lets partitions that are asleep, and those to come, give up what those awake have passed.
    fn let_go(&mut self, now: Millis) {
        let pace = self.plan.pace;
        let asleep = |partition: &Partition| {
            let stalled = pace.stall_after_ms.is_some_and(|after| partition.still_ms(now) >= after);
            partition.is_asleep(pace.idle_after_ms, now) || (stalled && !partition.is_behind())
        };
        let awake = self.ingest.partitions().filter(|partition| !asleep(partition));
        let clocks = Clocks {
            awake: awake.map(|partition| (partition.epoch(), partition.number())).min(),
            greatest: self.ingest.partitions().map(Partition::clock).max().unwrap_or(0),
        };
        if self.clocks.get(&self.worker) != Some(&clocks) {
            self.clocks.insert(self.worker, clocks);
            if self.peers > 1 {
                self.steer.say(Word::Clocks(self.worker, clocks));
            }
        }
        if self.clocks.len() < self.peers {
            return;
        }
        let options = &self.plan.options;
        let holder = self.clocks.values().filter_map(|clocks| clocks.awake).min();
        if self.held.map(|(holder, _)| holder) != holder {
            self.held = holder.map(|holder| (holder, now));
        }
        if let Some((awake, _)) = holder {
            self.all_asleep = None;
            self.ingest.move_on(awake, asleep);
            return;
        }
        let greatest = self.clocks.values().map(|clocks| clocks.greatest).max().unwrap_or(0);
        let furthest = self.ingest.partitions().map(Partition::epoch).max().unwrap_or(0);
        let reached = greatest.max(furthest.saturating_sub(options.refresh_ms));
        let (since, clock) = *self.all_asleep.get_or_insert((now, reached));
        // Nothing was ever read: there is no clock to go on from.
        if greatest > 0 {
            self.ingest.move_on(options.epoch(clock + (now - since)), asleep);
        }
    }

    /// The name of a partition of this worker.
    fn name(&self, partition: u32) -> &Name {
        self.names.get(&partition).expect("what is read has been opened")
    }

    /// Reads no more for `failure`, unless for an earlier one, and wants all to stop.
    pub fn stop_for(&mut self, failure: Failure) {
        let failed = (failure.kind(), failure.in_full());
        self.failure.get_or_insert(failure);
        self.stop(Some(failed));
    }

    fn stop(&mut self, failed: Option<(Kind, String)>) {
        if !self.said_stop {
            self.said_stop = true;
            self.steer.say(Word::Stop(failed));
        }
    }

    /// Lets all pause, or go on, if that is not what was said last.
    pub fn pause(&mut self, paused: bool) {
        if self.said_pause != paused {
            self.said_pause = paused;
            self.steer.say(Word::Pause(paused));
        }
    }

    /// Whether somebody wants all to stop.
    pub fn stopping(&self) -> bool {
        self.stopping
    }

    /// Says that all stop, if somebody wants it; what is closed has been committed.
    pub fn halt_if_stopping(&mut self) {
        if self.stopping && !self.said_halt {
            self.said_halt = true;
            self.steer.say(Word::Halt);
        }
    }

    /// The first worker cannot commit: all stop.
    pub fn fail(&mut self, failure: Failure) -> Failure {
        self.said_halt = true;
        self.steer.say(Word::Halt);
        failure
    }

    /// How it ended, once everybody has stopped.
    ///
    /// # Errors
    ///
    /// What made this worker stop, or another.
    pub fn halted(&mut self) -> Result<Ended, Failure> {
        self.failure.take().map_or(Ok(Ended::Stopped), Err)
    }

    /// The partition that holds the frontier of a followed input, and for how long.
    pub fn holder(&self, now: Millis) -> Option<(u32, Millis)> {
        self.held.map(|((_, partition), since)| (partition, now.saturating_sub(since)))
    }
}
