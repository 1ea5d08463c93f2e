//! A real Kafka, and what tests do with topics beside the program.
//!
//! One broker serves all tests of a run: it is started when the first one asks, and dies with this
//! process. `CLICKS_TEST_KAFKA=host:port` names another one, which must be as patient with topics.
//! A test that hurts its broker starts one of its own.

mod broker;
mod copies;
mod job;
mod proxy;
mod topic;

pub use broker::Broker;
pub use copies::Copy;
pub use job::{TopicJob, clicks, create_results, lively, logged_clicks, order, wait_for_stop};
pub use topic::{
    Lines, Record, Topic, committed, create_topic, delete_records, delete_topic, produce, rows,
};

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::support::binary::Running;
pub use crate::support::proxy::Proxy;

/// The address of the broker that all tests share.
pub fn brokers() -> &'static str {
    static SHARED: OnceLock<(Option<Broker>, String)> = OnceLock::new();
    let (_, address) = SHARED.get_or_init(|| match std::env::var("CLICKS_TEST_KAFKA") {
        Ok(address) => (None, address),
        Err(_) => {
            let broker = Broker::start();
            let address = broker.address();
            (Some(broker), address)
        }
    });
    address
}

/// Lines on stderr about the brokers, of which an outage may cause two: lost, and found.
pub fn words_about_kafka(running: &Running) -> usize {
    running.stderr().lines().filter(|line| line.starts_with("kafka:")).count()
}

/// A name that no other test has, nor another run.
pub fn unique(prefix: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{prefix}-{}-{next}", std::process::id())
}
