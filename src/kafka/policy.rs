//! What a topic does with old records.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rdkafka::admin::{AdminOptions, ResourceSpecifier};

use crate::failure::{Attempt, Failure};
use crate::kafka::client::{Cluster, PATIENCE};

/// Between two looks at whether an answer has come.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Whether a topic keeps only the newest record of each key.
///
/// # Errors
///
/// When the brokers do not answer, or will not say.
pub fn is_compacted(cluster: &Cluster, topic: &str) -> Result<bool, Failure> {
    let attempt = || format!("cannot find out whether topic {topic} is compacted");
    let admin = cluster.admin()?;
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    let topics = [ResourceSpecifier::Topic(topic)];
    let mut found = wait(admin.describe_configs(&topics, &options)).attempt(attempt)?;
    let resource = found.pop().ok_or_else(|| Failure::new(attempt()))?;
    let resource = resource.attempt(attempt)?;
    let policy = resource.get("cleanup.policy").and_then(|entry| entry.value.as_deref());
    Ok(policy.is_some_and(|policy| policy.split(',').any(|word| word == "compact")))
}

/// The outcome of `future`, which another thread brings about.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(outcome) => return outcome,
            Poll::Pending => std::thread::sleep(LOOK_EVERY),
        }
    }
}
