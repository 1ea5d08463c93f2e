//! How long a topic keeps what it is given, by the time that a record states.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use clicks_dataflows::time::Millis;
use rdkafka::admin::{AdminOptions, ConfigResource, ResourceSpecifier};

use crate::failure::Failure;
use crate::kafka::client::{Cluster, PATIENCE};

/// How long `topic` keeps a record after the time that its producer states.
///
/// Nothing if it keeps it for ever, goes by its own time, or will not say.
///
/// # Errors
///
/// When librdkafka refuses a property.
pub fn of_stated_time(cluster: &Cluster, topic: &str) -> Result<Option<Millis>, Failure> {
    let admin = cluster.admin()?;
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    let described = wait(admin.describe_configs(&[ResourceSpecifier::Topic(topic)], &options));
    let described = described.ok().and_then(|topics| topics.into_iter().next()?.ok());
    Ok(described.as_ref().and_then(kept_ms))
}

fn kept_ms(topic: &ConfigResource) -> Option<Millis> {
    let value = |name| topic.get(name)?.value.as_deref();
    let deletes = value("cleanup.policy")?.contains("delete");
    let is_stated = value("message.timestamp.type")? == "CreateTime";
    // For ever is -1.
    value("retention.ms")?.parse().ok().filter(|_| deletes && is_stated)
}

/// Waits for an answer of the client's own threads.
fn wait<F: Future>(answer: F) -> F::Output {
    struct Parked(Thread);
    impl Wake for Parked {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Parked(thread::current())));
    let mut answer = pin!(answer);
    loop {
        match answer.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => thread::park(),
        }
    }
}
