//! The oracle on small cases, recounted by hand.

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
fn one_wrong_date_moves_nothing_and_two_do() {
    let script = Script::with_lateness(15)
        .click(1, "12:00:00")
        .click(1, "12:00:01")
        .click(1, "20:00:00") // waits for another
        .bad(b"{}", "missing_field")
        .line(b"")
        .click(1, "12:00:02") // there is none
        .click(1, "20:00:00")
        .click(1, "19:00:00") // the lesser of the two
        .click(1, "12:59:59") // its minute ended six hours before
        .click(1, "13:00:00"); // its minute did not
    let oracle = tell(&script, &[]);
    let (two, nineteen) = (at("12:00:02"), at("19:00:00"));
    assert_eq!(
        oracle.records(),
        [
            (0, 0, 1000),
            (0, 1, at("12:00:01")),
            (0, 2, at("12:00:01")),
            (0, 3, at("12:00:01")),
            (0, 5, at("12:00:03")),
            (0, 6, at("12:00:03")),
            (0, 7, nineteen + 1000),
            (0, 8, nineteen + 1000),
            (0, 9, nineteen + 1000),
        ]
    );
    assert_eq!(refused(&oracle), [(0, 3, "missing_field".into()), (0, 8, "too_late".into())]);
    assert_eq!(oracle.positions(0), [(0, 0, 0, None)]);
    assert_eq!(oracle.positions(at("12:00:01")), [(0, 5, at("12:00:00"), Some(at("20:00:00")))]);
    assert_eq!(oracle.positions(at("12:00:03")), [(0, 7, two, Some(at("20:00:00")))]);
    assert_eq!(oracle.reach(at("12:00:01")), Some(at("20:00:00")));
    assert_eq!(oracle.reach(nineteen + 1000), None);
    let totals = Totals { records: 4, clicks: 3, rejected: 1, ..Totals::default() };
    assert_eq!(oracle.totals(at("12:00:01")), totals);
}

#[test]
fn log_times_hold_the_clock_and_say_what_is_ahead() {
    let script = Script::with_lateness(15)
        .click(1, "12:00:10")
        .logged("12:00:05")
        .click(1, "13:00:07")
        .logged("12:00:06") // ahead: the clock stays
        .click(1, "13:00:06")
        .logged("12:00:06")
        .click(1, "12:00:00")
        .logged("12:30:00"); // late: the clock stays
    let oracle = tell(&script, &[]);
    let epochs: Vec<u64> = oracle.records().iter().map(|record| record.2).collect();
    let (at_6, at_7) = (at("12:00:06"), at("12:00:07"));
    assert_eq!(epochs, [at_6, at_6, at_7, at_7]);
    assert_eq!(refused(&oracle), [(0, 1, "ahead".into())]);
    let unmapped = tell(&script.set(|settings| settings.log_time = false), &[]);
    assert_eq!(refused(&unmapped), []);
}

#[test]
fn the_copy_with_the_least_epoch_counts() {
    let script = Script::with_lateness(15)
        .click(1, "12:00:00")
        .click(1, "12:00:30")
        .click_id("a") // epoch 12:00:01, as no other click has moved the clock further
        .click(1, "12:00:40")
        .user("u")
        .ip("10.0.0.1")
        .partition(1)
        .click(2, "12:00:30")
        .click_id("a") // epoch 1970
        .click(1, "12:00:40")
        .user("u")
        .ip("10.0.0.1")
        .click(1, "12:00:40")
        .user("u")
        .click(1, "12:00:40")
        .user("u"); // of its own: without an address
    let oracle = tell(&script, &[]);
    assert_eq!(
        counts(&oracle),
        ["12:01:15 final 12:00 ad001 0 -> 4", "12:01:15 final 12:00 ad002 0 -> 1"]
    );
    let totals = Totals { records: 7, clicks: 5, duplicates: 2, ..Totals::default() };
    assert_eq!(oracle.totals(oracle.closing_epoch()), totals);
}

#[test]
fn marks_lift_what_follows() {
    let script = Script::with_lateness(15)
        .click(1, "12:00:00")
        .click(1, "12:00:01")
        .click(1, "12:30:00")
        .click(1, "18:20:00") // far, so it waits
        .click(1, "18:20:00")
        .partition(1)
        .click(2, "12:00:02")
        .click(2, "12:00:03") // woken when 12:01:00 is closed
        .click(2, "12:00:04")
        .click(2, "12:19:59") // woken when 18:20:30 is closed
        .click(2, "12:20:00");
    let marks = [(1, 1, at("12:01")), (1, 3, at("18:20:30"))];
    let oracle = tell(&script, &marks);
    let second: Vec<u64> = oracle.records().iter().skip(5).map(|record| record.2).collect();
    let (woken, again) = (at("12:01:01"), at("18:20:31"));
    assert_eq!(second, [1000, woken, woken, again, again]);
    // By its own clock, which stands at noon, it would be in time; by that of partition 0, 18:20,
    // the minute 12:19 ended six hours ago. A minute more, and it counts.
    assert_eq!(refused(&oracle), [(1, 3, "too_late".into())]);
    assert_eq!(refused(&tell(&script, &[])), []);
    assert_eq!(oracle.positions(again)[1], (1, 5, at("12:20:00"), None));
    assert_eq!(oracle.closing_epoch(), at("18:21:15"));
}

#[test]
fn a_later_start_skips_but_its_windows_are_whole() {
    let script = Script::with_lateness(15)
        .set(|settings| settings.windows = vec![1, 2])
        .click(1, "12:00:00")
        .click(1, "12:01:00")
        .user("u")
        .ip("10.0.0.1")
        .click(1, "12:01:00")
        .user("u")
        .ip("10.0.0.1")
        .click(2, "12:02:00")
        .click(3, "12:00:00");
    let oracle = tell_from(&script, &[], at("12:02") / 60_000);
    assert_eq!(counts(&oracle), ["12:03:15 final 12:02 ad002 0 -> 1"]);
    assert_eq!(
        ranks(&oracle),
        ["12:03:15 final 12:02 /1: ad002 1", "12:03:15 final 12:02 /2: ad001 1, ad002 1"]
    );
    let totals = Totals { records: 5, clicks: 1, skipped: 4, ..Totals::default() };
    assert_eq!(oracle.totals(oracle.closing_epoch()), totals);
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
