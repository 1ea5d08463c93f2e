//! Clients of Kafka: what is set for all of them, and what they say.
//!
//! What the user sets goes to librdkafka as it is, and counts more than what is set here; but what
//! exactness rests on is not his to set, and was refused with the configuration.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use clicks_dataflows::time::Millis;
use rdkafka::admin::AdminClient;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::metadata::Metadata;
use rdkafka::producer::{BaseProducer, DeliveryResult, ProducerContext};

use crate::config::{Kafka, is_owned};
use crate::failure::{Attempt, Failure};
pub use crate::kafka::consumer::Consumer;
use crate::kafka::health::HEALTH;
use crate::kafka::properties::{complete, refusal, secrets, without};
use crate::worker::monotonic_ms;

/// How long a question to the brokers may take.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// The same in milliseconds.
const PATIENCE_MS: Millis = 15_000;

/// How long one look at whether a broker answers may take.
const STEP: Duration = Duration::from_secs(1);

/// A producer of ours.
pub type Producer = BaseProducer<Voice>;

/// A Kafka cluster, and how it is reached.
#[derive(Clone)]
pub struct Cluster {
    /// What the user set, with what was in files.
    kafka: Kafka,
    /// A client that reads nothing, and is asked by all who have this cluster.
    asked: Arc<OnceLock<Consumer>>,
}

impl Cluster {
    /// The cluster that the configuration names.
    ///
    /// # Errors
    ///
    /// When librdkafka does not take a property, or a file with a secret cannot be read.
    pub fn new(kafka: &Kafka) -> Result<Cluster, Failure> {
        Ok(Cluster { kafka: complete(kafka)?, asked: Arc::default() })
    }

    /// Where it is, for messages.
    pub fn brokers(&self) -> &str {
        &self.kafka.brokers
    }

    /// What the brokers say of themselves and all topics, asking as long as that can help.
    ///
    /// # Errors
    ///
    /// When none answers, for the reason that the client was told last.
    pub fn reach(&self) -> Result<Metadata, Failure> {
        let client = self.asked()?;
        let until = monotonic_ms() + PATIENCE_MS;
        loop {
            let error = match client.fetch_metadata(None, STEP) {
                Ok(metadata) => return Ok(metadata),
                Err(error) => error,
            };
            // What the client has to say is heard here.
            while client.poll(Duration::ZERO).is_some() {}
            let said = client.context().last.lock().expect("nobody panics").clone();
            let failed = |why: &str| {
                let brokers = self.brokers();
                let why = why.strip_prefix(&format!("{brokers}: ")).unwrap_or(why);
                format!("cannot reach Kafka at {brokers}: {why}")
            };
            match said {
                Some((code, why)) if is_final(code) => return Err(Failure::refused(failed(&why))),
                Some((_, why)) if monotonic_ms() > until => return Err(Failure::new(failed(&why))),
                None if monotonic_ms() > until => {
                    return Err(Failure::new(failed(&error.to_string())));
                }
                _ => {}
            }
        }
    }

    /// What the user set of a property of producers.
    pub fn producer_property(&self, name: &str) -> Option<&str> {
        let Kafka { producer, properties, .. } = &self.kafka;
        producer.get(name).or(properties.get(name)).map(String::as_str)
    }

    /// A client to be asked what there is, and where it truly ends: to it all records count, also
    /// those of open transactions. It takes 50 to 100 ms to make one, so all share it.
    ///
    /// # Errors
    ///
    /// When librdkafka refuses a property.
    pub fn asked(&self) -> Result<&Consumer, Failure> {
        if let Some(client) = self.asked.get() {
            return Ok(client);
        }
        let client = self.consumer(&[
            ("isolation.level", "read_uncommitted"),
            ("topic.metadata.refresh.interval.ms", "10000"),
        ])?;
        Ok(self.asked.get_or_init(|| client))
    }

    /// How many partitions each topic has; `attempt` names what this is asked for.
    ///
    /// # Errors
    ///
    /// When no broker answers within `patience`.
    pub fn widths(
        &self,
        patience: Duration,
        attempt: impl FnOnce() -> String,
    ) -> Result<BTreeMap<String, u32>, Failure> {
        Ok(widths(&self.asked()?.fetch_metadata(None, patience).attempt(attempt)?))
    }

    /// A consumer with these settings of ours.
    ///
    /// # Errors
    ///
    /// When librdkafka refuses a property.
    pub fn consumer(&self, ours: &[(&str, &str)]) -> Result<Consumer, Failure> {
        let common = [
            ("auto.offset.reset", "error"),
            ("check.crcs", "true"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("fetch.queue.backoff.ms", "1"),
        ];
        self.create(&self.kafka.consumer, &[&common, ours].concat()).map(Consumer::new)
    }

    /// A producer with these settings of ours.
    ///
    /// # Errors
    ///
    /// When librdkafka refuses a property.
    pub fn producer(&self, ours: &[(&str, &str)]) -> Result<Producer, Failure> {
        self.create(&self.kafka.producer, ours)
    }

    /// A client that makes and describes topics.
    ///
    /// # Errors
    ///
    /// When librdkafka refuses a property.
    pub fn admin(&self) -> Result<AdminClient<Voice>, Failure> {
        self.create(&BTreeMap::new(), &[])
    }

    fn create<C: FromClientConfigAndContext<Voice>>(
        &self,
        side: &BTreeMap<String, String>,
        ours: &[(&str, &str)],
    ) -> Result<C, Failure> {
        let mut config = ClientConfig::new();
        config.set_log_level(RDKafkaLogLevel::Warning);
        config.set("bootstrap.servers", &self.kafka.brokers);
        config.set("client.id", "clicks");
        // Up to half of it passes before a new client turns to the broker that it needs.
        config.set("reconnect.backoff.ms", "20");
        config.set("reconnect.backoff.max.ms", "1000");
        for (name, value) in ours {
            config.set(*name, *value);
        }
        let theirs = self.kafka.properties.iter().chain(side);
        for (name, value) in theirs.filter(|(name, _)| !is_owned(name)) {
            config.set(name, value);
        }
        let voice = Voice {
            secrets: secrets(&self.kafka),
            last: Mutex::default(),
            undelivered: OnceLock::new(),
        };
        config.create_with_context(voice).map_err(|error| refusal(&self.kafka, &error))
    }
}

/// How many partitions each topic has.
pub fn widths(metadata: &Metadata) -> BTreeMap<String, u32> {
    let widths = metadata.topics().iter().map(|topic| {
        let width = u32::try_from(topic.partitions().len()).unwrap_or(0);
        (topic.name().to_owned(), width)
    });
    widths.collect()
}

/// What librdkafka says, without its names of threads, and of the address that is the first one.
fn plain(said: &str) -> String {
    let said = match said.strip_prefix("[thrd:").and_then(|said| said.split_once("]: ")) {
        Some((_, said)) => said,
        None => said,
    };
    said.replacen("/bootstrap: ", ": ", 1)
}

/// What a client has to say, and what became of what a producer sent.
#[derive(Default)]
pub struct Voice {
    /// What it must not say.
    secrets: Vec<String>,
    /// The last error.
    last: Mutex<Option<(Option<RDKafkaErrorCode>, String)>>,
    undelivered: OnceLock<String>,
}

/// Whether nothing is gained by trying again.
fn is_final(code: Option<RDKafkaErrorCode>) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(code, Some(Code::Authentication | Code::SaslAuthenticationFailed))
}

impl Voice {
    /// The first record that was sent and will not be kept, and why.
    pub fn undelivered(&self) -> Option<&str> {
        self.undelivered.get().map(String::as_str)
    }
}

impl ClientContext for Voice {
    fn log(&self, level: RDKafkaLogLevel, _: &str, message: &str) {
        use RDKafkaLogLevel as Level;
        if matches!(level, Level::Emerg | Level::Alert | Level::Critical | Level::Error) {
            HEALTH.lost(&without(&self.secrets, &plain(message)));
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let reason = without(&self.secrets, &plain(reason));
        HEALTH.lost(&reason);
        let code = error.rdkafka_error_code();
        let mut last = self.last.lock().expect("nobody panics");
        // That all are down follows from what was said before.
        if last.is_none() || code != Some(RDKafkaErrorCode::AllBrokersDown) {
            *last = Some((code, reason));
        }
    }
}

impl ConsumerContext for Voice {}

impl ProducerContext for Voice {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => HEALTH.found(),
            Err((error, record)) => {
                let (partition, topic) = (record.partition(), record.topic());
                self.undelivered.get_or_init(|| {
                    format!("cannot write to partition {partition} of topic {topic}: {error}")
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_without_names_of_threads() {
        let said =
            "[thrd:b:9092/bootstrap]: b:9092/bootstrap: Connect to ipv4#10.0.0.1:9092 failed";
        assert_eq!(plain(said), "b:9092: Connect to ipv4#10.0.0.1:9092 failed");
        assert_eq!(plain("1/1 brokers are down"), "1/1 brokers are down");
    }
}
