//! Each click becomes one cell for each filter that it matches.
//!
//! Keeps nothing.

use serde::{Deserialize, Serialize};

use crate::Updates;
use crate::click::{AdId, Click};
use crate::filter::{FilterId, Filters};
use crate::time::Minute;

/// What is counted together. Minutes come first, so that those of one minute lie together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cell {
    /// The minute of the clicks.
    pub minute: Minute,
    /// The filter that they match.
    pub filter: FilterId,
    /// The ad that was clicked.
    pub ad: AdId,
}

/// The cells of each click, at its epoch.
pub fn match_filters<'scope>(
    clicks: Updates<'scope, Click>,
    filters: &Filters,
) -> Updates<'scope, Cell> {
    let filters = filters.clone();
    clicks.flat_map(move |click| {
        let minute = click.minute();
        let matching: Vec<FilterId> = filters.matching(&click).collect();
        matching.into_iter().map(move |filter| Cell { minute, filter, ad: click.ad.clone() })
    })
}
