//! A job goes on where its ledger says, or refuses to: closed, with other files, another meaning.

use crate::compressed::gz;
use crate::support::binary::{LIVELY, Place, click, is_closed};

const RUN: &str = "run --input in --output out --job ads";

/// A job that has run to the end of two files.
fn closed_job() -> Place {
    let place = Place::new();
    place.append("in/a.jsonl", click("ad1", "12:00:01") + &click("ad1", "12:00:02"));
    place.append("in/b.jsonl", click("ad2", "12:05:01") + &click("ad2", "12:05:02"));
    place.succeed(RUN);
    assert!(is_closed(&place, "ads"));
    place
}

#[test]
fn a_closed_job_does_nothing_and_refuses_other_input() {
    let place = closed_job();
    let results = || (place.rows("ads"), place.bytes("out/ads.ledger.jsonl"));
    let before = results();
    place.succeed(RUN);
    assert_eq!(results(), before, "run again, it does nothing");

    place.append("in/a.jsonl", click("ad1", "12:05:03"));
    place.run(RUN).with(2).naming(&["a.jsonl", "grown", "job ads is closed"]);
    std::fs::write(place.path("in/a.jsonl"), click("ad1", "12:00:01")).unwrap();
    place.run(RUN).with(2).naming(&["a.jsonl", "shorter"]);
    let whole = click("ad1", "12:00:01") + &click("ad1", "12:00:02");
    std::fs::write(place.path("in/a.jsonl"), whole).unwrap();
    place.succeed(RUN);
    place.append("in/c.jsonl", click("ad1", "12:05:03"));
    place.run(RUN).with(2).naming(&["c.jsonl", "appeared", "job ads is closed"]);
    std::fs::remove_file(place.path("in/c.jsonl")).unwrap();
    place.succeed(RUN);
    assert_eq!(results(), before);
}

#[test]
fn a_closed_job_refuses_a_missing_file() {
    let place = closed_job();
    std::fs::remove_file(place.path("in/b.jsonl")).unwrap();
    place.run(RUN).with(2).naming(&["b.jsonl", "missing"]);
}

#[test]
fn a_follower_refuses_files_that_are_shorter_missing_or_there_twice() {
    let place = Place::new();
    let follow = format!("{RUN} --follow {LIVELY}");
    place.append("in/a.jsonl", click("ad1", "12:00:01") + &click("ad1", "12:00:02"));
    place.append("in/b.jsonl", click("ad2", "12:00:01") + &click("ad2", "12:00:02"));
    let running = place.start(&follow);
    place.wait_for_records("ads", 4);
    running.terminate();

    let whole = place.bytes("in/a.jsonl");
    std::fs::write(place.path("in/a.jsonl"), click("ad1", "12:00:01")).unwrap();
    place.run(&follow).with(2).naming(&["a.jsonl", "shorter"]);
    std::fs::remove_file(place.path("in/a.jsonl")).unwrap();
    place.run(&follow).with(2).naming(&["a.jsonl", "missing"]);
    std::fs::write(place.path("in/a.jsonl"), whole).unwrap();
    place.append("in/a.jsonl.gz", gz(b""));
    place.run(&follow).with(2).naming(&["a.jsonl.gz", "the same partition"]);
    std::fs::remove_file(place.path("in/a.jsonl.gz")).unwrap();

    let running = place.start(&follow);
    place.append("in/a.jsonl", click("ad1", "12:00:03"));
    place.wait_for_records("ads", 5);
    running.terminate();
    place.assert_verified("ads");
}

#[test]
fn a_torn_ledger_is_recovered_from() {
    let place = closed_job();
    let rows = place.rows("ads");
    let ledger = place.bytes("out/ads.ledger.jsonl");
    let first = ledger.iter().position(|byte| *byte == b'\n').unwrap();
    for torn in [ledger.len() - 1, ledger.len() - 40, first + 10, first + 1, first, 5, 0] {
        std::fs::write(place.path("out/ads.ledger.jsonl"), &ledger[..torn]).unwrap();
        place.succeed(RUN);
        assert!(place.rows("ads") == rows, "torn at byte {torn} of {}", ledger.len());
        place.assert_verified("ads");
    }
}

#[test]
fn a_job_is_not_continued_with_another_meaning() {
    let place = closed_job();
    for (key, value) in [("refresh", "2s"), ("lateness", "30s"), ("emit", "changes"), ("top", "7")]
    {
        let other = place.run(&format!("{RUN} --set job.{key}={value}")).with(2);
        other.naming(&["job ads", key, value, "--job"]);
    }
    place.run(&format!("{RUN} --set input.fields.country=land")).with(2).naming(&["input"]);
}
