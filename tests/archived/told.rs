//! The raw log tells what its topic tells, before the topic too, and never over a gap.

use clicks_dataflows::ledger::{Position, Totals};

use super::{archive, archive_of, assert_whole};
use crate::support::binary::Place;
use crate::support::kafka::{
    Topic, TopicJob, delete_records, lively, logged_clicks, wait_for_stop,
};
use crate::support::script::Item;

/// Where a job stands, and its totals; a partition that is empty has no segment.
fn stands(place: &Place, job: &str) -> (Vec<Position>, Totals) {
    let last = place.commits(job).pop().unwrap();
    let read = last.positions.into_iter().filter(|position| position.offset > 0);
    (read.collect(), last.totals)
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
    let hours = job.place().segments();
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
