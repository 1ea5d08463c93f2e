//! The oracle on small cases, recounted by hand.

mod clock;

use super::*;
use crate::support::script::{FilterSpec, Item, Predicate, Values, at};

/// Rows of counts as people say them: when, what, ad, minute, filter, from how many to how many.
fn counts(oracle: &Oracle) -> Vec<String> {
    let say = |row: &serde_json::Value| {
        let filter =
            if row["filter"] == 0 { String::new() } else { format!("[{}] ", row["filter"]) };
        format!("{filter}{} {} -> {}", text(&row["ad_id"]), row["was"], row["clicks"])
    };
    oracle.counts().iter().map(|(_, line)| said(line, say)).collect()
}

/// Rows of ranks as people say them.
fn ranks(oracle: &Oracle) -> Vec<String> {
    let say = |row: &serde_json::Value| {
        let ads = row["ads"].as_array().expect("a list");
        let ad = |ad: &serde_json::Value| format!("{} {}", text(&ad["ad_id"]), ad["clicks"]);
        format!("/{}: {}", row["window"], ads.iter().map(ad).collect::<Vec<_>>().join(", "))
    };
    oracle.ranks().iter().map(|(_, line)| said(line, say)).collect()
}

fn said(line: &str, say: impl Fn(&serde_json::Value) -> String) -> String {
    let row: serde_json::Value = serde_json::from_str(line).expect("rows are JSON");
    let time = |key: &str| text(&row[key]).trim_start_matches("2026-01-01T").replace('Z', "");
    let minute = time("minute");
    let (epoch, state) = (time("epoch"), text(&row["state"]));
    let minute = minute.strip_suffix(":00").expect("minutes are whole");
    format!("{epoch} {state} {minute} {}", say(&row))
}

fn text(value: &serde_json::Value) -> &str {
    value.as_str().expect("a text")
}

/// Reasons of the rejects, with their coordinates.
pub fn refused(oracle: &Oracle) -> Vec<(u64, u64, String)> {
    let refused = |(_, line): &(u64, String)| {
        let row: serde_json::Value = serde_json::from_str(line).expect("rows are JSON");
        let number = |key: &str| row[key].as_u64().expect("a number");
        (number("partition"), number("offset"), text(&row["reason"]).to_string())
    };
    oracle.rejects().iter().map(refused).collect()
}

#[test]
fn golden() {
    let script = Script::with_lateness(15)
        .click(7, "12:00:20")
        .click(7, "12:00:50")
        .click(7, "12:01:10")
        .click(7, "12:00:58") // in time
        .click(7, "12:01:20") // 12:00 settles
        .click(7, "12:00:59"); // late
    let oracle = tell(&script, &[]);
    assert_eq!(
        counts(&oracle),
        [
            "12:01:15 final 12:00 ad007 0 -> 3",
            "12:02:00 correction 12:00 ad007 3 -> 4",
            "12:02:15 final 12:01 ad007 0 -> 2",
        ]
    );
    assert_eq!(
        oracle.counts()[1],
        (
            at("12:02"),
            "{\"ad_id\":\"ad007\",\"minute\":\"2026-01-01T12:00:00Z\",\"filter\":0,\"clicks\":4,\
             \"was\":3,\"epoch\":\"2026-01-01T12:02:00Z\",\"state\":\"correction\"}"
                .to_string()
        )
    );
    assert_eq!(
        oracle.ranks()[1].1,
        "{\"filter\":0,\"window\":1,\"minute\":\"2026-01-01T12:00:00Z\",\"ads\":[{\"ad_id\":\
         \"ad007\",\"clicks\":4}],\"epoch\":\"2026-01-01T12:02:00Z\",\"state\":\"correction\"}"
    );
    assert_eq!(oracle.closing_epoch(), at("12:02:15"));
    let totals = Totals { records: 6, clicks: 6, late: 1, ..Totals::default() };
    assert_eq!(oracle.totals(oracle.closing_epoch()), totals);
    // The first click is too far from 1970 to move the clock; the second takes it to the first.
    let epochs: Vec<u64> = oracle.records().iter().map(|record| record.2).collect();
    let at_21 = at("12:01:21");
    assert_eq!(epochs, [1000, at("12:00:21"), at("12:01:11"), at("12:01:11"), at_21, at_21]);
    assert_eq!(oracle.reach(1000), Some(at("12:00:20")));
    assert_eq!(oracle.reach(at("12:00:21")), None);
    assert_eq!(oracle.positions(1000), [(0, 1, 0, Some(at("12:00:20")))]);
    assert_eq!(oracle.positions(at("12:01:11")), [(0, 4, at("12:01:10"), None)]);
    assert_eq!(oracle.positions(at_21), [(0, 6, at("12:01:20"), None)]);
}

#[test]
fn what_settles_and_what_jumps_is_exact() {
    let script = Script::with_lateness(15)
        .click(1, "12:00:00")
        .click(1, "12:00:00")
        .click(1, "12:01:14.999")
        .click(1, "12:00:30") // epoch 12:01:15: in time
        .click(1, "12:01:15")
        .click(1, "12:00:30") // epoch 12:01:16: late
        .click(1, "13:01:15") // an hour beyond: no jump
        .click(1, "14:01:15.001"); // more: it waits
    let oracle = tell(&script, &[]);
    assert_eq!(
        counts(&oracle),
        [
            "12:01:15 final 12:00 ad001 0 -> 3",
            "12:02:00 correction 12:00 ad001 3 -> 4",
            "12:02:15 final 12:01 ad001 0 -> 2",
            "13:02:15 final 13:01 ad001 0 -> 1",
            "14:02:15 final 14:01 ad001 0 -> 1",
        ]
    );
    let end = (0, 8, at("13:01:15"), Some(at("14:01:15.001")));
    assert_eq!(oracle.positions(oracle.closing_epoch()), [end]);
    assert_eq!(oracle.reach(oracle.closing_epoch()), Some(at("14:01:15.001")));
}

#[test]
fn changes_are_told_at_their_epochs() {
    let script = Script::with_lateness(15)
        .set(|settings| (settings.changes, settings.windows) = (true, vec![1, 2]))
        .click(1, "12:00:20")
        .click(1, "12:00:30")
        .click(2, "12:01:14")
        .click(1, "12:00:30") // in time, and of its own: it has no identity
        .click(1, "12:01:20")
        .click(2, "12:00:40");
    let oracle = tell(&script, &[]);
    assert_eq!(
        counts(&oracle),
        [
            "1970-01-01T00:00:01 provisional 12:00 ad001 0 -> 1",
            "12:00:21 provisional 12:00 ad001 1 -> 2",
            "12:01:15 final 12:00 ad001 2 -> 3",
            "12:01:15 provisional 12:01 ad002 0 -> 1",
            "12:01:21 provisional 12:01 ad001 0 -> 1",
            "12:01:21 correction 12:00 ad002 0 -> 1",
        ]
    );
    assert_eq!(
        ranks(&oracle),
        [
            "1970-01-01T00:00:01 provisional 12:00 /1: ad001 1",
            "1970-01-01T00:00:01 provisional 12:00 /2: ad001 1",
            "12:00:21 provisional 12:00 /1: ad001 2",
            "12:00:21 provisional 12:00 /2: ad001 2",
            "12:01:15 final 12:00 /1: ad001 3",
            "12:01:15 provisional 12:01 /1: ad002 1",
            "12:01:15 final 12:00 /2: ad001 3",
            "12:01:15 provisional 12:01 /2: ad001 3, ad002 1",
            "12:01:21 correction 12:00 /1: ad001 3, ad002 1",
            "12:01:21 provisional 12:01 /1: ad001 1, ad002 1",
            "12:01:21 correction 12:00 /2: ad001 3, ad002 1",
            "12:01:21 provisional 12:01 /2: ad001 4, ad002 2",
            "12:02:15 final 12:01 /1: ad001 1, ad002 1",
            "12:02:15 final 12:01 /2: ad001 4, ad002 2",
        ]
    );
}

#[test]
fn lists_go_on_to_the_last_click_and_ties_go_to_the_least_ad() {
    let script = Script::with_lateness(0)
        .set(|settings| (settings.top, settings.windows) = (1, vec![1, 3]))
        .click(2, "12:00:20")
        .click(1, "12:00:30")
        .click(3, "12:04:00")
        .click(2, "12:00:40"); // late
    let lists = [
        "12:01:00 final 12:00 /1: ad001 1",
        "12:01:00 final 12:00 /3: ad001 1",
        "12:02:00 final 12:01 /3: ad001 1",
        "12:03:00 final 12:02 /3: ad001 1",
        "12:05:00 correction 12:00 /1: ad002 2",
        "12:05:00 final 12:04 /1: ad003 1",
        "12:05:00 correction 12:00 /3: ad002 2",
        "12:05:00 correction 12:01 /3: ad002 2",
        "12:05:00 correction 12:02 /3: ad002 2",
        "12:05:00 final 12:04 /3: ad003 1",
    ];
    assert_eq!(ranks(&tell(&script, &[])), lists);

    // Where more minutes are known to have settled, their lists are told too.
    let floored = Telling { floor: at("12:07"), ..Telling::default() };
    let oracle = tell_as(&script, &floored);
    let more = ["12:06:00 final 12:05 /3: ad003 1", "12:07:00 final 12:06 /3: ad003 1"];
    assert_eq!(ranks(&oracle), [&lists[..], &more].concat());
    assert_eq!(oracle.closing_epoch(), at("12:07"));
}

#[test]
fn filters_take_all_predicates_and_any_value() {
    let countries = |countries: &[&str]| {
        Values::Country(countries.iter().map(|country| (*country).into()).collect())
    };
    let script = Script::with_lateness(15)
        .set(|settings| {
            let filter = |id, all: Vec<(bool, Values)>| FilterSpec {
                id,
                predicates: all
                    .into_iter()
                    .map(|(negated, values)| Predicate { negated, values })
                    .collect(),
            };
            let block = || Values::Ip(vec!["203.0.113.128/25".into(), "10.0.0.1".into()]);
            settings.filters = vec![
                filter(1, vec![(true, countries(&["USA"]))]),
                filter(2, vec![(false, countries(&["USA", "CAN"])), (false, block())]),
                filter(3, vec![(true, Values::User(vec!["u1".into()])), (true, block())]),
            ];
        })
        .click(1, "12:00:00") // passes what is negated
        .click(2, "12:00:00")
        .country("USA")
        .ip("203.0.113.128")
        .click(3, "12:00:00")
        .country("CAN")
        .ip("203.0.113.127")
        .user("u1")
        .click(4, "12:00:00")
        .country("CAN")
        .ip("10.0.0.1");
    let said: Vec<String> = counts(&tell(&script, &[]))
        .iter()
        .map(|row| row.replace("12:01:15 final 12:00 ", "").replace(" 0 -> 1", ""))
        .collect();
    let filtered = ["ad001", "[1] ad001", "[3] ad001", "ad002", "[2] ad002", "ad003", "[1] ad003"];
    assert_eq!(said, [&filtered[..], &["ad004", "[1] ad004", "[2] ad004"]].concat());
}

#[test]
fn wrong_rejects_are_found() {
    let mut script = Script::with_lateness(15).line(b"{").line(b"[]");
    let oracle = tell(&script, &[]);
    let mut actual: Vec<String> = oracle.rejects().iter().map(|(_, row)| row.clone()).collect();
    assert_eq!(
        actual[1],
        "{\"partition\":0,\"offset\":1,\"reason\":\"malformed\",\"detail\":\"\",\
         \"record\":\"[]\",\"epoch\":\"1970-01-01T00:00:01Z\"}"
    );
    actual[0] = actual[0].replace("\"detail\":\"\"", "\"detail\":\"the \\\"end\\\"\"");
    assert_eq!(oracle.wrong_reject(&actual), None);
    let alike = [without_detail(&actual[0]), actual[1].clone()];
    let expected = oracle.rejects().iter().map(|(_, row)| row.as_str());
    assert_eq!(digest(alike.iter().map(String::as_str)), digest(expected));
    assert!(oracle.wrong_reject(&actual[..1]).is_some());
    assert!(oracle.wrong_reject(&[&actual[..], &actual[..1]].concat()).is_some());

    for (wanted, is_wrong) in [("the \"end\"", false), ("the end", true)] {
        let Item::Bad { detail, .. } = &mut script.partitions[0][0] else { panic!("a bad line") };
        *detail = Some(wanted.into());
        assert_eq!(tell(&script, &[]).wrong_reject(&actual).is_some(), is_wrong);
    }
}

#[test]
fn an_empty_script_tells_nothing() {
    let oracle = tell(&Script::with_lateness(15).line(b"").partition(1), &[]);
    assert_eq!(oracle.closing_epoch(), 0);
    assert_eq!(oracle.positions(0), [(0, 1, 0, None), (1, 0, 0, None)]);
    assert_eq!(oracle.totals(0), Totals::default());
    assert_eq!(oracle.reach(0), None);
}
