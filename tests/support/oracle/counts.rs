//! The clicks of each cell, counted again at every epoch at which some were told.

use std::collections::{BTreeMap, BTreeSet};

use super::Counted;
use super::rows::{When, count_row};
use crate::support::script::Settings;

/// The rows of all cells of the minutes from `from` on, with their epochs, in order.
pub fn tell(counted: &[Counted], settings: &Settings, from: u64) -> Vec<(u64, String)> {
    let mut cells: BTreeMap<(&str, u64, u32), Vec<u64>> = BTreeMap::new();
    for one in counted.iter().filter(|one| one.minute >= from) {
        cells.entry((&one.ad, one.minute, one.filter)).or_default().push(one.told);
    }
    let mut rows = Vec::new();
    for (cell, told) in cells {
        let settle = settings.settle(cell.1);
        let mut was = 0;
        for epoch in told.iter().copied().collect::<BTreeSet<u64>>() {
            let clicks = told.iter().map(|told| u64::from(*told <= epoch)).sum();
            let row = count_row(cell, clicks, was, When { epoch, settle });
            rows.push((epoch, cell, row));
            was = clicks;
        }
    }
    rows.sort();
    rows.into_iter().map(|(epoch, _, row)| (epoch, row)).collect()
}
