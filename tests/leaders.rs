//! Leaders that move from broker to broker: of what is read, of what is written, and of whoever
//! coordinates transactions.

use crate::support::kafka::{Broker, TopicJob, lively, words_about_kafka};

/// Each of three brokers ends in its turn, and with it all that it leads: every partition, and the
/// only one of the coordinator, is led by two of them at least.
#[test]
fn leaders_that_move_cost_nothing() {
    let mut brokers = Broker::start_three();
    let mut job = TopicJob::on_all(&brokers, lively(), 3);
    job.feed();
    let running = job.start();
    job.wait_for_all();
    for (broker, signal) in brokers.iter_mut().zip(["-TERM", "-KILL", "-TERM"]) {
        job.input.wait_for_copies(3);
        broker.signal(signal);
        job.feed();
        job.wait_for_all();
        broker.restart();
    }
    job.feed();
    job.wait_for_all();
    assert!(words_about_kafka(&running) <= 6, "{}", running.stderr());
    running.terminate();
    job.assert_exact();
}
