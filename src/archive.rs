//! Records of a log into the raw log, each once.
//!
//! ```text
//! source ─▶ a segment of each partition, in a file without a name ─▶ sealed ─▶ put, if not there
//!              ▲                                                        │
//!              └──────────── where the last segment ended ◀── raw log ◀─┘
//! ```
//!
//! Where it goes on is what the raw log holds, and nothing else: whatever dies, what was not put is
//! read again. A segment is put under a name that follows from its first offset, and never over
//! another: of two archivers that write one by mistake, the second finds it there and begins anew
//! from what it finds.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use clicks_dataflows::decode::Decoder;
use clicks_dataflows::ledger::Name;
use clicks_dataflows::options::Options;
use clicks_dataflows::partition::Start;
use clicks_dataflows::time::{Millis, Time};
use clicks_replay::raw::{self, Catalog, Facts, Mapping, Put, Store};

use crate::failpoint::reach;
use crate::failure::Failure;
use crate::log;
use crate::plural::some;
use crate::raw::{failed, name_of};
use crate::run::MakeSource;
use crate::source::Source;

mod partition;

use partition::{Filled, Partition};

/// How long it waits where nothing is to be read.
const PATIENCE: Duration = Duration::from_millis(20);

/// How often it looks for new partitions.
const DISCOVER_EVERY_MS: Millis = 5000;

/// An archive that is to be kept.
pub struct Archive {
    /// Where segments go.
    pub store: Store,
    /// Makes a source of the log.
    pub source: MakeSource,
    /// Whether the log ends.
    pub ends: bool,
    /// What the log is called, where names of partitions do not say it.
    pub topic: String,
    /// Decodes records of a partition that has no header.
    pub decoder: Decoder,
    /// Of which clocks depend on `ahead_max` and `jump_max`.
    pub options: Options,
    /// Format and fields.
    pub mapping: Mapping,
    /// When segments end.
    pub roll: Roll,
    /// Where segments are while they are filled.
    pub spool: PathBuf,
    /// Threads, which share the partitions.
    pub workers: u32,
    /// Set when the program is to stop.
    pub stop: Arc<AtomicBool>,
    /// A monotonic clock in milliseconds.
    pub now: fn() -> Millis,
}

/// When segments end.
#[derive(Clone, Copy, Debug)]
pub struct Roll {
    /// So long after its first record was read.
    pub after_ms: Millis,
    /// When it has so many bytes.
    pub bytes: u64,
}

/// What was archived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Archived {
    /// Segments.
    pub segments: u64,
    /// Records.
    pub records: u64,
    /// Bytes of their values.
    pub bytes: u64,
    /// Bytes of segments.
    pub stored: u64,
}

/// How a round ended.
enum Round {
    /// As it was to.
    Done,
    /// Somebody else writes to the raw log.
    Overtaken,
}

impl Archive {
    /// Archives until the log ends, or the program is to stop.
    ///
    /// # Errors
    ///
    /// When the log cannot be read, segments cannot be written, or records between what is archived
    /// and what the log still has are lost.
    pub fn run(&self) -> Result<Archived, Failure> {
        let numbers = Numbers::default();
        let lasts = self.look_back(&numbers)?;
        let ended: Vec<_> = thread::scope(|scope| {
            let work = |worker| {
                let (numbers, lasts) = (&numbers, lasts.clone());
                scope.spawn(move || self.work(worker, numbers, lasts))
            };
            let workers: Vec<_> = (0..self.workers).map(work).collect();
            workers.into_iter().map(|worker| worker.join().expect("no worker panics")).collect()
        });
        let mut archived = Archived::default();
        for ended in ended {
            archived.add(&ended?);
        }
        Ok(archived)
    }

    /// Finds where the raw log ends: the last segment of each partition that it has.
    fn look_back(&self, numbers: &Numbers) -> Result<BTreeMap<Name, Facts>, Failure> {
        let catalog = Catalog::read(&self.store, Some(&self.topic)).map_err(failed)?;
        catalog.check(&self.store).map_err(failed)?;
        let lasts = catalog.lasts(&self.store).map_err(failed)?;
        let named = lasts.into_iter().map(|facts| (name_of(&facts, false), facts));
        let lasts: BTreeMap<Name, Facts> = named.collect();
        lasts.iter().for_each(|(name, facts)| numbers.know(name, facts.partition));
        Ok(lasts)
    }

    /// What one thread does: its share of the partitions, after what is archived of them.
    fn work(
        &self,
        worker: u32,
        numbers: &Numbers,
        lasts: BTreeMap<Name, Facts>,
    ) -> Result<Archived, Failure> {
        let mut archived = Archived::default();
        let went = self.rounds(&mut archived, (worker, numbers), lasts);
        if went.is_err() {
            // The others put what they have, and end too.
            self.stop.store(true, Ordering::Relaxed);
        }
        went.map(|()| archived)
    }

    /// Begins anew as often as somebody else has written to the raw log.
    fn rounds(
        &self,
        archived: &mut Archived,
        (worker, numbers): (u32, &Numbers),
        mut lasts: BTreeMap<Name, Facts>,
    ) -> Result<(), Failure> {
        while let Round::Overtaken = Running::new(self, (worker, numbers), lasts).run(archived)? {
            lasts = self.look_back(numbers)?;
        }
        Ok(())
    }
}

/// The numbers of partitions, which all threads share.
#[derive(Default)]
struct Numbers(Mutex<BTreeMap<Name, u32>>);

impl Numbers {
    /// Takes note of a number that the raw log has.
    fn know(&self, name: &Name, number: u32) {
        self.0.lock().expect("no worker panics").insert(name.clone(), number);
    }

    /// The number under which a partition is archived: a topic's own; of files, the next.
    fn of(&self, name: &Name) -> u32 {
        let mut known = self.0.lock().expect("no worker panics");
        let next = known.values().max().map_or(0, |greatest| greatest + 1);
        match name {
            Name::Partition { partition, .. } => *partition,
            Name::File(_) => *known.entry(name.clone()).or_insert(next),
        }
    }
}

/// An archive, from what the raw log holds.
struct Running<'a> {
    archive: &'a Archive,
    worker: u32,
    numbers: &'a Numbers,
    source: Box<dyn Source>,
    /// The last segment of each partition that the raw log has.
    lasts: BTreeMap<Name, Facts>,
    partitions: BTreeMap<u32, Partition>,
    discovered_at: Option<Millis>,
}

impl<'a> Running<'a> {
    fn new(
        archive: &'a Archive,
        (worker, numbers): (u32, &'a Numbers),
        lasts: BTreeMap<Name, Facts>,
    ) -> Running<'a> {
        Running {
            archive,
            worker,
            numbers,
            source: (archive.source)(),
            lasts,
            partitions: BTreeMap::new(),
            discovered_at: None,
        }
    }

    fn run(&mut self, archived: &mut Archived) -> Result<Round, Failure> {
        loop {
            let stopping = self.archive.stop.load(Ordering::Relaxed);
            let now = (self.archive.now)();
            if self
                .discovered_at
                .is_none_or(|at| !self.archive.ends && now >= at + DISCOVER_EVERY_MS)
            {
                self.discovered_at = Some(now);
                self.discover()?;
            }
            let mut read = false;
            let numbers: Vec<u32> = self.partitions.keys().copied().collect();
            for number in numbers {
                let partition = self.partitions.get_mut(&number).expect("it is open");
                if !stopping && !partition.ended {
                    read |= partition.read(&mut *self.source, now)?;
                }
                partition.roll(&self.archive.roll, stopping, now)?;
                for filled in std::mem::take(&mut partition.filled) {
                    match self.put(filled)? {
                        Some(put) => archived.add(&put),
                        None => return Ok(Round::Overtaken),
                    }
                }
            }
            let ended = self.partitions.values().all(|partition| partition.ended);
            if stopping || self.archive.ends && ended {
                return Ok(Round::Done);
            }
            if !read {
                thread::sleep(PATIENCE);
            }
        }
    }

    /// Opens partitions that have appeared, each after what the raw log has of it.
    fn discover(&mut self) -> Result<(), Failure> {
        let names = self.source.discover()?;
        for name in names {
            let number = self.numbers.of(&name);
            if number % self.archive.workers != self.worker {
                continue;
            }
            let last = self.lasts.get(&name);
            let first = self.source.first(&name)?;
            let next = last.map_or(first, |facts| facts.last + 1);
            if first > next {
                return Err(Failure::refused(format!(
                    "{name} of {}: {} has it up to offset {next}, but its first is {first} now: \
                     offsets {next} to {} have been deleted and were never archived. Archive to \
                     another place to go on without them, and keep records of the topic longer \
                     (retention.ms) than the archive may be away",
                    self.archive.topic,
                    self.archive.store.root(),
                    first - 1,
                )));
            }
            let start = Start { partition: number, offset: next, ..Start::default() };
            self.source.open(&name, &start)?;
            let partition = Partition::new(self.archive, (&name, number), next, last);
            self.partitions.insert(number, partition);
        }
        Ok(())
    }

    /// Puts a segment into the store; none if another is there.
    fn put(&mut self, filled: Filled) -> Result<Option<Archived>, Failure> {
        let Filled { file, facts } = filled;
        let store = &self.archive.store;
        let path = facts.place().path();
        let name = store.name(&path);
        let mut segment = partition::whole(file, &self.archive.spool)?;
        raw::seal(&mut segment, &name).map_err(failed)?;
        reach("segment-sealed");
        let stored = segment.len() as u64;
        let put = store.put_new(&path, segment.into()).map_err(failed)?;
        reach("segment-put");
        match put {
            Put::Written => {}
            Put::Same => log::say(&format!(
                "{name} is there already, the same to the byte: the store had it before its answer \
                 was lost, or another archiver writes here too",
            )),
            Put::Other => {
                log::say(&format!(
                    "{name} is there already: another archiver writes here too, which costs work \
                     and no record; going on after what is there",
                ));
                return Ok(None);
            }
        }
        log::say(&format!(
            "{}: offsets {} to {}, {} in {} bytes{}",
            name,
            facts.first,
            facts.last,
            some(facts.records, "record"),
            stored,
            facts.click_times.map_or(String::new(), |(_, last)| format!(", up to {}", Time(last))),
        ));
        reach("segment-known");
        let (records, bytes) = (facts.records, facts.bytes);
        Ok(Some(Archived { segments: 1, records, bytes, stored }))
    }
}

impl Archived {
    fn add(&mut self, other: &Archived) {
        self.segments += other.segments;
        self.records += other.records;
        self.bytes += other.bytes;
        self.stored += other.stored;
    }
}
