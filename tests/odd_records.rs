//! Records that a topic may hold and a file cannot, and topics with holes.

use rdkafka::producer::{BaseProducer, Producer};

use crate::support::binary::wait_for;
use crate::support::kafka::{
    Record, TopicJob, clicks, committed, create_topic, lively, logged_clicks, produce, rows, unique,
};
use crate::support::script::{ClickSpec, Item, NEW_YEAR_MS};

const HOUR_MS: u64 = 3_600_000;

/// Neither holds a click, so both are told as what they are.
#[test]
fn tombstones_and_empty_values_are_malformed() {
    let mut job = TopicJob::new(lively(), 1);
    job.append(0, clicks(1, &["12:00:01", "12:00:02"]));
    for value in [None, Some(Vec::new())] {
        let key = Some(b"key".to_vec());
        produce(&job.input, &[Record { partition: 0, time: Some(-1), key, value }]);
        let nothing = Item::Bad { line: Vec::new(), reason: "malformed", detail: None };
        job.script.partitions[0].push(nothing);
    }
    job.append(0, clicks(1, &["12:00:03"]));
    let running = job.start();
    job.wait_for_all();
    running.terminate();
    job.assert_exact();
    assert_eq!(job.commits().last().unwrap().totals.rejected, 2);
}

/// The largest record that the broker takes is read, and told by its beginning.
#[test]
fn a_record_of_ten_megabytes_is_too_large_and_the_next_one_counts() {
    let mut job = TopicJob::new(lively(), 1);
    job.input.set("max.message.bytes", "11000000");
    job.append(0, clicks(1, &["12:00:01", "12:00:02"]));
    let line = format!("{{\"ad_id\":\"{}\"}}", "x".repeat(10 << 20)).into_bytes();
    job.append(0, vec![Item::Bad { line, reason: "too_large", detail: None }]);
    job.append(0, clicks(1, &["12:00:03"]));
    let running = job.start();
    job.wait_for_all();
    running.terminate();
    job.assert_exact();
    let rejects = rows(&job.topic("rejects"));
    let reject = String::from_utf8_lossy(&rejects[0]);
    assert!(reject.contains("\"bytes\":10485772,"), "{}", &reject[reject.len() - 80..]);
    assert!(reject.len() < 100_000);
}

/// Offsets have gaps where records were compacted, and where transactions ended.
#[test]
fn compacted_records_and_markers_are_gaps() {
    let mut job = TopicJob::new(lively(), 1);
    for (key, value) in [
        ("cleanup.policy", "compact"),
        ("segment.ms", "100"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("max.compaction.lag.ms", "100"),
        ("delete.retention.ms", "0"),
    ] {
        job.input.set(key, value);
    }
    let items = clicks(1, &["12:00:01", "12:00:02", "12:00:03", "12:00:04", "12:00:05"]);
    let keyed = |key: &str, item: &Item| Record {
        partition: 0,
        time: Some(-1),
        key: Some(key.as_bytes().to_vec()),
        value: Some(item.line()),
    };
    // Of `a` the second is left, of `b` nothing.
    let deleted = Record { value: None, ..keyed("b", &items[0]) };
    produce(
        &job.input,
        &[keyed("a", &items[0]), keyed("b", &items[1]), keyed("a", &items[2]), deleted],
    );
    job.script.partitions[0].extend([Item::Empty, Item::Empty, items[2].clone(), Item::Empty]);
    let mut lines = vec![items[2].line()];
    let mut rounds = 0;
    wait_for("the cleaner", || {
        // Only what lies before the last segment is cleaned, and a new record begins a segment.
        let item = &clicks(2, &[&format!("12:01:00.{rounds:03}")])[0];
        produce(&job.input, &[keyed(&format!("c{rounds}"), item)]);
        rounds += 1;
        lines.push(item.line());
        job.script.partitions[0].push(item.clone());
        (committed(&job.input)[0] == lines).then_some(())
    });

    let producer: BaseProducer = job.input.transactional(&format!("{}-foreign", job.name));
    let patience = std::time::Duration::from_secs(30);
    for (item, commits) in items[3..].iter().zip([true, false]) {
        producer.begin_transaction().unwrap();
        job.input.send(&producer, &keyed("d", item));
        producer.flush(patience).unwrap();
        if commits {
            producer.commit_transaction(patience).unwrap();
        } else {
            producer.abort_transaction(patience).unwrap();
        }
        let left = if commits { item.clone() } else { Item::Empty };
        job.script.partitions[0].extend([left, Item::Empty]);
    }
    let running = job.start();
    job.wait_for_all();
    running.terminate();
    job.assert_exact();
}

/// A log time in the future moves the clock no further than the click's own; a click ahead of its
/// log time does not count; a record without log time is read by the other rule.
#[test]
fn log_times_of_the_future_and_none_are_taken_as_they_are() {
    let mut job = TopicJob::logged(lively(), 1);
    let noon_ms = NEW_YEAR_MS + 12 * HOUR_MS;
    let at = |event_ms: u64, log_time: Option<u64>| {
        Item::Click(ClickSpec {
            event_ms,
            ad: "ad001".to_owned(),
            log_time,
            style: 1,
            ..ClickSpec::default()
        })
    };
    let far_ms = noon_ms + 5 * 365 * 24 * HOUR_MS;
    job.append(0, logged_clicks(1, &["12:00:00", "12:00:01"]));
    job.append(
        0,
        vec![
            at(noon_ms + 2000, Some(far_ms)),
            at(noon_ms + 3000 + HOUR_MS, Some(noon_ms + 2999)),
            at(far_ms, Some(noon_ms + 4000)),
            at(noon_ms + 5000, None),
            at(far_ms, None),
            at(noon_ms + 6000, Some(0)),
            at(noon_ms + 7000, Some(noon_ms + 7000)),
        ],
    );
    let running = job.start();
    job.wait_for_all();
    running.terminate();
    job.assert_exact();
    let rejects = job.committed().rejects;
    let reasons = rejects.iter().map(|row| row.contains("\"reason\":\"ahead\""));
    assert_eq!(reasons.collect::<Vec<_>>(), [true, true]);
}

/// The broker's own clock is as good as any.
#[test]
fn records_are_read_by_the_log_time_of_the_broker() {
    let topic =
        create_topic(&unique("append-time"), 1, &[("message.timestamp.type", "LogAppendTime")]);
    let mut job = TopicJob::new(lively(), 1);
    job.reads(&topic);
    job.append(0, clicks(1, &["12:00:01", "12:00:02", "13:30:00"]));
    let running = job.start();
    job.wait_for_all();
    running.terminate();
    // One click beyond `jump_max` moves the clock where there is a log time.
    let clock = job.commits().last().unwrap().positions[0].clock.to_string();
    assert_eq!(clock, "2026-01-01T13:30:00Z");
}
