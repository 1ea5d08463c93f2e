//! A topic's past, told again: between times and offsets, by the marks of the live job, and from
//! and to files.

use clicks_dataflows::time::Time;

use crate::support::binary::wait_for;
use crate::support::kafka::{TopicJob, clicks, create_results, lively, logged_clicks};
use crate::support::run::Committed;
use crate::support::script::{Item, Settings};

/// Minutes between two times are told as the live job told them, whether the times are found by log
/// times or, where records have none, by reading from the start.
#[test]
fn a_replay_between_times_tells_what_the_live_job_told() {
    for with_log_times in [true, false] {
        let job = lived(with_log_times);
        let range = "--from 2026-01-01T15:00:00Z --until 2026-01-01T15:30:00Z";
        let again = format!("{}-again", job.name);
        create_results(&job.input.brokers, &again);
        job.place().succeed(&job.replay(&format!("{range} --output kafka: --job {again}")));
        job.place().succeed(&job.replay(&format!("{range} --output out --job {again}")));

        let (live, told) = (job.committed(), job.committed_of(&again));
        let minutes = "2026-01-01T15:00".."2026-01-01T15:30";
        let asked = |rows: &[String]| -> Vec<String> {
            rows.iter().filter(|row| minutes.contains(&minute_of(row))).cloned().collect()
        };
        assert_eq!(told.counts, asked(&live.counts));
        assert_eq!(told.ranks, asked(&live.ranks));
        assert_eq!((told.counts.len(), told.ranks.len()), (60, 60));
        let in_files = job.place().rows(&again);
        for (rows, bytes) in [&told.counts, &told.ranks].into_iter().zip(&in_files) {
            assert_same(rows, bytes);
        }
        let totals = told.last().totals;
        assert_eq!(totals.records < 300, with_log_times, "{} records were read", totals.records);
        assert!(told.last().closed);
    }
}

fn minute_of(row: &str) -> &str {
    let (_, minute) = row.split_once("\"minute\":\"").unwrap();
    &minute[..16]
}

/// Nothing lies there, and the job is closed all the same.
#[test]
fn a_replay_from_a_time_after_all_records_tells_nothing() {
    let job = lived(true);
    let range = "--from 2026-01-02T15:00:00Z --output out --job again";
    job.place().succeed(&job.replay(range));
    let commits = job.place().commits("again");
    let last = commits.last().unwrap();
    assert!(last.closed);
    assert_eq!((last.totals.records, last.counts), (0, 0));
}

/// What minutes still hold at the end is told as it stands; run again, a closed job does nothing.
#[test]
fn a_replay_between_offsets_is_told_to_its_end_and_closed() {
    let job = lived(false);
    let arguments = job.replay("--from 0=10,1=5 --until 0=20,1=25 --output out --job again");
    job.place().succeed(&arguments);
    let rows = job.place().rows("again");
    let ledger = job.place().bytes("out/again.ledger.jsonl");
    let commits = job.place().commits("again");
    let last = commits.last().unwrap();
    assert!(last.closed);
    assert_eq!((last.totals.records, last.totals.clicks), (30, 30));
    let ends: Vec<u64> = last.positions.iter().map(|position| position.offset).collect();
    assert_eq!(ends, [20, 25]);
    // The clock of partition 1 stands at its click of 12:24.
    assert_eq!(last.epoch.to_string(), "2026-01-01T12:24:08Z");
    let counts = String::from_utf8(rows[0].clone()).unwrap();
    let provisional = "\"epoch\":\"2026-01-01T12:24:08Z\",\"state\":\"provisional\"}";
    assert!(counts.trim_end().ends_with(provisional), "{counts}");

    job.place().succeed(&arguments);
    assert_eq!(job.place().rows("again"), rows);
    assert_eq!(job.place().bytes("out/again.ledger.jsonl"), ledger);
}

#[test]
fn an_end_that_lies_beyond_the_records_is_waited_for_and_said_once() {
    let mut job = TopicJob::new(lively(), 1);
    job.append(0, clicks(1, &["12:00:00"]));
    let running = job.place().start(&job.replay("--until 0=3 --output out --job again"));
    let said = "--until 0=3: partition 0 of topic ";
    wait_for("it waits", || running.stderr().contains(said).then_some(()));
    job.append(0, clicks(1, &["12:00:01", "12:00:02", "12:00:03"]));
    let ended = running.end().with(0);
    assert_eq!(ended.stderr.matches("ends at offset 1: waiting until it").count(), 1);
    assert_eq!(job.place().records("again"), 3);
}

/// A job that was stopped, and whose partitions slept and woke, is told again byte for byte up to
/// its last epoch: to topics, to files, and by two workers.
#[test]
fn a_replay_by_the_marks_of_the_live_job_is_the_live_job() {
    for changes in [true, false] {
        let mut job = TopicJob::new(Settings { changes, ..lively() }, 3);
        for _ in 0..3 {
            job.feed();
            let running = job.start_with("--stats");
            job.wait_for_all_closed(&running);
            job.feed();
            job.wait_for_all_closed(&running);
            running.terminate();
        }
        let again = format!("{}-again", job.name);
        create_results(&job.input.brokers, &again);
        let marks = format!("--marks-of kafka:/{}", job.name);
        job.place().succeed(&job.replay(&format!("{marks} --output kafka: --job {again}")));
        job.place().succeed(&job.replay(&format!("{marks} --output out --job {again} -w 2")));

        let (live, told) = (job.committed(), job.committed_of(&again));
        assert!(!live.marks().is_empty(), "nothing slept");
        let last = live.last().epoch;
        assert_eq!(live.counts, upto(&told.counts, last));
        assert_eq!(live.ranks, upto(&told.ranks, last));
        assert_eq!(live.rejects, upto(&told.rejects, last));
        let in_files = job.place().rows(&again);
        for (rows, bytes) in [&told.counts, &told.ranks, &told.rejects].into_iter().zip(&in_files) {
            assert_same(rows, bytes);
        }
    }
}

/// The rows up to an epoch.
fn upto(rows: &[String], last: Time) -> Vec<String> {
    let told = |row: &&String| {
        let (_, epoch) = row.rsplit_once("\"epoch\":\"").unwrap();
        epoch.split('"').next().unwrap().parse::<Time>().unwrap() <= last
    };
    rows.iter().filter(told).cloned().collect()
}

/// From files to topics and to files: the same rows. From a topic too, up to where its replay is
/// cut: more lies beyond the end of a topic, while files are complete.
#[test]
fn topics_and_files_tell_the_same() {
    let mut job = TopicJob::new(Settings { changes: false, ..lively() }, 2);
    for _ in 0..3 {
        job.feed();
    }
    for (items, partition) in job.script.partitions.iter().zip(0..) {
        for item in items {
            let line = [item.line(), b"\n".to_vec()].concat();
            job.place().append(&format!("in/clicks-{partition}.jsonl"), line);
        }
    }
    let again = format!("{}-again", job.name);
    create_results(&job.input.brokers, &again);
    let config = format!("-b {} --config clicks.toml --job {again}", job.input.brokers);
    job.place().succeed(&format!("replay --input in --output kafka: {config}"));
    job.place().succeed(&format!("replay --input in --output out {config}"));
    let Committed { counts, ranks, rejects, .. } = job.committed_of(&again);
    assert!(!counts.is_empty() && !rejects.is_empty());
    let in_files = job.place().rows(&again);
    for (rows, bytes) in [&counts, &ranks, &rejects].into_iter().zip(&in_files) {
        assert_same(rows, bytes);
    }

    job.place().succeed(&job.replay("--output out --job cut"));
    let cut = job.place().commits("cut").last().unwrap().epoch;
    let before = |epoch: Time| Time(epoch.0 - 100);
    let from_topic = job.place().rows("cut").map(|bytes| lines(&bytes));
    for (rows, from_topic) in [&counts, &ranks, &rejects].into_iter().zip(&from_topic) {
        assert_eq!(upto(rows, before(cut)), upto(from_topic, before(cut)));
    }
}

fn lines(bytes: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect()
}

/// Asserts that files hold these rows.
fn assert_same(rows: &[String], bytes: &[u8]) {
    assert_eq!(rows, lines(bytes));
}

/// A job that has read four hours, a click a minute in each of two partitions, in order.
fn lived(with_log_times: bool) -> TopicJob {
    let settings = Settings { changes: false, refresh_ms: 1000, ..lively() };
    let mut job = match with_log_times {
        true => TopicJob::logged(settings, 2),
        false => TopicJob::new(settings, 2),
    };
    let times: Vec<String> =
        (0..240).map(|minute| format!("{}:{:02}:07", 12 + minute / 60, minute % 60)).collect();
    let times: Vec<&str> = times.iter().map(String::as_str).collect();
    let items: fn(u32, &[&str]) -> Vec<Item> = if with_log_times { logged_clicks } else { clicks };
    job.append(0, items(1, &times));
    job.append(1, items(2, &times));
    let running = job.start_with("--stats");
    job.wait_for_all_closed(&running);
    running.terminate();
    job
}

/// What a replay tells that was cut is right by its ledger and by a recount. It goes on with the
/// job of no run, nor a run with its own; and no job reads its own results.
#[test]
fn a_replay_to_the_end_is_verified_and_disturbs_no_other_job() {
    let mut job = lived(false);
    let (name, input, brokers) = (&job.name, &job.input.name, &job.input.brokers);
    job.place().succeed(&job.replay("--output out --job again"));
    let verify = format!("verify out --job again -b {brokers} --input kafka:{input}");
    let verified = job.place().run(&verify).stdout;
    assert!(verified.contains("differences: none"), "{verified}");

    let replay = job.replay(&format!("--output kafka: --job {name}"));
    job.place().run(&replay).with(2).naming(&["was begun by `clicks run`", "--job"]);
    let run = job.arguments().replace(&format!("--output kafka: --job {name}"), "--output out");
    let replayed = ["was begun by `clicks replay --until end`", "--job"];
    job.place().run(&format!("{run} --job again")).with(2).naming(&replayed);
    let own = format!("run --input kafka:{name}.counts --output kafka: --job {name} -b {brokers}");
    job.place().run(&own).with(2).naming(&["is a result of job"]);

    let running = job.start();
    job.append(0, clicks(3, &["23:00:00"]));
    job.wait_for_all();
    running.terminate();
    job.assert_exact();
}

/// By marks, partitions of several topics have the numbers that they have in the obeyed job,
/// whatever has appeared since.
#[test]
fn by_marks_partitions_of_several_topics_keep_their_numbers() {
    let mut job = TopicJob::over(lively(), &[("eu", 1), ("us", 1)]);
    let [eu, us] = job.inputs().try_into().unwrap();
    job.append(0, clicks(1, &["12:00:01", "12:00:30"]));
    job.append(1, clicks(2, &["12:00:02", "12:00:31"]));
    let running = job.start();
    job.wait_for_all();
    job.grow(&eu);
    job.append(2, clicks(3, &["12:00:05", "12:00:06", "12:00:07"]));
    job.wait_for_all();
    running.terminate();

    let marks = format!("--marks-of kafka:/{}", job.name);
    let replay = job.replay(&format!("{marks} --until 2=1 --output out --job again"));
    job.place().succeed(&format!("{replay} --input kafka:{}", us.name));
    let commits = job.place().commits("again");
    let positions = commits.last().unwrap().positions.iter();
    let ends: Vec<(String, u32, u64)> =
        positions.map(|p| (p.log.as_ref().unwrap().clone(), p.partition, p.offset)).collect();
    assert_eq!(ends, [(eu.name.clone(), 0, 2), (us.name, 0, 2), (eu.name, 1, 1)]);
}
