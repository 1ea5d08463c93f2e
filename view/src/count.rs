//! Clicks of an ad, as they were known at an epoch.

use std::ops::Range;

use clicks_dataflows::click::AdId;
use clicks_dataflows::filter::FilterId;
use clicks_dataflows::time::{Epoch, Minute, Time};
use clicks_dataflows::told::CountRow;
use fjall::OwnedWriteBatch;

use crate::keys;
use crate::store::{Store, StoreError, Version};

/// Which clicks are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cells<'a> {
    /// The ad, which may be none that was ever clicked.
    pub ad: &'a str,
    /// The filter.
    pub filter: FilterId,
    /// The minutes.
    pub minutes: Range<Minute>,
}

impl Store {
    /// Adds a count to `batch`.
    pub(crate) fn put_count(
        &self,
        row: &CountRow,
        batch: &mut OwnedWriteBatch,
    ) -> Result<(), StoreError> {
        let ad: &str = &row.ad_id.0;
        let prefix = keys::of_ad(ad, row.filter);
        let prefix = prefix.ok_or_else(|| self.damaged("no place for an id of such a length"))?;
        let mut value = [0; 17];
        value[0] = keys::of_state(row.state);
        value[1..9].copy_from_slice(&row.clicks.to_be_bytes());
        value[9..].copy_from_slice(&row.was.to_be_bytes());
        let key = keys::version(&prefix, row.minute, row.epoch.0);
        batch.insert(&self.day(row.minute)?, key, value);
        Ok(())
    }

    /// The newest count of each minute that was known at an epoch, the earliest minute first.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn counts(&self, cells: &Cells<'_>, as_of: Epoch) -> Result<Vec<CountRow>, StoreError> {
        let mut counts: Vec<CountRow> = Vec::new();
        self.each_count(cells, |row| {
            if row.epoch.0 > as_of {
                return;
            }
            match counts.last_mut() {
                Some(last) if last.minute == row.minute => *last = row,
                _ => counts.push(row),
            }
        })?;
        Ok(counts)
    }

    /// All that was told of cells after one epoch and up to another, in that order.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn count_changes(
        &self,
        cells: &Cells<'_>,
        (after, upto): (Epoch, Epoch),
    ) -> Result<Vec<CountRow>, StoreError> {
        let mut changes = Vec::new();
        self.each_count(cells, |row| {
            if after < row.epoch.0 && row.epoch.0 <= upto {
                changes.push(row);
            }
        })?;
        changes.sort_by_key(|row| row.epoch);
        Ok(changes)
    }

    /// Each version, by minute and epoch.
    fn each_count(
        &self,
        cells: &Cells<'_>,
        mut each: impl FnMut(CountRow),
    ) -> Result<(), StoreError> {
        let Cells { ad, filter, minutes } = cells;
        let Some(prefix) = keys::of_ad(ad, *filter) else { return Ok(()) };
        for version in self.versions(&prefix, minutes) {
            let row = count(&version?, (ad, *filter));
            each(row.ok_or_else(|| self.damaged("a count that is none"))?);
        }
        Ok(())
    }
}

fn count(version: &Version, (ad, filter): (&str, FilterId)) -> Option<CountRow> {
    let Version { minute, epoch, value } = version;
    let (state, numbers) = value.split_first()?;
    let (clicks, was) = numbers.split_first_chunk::<8>()?;
    Some(CountRow {
        ad_id: AdId::from(ad),
        minute: *minute,
        filter,
        clicks: u64::from_be_bytes(*clicks),
        was: u64::from_be_bytes(was.try_into().ok()?),
        epoch: Time(*epoch),
        state: keys::state(*state)?,
    })
}
