//! What leaves the graph, gathered by epoch on the first worker until the epoch is closed.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use clicks_dataflows::click::Reject;
use clicks_dataflows::count::changes::{self, Changes, PackedChange};
use clicks_dataflows::graph::Outputs;
use clicks_dataflows::keep_first::Tally;
use clicks_dataflows::options::Options;
use clicks_dataflows::partition::{Lift, Note, Progress};
use clicks_dataflows::rank::List;
use clicks_dataflows::time::Epoch;
use clicks_dataflows::{PackedStream, Stream, Updates};
use timely::ExchangeData;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::ProbeHandle;
use timely::dataflow::channels::pact;
use timely::dataflow::operators::vec::Map;
use timely::dataflow::operators::{Operator, Probe};

/// What one epoch tells.
#[derive(Clone, Debug, Default)]
pub struct Learnt {
    /// Changed counts.
    pub counts: Changes,
    /// Changed lists.
    pub ranks: Vec<List>,
    /// Rejects.
    pub rejects: Vec<Reject>,
    /// How many clicks of each kind.
    pub tallies: Vec<Tally>,
    /// Where partitions ended the epoch.
    pub progress: Vec<Progress>,
    /// What was decided.
    pub lifts: Vec<Lift>,
}

impl Learnt {
    /// What all of `parts`, in the order of their epochs, tell at once.
    fn joined(parts: impl Iterator<Item = Learnt>) -> Learnt {
        let (mut counts, mut ranks) = (Vec::new(), BTreeMap::new());
        let mut joined = Learnt::default();
        for part in parts {
            counts.push(part.counts);
            ranks.extend(part.ranks.into_iter().map(|list| (list.group, list)));
            joined.rejects.extend(part.rejects);
            joined.tallies.extend(part.tallies);
            joined.progress.extend(part.progress);
            joined.lifts.extend(part.lifts);
        }
        joined.counts = Changes::joined(&counts);
        joined.ranks.extend(ranks.into_values());
        joined
    }

    /// Puts everything in the order in which it is told.
    pub fn sort(&mut self) {
        self.counts.sort();
        self.ranks.sort_unstable_by_key(|list| list.group);
        self.rejects.sort_unstable_by_key(|reject| reject.at);
        self.progress.sort_unstable_by_key(|progress| progress.partition);
        self.lifts.sort_unstable();
    }
}

/// The outputs of the graph, by epoch; whole on the first worker, empty on the others.
pub struct Outbox {
    epochs: Rc<RefCell<BTreeMap<Epoch, Learnt>>>,
    /// The greatest epoch of a record, as far as is known.
    read_to: Rc<Cell<Epoch>>,
    /// The epoch of which each partition told last: at its end, that of which more could come.
    stood: Rc<RefCell<BTreeMap<u32, Epoch>>>,
    /// Of everything that is told.
    told: ProbeHandle<Epoch>,
    /// Of the notes, which come straight from the input.
    input: ProbeHandle<Epoch>,
}

impl Outbox {
    /// Gathers `outputs`; of minutes before the first that is told there are no rows.
    pub fn attach(outputs: Outputs<'_>, options: &Options) -> Outbox {
        let from = options.from;
        let (told, input) = (ProbeHandle::new(), ProbeHandle::new());
        let read_to = Rc::new(Cell::new(0));
        let stood = Rc::<RefCell<BTreeMap<u32, Epoch>>>::default();
        let outbox = Outbox {
            epochs: Rc::default(),
            read_to: Rc::clone(&read_to),
            stood: Rc::clone(&stood),
            told,
            input,
        };
        outbox.gather_counts(outputs.counts);
        let ranks = outputs.ranks.filter(move |list| list.group.2 >= from);
        outbox.gather(updates(ranks), |learnt, list| learnt.ranks.push(list));
        outbox.gather(updates(outputs.rejects), |learnt, reject| learnt.rejects.push(reject));
        outbox.gather(updates(outputs.tallies), |learnt, tally| learnt.tallies.push(tally));
        let refresh_ms = options.refresh_ms;
        let notes =
            outputs.notes.probe_with(&outbox.input).map(move |note| (note.epoch(refresh_ms), note));
        outbox.gather(notes, move |learnt, note| match note {
            Note::Progress(progress) => {
                if progress.records > 0 {
                    read_to.set(read_to.get().max(progress.epoch));
                }
                stood.borrow_mut().insert(progress.partition, progress.epoch);
                learnt.progress.push(progress);
            }
            Note::Lift(lift) => learnt.lifts.push(lift),
        });
        outbox
    }

    fn gather<D: ExchangeData>(
        &self,
        data: Stream<'_, (Epoch, D)>,
        mut keep: impl FnMut(&mut Learnt, D) + 'static,
    ) {
        let epochs = Rc::clone(&self.epochs);
        let by_lead = pact::Exchange::new(|_: &(Epoch, D)| 0);
        let gathered = data.unary::<NoRows, _, _, _>(by_lead, "Gather", move |_, _| {
            move |data, _| {
                data.for_each(|_, data| {
                    let mut epochs = epochs.borrow_mut();
                    let mut data = data.drain(..).peekable();
                    while let Some((epoch, _)) = data.peek() {
                        let epoch = *epoch;
                        let learnt = epochs.entry(epoch).or_default();
                        while let Some((_, datum)) = data.next_if(|(of, _)| *of == epoch) {
                            keep(learnt, datum);
                        }
                    }
                });
            }
        });
        gathered.probe_with(&self.told);
    }

    /// Containers of changes stay as they came, if they are of one epoch.
    fn gather_counts(&self, changes: PackedStream<'_, PackedChange>) {
        let epochs = Rc::clone(&self.epochs);
        let by_lead =
            pact::ExchangeCore::<changes::Builder, _>::new_core(|_: &(PackedChange, &[u8])| 0);
        let gathered = changes.unary::<NoRows, _, _, _>(by_lead, "Gather", move |_, _| {
            move |changes, _| {
                changes.for_each(|_, changes| {
                    let mut epochs = epochs.borrow_mut();
                    let rows = changes.rows();
                    let Some(PackedChange { epoch, .. }) = rows.first().copied() else { return };
                    if rows.iter().all(|change| change.epoch == epoch) {
                        return epochs.entry(epoch).or_default().counts.append(changes);
                    }
                    for (change, text) in changes.iter() {
                        epochs.entry(change.epoch).or_default().counts.push(change, text);
                    }
                });
            }
        });
        gathered.probe_with(&self.told);
    }

    /// The least epoch of which more may come; none if nothing will.
    pub fn open_from(&self) -> Option<Epoch> {
        self.told.with_frontier(|frontier| frontier.first().copied())
    }

    /// Whether the input has ended: all that is still to be told is told at the end.
    pub fn input_ended(&self) -> bool {
        self.input.with_frontier(|frontier| frontier.is_empty())
    }

    /// The least gathered epoch, if it is at most `last`.
    pub fn take(&mut self, last: Epoch) -> Option<(Epoch, Learnt)> {
        let mut epochs = self.epochs.borrow_mut();
        let least = epochs.first_entry().filter(|entry| *entry.key() <= last)?;
        Some(least.remove_entry())
    }

    /// The greatest epoch of which a record has been read, 0 if none has.
    pub fn read_to(&self) -> Epoch {
        self.read_to.get()
    }

    /// The epoch at which an input ends that goes on elsewhere, once it has ended: the greatest of a
    /// record, or a later one that floors had already opened in all partitions.
    pub fn cut_at(&self) -> Epoch {
        let stood = self.stood.borrow().values().copied().min();
        self.read_to().max(stood.unwrap_or(0))
    }

    /// All gathered epochs up to `last` as one, if there are any.
    pub fn take_held(&mut self, last: Epoch) -> Option<Learnt> {
        let held = std::iter::from_fn(|| self.take(last)).map(|(_, learnt)| learnt);
        let mut held = held.peekable();
        held.peek()?;
        Some(Learnt::joined(held))
    }
}

type NoRows = CapacityContainerBuilder<Vec<()>>;

fn updates<D: ExchangeData>(updates: Updates<'_, D>) -> Stream<'_, (Epoch, D)> {
    updates.inner.map(|(datum, epoch, _)| (epoch, datum))
}
