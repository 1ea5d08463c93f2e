//! Killed at any step, a run loses nothing: each segment lies whole in one place at least.

use clicks::failpoint::RETAIN_STEPS;
use clicks_replay::raw::{Catalog, Store, check};

use super::{ALL, Log, hours, of_each, since};
use crate::support::binary::{Running, let_pass};
use crate::support::dice::Dice;
use crate::support::kafka::wait_for_stop;

/// Removes and moves.
fn both() -> String {
    format!("{ALL} --delete-after {}", since("2026-01-01T13:00:00Z"))
}

impl Log {
    fn start_to(&self, step: &str, arguments: &str) -> Running {
        let running = self.place.start_with(arguments, &[("CLICKS_FAILPOINT", step)]);
        wait_for_stop(&running, step.split(':').next().unwrap());
        running
    }

    /// What readers find, who need not know of two places.
    fn found(&self) -> (u64, Vec<String>) {
        let root = self.place.path("raw");
        let store = Store::open(root.to_str().unwrap(), [], std::time::Duration::ZERO).unwrap();
        let catalog = Catalog::read(&store, None).unwrap();
        catalog.check(&store).unwrap();
        let checked = check(&store, &catalog, true);
        assert_eq!(checked.faults, Vec::<String>::new());
        let segments = catalog.partitions.into_values().flatten();
        (checked.records, segments.map(|listed| listed.place.path().to_string()).collect())
    }
}

#[test]
fn killed_at_every_step_it_goes_on_and_each_record_is_there_once() {
    let log = Log::new();
    log.copy("raw", "sound");
    for step in RETAIN_STEPS.iter().filter(|step| **step != "segment-removed") {
        for times in [1, 2] {
            log.begin_anew();
            if times > 1 && step.starts_with("cold-") {
                continue;
            }
            log.start_to(&format!("{step}:{times}"), ALL).kill();
            log.assert_whole();
            log.place.succeed(ALL);
            log.assert_whole();
            assert_eq!(hours(&log.segments("raw")), of_each(&["17"]), "{step}");
            assert_eq!(log.segments("cold").len(), 12, "{step}");
        }
    }
}

#[test]
fn killed_again_and_again_each_run_goes_on_from_the_one_before() {
    let log = Log::new();
    for step in RETAIN_STEPS.iter().filter(|step| **step != "segment-removed") {
        log.start_to(step, ALL).kill();
        log.assert_whole();
    }
    log.place.succeed(ALL);
    log.assert_whole();
    assert_eq!(log.segments("raw").len(), 2);
}

#[test]
fn killed_as_it_removes_it_leaves_a_chain_without_gaps() {
    let log = Log::new();
    log.copy("raw", "sound");
    for times in 1..=4 {
        log.begin_anew();
        // What is to be removed lies in cold, and one of it in both.
        log.place.succeed(&format!(
            "raw retain raw --hot {} --cold cold",
            since("2026-01-01T14:00:00Z")
        ));
        let twice = log.segments("cold").swap_remove(0);
        let (from, to) = (log.place.path("sound"), log.place.path("raw"));
        std::fs::create_dir_all(to.join(&twice).parent().unwrap()).unwrap();
        std::fs::copy(from.join(&twice), to.join(&twice)).unwrap();
        let (_, all) = log.found();

        log.start_to(&format!("segment-removed:{times}"), &both()).kill();
        let (_, left) = log.found();
        assert!(left.len() < all.len() || times == 1, "{left:?}");
        log.place.succeed(&both());
        let (_, left) = log.found();
        assert_eq!(hours(&left), of_each(&["13", "14", "15", "16", "17"]));
        assert_eq!(hours(&log.segments("raw")), of_each(&["17"]));
    }
}

#[test]
fn killed_at_any_moment_it_goes_on() {
    let log = Log::new();
    log.copy("raw", "sound");
    let mut dice = Dice::cast();
    for _ in 0..20 {
        log.begin_anew();
        for _ in 0..3 {
            let running = log.place.start(ALL);
            let_pass(dice.below(60));
            running.kill();
            log.found();
        }
        log.assert_whole();
        log.place.succeed(ALL);
        log.assert_whole();
        assert_eq!(log.segments("raw").len(), 2);
    }
}

#[test]
fn it_is_stopped_after_the_segment_that_is_on_its_way() {
    let log = Log::new();
    let running = log.start_to("segment-copied:2", ALL);
    running.signal("TERM");
    running.signal("CONT");
    let ended = running.end().with(0);
    assert!(ended.stdout.contains("raw: moved 2 segments"), "{}", ended.stdout);
    assert_eq!(log.segments("cold").len(), 2);
    assert_eq!(log.segments("raw").len(), 12);
    log.assert_whole();
}
