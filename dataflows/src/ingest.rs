//! Records enter the graph: decoded once, clocked, and given their epoch.
//!
//! ```text
//!                  ┌─ Partition: decoder, clock, marks ─▶ entries
//! source ─ push ─▶ │        … one per partition
//!                  └─ at the end of each epoch ─────────▶ notes: progress, marks
//! ```
//!
//! Each partition holds the right to speak at the least epoch that its next record may have. The
//! frontier is the least of these. A partition that is asleep gives up epochs without a record;
//! should a record then have an earlier one by its own clock, it is lifted, and the lift leaves as
//! a mark. See `docs/design.md`, "What the log does not determine".

use std::collections::BTreeMap;

use timely::container::CapacityContainerBuilder;
use timely::dataflow::Scope;
use timely::dataflow::operators::ActivateCapability;
use timely::dataflow::operators::core::unordered_input::{UnorderedHandle, UnorderedInput};

use crate::click::ClickRef;
use crate::decode::{Decoder, SchemaError};
use crate::keep_first::arrivals::{Arrivals, PackedArrival};
use crate::options::Options;
use crate::partition::{Note, Partition, Start};
use crate::split::Entry;
use crate::time::{Epoch, Millis};
use crate::{Notes, PackedStream, Updates};

/// A record of a log.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Its offset in its partition.
    pub offset: u64,
    /// When the log took it, if the log says so.
    pub log_time: Option<Millis>,
    /// What it holds, or its beginning where it is longer than any record that is decoded.
    pub value: &'a [u8],
    /// Its whole length.
    pub bytes: u64,
    /// What the log holds beside.
    pub beside: Beside<'a>,
}

/// What a log holds beside the value of a record: nothing that is counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Beside<'a> {
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its headers, where they were asked for.
    pub headers: &'a [Header<'a>],
    /// Whether the value is a null, which is not the same as empty.
    pub null: bool,
}

/// A header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// What it is called.
    pub key: &'a str,
    /// What it says.
    pub value: Option<&'a [u8]>,
}

/// The way into the graph for the partitions of one worker.
pub struct Ingest {
    handles: Handles,
    /// Kept for partitions to come, and moved on with the frontier.
    spare: Option<Rights>,
    partitions: BTreeMap<u32, Partition>,
    options: Options,
}

/// The way into the graph for one partition.
pub struct Inlet<'a> {
    partition: &'a mut Partition,
    handles: &'a mut Handles,
    options: &'a Options,
}

/// Where arrivals, entries and notes go in.
pub(crate) struct Handles {
    arrivals: Handle<Arrivals>,
    entries: Handle<Vec<(Entry, Epoch, isize)>>,
    notes: Handle<Vec<Note>>,
}

type Handle<C> = UnorderedHandle<Epoch, CapacityContainerBuilder<C>>;

/// Records that have not been sent, all of one epoch.
#[derive(Default)]
pub(crate) struct Unsent {
    /// Clicks of the fast engine that nothing has lifted.
    pub(crate) arrivals: Arrivals,
    /// All others.
    pub(crate) entries: Vec<(Entry, Epoch, isize)>,
}

impl Handles {
    /// Sends what is `unsent`, which is of the epoch of `rights`.
    pub(crate) fn send(&mut self, unsent: &mut Unsent, rights: &Rights) {
        let Unsent { arrivals, entries } = unsent;
        if !entries.is_empty() {
            self.entries.activate().session(&rights.entries).give_iterator(entries.drain(..));
        }
        self.send_arrivals(arrivals, rights);
    }

    /// Sends `arrivals`, which are of the epoch of `rights`.
    pub(crate) fn send_arrivals(&mut self, arrivals: &mut Arrivals, rights: &Rights) {
        arrivals.send(|arrivals| {
            self.arrivals.activate().session(&rights.arrivals).give_container(arrivals);
        });
    }

    /// Sends `note` at the epoch of `rights`.
    pub(crate) fn note(&mut self, note: Note, rights: &Rights) {
        // A note is mostly alone at its epoch; a session would give it room for hundreds.
        self.notes.activate().session(&rights.notes).give_container(&mut vec![note]);
    }
}

/// The right to speak at an epoch, on all streams.
#[derive(Clone)]
pub(crate) struct Rights {
    arrivals: ActivateCapability<Epoch>,
    entries: ActivateCapability<Epoch>,
    notes: ActivateCapability<Epoch>,
}

impl Rights {
    /// The least epoch at which one may still speak.
    pub(crate) fn epoch(&self) -> Epoch {
        *self.entries.time()
    }

    /// Gives up the epochs before `epoch`.
    pub(crate) fn downgrade(&mut self, epoch: Epoch) {
        self.arrivals.downgrade(&epoch);
        self.entries.downgrade(&epoch);
        self.notes.downgrade(&epoch);
    }
}

/// Records as they enter the graph.
pub struct Entries<'scope> {
    /// Clicks of the fast engine at the epoch of their own partition's clock.
    pub arrivals: PackedStream<'scope, PackedArrival>,
    /// All others.
    pub entries: Updates<'scope, Entry>,
}

/// Opens the graph to the records of this worker's partitions.
pub fn ingest<'scope>(
    scope: Scope<'scope, Epoch>,
    options: &Options,
) -> (Ingest, Entries<'scope>, Notes<'scope>) {
    let ((arrivals, arrivals_right), arrival_stream) = scope.new_unordered_input();
    let ((entries, entries_right), entry_stream) = scope.new_unordered_input();
    let ((notes, notes_right), note_stream) = scope.new_unordered_input();
    let mut spare = Rights { arrivals: arrivals_right, entries: entries_right, notes: notes_right };
    spare.downgrade(options.epoch(0));
    let ingest = Ingest {
        handles: Handles { arrivals, entries, notes },
        spare: Some(spare),
        partitions: BTreeMap::new(),
        options: options.clone(),
    };
    let entries = Entries { arrivals: arrival_stream, entries: Updates::new(entry_stream) };
    (ingest, entries, note_stream)
}

impl Ingest {
    /// Opens a partition, at the time `now` of a monotonic clock.
    pub fn open(&mut self, start: Start, decoder: Decoder, now: Millis) {
        let rights = self.spare.clone().expect("no partition appears after the end");
        let number = start.partition;
        let mut partition = Partition::new(start, decoder, rights, now);
        partition.begin(&self.options, &mut self.handles);
        self.partitions.insert(number, partition);
    }

    /// The way in of an open partition.
    pub fn inlet(&mut self, partition: u32) -> Inlet<'_> {
        let partition = self.partitions.get_mut(&partition).expect(KNOWN);
        Inlet { partition, handles: &mut self.handles, options: &self.options }
    }

    /// Closes a partition that will have no more records.
    pub fn close(&mut self, partition: u32) {
        let partition = self.partitions.remove(&partition).expect(KNOWN);
        partition.close(&self.options, &mut self.handles);
    }

    /// Gives up the right to open partitions.
    pub fn close_spare(&mut self) {
        self.spare = None;
    }

    /// Lets the partitions for which `asleep` holds, and those to come, give up the epochs before
    /// `epoch`.
    pub fn move_on(&mut self, epoch: Epoch, asleep: impl Fn(&Partition) -> bool) {
        for partition in self.partitions.values_mut().filter(|partition| asleep(partition)) {
            partition.move_on(epoch, &self.options, &mut self.handles);
        }
        if let Some(spare) = self.spare.as_mut().filter(|spare| spare.epoch() < epoch) {
            spare.downgrade(epoch);
        }
    }

    /// The open partitions, by number.
    pub fn partitions(&self) -> impl Iterator<Item = &Partition> {
        self.partitions.values()
    }

    /// An open partition.
    pub fn partition(&self, number: u32) -> Option<&Partition> {
        self.partitions.get(&number)
    }
}

impl Inlet<'_> {
    /// Gives a CSV partition its header.
    ///
    /// # Errors
    ///
    /// When the header lacks a column.
    pub fn header(&mut self, line: &[u8]) -> Result<(), SchemaError> {
        self.partition.header(line)
    }

    /// Takes the next record.
    pub fn push(&mut self, record: Record<'_>, now: Millis) {
        self.partition.push(record, now, self.options, self.handles);
    }

    /// Takes the next record, from a log that holds it as `click`; its value is not looked at, and
    /// `quote` makes it where a reject is to hold it.
    pub fn push_click(
        &mut self,
        (click, quote): (&ClickRef<'_>, &dyn Fn() -> Vec<u8>),
        record: Record<'_>,
        now: Millis,
    ) {
        self.partition.take((Ok(click), quote), record, now, self.options, self.handles);
    }

    /// Takes note that the partition has been read up to before `next`, its true end if `at_end`.
    pub fn read_to(&mut self, next: u64, at_end: bool, now: Millis) {
        self.partition.read_to(next, at_end, now, self.handles);
        self.partition.move_on(0, self.options, self.handles);
    }
}

const KNOWN: &str = "what is read is an open partition";
