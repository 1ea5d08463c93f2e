//! What was told beside what is recounted, cell by cell.

use std::io::{self, Write};

use clicks_dataflows::click::AdId;
use clicks_dataflows::filter::FilterId;
use clicks_dataflows::time::Minute;
use clicks_replay::recount::{Counted, Counting};
use clicks_replay::sort::{SortError, Sorted};
use serde::Serialize;

use super::told::ToldRow;

/// What a comparison has come to.
#[derive(Debug, Default)]
pub struct Compared {
    /// Minutes that have a row on either side.
    pub minutes: usize,
    /// Cells that have one.
    pub rows: u64,
    /// Cells whose totals differ.
    pub differences: u64,
}

/// A cell whose totals differ, as it is printed; 0 stands for nothing.
#[derive(Serialize)]
struct Difference<'a> {
    ad_id: &'a AdId,
    #[serde(with = "clicks_dataflows::told::minute_text")]
    minute: Minute,
    filter: FilterId,
    told: u64,
    recounted: u64,
}

/// A minute, the number of an ad, and a filter.
type Cell = (Minute, u32, FilterId);

/// The last totals told, in order.
struct Totals {
    rows: Sorted<ToldRow>,
    next: Option<ToldRow>,
}

impl Compared {
    /// Compares both sides, and prints the first `top` cells that differ.
    ///
    /// # Errors
    ///
    /// When the disk fails, or `out` takes nothing.
    pub fn compare(
        &mut self,
        told: Sorted<ToldRow>,
        counting: &mut Counting,
        top: u64,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let mut totals = Totals { rows: told, next: None };
        totals.next = totals.rows.next().map_err(failed)?;
        let mut told = totals.next_total().map_err(failed)?;
        let mut counted = counting.next().map_err(failed)?;
        let ads: Vec<AdId> = counting.ads().into_iter().cloned().collect();
        let mut last = None;
        loop {
            let ours = told.map(|(cell, _)| cell);
            let theirs = counted.map(cell_of);
            let Some(cell) = ours.into_iter().chain(theirs).min() else { return Ok(()) };
            self.rows += 1;
            self.minutes += usize::from(last.replace(cell.0) != Some(cell.0));
            let (mut was_told, mut recounted) = (0, 0);
            if ours == Some(cell) {
                was_told = told.map_or(0, |(_, clicks)| clicks);
                told = totals.next_total().map_err(failed)?;
            }
            if theirs == Some(cell) {
                recounted = counted.map_or(0, |counted| counted.clicks);
                counted = counting.next().map_err(failed)?;
            }
            if was_told != recounted {
                self.differences += 1;
                if self.differences <= top {
                    let (minute, ad, filter) = cell;
                    let ad_id = &ads[ad as usize];
                    let told = was_told;
                    let differs = Difference { ad_id, minute, filter, told, recounted };
                    writeln!(out, "{}", serde_json::to_string(&differs)?)?;
                }
            }
        }
    }
}

impl Totals {
    /// The last total of the next cell.
    fn next_total(&mut self) -> Result<Option<(Cell, u64)>, SortError> {
        let Some(mut last) = self.next.take() else { return Ok(None) };
        while let Some(row) = self.rows.next()? {
            if row.cell() != last.cell() {
                self.next = Some(row);
                break;
            }
            last = row;
        }
        Ok(Some((last.cell(), last.clicks)))
    }
}

fn cell_of(counted: Counted) -> Cell {
    (counted.minute, counted.ad, counted.filter)
}

fn failed(error: SortError) -> io::Error {
    io::Error::other(error)
}
