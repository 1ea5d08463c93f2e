//! A consumer that closes at once.

use std::ops::Deref;
use std::time::Duration;

use rdkafka::consumer::BaseConsumer;

use crate::kafka::client::Voice;

/// Between two looks at whether a consumer is closed.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// A consumer of ours.
///
/// rdkafka closes one in steps of 100 ms, of which the first is long enough; most of a start would
/// be spent on that.
pub struct Consumer(BaseConsumer<Voice>);

impl Consumer {
    /// The same, as ours.
    pub fn new(consumer: BaseConsumer<Voice>) -> Consumer {
        Consumer(consumer)
    }
}

impl Deref for Consumer {
    type Target = BaseConsumer<Voice>;

    fn deref(&self) -> &BaseConsumer<Voice> {
        &self.0
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        // One without a group, or with a fatal error, has nothing to close.
        if self.0.close_queue().is_ok() {
            while !self.0.closed() {
                self.0.poll(LOOK_EVERY);
            }
        }
    }
}
