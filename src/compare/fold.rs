//! The rows of two jobs, folded to the cells in which they differ.
//!
//! A cell that is absent has the same clicks on both sides: as a row says what its cell was before,
//! that is enough to know what it is on the other side.

use std::collections::BTreeMap;

use clicks_dataflows::click::AdId;
use clicks_dataflows::filter::FilterId;
use clicks_dataflows::time::Minute;
use clicks_dataflows::told::CountRow;

use super::minutes::Minutes;

/// What is counted together.
pub type Cell = (FilterId, AdId, Minute);

/// What the rows so far come to; the clicks of JOB1 come first in each pair.
#[derive(Default)]
pub struct Fold {
    cells: BTreeMap<Cell, [u64; 2]>,
    /// Clicks of each filter.
    pub sums: BTreeMap<FilterId, [u64; 2]>,
    /// Minutes that have a click.
    pub minutes: Minutes,
    /// Rows of both.
    pub rows: u64,
    /// The most cells that were held at once.
    #[cfg(test)]
    pub held_max: usize,
}

impl Fold {
    /// Takes a row of one side.
    ///
    /// # Errors
    ///
    /// When it does not follow from what that side told before, with what is wrong.
    pub fn add(&mut self, side: usize, row: CountRow) -> Result<(), String> {
        let CountRow { ad_id, minute, filter, clicks, was, .. } = row;
        let Some(more) = clicks.checked_sub(was).filter(|more| *more > 0) else {
            return Err(format!("{clicks} clicks are no more than the {was} before"));
        };
        let cell = (filter, ad_id, minute);
        let mut totals = self.cells.get(&cell).copied().unwrap_or([was; 2]);
        if totals[side] != was {
            return Err(format!("it was {was}, but {} were told before", totals[side]));
        }
        totals[side] = clicks;
        if totals[0] == totals[1] {
            self.cells.remove(&cell);
        } else {
            self.cells.insert(cell, totals);
        }
        #[cfg(test)]
        {
            self.held_max = self.held_max.max(self.cells.len());
        }
        self.sums.entry(filter).or_default()[side] += more;
        self.minutes.add(minute);
        self.rows += 1;
        Ok(())
    }

    /// The cells in which the sides differ, with the clicks of each.
    pub fn cells(&self) -> impl ExactSizeIterator<Item = (&Cell, &[u64; 2])> {
        self.cells.iter()
    }
}

#[cfg(test)]
mod tests {
    use clicks_dataflows::time::Time;
    use clicks_dataflows::told::State;

    use super::*;

    fn row(ad: &str, minute: u32, was: u64, clicks: u64) -> CountRow {
        let (minute, epoch) = (Minute(minute), Time(0));
        CountRow {
            ad_id: AdId::from(ad),
            minute,
            filter: 0,
            clicks,
            was,
            epoch,
            state: State::Final,
        }
    }

    /// A day of 100 ads, of which one side learns three minutes earlier, and in two steps.
    #[test]
    fn equal_cells_are_not_held() {
        let mut fold = Fold::default();
        let (minutes, ahead, ads) = (1440, 3, 100);
        for minute in 0..minutes + ahead {
            for ad in (0..ads).map(|ad| format!("ad{ad}")) {
                if minute < minutes {
                    fold.add(0, row(&ad, minute, 0, 5)).unwrap();
                    fold.add(0, row(&ad, minute, 5, 6)).unwrap();
                }
                if let Some(minute) = minute.checked_sub(ahead) {
                    fold.add(1, row(&ad, minute, 0, 6)).unwrap();
                }
            }
        }
        assert_eq!(fold.rows, 3 * 1440 * 100);
        assert_eq!(fold.cells().len(), 0);
        assert!(fold.held_max <= 401, "{}", fold.held_max);
        assert_eq!(fold.sums[&0], [864_000; 2]);
        assert_eq!(fold.minutes.count(), 1440);
    }

    #[test]
    fn a_cell_that_comes_to_differ_later_has_its_totals() {
        let mut fold = Fold::default();
        for side in [0, 1] {
            fold.add(side, row("a", 7, 0, 3)).unwrap();
        }
        assert_eq!(fold.cells().len(), 0);
        fold.add(1, row("a", 7, 3, 5)).unwrap();
        let cell = (0, AdId::from("a"), Minute(7));
        assert_eq!(fold.cells().collect::<Vec<_>>(), [(&cell, &[3, 5])]);
        fold.add(0, row("a", 7, 3, 4)).unwrap();
        assert_eq!(fold.cells().collect::<Vec<_>>(), [(&cell, &[4, 5])]);
        assert_eq!(fold.sums[&0], [4, 5]);
    }

    #[test]
    fn a_row_that_does_not_follow_is_none() {
        let mut fold = Fold::default();
        fold.add(0, row("a", 7, 0, 3)).unwrap();
        let refused = fold.add(0, row("a", 7, 2, 4)).unwrap_err();
        assert_eq!(refused, "it was 2, but 3 were told before");
        let refused = fold.add(1, row("b", 7, 4, 4)).unwrap_err();
        assert_eq!(refused, "4 clicks are no more than the 4 before");
    }
}
