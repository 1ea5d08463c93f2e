//! What clocks, log times, marks and a later start come to.

use super::*;

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
