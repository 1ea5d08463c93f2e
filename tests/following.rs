//! A directory that grows is followed: what comes is told soon.

use clicks::worker::{monotonic_ms, wall_ms};
use clicks_dataflows::time::Time;

use crate::support::binary::{LIVELY, Place, click, is_closed, pause, wait_for};

#[test]
fn a_follower_sees_lines_files_and_ends_of_lines_and_goes_on_where_it_was_stopped() {
    let place = Place::new();
    let follow = format!("run --input in --output out --job ads --follow {LIVELY}");
    let seen = |records| place.wait_for_records("ads", records);

    let running = place.start(&follow);
    place.append("in/a.jsonl", click("ad1", "12:00:01") + &click("ad1", "12:00:02"));
    seen(2);
    place.append("in/a.jsonl", click("ad2", "12:00:03"));
    seen(3);
    place.append("in/new.jsonl", click("ad1", "12:00:02") + &click("ad3", "12:01:30"));
    seen(5);
    let (half, rest) = (&click("ad4", "12:01:31")[..30], &click("ad4", "12:01:31")[30..]);
    place.append("in/a.jsonl", half);
    place.append("in/new.jsonl", click("ad1", "12:01:40"));
    seen(6);
    place.append("in/a.jsonl", rest);
    seen(7);
    place.append("in/a.jsonl", half);
    running.terminate();
    assert!(!is_closed(&place, "ads"), "SIGTERM closes nothing");

    let running = place.start(&follow);
    place.append("in/a.jsonl", rest);
    seen(8);
    let said = running.stderr();
    assert!(said.contains("job ads goes on after commit "), "{said}");
    assert!(
        said.contains(", reading again from its start on: 7 offsets of 2 partitions"),
        "{said}"
    );
    place.append("in/newer.jsonl", click("ad5", "12:00:59"));
    seen(9);
    running.signal("INT");
    running.end().with(0);
    assert!(!is_closed(&place, "ads"), "SIGINT closes nothing");
    assert_eq!(place.commits("ads").last().unwrap().totals.rejected, 0);

    place.assert_verified("ads");
    let replay = "replay --input in --output out --job again --marks-of out/ads";
    place.succeed(&format!("{replay} {LIVELY}"));
    for (lived, again) in place.rows("ads").iter().zip(&place.rows("again")) {
        assert!(again.starts_with(lived), "a replay tells what was lived, and then the end");
    }
}

/// One click a second over eight files: each is told within `refresh`, `idle_after` and a second.
#[test]
fn a_click_is_told_soon_even_if_few_come() {
    const WITHIN_MS: u64 = 3000;
    /// For a machine that does other things too.
    const PATIENCE: u64 = 2;
    let place = Place::new();
    let now = |ad: &str| {
        let time = Time(wall_ms());
        format!("{{\"ad_id\":\"{ad}\",\"click_timestamp\":\"{time}\"}}\n")
    };
    for file in 0..8 {
        place.append(&format!("in/{file}.jsonl"), now("first") + &now("first"));
    }
    let running = place
        .start("run --input in --output out --job ads --follow --set job.emit=changes --stats");
    place.wait_for_records("ads", 16);
    let told = |ad: &str| {
        let lengths = place.commits("ads").last()?.lengths?;
        let counts = place.bytes("out/ads.counts.jsonl");
        let committed = &counts[..usize::try_from(lengths.counts).unwrap()];
        String::from_utf8_lossy(committed).contains(ad).then(monotonic_ms)
    };
    let began = monotonic_ms();
    let mut waiting = Vec::new();
    let mut delays = Vec::new();
    while delays.len() < 8 {
        let appended = waiting.len() + delays.len();
        if appended < 8 && monotonic_ms() >= began + 1000 * appended as u64 {
            let ad = format!("\"click-{appended}\"");
            place.append(&format!("in/{}.jsonl", appended * 3 % 8), now(ad.trim_matches('"')));
            waiting.push((ad, monotonic_ms()));
        }
        waiting.retain(|(ad, since)| {
            let told = told(ad);
            delays.extend(told.map(|told| told - since));
            assert!(monotonic_ms() < since + 30_000, "{ad} is not told:\n{}", running.stderr());
            told.is_none()
        });
        pause();
    }
    println!("told after {delays:?} ms");
    assert!(delays.iter().all(|delay| *delay <= PATIENCE * WITHIN_MS), "{delays:?} ms");
    running.terminate();
}

/// To programs each line is an object, and progress has a field for each number.
#[test]
fn progress_is_told_to_programs_by_fields() {
    let place = Place::new();
    place.append("in/a.jsonl", click("ad1", "12:00:01") + "no click\n" + &click("ad1", "12:00:02"));
    let follow = format!("run --input in --output out --job ads --follow {LIVELY}");
    let running = place.start(&format!("{follow} --stats --log-format json"));
    let said = wait_for("progress", || {
        let said = running.stderr();
        let whole = said.rsplit_once('\n')?.0.to_owned();
        let mut lines = whole.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.find(|line: &serde_json::Value| line["records"] == 3)
    });
    assert_eq!((&said["level"], &said["message"]), (&"info".into(), &"progress".into()));
    assert_eq!((&said["clicks"], &said["rejected"]), (&2.into(), &1.into()));
    assert!(said["event_time"].as_str().unwrap().starts_with("2026-01-01T12:00:0"), "{said}");
    running.terminate();
}
