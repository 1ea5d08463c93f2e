//! A broker that stalls, restarts or dies: the job waits in bounded memory, goes on by itself, and
//! says so once.

use crate::support::binary::{Place, Running, let_pass, wait_for};
use crate::support::kafka::{Broker, Topic, TopicJob, lively, words_about_kafka};

/// A transaction that cannot end in time is in doubt: its producer is given up, and the ledger says
/// whether it happened.
#[test]
fn a_broker_that_stalls_for_longer_than_a_transaction_may_take_costs_nothing() {
    let mut broker = Broker::start();
    let mut job = TopicJob::on(&broker, lively(), 2);
    job.feed();
    let running = job.start();
    job.wait_for_all();
    job.feed();
    broker.signal("-STOP");
    let_pass(45_000);
    broker.signal("-CONT");
    job.feed();
    job.wait_for_all();
    // When it wakes it has been given up by its controller, and leads again a little later.
    assert!(words_about_kafka(&running) <= 4, "{}", running.stderr());
    running.terminate();
    job.assert_exact();
}

/// Restarted in good order, and killed: nobody has to start the job again.
#[test]
fn a_broker_that_ends_and_comes_back_is_said_once() {
    let mut broker = Broker::start();
    let mut job = TopicJob::on(&broker, lively(), 2);
    job.feed();
    let running = job.start();
    job.wait_for_all();
    for (signal, outage) in ["-TERM", "-KILL"].into_iter().zip(1..) {
        broker.signal(signal);
        wait_for("a word about it", || {
            (words_about_kafka(&running) == outage * 2 - 1).then_some(())
        });
        let_pass(5000);
        broker.restart();
        job.feed();
        job.wait_for_all();
        wait_for("a word about its end", || {
            (words_about_kafka(&running) == outage * 2).then_some(())
        });
    }
    running.terminate();
    job.assert_exact();
}

/// Kafka's client has calls that do not always return. Nobody can end one, so the run ends.
#[test]
fn a_call_that_does_not_return_ends_the_run_and_costs_nothing() {
    let mut job = TopicJob::new(lively(), 2);
    job.feed();
    let running = job.start();
    job.wait_for_all();
    running.terminate();

    job.feed();
    // A transaction may take so long, and a call three times as long.
    let hanging = job.start_to_with("before-commit:hang", "-X transaction.timeout.ms=10000");
    hanging.end().with(1).naming(&["failpoint before-commit", "does not return"]);

    let running = job.start();
    job.wait_for_all();
    running.terminate();
    job.assert_exact();
}

/// Results that are not taken stop the reading of a directory; its rows are those that it would
/// have written to another directory.
#[test]
fn results_that_are_not_taken_hold_up_reading_in_bounded_memory() {
    let mut broker = Broker::start();
    let place = Place::new();
    let clicks = "--clicks 1500000 --ads 100000 --partitions 2 --per-second 5000 --late 0.001";
    place.succeed(&format!("generate --to in {clicks} --start 2026-01-01T12:00:00Z"));
    let topic = |name: &str| Topic { brokers: broker.address(), name: name.to_owned() };
    for log in ["counts", "ranks", "rejects", "ledger"] {
        topic(&format!("ads.{log}")).create(1, &[]);
    }
    let address = broker.address();
    let ledger = topic("ads.ledger");
    let run = "run --input in --set job.emit=changes --no-progress";
    let running = place.start(&format!("{run} --output kafka: --job ads -b {address}"));
    wait_for("a first commit", || (ledger.ends()[0] > 3).then_some(()));
    broker.signal("-STOP");
    // What is still on its way is taken in; then nothing more.
    let_pass(8000);
    let before = resident_kib(&running);
    let_pass(8000);
    let after = resident_kib(&running);
    broker.signal("-CONT");
    assert!(after < before + (16 << 10), "{before} KiB became {after} KiB");
    running.end().with(0);
    place.succeed(&format!("{run} --output out --job ads"));
    let told = place.succeed(&format!("tail kafka: counts --no-follow --job ads -b {address}"));
    assert!(told.stdout.as_bytes() == place.bytes("out/ads.counts.jsonl"), "counts differ");
}

/// Memory of a process that is resident.
fn resident_kib(running: &Running) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
