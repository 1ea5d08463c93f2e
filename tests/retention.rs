//! Topics that no longer hold what a job needs: refused by name, and never skipped.

use crate::support::binary::wait_for;
use crate::support::kafka::{TopicJob, clicks, delete_records, delete_topic, lively, rows};
use crate::support::script::Settings;

/// Records that the job has not read are gone.
#[test]
fn deleted_records_that_were_not_read_are_refused() {
    let mut job = fed();
    job.append(0, clicks(1, &["12:02:01", "12:02:02", "12:02:03"]));
    delete_records(&job.input, 0, 6);
    let topic = job.input.name.clone();
    for _ in 0..2 {
        job.place().run(&job.arguments()).with(2).naming(&[
            &format!("partition 0 of topic {topic}: offset 0 is needed, but 6 to 7 are there"),
            "records that the job has not read have been deleted",
            "new job",
            "retention.ms",
        ]);
    }
    assert_eq!(job.records(), 8, "nothing was skipped");
    job.assert_exact();
}

/// All that is new is there, but not what a restart goes back to.
#[test]
fn deleted_records_that_a_restart_goes_back_to_are_refused() {
    let mut job = fed();
    delete_records(&job.input, 1, 3);
    job.append(1, clicks(2, &["12:02:01"]));
    let topic = job.input.name.clone();
    job.place().run(&job.arguments()).with(2).naming(&[
        &format!("partition 1 of topic {topic}: offset 0 is needed, but 3 to 5 are there"),
        "none of them is new to the job, but a restart goes back to rebuild",
        "new job",
        "retention.ms",
    ]);
    assert_eq!(job.records(), 8, "nothing was skipped");
    job.assert_exact();
}

/// A job that is too slow, or stopped, is overtaken by the topic's retention.
#[test]
fn records_deleted_before_a_running_job_has_read_them_end_it() {
    let mut job = fed();
    let running = job.start();
    job.append(0, clicks(1, &["12:02:01"]));
    job.wait_for_all();
    running.signal("STOP");
    // What it has asked for before it was stopped is answered with this, and with nothing else.
    job.append(1, clicks(2, &["12:02:01"]));
    job.append(0, clicks(1, &["12:02:02", "12:02:03", "12:02:04"]));
    delete_records(&job.input, 0, 8);
    job.append(0, clicks(1, &["12:02:05"]));
    running.signal("CONT");
    let ended = running.end();
    let topic = job.input.name.clone();
    ended.with(2).naming(&[
        &format!("partition 0 of topic {topic}: offset 5 is needed, but 8 to 9 are there"),
        "records that the job has not read have been deleted",
    ]);
    assert!(job.records() <= 10, "nothing was skipped");
}

/// Less is there than the job has read.
#[test]
fn a_topic_that_was_made_again_is_refused() {
    let mut job = fed();
    make_again(&job);
    job.script.partitions.iter_mut().for_each(Vec::clear);
    job.append(0, clicks(3, &["12:03:00"]));
    let topic = job.input.name.clone();
    job.place().run(&job.arguments()).with(2).naming(&[
        &format!("of topic {topic}: offset 4 is needed, but 0 to "),
        "the topic was deleted and made again, or has lost records",
        "new job",
    ]);
    assert_eq!(job.records(), 8);
}

/// More is there than the job has read, but not the same: what is told again shows it.
#[test]
fn a_topic_that_was_made_again_and_filled_beyond_the_ledger_is_found_out() {
    let mut job = fed();
    make_again(&job);
    job.script.partitions.iter_mut().for_each(Vec::clear);
    for partition in 0..2 {
        let minutes: Vec<String> = (0..20).map(|minute| format!("12:{minute:02}:30")).collect();
        job.append(partition, clicks(9, &minutes.iter().map(String::as_str).collect::<Vec<_>>()));
    }
    let commits = job.commits().len();
    job.place().run(&job.arguments()).with(1).naming(&["comes out differently", "the input"]);
    assert_eq!(job.commits().len(), commits, "nothing was committed");
}

/// The same of a job that has gone on for so long that a restart goes back by a few commits only.
#[test]
fn a_restart_tells_the_last_rows_again_and_compares_them() {
    let settings = Settings {
        changes: false,
        copies_stay: false,
        lateness_ms: 1000,
        horizon_ms: 120_000,
        ahead_max_ms: 60_000,
        windows: vec![1],
        ..lively()
    };
    let mut job = TopicJob::new(settings, 1);
    let five_minutes = |ad, round: u64| {
        let times: Vec<String> =
            (0..5).map(|minute| format!("12:{:02}:30", 5 * round + minute)).collect();
        clicks(ad, &times.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let running = job.start_with("--stats");
    for round in 0..8 {
        job.append(0, five_minutes(1, round));
        job.wait_for_all_closed(&running);
    }
    running.terminate();
    let running = job.start_with("--stats");
    job.append(0, five_minutes(1, 8));
    job.wait_for_all_closed(&running);
    running.terminate();
    job.assert_exact();

    delete_topic(&job.input);
    job.input.wait_until_gone();
    job.input.create(1, &[]);
    job.script.partitions[0].clear();
    for round in 0..10 {
        job.append(0, five_minutes(9, round));
    }
    let commits = job.commits().len();
    job.place().run(&job.arguments()).with(1).naming(&["comes out differently", "the input"]);
    assert_eq!(job.commits().len(), commits, "nothing was committed");
}

/// Within seconds; no error says it, so the topics are looked at.
#[test]
fn a_topic_that_is_deleted_ends_a_running_job() {
    let job = fed();
    let running = job.start();
    wait_for("it runs", || running.stderr().contains("event time").then_some(()));
    delete_topic(&job.input);
    running.end().with(1).naming(&[&job.input.name, "deleted"]);
    assert_eq!(job.records(), 8);
}

/// The same if it is there again at once.
#[test]
fn a_topic_that_is_made_again_ends_a_running_job() {
    let mut job = fed();
    let running = job.start();
    wait_for("it runs", || running.stderr().contains("event time").then_some(()));
    make_again(&job);
    job.script.partitions.iter_mut().for_each(Vec::clear);
    job.append(0, clicks(3, &["12:03:00"]));
    running.end().with(1).naming(&[&job.input.name, "deleted"]);
    assert_eq!(job.records(), 8);
}

/// A partition and a topic that are added when their first records are gone: the job never had any
/// of them, and needs none. What it has had of them since, it needs like all else.
#[test]
fn what_is_added_begins_at_the_first_record_that_is_left() {
    let mut job = TopicJob::over(lively(), &[("eu", 1), ("us", 1)]);
    let [eu, _] = job.inputs().try_into().unwrap();
    feed_each(&mut job, 0..2, "12:00");
    let running = job.start();
    job.wait_for_all();
    running.terminate();

    job.grow(&eu);
    feed_each(&mut job, 0..3, "12:01");
    job.cut(2, 2);
    let running = job.start();
    let begins = format!("{}/1 is new to the job and begins at offset 2", eu.name);
    wait_for("it says so", || running.stderr().contains(&begins).then_some(()));
    job.wait_for_all();
    running.kill();

    job.join("za");
    feed_each(&mut job, 0..4, "12:02");
    job.cut(3, 1);
    let running = job.start();
    job.wait_for_all();
    let said = running.stderr();
    assert!(said.contains("za/0 is new to the job and begins at offset 1"), "{said}");
    assert!(!said.contains(&begins), "{said}");
    feed_each(&mut job, 0..4, "12:03");
    job.wait_for_all();
    running.terminate();
    job.assert_exact();
    let (name, brokers) = (&job.name, &job.input.brokers);
    let inputs = job.inputs();
    let inputs = inputs.iter().map(|topic| format!(" --input kafka:{}", topic.name));
    let verify = format!("verify kafka: -b {brokers} --job {name} --config clicks.toml");
    let verified = job.place().succeed(&(verify + &inputs.collect::<String>())).stdout;
    assert!(verified.contains("differences: none"), "{verified}");

    delete_records(&eu, 1, 3);
    job.place().run(&job.arguments()).with(2).naming(&[
        &format!("partition 1 of topic {}: offset 2 is needed, but 3 to", eu.name),
        "a restart goes back to rebuild",
    ]);
}

/// Three clicks for each of these partitions.
fn feed_each(job: &mut TopicJob, partitions: std::ops::Range<usize>, minute: &str) {
    let times = [1, 2, 3].map(|second| format!("{minute}:{second:02}"));
    for partition in partitions {
        let ad = 1 + u32::try_from(partition).unwrap();
        job.append(partition, clicks(ad, &times.each_ref().map(String::as_str)));
    }
}

/// What it would go back to is gone, and is of no use to the instance that runs.
#[test]
fn a_start_that_is_refused_disturbs_nobody() {
    let mut job = fed();
    let running = job.start();
    job.append(1, clicks(2, &["12:02:01"]));
    job.wait_for_all();
    delete_records(&job.input, 1, 3);
    job.place().run(&job.arguments()).with(2).naming(&["a restart goes back to rebuild"]);
    job.append(1, clicks(2, &["12:02:02"]));
    job.wait_for_all();
    running.terminate();
    job.assert_exact();
}

/// Without the line that opens the job nothing says where it began, or what it means: also of a
/// ledger of which nothing is left it does not begin anew, and count everything again.
#[test]
fn a_job_whose_ledger_lost_its_first_lines_does_not_start() {
    let mut job = fed();
    let ledger = job.topic("ledger");
    let rows = rows(&job.topic("counts")).len();
    job.append(0, clicks(1, &["12:02:01"]));
    let verify = format!("verify kafka: --job {} -b {}", job.name, ledger.brokers);
    let tail = format!("tail kafka: counts --no-follow --job {} -b {}", job.name, ledger.brokers);
    let end = ledger.ends()[0];
    for (first, found) in [(2, "the ledger begins with commit "), (end, "the ledger is empty: ")] {
        delete_records(&ledger, 0, first);
        job.place().run(&job.arguments()).with(2).naming(&[
            &format!("topic {} begins at offset {first}", ledger.name),
            "the lines before it have been deleted, among them the one that opens the job",
            "start a new job with --job",
            "`clicks topics check`",
        ]);
        let verified = job.place().run(&verify).with(3).stdout;
        assert!(verified.contains(found), "{verified}");
        assert!(
            verified.contains(&format!(".ledger begins at offset {first}: lines ")),
            "{verified}"
        );
        let told = job.place().succeed(&tail).stdout.lines().count();
        assert_eq!(told, if first < end { rows } else { 0 });
    }
}

/// A job that has read and told four clicks of each of two partitions.
fn fed() -> TopicJob {
    let mut job = TopicJob::new(lively(), 2);
    for partition in 0..2 {
        let times = ["12:00:01", "12:00:02", "12:01:03", "12:01:04"];
        job.append(partition, clicks(1 + u32::try_from(partition).unwrap(), &times));
    }
    let running = job.start();
    job.wait_for_all();
    running.terminate();
    job.assert_exact();
    job
}

/// Deletes the input and makes it again, empty.
fn make_again(job: &TopicJob) {
    delete_topic(&job.input);
    job.input.wait_until_gone();
    job.input.create(2, &[]);
}
