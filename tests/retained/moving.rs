//! Who reads or writes while segments move goes on as if they stayed.

use clicks_replay::raw::{Catalog, Reading, Step, Store, Wanted};

use super::{ALL, ARCHIVE, Log, PARTITIONS};
use crate::support::binary::wait_for;
use crate::support::kafka::wait_for_stop;

/// The records of the first partition of `log`, read by `reading` from where it is.
fn rest(reading: &mut Reading) -> Vec<u8> {
    let (mut read, mut value) = (Vec::new(), Vec::new());
    loop {
        match reading.step().unwrap() {
            Step::Waiting => std::thread::yield_now(),
            Step::End(_) => return read,
            Step::Rows(mut rows) => {
                while let Some(batch) = rows.batch().unwrap() {
                    for row in 0..batch.len() {
                        read.extend(batch.value(row, &mut value).unwrap_or_default());
                        read.push(b'\n');
                    }
                }
            }
        }
    }
}

#[test]
fn a_reading_that_began_before_the_first_segments_moved_goes_on() {
    let log = Log::new();
    let root = log.place.path("raw");
    let store = Store::open(root.to_str().unwrap(), [], std::time::Duration::ZERO).unwrap();
    let catalog = Catalog::read(&store, None).unwrap();
    let segments = catalog.partitions.values().next().unwrap();
    let mut reading = Reading::new(&store, segments, 0, Wanted::Everything).unwrap();
    log.place.succeed(ALL);
    assert!(rest(&mut reading) == log.place.bytes("in/clicks-0.jsonl"));
}

#[test]
fn all_is_read_at_every_moment_while_segments_move() {
    let log = Log::new();
    log.place.succeed("run --input in --output out --job live");
    log.copy("raw", "sound");
    for round in 0..3 {
        log.begin_anew();
        let mut running = log.place.start(ALL);
        loop {
            let ended = running.has_ended();
            log.assert_whole();
            if ended {
                break;
            }
        }
        running.end().with(0);
        let replay = format!("replay --raw raw --output out --job told-{round}");
        let retain = log.place.start(ALL);
        log.place.succeed(&replay);
        log.place.assert_same_rows("live", &format!("told-{round}"));
        retain.end().with(0);
    }
}

#[test]
fn an_archive_that_runs_on_writes_on_after_what_has_moved() {
    let log = Log::part(1);
    let following = log.place.start(&format!("{ARCHIVE} --follow --roll 10ms"));
    for part in 1..4 {
        log.feed(part, part + 1);
        let lines = |partition: usize| log.place.bytes(&format!("in/clicks-{partition}.jsonl"));
        wait_for("all records", || {
            log.place.succeed(ALL);
            let kept = |at: usize| log.place.succeed(&format!("raw cat raw -p {at}")).printed;
            (0..PARTITIONS).all(|at| kept(at) == lines(at)).then_some(())
        });
    }
    following.terminate();
    log.assert_whole();
    assert!(!log.segments("cold").is_empty());
}

/// Otherwise it would be there twice; and where the other archiver ended it earlier or later,
/// another under the same name.
#[test]
fn an_archiver_that_was_overtaken_finds_what_it_would_write_in_the_cold_store() {
    let log = Log::part(1);
    log.place.succeed(ALL);
    log.feed(1, 2);
    let late = log.place.start_with(ARCHIVE, &[("CLICKS_FAILPOINT", "segment-sealed")]);
    wait_for_stop(&late, "segment-sealed");
    log.feed(2, 4);
    log.place.succeed(ARCHIVE);
    log.place.succeed(ALL);
    let hot = log.segments("raw");
    late.signal("CONT");
    late.end().with(0).naming(&["is there already"]);
    assert_eq!(log.segments("raw"), hot);
    log.assert_whole();
}

#[test]
fn several_runs_at_once_cost_work_and_no_record() {
    let log = Log::part(1);
    log.place.succeed(ALL);
    for part in 1..4 {
        log.feed(part, part + 1);
        log.place.succeed(ARCHIVE);
        let runs = [(); 3].map(|()| log.place.start(ALL));
        runs.into_iter().for_each(|running| drop(running.end().with(0)));
        log.assert_whole();
        assert_eq!(log.segments("raw").len(), PARTITIONS);
    }
}
