//! The most clicked ads: every list is counted again whenever a count in its window was told.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::Counted;
use super::rows::{When, rank_row};
use crate::support::script::Settings;

/// A list, in the order in which lists are told within an epoch: (filter, window, minute).
type List = (u32, u32, u64);

/// The rows of all lists of the minutes `from..=last`, with their epochs, in order.
pub fn tell(counted: &[Counted], settings: &Settings, from: u64, last: u64) -> Vec<(u64, String)> {
    let mut lists: BTreeMap<List, Vec<&Counted>> = BTreeMap::new();
    for one in counted {
        for &window in &settings.windows {
            for minute in one.minute..one.minute + u64::from(window) {
                if (from..=last).contains(&minute) {
                    lists.entry((one.filter, window, minute)).or_default().push(one);
                }
            }
        }
    }
    let mut rows: Vec<(u64, List, String)> = Vec::new();
    for (list, clicks) in lists {
        let told = tell_list(list, &clicks, settings);
        rows.extend(told.into_iter().map(|(epoch, row)| (epoch, list, row)));
    }
    rows.sort();
    rows.into_iter().map(|(epoch, _, row)| (epoch, row)).collect()
}

/// The rows of one list, from the clicks of its window.
fn tell_list(list: List, clicks: &[&Counted], settings: &Settings) -> Vec<(u64, String)> {
    let (_, _, minute) = list;
    let settle = settings.settle(minute);
    let mut epochs: BTreeSet<u64> = clicks.iter().map(|click| click.told).collect();
    epochs.insert(settle);

    let mut rows = Vec::new();
    let mut last_told = Vec::new();
    for epoch in epochs {
        let known: Vec<&Counted> =
            clicks.iter().filter(|click| click.told <= epoch).copied().collect();
        let ads = most_clicked(&known, settings.top);
        let begun = known.iter().any(|click| click.minute == minute);
        let is_told = if epoch == settle {
            !ads.is_empty()
        } else if epoch > settle {
            ads != last_told
        } else {
            settings.changes && begun && ads != last_told
        };
        if is_told {
            rows.push((epoch, rank_row(list, &ads, When { epoch, settle })));
            last_told = ads;
        }
    }
    rows
}

/// The `top` ads with most clicks, then the least by the bytes of its id.
fn most_clicked<'a>(clicks: &[&'a Counted], top: usize) -> Vec<(&'a str, u64)> {
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    for click in clicks {
        *sums.entry(&click.ad).or_default() += 1;
    }
    let mut ads: Vec<(&str, u64)> = sums.into_iter().collect();
    ads.sort_by_key(|(ad, clicks)| (Reverse(*clicks), ad.as_bytes()));
    ads.truncate(top);
    ads
}
