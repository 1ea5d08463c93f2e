//! Two jobs are compared by their counts: what would the bill be under other rules?

use std::fs;

use crate::golden::shell::{Results, json};
use crate::support::binary::{Place, click, wait_for};
use crate::support::kafka::{self, Copy, brokers};

mod pace;

/// Clicks with copies and late ones, for a quarter of an hour.
const GENERATED: &str = "--clicks 20000 --partitions 3 --ads 50 --duplicates 0.02 --late 0.02 \
    --per-second 20 --seed 7 --start 2026-01-01T12:00:00Z";

/// Filters and rules of a job.
const RULES: &str = "[[filter]]\nid = 1\nwhere = { country = [\"USA\"] }\n";

/// A directory with clicks and the job `ads`.
fn place() -> Place {
    let place = Place::new();
    place.succeed(&format!("generate --to in {GENERATED}"));
    place.append("rules.toml", RULES);
    run(&place, "ads", "");
    place
}

/// Counts the clicks as another job.
fn run(place: &Place, job: &str, flags: &str) {
    place.succeed(&format!("run --input in --output out --job {job} --config rules.toml {flags}"));
}

/// The clicks of all rows of a job: of each ad, minute and filter those of the last one.
fn totals(place: &Place, job: &str) -> std::collections::BTreeMap<(String, String, u64), i64> {
    let rows = Results::read(&place.path("out"), job).counts;
    let cell = |row: &str| {
        let row = json(row);
        let text = |key: &str| row[key].as_str().unwrap().to_owned();
        let filter = row["filter"].as_u64().unwrap();
        ((text("ad_id"), text("minute"), filter), row["clicks"].as_i64().unwrap())
    };
    rows.iter().map(|row| cell(row)).collect()
}

#[test]
fn jobs_that_tell_the_same_do_not_differ() {
    let place = place();
    place.succeed("replay --input in --output again --job ads --config rules.toml -w 2");
    for flags in ["", "-f json", "--by minute"] {
        let ended = place.succeed(&format!("compare out/ads again/ads {flags}"));
        assert_eq!(ended.stdout, "");
        ended.naming(&["JOB1 is job ads in out, JOB2 is job ads in again", "differences: none"]);
    }
}

/// What is printed is what the rows come to.
#[test]
fn every_cell_that_differs_is_printed_and_no_other() {
    let place = place();
    run(&place, "copies", "--set job.identity=none");
    let (one, other) = (totals(&place, "ads"), totals(&place, "copies"));
    let mut expected: Vec<(String, String, u64, i64, i64)> = Vec::new();
    for (cell, clicks) in &other {
        let before = one.get(cell).copied().unwrap_or(0);
        if before != *clicks {
            let (ad, minute, filter) = cell.clone();
            expected.push((ad, minute, filter, before, *clicks));
        }
    }
    assert!(one.keys().all(|cell| other.contains_key(cell)) && expected.len() > 100);
    let ended = place.run("compare out/ads out/copies --by minute -f json").with(3);
    let mut found: Vec<_> = ended.stdout.lines().map(json).collect();
    let size = |line: &serde_json::Value| line["difference"].as_i64().unwrap().abs();
    assert!(found.is_sorted_by(|one, other| size(one) >= size(other)));
    found.sort_by_key(|line| {
        (line["ad_id"].to_string(), line["minute"].to_string(), line["filter"].as_u64())
    });
    let told = found.iter().map(|line| {
        let text = |key: &str| line[key].as_str().unwrap().to_owned();
        let number = |key: &str| line[key].as_i64().unwrap();
        assert_eq!(number("difference"), number("job2") - number("job1"));
        let filter = line["filter"].as_u64().unwrap();
        (text("ad_id"), text("minute"), filter, number("job1"), number("job2"))
    });
    assert_eq!(told.collect::<Vec<_>>(), expected);
    ended.naming(&["identity: auto, none", "differ in "]);

    // The same by ad.
    let by_ad = place.run("compare out/ads out/copies -f json").with(3).stdout;
    let sum = |key: &str| by_ad.lines().map(|line| json(line)[key].as_i64().unwrap()).sum::<i64>();
    assert_eq!(sum("minutes"), i64::try_from(expected.len()).unwrap());
    assert_eq!(sum("difference"), expected.iter().map(|cell| cell.4 - cell.3).sum::<i64>());
    let table = place.run("compare out/ads out/copies").with(3);
    assert_eq!(table.stdout.lines().count(), 1 + 20);
    table.naming(&[" lines of differences are left out: --top shows more", "filter 1: "]);
    let table = place.run("compare out/ads out/copies --top 3").with(3).stdout;
    assert_eq!(table.lines().count(), 1 + 3);
}

/// What a job tells of open minutes, and when, makes no difference, wherever both stand.
#[test]
fn jobs_that_tell_at_another_pace_agree_on_settled_minutes() {
    let place = Place::new();
    let changes = "--set job.emit=changes --set job.refresh=500ms";
    let paces = [("final", ""), ("changes", changes), ("later", "--set job.lateness=90s")];
    for clicks in ["12:00:00 12:00:01 12:02:10", "12:00:30 12:02:40", "12:03:20 12:01:59 12:05:31"]
    {
        let lines: String = clicks.split(' ').map(|time| click("a", time)).collect();
        place.append("in/p0.jsonl", lines);
        let read =
            u64::try_from(String::from_utf8(place.bytes("in/p0.jsonl")).unwrap().lines().count());
        for (job, flags) in paces {
            let flags = format!("--follow --set job.idle_after=1h {flags}");
            let words = format!("run --input in --output out --job {job} {flags}");
            let running = place.start(&words);
            // The last click stays open.
            let read = read.as_ref().unwrap() - 2;
            wait_for("the clicks", || (place.records(job) >= read).then_some(()));
            running.terminate();
        }
        for other in ["changes", "later"] {
            let ended = place.run(&format!("compare out/final out/{other}"));
            assert!(!ended.stderr.contains("differ in"), "{}", ended.stderr);
        }
    }
    let ended = place.succeed("compare out/final out/changes");
    ended.naming(&["emit: final, changes", "up to 2026-01-01T12:05:00Z", "differences: none"]);
    // The late click is in it: JOB1 tells it at 12:04.
    assert_eq!(totals(&place, "final").values().sum::<i64>(), 7);
    // At their end they are compared to the last minute.
    for (job, flags) in paces {
        place.succeed(&format!("run --input in --output out --job {job} {flags}"));
    }
    for other in ["changes", "later"] {
        place.succeed(&format!("compare out/final out/{other}")).naming(&[
            "minutes up to 2026-01-01T12:05:00Z, by what was told up to ",
            "filter 0: 8 and 8 clicks, +0 (+0.00 %) over 5 minutes",
        ]);
    }
}

#[test]
fn minutes_and_filters_that_one_job_does_not_tell_are_not_compared() {
    let place = place();
    place.append(
        "more.toml",
        "[[filter]]\nid = 1\n[[filter]]\nid = 5\nwhere = { country = [\"X\"] }",
    );
    let from = "--from 2026-01-01T12:03:00Z --until 2026-01-01T12:06:00Z";
    place.succeed(&format!("replay --input in --output out --job part --config more.toml {from}"));
    let ended = place.run("compare out/ads out/part -f json").with(3);
    assert!(ended.stdout.lines().all(|line| json(line)["filter"] == 1), "{}", ended.stdout);
    let ended = ended.naming(&[
        "from: not set, 2026-01-01T12:03:00Z",
        "until: not set, 2026-01-01T12:06:00Z",
        r#"filter 1: {"where":{"country":["USA"]},"not":{}}, {"where":{},"not":{}}"#,
        "filter 5 is one of JOB2 alone, and not compared",
        "JOB2 is closed at 2026-01-01T12:06:15Z, before JOB1 at ",
        "minutes before 2026-01-01T12:03:00Z are not told by both, and not compared",
        "compared: minutes from 2026-01-01T12:03:00Z to 2026-01-01T12:05:00Z, by what was told up to",
        " clicks, +0 (+0.00 %) over 3 minutes up to 2026-01-01T12:06:15Z",
    ]);
    assert!(!ended.stderr.contains("differences: none"));
    let from = "--from 2026-01-02T12:00:00Z";
    place.succeed(&format!("replay --input in --output out --job none --config rules.toml {from}"));
    place.run("compare out/ads out/none").with(1).naming(&["nothing was compared"]);
}

#[test]
fn a_job_that_has_fallen_behind_is_compared_where_it_stands() {
    let place = Place::new();
    let lines = |minutes: std::ops::Range<u32>| -> String {
        minutes.map(|minute| click("a", &format!("12:{minute:02}:10"))).collect()
    };
    let slow = "run --input in --output out --job slow --follow --set job.idle_after=1h";
    let running = place.start(slow);
    let ledger = place.path("out/slow.ledger.jsonl");
    let is_open = || fs::read(&ledger).is_ok_and(|lines| lines.ends_with(b"\n"));
    wait_for("the job", || is_open().then_some(()));
    place.run("compare out/slow out/slow").with(1).naming(&["job slow in out has no commits"]);
    place.append("in/p0.jsonl", lines(0..9));
    wait_for("its clicks", || (place.records("slow") >= 8).then_some(()));
    running.terminate();
    place.append("in/p0.jsonl", lines(9..20));
    place.succeed("run --input in --output out --job ads");
    let epoch = place.commits("slow").last().unwrap().epoch;
    place.succeed("compare out/ads out/slow").naming(&[
        &format!("JOB2 stands at {epoch}, before JOB1 at 2026-01-01T12:20:15Z"),
        &format!("by what was told up to {epoch}"),
        "differences: none over 7 minutes, 14 rows",
    ]);
}

#[test]
fn a_log_that_is_broken_is_named() {
    let place = place();
    let whole = place.bytes("out/ads.counts.jsonl");
    let ledger = String::from_utf8(place.bytes("out/ads.ledger.jsonl")).unwrap();
    let broken = |log: &str, bytes: &[u8], fault: &str| {
        fs::write(place.path(&format!("out/ads.{log}.jsonl")), bytes).unwrap();
        let ended = place.run("compare out/ads out/ads").with(1);
        ended.naming(&[fault, &format!("out/ads.{log}.jsonl: "), "`clicks verify` tells more"]);
    };
    let mut damaged = whole.clone();
    damaged[2] = b'x';
    broken("counts", &damaged, ": it is no row: ");
    damaged.clone_from(&whole);
    let at = String::from_utf8(whole.clone()).unwrap().find("\"was\":0").unwrap();
    damaged[at + 6] = b'9';
    broken("counts", &damaged, " clicks are no more than the 9 before");
    broken("counts", &whole[..whole.len() - 1], ": it does not end");
    let later = String::from_utf8(whole.clone()).unwrap();
    let later = later.replacen("\"epoch\":\"2026", "\"epoch\":\"2027", 1);
    broken("counts", later.as_bytes(), ": its epoch 2027-01-01T");
    fs::write(place.path("out/ads.counts.jsonl"), &whole).unwrap();

    let lines: Vec<&str> = ledger.split_inclusive('\n').collect();
    let twice = ledger.clone() + lines[lines.len() - 1];
    broken("ledger", twice.as_bytes(), " follows ");
    broken("ledger", ledger.replace("\"counts\":", "\"count\":").as_bytes(), "is no commit");
    let more =
        ledger.replace("\"ranks\":", "\"ranks\":1").replacen("\"counts\":", "\"counts\":1", 1);
    fs::write(place.path("out/ads.ledger.jsonl"), more).unwrap();
    let ended = place.run("compare out/ads out/ads").with(1);
    ended.naming(&[" where its ledger states 1"]);
}

#[test]
fn jobs_in_topics_are_compared_with_those_in_directories() {
    let place = place();
    run(&place, "copies", "--set job.identity=none --set job.emit=changes");
    let [ads, copies] = ["ads", "copies"].map(|job| {
        let copy = Copy::of(&Results::read(&place.path("out"), job));
        copy.write(&[]);
        copy
    });
    let at = format!("-b {} --by minute -f json", brokers());
    let equal = place.succeed(&format!("compare kafka:/{} out/ads {at}", ads.job));
    equal.naming(&["differences: none over "]);
    let files = place.run(&format!("compare out/ads out/copies {at}")).with(3).stdout;
    for one in [format!("kafka:/{}", ads.job), "out/ads".to_owned()] {
        let compared = place.run(&format!("compare {one} kafka:/{} {at}", copies.job)).with(3);
        assert_eq!(compared.stdout, files, "{one}");
    }

    let lossy = Copy::of(&Results::read(&place.path("out"), "ads"));
    lossy.write(&[]);
    kafka::delete_records(&lossy.topic("counts"), 0, 8);
    let refused = place.run(&format!("compare out/ads kafka:/{} {at}", lossy.job)).with(1);
    refused.naming(&["any more: they were deleted, and counts that are compared must be whole"]);
    for (settings, fault) in [
        (&[][..], "`clicks verify` tells more"),
        (&[("cleanup.policy", "compact")], "any more: the topic is compacted"),
    ] {
        let mut broken = Copy::of(&Results::read(&place.path("out"), "copies"));
        broken.counts.remove(5);
        broken.write(settings);
        let refused = place.run(&format!("compare out/copies kafka:/{} {at}", broken.job)).with(1);
        refused.naming(&[fault]);
    }
}
