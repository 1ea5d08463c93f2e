//! A raw log whose old segments have moved to a cheaper store is read as one, each record once.

mod killed;
mod moving;
mod refused;
mod removed;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clicks::worker::wall_ms;
use clicks_dataflows::time::Time;

use crate::support::binary::Place;

/// Moves all that may be.
const ALL: &str = "raw retain raw --hot 30d --cold cold";

/// What takes all clicks that there are in `in`.
const ARCHIVE: &str = "archive --input in --raw raw";

/// Partitions of what is archived.
const PARTITIONS: usize = 2;

/// A directory of clicks, the raw log of it, and its cold store.
struct Log {
    place: Place,
}

impl Log {
    /// Clicks from 12:00 to 17:37 of a day long ago, of which the first part is archived: a segment
    /// of each hour from 11 on and of each partition.
    fn part(part: usize) -> Log {
        let log = Log { place: Place::new() };
        log.place.succeed(
            "generate --to all --clicks 20000 --ads 50 --seed 5 --partitions 2 --per-second 1 \
             --start 2026-01-01T12:00:00Z",
        );
        log.feed(0, part);
        log.place.succeed(ARCHIVE);
        log
    }

    /// All clicks are archived.
    fn new() -> Log {
        Log::part(4)
    }

    /// Appends the lines of each file from one quarter to another.
    fn feed(&self, from: usize, to: usize) {
        for partition in 0..PARTITIONS {
            let all = self.place.bytes(&format!("all/clicks-{partition}.jsonl"));
            let lines: Vec<&[u8]> = all.split_inclusive(|byte| *byte == b'\n').collect();
            let cut = |quarter| lines.len() * quarter / 4;
            let some = lines[cut(from)..cut(to)].concat();
            self.place.append(&format!("in/clicks-{partition}.jsonl"), some);
        }
    }

    /// Asserts that the raw log has each record of `in` once, and each byte as it was written.
    fn assert_whole(&self) {
        let check = self.place.succeed("raw check raw").stdout;
        assert!(check.contains("complete and unaltered"), "{check}");
        for partition in 0..PARTITIONS {
            let kept = self.place.succeed(&format!("raw cat raw -p {partition}")).printed;
            assert!(kept == self.place.bytes(&format!("in/clicks-{partition}.jsonl")));
        }
    }

    /// The names of the segments in a directory.
    fn segments(&self, directory: &str) -> Vec<String> {
        let files = self.tree(directory).into_keys().map(|path| path.display().to_string());
        files.filter(|path| path.ends_with(".parquet")).collect()
    }

    /// All files below a directory, with what is in them.
    fn tree(&self, directory: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let root = self.place.path(directory);
        let mut files = BTreeMap::new();
        if root.is_dir() {
            walk(&root, &root, &mut files);
        }
        files
    }

    /// The raw log anew, as it was before `sound` was copied from it, and no cold store.
    fn begin_anew(&self) {
        for directory in ["raw", "cold"] {
            // It may not be there yet.
            let _ = fs::remove_dir_all(self.place.path(directory));
        }
        self.copy("sound", "raw");
    }

    fn copy(&self, from: &str, to: &str) {
        for (path, bytes) in self.tree(from) {
            let path = self.place.path(to).join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
}

fn walk(root: &Path, directory: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().to_owned();
            files.insert(name, fs::read(&path).unwrap());
        }
    }
}

/// The age of what happened at a time, such as `--hot` takes it.
fn since(time: &str) -> String {
    let Time(ms) = time.parse().unwrap();
    format!("{}ms", wall_ms() - ms)
}

/// The hours of segments, with their partitions.
fn hours(segments: &[String]) -> Vec<(String, String)> {
    let part = |path: &str, name: &str| {
        let (_, rest) = path.split_once(name).unwrap();
        rest.split_once('/').unwrap().0.to_owned()
    };
    segments.iter().map(|path| (part(path, "partition="), part(path, "hour="))).collect()
}

fn of_each(hours: &[&str]) -> Vec<(String, String)> {
    let of = |partition: usize| {
        hours.iter().map(move |hour| (partition.to_string(), (*hour).to_owned()))
    };
    (0..PARTITIONS).flat_map(of).collect()
}

#[test]
fn what_has_moved_is_read_with_what_has_not() {
    let log = Log::new();
    let place = &log.place;
    place.succeed("run --input in --output out --job live");
    let before = place.succeed("raw list raw --segments").stdout;
    let ended = place.succeed(ALL);
    assert!(ended.stdout.contains("moved 12 segments"), "{}", ended.stdout);
    assert_eq!(hours(&log.segments("cold")), of_each(&["11", "12", "13", "14", "15", "16"]));
    assert_eq!(hours(&log.segments("raw")), of_each(&["17"]), "the last stays, old as it is");

    log.assert_whole();
    assert_eq!(place.succeed("raw list raw --segments").stdout, before);
    place.succeed("replay --raw raw --output out --job told -w 2");
    place.assert_same_rows("live", "told");
    place.succeed("replay --raw raw --output out --job hour --from 2026-01-01T13:30:00Z");
    let reconciled = place.succeed("reconcile out --job live --raw raw").stdout;
    assert!(reconciled.contains("differences: none"), "{reconciled}");
    // Once more, nothing is left to do, and nobody needs to say where to.
    let ended = place.succeed("raw retain raw --hot 30d");
    assert!(ended.stdout.contains("moved 0 segments"), "{}", ended.stdout);
}

#[test]
fn what_ended_before_the_age_moves_and_nothing_else() {
    let log = Log::new();
    for (time, moved) in [
        ("2026-01-01T11:59:59Z", &[][..]),
        ("2026-01-01T13:59:00Z", &["11", "12"]),
        ("2026-01-01T14:00:00Z", &["11", "12", "13"]),
    ] {
        log.place.succeed(&format!("raw retain raw --hot {} --cold cold", since(time)));
        assert_eq!(hours(&log.segments("cold")), of_each(moved), "{time}");
        log.assert_whole();
    }
}

#[test]
fn an_archive_goes_on_after_what_has_moved() {
    let log = Log::part(1);
    log.place.succeed(ALL);
    for part in 1..4 {
        log.feed(part, part + 1);
        log.place.succeed(ARCHIVE);
        log.assert_whole();
        log.place.succeed(ALL);
        log.assert_whole();
    }
    assert_eq!(log.segments("raw").len(), PARTITIONS);
}

#[test]
fn a_dry_run_says_what_a_run_says_and_touches_nothing() {
    let log = Log::new();
    let arguments = [
        ALL.to_owned(),
        format!("{ALL} --segments"),
        format!("{ALL} --delete-after {}", since("2026-01-01T14:00:00Z")).replace("30d", "1d"),
        format!("raw retain raw --hot 1d --delete-after {}", since("2026-01-01T15:00:00Z")),
    ];
    for arguments in arguments {
        let (raw, cold) = (log.tree("raw"), log.tree("cold"));
        let dry = log.place.succeed(&format!("{arguments} --dry-run")).stdout;
        assert!(log.tree("raw") == raw && log.tree("cold") == cold, "{arguments}");
        log.place.succeed(&format!("{arguments} --dry-run"));
        let said = dry.replace("would move", "moved").replace("would remove", "removed");
        assert_eq!(log.place.succeed(&arguments).stdout, said, "{arguments}");
        assert!(dry.contains("would"), "{dry}");
    }
}
