//! Several processes of one job, and several instances: one commits, and none goes on alone.

use crate::support::binary::{LIVELY, Place, Running, click, two_hosts, wait_for};

/// Starts two processes of one job, the second one first.
fn start_two(place: &Place, hosts: &str, arguments: &str) -> [Running; 2] {
    let second = place.start(&format!("{arguments} {hosts} --process 1"));
    let first = place.start(&format!("{arguments} {hosts} --process 0"));
    [first, second]
}

#[test]
fn two_processes_tell_what_one_worker_tells() {
    let place = Place::new();
    place.succeed("generate --to in --clicks 50000 --per-second 50 --start 2026-01-01T12:00:00Z");
    place.succeed("run --input in --output out --job one");
    for workers in [1, 2] {
        let job = format!("two-{workers}");
        let run = format!("run --input in --output out --job {job} -w {workers}");
        let [first, second] = start_two(&place, &two_hosts(), &run);
        first.end().with(0);
        second.end().with(0);
        place.assert_same_rows("one", &job);
        place.assert_verified(&job);
    }
}

#[test]
fn when_a_process_dies_the_other_ends_and_both_go_on_when_started_again() {
    let place = Place::new();
    let hosts = two_hosts();
    let follow = format!("run --input in --output out --job ads --follow {LIVELY}");
    let lines = |minute: u32| {
        let times = (0..60).map(|second| format!("12:{minute:02}:{second:02}"));
        times.map(|time| click("ad1", &time)).collect::<String>()
    };
    place.append("in/a.jsonl", lines(0));
    place.append("in/b.jsonl", lines(0));

    let [first, second] = start_two(&place, &hosts, &follow);
    place.wait_for_records("ads", 120);
    second.kill();
    first.end().with(1).naming(&["another process of the job has ended"]);

    place.append("in/b.jsonl", lines(1));
    let [first, second] = start_two(&place, &hosts, &follow);
    place.wait_for_records("ads", 180);
    first.kill();
    second.end().with(1).naming(&["another process of the job has ended"]);

    place.append("in/a.jsonl", lines(1));
    let [first, second] = start_two(&place, &hosts, &follow);
    place.wait_for_records("ads", 240);
    second.terminate();
    first.end().with(0);

    place.assert_verified("ads");
    place.succeed(&format!("run --input in --output out --job ads {LIVELY}"));
    let replay = "replay --input in --output out --job again --marks-of out/ads";
    place.succeed(&format!("{replay} {LIVELY}"));
    place.assert_same_rows("ads", "again");
}

#[test]
fn processes_that_mean_different_things_refuse_each_other() {
    let place = Place::new();
    place.append("in/a.jsonl", click("ad1", "12:00:01") + &click("ad1", "12:00:02"));
    place.append("in/b.jsonl", click("ad2", "12:00:01") + &click("ad2", "12:00:02"));
    let run = format!("run --input in --output out --job ads {}", two_hosts());
    let second = place.start(&format!("{run} --process 1 --set job.refresh=2s"));
    let first = place.start(&format!("{run} --process 0"));
    let (first, second) = (first.end(), second.end());
    assert!(place.commits("ads").is_empty(), "nothing is committed");
    first.with(2).naming(&["refresh"]);
    second.with(2).naming(&["refresh"]);
}

#[test]
fn processes_with_different_numbers_of_workers_end_and_commit_nothing() {
    for (first, second) in [(1, 2), (2, 1)] {
        let place = Place::new();
        place.append("in/a.jsonl", click("ad1", "12:00:01") + &click("ad1", "12:00:02"));
        place.append("in/b.jsonl", click("ad2", "12:00:01") + &click("ad2", "12:00:02"));
        let run = format!("run --input in --output out --job ads {}", two_hosts());
        let second = place.start(&format!("{run} --process 1 -w {second}"));
        let first = place.start(&format!("{run} --process 0 -w {first}"));
        for ended in [first.end(), second.end()] {
            assert!(!ended.succeeded(), "{}", ended.stderr);
        }
        assert!(place.commits("ads").is_empty(), "nothing is committed");
    }
}

#[test]
fn a_first_process_that_has_nothing_to_do_ends_the_others() {
    let place = Place::new();
    place.append("in/a.jsonl", click("ad1", "12:00:01"));
    place.succeed("run --input in --output out --job ads");
    let [first, second] = start_two(&place, &two_hosts(), "run --input in --output out --job ads");
    first.end().with(0);
    second.end();
}

#[test]
fn a_first_process_that_is_refused_ends_the_others() {
    let place = Place::new();
    place.append("in/a.jsonl", click("ad1", "12:00:01"));
    let follow = "run --input in --output out --job ads --follow";
    let owner = place.start(follow);
    wait_for("the job is opened", || place.path("out/ads.ledger.jsonl").exists().then_some(()));
    let [first, second] = start_two(&place, &two_hosts(), follow);
    first.end().with(4);
    assert!(!second.end().succeeded());
    owner.terminate();
}

#[test]
fn a_process_that_waits_for_others_can_be_stopped() {
    let place = Place::new();
    place.append("in/a.jsonl", click("ad1", "12:00:01"));
    for process in [0, 1] {
        let hosts = two_hosts();
        let run = format!("run --input in --output out --job ads {hosts} --process {process}");
        let running = place.start(&run);
        let said = format!("process {process} waits until all 2 of --hosts are connected");
        wait_for("it waits", || running.stderr().contains(&said).then_some(()));
        running.signal("TERM");
        running.end().with(0);
    }
}

#[test]
fn a_second_instance_is_refused_even_if_the_first_one_is_stopped() {
    let place = Place::new();
    place.append("in/a.jsonl", click("ad1", "12:00:01") + &click("ad1", "12:00:02"));
    let follow = format!("run --input in --output out --job ads --follow {LIVELY}");
    let owner = place.start(&follow);
    place.wait_for_records("ads", 2);
    place.run(&follow).with(4).naming(&["another instance", "job ads"]);

    owner.signal("STOP");
    place.append("in/a.jsonl", click("ad1", "12:00:03"));
    place.run(&follow).with(4).naming(&["another instance", "job ads"]);
    owner.signal("CONT");
    place.wait_for_records("ads", 3);
    owner.terminate();
    place.succeed("run --input in --output out --job other");
}
