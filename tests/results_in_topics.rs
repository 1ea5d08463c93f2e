//! Results in topics are read as those in a directory are, to the byte, and trusted no more.

use std::sync::OnceLock;
use std::time::Duration;

use rdkafka::producer::Producer;

use crate::golden::shell::{Results, json};
use crate::support::binary::{Place, wait_for};
use crate::support::kafka::{self, Copy, Record, TopicJob, brokers, clicks, lively};

/// A job with many partitions and windows, late clicks, copies and rejects.
const GENERATED: &str = "--clicks 20000 --partitions 3 --ads 50 --duplicates 0.01 --late 0.01 \
    --malformed 0.002 --per-second 50 --seed 7 --start 2026-01-01T12:00:00Z";

/// How long a broker may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A directory with the clicks `in`.
fn place() -> Place {
    let place = Place::new();
    place.succeed(&format!("generate --to in {GENERATED}"));
    place
}

/// The lines of a minute that is clicked on each second: one more is no click.
fn minute(minute: u64) -> String {
    let click = |second| {
        let (ad, time) = (second % 7, format!("2026-01-01T12:0{minute}:{second:02}Z"));
        format!("{{\"ad_id\":\"ad-{ad}\",\"click_timestamp\":\"{time}\"}}\n")
    };
    (0..60).map(click).collect::<String>() + "no click\n"
}

/// Runs a job in a directory in steps, so that it has several commits with rows of all logs.
fn stepwise() -> &'static Results {
    static RESULTS: OnceLock<Results> = OnceLock::new();
    RESULTS.get_or_init(|| {
        let place = Place::new();
        let run = "run --input in --output out --job ads --set job.windows=1,5 --follow \
            --set job.emit=changes --set job.idle_after=1h";
        let running = place.start(run);
        for minutes in 0..5 {
            place.append("in/p0.jsonl", minute(minutes));
            // The last second stays open.
            place.wait_for_records("ads", 61 * minutes + 59);
        }
        running.terminate();
        place.succeed(&run.replace("--follow", ""));
        place.assert_verified("ads");
        let results = Results::read(&place.path("out"), "ads");
        assert!(results.ledger.len() > 5);
        results
    })
}

/// What `clicks verify` finds in the topics of `copy`, which ends with this exit code.
fn verified(copy: &Copy, code: i32) -> String {
    let words = format!("verify kafka: --job {} -b {}", copy.job, brokers());
    Place::new().run(&words).with(code).stdout
}

/// What is found when `damage` was done to a copy that was right.
fn damaged(damage: impl FnOnce(&mut Copy)) -> String {
    let mut copy = Copy::of(stepwise());
    damage(&mut copy);
    copy.write(&[]);
    verified(&copy, 3)
}

fn text(record: &Record) -> String {
    String::from_utf8(record.value.clone().unwrap()).unwrap()
}

fn replace(record: &mut Record, from: &str, to: &str) {
    let text = text(record);
    assert!(text.contains(from), "{text}");
    record.value = Some(text.replacen(from, to, 1).into_bytes());
}

#[test]
fn rows_of_topics_are_those_of_a_directory_to_the_byte() {
    let place = place();
    let job = kafka::unique("read");
    for (log, partitions) in [("counts", 4), ("ranks", 2), ("rejects", 1), ("ledger", 1)] {
        kafka::create_topic(&format!("{job}.{log}"), partitions, &[]);
    }
    let at = format!("--job {job} -b {}", brokers());
    place.succeed(&format!("run --input in --output out --job {job}"));
    place.succeed(&format!("run --input in --output kafka: {at}"));

    for log in ["counts", "ranks", "rejects"] {
        for format in ["json", "table"] {
            let topics = place.succeed(&format!("tail kafka: {log} {at} -f {format}")).stdout;
            let files = place.succeed(&format!("tail out {log} --job {job} -f {format}")).stdout;
            assert!(topics.lines().count() > 5, "{log}: {topics}");
            assert_eq!(topics, files, "{log} as {format}");
        }
    }
    let ledger = |place: &Place, from: &str| {
        let lines = place.succeed(&format!("tail {from} ledger --job {job}")).stdout;
        let mut last = json(lines.lines().last().unwrap());
        for varies in ["commit", "counts", "ranks", "rejects", "digest", "previous", "lengths"] {
            last.as_object_mut().unwrap().remove(varies);
        }
        last.to_string()
    };
    assert_eq!(ledger(&place, &format!("kafka: -b {}", brokers())), ledger(&place, "out"));
    assert_eq!(place.succeed(&format!("tail kafka: counts {at} --from end")).stdout, "");

    for words in ["verify kafka: --input in", "verify kafka:"] {
        let found = place.succeed(&format!("{words} {at}")).stdout;
        assert!(found.contains("ledger, digests and rows are right"), "{found}");
        assert_eq!(found.contains("differences: none"), words.contains("--input"), "{found}");
    }
}

#[test]
fn a_job_is_named_where_topics_hold_several() {
    let copies = [Copy::of(stepwise()), Copy::of(stepwise())];
    copies.iter().for_each(|copy| copy.make(&[]));
    let place = Place::new();
    let refused = place.run(&format!("tail kafka: -b {}", brokers())).with(2);
    refused.naming(&["several jobs", "--job", &copies[0].job, &copies[1].job]);
    let refused = place.run(&format!("verify kafka: --job nobody -b {}", brokers())).with(2);
    refused.naming(&["has no job nobody"]);
}

#[test]
fn what_is_aborted_or_open_is_not_there() {
    let copy = Copy::of(stepwise());
    copy.make(&[]);
    let counts = copy.topic("counts");
    let producer = counts.transactional(&copy.job);
    let abort = || {
        producer.begin_transaction().unwrap();
        copy.counts.iter().take(9).for_each(|record| counts.send(&producer, record));
        copy.topic("ledger").send(&producer, &copy.ledger[0]);
        producer.flush(PATIENCE).unwrap();
        producer.abort_transaction(PATIENCE).unwrap();
    };
    abort();
    copy.append();
    abort();
    // It stays open while they are read.
    producer.begin_transaction().unwrap();
    for partition in 0..3 {
        counts.send(&producer, &Record { partition, ..copy.counts[0].clone() });
    }
    copy.topic("ledger").send(&producer, &copy.ledger[0]);
    producer.flush(PATIENCE).unwrap();
    let found = verified(&copy, 0);
    assert!(found.contains("ledger, digests and rows are right"), "{found}");
    let words = format!("tail kafka: counts --job {} -b {}", copy.job, brokers());
    let told = Place::new().succeed(&words).stdout;
    assert!(told.lines().eq(stepwise().counts.iter().map(String::as_str)), "{told}");
}

#[test]
fn from_the_end_only_further_commits_are_printed_until_the_job_is_closed() {
    let whole = Copy::of(stepwise());
    let count = |record: &Record| json(&text(record))["counts"].as_u64().unwrap();
    let rows = |commits: &[Record]| usize::try_from(commits.iter().map(count).sum::<u64>());
    // Two commits are there, and all others come.
    let before = rows(&whole.ledger[1..3]).unwrap();
    let mut copy = whole.clone();
    copy.counts.truncate(before);
    copy.ledger.truncate(3);
    copy.write(&[]);
    let place = Place::new();
    // They lie in their partitions already, and are committed later.
    let (counts, ledger) = (copy.topic("counts"), copy.topic("ledger"));
    let producer = counts.transactional(&copy.job);
    producer.begin_transaction().unwrap();
    whole.counts[before..].iter().for_each(|record| counts.send(&producer, record));
    whole.ledger[3..].iter().for_each(|record| ledger.send(&producer, record));
    producer.flush(PATIENCE).unwrap();
    let words = format!("tail kafka: counts --job {} -b {} --from end", copy.job, brokers());
    let running = place.start(&format!("{words} -f table"));
    wait_for("the end", || running.output().contains("EPOCH").then_some(()));
    producer.commit_transaction(PATIENCE).unwrap();
    let told = running.end().with(0).stdout;
    assert_eq!(told.lines().count(), 1 + whole.counts.len() - before, "{told}");
}

#[test]
fn a_row_that_was_altered_dropped_or_doubled_is_named() {
    let found = damaged(|copy| replace(&mut copy.counts[5], "\"clicks\":", "\"clicks\":1"));
    assert!(found.contains(" of counts was changed: it was "), "{found}");
    let found = damaged(|copy| drop(copy.counts.remove(5)));
    assert!(found.contains("commit 1: counts has "), "{found}");
    assert!(found.contains("rows are missing"), "{found}");
    let found = damaged(|copy| copy.ranks.insert(1, copy.ranks[0].clone()));
    assert!(found.contains("row 2 of ranks was changed: it is there twice"), "{found}");
    let found = damaged(|copy| replace(&mut copy.rejects[0], "no click", "no clack"));
    assert!(found.contains("one in the rows of counts or the rows of ranks or"), "{found}");
    let found = damaged(|copy| copy.counts[9].value = Some(b"{}".to_vec()));
    assert!(found.contains(" of counts was changed: it is no row: missing field"), "{found}");
}

#[test]
fn a_row_in_another_partition_or_under_another_key_is_named() {
    let found = damaged(|copy| copy.counts[5].partition = (copy.counts[5].partition + 1) % 3);
    assert!(found.contains("and belongs in "), "{found}");
    assert!(found.contains(": 1 fault\n"), "{found}");
    let found = damaged(|copy| {
        let second = copy.counts.remove(1).value.unwrap();
        let first = copy.counts[0].value.as_mut().unwrap();
        first.push(b'\n');
        first.extend(second);
    });
    assert!(found.contains("it holds several lines"), "{found}");
    let found = damaged(|copy| copy.ranks[0].key = Some(b"0|1|x".to_vec()));
    assert!(found.contains("it lies under key \"0|1|x\", and belongs under \"0|1|2026"), "{found}");
    assert!(found.contains(": 1 fault\n"), "{found}");
}

/// Rows stay where the number of partitions of their time has put them.
#[test]
fn partitions_may_be_added_to_topics_of_rows() {
    let mut job = TopicJob::new(lively(), 1);
    let minute = |minute: i32| {
        let seconds = [0, 30, 59].map(|second| format!("12:{minute:02}:{second:02}"));
        (0..30).flat_map(|ad| clicks(ad, &seconds.each_ref().map(String::as_str))).collect()
    };
    job.append(0, minute(0));
    for partitions in [5, 6] {
        let running = job.start();
        job.wait_for_all();
        running.terminate();
        ["counts", "ranks"].iter().for_each(|log| job.topic(log).grow(partitions));
        job.append(0, minute(partitions));
    }
    let running = job.start();
    job.wait_for_all();
    running.terminate();
    let counts = kafka::committed(&job.topic("counts"));
    assert!(counts.iter().all(|rows| !rows.is_empty()));
    let words = format!("verify kafka: --job {} -b {}", job.name, brokers());
    let found = Place::new().succeed(&words).stdout;
    assert!(found.contains("ledger, digests and rows are right"), "{found}");
}

#[test]
fn a_torn_chain_and_rows_without_a_commit_are_named() {
    let found = damaged(|copy| drop(copy.ledger.remove(2)));
    assert!(found.contains("commit 2 is missing from the ledger: commit 3 follows 1"), "{found}");
    let found = damaged(|copy| replace(&mut copy.ledger[2], "\"late\":0", "\"late\":1"));
    assert!(found.contains("commit 3: its `previous` is not the hash of line 3"), "{found}");
    let found = damaged(|copy| drop(copy.ledger.pop()));
    assert!(found.contains("rows lie beyond the last commit, from record "), "{found}");
}

#[test]
fn rows_that_were_deleted_cannot_be_checked_and_are_no_fault() {
    let place = Place::new();
    let copy = Copy::of(stepwise());
    copy.write(&[]);
    kafka::delete_records(&copy.topic("counts"), 1, 8);
    kafka::delete_records(&copy.topic("rejects"), 0, 1);
    let found = verified(&copy, 0);
    assert!(found.contains("  rows up to 2026-01-01T12:0"), "{found}");
    assert!(found.contains(" are no longer there: "), "{found}");
    assert!(found.contains(" cannot be checked\n"), "{found}");
    // What is left is recounted and printed.
    place.append("in/p0.jsonl", (0..5).map(minute).collect::<String>());
    let words = format!("verify kafka: --job {} -b {} --input in", copy.job, brokers());
    let found = place.succeed(&words).stdout;
    assert!(found.contains("differences: none over 5 minutes"), "{found}");
    assert!(found.contains("nothing that was told is left"), "{found}");
    let words = format!("tail kafka: counts --job {} -b {}", copy.job, brokers());
    let told = place.succeed(&words).stdout;
    assert_eq!(told.lines().count(), copy.counts.len() - 8);
    assert!(copy.counts.len() > 100);
}

/// What was deleted excuses no row after it.
#[test]
fn a_row_that_is_missing_after_those_that_were_deleted_is_a_fault() {
    let mut copy = Copy::of(stepwise());
    let late = copy.counts.len() - 5;
    copy.counts.remove(late);
    copy.write(&[]);
    kafka::delete_records(&copy.topic("counts"), 0, 8);
    let found = verified(&copy, 3);
    assert!(found.contains(" are no longer there: "), "{found}");
    assert!(found.contains(": rows are missing"), "{found}");
}

#[test]
fn a_signal_ends_the_printing_of_a_job_that_goes_on() {
    let mut copy = Copy::of(stepwise());
    let closed = copy.ledger.pop().unwrap();
    assert!(text(&closed).contains("\"closed\":true"));
    copy.write(&[]);
    let words = format!("tail kafka: ranks --job {} -b {}", copy.job, brokers());
    let running = Place::new().start(&words);
    wait_for("all rows", || {
        let told = running.output().lines().count() as u64;
        let count = |record: &Record| json(&text(record))["ranks"].as_u64();
        (told == copy.ledger.iter().filter_map(count).sum::<u64>()).then_some(())
    });
    running.terminate();
}

#[test]
fn only_a_compacted_topic_may_have_lost_older_rows_of_a_key() {
    let last_of_each_key = |copy: &mut Copy| {
        let all = copy.counts.clone();
        let is_last = |(at, record): &(usize, &Record)| {
            !all[at + 1..].iter().any(|later| later.key == record.key)
        };
        copy.counts = all.iter().enumerate().filter(is_last).map(|(_, row)| row.clone()).collect();
        assert!(copy.counts.len() < all.len());
    };
    let mut copy = Copy::of(stepwise());
    last_of_each_key(&mut copy);
    copy.write(&[("cleanup.policy", "compact")]);
    let found = verified(&copy, 0);
    assert!(found.contains(" are no longer there: "), "{found}");
    let found = damaged(last_of_each_key);
    assert!(found.contains("rows are missing"), "{found}");
}

#[test]
fn clicks_in_topics_are_recounted_up_to_where_the_job_stands() {
    let place = place();
    let job = kafka::unique("recount");
    let inputs = [1, 2].map(|partitions| {
        let input = kafka::create_topic(&format!("{job}-clicks-{partitions}"), partitions, &[]);
        let lines = |file: u32| place.bytes(&format!("in/clicks-{file}.jsonl"));
        let files = if partitions == 1 { vec![lines(0)] } else { vec![lines(1), lines(2)] };
        for (file, partition) in files.iter().zip(0..) {
            let records = file.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            let value = |line: &[u8]| Some(line.to_vec());
            let records = records.map(|line| Record {
                partition,
                time: Some(-1),
                value: value(line),
                ..Record::default()
            });
            kafka::produce(&input, &records.collect::<Vec<_>>());
        }
        input
    });
    let input = format!("--input kafka:{} --input kafka:{}", inputs[0].name, inputs[1].name);
    let running = place.start(&format!("run {input} --output out --job {job} -b {}", brokers()));
    wait_for("rows", || place.commits(&job).iter().any(|commit| commit.counts > 0).then_some(()));
    // Checked while it runs, and once it stands still.
    let verify = format!("verify out --job {job} -b {}", brokers());
    let found = place.succeed(&format!("{verify} {input}")).stdout;
    assert!(found.contains("differences: none over "), "{found}");
    running.terminate();
    let found = place.succeed(&format!("{verify} {input}")).stdout;
    assert!(found.contains("differences: none over "), "{found}");

    let one = format!("{verify} --input kafka:{}", inputs[0].name);
    place.run(&one).with(2).naming(&[&inputs[1].name, "none of its input"]);
    place.run(&format!("{verify} --input in")).with(2).naming(&["--input in is a directory"]);
    kafka::delete_records(&inputs[0], 0, 5);
    let name = format!("{}/0 cannot be recounted", inputs[0].name);
    place.run(&format!("{verify} {input}")).with(2).naming(&[
        &name,
        "from offset 0 on",
        "first record is at offset 5",
    ]);
}
