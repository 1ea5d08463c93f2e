//! What was altered in a raw log is named by `raw check`, and no job counts it.

use std::fs;
use std::path::{Path, PathBuf};

use clicks_replay::raw::{Catalog, Place as Segment, Store, seal};

use crate::support::binary::Place;

/// A raw log of clicks, and what a job tells of them.
struct Log {
    place: Place,
    /// Paths of the segments of the first partition.
    segments: Vec<Segment>,
}

/// What a job makes of a damaged raw log.
#[derive(Clone, Copy)]
enum Then {
    /// It ends with this exit code, and names the file.
    Ends(i32),
    /// It reads none of what is damaged.
    TellsAll,
}

use Then::{Ends, TellsAll};

impl Log {
    fn new() -> Log {
        let place = Place::new();
        place.succeed(
            "generate --to in --clicks 20000 --ads 50 --seed 5 --partitions 2 --per-second 1 \
             --start 2026-01-01T12:00:00Z",
        );
        place.succeed("archive --input in --raw sound");
        place.succeed("run --input in --output out --job live");
        let sound = place.path("sound");
        let patience = std::time::Duration::from_secs(1);
        let store = Store::open(sound.to_str().unwrap(), [], patience).unwrap();
        let catalog = Catalog::read(&store, None).unwrap();
        let segments = catalog.partitions.into_values().next().unwrap();
        assert!(segments.len() > 3);
        Log { place, segments: segments.into_iter().map(|listed| listed.place).collect() }
    }

    /// The file of a segment in the copy that is damaged.
    fn file(&self, segment: usize) -> PathBuf {
        self.place.path("raw").join(self.segments[segment].path().as_ref())
    }

    /// Damages a copy, and asserts what is said of it, in which `said` is named.
    fn damaged(&self, damage: impl FnOnce(&Path), said: &[&str], then: Then) {
        let (raw, second) = (self.place.path("raw"), self.file(1));
        let _ = fs::remove_dir_all(&raw);
        let copy = std::process::Command::new("cp")
            .args(["-r", "sound", "raw"])
            .current_dir(self.place.path(""))
            .status();
        assert!(copy.unwrap().success());
        damage(&second);

        let check = self.place.run("raw check raw").with(3);
        for word in said {
            assert!(check.stdout.contains(word), "{word} is not named: {}", check.stdout);
        }
        let _ = fs::remove_dir_all(self.place.path("told"));
        let told = self.place.run("replay --raw raw --output told --job told");
        assert!(!told.stderr.contains("panicked"), "{}", told.stderr);
        match then {
            Ends(code) => drop(told.with(code).naming(&["raw/topic=in/partition=0"])),
            TellsAll => {
                told.with(0);
                for log in ["counts", "ranks", "rejects"] {
                    let ours = self.place.bytes(&format!("told/told.{log}.jsonl"));
                    assert!(ours == self.place.bytes(&format!("out/live.{log}.jsonl")), "{log}");
                }
            }
        }
    }
}

/// Changes the bytes of a file.
fn change(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(file).unwrap();
    change(&mut bytes);
    fs::write(file, bytes).unwrap();
}

/// Where `text` is last in a file.
fn last(bytes: &[u8], text: &str) -> usize {
    bytes.windows(text.len()).rposition(|found| found == text.as_bytes()).unwrap()
}

#[test]
fn bits_that_flip_are_named_and_not_counted() {
    let log = Log::new();
    let name = log.segments[1].path();
    let damaged = [name.as_ref(), "is damaged", "bring it back from a copy"];
    let flip = |at: &'static dyn Fn(&[u8]) -> usize, then| {
        let damage = |file: &Path| {
            change(file, |bytes| {
                let at = at(bytes);
                bytes[at] ^= 4;
            });
        };
        log.damaged(damage, &damaged, then);
    };
    flip(&|_| 0, TellsAll);
    // In pages of columns that a job reads.
    flip(&|_| 4, Ends(1));
    flip(&|_| 100, Ends(1));
    flip(&|_| 1000, Ends(1));
    // In the footer: what Parquet says, what clicks says, and its digests.
    flip(&|bytes| last(bytes, "click_timestamp"), Ends(1));
    flip(&|bytes| last(bytes, "\"clocks\"") + 20, Ends(1));
    flip(&|bytes| last(bytes, "clicks.xxh3") + 20, Ends(1));
    flip(&|bytes| last(bytes, "clicks.xxh3") + 40, Ends(1));
    flip(&|bytes| last(bytes, "clicks.sha256"), Ends(1));
    flip(&|bytes| last(bytes, "clicks.sha256") + 20, TellsAll);
    flip(&|bytes| bytes.len() - 8, Ends(1));
    flip(&|bytes| bytes.len() - 1, Ends(1));
}

#[test]
fn segments_that_are_cut_off_or_none_are_named_and_not_counted() {
    let log = Log::new();
    let name = log.segments[1].path();
    let damaged = [name.as_ref(), "is damaged", "does not end as a Parquet file does"];
    log.damaged(|file| change(file, |bytes| bytes.truncate(0)), &damaged, Ends(1));
    log.damaged(|file| change(file, |bytes| bytes.truncate(5)), &damaged, Ends(1));
    log.damaged(|file| change(file, |bytes| bytes.truncate(bytes.len() / 2)), &damaged, Ends(1));
    log.damaged(|file| change(file, |bytes| bytes.truncate(bytes.len() - 1)), &damaged, Ends(1));
    log.damaged(|file| fs::write(file, "PAR1 nothing of it PAR1").unwrap(), &damaged, Ends(1));
    let beside = |file: &Path| change(file, |bytes| bytes.insert(0, 0));
    log.damaged(beside, &[name.as_ref(), "is damaged"], Ends(1));
}

#[test]
fn segments_that_are_missing_doubled_or_elsewhere_are_named_and_not_counted() {
    let log = Log::new();
    let [first, second, third] = [0, 1, 2].map(|at| log.segments[at].path());
    let [next, after] = [log.segments[1].first, log.segments[2].first];
    let gone = format!("offsets {next} to {} are missing before", after - 1);
    log.damaged(|file| fs::remove_file(file).unwrap(), &[&gone, third.as_ref()], Ends(2));

    let elsewhere = |file: &Path| {
        let other = file.parent().unwrap().with_file_name("hour=23");
        fs::create_dir(&other).unwrap();
        other.join(file.file_name().unwrap())
    };
    let moved = [second.as_ref(), "it says that it is"];
    let copied = |file: &Path| {
        fs::copy(file, elsewhere(file)).unwrap();
    };
    log.damaged(copied, &moved, Ends(2));
    log.damaged(|file| fs::rename(file, elsewhere(file)).unwrap(), &moved, Ends(1));
    let named = |file: &Path| {
        let name = format!("{:020}.parquet", next + 1);
        fs::rename(file, file.with_file_name(name)).unwrap();
    };
    log.damaged(named, &moved, Ends(1));
    // The same segment once more, as a later one.
    let again = |file: &Path| {
        fs::copy(log.file(0), file).unwrap();
    };
    log.damaged(again, &[first.as_ref(), "it says that it is"], Ends(1));
}

#[test]
fn files_that_do_not_belong_there_are_named() {
    let log = Log::new();
    let foreign = |name: &'static str, text: &str, then| {
        let put = |file: &Path| fs::write(file.with_file_name(name), "").unwrap();
        log.damaged(put, &[name, text], then);
    };
    foreign("notes.txt", "is no segment", Ends(2));
    foreign("00000000000000000001.parquet.tmp", "is no segment", Ends(2));
    foreign("1.parquet", "is no segment", Ends(2));
    // What is hidden is passed over, so the check finds nothing.
    for name in ["_notes", ".notes"] {
        fs::write(log.place.path("sound").join(name), "").unwrap();
    }
    log.place.succeed("raw check sound");
}

#[test]
fn segments_of_a_later_version_ask_for_a_later_program() {
    let log = Log::new();
    let later = |file: &Path| {
        change(file, |bytes| {
            let at = last(bytes, "\"version\":1");
            bytes[at + 10] = b'9';
            seal(bytes, "segment").unwrap();
        });
    };
    let name = log.segments[1].path();
    log.damaged(later, &[name.as_ref(), "is of version 9", "use a later one"], Ends(2));
}

#[test]
fn rows_that_are_sealed_as_other_rows_are_named() {
    let log = Log::new();
    let name = log.segments[1].path();
    // Another number of records, of as many digits.
    let other = |file: &Path| {
        change(file, |bytes| {
            let at = last(bytes, "\"records\":") + 10;
            bytes[at] = if bytes[at] == b'9' { b'8' } else { bytes[at] + 1 };
            seal(bytes, "segment").unwrap();
        });
    };
    log.damaged(other, &[name.as_ref(), "rows, and says that they are"], Ends(1));
}
