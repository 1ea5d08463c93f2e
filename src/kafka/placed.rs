//! Where a row belongs: its place among the rows of its log, its key, and its partition.

use clicks_dataflows::click::AdId;
use clicks_dataflows::filter::FilterId;
use clicks_dataflows::time::{Epoch, Minute};
use clicks_dataflows::told::{CountRow, RankRow};

use crate::files::logs::epoch_of;
use crate::kafka::partition;
use crate::logs::RowLog;

/// Where a row stands in its log: by epoch, then in the order of the rows of an epoch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Standing {
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
    pub standing: Standing,
    /// Its key, and what of it chooses the partition; none if it is no row.
    key: Option<(String, usize)>,
}

impl Placed {
    /// The place of a row that follows rows up to `epoch` in its partition; one that cannot be read
    /// stays behind them.
    pub fn of(log: RowLog, row: &[u8], epoch: Epoch) -> Placed {
        let lost = || Placed { standing: Standing { epoch, among: Among::AsItLies }, key: None };
        match log {
            RowLog::Counts => serde_json::from_slice(row).map_or_else(|_| lost(), count),
            RowLog::Ranks => serde_json::from_slice(row).map_or_else(|_| lost(), rank),
            RowLog::Rejects => {
                let told = epoch_of(row);
                let standing = Standing { epoch: told.unwrap_or(epoch), among: Among::AsItLies };
                Placed { standing, key: told.map(|_| (String::new(), 0)) }
            }
        }
    }

    /// What is wrong with a row that lies under `key` in a partition of `width`.
    pub fn fault(&self, key: &[u8], (lies, width): (u32, u32)) -> Option<String> {
        let (right, chooses) = self.key.as_ref()?;
        if key != right.as_bytes() {
            let key = String::from_utf8_lossy(key);
            return Some(format!("it lies under key {key:?}, and belongs under {right:?}"));
        }
        if right.is_empty() {
            return None;
        }
        let belongs = partition::of_key(&right.as_bytes()[..*chooses], width);
        (u32::try_from(belongs) != Ok(lies)).then(|| {
            format!("{right:?} lies in partition {lies} of {width}, and belongs in {belongs}")
        })
    }
}

fn count(row: CountRow) -> Placed {
    let CountRow { ad_id, minute, filter, epoch, .. } = row;
    let ad = ad_id.as_str();
    let key = Some((format!("{ad}|{minute}|{filter}"), ad.len()));
    let among = Among::Count(ad_id, minute, filter);
    Placed { standing: Standing { epoch: epoch.0, among }, key }
}

fn rank(row: RankRow) -> Placed {
    let RankRow { filter, window, minute, epoch, .. } = row;
    let key = format!("{filter}|{window}|{minute}");
    let chooses = key.len();
    let among = Among::Rank(filter, window, minute);
    Placed { standing: Standing { epoch: epoch.0, among }, key: Some((key, chooses)) }
}
