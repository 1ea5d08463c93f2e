//! Topics are made as a job needs them, and a job refuses those that it cannot commit to.

use crate::golden::shell::{Ended, Shell};
use crate::support::kafka::{self, Record, Topic, produce, rows};

/// `clicks` with these words, at the shared broker.
fn clicks(words: &str) -> Ended {
    Shell::new().clicks(&format!("{words} -b {}", kafka::brokers()))
}

/// What `clicks` prints when it ends with `code`.
fn printed(words: &str, code: i32) -> Vec<String> {
    let ended = clicks(words);
    assert_eq!(ended.code, Some(code), "{words}: {ended:?}");
    ended.stdout.lines().map(str::to_owned).collect()
}

/// What `clicks` says when it refuses.
fn refused(words: &str) -> String {
    let ended = clicks(words);
    assert_eq!(ended.code, Some(2), "{words}: {ended:?}");
    ended.stderr
}

/// A job without topics, and its clicks.
fn unique() -> (String, String) {
    let job = kafka::unique("topics");
    let input = format!("{job}-clicks");
    (job, input)
}

/// The topics of a job, with these settings of one of its logs.
fn create(job: &str, log: &str, config: &[(&str, &str)]) {
    for (name, partitions) in [("counts", 3), ("ranks", 3), ("rejects", 1), ("ledger", 1)] {
        let config = if name == log { config } else { &[] };
        kafka::create_topic(&format!("{job}.{name}"), partitions, config);
    }
}

#[test]
fn topics_are_made_once() {
    let (job, input) = unique();
    let asked = format!("--job {job} --input {input} --partitions 4 --result-partitions 3");
    let missing = [&input, &format!("{job}.counts")].map(|topic| format!("{topic}: missing"));
    assert_eq!(printed(&format!("topics check {asked}"), 3)[..2], missing);
    let said = clicks(&format!("topics check {asked}")).stderr;
    assert!(said.contains("missing: `clicks topics create` with the same options"), "{said}");

    let would = printed(&format!("topics create {asked} --dry-run"), 0);
    assert_eq!(would[0], format!("{input}: would be made, 4 partitions"));
    assert_eq!(printed(&format!("topics check {asked}"), 3).len(), 5);

    let counts = [(&input[..], 4), ("counts", 3), ("ranks", 3), ("rejects", 1), ("ledger", 1)];
    let lines = |verb: &str| {
        counts.map(|(topic, count)| {
            let job = if topic == input { String::new() } else { format!("{job}.") };
            let plural = if count == 1 { "" } else { "s" };
            format!("{job}{topic}: {verb}, {count} partition{plural}")
        })
    };
    assert_eq!(printed(&format!("topics create {asked}"), 0), lines("made"));
    assert_eq!(printed(&format!("topics create {asked}"), 0), lines("as it should be"));
    assert_eq!(printed(&format!("topics check {asked}"), 0), lines("as it should be"));
}

/// The broker's time is on a click, whatever its producer says, and a job counts over the topics.
#[test]
fn a_job_runs_over_topics_that_were_made() {
    let (job, input) = unique();
    printed(&format!("topics create --job {job} --input kafka:{input} --partitions 1"), 0);
    let topic = Topic { brokers: kafka::brokers().to_owned(), name: input.clone() };
    let click = br#"{"ad_id":"ad001","click_timestamp":1000}"#.to_vec();
    produce(&topic, &[Record { value: Some(click), time: Some(1000), ..Record::default() }]);
    let ended = clicks(&format!("replay --input kafka:{input} --output kafka: --job {job}"));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("message.timestamp.type"), "{}", ended.stderr);
    let counts = Topic { name: format!("{job}.counts"), ..topic };
    assert_eq!(rows(&counts).len(), 1);
}

/// Nothing is changed of a topic that is there: what differs is told, with how it is mended.
#[test]
fn what_differs_is_told_and_left_as_it_is() {
    let (job, input) = unique();
    kafka::create_topic(&input, 2, &[("max.message.bytes", "5000")]);
    create(&job, "ledger", &[("cleanup.policy", "compact")]);
    let asked = format!("--job {job} --input {input} --partitions 3 --result-partitions 3");
    for verb in ["check", "create"] {
        let ended = clicks(&format!("topics {verb} {asked}"));
        assert_eq!(ended.code, Some(3), "{}", ended.stderr);
        for line in [
            format!("{input}: partitions is 2, should be 3"),
            format!("{input}: max.message.bytes is 5000, should be 2097152 or more"),
            format!("{input}: message.timestamp.type is CreateTime, should be LogAppendTime"),
            format!("{job}.counts: retention.ms is 604800000, should be -1"),
            format!("{job}.ledger: cleanup.policy is compact, should be delete"),
        ] {
            assert!(ended.stdout.lines().any(|told| told == line), "{line}: {}", ended.stdout);
        }
        let mend = format!("--entity-name {job}.ledger --add-config cleanup.policy=delete");
        assert!(ended.stderr.contains(&mend), "{}", ended.stderr);
        let mend = format!("--alter --topic {input} --partitions 3");
        assert!(ended.stderr.contains(&mend), "{}", ended.stderr);
        assert!(ended.stderr.contains("error: 5 topics are not as they should be"));
    }
}

#[test]
fn results_are_kept_as_asked_and_the_ledger_for_ever() {
    let (job, _) = unique();
    let asked = format!("--job {job} --result-retention 30d --compact --result-bytes 2000000");
    printed(&format!("topics create {asked}"), 0);
    let told = printed(&format!("topics check --job {job} --result-bytes 2000000"), 3);
    let compacted = "cleanup.policy is compact,delete, should be delete";
    assert_eq!(
        told,
        [
            format!("{job}.counts: {compacted}"),
            format!("{job}.counts: retention.ms is 2592000000, should be -1"),
            format!("{job}.ranks: {compacted}"),
            format!("{job}.ranks: retention.ms is 2592000000, should be -1"),
            format!("{job}.rejects: retention.ms is 2592000000, should be -1"),
            format!("{job}.ledger: as it should be, 1 partition"),
        ],
    );
}

/// An hour of clicks is not enough for a job that may need the last eight.
#[test]
fn clicks_that_are_kept_too_short_are_warned_about() {
    let (job, input) = unique();
    let ended = clicks(&format!("topics create --input {input} --input-retention 1h"));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let warning = "keeps clicks for 1h (retention.ms)";
    assert!(ended.stderr.contains(warning), "{}", ended.stderr);

    create(&job, "", &[]);
    let run = format!("replay --input kafka:{input} --output kafka: --job {job}");
    assert!(clicks(&run).stderr.contains(warning));
    let short = "--set job.horizon=10m --set job.windows=1 --set job.ahead_max=1m";
    assert!(!clicks(&format!("{run}-2 {short}")).stderr.contains(warning));
}

#[test]
fn times_of_producers_are_noted() {
    let (job, input) = unique();
    kafka::create_topic(&input, 1, &[]);
    create(&job, "", &[]);
    let ended = clicks(&format!("replay --input kafka:{input} --output kafka: --job {job}"));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("message.timestamp.type=CreateTime"), "{}", ended.stderr);
}

/// Each would fail with the first commit, and with every one that is tried after it.
#[test]
fn topics_that_cannot_take_a_commit_are_refused() {
    let (_, input) = unique();
    kafka::create_topic(&input, 1, &[]);
    for (log, config, told) in [
        ("ledger", ("cleanup.policy", "compact"), "takes no records without a key"),
        ("rejects", ("cleanup.policy", "compact,delete"), "takes no records without a key"),
        ("counts", ("max.message.bytes", "100000"), "batches of 100000 bytes (max.message.bytes)"),
        ("ranks", ("max.message.bytes", "150000"), "job.top: a list of 100 ads"),
    ] {
        let (job, _) = unique();
        create(&job, log, &[config]);
        let said = refused(&format!("run --input kafka:{input} --output kafka: --job {job}"));
        assert!(said.contains(&format!("topic {job}.{log}")) && said.contains(told), "{said}");
        assert!(said.contains("kafka-configs.sh"), "{said}");
    }
}

#[test]
fn what_cannot_be_made_is_refused() {
    let (job, input) = unique();
    let said = refused(&format!("topics create --job {job} --input {job}.counts"));
    assert!(said.contains("both clicks and results"), "{said}");
    assert!(refused("topics create").contains("--input"));
    let ended = clicks(&format!("topics create --input {input} --replication 3"));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains(&format!("cannot make topic {input}")), "{}", ended.stderr);
}
