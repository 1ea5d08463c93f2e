//! Whether a raw log is as it was written.
//!
//! Chains are whole: each segment begins after the last offset of the one before. Segments are as
//! they were sealed, every byte of them, and their rows are those that their footers state.

use std::sync::Arc;

use super::catalog::{Catalog, Listed};
use super::error::RawError;
use super::facts::Facts;
use super::reader::missing;
use super::seal::check_seal;
use super::segment::Wanted;
use super::store::Store;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Segments that were looked at.
    pub segments: u64,
    /// Records that they hold.
    pub records: u64,
    /// What is wrong, each in words, with the file.
    pub faults: Vec<String>,
}

/// Checks the segments of `catalog`: their chains, and if `whole` all of their bytes.
pub fn check(store: &Store, catalog: &Catalog, whole: bool) -> Checked {
    let mut checked = Checked::default();
    for path in &catalog.foreign {
        checked.faults.push(format!("{} is no segment", store.name(path)));
    }
    for segments in catalog.partitions.values() {
        let looked = store.each(segments.clone(), move |store, listed| {
            Ok((look(store, &listed, whole), store.name(&listed.place.path())))
        });
        let mut next: Option<u64> = None;
        for (facts, file) in looked.expect("what is wrong is told, and is no error") {
            checked.segments += 1;
            let facts = match facts {
                Ok(facts) => facts,
                Err(error) => {
                    checked.faults.push(error.in_full());
                    next = None;
                    continue;
                }
            };
            checked.records += facts.records;
            if let Some(next) = next.filter(|next| *next != facts.first) {
                checked.faults.push(missing(&file, next, facts.first));
            }
            next = Some(next.unwrap_or(0).max(facts.last + 1));
        }
    }
    checked
}

/// What a segment says, if it is what was written.
pub(super) fn look(store: &Store, listed: &Listed, whole: bool) -> Result<Facts, RawError> {
    let segment = Arc::new(listed.open(store)?);
    if !whole {
        return Ok(segment.facts.clone());
    }
    let bytes = store.get(&listed.place.path())?;
    check_seal(&bytes, &segment.file)?;
    // What is before the first offset is in another segment.
    let mut last = segment.facts.first.checked_sub(1);
    let mut records = 0;
    for group in 0..segment.groups() {
        let slice = |range: std::ops::Range<u64>| {
            let at = |end| usize::try_from(end).unwrap_or(usize::MAX).min(bytes.len());
            bytes.slice(at(range.start)..at(range.end))
        };
        let ranges = segment.ranges(group, Wanted::Everything);
        let parts = ranges.into_iter().map(slice).collect();
        let mut rows = segment.rows(group, Wanted::Everything, parts)?;
        while let Some(batch) = rows.batch()? {
            for row in 0..batch.len() {
                let offset = Some(batch.offset(row));
                if offset <= last {
                    let why = format!("offset {} is not in order", batch.offset(row));
                    return Err(RawError::damaged(&segment.file, why));
                }
                last = offset;
                records += 1;
            }
        }
    }
    let Facts { first, last: stated, records: rows, .. } = segment.facts;
    if last != Some(stated) || records != rows {
        let why = format!("its {records} records are not the {rows} from {first} to {stated}");
        return Err(RawError::damaged(&segment.file, why));
    }
    Ok(segment.facts.clone())
}
