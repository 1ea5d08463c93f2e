//! What a job has told is held against the raw log, in bounded memory, and every difference found.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use clicks::commit::sha256_hex;
use clicks_dataflows::ledger::{Commit, Lengths};
use clicks_dataflows::told::CountRow;

use crate::support::binary::{LIVELY, Place};
use crate::support::kafka::{Topic, TopicJob, lively};

/// Clicks in two partitions from noon on, some of them copies, late, or none.
fn generated(clicks: u64, flags: &str) -> Place {
    let place = Place::new();
    let late = if flags.contains("--late ") { "" } else { "--late 0.05" };
    place.succeed(&format!(
        "generate --to in --clicks {clicks} --partitions 2 --start 2026-01-01T12:00:00Z \
         --duplicates 0.05 {late} --malformed 0.01 {flags}",
    ));
    place
}

fn archive(place: &Place, flags: &str) {
    place.succeed(&format!("archive --input in --raw raw --size 100KB {flags}"));
}

/// Changes rows of `counts`, and forges the ledger so that lengths, digests and hashes are right.
pub fn forge(place: &Place, change: impl FnOnce(&mut Vec<Vec<CountRow>>)) {
    let text = |log: &str| String::from_utf8(place.bytes(&format!("out/ads.{log}.jsonl"))).unwrap();
    let [counts, ranks, rejects] = ["counts", "ranks", "rejects"].map(text);
    let mut commits = place.commits("ads");
    let mut lines = counts.lines();
    let mut rows: Vec<Vec<CountRow>> = commits
        .iter()
        .map(|commit| {
            let its = lines.by_ref().take(usize::try_from(commit.counts).unwrap());
            its.map(|line| serde_json::from_str(line).unwrap()).collect()
        })
        .collect();
    change(&mut rows);
    let opening = text("ledger").lines().next().unwrap().to_owned();
    let (mut ledger, mut all, mut before) = (vec![opening], String::new(), Lengths::default());
    for (commit, rows) in commits.iter_mut().zip(&rows) {
        let line = |row: &CountRow| serde_json::to_string(row).unwrap() + "\n";
        let told: String = rows.iter().map(line).collect();
        all += &told;
        let lengths = commit.lengths.unwrap();
        let slice = |text: &str, from: u64, to: u64| {
            text[usize::try_from(from).unwrap()..usize::try_from(to).unwrap()].to_owned()
        };
        let ranks = slice(&ranks, before.ranks, lengths.ranks);
        let rejects = slice(&rejects, before.rejects, lengths.rejects);
        before = lengths;
        commit.lengths = Some(Lengths { counts: all.len() as u64, ..lengths });
        commit.counts = rows.len() as u64;
        commit.digest = sha256_hex(&[told.as_bytes(), ranks.as_bytes(), rejects.as_bytes()]);
        commit.previous = sha256_hex(&[ledger.last().unwrap().as_bytes()]);
        ledger.push(serde_json::to_string::<Commit>(commit).unwrap());
    }
    fs::write(place.path("out/ads.counts.jsonl"), all).unwrap();
    fs::write(place.path("out/ads.ledger.jsonl"), ledger.join("\n") + "\n").unwrap();
}

/// A difference as it is printed.
fn difference(row: &CountRow, told: u64, recounted: u64) -> String {
    let minute = serde_json::to_value(row).unwrap()["minute"].to_string();
    format!(
        "{{\"ad_id\":\"{}\",\"minute\":{minute},\"filter\":{},\"told\":{told},\
         \"recounted\":{recounted}}}\n",
        row.ad_id, row.filter,
    )
}

#[test]
fn what_was_told_is_what_the_raw_log_holds() {
    for (seed, set) in [
        (1, ""),
        (2, "--set job.emit=changes"),
        (3, "--set job.lateness=0s --set job.horizon=1m --set job.correct_every=10s"),
        (4, "--set job.copies=partition --set job.refresh=100ms"),
        (5, "--set job.identity=none"),
    ] {
        let place = generated(20_000, &format!("--seed {seed} --per-second 20 --ads 50"));
        archive(&place, "");
        place.succeed(&format!("run --input in --output out --job ads {set}"));
        let told = place.succeed("reconcile out --job ads --raw raw").stdout;
        assert!(told.starts_with("job ads: differences: none over "), "{set}: {told}");
        let few = place.succeed("reconcile out --raw raw --memory 64KB --spill .").stdout;
        assert_eq!(few, told, "{set}");
    }
}

/// The law over topics: with all that sleep and restarts have decided.
#[test]
fn a_live_job_over_topics_is_reconciled_with_what_was_archived() {
    let mut job = TopicJob::new(lively(), 3);
    let running = job.start();
    for _ in 0..4 {
        job.feed();
        job.wait_for_all();
    }
    running.terminate();
    let Topic { brokers, name } = &job.input;
    job.place().succeed(&format!(
        "archive --input kafka:{name} --raw raw -b {brokers} --config clicks.toml --once"
    ));
    let reconcile = format!("reconcile kafka: --job {} --raw raw -b {brokers}", job.name);
    let told = job.place().succeed(&reconcile).stdout;
    assert!(told.contains("differences: none over"), "{told}");
}

#[test]
fn a_row_that_is_altered_missing_or_added_is_named() {
    let place = generated(5_000, "--per-second 20 --ads 50");
    archive(&place, "");
    place.succeed("run --input in --output out --job ads");
    let whole = ["counts", "ledger"].map(|log| format!("out/ads.{log}.jsonl"));
    let whole = whole.map(|file| (place.path(&file), place.bytes(&file)));
    let reconcile = || place.run("reconcile out --job ads --raw raw").with(3);
    let mut expected = String::new();
    forge(&place, |rows| {
        let row = rows[0].iter_mut().rev().find(|row| row.clicks > 1).unwrap();
        expected = difference(row, row.clicks + 7, row.clicks);
        row.clicks += 7;
    });
    let ended = reconcile().naming(&["job ads: 1 difference over "]);
    assert_eq!(ended.stdout, expected);
    whole.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());

    forge(&place, |rows| {
        let gone = rows[0].remove(17);
        expected = difference(&gone, 0, gone.clicks);
    });
    assert_eq!(reconcile().stdout, expected);
    whole.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());

    forge(&place, |rows| {
        let mut added = rows[0][17].clone();
        added.ad_id = "nobody's".into();
        expected = difference(&added, added.clicks, 0);
        rows[0].insert(17, added);
    });
    assert_eq!(reconcile().stdout, expected);

    forge(&place, |rows| rows.iter_mut().flatten().for_each(|row| row.clicks += 1));
    let ended = place.run("reconcile out --job ads --raw raw --top 3").with(3);
    assert_eq!(ended.stdout.lines().count(), 3);
    assert!(ended.stderr.contains("are not shown"), "{}", ended.stderr);
}

#[test]
fn a_raw_log_with_a_segment_less_is_refused() {
    let place = generated(20_000, "--per-second 20");
    archive(&place, "");
    place.succeed("run --input in --output out --job ads");
    let segments = place.segments();
    let half: Vec<&PathBuf> = segments[..segments.len() / 2].iter().collect();
    let [first, middle, .., last] = half[..] else { panic!("{segments:?}") };
    // Without the last one it ends earlier, which is said; how far it goes is up to commits.
    for (gone, why) in
        [(first, "its first record"), (middle, "are missing before"), (last, "ends at offset")]
    {
        fs::rename(gone, place.path("gone")).unwrap();
        let ended = place.run("reconcile out --raw raw").naming(&[why]);
        assert!(gone == last || !ended.succeeded(), "without {}", gone.display());
        fs::rename(place.path("gone"), gone).unwrap();
    }
    place.succeed("reconcile out --raw raw");
}

/// A job that goes on, which has many commits: chunk after chunk is fed, read, and archived.
fn followed(chunks: usize, archived: usize) -> Place {
    let source = generated(12_000, "--per-second 5 --ads 20 --lateness 1m");
    let place = Place::new();
    let texts = [0, 1].map(|partition: usize| {
        let files = fs::read_dir(source.path("in")).unwrap().map(|file| file.unwrap().path());
        let mut files: Vec<PathBuf> = files.collect();
        files.sort();
        String::from_utf8_lossy(&fs::read(&files[partition]).unwrap()).into_owned()
    });
    let lines = texts.each_ref().map(|text| text.split_inclusive('\n').collect::<Vec<_>>());
    let running = place.start(&format!(
        "run --input in --output out --job ads --follow {LIVELY} --set job.horizon=3m \
         --set job.ahead_max=1m"
    ));
    let mut records = 0;
    for chunk in 0..chunks {
        for (lines, partition) in lines.iter().zip(0..) {
            let size = lines.len().div_ceil(chunks);
            let some = &lines[chunk * size..lines.len().min((chunk + 1) * size)];
            place.append(&format!("in/p{partition}.jsonl"), some.concat());
            records += some.len() as u64;
        }
        place.wait_for_records("ads", records);
        if chunk < archived {
            archive(&place, "");
        }
    }
    running.terminate();
    place
}

#[test]
fn a_range_is_exact_and_reads_only_what_it_needs() {
    let place = followed(12, 12);
    let all = place.succeed("reconcile out --raw raw").stdout;
    assert!(all.contains("differences: none"), "{all}");
    let range = "--from 2026-01-01T12:15:00Z --until 2026-01-01T12:20:00Z";
    let reconcile = format!("reconcile out --raw raw {range}");
    let told = place.succeed(&reconcile).stdout;
    assert!(told.contains("none over 5 minutes"), "{told}");
    // Neither what lies long before nor what lies long after is read.
    let segments = place.segments();
    for gone in [&segments[0], &segments[segments.len() / 2]] {
        fs::remove_file(gone).unwrap();
    }
    assert_eq!(place.succeed(&reconcile).stdout, told);
    place.run("reconcile out --raw raw").with(2).naming(&["its first record"]);
    let inside = |row: &CountRow| {
        ("2026-01-01T12:15:00Z".."2026-01-01T12:20:00Z").contains(&&*row.minute.to_string())
    };
    for (is_inside, code) in [(false, 0), (true, 3)] {
        forge(&place, |rows| {
            let row = rows.iter_mut().rev().flatten().find(|row| inside(row) == is_inside);
            row.unwrap().clicks += 1000;
        });
        place.run(&reconcile).with(code);
    }
    place.run(&format!("reconcile out --raw raw {range} --until 2026-01-01T12:15:00Z")).with(2);
}

#[test]
fn a_raw_log_that_ends_before_the_job_is_reconciled_as_far_as_it_goes() {
    let place = followed(6, 4);
    let ended = place.succeed("reconcile out --raw raw").naming(&["reconciled up to commit "]);
    assert!(ended.stdout.contains("differences: none over "), "{}", ended.stdout);
}

/// Under each lateness as many are late, and as many corrections told, as the curve says.
#[test]
fn the_lateness_curve_is_what_a_job_with_that_lateness_tells() {
    for emit in ["final", "changes"] {
        let place = generated(10_000, "--per-second 20 --ads 20 --lateness 1m --late 0.2");
        archive(&place, "");
        let set = format!("--set job.emit={emit} --set job.correct_every=30s");
        place.succeed(&format!("run --input in --output out --job ads {set}"));
        let told = place.succeed("reconcile out --job ads --raw raw --curve").stdout;
        let mut seen = BTreeMap::new();
        for line in told.lines().skip(2) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [lateness, late, _, "%", corrections] = words[..] else { panic!("{line}") };
            let job = format!("late-{lateness}");
            let run = format!("run --input in --output out --job {job} {set}");
            place.succeed(&format!("{run} --set job.lateness={lateness}"));
            let commits = place.commits(&job);
            let rows = String::from_utf8(place.rows(&job)[0].clone()).unwrap();
            let told = rows.lines().filter(|row| row.contains("\"state\":\"correction\""));
            let found = (commits.last().unwrap().totals.late, told.count() as u64);
            assert_eq!((late.parse().unwrap(), corrections.parse().unwrap()), found, "{line}");
            seen.insert(lateness.to_owned(), found);
        }
        assert_eq!(seen.len(), 12, "{told}");
        assert!(seen["0s"] > seen["15s"] && seen["15s"] > seen["1h"], "{seen:?}");
    }
}

/// A disk that is full is no panic and no difference; the directory is named.
#[test]
fn a_full_disk_ends_it_and_is_named() {
    let place = generated(50_000, "--per-second 100");
    archive(&place, "");
    place.succeed("run --input in --output out --job ads");
    let clicks = env!("CARGO_BIN_EXE_clicks");
    let limited = format!(
        "trap '' XFSZ; ulimit -f 100; exec {clicks} reconcile out --raw raw --memory 64KB --spill ."
    );
    let ended = Command::new("sh").args(["-c", &limited]).current_dir(place.path("")).output();
    let ended = ended.unwrap();
    let words = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{words}");
    assert!(words.contains("rows to be sorted in ."), "{words}");
}

#[test]
fn memory_is_bounded_whatever_is_counted() {
    let place = generated(1_000_000, "--ads 1000 --per-second 2000");
    place.succeed("archive --input in --raw raw --size 2MB");
    place.succeed("run --input in --output out --job ads");
    let [bounded, unbounded] = ["--memory 2MB --spill .", "--memory 1GB"]
        .map(|flags| place.peak_kib(&format!("reconcile out --raw raw {flags}")));
    eprintln!("a million clicks: {bounded} KiB in 2 MB, {unbounded} KiB in 1 GB");
    assert!(bounded + 40_000 < unbounded, "{bounded} KiB in 2 MB, {unbounded} KiB in 1 GB");
}
