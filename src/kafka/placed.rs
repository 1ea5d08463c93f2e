//! Where a row belongs: its place among the rows of its log, its key, and what of that chooses its
//! partition.

use clicks_dataflows::click::AdId;
use clicks_dataflows::filter::FilterId;
use clicks_dataflows::time::{Epoch, Minute};
use clicks_dataflows::told::{CountRow, RankRow};

use crate::logs::{RowLog, epoch_of};

/// Where a row stands in its log: by epoch, then in the order of the rows of an epoch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Order {
    /// When it was told.
    pub epoch: Epoch,
    among: Among,
}

/// Where it stands among the rows of its epoch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Among {
    /// Where its partition has it.
    AsItLies,
    Count(AdId, Minute, FilterId),
    Rank(FilterId, u32, Minute),
}

/// A row as its place follows from what it holds.
pub struct Placed {
    /// Where it stands.
    pub order: Order,
    /// Its key, and what of it chooses the partition; none if it is no row.
    key: Option<(String, usize)>,
}

impl Placed {
    /// The place of a row that follows rows up to `epoch` in its partition; one that cannot be read
    /// stays behind them.
    pub fn of(log: RowLog, row: &[u8], epoch: Epoch) -> Placed {
        let lost = || Placed { order: Order { epoch, among: Among::AsItLies }, key: None };
        match log {
            RowLog::Counts => serde_json::from_slice(row).map_or_else(|_| lost(), count),
            RowLog::Ranks => serde_json::from_slice(row).map_or_else(|_| lost(), rank),
            RowLog::Rejects => {
                let told = epoch_of(row);
                let order = Order { epoch: told.unwrap_or(epoch), among: Among::AsItLies };
                Placed { order, key: told.map(|_| (String::new(), 0)) }
            }
        }
    }

    /// What is wrong with a row that lies under `key`.
    pub fn fault(&self, key: &[u8]) -> Option<String> {
        let (right, _) = self.key.as_ref()?;
        (key != right.as_bytes()).then(|| {
            let key = String::from_utf8_lossy(key);
            format!("it lies under key {key:?}, and belongs under {right:?}")
        })
    }

    /// What chooses its partition; none if that is not for a key to choose.
    pub fn chooses(self) -> Option<String> {
        let (mut key, chooses) = self.key?;
        key.truncate(chooses);
        (!key.is_empty()).then_some(key)
    }
}

fn count(row: CountRow) -> Placed {
    let CountRow { ad_id, minute, filter, epoch, .. } = row;
    let ad = ad_id.as_str();
    let key = Some((format!("{ad}|{minute}|{filter}"), ad.len()));
    let among = Among::Count(ad_id, minute, filter);
    Placed { order: Order { epoch: epoch.0, among }, key }
}

fn rank(row: RankRow) -> Placed {
    let RankRow { filter, window, minute, epoch, .. } = row;
    let key = format!("{filter}|{window}|{minute}");
    let chooses = key.len();
    let among = Among::Rank(filter, window, minute);
    Placed { order: Order { epoch: epoch.0, among }, key: Some((key, chooses)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &[u8] = br#"{"ad_id":"a|b","minute":"2026-01-01T12:00:00Z","filter":1,"clicks":3,"was":2,"epoch":"2026-01-01T12:02:00Z","state":"correction"}"#;

    #[test]
    fn a_row_lies_under_its_key_in_the_partition_of_its_ad() {
        let placed = Placed::of(RowLog::Counts, ROW, 0);
        assert_eq!(placed.fault(b"a|b|2026-01-01T12:00:00Z|1"), None);
        assert!(placed.fault(b"a|b").unwrap().contains("belongs under"));
        assert_eq!(placed.chooses().unwrap(), "a|b");
    }

    #[test]
    fn what_is_no_row_stays_where_it_lies() {
        let placed = Placed::of(RowLog::Counts, b"{}", 5);
        assert_eq!(placed.order, Order { epoch: 5, among: Among::AsItLies });
        assert_eq!(placed.fault(b""), None);
        assert!(placed.order < Placed::of(RowLog::Counts, ROW, 5).order);
        assert_eq!(placed.chooses(), None);
    }
}
