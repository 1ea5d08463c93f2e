//! What is older than `--delete-after` is gone, and nothing else: no gap, no guess, not the last.

use super::{ALL, ARCHIVE, Log, hours, of_each, since};
use crate::support::binary::Place;

#[test]
fn the_oldest_are_removed_wherever_they_lie_and_the_chain_begins_later() {
    let log = Log::new();
    log.place.succeed("run --input in --output out --job live");
    // 11 and 12 have moved, 13 has not.
    log.place
        .succeed(&format!("raw retain raw --hot {} --cold cold", since("2026-01-01T13:30:00Z")));
    let hot = since("2026-01-01T16:00:00Z");
    let after = since("2026-01-01T14:00:00Z");
    let ended = log.place.succeed(&format!("raw retain raw --hot {hot} --delete-after {after}"));
    let said = "removed 6 segments of ";
    assert!(
        ended.stdout.contains(said) && ended.stdout.contains("moved 4 segments"),
        "{}",
        ended.stdout
    );
    assert_eq!(hours(&log.segments("cold")), of_each(&["14", "15"]));
    assert_eq!(hours(&log.segments("raw")), of_each(&["16", "17"]));

    let check = log.place.succeed("raw check raw").stdout;
    assert!(check.contains("complete and unaltered"), "{check}");
    log.place.run("raw cat raw -p 0").with(2).naming(&["offset 0 is needed, but", "is the first"]);
    log.place.succeed("replay --raw raw --output out --job told");
    assert!(!log.place.rows("told")[0].is_empty());
    let reconcile = log.place.run("reconcile out --job live --raw raw");
    reconcile.with(2).naming(&["offset 0 on", "have been deleted"]);
}

#[test]
fn the_last_segment_stays_and_an_archive_goes_on_after_it() {
    let log = Log::part(2);
    let ended = log.place.succeed("raw retain raw --hot 1d --delete-after 1mo");
    assert!(ended.stdout.contains("removed 6 segments"), "{}", ended.stdout);
    assert_eq!(log.segments("raw").len(), 2);
    log.feed(2, 4);
    log.place.succeed(ARCHIVE);
    let check = log.place.succeed("raw check raw").stdout;
    assert!(check.contains("complete and unaltered"), "{check}");
    for partition in 0..2 {
        let listed = log.place.succeed("raw list raw").stdout;
        let line = listed.lines().nth(partition).unwrap();
        let first = line.split_once("offsets ").unwrap().1.split(' ').next().unwrap();
        let kept = log.place.succeed(&format!("raw cat raw -p {partition} --from {first}")).printed;
        let all = log.place.bytes(&format!("in/clicks-{partition}.jsonl"));
        let lines: Vec<&[u8]> = all.split_inclusive(|byte| *byte == b'\n').collect();
        assert!(kept == lines[first.parse().unwrap()..].concat(), "partition {partition}");
    }
}

/// Records without any time lie under 1970 until a click is there.
#[test]
fn what_lies_under_an_hour_that_is_a_guess_is_not_removed_early() {
    let place = Place::new();
    let click =
        |time: &str| format!("{{\"ad_id\":\"ad1\",\"click_timestamp\":\"2026-01-01T{time}Z\"}}\n");
    place.append("in/clicks-0.jsonl", "no click\n");
    place.succeed(ARCHIVE);
    for hour in ["12:00:00", "13:00:00", "14:00:00"] {
        place.append("in/clicks-0.jsonl", click(hour).repeat(3));
        place.succeed(ARCHIVE);
    }
    let list = || place.succeed("raw list raw --segments").stdout;
    let before = list();
    assert!(before.starts_with("raw/topic=in/partition=0/dt=1970-01-01"), "{before}");
    let remove = |time| format!("raw retain raw --hot 1d --delete-after {}", since(time));
    place.succeed(&remove("2026-01-01T12:59:00Z"));
    assert_eq!(list(), before, "the click after it is not so old");
    place.succeed(&remove("2026-01-01T13:00:00Z"));
    let (_, rest) = before.split_once("\nraw/topic=in/partition=0/dt=2026-01-01/hour=13").unwrap();
    assert_eq!(list(), format!("raw/topic=in/partition=0/dt=2026-01-01/hour=13{rest}"));
}

#[test]
fn what_is_removed_is_not_moved_before() {
    let log = Log::new();
    let ended = log.place.succeed(&format!("{ALL} --delete-after 2mo"));
    assert!(ended.stdout.contains("removed 12 segments"), "{}", ended.stdout);
    assert!(ended.stdout.contains("moved 0 segments"), "{}", ended.stdout);
    assert_eq!(log.segments("cold"), Vec::<String>::new());
}
