//! What a stage holds until its epoch is closed.
//!
//! Messages come in any order; results must not depend on it. A stage that cares holds what comes
//! by epoch, and works on an epoch once the frontier has passed it: then nothing more can come.

use std::collections::BTreeMap;

use timely::dataflow::operators::Capability;
use timely::progress::frontier::MutableAntichain;

use crate::hashes::Hashes;
use crate::time::Epoch;

/// A hash table whose order is the same in every run, and yet must not reach an output.
pub type Table<K, V> = hashbrown::HashMap<K, V, Hashes>;

/// A hash set, see [`Table`].
pub type Seen<K> = hashbrown::HashSet<K, Hashes>;

/// The least epoch that may still come; the greatest of all if none may.
pub fn open_from(frontier: &MutableAntichain<Epoch>) -> Epoch {
    frontier.frontier().first().copied().unwrap_or(Epoch::MAX)
}

/// Data by epoch, each epoch with the right to speak at it.
pub struct Held<D> {
    epochs: BTreeMap<Epoch, (Capability<Epoch>, D)>,
}

impl<D: Default> Held<D> {
    /// Nothing held.
    pub fn new() -> Held<D> {
        Held { epochs: BTreeMap::new() }
    }

    /// What is held at `epoch`, which is not before the time of `capability`.
    pub fn at(&mut self, epoch: Epoch, capability: &Capability<Epoch>) -> &mut D {
        let held = self.epochs.entry(epoch);
        &mut held.or_insert_with(|| (capability.delayed(&epoch), D::default())).1
    }

    /// What is held at `epoch`, if anything is.
    pub fn get(&mut self, epoch: Epoch) -> Option<&mut D> {
        self.epochs.get_mut(&epoch).map(|(_, data)| data)
    }

    /// The least held epoch before `open`, taken out.
    pub fn take_closed(&mut self, open: Epoch) -> Option<(Epoch, Capability<Epoch>, D)> {
        let least = self.epochs.first_entry().filter(|entry| *entry.key() < open)?;
        let (epoch, (capability, data)) = least.remove_entry();
        Some((epoch, capability, data))
    }
}
