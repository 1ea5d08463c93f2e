//! Leaders that move from broker to broker: of what is read, of what is written, and of those who
//! coordinate transactions and groups.

use clicks::worker::monotonic_ms;

use super::seconds;
use crate::support::kafka::{Broker, TopicJob, lively, words_about_kafka};

/// How the brokers end, each in its turn.
const ENDS: [&str; 3] = ["-TERM", "-KILL", "-TERM"];

/// Each of three brokers ends, and with it all that it leads: whatever leads, has moved then. Once
/// is enough, unless more time is asked for.
#[test]
fn leaders_that_move_cost_nothing() {
    let until = monotonic_ms() + seconds().unwrap_or(0) * 1000;
    let mut brokers = Broker::start_three();
    let mut job = TopicJob::on_all(&brokers, lively(), 3);
    job.feed();
    let running = job.start();
    job.wait_for_all();
    let mut deaths = 0;
    while deaths == 0 || monotonic_ms() < until {
        for (broker, signal) in brokers.iter_mut().zip(ENDS) {
            job.input.wait_for_copies(ENDS.len());
            broker.signal(signal);
            deaths += 1;
            job.feed();
            job.wait_for_all();
            broker.restart();
        }
    }
    job.feed();
    job.wait_for_all();
    // Some clients may miss a broker when others have found what they need.
    assert!(words_about_kafka(&running) <= 4 * deaths, "{}", running.stderr());
    running.terminate();
    job.assert_exact();
}
