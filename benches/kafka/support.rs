//! What the tests have too: a broker, its topics, the shipped binary.

#[path = "../../tests/support/binary.rs"]
pub mod binary;
#[path = "../../tests/support/kafka/broker.rs"]
mod broker;
#[path = "../../tests/support/kafka/topic.rs"]
mod topic;

use std::sync::{Mutex, OnceLock};

pub use broker::Broker;
pub use topic::{Record, Topic, committed, produce};

/// The bench's broker, which is started when it is first asked for.
static BROKER: Mutex<Option<Broker>> = Mutex::new(None);

/// Where the bench's broker is.
pub fn brokers() -> &'static str {
    static ADDRESS: OnceLock<String> = OnceLock::new();
    ADDRESS.get_or_init(|| BROKER.lock().unwrap().insert(Broker::start()).address())
}

/// Asks the bench's broker.
pub fn broker<T>(ask: impl FnOnce(&Broker) -> T) -> T {
    brokers();
    ask(BROKER.lock().unwrap().as_ref().expect("it was started"))
}

/// Ends the broker, and removes what it holds.
pub fn end_broker() {
    drop(BROKER.lock().unwrap().take());
}
