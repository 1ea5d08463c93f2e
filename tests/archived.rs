//! A topic is kept in the raw log, each record once and as it came, and told again from there.

use std::collections::BTreeMap;
use std::time::Duration;

use clicks::failpoint::ARCHIVE_STEPS;
use clicks_dataflows::ledger::{Position, Totals};
use clicks_dataflows::time::Millis;
use clicks_replay::raw::{Catalog, Reading, Step, Store, Wanted};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use crate::support::binary::{Place, wait_for};
use crate::support::dice::Dice;
use crate::support::kafka::{
    Record, Topic, TopicJob, clicks, delete_records, lively, logged_clicks, produce, wait_for_stop,
};
use crate::support::script::Item;

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

/// Where a job stands, and its totals; a partition that is empty has no segment.
fn stands(place: &Place, job: &str) -> (Vec<Position>, Totals) {
    let last = place.commits(job).pop().unwrap();
    let read = last.positions.into_iter().filter(|position| position.offset > 0);
    (read.collect(), last.totals)
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

/// The law: the raw log, the topic and the live job tell the same, row for row, epoch for epoch.
#[test]
fn the_raw_log_tells_what_the_topic_and_the_live_job_told() {
    for logged in [false, true] {
        let settings = lively();
        let mut job = match logged {
            true => TopicJob::logged(settings, 6),
            false => TopicJob::new(settings, 6),
        };
        let running = job.start();
        for _ in 0..4 {
            job.feed();
            job.wait_for_all();
            // One segment after the other, each where the last one ended.
            job.place().succeed(&archive(&job, "--once"));
        }
        running.terminate();
        let is_empty = |partition: &Vec<Item>| partition.is_empty();
        assert!(job.script.partitions.iter().any(is_empty), "one has no segment");
        assert_whole(&job);
        let marks = format!("--marks-of kafka:/{}", job.name);
        job.place().succeed(&job.replay(&format!("{marks} --output out --job topic")));
        let Topic { brokers, .. } = &job.input;
        job.place().succeed(&format!(
            "replay --raw raw -b {brokers} --config clicks.toml {marks} --output out --job raw"
        ));
        job.place().assert_same_rows("topic", "raw");
        assert_eq!(stands(job.place(), "topic"), stands(job.place(), "raw"));
        let live = job.committed();
        let told = String::from_utf8(job.place().rows("raw")[2].clone()).unwrap();
        let told: Vec<&str> = told.lines().collect();
        assert_eq!(told[..live.rejects.len().min(told.len())], live.rejects[..]);
    }
}

/// Records that columns do not describe under another mapping are decoded again from their bytes.
#[test]
fn another_mapping_decodes_the_bytes_again() {
    let mut job = TopicJob::new(lively(), 2);
    job.feed();
    job.feed();
    job.place().succeed(&archive(&job, "--once"));
    let sets = [
        "--set input.fields.country=",
        "--set input.fields.ad_id=user_id",
        "--set job.identity=click_timestamp,country",
        "--set job.identity=click_timestamp,elsewhere",
        "--set job.identity=none",
    ];
    for (set, at) in sets.into_iter().zip(0..) {
        let rest = format!("{set} --output out --job topic-{at}");
        job.place().succeed(&job.replay(&rest));
        job.place().succeed(&format!(
            "replay --raw raw --config clicks.toml {set} --output out --job raw-{at}"
        ));
        job.place().assert_same_rows(&format!("topic-{at}"), &format!("raw-{at}"));
    }
    let rows: Vec<_> = (0..sets.len()).map(|at| job.place().rows(&format!("raw-{at}"))).collect();
    assert!(rows.iter().any(|other| *other != rows[0]), "the settings matter");
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

/// History, then live: the topic has forgotten what the raw log has, and the job has all of it.
#[test]
fn history_and_then_the_topic_are_one_run() {
    let mut job = TopicJob::logged(lively(), 3);
    job.feed();
    job.feed();
    job.place().succeed(&archive(&job, "--once"));
    // In one partition all that is archived has been forgotten, in another some of it is in both.
    let archived = job.script.partitions.iter().map(Vec::len).collect::<Vec<_>>();
    delete_records(&job.input, 0, i64::try_from(archived[0]).unwrap());
    delete_records(&job.input, 1, i64::try_from(archived[1] / 2).unwrap());
    job.feed();

    // Killed on the way, also where it goes over.
    for step in ["before-commit:1", "after-flush:2", "commit-answered:1"] {
        let running = job
            .place()
            .start_with(&format!("{} --raw raw", job.arguments()), &[("CLICKS_FAILPOINT", step)]);
        wait_for_stop(&running, step.split_once(':').unwrap().0);
        running.kill();
        job.feed();
    }
    let running = job.start_with("--raw raw");
    job.wait_for_all();
    job.feed();
    job.wait_for_all();
    running.terminate();
    job.assert_exact();
}

/// Several topics share a raw log, and partitions are named as the job over the topics names them.
#[test]
fn several_topics_share_a_raw_log() {
    let mut job = TopicJob::over(lively(), &[("eu", 1), ("us", 2)]);
    job.feed();
    for topic in job.inputs() {
        job.place().succeed(&archive_of(&topic, "--once"));
    }
    job.place().succeed("raw check raw");
    let named =
        job.inputs().iter().map(|topic| format!("--topic {}", topic.name)).collect::<Vec<_>>();
    let replay = format!("replay --raw raw --config clicks.toml {}", named.join(" "));
    job.place().succeed(&format!("{replay} --output out --job raw"));
    let inputs = job
        .inputs()
        .iter()
        .map(|topic| format!("--input kafka:{}", topic.name))
        .collect::<Vec<_>>();
    let replay = format!("replay {} -b {} --config clicks.toml", inputs.join(" "), job.brokers);
    job.place().succeed(&format!("{replay} --output out --job topics"));
    job.place().assert_same_rows("topics", "raw");
    assert_eq!(stands(job.place(), "topics"), stands(job.place(), "raw"));

    job.feed();
    let running = job.start_with("--raw raw -w 2");
    job.wait_for_all();
    running.terminate();
    job.assert_exact();

    let ended = job.place().run("replay --raw raw --topic other --output out --job none");
    ended.with(2).naming(&["raw has nothing of topic other, but of"]);
}

/// What is in neither is refused, by the job and by the archive, with the offsets named.
#[test]
fn a_gap_between_raw_log_and_topic_is_refused() {
    let mut job = TopicJob::logged(lively(), 1);
    job.append(0, logged_clicks(1, &["12:00:00", "12:00:01", "12:00:02"]));
    job.place().succeed(&archive(&job, "--once"));
    job.append(0, logged_clicks(1, &["12:00:03", "12:00:04", "12:00:05"]));
    delete_records(&job.input, 0, 5);
    let gap = ["offset 3", "begins at 5", "offsets 3 to 4", "retention.ms"];
    let ended = job.place().run(&format!("{} --raw raw", job.arguments()));
    ended.with(2).naming(&gap);
    let gap = ["up to offset 3", "first is 5", "offsets 3 to 4", "retention.ms"];
    job.place().run(&archive(&job, "--once")).with(2).naming(&gap);

    // A raw log that ends where the topic begins is no gap.
    let mut job = TopicJob::logged(lively(), 1);
    job.append(0, logged_clicks(1, &["12:00:00", "12:00:01", "12:00:02"]));
    job.place().succeed(&archive(&job, "--once"));
    delete_records(&job.input, 0, 3);
    job.append(0, logged_clicks(1, &["12:00:03", "12:05:00"]));
    let running = job.start_with("--raw raw");
    job.wait_for_all();
    running.terminate();
    job.assert_exact();
}

/// From a time, only segments are read that may hold its clicks, and the same minutes are told.
#[test]
fn a_replay_between_times_reads_what_it_needs() {
    let mut job = TopicJob::logged(lively(), 1);
    for hour in 10..16 {
        let times: Vec<String> = (0..60).map(|minute| format!("{hour}:{minute:02}:07")).collect();
        let times: Vec<&str> = times.iter().map(String::as_str).collect();
        job.append(0, logged_clicks(hour, &times));
    }
    job.place().succeed(&archive(&job, "--once"));
    let range = "--from 2026-01-01T13:30:00Z --until 2026-01-01T14:10:00Z";
    job.place().succeed(&job.replay(&format!("{range} --output out --job topic")));
    // Nobody asks what the first hours hold.
    let hours = segments(&job);
    assert_eq!(hours.len(), 6, "{hours:?}");
    std::fs::write(&hours[0], b"damaged").unwrap();
    let raw = "replay --raw raw --config clicks.toml";
    job.place().succeed(&format!("{raw} {range} --output out --job raw"));
    job.place().assert_same_rows("topic", "raw");
    let last = job.place().commits("raw").pop().unwrap();
    assert!(last.totals.records < 200, "{} records were read", last.totals.records);
    let ended = job.place().run(&format!("{raw} --output out --job whole"));
    ended.with(1).naming(&["hour=10", "is damaged"]);

    // Offsets, as of the topic.
    let range = "--from 0=200 --until 0=300";
    job.place().succeed(&job.replay(&format!("{range} --output out --job topic-2")));
    job.place().succeed(&format!("{raw} {range} --output out --job raw-2"));
    job.place().assert_same_rows("topic-2", "raw-2");
    let last = job.place().commits("raw-2").pop().unwrap();
    assert_eq!(last.totals.records, 100);
}

/// The files of the raw log, in their order.
fn segments(job: &TopicJob) -> Vec<std::path::PathBuf> {
    let listed = job.place().succeed("raw list raw --segments").stdout;
    listed.lines().map(|line| job.place().path(line.split_once('\t').unwrap().0)).collect()
}

/// A segment ends when it is large enough, or old enough, or another hour begins.
#[test]
fn segments_end_by_size_by_time_and_by_hour() {
    let mut job = TopicJob::logged(lively(), 1);
    job.append(0, logged_clicks(1, &["12:59:59", "13:00:00", "12:59:00", "13:30:00"]));
    job.place().succeed(&archive(&job, "--once"));
    assert_eq!(segments(&job).len(), 2, "hours never go back");

    job.append(0, logged_clicks(1, &["13:30:01"; 5000]));
    job.append(0, logged_clicks(2, &["13:30:02"; 5000]));
    job.place().succeed(&archive(&job, "--once --size 1KB"));
    assert_eq!(segments(&job).len(), 5, "a batch is 4096 records at most");

    let running = job.place().start(&archive(&job, "--roll 10ms"));
    job.append(0, logged_clicks(1, &["13:30:03"]));
    wait_for("a segment is put when it is old enough", || {
        (segments(&job).len() == 6).then_some(())
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
