//! Transactional calls, none of which is waited for longer than it may take.
//!
//! librdkafka does not keep all of its deadlines. To send offsets it asks for the group's coordinator
//! without one, and when that has moved at a bad moment it is never told. So each call is made on a
//! thread of its own. One that does not return is left there, with its producer, which is not used
//! again.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use rdkafka::error::KafkaResult;

use super::course::Course;
use super::stop::Stop;
use crate::kafka::client::Producer;
use crate::worker::monotonic_ms;

/// How long one call may take.
pub const CALL: Duration = Duration::from_secs(5);

/// How long it is waited for: what returns in time comes with time to spare.
const WAIT: Duration = Duration::from_secs(8);

/// A call by a producer.
pub type Call = Arc<dyn Fn(&Producer) -> KafkaResult<()> + Send + Sync>;

/// Makes the same call again as long as that can help.
pub fn again(course: &Course, producer: &Arc<Producer>, call: &Call) -> Result<(), Stop> {
    loop {
        match once(producer, call, WAIT) {
            Err(Stop::Again(why)) if course.is_late(monotonic_ms()) => {
                return Err(Stop::InDoubt(why));
            }
            Err(Stop::Again(_)) => {}
            result => return result,
        }
    }
}

fn once(producer: &Arc<Producer>, call: &Call, wait: Duration) -> Result<(), Stop> {
    let (tell, told) = channel();
    let (producer, call) = (Arc::clone(producer), Arc::clone(call));
    let work = move || {
        // Nobody may wait any more.
        let _ = tell.send(call(&producer));
    };
    let thread = thread::Builder::new().name("call".to_owned()).spawn(work);
    thread.map_err(|error| Stop::InDoubt(format!("no thread for a call: {error}")))?;
    match told.recv_timeout(wait) {
        Ok(result) => result.map_err(Stop::of),
        Err(RecvTimeoutError::Timeout) => {
            Err(Stop::InDoubt("a call of Kafka's client does not return".to_owned()))
        }
        Err(RecvTimeoutError::Disconnected) => {
            Err(Stop::InDoubt("a call of Kafka's client has panicked".to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use rdkafka::config::ClientConfig;
    use rdkafka::error::KafkaError;

    use super::*;
    use crate::kafka::client::Voice;

    fn producer() -> Arc<Producer> {
        Arc::new(ClientConfig::new().create_with_context(Voice::default()).unwrap())
    }

    #[test]
    fn a_call_that_does_not_return_is_in_doubt_and_keeps_its_producer() {
        let (go, gone) = channel::<()>();
        let gone = Mutex::new(gone);
        let hang: Call = Arc::new(move |_| {
            let _ = gone.lock().unwrap().recv();
            Ok(())
        });
        let producer = producer();
        let stop = once(&producer, &hang, Duration::from_millis(1)).unwrap_err();
        assert!(matches!(stop, Stop::InDoubt(why) if why.contains("does not return")));
        assert_eq!(Arc::strong_count(&producer), 2);
        drop(go);
    }

    #[test]
    fn a_call_that_returns_tells_what_it_found() {
        let fail: Call = Arc::new(|_| Err(KafkaError::Canceled));
        assert!(matches!(once(&producer(), &fail, WAIT), Err(Stop::InDoubt(_))));
        let succeed: Call = Arc::new(|_| Ok(()));
        assert!(once(&producer(), &succeed, WAIT).is_ok());
    }
}
