//! The raw log in an object store: whole and told again, whatever connections, keys and other
//! archivers do.

mod faults;
mod refused;
mod retained;

use crate::support::binary::{Ended, Place, Running, wait_for};
use crate::support::kafka::wait_for_stop;
use crate::support::proxy::Proxy;
use crate::support::s3::S3;

const RAW: &str = "s3://clicks/raw";

/// Partitions of what is archived.
const PARTITIONS: usize = 2;

/// An archive of `in`.
const ARCHIVE: &str = "archive --input in --raw s3://clicks/raw";

/// What is said of a file that is on its way to this server, which lists it under a name of its own.
const PASSING: &str = "is no segment";

/// A directory of clicks, and a store.
struct Kept {
    place: Place,
    s3: S3,
}

impl Kept {
    fn on(s3: S3) -> Kept {
        let kept = Kept { place: Place::new(), s3 };
        kept.place.succeed(
            "generate --to all --clicks 10000 --ads 50 --seed 5 --partitions 2 --duplicates 0.05 \
             --late 0.05 --malformed 0.05 --per-second 1 --start 2026-01-01T12:00:00Z",
        );
        kept
    }

    /// All clicks are there.
    fn with_all(s3: S3) -> Kept {
        let kept = Kept::on(s3);
        kept.feed(0, 2);
        kept
    }

    fn behind_proxy() -> (Kept, Proxy) {
        let (s3, proxy) = S3::behind_proxy();
        (Kept::on(s3), proxy)
    }

    /// Appends the lines of each file from one half to another.
    fn feed(&self, from: usize, to: usize) {
        for partition in 0..PARTITIONS {
            let all = self.place.bytes(&format!("all/clicks-{partition}.jsonl"));
            let lines: Vec<&[u8]> = all.split_inclusive(|byte| *byte == b'\n').collect();
            let cut = |half| lines.len() * half / 2;
            let some = lines[cut(from)..cut(to)].concat();
            self.place.append(&format!("in/clicks-{partition}.jsonl"), some);
        }
    }

    /// Runs `clicks` to its end, with no file on its way to the server.
    fn run(&self, arguments: &str) -> Ended {
        wait_for("files to arrive", || {
            let ended = self.s3.run(&self.place, arguments);
            let passing = [&ended.stdout, &ended.stderr].iter().any(|said| said.contains(PASSING));
            (!passing).then_some(ended)
        })
    }

    fn begin(&self, arguments: &str) -> Running {
        self.s3.begin(&self.place, arguments)
    }

    /// What is kept of a partition.
    fn records(&self, partition: usize) -> Vec<u8> {
        let cat = self.run(&format!("raw cat {RAW} -p {partition}"));
        let nothing = ["has nothing of", "holds no segments"];
        match nothing.iter().any(|nothing| cat.stderr.contains(nothing)) {
            true => Vec::new(),
            false => cat.with(0).printed,
        }
    }

    /// Whether each record of `in` is kept once.
    fn is_whole(&self) -> bool {
        let records = |partition| self.place.bytes(&format!("in/clicks-{partition}.jsonl"));
        (0..PARTITIONS).all(|at| self.records(at) == records(at))
    }

    /// Asserts that each record of `in` is kept once, and that every byte is as it was written.
    fn assert_whole(&self) {
        assert!(self.is_whole());
        let check = self.run(&format!("raw check {RAW}")).with(0);
        assert!(check.stdout.contains("complete and unaltered"), "{}", check.stdout);
    }

    fn wait_until_whole(&self) {
        wait_for("all records", || self.is_whole().then_some(()));
    }
}

#[test]
fn an_object_store_keeps_all_records_and_a_job_tells_the_same_from_it() {
    let kept = Kept::with_all(S3::start());
    kept.run(ARCHIVE).with(0);
    kept.assert_whole();
    let segments = kept.run(&format!("raw list {RAW} --segments")).with(0).stdout;
    assert!(segments.lines().count() >= 6, "{segments}");
    kept.place.succeed("run --input in --output out --job live");
    kept.run(&format!("replay --raw {RAW} --output out --job told")).with(0);
    kept.place.assert_same_rows("live", "told");
    // Once more, nothing is left to do.
    kept.run(ARCHIVE).with(0).naming(&["archived 0 records"]);
    kept.assert_whole();
}

#[test]
fn an_archive_goes_on_where_its_store_ends() {
    let kept = Kept::on(S3::start());
    kept.feed(0, 1);
    kept.run(ARCHIVE).with(0);
    kept.assert_whole();
    let following = kept.begin(&format!("{ARCHIVE} --follow --roll 100ms"));
    kept.feed(1, 2);
    kept.wait_until_whole();
    following.terminate();
    kept.assert_whole();
}

#[test]
fn two_archivers_of_one_log_keep_each_record_once() {
    let kept = Kept::on(S3::start());
    let follow = format!("{ARCHIVE} --follow --roll 100ms");
    let mut both = [kept.begin(&follow), kept.begin(&follow)];
    for half in 0..2 {
        kept.feed(half, half + 1);
        wait_for("all records", || {
            for archive in &mut both {
                if archive.has_ended() {
                    assert!(archive.stderr().contains(PASSING), "{}", archive.stderr());
                    *archive = kept.begin(&follow);
                }
            }
            kept.is_whole().then_some(())
        });
    }
    for mut archive in both {
        if !archive.has_ended() {
            archive.terminate();
        }
    }
    kept.assert_whole();
}

#[test]
fn a_segment_that_is_there_is_not_put_over() {
    let mut kept = Kept::on(S3::start());
    kept.feed(0, 1);
    kept.s3.variables = vec![("CLICKS_FAILPOINT", "segment-sealed".to_owned())];
    let late = kept.begin(ARCHIVE);
    wait_for_stop(&late, "segment-sealed");
    kept.s3.variables.clear();
    kept.feed(1, 2);
    kept.run(ARCHIVE).with(0);
    let before = kept.run(&format!("raw list {RAW} --segments")).with(0).stdout;
    late.signal("CONT");
    late.end().with(0).naming(&["the same to the byte", "is there already: another archiver"]);
    assert_eq!(kept.run(&format!("raw list {RAW} --segments")).with(0).stdout, before);
    kept.assert_whole();
}
