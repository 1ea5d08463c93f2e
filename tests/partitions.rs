//! Partitions of a topic that appear, stay empty, pause or are held up, and those of several topics.

use std::time::Duration;

use clicks::worker::monotonic_ms;
use rdkafka::producer::{BaseProducer, Producer};

use crate::support::binary::wait_for;
use crate::support::kafka::{Broker, TopicJob, clicks, lively, logged_clicks};
use crate::support::script::{Item, Settings};

/// How long a broker may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Read from its first record on, whether it is added before the eyes of the job or behind its
/// back; by its floor nothing that was told changes but by a correction.
#[test]
fn a_partition_that_is_added_is_read_from_its_first_record_on() {
    let mut job = TopicJob::new(lively(), 2);
    job.feed();
    let running = job.start();
    job.wait_for_all();
    job.grow(&job.input.clone());
    job.feed();
    job.append(2, clicks(7, &["12:00:01", "12:00:02", "12:10:00"]));
    job.wait_for_all();
    running.terminate();

    job.grow(&job.input.clone());
    job.feed();
    job.append(3, clicks(8, &["12:00:01", "12:00:02", "12:11:00"]));
    let running = job.start();
    job.wait_for_all();
    running.kill();

    let running = job.start();
    job.append(3, clicks(9, &["12:11:01"]));
    job.wait_for_all();
    running.terminate();
    assert_eq!(partitions(&job), [0, 1, 2, 3]);
    job.assert_exact();
}

/// The partitions that the ledger names.
fn partitions(job: &TopicJob) -> Vec<u32> {
    let positions = job.commits().into_iter().flat_map(|commit| commit.positions);
    let mut named: Vec<u32> = positions.map(|position| position.partition).collect();
    named.sort_unstable();
    named.dedup();
    named
}

/// When all sleep a minute settles by the time that passes: after the lateness, the time after
/// which one is asleep, and a moment for the commit.
#[test]
fn a_partition_that_never_had_a_record_holds_nobody() {
    const LATENESS_MS: u64 = 1000;
    /// Half a second to the end of the minute; `idle_after`, a commit, and other work on this machine.
    const WITHIN_MS: u64 = 500 + LATENESS_MS + 100 + 1000 + 4000;
    let settings = Settings { changes: false, lateness_ms: LATENESS_MS, ..lively() };
    let mut job = TopicJob::new(settings, 3);
    let running = job.start_with("--stats");
    wait_for("it runs", || running.stderr().contains("event time").then_some(()));

    let since = monotonic_ms();
    job.append(0, clicks(1, &["12:00:59.400", "12:00:59.500"]));
    let told = |row: &String| row.contains("\"minute\":\"2026-01-01T12:00:00Z\"");
    wait_for("12:00 is told", || job.committed().counts.iter().any(told).then_some(()));
    let took = monotonic_ms() - since;
    assert!(took >= 500 + LATENESS_MS, "told after {took} ms, before its time");
    assert!(took < WITHIN_MS, "told after {took} ms");
    running.terminate();
    job.assert_exact();
}

/// What comes after a pause of ten hours is not measured against the clock of a partition that is
/// read faster: each is too late only by its own.
#[test]
fn nothing_is_too_late_by_a_pause() {
    let settings = Settings { horizon_ms: 3_600_000, ..lively() };
    let mut job = TopicJob::logged(settings, 2);
    job.append(0, logged_clicks(1, &["12:00:01", "12:00:30", "12:01:00"]));
    job.append(1, logged_clicks(2, &["12:00:02", "12:00:31", "12:00:50"]));
    let running = job.start();
    job.wait_for_all();
    running.terminate();

    // One partition is refilled with ten hours, of which the other has two and then the last.
    let minutes: Vec<String> =
        (2..600).map(|minute| format!("{}:{:02}:07", 12 + minute / 60, minute % 60)).collect();
    let times: Vec<&str> = minutes.iter().map(String::as_str).collect();
    job.append(0, logged_clicks(1, &times));
    let (early, late) = (&times[..120], &times[590..]);
    job.append(1, logged_clicks(2, &[early, late].concat()));
    let running = job.start();
    job.wait_for_all();
    running.terminate();
    job.assert_exact();
    let totals = job.commits().last().unwrap().totals;
    assert_eq!((totals.rejected, totals.late), (0, 0), "nothing is late, as all were read in turn");
}

/// The partition is held, and with it all others: what is open may yet be of any epoch. What is
/// committed counts, what is aborted leaves a gap.
#[test]
fn an_open_transaction_holds_everything_and_is_named() {
    let mut job = TopicJob::new(lively(), 2);
    feed_both(&mut job, "12:00");
    let running = job.start_with("--stats");
    job.wait_for_all();
    let producer = job.input.transactional(&format!("{}-foreign", job.name));
    for (minute, commits) in [("12:01", true), ("12:02", false), ("12:03", true)] {
        let told = job.records();
        let said = running.stderr().len();
        let open = begin(&job, &producer, minute);
        feed_both_but_open(&mut job, minute);
        wait_for("a status line that names the partition", || {
            running.stderr()[said..].contains("held by partition 1 for").then_some(())
        });
        assert!(job.records() <= told + 1, "others wait, but for what precedes the transaction");
        end(&mut job, &producer, open, commits);
        job.wait_for_all();
    }
    running.terminate();
    job.assert_exact();
    let ends = job.input.ends();
    let positions = job.commits().into_iter().flat_map(|commit| commit.positions);
    for position in positions {
        assert!(i64::try_from(position.offset).unwrap() <= ends[position.partition as usize]);
    }
}

/// With `stall_after` the others go on, and what commits later is lifted, with a mark.
#[test]
fn with_stall_after_an_open_transaction_holds_nobody_for_long() {
    let mut job = TopicJob::new(lively(), 2);
    feed_both(&mut job, "12:00");
    let running = job.start_with("--set job.stall_after=500ms");
    job.wait_for_all();
    let producer = job.input.transactional(&format!("{}-foreign", job.name));
    let open = begin(&job, &producer, "12:01");
    job.append(0, clicks(1, &["12:05:00", "12:05:01"]));
    job.wait_for_all();
    end(&mut job, &producer, open, true);
    job.wait_for_all();
    running.terminate();

    let running = job.start();
    job.append(1, clicks(2, &["12:05:02"]));
    job.wait_for_all();
    running.terminate();
    let marks = job.commits().into_iter().flat_map(|commit| commit.marks);
    assert!(marks.into_iter().any(|mark| mark.partition == 1), "what was lifted is marked");
    job.assert_exact();
}

/// While no broker answers nobody knows where partitions end, so that all hold, and go on after.
#[test]
fn nobody_sleeps_while_no_broker_answers() {
    let mut broker = Broker::start();
    let mut job = TopicJob::on(&broker, lively(), 2);
    feed_both(&mut job, "12:00");
    let running = job.start_with("--stats");
    job.wait_for_all();
    let said = running.stderr().len();
    broker.signal("-STOP");
    wait_for("a status line that names who holds", || {
        running.stderr()[said..].contains("held by partition").then_some(())
    });
    broker.signal("-CONT");
    feed_both(&mut job, "12:01");
    job.wait_for_all();
    running.terminate();
    job.assert_exact();
}

fn feed_both(job: &mut TopicJob, minute: &str) {
    let times = [1, 2].map(|second| format!("{minute}:{second:02}"));
    let times = times.each_ref().map(String::as_str);
    job.append(0, clicks(1, &times));
    job.append(1, clicks(2, &times));
}

/// Partition 0 goes on while partition 1 is open.
fn feed_both_but_open(job: &mut TopicJob, minute: &str) {
    let times = [3, 4].map(|second| format!("{minute}:{second:02}"));
    job.append(0, clicks(1, &times.each_ref().map(String::as_str)));
}

/// Leaves two clicks open in partition 1.
fn begin(job: &TopicJob, producer: &BaseProducer, minute: &str) -> Vec<Item> {
    let times = [5, 6].map(|second| format!("{minute}:{second:02}"));
    let items = clicks(3, &times.each_ref().map(String::as_str));
    producer.begin_transaction().unwrap();
    items.iter().for_each(|item| job.input.send(producer, &job.record(1, item)));
    producer.flush(PATIENCE).unwrap();
    items
}

/// Ends what was left open, with a marker in the log.
fn end(job: &mut TopicJob, producer: &BaseProducer, open: Vec<Item>, commits: bool) {
    if commits {
        producer.commit_transaction(PATIENCE).unwrap();
        job.script.partitions[1].extend(open);
    } else {
        producer.abort_transaction(PATIENCE).unwrap();
        job.script.partitions[1].extend(open.iter().map(|_| Item::Empty));
    }
    job.script.partitions[1].push(Item::Empty);
}

/// Partitions of several topics are named by topic and number, in the ledger, in marks and in
/// rejects; one may be added to each, and none may be taken away.
#[test]
fn several_topics_are_one_input() {
    let mut job = TopicJob::over(lively(), &[("eu", 2), ("us", 1)]);
    let [eu, us] = job.inputs().try_into().unwrap();
    job.feed();
    job.append(2, bad_and_good("12:00"));
    let running = job.start();
    job.wait_for_all();
    // One that slept wakes with clicks of long ago.
    job.append(1, clicks(5, &["12:00:03", "12:00:04"]));
    job.wait_for_all();
    job.grow(&eu);
    job.append(3, bad_and_good("12:01"));
    job.feed();
    job.wait_for_all();
    running.terminate();

    job.grow(&us);
    job.append(4, bad_and_good("12:02"));
    job.feed();
    let running = job.start();
    job.wait_for_all();
    running.terminate();
    job.assert_exact();
    let rejects = job.committed().rejects;
    let named = format!("{{\"log\":\"{}\",\"partition\":2,\"offset\":0,", eu.name);
    assert!(rejects.iter().any(|row| row.starts_with(&named)), "{rejects:#?}");

    let arguments = job.arguments();
    let given = arguments.replace(&format!("--input kafka:{} ", eu.name), "");
    job.place().run(&given).with(2).naming(&[&eu.name, "none of its input now", &us.name]);
    let running = job.start();
    job.append(0, clicks(6, &["12:03:00"]));
    job.wait_for_all();
    running.terminate();
    job.assert_exact();
}

fn bad_and_good(minute: &str) -> Vec<Item> {
    let bad = Item::Bad { line: b"{".to_vec(), reason: "malformed", detail: None };
    let times = [1, 2].map(|second| format!("{minute}:{second:02}"));
    [vec![bad], clicks(4, &times.each_ref().map(String::as_str))].concat()
}
