//! What a side has told of the clicks, and whether two sides have told the same.

use clicks_dataflows::filter::FilterId;
use clicks_dataflows::time::Minute;
use clicks_dataflows::told::{CountRow, RankRow, State};
use serde_json::from_slice;

use crate::bare::Counts;
use crate::beside::told::{Digest, Digesting};
use crate::house::House;
use crate::support::committed;

/// The filter that every click matches.
const EVERY_CLICK: FilterId = 0;

/// What a side has told of the minutes that have settled.
pub struct Told {
    /// Clicks of each ad and minute.
    counts: Counts,
    /// The rows of each partition in their order; nothing of a side that writes none.
    partitions: Vec<Digest>,
}

impl Told {
    /// What a side has counted that writes nothing and knows of no settling; `settled` is the first
    /// minute that has not.
    pub fn counted(mut counts: Counts, settled: Minute) -> Told {
        counts.retain(|(_, minute), _| *minute < settled);
        Told { counts, partitions: Vec::new() }
    }

    /// The final rows in the topics of a side.
    pub fn in_topics(house: &House) -> Told {
        let [of_counts, of_ranks] = ["counts", "ranks"].map(|log| committed(&house.topic(log)));
        let (mut counts, mut partitions) = (Counts::default(), Vec::new());
        for rows in &of_counts {
            partitions.push(digest(rows, |row| {
                let CountRow { ad_id, minute, filter, clicks, state, .. } =
                    from_slice(row).unwrap();
                if filter == EVERY_CLICK && state == State::Final {
                    *counts.entry((ad_id, minute)).or_default() += clicks;
                }
                state
            }));
        }
        let state = |row: &[u8]| from_slice::<RankRow>(row).unwrap().state;
        partitions.extend(of_ranks.iter().map(|rows| digest(rows, state)));
        Told { counts, partitions }
    }

    /// How many clicks are counted.
    pub fn clicks(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Whether another side has told the same, as far as both have.
    pub fn agrees(&self, other: &Told) -> bool {
        let writes = |told: &Told| !told.partitions.is_empty();
        let same_rows = || self.partitions == other.partitions;
        self.counts == other.counts && (!writes(self) || !writes(other) || same_rows())
    }
}

/// Of the final rows.
fn digest(rows: &[Vec<u8>], mut state: impl FnMut(&[u8]) -> State) -> Digest {
    let mut digesting = Digesting::default();
    for row in rows.iter().filter(|row| state(row) == State::Final) {
        digesting.append(row);
        digesting.append(b"\n");
    }
    digesting.digest()
}
