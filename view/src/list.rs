//! Lists of the most clicked ads, as they were known at an epoch.

use std::ops::Range;

use clicks_dataflows::filter::FilterId;
use clicks_dataflows::time::{Epoch, Minute, Time};
use clicks_dataflows::told::{RankRow, RankedAd};
use fjall::OwnedWriteBatch;

use crate::keys;
use crate::store::{Store, StoreError};

/// Which lists are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lists {
    /// Minutes of their window.
    pub window: u32,
    /// The filter.
    pub filter: FilterId,
    /// The last minutes of their windows.
    pub minutes: Range<Minute>,
}

impl Store {
    /// Adds a list to `batch`.
    pub(crate) fn put_list(
        &self,
        row: &RankRow,
        batch: &mut OwnedWriteBatch,
    ) -> Result<(), StoreError> {
        let mut value = vec![keys::of_state(row.state)];
        serde_json::to_writer(&mut value, &row.ads).expect("ads are JSON, and memory takes it");
        let prefix = keys::of_window(row.window, row.filter);
        let key = keys::version(&prefix, row.minute, row.epoch.0);
        batch.insert(&self.day(row.minute)?, key, value);
        Ok(())
    }

    /// The newest list that was known at an epoch, of the last of the minutes that had one.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn list(&self, lists: &Lists, as_of: Epoch) -> Result<Option<RankRow>, StoreError> {
        let prefix = keys::of_window(lists.window, lists.filter);
        let ends = lists.ends(&prefix);
        for day in self.days(lists.minutes.start, lists.minutes.end).into_iter().rev() {
            for entry in day.range(&ends[0][..]..&ends[1][..]).rev() {
                let (key, value) = self.attempt("read", entry.into_inner())?;
                let epoch = keys::minute_and_epoch(&key).map(|(_, epoch)| epoch);
                if epoch.ok_or_else(|| self.damaged("a list that is none"))? <= as_of {
                    return self.read_list(&key, &value, lists).map(Some);
                }
            }
        }
        Ok(None)
    }

    /// All that was told of lists after one epoch and up to another, in that order.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn list_changes(
        &self,
        lists: &Lists,
        (after, upto): (Epoch, Epoch),
    ) -> Result<Vec<RankRow>, StoreError> {
        let prefix = keys::of_window(lists.window, lists.filter);
        let ends = lists.ends(&prefix);
        let mut changes = Vec::new();
        for day in self.days(lists.minutes.start, lists.minutes.end) {
            for entry in day.range(&ends[0][..]..&ends[1][..]) {
                let (key, value) = self.attempt("read", entry.into_inner())?;
                let epoch = keys::minute_and_epoch(&key).map(|(_, epoch)| epoch);
                if epoch.is_some_and(|epoch| after < epoch && epoch <= upto) {
                    changes.push(self.read_list(&key, &value, lists)?);
                }
            }
        }
        changes.sort_by_key(|row| row.epoch);
        Ok(changes)
    }

    fn read_list(&self, key: &[u8], value: &[u8], of: &Lists) -> Result<RankRow, StoreError> {
        list(key, value, of).ok_or_else(|| self.damaged("a list that is none"))
    }
}

impl Lists {
    fn ends(&self, prefix: &[u8]) -> [Vec<u8>; 2] {
        [self.minutes.start, self.minutes.end].map(|minute| keys::version(prefix, minute, 0))
    }
}

fn list(key: &[u8], value: &[u8], of: &Lists) -> Option<RankRow> {
    let (minute, epoch) = keys::minute_and_epoch(key)?;
    let (state, ads) = value.split_first()?;
    let ads: Vec<RankedAd> = serde_json::from_slice(ads).ok()?;
    let (window, filter) = (of.window, of.filter);
    Some(RankRow { filter, window, minute, ads, epoch: Time(epoch), state: keys::state(*state)? })
}
