//! What holds of the oracle whatever the script.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use proptest::test_runner::{Config, TestRng, TestRunner};

use super::tests::refused;
use super::{Mark, Oracle, tell};
use crate::support::script::{NEW_YEAR_MS, Script};
use crate::support::scripts::scripts;

/// Random scripts: the totals add up, both ways to tell come to the same, and what can happen
/// happens.
#[test]
fn random_scripts_add_up_and_have_it_all() {
    let seen = RefCell::new(BTreeSet::new());
    let config = Config { cases: 256, failure_persistence: None, ..Config::default() };
    let seed = TestRng::deterministic_rng(config.rng_algorithm);
    let mut runner = TestRunner::new_with_rng(config, seed);
    let checked = runner.run(&scripts(), |script| {
        seen.borrow_mut().extend(adds_up(&script));
        Ok(())
    });
    checked.expect("all scripts add up");
    let all = "1970 ahead bad_field correction duplicates far final late lists malformed \
               missing_field provisional reach too_late";
    assert_eq!(seen.take().into_iter().collect::<Vec<_>>().join(" "), all);
}

/// Checks what holds of every script, and returns what happens in this one.
fn adds_up(script: &Script) -> Vec<String> {
    let marks = halfway(script);
    let oracle = tell(script, &marks);
    for (partition, offset, clock) in &marks {
        let lifted = (*partition, *offset, clock + script.settings.refresh_ms);
        assert!(oracle.records().contains(&lifted));
    }
    let end = oracle.closing_epoch();
    let totals = oracle.totals(end);
    let parts = totals.clicks + totals.duplicates + totals.rejected + totals.skipped;
    assert_eq!(totals.records, parts);
    assert_eq!(totals.rejected, oracle.rejects().len() as u64);
    assert_eq!(totals.clicks, clicks_told(&oracle));

    let other = tell(&script.clone().set(|settings| settings.changes ^= true), &marks);
    assert_eq!(totals, other.totals(other.closing_epoch()));
    assert_eq!(totals.clicks, clicks_told(&other));
    assert_eq!(last_lists(&oracle), last_lists(&other));

    let rows = [oracle.counts(), oracle.ranks()].concat();
    let says = |state| rows.iter().any(|(_, row)| row.contains(state));
    let mut happens: Vec<String> =
        refused(&oracle).into_iter().map(|(_, _, reason)| reason).collect();
    for (is_so, what) in [
        (totals.duplicates > 0, "duplicates"),
        (totals.late > 0, "late"),
        (end > NEW_YEAR_MS + 365 * 86_400_000, "far"),
        (end < NEW_YEAR_MS / 2, "1970"),
        (oracle.reach(end).is_some(), "reach"),
        (oracle.ranks().len() > 100, "lists"),
        (says("\"provisional\""), "provisional"),
        (says("\"final\""), "final"),
        (says("\"correction\""), "correction"),
    ] {
        happens.extend(is_so.then(|| what.to_string()));
    }
    happens
}

/// A mark that wakes the record in the middle, in two scripts of three.
fn halfway(script: &Script) -> Vec<Mark> {
    let records = tell(script, &[]).records();
    match records.get(records.len() / 2) {
        Some((partition, offset, epoch)) if !records.len().is_multiple_of(3) => {
            vec![(*partition, *offset, epoch + 7 * 60_000)]
        }
        _ => Vec::new(),
    }
}

/// Clicks of filter 0 over all rows of counts.
fn clicks_told(oracle: &Oracle) -> u64 {
    let rows = oracle.counts().iter().map(|(_, line)| -> serde_json::Value {
        serde_json::from_str(line).expect("rows are JSON")
    });
    let number = |row: &serde_json::Value, key: &str| row[key].as_u64().expect("a number");
    rows.filter(|row| row["filter"] == 0)
        .map(|row| number(&row, "clicks") - number(&row, "was"))
        .sum()
}

/// The ads of every list as last told.
fn last_lists(oracle: &Oracle) -> BTreeMap<String, String> {
    let split = |(_, line): &(u64, String)| {
        let (list, rest) = line.split_once(",\"ads\":").expect("a row of ranks");
        let (ads, _) = rest.rsplit_once(",\"epoch\":").expect("a row of ranks");
        (list.to_string(), ads.to_string())
    };
    oracle.ranks().iter().map(split).collect()
}
