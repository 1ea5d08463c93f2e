//! The rows that a job has told, in the order in which they are compared.

use std::ops::Range;

use bytemuck::{Pod, Zeroable};
use clicks_dataflows::filter::FilterId;
use clicks_dataflows::time::{Epoch, Minute};
use clicks_dataflows::told::CountRow;
use clicks_replay::recount::Recounting;
use clicks_replay::sort::{Room, SortError, Sorted, Sorter};

use super::span::{RowBegin, RowSpan};
use crate::failure::{Attempt, Failure, Kind};
use crate::logs::{Logs, Missing, RowLog};

/// A row of `counts`; rows of a cell are in the order in which they were told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Pod, Zeroable)]
#[repr(C)]
pub struct ToldRow {
    minute: u32,
    ad: u32,
    filter: u64,
    epoch: Epoch,
    /// Its number in the log.
    number: u64,
    /// The total that it tells.
    pub clicks: u64,
}

impl ToldRow {
    /// Minute, number of the ad, and filter.
    pub fn cell(&self) -> (Minute, u32, FilterId) {
        let filter = FilterId::try_from(self.filter).expect("it was one");
        (Minute(self.minute), self.ad, filter)
    }
}

/// Rows as they are read.
pub struct ToldRows {
    rows: Sorter<ToldRow>,
    minutes: Range<Minute>,
    /// Rows so far.
    number: u64,
    /// A row of which the commit has only the beginning: where rows are missing or doubled, lengths
    /// do not end with rows.
    begun: Vec<u8>,
}

impl ToldRows {
    /// Takes rows of `minutes`.
    pub fn new(room: Room, minutes: Range<Minute>) -> ToldRows {
        ToldRows { rows: Sorter::new(room), minutes, number: 0, begun: Vec::new() }
    }

    /// Reads the rows of `span`, of which ads are numbered by `recounting`; says what has become of
    /// rows that are not there.
    ///
    /// # Errors
    ///
    /// When they cannot be read, or what is read is no row.
    pub fn read(
        &mut self,
        logs: &mut dyn Logs,
        span: &RowSpan,
        recounting: &mut Recounting,
    ) -> Result<Missing, Failure> {
        let mut after = 0;
        if let Some(RowBegin { commit, offsets }) = &span.after {
            logs.go_on(RowLog::Counts, commit, offsets)?;
            after = commit.epoch.0;
        }
        let name = logs.name(RowLog::Counts);
        for row in logs.rows(RowLog::Counts, &span.last)? {
            let line = row?.line;
            self.begun.extend_from_slice(&line);
            if !line.ends_with(b"\n") {
                continue;
            }
            self.number += 1;
            let row: CountRow = serde_json::from_slice(&self.begun).map_err(|error| {
                let number = self.number;
                let after = span.after.as_ref().map(|after| after.commit.commit);
                let after = after.map_or(String::new(), |commit| format!(" after commit {commit}"));
                let why = format!("row {number} of {name}{after} is no row: {error}");
                Failure::of(Kind::Differs, why + " (`clicks verify` says more)")
            })?;
            self.begun.clear();
            self.take(&row, recounting).attempt(|| "cannot sort what was told".to_owned())?;
        }
        if self.number >= span.last.counts {
            return Ok(Missing::Never);
        }
        logs.missing(RowLog::Counts, after)
    }

    /// The rows in order.
    ///
    /// # Errors
    ///
    /// When the disk fails.
    pub fn sort(self) -> Result<Sorted<ToldRow>, Failure> {
        self.rows.sort().attempt(|| "cannot sort what was told".to_owned())
    }

    fn take(&mut self, row: &CountRow, recounting: &mut Recounting) -> Result<(), SortError> {
        if !self.minutes.contains(&row.minute) {
            return Ok(());
        }
        self.rows.push(ToldRow {
            minute: row.minute.0,
            ad: recounting.ad(&row.ad_id),
            filter: row.filter.into(),
            epoch: row.epoch.0,
            number: self.number,
            clicks: row.clicks,
        })
    }
}
