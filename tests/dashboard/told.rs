//! What a page must show of an epoch, by the rows of the logs: the last one of each key counts.

use std::collections::BTreeMap;

use clicks_dataflows::time::Time;
use serde_json::{Value, json};

use crate::support::binary::Place;

/// Ads of a list that a page shows.
const SHOWN: usize = 10;
const MINUTE_MS: u64 = 60_000;
/// How long after its end a minute settles, unless a job says otherwise.
const LATENESS_MS: u64 = 15_000;

/// What a viewer looks at.
pub struct Choice {
    pub filter: u64,
    pub window: u64,
    pub ad: &'static str,
}

/// What a page shows at the epoch of a commit; none if no commit is of it.
pub fn told(place: &Place, choice: &Choice, epoch: &str) -> Option<Value> {
    let commits = place.commits("ads");
    let commit = commits.iter().find(|commit| commit.epoch.to_string() == epoch)?;
    let [counts, ranks, rejects] = place.rows("ads").map(|log| rows(&log, commit.epoch));

    let mut clicks = BTreeMap::new();
    for row in &counts {
        let of = (&row["filter"], row["ad_id"].as_str(), row["minute"].as_str());
        clicks.insert((of.0.as_u64(), of.1, of.2), row["clicks"].as_u64().unwrap());
    }
    let all = clicks.iter().filter(|((filter, ..), _)| *filter == Some(0));
    let all: u64 = all.map(|(_, clicks)| clicks).sum();
    // The plot goes back an hour from the minute of the epoch.
    let last = (commit.epoch.0 - 1) / MINUTE_MS * MINUTE_MS;
    let first = Time(last - 59 * MINUTE_MS).to_string();
    let of_ad: u64 = clicks
        .iter()
        .filter(|((filter, ad, minute), _)| {
            *filter == Some(choice.filter) && *ad == Some(choice.ad) && *minute >= Some(&first)
        })
        .map(|(_, clicks)| clicks)
        .sum();

    let lists = ranks.iter().filter(|row| row["filter"] == choice.filter);
    let lists = lists.filter(|row| row["window"] == choice.window);
    // Of those of the newest minute the last one.
    let list = lists.max_by_key(|row| row["minute"].as_str().unwrap());
    let ads = list.map_or(&[][..], |row| row["ads"].as_array().unwrap());
    let top: Vec<_> = ads.iter().take(SHOWN).map(|ad| json!([ad["ad_id"], ad["clicks"]])).collect();

    let totals = commit.totals;
    assert_eq!((totals.clicks, totals.rejected), (all, rejects.len() as u64), "of the ledger");
    let settled = (commit.epoch.0 - LATENESS_MS) / MINUTE_MS * MINUTE_MS - MINUTE_MS;
    Some(json!({
        "epoch": epoch,
        "settled": Time(settled).to_string(),
        "records": totals.records,
        "clicks": all,
        "duplicates": totals.duplicates,
        "rejected": rejects.len(),
        "late": totals.late,
        "top": top,
        "ad": of_ad,
    }))
}

/// Rows that are told up to an epoch.
fn rows(log: &[u8], epoch: Time) -> Vec<Value> {
    let text = std::str::from_utf8(log).unwrap();
    // A line that is not whole is none.
    let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let rows = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.filter(|row| row["epoch"].as_str().unwrap().parse::<Time>().unwrap() <= epoch).collect()
}
