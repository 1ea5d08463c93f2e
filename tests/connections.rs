//! Connections to the broker that end, swallow what goes over them, or are slow: the job goes on by
//! itself, or ends and says what to change.

use crate::support::binary::{Place, Running, let_pass, wait_for};
use crate::support::kafka::{
    Broker, Proxy, TopicJob, create_results, lively, wait_for_stop, words_about_kafka,
};

/// Steps of a commit at which connections are lost.
const STEPS: [&str; 4] = ["after-begin", "after-counts", "before-commit", "commit-sent"];

/// How long a request waits for its answer.
const TIMEOUT: &str = "-X socket.timeout.ms=2000";

/// A job that finds its broker through a proxy, while the test goes straight to it.
fn behind_proxy() -> (Broker, Proxy, TopicJob) {
    let (proxy, broker) = Proxy::with_broker();
    let mut job = TopicJob::on(&broker, lively(), 2);
    job.brokers = proxy.address();
    job.feed();
    (broker, proxy, job)
}

/// Waits until it is said that brokers are lost, or that they are found again.
fn wait_for_word(running: &Running, words: usize) {
    wait_for("a word about it", || (words_about_kafka(running) >= words).then_some(()));
}

/// A connection may lose its way after others have found theirs, which is said too.
fn assert_said_once(running: &Running) {
    assert!((1..=4).contains(&words_about_kafka(running)), "{}", running.stderr());
}

#[test]
fn connections_that_end_cost_nothing_and_are_said_once() {
    let (_broker, proxy, mut job) = behind_proxy();
    let running = job.start();
    job.wait_for_all();
    proxy.cut();
    job.feed();
    wait_for_word(&running, 1);
    proxy.mend();
    job.wait_for_all();
    wait_for_word(&running, 2);
    assert_said_once(&running);
    running.terminate();

    for step in STEPS {
        job.feed();
        let running = job.start_to(step);
        wait_for_stop(&running, step);
        proxy.cut();
        running.signal("CONT");
        wait_for_word(&running, 1);
        proxy.mend();
        job.wait_for_all();
        assert_said_once(&running);
        running.terminate();
    }
    job.assert_exact();
}

/// Nothing ends, and nothing comes: for longer than a request waits for its answer.
#[test]
fn connections_that_swallow_everything_cost_nothing_and_are_said_once() {
    let (_broker, proxy, mut job) = behind_proxy();
    let running = job.start_with(TIMEOUT);
    job.wait_for_all();
    proxy.swallow();
    job.feed();
    let_pass(6000);
    proxy.mend();
    job.wait_for_all();
    assert_said_once(&running);
    running.terminate();

    for step in STEPS {
        job.feed();
        let running = job.start_to_with(step, TIMEOUT);
        wait_for_stop(&running, step);
        proxy.swallow();
        running.signal("CONT");
        let_pass(6000);
        proxy.mend();
        job.wait_for_all();
        assert_said_once(&running);
        running.terminate();
    }
    job.assert_exact();
}

/// Brokers that are away are waited for; those that take rows all the time, and not enough of them,
/// would not take them the next time either.
#[test]
fn a_commit_that_is_taken_too_slowly_ends_the_run_with_what_to_change() {
    let (proxy, broker) = Proxy::with_broker();
    create_results(&broker.address(), "ads");
    let place = Place::new();
    // All of it is one minute, and so one epoch.
    place.succeed(
        "generate --to in --clicks 50000 --ads 40000 --partitions 1 --per-second 5000 --late 0 \
         --start 2026-01-01T12:00:00Z",
    );
    let run = "run --input in --no-progress --job ads";
    let over = format!("{run} --output kafka: -b {}", proxy.address());
    proxy.limit(20_000);
    let few = "-X batch.size=10000 -X transaction.timeout.ms=10000";
    let ended = place.run(&format!("{over} {few}")).with(1);
    ended.naming(&["answer", "3 times in a row", "let transaction.timeout.ms be longer"]);

    proxy.limit(0);
    place.succeed(&over);
    place.succeed(&format!("{run} --output out"));
    let tail = format!("tail kafka: counts --no-follow --job ads -b {}", broker.address());
    let told = place.succeed(&tail);
    assert!(told.stdout.as_bytes() == place.bytes("out/ads.counts.jsonl"), "counts differ");
}
