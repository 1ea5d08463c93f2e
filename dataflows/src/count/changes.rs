//! Changed counts on their way out of the graph, as rows of fixed width.
//!
//! ```text
//! count ─▶ containers of rows ─▶ those of an epoch, as they came ─▶ in the order of ids
//! ```
//!
//! An id of at most 16 bytes is part of its row; a longer one is the row's text.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use bytemuck::{Pod, Zeroable};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::operator::Operator;

use crate::ads::{self, HEAD_BYTES, Head};
use crate::count::Change;
use crate::filter::FilterId;
use crate::options::Options;
use crate::packed::{Packed, Row};
use crate::time::{Epoch, Minute};
use crate::{PackedStream, Updates};

/// A cell got clicks.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct PackedChange {
    /// When it is told.
    pub epoch: Epoch,
    /// What its ad's id begins with, then zeros.
    id: [u8; HEAD_BYTES],
    clicks: u64,
    was: u64,
    minute: u32,
    filter: FilterId,
    text_at: u32,
    id_bytes: u32,
}

impl PackedChange {
    /// A change of the ad whose id has so many bytes; one that is longer than its head is the text.
    pub(crate) fn new(
        epoch: Epoch,
        (head, id_bytes): (Head, u32),
        (minute, filter): (Minute, FilterId),
        (was, clicks): (u64, u64),
    ) -> PackedChange {
        let id = ads::whole(head).to_be_bytes();
        PackedChange { epoch, id, clicks, was, minute: minute.0, filter, text_at: 0, id_bytes }
    }

    /// Whether its id is the row's text.
    pub(crate) fn is_long(&self) -> bool {
        self.id_bytes as usize > HEAD_BYTES
    }

    /// The order in which changes are told.
    fn order(&self, text: &[u8], other: &PackedChange, other_text: &[u8]) -> Ordering {
        let id = |change: &PackedChange| (ads::head(&change.id), change.id_bytes);
        let by_id = ads::order(id(self), id(other), || text.cmp(other_text));
        by_id.then_with(|| (self.minute, self.filter).cmp(&(other.minute, other.filter)))
    }
}

#[cfg(feature = "abomonation")]
impl abomonation::Abomonation for PackedChange {}

impl Row for PackedChange {
    fn text(&self) -> (u32, u32) {
        (self.text_at, if self.is_long() { self.id_bytes } else { 0 })
    }

    fn with_text_at(self, text_at: u32) -> PackedChange {
        PackedChange { text_at, ..self }
    }
}

/// A changed count, as its container holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeRef<'a> {
    /// The id of its ad.
    pub ad: &'a str,
    /// Its minute.
    pub minute: Minute,
    /// Its filter.
    pub filter: FilterId,
    /// Its clicks now.
    pub clicks: u64,
    /// Its clicks before.
    pub was: u64,
}

/// Changed counts of one epoch.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    parts: Vec<Packed<PackedChange>>,
}

impl Changes {
    /// Adds rows of the epoch, taken out of `rows` together.
    pub fn append(&mut self, rows: &mut Packed<PackedChange>) {
        self.parts.push(rows.take());
    }

    /// Adds a row and its text.
    pub fn push(&mut self, change: PackedChange, text: &[u8]) {
        if self.parts.last().is_none_or(Packed::is_full) {
            self.parts.push(Packed::default());
        }
        self.parts.last_mut().expect("a part was added").push(change, text);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.parts.iter().all(Packed::is_empty)
    }

    /// Puts them in the order in which they are told: by ad, minute and filter.
    pub fn sort(&mut self) {
        let order = |a: &Told<'_>, b: &Told<'_>| a.0.order(a.1, b.0, b.1);
        if self.rows().is_sorted_by(|a, b| order(a, b).is_le()) {
            return;
        }
        // They come in few runs that are in order, and the stable sort merges runs.
        let mut rows: Vec<Told<'_>> = self.rows().collect();
        rows.sort_by(order);
        let mut sorted = Changes::default();
        rows.into_iter().for_each(|(change, text)| sorted.push(*change, text));
        *self = sorted;
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = ChangeRef<'_>> {
        self.rows().map(seen)
    }

    /// The changes of `parts`, which come in the order of their epochs, as one for each cell.
    pub fn joined(parts: &[Changes]) -> Changes {
        let mut cells: BTreeMap<(&str, Minute, FilterId), (PackedChange, &[u8])> = BTreeMap::new();
        for (change, text) in parts.iter().flat_map(Changes::rows) {
            let ChangeRef { ad, minute, filter, .. } = seen((change, text));
            let first = cells.get(&(ad, minute, filter)).map_or(change.was, |(first, _)| first.was);
            let change = PackedChange { was: first, ..*change };
            cells.insert((ad, minute, filter), (change, text));
        }
        let mut joined = Changes::default();
        cells.into_values().for_each(|(change, text)| joined.push(change, text));
        joined
    }

    fn rows(&self) -> impl Iterator<Item = Told<'_>> {
        self.parts.iter().flat_map(|part| part.rows().iter().map(|row| (row, part.text(row))))
    }
}

/// A row and its text.
type Told<'a> = (&'a PackedChange, &'a [u8]);

fn seen<'a>((change, text): Told<'a>) -> ChangeRef<'a> {
    let PackedChange { id, clicks, was, minute, filter, id_bytes, .. } = change;
    let ad = match change.is_long() {
        true => std::str::from_utf8(text).expect("an id is text"),
        false => ads::text(id, *id_bytes as usize),
    };
    ChangeRef { ad, minute: Minute(*minute), filter: *filter, clicks: *clicks, was: *was }
}

/// Whole changes as rows; of minutes before the first that is told there are none.
pub(crate) fn packed<'scope>(
    changes: Updates<'scope, Change>,
    options: &Options,
) -> PackedStream<'scope, PackedChange> {
    let from = options.from;
    changes.inner.unary::<Builder, _, _, _>(Pipeline, "PackChanges", move |_, _| {
        move |changes, output| {
            changes.for_each(|time, data| {
                let mut session = output.session_with_builder(&time);
                for (Change { cell, clicks, was }, epoch, _) in data.drain(..) {
                    if cell.minute >= from {
                        let id = cell.ad.as_str().as_bytes();
                        let bytes = u32::try_from(id.len()).expect("an ad's id is short");
                        let of = (cell.minute, cell.filter);
                        let row =
                            PackedChange::new(epoch, (ads::head(id), bytes), of, (was, clicks));
                        let text = if row.is_long() { id } else { &[] };
                        session.give((row, text));
                    }
                }
            });
        }
    })
}

/// Makes containers of changes.
pub type Builder = CapacityContainerBuilder<Packed<PackedChange>>;
