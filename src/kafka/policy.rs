//! What a topic does with old records.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use clicks_dataflows::time::Millis;
use rdkafka::admin::{AdminOptions, ConfigResource, ResourceSpecifier};

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
    let config = describe(cluster, topic)
        .attempt(|| format!("cannot find out whether topic {topic} is compacted"))?;
    Ok(has_policy(&config, "compact"))
}

/// How long a topic keeps a record after the time that its producer states.
///
/// Nothing if it keeps it for ever, goes by its own time, or will not say.
pub fn stated_time_kept_ms(cluster: &Cluster, topic: &str) -> Option<Millis> {
    let config = describe(cluster, topic).ok()?;
    let is_stated = value(&config, "message.timestamp.type")? == "CreateTime";
    let deletes = is_stated && has_policy(&config, "delete");
    // For ever is -1.
    value(&config, "retention.ms")?.parse().ok().filter(|_| deletes)
}

fn has_policy(config: &ConfigResource, policy: &str) -> bool {
    let policies = value(config, "cleanup.policy").unwrap_or_default();
    policies.split(',').any(|word| word == policy)
}

fn value<'a>(config: &'a ConfigResource, name: &str) -> Option<&'a str> {
    config.get(name)?.value.as_deref()
}

fn describe(cluster: &Cluster, topic: &str) -> Result<ConfigResource, Failure> {
    let attempt = || format!("cannot describe topic {topic} at {}", cluster.brokers());
    let admin = cluster.admin()?;
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    let topics = [ResourceSpecifier::Topic(topic)];
    let mut found = wait(admin.describe_configs(&topics, &options)).attempt(attempt)?;
    let config = found.pop().ok_or_else(|| Failure::new(attempt()))?;
    config.attempt(attempt)
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
