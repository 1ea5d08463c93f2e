//! The shipped binary under kill -9, signals and several processes: no click lost, none twice.

use std::io::Write;

use clicks::worker::{monotonic_ms, wall_ms};
use clicks_dataflows::time::Time;

use crate::support::binary::{Place, Running, pause, two_hosts, wait_for};
use crate::support::dice::Dice;

/// What is killed in a loop: late clicks, copies and broken records among them.
const GENERATED: &str = "--clicks 200000 --partitions 4 --duplicates 0.01 --late 0.005 \
    --malformed 0.001 --per-second 100 --start 2026-01-01T12:00:00Z";

/// Changes are told at once, and soon.
const LIVELY: &str = "--set job.emit=changes --set job.refresh=100ms";

/// How often a process is killed, and how many of them have committed something before.
const KILLS: u64 = 10;

/// A line that is a click.
fn click(ad: &str, time: &str) -> String {
    format!("{{\"ad_id\":\"{ad}\",\"click_timestamp\":\"2026-01-01T{time}Z\"}}\n")
}

/// Kills `running` at a random moment, mostly after it has committed; tells whether it had.
fn kill_at_random(place: &Place, mut running: Running, dice: &mut Dice, blind: bool) -> bool {
    let before = place.commits("ads").len() as u64;
    let grown = || place.commits("ads").len() as u64 - before;
    if !blind {
        wait_for("a commit to kill after", || (grown() > 0).then_some(()));
    }
    let until = monotonic_ms() + dice.below(if blind { 400 } else { 60 });
    while monotonic_ms() < until && !running.has_ended() {
        pause();
    }
    running.kill();
    grown() > 0
}

/// Whether the job has closed; before its first commit it has not.
fn is_closed(place: &Place, job: &str) -> bool {
    place.commits(job).last().is_some_and(|commit| commit.closed)
}

#[test]
fn a_run_killed_again_and_again_tells_what_an_uninterrupted_one_tells() {
    let place = Place::new();
    let mut dice = Dice::cast();
    place.succeed(&format!("generate --to in --seed {} {GENERATED}", dice.below(1000)));
    // With many rows it takes long enough to be killed ten times.
    let run = format!("run --input in --output out {LIVELY}");
    let mut after_commits = 0;
    for kill in 0..KILLS {
        let running = place.start(&format!("{run} --job ads -w 2"));
        after_commits += u64::from(kill_at_random(&place, running, &mut dice, kill % 4 == 3));
    }
    assert!(after_commits >= 7, "only {after_commits} kills came after new commits");
    assert!(!is_closed(&place, "ads"), "it was done before it was killed for the last time");

    place.succeed(&format!("{run} --job ads"));
    place.assert_verified("ads");
    place.succeed(&format!("{run} --job plain"));
    place.assert_same_rows("ads", "plain");
    let replay = "replay --input in --output out --job again --marks-of out/ads";
    place.succeed(&format!("{replay} {LIVELY}"));
    place.assert_same_rows("ads", "again");
}

/// Files that grow by random pieces, whose ends are rarely ends of lines.
struct Growing {
    files: Vec<(String, Vec<u8>)>,
}

impl Growing {
    fn generate(place: &Place, dice: &mut Dice) -> Growing {
        let seed = dice.below(1000);
        place.succeed(&format!("generate --to made --seed {seed} {GENERATED}"));
        let names = (0..4).map(|partition| format!("clicks-{partition}.jsonl"));
        let files = names.map(|name| (format!("in/{name}"), place.bytes(&format!("made/{name}"))));
        Growing { files: files.collect() }
    }

    /// Appends a piece to each file but one, so that a piece is left for each kill to come.
    fn grow(&mut self, place: &Place, dice: &mut Dice, kill: u64) {
        let pieces = 2 * (KILLS + 1 - kill);
        for (at, (file, left)) in (0..).zip(&mut self.files) {
            if kill % 4 == at {
                // It falls asleep, and wakes with older clicks.
                continue;
            }
            let most = 2 * left.len() as u64 / pieces;
            let piece = usize::try_from(dice.below(most + 1)).unwrap().min(left.len());
            place.append(file, left.drain(..piece).as_slice());
        }
    }

    /// Appends all that is left.
    fn finish(&mut self, place: &Place) {
        self.files.iter_mut().for_each(|(file, left)| place.append(file, std::mem::take(left)));
    }
}

#[test]
fn a_follower_killed_again_and_again_tells_what_its_marks_tell() {
    let place = Place::new();
    let mut dice = Dice::cast();
    let mut growing = Growing::generate(&place, &mut dice);
    let follow = format!("run --input in --output out --job ads --follow {LIVELY}");
    let mut after_commits = 0;
    for kill in 0..KILLS {
        growing.grow(&place, &mut dice, kill);
        let running = place.start(&follow);
        growing.grow(&place, &mut dice, kill);
        after_commits += u64::from(kill_at_random(&place, running, &mut dice, kill % 4 == 3));
    }
    assert!(after_commits >= 7, "only {after_commits} kills came after new commits");
    let running = place.start(&follow);
    growing.finish(&place);
    let truth: serde_json::Value = serde_json::from_slice(&place.bytes("made/truth.json")).unwrap();
    place.wait_for_records("ads", truth["records"].as_u64().unwrap());
    running.terminate();

    assert!(place.commits("ads").iter().any(|commit| !commit.marks.is_empty()), "nothing slept");
    place.assert_verified("ads");
    place.succeed(&format!("run --input in --output out --job ads {LIVELY}"));
    place.assert_verified("ads");
    let replay = "replay --input in --output out --job again --marks-of out/ads -w 2";
    place.succeed(&format!("{replay} {LIVELY}"));
    place.assert_same_rows("ads", "again");
}

#[test]
fn a_follower_sees_lines_files_and_ends_of_lines_and_goes_on_where_it_was_stopped() {
    let place = Place::new();
    let follow = format!("run --input in --output out --job ads --follow {LIVELY}");
    let seen = |records| place.wait_for_records("ads", records);

    let running = place.start(&follow);
    place.append("in/a.jsonl", click("ad1", "12:00:01") + &click("ad1", "12:00:02"));
    seen(2);
    place.append("in/a.jsonl", click("ad2", "12:00:03"));
    seen(3);
    place.append("in/new.jsonl", click("ad1", "12:00:02") + &click("ad3", "12:01:30"));
    seen(5);
    let (half, rest) = (&click("ad4", "12:01:31")[..30], &click("ad4", "12:01:31")[30..]);
    place.append("in/a.jsonl", half);
    place.append("in/new.jsonl", click("ad1", "12:01:40"));
    seen(6);
    place.append("in/a.jsonl", rest);
    seen(7);
    place.append("in/a.jsonl", half);
    running.terminate();
    assert!(!is_closed(&place, "ads"), "SIGTERM closes nothing");

    let running = place.start(&follow);
    place.append("in/a.jsonl", rest);
    seen(8);
    let said = running.stderr();
    assert!(said.contains("job ads goes on after commit "), "{said}");
    assert!(
        said.contains(", reading again from its start on: 7 offsets of 2 partitions"),
        "{said}"
    );
    place.append("in/newer.jsonl", click("ad5", "12:00:59"));
    seen(9);
    running.signal("INT");
    running.end().with(0);
    assert!(!is_closed(&place, "ads"), "SIGINT closes nothing");
    assert_eq!(place.commits("ads").last().unwrap().totals.rejected, 0);

    place.assert_verified("ads");
    let replay = "replay --input in --output out --job again --marks-of out/ads";
    place.succeed(&format!("{replay} {LIVELY}"));
    for (lived, again) in place.rows("ads").iter().zip(&place.rows("again")) {
        assert!(again.starts_with(lived), "a replay tells what was lived, and then the end");
    }
}

/// One click a second over eight files: each is told within `refresh`, `idle_after` and a second.
#[test]
fn a_click_is_told_soon_even_if_few_come() {
    const WITHIN_MS: u64 = 3000;
    /// For a machine that does other things too.
    const PATIENCE: u64 = 2;
    let place = Place::new();
    let now = |ad: &str| {
        let time = Time(wall_ms());
        format!("{{\"ad_id\":\"{ad}\",\"click_timestamp\":\"{time}\"}}\n")
    };
    for file in 0..8 {
        place.append(&format!("in/{file}.jsonl"), now("first") + &now("first"));
    }
    let running = place
        .start("run --input in --output out --job ads --follow --set job.emit=changes --stats");
    place.wait_for_records("ads", 16);
    let told = |ad: &str| {
        let lengths = place.commits("ads").last()?.lengths?;
        let counts = place.bytes("out/ads.counts.jsonl");
        let committed = &counts[..usize::try_from(lengths.counts).unwrap()];
        String::from_utf8_lossy(committed).contains(ad).then(monotonic_ms)
    };
    let began = monotonic_ms();
    let mut waiting = Vec::new();
    let mut delays = Vec::new();
    while delays.len() < 8 {
        let appended = waiting.len() + delays.len();
        if appended < 8 && monotonic_ms() >= began + 1000 * appended as u64 {
            let ad = format!("\"click-{appended}\"");
            place.append(&format!("in/{}.jsonl", appended * 3 % 8), now(ad.trim_matches('"')));
            waiting.push((ad, monotonic_ms()));
        }
        waiting.retain(|(ad, since)| {
            let told = told(ad);
            delays.extend(told.map(|told| told - since));
            assert!(monotonic_ms() < since + 30_000, "{ad} is not told:\n{}", running.stderr());
            told.is_none()
        });
        pause();
    }
    println!("told after {delays:?} ms");
    assert!(delays.iter().all(|delay| *delay <= PATIENCE * WITHIN_MS), "{delays:?} ms");
    running.terminate();
}

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
        wait_for("it waits", || (!running.output().is_empty()).then_some(()));
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

const RUN: &str = "run --input in --output out --job ads";

/// A job that has run to the end of two files.
fn closed_job() -> Place {
    let place = Place::new();
    place.append("in/a.jsonl", click("ad1", "12:00:01") + &click("ad1", "12:00:02"));
    place.append("in/b.jsonl", click("ad2", "12:05:01") + &click("ad2", "12:05:02"));
    place.succeed(RUN);
    assert!(is_closed(&place, "ads"));
    place
}

#[test]
fn a_closed_job_does_nothing_and_refuses_other_input() {
    let place = closed_job();
    let results = || (place.rows("ads"), place.bytes("out/ads.ledger.jsonl"));
    let before = results();
    place.succeed(RUN);
    assert_eq!(results(), before, "run again, it does nothing");

    place.append("in/a.jsonl", click("ad1", "12:05:03"));
    place.run(RUN).with(2).naming(&["a.jsonl", "grown", "job ads is closed"]);
    std::fs::write(place.path("in/a.jsonl"), click("ad1", "12:00:01")).unwrap();
    place.run(RUN).with(2).naming(&["a.jsonl", "shorter"]);
    let whole = click("ad1", "12:00:01") + &click("ad1", "12:00:02");
    std::fs::write(place.path("in/a.jsonl"), whole).unwrap();
    place.succeed(RUN);
    place.append("in/c.jsonl", click("ad1", "12:05:03"));
    place.run(RUN).with(2).naming(&["c.jsonl", "appeared", "job ads is closed"]);
    std::fs::remove_file(place.path("in/c.jsonl")).unwrap();
    place.succeed(RUN);
    assert_eq!(results(), before);
}

#[test]
fn a_closed_job_refuses_a_missing_file() {
    let place = closed_job();
    std::fs::remove_file(place.path("in/b.jsonl")).unwrap();
    place.run(RUN).with(2).naming(&["b.jsonl", "missing"]);
}

#[test]
fn a_follower_refuses_files_that_are_shorter_missing_or_there_twice() {
    let place = Place::new();
    let follow = format!("{RUN} --follow {LIVELY}");
    place.append("in/a.jsonl", click("ad1", "12:00:01") + &click("ad1", "12:00:02"));
    place.append("in/b.jsonl", click("ad2", "12:00:01") + &click("ad2", "12:00:02"));
    let running = place.start(&follow);
    place.wait_for_records("ads", 4);
    running.terminate();

    let whole = place.bytes("in/a.jsonl");
    std::fs::write(place.path("in/a.jsonl"), click("ad1", "12:00:01")).unwrap();
    place.run(&follow).with(2).naming(&["a.jsonl", "shorter"]);
    std::fs::remove_file(place.path("in/a.jsonl")).unwrap();
    place.run(&follow).with(2).naming(&["a.jsonl", "missing"]);
    std::fs::write(place.path("in/a.jsonl"), whole).unwrap();
    place.append("in/a.jsonl.gz", gz(b""));
    place.run(&follow).with(2).naming(&["a.jsonl.gz", "the same partition"]);
    std::fs::remove_file(place.path("in/a.jsonl.gz")).unwrap();

    let running = place.start(&follow);
    place.append("in/a.jsonl", click("ad1", "12:00:03"));
    place.wait_for_records("ads", 5);
    running.terminate();
    place.assert_verified("ads");
}

#[test]
fn a_torn_ledger_is_recovered_from() {
    let place = closed_job();
    let rows = place.rows("ads");
    let ledger = place.bytes("out/ads.ledger.jsonl");
    let first = ledger.iter().position(|byte| *byte == b'\n').unwrap();
    for torn in [ledger.len() - 1, ledger.len() - 40, first + 10, first + 1, first, 5, 0] {
        std::fs::write(place.path("out/ads.ledger.jsonl"), &ledger[..torn]).unwrap();
        place.succeed(RUN);
        assert!(place.rows("ads") == rows, "torn at byte {torn} of {}", ledger.len());
        place.assert_verified("ads");
    }
}

#[test]
fn a_job_is_not_continued_with_another_meaning() {
    let place = closed_job();
    for (key, value) in [("refresh", "2s"), ("lateness", "30s"), ("emit", "changes"), ("top", "7")]
    {
        let other = place.run(&format!("{RUN} --set job.{key}={value}")).with(2);
        other.naming(&["job ads", key, value, "--job"]);
    }
    place.run(&format!("{RUN} --set input.fields.country=land")).with(2).naming(&["input"]);
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zst(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

#[test]
fn compressed_partitions_tell_what_plain_ones_tell() {
    let place = Place::new();
    place.succeed("generate --to in --clicks 20000 --partitions 4 --per-second 50");
    place.succeed("run --input in --output out --job plain");
    std::fs::create_dir(place.path("packed")).unwrap();
    for (partition, pack) in [gz, zst, gz, zst].into_iter().enumerate() {
        let plain = place.bytes(&format!("in/clicks-{partition}.jsonl"));
        let ending = if partition % 2 == 0 { "gz" } else { "zst" };
        // The last two are in two parts, as `cat` makes them.
        let parts = if partition < 2 { plain.len() } else { plain.len() / 2 + 7 };
        for part in plain.chunks(parts) {
            place.append(&format!("packed/clicks-{partition}.jsonl.{ending}"), pack(part));
        }
    }
    place.succeed("run --input packed --output out --job packed -w 2");
    place.assert_same_rows("plain", "packed");
    place.succeed("verify out --job packed --input packed");
    place.succeed("verify out --job plain --input packed");
}

#[test]
fn a_compressed_file_that_is_cut_off_closes_nothing() {
    for (ending, pack) in [("gz", gz as fn(&[u8]) -> Vec<u8>), ("zst", zst)] {
        let place = Place::new();
        let packed = pack((click("ad1", "12:00:01") + &click("ad1", "12:00:02")).as_bytes());
        let file = format!("in/a.jsonl.{ending}");
        place.append(&file, &packed[..packed.len() - 9]);
        place.run(RUN).with(1).naming(&[&file]);
        assert!(!is_closed(&place, "ads"));
        std::fs::write(place.path(&file), packed).unwrap();
        place.succeed(RUN);
        place.assert_verified("ads");
    }
}
