//! What is sorted: clicks, cells and rejects as rows of fixed width.

use std::cmp::Ordering;

use bytemuck::{Pod, Zeroable};
use clicks_dataflows::click::{Coordinates, Reason};
use clicks_dataflows::filter::FilterId;
use clicks_dataflows::time::{Epoch, Minute};

/// Says in a number of filters that the click is of its own.
const OWN: u32 = 1 << 31;

/// A click, as far as it matters here, in the order of minutes, identities, and who was first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Seen {
    pub minute: u32,
    /// The number of the filters that it matches, and whether it has no identity.
    filters: u32,
    identity: [u64; 2],
    pub epoch: Epoch,
    pub partition: u32,
    pub ad: u32,
    pub offset: u64,
}

impl Seen {
    /// A click of `ad` at `at`, learnt at `epoch`; without an identity it is of its own.
    pub fn new(
        (at, minute, epoch): (Coordinates, Minute, Epoch),
        identity: Option<u128>,
        ad: u32,
        filters: u32,
    ) -> Seen {
        assert!(filters < OWN, "fewer sets of filters than half of u32 are numbered");
        let Coordinates { partition, offset } = at;
        let own = if identity.is_none() { OWN } else { 0 };
        let [high, low] = [64, 0].map(|bits| {
            let part = identity.unwrap_or_default() >> bits & u128::from(u64::MAX);
            u64::try_from(part).expect("half of it is masked out")
        });
        let (minute, filters) = (minute.0, filters | own);
        Seen { minute, filters, identity: [high, low], epoch, partition, ad, offset }
    }

    pub fn minute(&self) -> Minute {
        Minute(self.minute)
    }

    /// The number of the filters that it matches.
    pub fn filters(&self) -> u32 {
        self.filters & !OWN
    }

    /// What all copies of it share, and nothing else does.
    fn copies(&self) -> (u32, u32, [u64; 2]) {
        (self.minute, self.filters & OWN, self.identity)
    }

    /// Whether it is a copy of `first`.
    pub fn is_copy_of(&self, first: &Seen) -> bool {
        self.filters & OWN == 0 && self.copies() == first.copies()
    }
}

impl Ord for Seen {
    fn cmp(&self, other: &Seen) -> Ordering {
        let place = |seen: &Seen| (seen.copies(), seen.epoch, seen.partition, seen.offset);
        place(self).cmp(&place(other))
    }
}

impl PartialOrd for Seen {
    fn partial_cmp(&self, other: &Seen) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A click of an ad under some filters, in the minute that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Cell {
    pub ad: u32,
    pub filters: u32,
}

/// A click that would be late, under one filter, in the minute that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Late {
    pub ad: u32,
    pub filter: FilterId,
    /// When it would be told.
    pub told: Epoch,
    pub epoch: Epoch,
}

/// A record that does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Rejected {
    partition: u64,
    offset: u64,
    /// Its place among all reasons.
    reason: u64,
}

impl Rejected {
    pub fn new(at: Coordinates, reason: Reason) -> Rejected {
        let place = Reason::ALL.iter().zip(0_u64..).find(|(known, _)| **known == reason);
        let (_, reason) = place.expect("all reasons are listed");
        Rejected { partition: at.partition.into(), offset: at.offset, reason }
    }

    /// Partition, offset and reason.
    pub fn told(&self) -> (u32, u64, Reason) {
        let partition = u32::try_from(self.partition).expect("it was one");
        let reason = usize::try_from(self.reason).expect("it was a place");
        (partition, self.offset, Reason::ALL[reason])
    }
}
