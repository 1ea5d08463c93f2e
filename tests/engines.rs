//! Both engines tell the same, wherever the fast one keeps the clicks that it has seen.

use std::io;
use std::sync::Arc;

use clicks_dataflows::keep_first::shelf::{Row, Shelf};

use crate::support::binary::Place;
use crate::support::disk::ForgetfulDisk;
use crate::support::live::Arrivals;
use crate::support::run::{Committed, How, Nobody, PLAIN, job};
use crate::support::script::Script;

/// Many come late, and many twice: the clicks of settled minutes are asked for again and again.
const GENERATED: &str = "--seed 5 --clicks 150000 --partitions 3 --duplicates 0.05 --late 0.1 \
    --malformed 0.001 --per-second 100 --start 2026-01-01T12:00:00Z";

#[test]
fn both_engines_tell_the_same() {
    let place = Place::new();
    place.succeed(&format!("generate --to in {GENERATED}"));
    place.succeed("run --input in --output out --job fast -w 2 --engine fast");
    place.succeed("run --input in --output out --job simple --engine simple");
    place.assert_same_rows("fast", "simple");
    place.assert_verified("fast");
}

#[test]
fn clicks_seen_in_files_are_found_there() {
    let place = Place::new();
    place.succeed(&format!("generate --to in {GENERATED}"));
    std::fs::create_dir(place.path("seen")).unwrap();
    place.succeed("run --input in --output out --job memory");
    place.succeed("run --input in --output out --job files -w 2 --spill seen");
    place.assert_same_rows("memory", "files");
    let left = std::fs::read_dir(place.path("seen")).unwrap().count();
    assert_eq!(left, 0, "its files have no names");
}

#[test]
fn a_directory_that_takes_no_files_is_refused_before_anything_is_read() {
    let place = Place::new();
    place.succeed(&format!("generate --to in {GENERATED}"));
    let ended = place.run("run --input in --output out --job ads --spill nowhere");
    let _ = ended.with(2).naming(&["cannot keep seen clicks in nowhere"]);
    assert!(!place.path("out").exists());
}

/// A shelf on a disk that takes nothing.
struct Full;

impl Shelf for Full {
    fn begin(&mut self, _: u64) -> io::Result<Box<dyn Row>> {
        Err(io::Error::other("the disk is full"))
    }
}

/// What cannot be kept ends the run on all workers; what was committed is whole, and goes on.
#[test]
fn a_disk_that_fails_under_the_graph_ends_the_run() {
    let mut script = Script::with_lateness(0);
    for minute in 0..9 {
        for second in [20, 40] {
            let time = format!("12:0{minute}:{second}");
            script = script.click(1, &time).click_id(&time);
        }
    }
    for workers in [1, 2] {
        let disk = ForgetfulDisk::default();
        let how = How { workers, batch: 1, ..PLAIN };
        let run = |full: bool| {
            let mut job = job(&script, &disk, &Arrivals::complete(&script), how);
            if full {
                job.shelf = Arc::new(|| Ok(Box::new(Full)));
            }
            job.run(Box::new(Nobody))
        };
        let failure = run(true).unwrap_err().to_string();
        assert!(failure.contains("the disk is full"), "{failure}");
        run(false).unwrap();
        assert_eq!(Committed::read(&disk).told(), script.run().told());
    }
}
