//! One small job, damaged in one way at a time.

use std::fs;
use std::path::Path;

use clicks_dataflows::click::AdId;
use clicks_dataflows::ledger::{Commit, Lengths, Opening, Position, Totals};
use clicks_dataflows::time::{Minute, Time};
use clicks_dataflows::told::{CountRow, RankRow, RankedAd, State};
use serde_json::json;
use tempfile::TempDir;

use super::{Clicks, Verified};
use crate::commit::{digest, sha256_hex};
use crate::config::Config;
use crate::files::disk::LocalDisk;
use crate::files::logs::JobFiles;
use crate::files::results::log_path;
use crate::sink::Rows;

/// Lines of the only partition; the fourth click of 12:00 is late.
const INPUT: [&str; 7] = [
    r#"{"ad_id":"a","click_timestamp":"2026-01-01T12:00:20Z"}"#,
    r#"{"ad_id":"b","click_timestamp":"2026-01-01T12:00:50Z"}"#,
    r#"{"ad_id":"a","click_timestamp":"2026-01-01T12:01:10Z"}"#,
    r#"{"ad_id":"a","click_timestamp":"2026-01-01T12:00:58Z"}"#,
    r#"{"ad_id":"b","click_timestamp":"2026-01-01T12:01:20Z"}"#,
    r#"{"ad_id":"a","click_timestamp":"2026-01-01T12:00:59Z"}"#,
    "no click",
];

fn time(text: &str) -> Time {
    format!("2026-01-01T{text}Z").parse().unwrap()
}

/// Adds what is told of `minute` at `epoch`: of each ad the clicks before and now.
fn tell(rows: &mut Rows, epoch: &str, minute: &str, state: State, ads: &[(&str, u64, u64)]) {
    let (epoch, minute) = (time(epoch), Minute::of(time(minute).0));
    for (ad, was, clicks) in ads.iter().filter(|(_, was, clicks)| was != clicks) {
        for filter in [0, 1] {
            let (ad_id, clicks, was) = (AdId::from(*ad), *clicks, *was);
            let row = CountRow { ad_id, minute, filter, clicks, was, epoch, state };
            rows.counts.push_keyless(&row);
        }
    }
    let ranked =
        |(ad, _, clicks): &(&str, u64, u64)| RankedAd { ad_id: AdId::from(*ad), clicks: *clicks };
    for filter in [0, 1] {
        let ads = ads.iter().map(ranked).collect();
        rows.ranks.push_keyless(&RankRow { filter, window: 1, minute, ads, epoch, state });
    }
}

/// The rows of the three commits.
fn rows() -> [Rows; 3] {
    let mut rows = [(); 3].map(|()| Rows::default());
    tell(&mut rows[0], "12:01:15", "12:00:00", State::Final, &[("a", 0, 2), ("b", 0, 1)]);
    tell(&mut rows[1], "12:02:00", "12:00:00", State::Correction, &[("a", 2, 3), ("b", 1, 1)]);
    tell(&mut rows[2], "12:02:15", "12:01:00", State::Final, &[("a", 0, 1), ("b", 0, 1)]);
    rows[1].rejects.push_keyless(&json!({
        "partition": 0, "offset": 6, "reason": "malformed",
        "detail": "x", "record": "no click", "epoch": "2026-01-01T12:01:21Z",
    }));
    rows
}

/// The job `ads` and its input.
fn job() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    fs::create_dir(path.join("in")).unwrap();
    fs::write(path.join("in/p0.jsonl"), INPUT.join("\n")).unwrap();
    let meaning = json!({ "windows": [1], "top": 5, "filters": [{ "id": 1 }] });
    let meaning = Config::from_meaning(&meaning, path).unwrap().meaning();
    let position = |offset, clock| {
        let file = Some("p0.jsonl".to_owned());
        vec![Position { log: None, partition: 0, file, offset, clock, jump: None }]
    };
    let positions = position(0, Time(0));
    let (version, started) = ("1".to_owned(), time("13:00:00"));
    let opening = Opening { job: "ads".into(), commit: 0, version, started, positions, meaning };
    let mut ledger = serde_json::to_string(&opening).unwrap() + "\n";
    let mut logs = [(); 3].map(|()| Vec::new());
    let totals = |records, rejected, late| {
        let clicks = records - rejected;
        Totals { records, clicks, duplicates: 0, rejected, skipped: 0, late }
    };
    let ends = [
        ("12:01:15", position(4, time("12:01:10")), totals(4, 0, 0)),
        ("12:02:00", position(7, time("12:01:20")), totals(7, 1, 1)),
        ("12:02:15", position(7, time("12:01:20")), totals(7, 1, 1)),
    ];
    for ((rows, (epoch, positions, totals)), commit) in rows().iter().zip(ends).zip(1..) {
        for (log, lines) in logs.iter_mut().zip(rows.logs()) {
            log.extend_from_slice(&lines.bytes);
        }
        let [counts, ranks, rejects] = logs.each_ref().map(|log| log.len() as u64);
        let commit = Commit {
            job: "ads".into(),
            commit,
            epoch: time(epoch),
            positions,
            marks: Vec::new(),
            reach: None,
            totals,
            counts: rows.counts.count(),
            ranks: rows.ranks.count(),
            rejects: rows.rejects.count(),
            lengths: Some(Lengths { counts, ranks, rejects }),
            digest: digest(rows),
            previous: sha256_hex(&[ledger.lines().last().unwrap().as_bytes()]),
            closed: commit == 3,
        };
        ledger += &(serde_json::to_string(&commit).unwrap() + "\n");
    }
    fs::write(log_path(path, "ads", "ledger"), ledger).unwrap();
    for (log, bytes) in ["counts", "ranks", "rejects"].into_iter().zip(logs) {
        fs::write(log_path(path, "ads", log), bytes).unwrap();
    }
    directory
}

fn verify(results: &Path, input: Option<&Path>) -> Verified {
    let clicks = input.map(|path| Clicks::Files(path.to_path_buf()));
    super::verify(&JobFiles::new(&LocalDisk, results), None, clicks.as_ref()).unwrap()
}

fn verified(path: &Path) -> Verified {
    verify(path, Some(&path.join("in")))
}

/// What is found when `damage` has been done to the lines of `log`.
fn damaged(log: &str, damage: impl FnOnce(&mut Vec<String>)) -> Vec<String> {
    let job = job();
    let path = log_path(job.path(), "ads", log);
    let mut lines: Vec<String> =
        fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect();
    damage(&mut lines);
    let lines: Vec<String> = lines.into_iter().map(|line| line + "\n").collect();
    fs::write(&path, lines.concat()).unwrap();
    let verified = verify(job.path(), None);
    assert_eq!(verified.failure().is_some(), verified.faults > 0);
    verified.lines.iter().map(|line| line.trim_start().to_owned()).collect()
}

#[test]
fn what_is_right_is_found_right() {
    let job = job();
    let verified = verified(job.path());
    let input = job.path().join("in");
    assert_eq!(
        verified.lines,
        [
            "job ads: 3 commits up to 2026-01-01T12:02:15Z, 10 counts, 6 ranks, 1 reject: \
             ledger, digests and rows are right"
                .to_owned(),
            format!("recount of {}: differences: none over 2 minutes, 8 cells", input.display()),
        ],
    );
    assert!(verified.failure().is_none());
}

#[test]
fn every_changed_byte_is_found() {
    let job = job();
    for log in ["counts", "ranks", "rejects", "ledger"] {
        let path = log_path(job.path(), "ads", log);
        let bytes = fs::read(&path).unwrap();
        // Without its end the last line of a ledger is a commit that was not made.
        let end = bytes.len() - usize::from(log == "ledger");
        let last_line = bytes[..end].iter().rposition(|byte| *byte == b'\n').unwrap();
        for at in 0..end {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            fs::write(&path, &changed).unwrap();
            let found = verified(job.path()).faults;
            let line = String::from_utf8_lossy(&changed[at.min(last_line)..]).into_owned();
            // Nothing else says at what epoch nothing more was told.
            let epoch = log == "ledger"
                && at > last_line
                && !line.contains(r#""epoch":"2026-01-01T12:02:15Z""#);
            assert!(found > 0 || epoch, "byte {at} of {log}: {line}");
        }
        fs::write(&path, &bytes).unwrap();
    }
}

#[test]
fn a_changed_row_is_named() {
    let found = damaged("counts", |lines| lines[5] = lines[5].replace("\"was\":2", "\"was\":1"));
    assert!(found[0].ends_with("10 counts, 6 ranks, 1 reject: 1 fault"), "{found:?}");
    assert_eq!(found[1], "commit 2: row 2 of counts was changed: it was 1, but 2 were told before");
    let found = damaged("ranks", |lines| lines[0] = lines[0].replace("final", "finax"));
    assert!(
        found[1].starts_with("commit 1: row 1 of ranks was changed: it is no row"),
        "{found:?}"
    );
    let found = damaged("rejects", |lines| lines[0] = lines[0].replace("no", "on"));
    let told = "commit 2: its digest is not that of its rows: one in bytes ";
    assert!(found[1].starts_with(told), "{found:?}");
    assert!(
        found[1].ends_with("bytes 0 to 112 of rejects, or the digest, was changed"),
        "{found:?}"
    );
}

#[test]
fn a_missing_row_is_one_fault_of_its_commit() {
    let found = damaged("counts", |lines| drop(lines.remove(1)));
    assert_eq!(found[1], "commit 1: counts has 3 rows where it states 4: rows are missing");
    // The next change of the cell says which it was.
    assert_eq!(found[2], "commit 2: row 2 of counts: it was 2, but 0 were told before");
    assert_eq!(found.len(), 3, "{found:?}");
    let found = damaged("counts", |lines| drop(lines.pop()));
    assert_eq!(found[1], "commit 3: counts has 3 rows where it states 4: rows are missing");
    let found = damaged("ranks", Vec::clear);
    assert_eq!(found[1], "commit 1: ranks has 0 rows where it states 2: rows are missing");
}

#[test]
fn a_doubled_row_is_named() {
    let found = damaged("counts", |lines| lines.insert(2, lines[1].clone()));
    assert_eq!(
        found[1..],
        [
            "commit 1: counts has 5 rows where it states 4: there are too many",
            "commit 1: row 3 of counts was changed: it is there twice",
        ],
    );
}

#[test]
fn a_missing_commit_is_named() {
    let found = damaged("ledger", |lines| drop(lines.remove(2)));
    assert_eq!(found[1..], ["commit 2 is missing from the ledger: commit 3 follows 1"]);
    let found = damaged("ledger", |lines| drop(lines.remove(1)));
    assert_eq!(found[1..], ["commit 1 is missing from the ledger: commit 2 follows 0"]);
}

/// What is left is checked by all that does not rest on the line that opens the job.
#[test]
fn a_ledger_without_its_first_lines_is_checked_from_there_on() {
    for gone in 1..=3 {
        let cut = |lines: &mut Vec<String>| drop(lines.drain(..gone));
        let found = damaged("ledger", cut);
        let told = format!("the ledger begins with commit {gone}: what precedes it is gone");
        assert!(found[1].starts_with(&told), "{found:?}");
        assert_eq!(found.len(), 2, "{found:?}");
    }
    let found = damaged("ledger", |lines| {
        lines.remove(0);
        lines[1] = lines[1].replace("\"late\":1", "\"late\":0");
    });
    assert!(
        found[2].starts_with("commit 3: its `previous` is not the hash of line 2"),
        "{found:?}"
    );
    let found = damaged("ledger", |lines| lines[0] = "{}".to_owned());
    assert!(found[1].starts_with("line 1 of the ledger opens no job"), "{found:?}");
}

#[test]
fn a_changed_commit_is_named() {
    let found = damaged("ledger", |lines| lines[2] = lines[2].replace("\"late\":1", "\"late\":0"));
    let told =
        "commit 3: its `previous` is not the hash of line 3 of the ledger: that line was changed";
    assert_eq!(found[1..], [told]);
    let found =
        damaged("ledger", |lines| lines[2] = lines[2].replace("\"commit\":2", "\"commit\":7"));
    let told = "line 3 of the ledger was changed: it is in its place, but has another number";
    assert_eq!(found[1..], [told]);
    let found = damaged("ledger", |lines| lines.insert(2, lines[1].clone()));
    assert_eq!(found[1..], ["commit 1: the ledger has it twice"]);
    let found = damaged("ledger", |lines| lines[2] = "{}".to_owned());
    assert!(found[1].starts_with("line 3 of the ledger is no commit"), "{found:?}");
    assert_eq!(found.len(), 2, "{found:?}");
    let found =
        damaged("ledger", |lines| lines[3] = lines[3].replace("\"clicks\":6", "\"clicks\":7"));
    assert_eq!(
        found[1],
        "commit 3: 7 records are not 7 clicks, 0 duplicates, 1 rejected and 0 skipped"
    );
}

#[test]
fn what_was_not_committed_is_said_and_no_fault() {
    let job = job();
    let ledger = log_path(job.path(), "ads", "ledger");
    let bytes = fs::read(&ledger).unwrap();
    fs::write(&ledger, &bytes[..bytes.len() - 10]).unwrap();
    let verified = verify(job.path(), None);
    assert_eq!(verified.faults, 0, "{verified:?}");
    assert!(verified.lines[0].contains("2 commits up to 2026-01-01T12:02:00Z"), "{verified:?}");
    assert!(verified.lines[1].contains("bytes of a commit that was not made"), "{verified:?}");
    assert!(verified.lines[2].contains("bytes lie beyond the last commit"), "{verified:?}");
}

#[test]
fn a_list_that_is_not_what_the_counts_say_is_named() {
    // A job that tells wrong lists, and commits them faithfully.
    let job = job();
    let mut rows = rows();
    rows[0].ranks.bytes = String::from_utf8(rows[0].ranks.bytes.clone())
        .unwrap()
        .replacen(r#""clicks":1}"#, r#""clicks":2}"#, 1)
        .into_bytes();
    let path = log_path(job.path(), "ads", "ledger");
    let ledger = fs::read_to_string(&path).unwrap();
    let keep: Vec<&str> = ledger.lines().take(2).collect();
    let right = digest(&self::rows()[0]);
    let ledger = keep.join("\n").replace(&right, &digest(&rows[0])) + "\n";
    fs::write(&path, ledger).unwrap();
    let ranks = rows[0].ranks.bytes.clone();
    fs::write(log_path(job.path(), "ads", "ranks"), ranks).unwrap();
    let verified = verify(job.path(), None);
    assert_eq!(
        verified.lines[1].trim_start(),
        "the list of filter 0, window 1, minute 2026-01-01T12:00:00Z: place 2 has \"b\" with 2, \
         but by the counts \"b\" with 1",
    );
}

#[test]
fn differences_from_the_recount_are_listed() {
    let job = job();
    let input = INPUT.map(|line| {
        line.replace(
            r#""b","click_timestamp":"2026-01-01T12:00:50"#,
            r#""c","click_timestamp":"2026-01-01T12:00:50"#,
        )
    });
    fs::write(job.path().join("in/p0.jsonl"), input.join("\n") + "\nmore\n").unwrap();
    fs::write(job.path().join("in/p1.jsonl"), "").unwrap();
    let verified = verified(job.path());
    let head = format!(
        "recount of {}: 4 differences over 2 minutes, 8 cells",
        job.path().join("in").display()
    );
    assert_eq!(verified.lines[1], head);
    let minute = "minute 2026-01-01T12:00:00Z";
    assert_eq!(
        verified.lines[2..],
        [
            format!("  ad \"b\", {minute}, filter 0: 1 told, 0 recounted"),
            format!("  ad \"b\", {minute}, filter 1: 1 told, 0 recounted"),
            format!("  ad \"c\", {minute}, filter 0: 0 told, 1 recounted"),
            format!("  ad \"c\", {minute}, filter 1: 0 told, 1 recounted"),
            "  p0.jsonl goes on after the last commit".to_owned(),
            "  p1.jsonl is no partition of the job yet".to_owned(),
        ],
    );
    fs::write(job.path().join("in/p0.jsonl"), INPUT[..3].join("\n")).unwrap();
    let lines = self::verified(job.path()).lines;
    assert_eq!(lines[2], "  p0.jsonl ends at line 3, but was counted up to line 7");
    fs::remove_file(job.path().join("in/p0.jsonl")).unwrap();
    let lines = self::verified(job.path()).lines;
    assert_eq!(lines[2], "  p0.jsonl is missing, but was counted up to line 7");
}
