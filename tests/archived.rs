//! A topic is kept in the raw log, each record once and as it came.

use std::collections::BTreeMap;
use std::time::Duration;

use clicks::failpoint::ARCHIVE_STEPS;
use clicks_dataflows::time::Millis;
use clicks_replay::raw::{Catalog, Reading, Step, Store, Wanted};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use crate::support::binary::{Place, wait_for};
use crate::support::dice::Dice;
use crate::support::kafka::{
    Record, Topic, TopicJob, clicks, lively, logged_clicks, produce, wait_for_stop,
};
use crate::support::script::Item;

mod told;

/// A record of the raw log, with all that a topic holds of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kept {
    offset: u64,
    log_time: Option<Millis>,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

/// All records of the raw log in `raw`, by partition.
fn kept(place: &Place) -> BTreeMap<u32, Vec<Kept>> {
    let store = Store::open(place.path("raw").to_str().unwrap(), [], Duration::ZERO).unwrap();
    let catalog = Catalog::read(&store, None).unwrap();
    catalog.check(&store).unwrap();
    let mut all = BTreeMap::new();
    for (partition, segments) in &catalog.partitions {
        let from = segments[0].place.first;
        let mut reading = Reading::new(&store, segments, from, Wanted::Everything).unwrap();
        let mut records = Vec::new();
        let mut buffer = Vec::new();
        loop {
            let mut rows = match reading.step().unwrap() {
                Step::Rows(rows) => rows,
                Step::Waiting => continue,
                Step::End(_) => break,
            };
            while let Some(batch) = rows.batch().unwrap() {
                records.extend((0..batch.len()).map(|row| {
                    Kept {
                        offset: batch.offset(row),
                        log_time: batch.log_time(row),
                        key: batch.key(row).map(<[u8]>::to_vec),
                        value: batch.value(row, &mut buffer).map(<[u8]>::to_vec),
                        headers: batch
                            .headers(row)
                            .into_iter()
                            .map(|(key, value)| (key.to_owned(), value.map(<[u8]>::to_vec)))
                            .collect(),
                    }
                }));
            }
        }
        all.insert(partition.number, records);
    }
    all
}

/// The arguments that archive the input of `job`.
fn archive(job: &TopicJob, rest: &str) -> String {
    archive_of(&job.input, rest)
}

fn archive_of(topic: &Topic, rest: &str) -> String {
    let Topic { brokers, name } = topic;
    format!("archive --input kafka:{name} --raw raw -b {brokers} --config clicks.toml {rest}")
}

/// Asserts that the raw log holds each record of the job's input once, in order, as it came.
fn assert_whole(job: &TopicJob) {
    job.place().succeed("raw check raw");
    let kept = kept(job.place());
    for (items, number) in job.script.partitions.iter().zip(0..) {
        let held = kept.get(&number).map_or(&[][..], |records| records);
        let values: Vec<_> =
            held.iter().map(|record| (record.offset, record.value.clone())).collect();
        let value = |item: &Item| Some(item.line()).filter(|line| !line.is_empty());
        let fed: Vec<_> = (0..).zip(items.iter().map(value)).collect();
        assert_eq!(values, fed, "partition {number}");
    }
}

#[test]
fn a_record_comes_back_as_the_topic_had_it() {
    let job = TopicJob::logged(lively(), 1);
    let topic = &job.input;
    let time = |ms: i64| Some(1_767_225_600_000 + ms);
    let click = |rest: &str| {
        format!(r#"{{"ad_id":"ad1","click_timestamp":1767225600000{rest}}}"#).into_bytes()
    };
    let values: Vec<Option<Vec<u8>>> = vec![
        Some(click("")),
        Some(click(r#","user_id":"u","ip":"10.0.0.1","country":"DE","click_id":"c1""#)),
        Some(click(r#", "extra": {"deep": [1, 2.50, null]}"#)),
        Some(br#"{"click_timestamp":"2026-01-01 00:00:00.5+02:00","ad_id":12}"#.to_vec()),
        None,
        Some(Vec::new()),
        Some(b"\xff\xfe no text".to_vec()),
        Some(br#"{"ad_id":"ad1""#.to_vec()),
        Some(vec![b'x'; 3 << 20]),
        Some(click("")),
    ];
    let keys = [None, Some(b"key".to_vec()), Some(Vec::new()), Some(vec![0xff, 0])];
    let records: Vec<Record> = values
        .into_iter()
        .zip(keys.into_iter().cycle())
        .zip(0..)
        .map(|((value, key), ms)| Record { partition: 0, time: time(ms), key, value })
        .collect();
    topic.set("max.message.bytes", "20000000");
    produce(topic, &records);
    let producer: BaseProducer = topic.config().create().unwrap();
    let headers = OwnedHeaders::new()
        .insert(Header { key: "trace", value: Some(b"\x00\xff") })
        .insert(Header::<&[u8]> { key: "none", value: None })
        .insert(Header { key: "trace", value: Some(b"") });
    let with_headers = click(r#","country":"FR""#);
    let sent = BaseRecord::<[u8], [u8]>::to(&topic.name).partition(0).payload(&with_headers);
    producer.send(sent.timestamp(time(10).unwrap()).headers(headers)).unwrap();
    producer.flush(Duration::from_secs(30)).unwrap();

    job.place().succeed(&archive(&job, "--once -X fetch.message.max.bytes=20000000"));
    job.place().succeed("raw check raw");
    let kept = kept(job.place()).remove(&0).unwrap();
    let plain = records.iter().zip(0..).map(|(record, offset)| Kept {
        offset,
        log_time: record.time.map(|ms| ms.try_into().unwrap()),
        key: record.key.clone(),
        value: record.value.clone(),
        headers: Vec::new(),
    });
    let headers = [("trace", Some(&b"\x00\xff"[..])), ("none", None), ("trace", Some(b""))];
    let last = Kept {
        offset: 10,
        log_time: Some(1_767_225_600_010),
        key: None,
        value: Some(with_headers),
        headers: headers.map(|(key, value)| (key.to_owned(), value.map(<[u8]>::to_vec))).to_vec(),
    };
    let expected: Vec<Kept> = plain.chain([last]).collect();
    assert_eq!(kept.len(), expected.len());
    for (kept, expected) in kept.iter().zip(&expected) {
        assert!(kept == expected, "offset {}: {:?}", kept.offset, kept.headers);
    }
}

/// Killed at each step of a segment, and begun again: each offset is there once.
#[test]
fn an_archive_that_is_killed_at_every_step_has_each_record_once() {
    let mut job = TopicJob::logged(lively(), 2);
    for step in ARCHIVE_STEPS {
        for times in [1, 2] {
            job.feed();
            let arguments = archive(&job, "--roll 1ms");
            let step_at = format!("{step}:{times}");
            let running = job.place().start_with(&arguments, &[("CLICKS_FAILPOINT", &step_at)]);
            wait_for_stop(&running, step);
            running.kill();
        }
    }
    job.feed();
    job.place().succeed(&archive(&job, "--once"));
    assert_whole(&job);
}

/// Killed at any moment, many times, among them within a put.
#[test]
fn an_archive_that_is_killed_at_random_has_each_record_once() {
    let mut job = TopicJob::logged(lively(), 3);
    let mut dice = Dice::cast();
    for round in 0..50 {
        if round % 5 == 0 {
            job.feed();
        }
        let running = job.place().start(&archive(&job, "--roll 1ms"));
        crate::support::binary::let_pass(dice.below(120));
        running.kill();
    }
    job.place().succeed(&archive(&job, "--once"));
    assert_whole(&job);
}

/// Two by mistake, on one raw log: they cost work, and no record.
#[test]
fn two_archivers_of_one_topic_keep_each_record_once() {
    let mut job = TopicJob::logged(lively(), 2);
    job.feed();
    let archivers =
        ["--roll 1ms", "--roll 20ms"].map(|roll| job.place().start(&archive(&job, roll)));
    let overtaken = "is there already";
    wait_for("one finds what the other has put", || {
        job.feed();
        archivers.iter().any(|running| running.stderr().contains(overtaken)).then_some(())
    });
    archivers.into_iter().for_each(|running| running.terminate());
    job.place().succeed(&archive(&job, "--once"));
    assert_whole(&job);
}

/// A segment ends when it is large enough, or old enough, or another hour begins.
#[test]
fn segments_end_by_size_by_time_and_by_hour() {
    let mut job = TopicJob::logged(lively(), 1);
    job.append(0, logged_clicks(1, &["12:59:59", "13:00:00", "12:59:00", "13:30:00"]));
    job.place().succeed(&archive(&job, "--once"));
    assert_eq!(job.place().segments().len(), 2, "hours never go back");

    job.append(0, logged_clicks(1, &["13:30:01"; 5000]));
    job.append(0, logged_clicks(2, &["13:30:02"; 5000]));
    job.place().succeed(&archive(&job, "--once --size 1KB"));
    assert_eq!(job.place().segments().len(), 5, "a batch is 4096 records at most");

    let running = job.place().start(&archive(&job, "--roll 10ms"));
    job.append(0, logged_clicks(1, &["13:30:03"]));
    wait_for("a segment is put when it is old enough", || {
        (job.place().segments().len() == 6).then_some(())
    });
    // What is open when it is stopped is put too.
    running.terminate();
    let running = job.place().start(&archive(&job, "--roll 1d"));
    job.append(0, clicks(1, &["13:30:04"]));
    let said = running.stderr();
    running.terminate();
    job.place().succeed(&archive(&job, "--once"));
    assert_whole(&job);
    assert!(!said.contains("error"), "{said}");
}
