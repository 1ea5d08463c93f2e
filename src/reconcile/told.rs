//! The rows that a job has told, in the order in which they are compared.

use std::ops::Range;

use bytemuck::{Pod, Zeroable};
use clicks_dataflows::filter::FilterId;
use clicks_dataflows::time::{Epoch, Minute};
use clicks_dataflows::told::CountRow;
use clicks_replay::recount::Recounting;
use clicks_replay::sort::{Room, SortError, Sorted, Sorter};

use super::span::Span;
use super::{Reconciling, damaged};
use crate::failure::{Attempt, Failure, Kind};
use crate::logs::{Logs, Missing, RowLog};
use crate::verify::Faults;
use crate::verify::chain::{Chain, Link};

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

    /// Reads the rows of all commits up to the last of `span`; ads are numbered by `recounting`.
    ///
    /// # Errors
    ///
    /// When they cannot be read, or what is read is no row, or rows were deleted.
    pub fn read(
        &mut self,
        asked: &Reconciling<'_>,
        job: &str,
        span: &Span,
        recounting: &mut Recounting,
    ) -> Result<(), Failure> {
        let mut logs = asked.results.open(job)?;
        let mut faults = Faults::default();
        let mut chain = Chain::new(job, logs.has_lengths());
        chain.begin(&mut *logs, &mut faults)?;
        while chain.standing().commits < span.last.commits
            && let Some(link) = chain.next(&mut *logs, None, &mut faults)?
        {
            if faults.count > 0 {
                return Err(damaged(job, &faults));
            }
            let rows = self.read_commit(&mut *logs, &link, recounting)?;
            if rows < link.commit.counts {
                check_missing(&mut *logs, &link, span)?;
            }
        }
        Ok(())
    }

    /// The rows in order.
    ///
    /// # Errors
    ///
    /// When the disk fails.
    pub fn sort(self) -> Result<Sorted<ToldRow>, Failure> {
        self.rows.sort().attempt(|| "cannot sort what was told".to_owned())
    }

    /// Reads the rows of a commit; how many there are.
    fn read_commit(
        &mut self,
        logs: &mut dyn Logs,
        link: &Link,
        recounting: &mut Recounting,
    ) -> Result<u64, Failure> {
        let before = self.number;
        let name = logs.name(RowLog::Counts);
        for row in logs.rows(RowLog::Counts, &link.commit)? {
            let line = row?.line;
            self.begun.extend_from_slice(&line);
            if !line.ends_with(b"\n") {
                continue;
            }
            self.number += 1;
            let row: CountRow = serde_json::from_slice(&self.begun).map_err(|error| {
                let number = self.number;
                let why = format!("row {number} of {name} is no row: {error}");
                Failure::of(Kind::Differs, why + " (`clicks verify` says more)")
            })?;
            self.begun.clear();
            self.take(&row, recounting).attempt(|| "cannot sort what was told".to_owned())?;
        }
        Ok(self.number - before)
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

/// Refuses rows that are rightly missing, and without which nothing can be said.
fn check_missing(logs: &mut dyn Logs, link: &Link, span: &Span) -> Result<(), Failure> {
    let why = match logs.missing(RowLog::Counts, link.after)? {
        Missing::Deleted => "its oldest rows have been deleted",
        Missing::Compacted if span.is_cut => {
            "it is compacted, so that what was told at an earlier commit is gone"
        }
        Missing::Compacted | Missing::Never => return Ok(()),
    };
    let name = logs.name(RowLog::Counts);
    Err(Failure::refused(format!("{name} cannot be reconciled: {why}")))
}
