//! Lists of the most clicked ads, as they were known at an epoch.

use std::ops::Range;

use clicks_dataflows::filter::FilterId;
use clicks_dataflows::time::{Epoch, Minute, Time};
use clicks_dataflows::told::{RankRow, RankedAd};
use fjall::OwnedWriteBatch;

use crate::keys;
use crate::store::{Store, StoreError, Version};

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
        for version in self.versions(&prefix, &lists.minutes).rev() {
            let version = version?;
            if version.epoch <= as_of {
                return self.read_list(&version, lists).map(Some);
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
        let mut changes = Vec::new();
        for version in self.versions(&prefix, &lists.minutes) {
            let version = version?;
            if after < version.epoch && version.epoch <= upto {
                changes.push(self.read_list(&version, lists)?);
            }
        }
        changes.sort_by_key(|row| row.epoch);
        Ok(changes)
    }

    fn read_list(&self, version: &Version, of: &Lists) -> Result<RankRow, StoreError> {
        list(version, of).ok_or_else(|| self.damaged("a list that is none"))
    }
}

fn list(version: &Version, of: &Lists) -> Option<RankRow> {
    let Version { minute, epoch, value } = version;
    let (state, ads) = value.split_first()?;
    let ads: Vec<RankedAd> = serde_json::from_slice(ads).ok()?;
    Some(RankRow {
        filter: of.filter,
        window: of.window,
        minute: *minute,
        ads,
        epoch: Time(*epoch),
        state: keys::state(*state)?,
    })
}
