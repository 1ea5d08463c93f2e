//! A replay tells the part of the past that was asked for, as the whole job tells it.

use crate::golden::shell::{Results, Shell, click, json};

/// Twenty minutes of three ads in two partitions, with disorder, late clicks, copies and rejects.
fn recorded() -> Shell {
    let time = |second: u64| format!("12:{:02}:{:02}", second / 60, second % 60);
    let mut partitions = [Vec::new(), Vec::new()];
    for at in 0..400_u64 {
        let late = if at % 29 == 7 { 95 } else { at % 4 };
        let ad = ["a", "b", "c"][usize::try_from(at * at % 7 % 3).unwrap()];
        let click = click(ad, &time((3 * at).saturating_sub(late)));
        let lines = &mut partitions[usize::from(at % 3 == 0)];
        lines.push(click);
        match at % 50 {
            11 => lines.push("{".to_owned()),
            12 => lines.push(String::new()),
            _ => {}
        }
    }
    let copy = r#"{"ad_id":"c","click_timestamp":"2026-01-01T12:08:30Z","click_id":"x"}"#;
    partitions[0].insert(120, copy.to_owned());
    partitions[1].insert(100, copy.to_owned());
    let shell = Shell::new();
    shell.write_lines("in/p0.jsonl", &partitions[0]);
    shell.write_lines("in/p1.jsonl", &partitions[1]);
    shell
}

/// The time of a row, as it is written: those of one day sort like text.
fn at(row: &str, key: &str) -> String {
    json(row)[key].as_str().unwrap()[11..19].to_owned()
}

/// The rows of which `is_asked` is true of the minute and the epoch.
fn part(rows: &[String], is_asked: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let asked = rows.iter().filter(|row| is_asked(&at(row, "minute"), &at(row, "epoch")));
    asked.cloned().collect()
}

/// Asserts that `told` is the part of `full` of which `is_asked` is true.
fn assert_part(told: &Results, full: &Results, is_asked: impl Fn(&str, &str) -> bool) {
    assert_eq!(told.counts, part(&full.counts, &is_asked));
    assert_eq!(told.ranks, part(&full.ranks, &is_asked));
}

const BOTH: [&str; 2] = ["", "--set job.emit=changes"];

#[test]
fn a_replay_of_all_is_what_was_run() {
    let shell = recorded();
    let full = shell.run("");
    let all = |_: &str, _: &str| true;
    assert!(full.total("late") > 5 && full.total("duplicates") == 1 && full.rejects.len() == 8);
    for (output, flags) in [
        ("default", ""),
        ("start", "--from start --until end"),
        ("workers", "--until end -w 2"),
        ("marks", "--marks-of out/ads"),
        ("zero", "--from 0=0,1=0"),
        ("first", "--from 1970-01-01T00:00:00Z"),
        ("beyond", "--until 2026-01-02T00:00:00Z"),
    ] {
        let told = shell.replay(output, flags);
        assert_part(&told, &full, all);
        assert_eq!(told.rejects, full.rejects, "{output}");
        for total in ["records", "clicks", "duplicates", "rejected", "skipped", "late"] {
            assert_eq!(told.total(total), full.total(total), "{output} {total}");
        }
    }
}

/// Only minutes from the time on are told, with lists that are whole, and as the full job told
/// them; clicks of earlier minutes are skipped, also those that come late.
#[test]
fn from_a_time() {
    for flags in BOTH {
        let shell = recorded();
        let full = shell.run(flags);
        for (from, first) in [
            ("12:00:00", "12:00:00"),
            ("12:07:00", "12:07:00"),
            ("12:08:31", "12:08:00"),
            ("12:19:59.999", "12:19:00"),
            ("13:00:00", "13:00:00"),
        ] {
            let told = shell.replay(from, &format!("--from 2026-01-01T{from}Z {flags}"));
            assert_part(&told, &full, |minute, _| minute >= first);
            assert_eq!(told.rejects, full.rejects);
            let is_told = part(&told.counts, |_, _| true);
            let sum = |rows: &[String]| -> u64 {
                let change = |row: &String| {
                    json(row)["clicks"].as_u64().unwrap() - json(row)["was"].as_u64().unwrap()
                };
                rows.iter().map(change).sum()
            };
            assert_eq!(told.total("clicks"), sum(&is_told), "from {from}");
            let parts = ["clicks", "duplicates", "skipped"].map(|total| told.total(total));
            let whole = full.total("clicks") + full.total("duplicates");
            assert_eq!(parts.iter().sum::<u64>(), whole, "from {from}");
        }
    }
}

/// The asked minutes are final, as the full job told them; nothing is told beyond their settling.
#[test]
fn until_a_time() {
    for flags in BOTH {
        let shell = recorded();
        let full = shell.run(flags);
        for (until, settled) in [
            ("12:01:00", "12:01:15"),
            ("12:07:00", "12:07:15"),
            ("12:07:00.001", "12:08:15"),
            ("12:20:00", "12:20:15"),
        ] {
            let told = shell.replay(until, &format!("--until 2026-01-01T{until}Z {flags}"));
            assert_part(&told, &full, |_, epoch| epoch <= settled);
            let last = told.ledger.last().unwrap();
            assert_eq!(
                (at(last, "epoch").as_str(), &json(last)["closed"]),
                (settled, &true.into())
            );
        }
    }
}

#[test]
fn between_two_times() {
    let shell = recorded();
    let full = shell.run("");
    let range = "--from 2026-01-01T12:05:00Z --until 2026-01-01T12:10:00Z";
    let told = shell.replay("again", &format!("{range} -w 2"));
    let is_asked = |minute: &str, epoch: &str| minute >= "12:05:00" && epoch <= "12:10:15";
    assert_part(&told, &full, is_asked);
    let minutes: Vec<String> = told.counts.iter().map(|row| at(row, "minute")).collect();
    assert!(minutes.iter().all(|minute| minute.as_str() < "12:10:00"), "{minutes:?}");
}

/// From an offset, as if the log began there; until one, as if it ended there.
#[test]
fn offsets_are_ends_of_the_log() {
    let shell = recorded();
    let lines = |partition: u32, range: std::ops::Range<usize>| -> Vec<String> {
        let text = std::fs::read_to_string(shell.path(&format!("in/p{partition}.jsonl"))).unwrap();
        let lines = text.lines().map(str::to_owned);
        lines.skip(range.start).take(range.len()).collect()
    };
    let all = 0..1000;
    for (output, range, first, second) in [
        ("from", "--from 1=60", all.clone(), 60..1000),
        ("both", "--from 0=100,1=60", 100..1000, 60..1000),
        ("until", "--until 0=100", 0..100, all.clone()),
        ("none", "--until 0=0,1=7", 0..0, 0..7),
        ("part", "--from 0=50,1=13 --until 1=80,0=51", 50..51, 13..80),
        ("over", "--until 0=100000", all.clone(), all.clone()),
        ("empty", "--from 0=30 --until 0=30", 0..0, all),
    ] {
        let told = shell.replay(output, range);
        let cut = Shell::new();
        cut.write_lines("in/p0.jsonl", lines(0, first));
        cut.write_lines("in/p1.jsonl", lines(1, second));
        let expected = cut.run("");
        assert_eq!(told.counts, expected.counts, "{range}");
        assert_eq!(told.ranks, expected.ranks, "{range}");
        assert_eq!(told.rejects.len(), expected.rejects.len(), "{range}");
    }
}

/// An offset from the other job's ledger comes with its clock: later minutes are told alike.
#[test]
fn from_an_offset_with_the_clock_of_another_job() {
    let shell = recorded();
    let full = shell.run("");
    let part_of = shell.replay("part", "--until 2026-01-01T12:05:00Z");
    let last = json(part_of.ledger.last().unwrap());
    let positions = last["positions"].as_array().unwrap();
    let offsets: Vec<String> =
        positions.iter().map(|p| format!("{}={}", p["partition"], p["offset"])).collect();
    let clock = positions.iter().map(|p| at(&p.to_string(), "clock")).max().unwrap();

    let flags = format!("--from {} --marks-of part/ads", offsets.join(","));
    let told = shell.replay("again", &flags);
    assert_eq!(json(&told.ledger[0])["positions"], last["positions"]);
    let records = full.total("records") - part_of.total("records");
    assert_eq!(told.total("records"), records);
    let later = |rows: &[String]| part(rows, |minute, _| minute > clock.as_str());
    assert!(later(&full.counts).len() > 10, "{clock}");
    assert_eq!(later(&told.counts), later(&full.counts));

    let words = "replay --input in --output other --marks-of out/ads --from 0=3";
    let ended = shell.clicks(words);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("no commit of job ads stands there"), "{}", ended.stderr);
}

#[test]
fn positions_that_cannot_be() {
    let shell = recorded();
    shell.run("");
    for (flags, told) in [
        ("--from end", "--from end"),
        ("--until start", "--until start"),
        ("--from 7=0", "there is no partition 7"),
        ("--until 7=0", "there is no partition 7"),
        ("--from yesterday", "--from"),
        ("--from 0=-1", "--from"),
        ("--until 2026-01-01T12:00:00Z --from 2026-01-01T12:00:00Z", "--until is not after --from"),
        ("--until 2026-01-01T11:00:00Z --from 2026-01-01T12:00:00Z", "--until is not after --from"),
        ("--marks-of out/other", "there is no job other in out"),
        ("--marks-of nowhere/ads", "there is no job ads in nowhere"),
        ("--marks-of out/ads --set job.refresh=500ms", "refresh"),
        ("--marks-of out/ads --set input.format=csv", "format"),
        ("--marks-of out/ads --set input.fields.user_id=u", "fields"),
        ("--marks-of out/ads --set input.fields.log_time=at", "fields"),
    ] {
        let ended = shell.clicks(&format!("replay --input in --output again {flags}"));
        assert_eq!(ended.code, Some(2), "{flags}: {ended:?}");
        assert!(ended.stderr.contains(told), "{flags}: {}", ended.stderr);
        assert!(!shell.path("again/clicks.ledger.jsonl").exists(), "{flags}");
    }
    shell.replay("later", "--marks-of out/ads --set job.lateness=1m --set job.top=1");
}

/// Offsets that leave nothing between them are wrong usage, not a file that was cut.
#[test]
fn an_end_before_the_beginning() {
    let shell = recorded();
    for flags in ["--from 0=30 --until 0=20", "--from 0=1000", "--from 0=1000,1=1000"] {
        let ended = shell.clicks(&format!("replay --input in --output again {flags}"));
        assert_eq!(ended.code, Some(2), "{flags}: {ended:?}");
        assert!(ended.stderr.contains("--from"), "{flags}: {}", ended.stderr);
        assert!(!shell.path("again/clicks.ledger.jsonl").exists(), "{flags}");
    }
}

/// A partition that the other job has read is missed.
#[test]
fn marks_need_the_partitions_that_they_are_of() {
    let shell = recorded();
    shell.run("");
    std::fs::remove_file(shell.path("in/p0.jsonl")).unwrap();
    let ended = shell.clicks("replay --input in --output again --marks-of out/ads");
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("p0.jsonl is missing"), "{}", ended.stderr);
}

/// A replay that is closed is not taken for one of another part.
#[test]
fn a_closed_replay_is_not_asked_for_more() {
    let shell = recorded();
    let until = |time: &str| format!("--until 2026-01-01T{time}Z");
    let told = shell.replay("again", &until("12:05:00"));
    assert_eq!(shell.replay("again", &until("12:05:00")), told);
    for more in [until("12:10:00"), "--until end".to_owned(), "--from 0=5".to_owned()] {
        let ended = shell.clicks(&format!("replay --input in --output again --job ads {more}"));
        assert_eq!(ended.code, Some(2), "{more}: {ended:?}");
    }
}
