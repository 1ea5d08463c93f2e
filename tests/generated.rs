//! A topic is generated with the very records of a directory, each acknowledged.

use std::time::Duration;

use clicks::generate::Truth;
use clicks_dataflows::time::Time;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};

use crate::support::binary::{Place, wait_for};
use crate::support::kafka::{self, Broker, Topic};

/// What is generated: copies, late clicks and broken records among it.
const CLICKS: &str = "--clicks 20000 --seed 7 --ads 100 --duplicates 0.05 --late 0.05 \
    --malformed 0.05 --per-second 50 --start 2026-01-01T12:00:00Z";

/// The start of the same, in milliseconds.
const START_MS: i64 = 1_767_268_800_000;

/// Arguments that write to a topic of the broker.
fn to(name: &str) -> String {
    format!("generate --to kafka:{name} -b {}", kafka::brokers())
}

/// The truth that a command has printed.
fn truth(stdout: &str) -> Truth {
    serde_json::from_str(stdout).unwrap()
}

/// A record of a topic: when its producer made it, its key, its value.
type Record = (i64, Option<Vec<u8>>, Vec<u8>);

/// The records of a partition.
fn records(topic: &Topic, partition: i32) -> Vec<Record> {
    let consumer: BaseConsumer = topic.config().set("group.id", "generated").create().unwrap();
    let mut start = TopicPartitionList::new();
    start.add_partition_offset(&topic.name, partition, Offset::Beginning).unwrap();
    consumer.assign(&start).unwrap();
    let end = topic.ends()[usize::try_from(partition).unwrap()];
    let record = |_| {
        let record = wait_for("a record", || consumer.poll(Duration::from_millis(100))).unwrap();
        let (key, value) = (record.key().map(Vec::from), record.payload().unwrap().to_vec());
        (record.timestamp().to_millis().unwrap(), key, value)
    };
    (0..end).map(record).collect()
}

/// How many records a topic holds that has lost none.
fn count(topic: &Topic) -> u64 {
    u64::try_from(topic.ends().iter().sum::<i64>()).unwrap()
}

#[test]
fn a_topic_and_a_directory_of_the_same_plan_hold_the_same_records() {
    let (place, name) = (Place::new(), kafka::unique("same"));
    let topic = kafka::create_topic(&name, 4, &[("retention.ms", "-1")]);
    // So small a queue is full again and again.
    let queue = "-X queue.buffering.max.messages=100";
    let told = place.succeed(&format!("{} {CLICKS} {queue}", to(&name)));
    place.succeed(&format!("generate --to in {CLICKS}"));

    let written: Truth = serde_json::from_slice(&place.bytes("in/truth.json")).unwrap();
    assert_eq!(truth(&told.stdout), written);
    assert!(
        written.duplicates > 0 && written.late > 0 && written.malformed.values().all(|n| *n > 0)
    );
    for partition in 0..4 {
        let records = records(&topic, partition);
        let lines = records.iter().flat_map(|(_, _, value)| [value, &b"\n"[..]].concat());
        let file = place.bytes(&format!("in/clicks-{partition}.jsonl"));
        assert!(lines.eq(file), "partition {partition} differs");
        assert!(records.iter().all(|(_, key, _)| key.is_none()));
        // Fifty arrive in a second.
        assert!(records.is_sorted_by_key(|(time, ..)| *time));
        let (first, last) = (records[0].0, records[records.len() - 1].0);
        assert!((START_MS..START_MS + 1000).contains(&first), "{first}");
        let end = START_MS + i64::try_from(written.records * 20).unwrap();
        assert!((end - 1000..end).contains(&last), "{last}");
    }
}

#[test]
fn a_topic_has_the_last_word_on_partitions() {
    let (place, name) = (Place::new(), kafka::unique("width"));
    let few = format!("{} --clicks 100", to(&name));
    let create = format!("topics create -b {} --input {name} --partitions 4", kafka::brokers());
    place.run(&few).with(2).naming(&["missing", &create]);

    let topic = kafka::create_topic(&name, 3, &[]);
    place.run(&format!("{few} --partitions 4")).with(2).naming(&["--partitions 4", "has: 3"]);
    let all = place.succeed(&few);
    assert!(!all.stderr.contains("already"), "{}", all.stderr);
    let all = truth(&all.stdout);
    assert!(all.partitions.len() == 3 && all.partitions.iter().all(|records| *records > 0));

    let one = place.succeed(&format!("{few} --partitions 1 --truth one.json"));
    let one = one.naming(&[&format!("{} records already", all.records), "one.json"]);
    assert_eq!(one.stdout, "");
    let one: Truth = serde_json::from_slice(&place.bytes("one.json")).unwrap();
    let expected = [all.partitions[0] + one.records, all.partitions[1], all.partitions[2]];
    assert_eq!(topic.ends(), expected.map(|records| i64::try_from(records).unwrap()));
}

#[test]
fn in_real_time_records_are_there_while_more_are_made() {
    let (place, name) = (Place::new(), kafka::unique("live"));
    let topic = kafka::create_topic(&name, 2, &[("message.timestamp.type", "LogAppendTime")]);
    place.append("clicks.toml", format!("[kafka]\nbrokers = \"{}\"\n", kafka::brokers()));
    let generate = format!("generate --to kafka:{name} --config clicks.toml");
    let running = place.start(&format!("{generate} --rate 50 --clicks 1000000"));
    wait_for("records", || (count(&topic) >= 50).then_some(()));
    running.signal("TERM");
    let truth = truth(&running.end().with(0).stdout);
    assert_eq!(truth.records, count(&topic));
    assert!(truth.plan.per_second == 50.0 && truth.records < 10_000);
}

#[test]
fn a_record_that_the_broker_refuses_is_named_with_its_partition() {
    let (place, name) = (Place::new(), kafka::unique("small"));
    kafka::create_topic(&name, 1, &[("max.message.bytes", "100")]);
    let refused = place.run(&format!("{} --clicks 100", to(&name)));
    refused
        .with(1)
        .naming(&[&format!("cannot write to partition 0 of topic {name}: "), "too large"]);
}

#[test]
fn records_that_a_topic_would_delete_at_once_are_refused() {
    let (place, name) = (Place::new(), kafka::unique("short"));
    kafka::create_topic(&name, 1, &[("retention.ms", "3600000")]);
    let old = place.run(&format!("{} {CLICKS}", to(&name)));
    old.with(2).naming(&["keeps records for 1h", "2026-01-01T12:00:00Z", "LogAppendTime"]);
    place.succeed(&format!("{} --clicks 100", to(&name)));
}

#[test]
fn a_broker_that_dies_and_comes_back_has_each_record_once_and_in_order() {
    let (place, mut broker) = (Place::new(), Broker::start());
    let topic = Topic { brokers: broker.address(), name: "clicks".to_owned() };
    topic.create(3, &[]);
    let clicks = "--clicks 4000 --seed 9 --partitions 3";
    let to = format!("--to kafka:clicks -b {}", broker.address());
    let running = place.start(&format!("generate {to} {clicks} --rate 1000"));
    wait_for("records", || (count(&topic) >= 500).then_some(()));
    broker.signal("-KILL");
    broker.restart();
    let ended = running.end().with(0).naming(&["trying again"]);
    let truth = truth(&ended.stdout);

    let start = Time(truth.plan.start_ms);
    place.succeed(&format!("generate --to in {clicks} --per-second 1000 --start {start}"));
    for (records, partition) in kafka::committed(&topic).into_iter().zip(0..) {
        let lines = records.iter().flat_map(|value| [value, &b"\n"[..]].concat());
        let file = place.bytes(&format!("in/clicks-{partition}.jsonl"));
        assert!(lines.eq(file), "partition {partition} differs");
    }
}
