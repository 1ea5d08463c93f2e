//! Clients of Kafka: what is set for all of them, and what they say.
//!
//! What the user sets goes to librdkafka as it is, but for what exactness rests on: that is refused.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rdkafka::admin::AdminClient;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, DeliveryResult, ProducerContext};

use crate::config::Kafka;
use crate::failure::Failure;
use crate::kafka::health::Health;

/// How long a question to the brokers may take.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// A consumer of ours.
pub type Consumer = BaseConsumer<Voice>;

/// A producer of ours.
pub type Producer = BaseProducer<Voice>;

/// A Kafka cluster, and how it is reached.
#[derive(Clone, Debug)]
pub struct Cluster {
    kafka: Kafka,
    health: Arc<Health>,
}

impl Cluster {
    /// The cluster that the configuration names.
    ///
    /// # Errors
    ///
    /// When a property is ours to set, or a file with a secret cannot be read.
    pub fn new(kafka: &Kafka) -> Result<Cluster, Failure> {
        Ok(Cluster { kafka: kafka.clone(), health: Arc::default() })
    }

    /// Whether it can be reached.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Where it is, for messages.
    pub fn brokers(&self) -> &str {
        &self.kafka.brokers
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
        self.create("kafka.consumer", &self.kafka.consumer, &[], &[&common, ours].concat())
    }

    /// A producer with these settings of ours, and `tuning` where the user does not set it.
    ///
    /// # Errors
    ///
    /// When librdkafka refuses a property.
    pub fn producer(
        &self,
        tuning: &[(&str, &str)],
        ours: &[(&str, &str)],
    ) -> Result<Producer, Failure> {
        self.create("kafka.producer", &self.kafka.producer, tuning, ours)
    }

    /// A client that makes and describes topics.
    ///
    /// # Errors
    ///
    /// When librdkafka refuses a property.
    pub fn admin(&self) -> Result<AdminClient<Voice>, Failure> {
        self.create("kafka.properties", &BTreeMap::new(), &[], &[])
    }

    fn create<C: FromClientConfigAndContext<Voice>>(
        &self,
        table: &str,
        special: &BTreeMap<String, String>,
        tuning: &[(&str, &str)],
        ours: &[(&str, &str)],
    ) -> Result<C, Failure> {
        let mut config = ClientConfig::new();
        config.set_log_level(RDKafkaLogLevel::Warning);
        config.set("bootstrap.servers", &self.kafka.brokers);
        config.set("client.id", "clicks");
        config.set("reconnect.backoff.max.ms", "1000");
        for (name, value) in tuning {
            config.set(*name, *value);
        }
        for (name, value) in self.kafka.properties.iter().chain(special) {
            config.set(name, value);
        }
        for (name, value) in ours {
            config.set(*name, *value);
        }
        let voice = Voice { health: Arc::clone(&self.health), undelivered: OnceLock::new() };
        config.create_with_context(voice).map_err(|error| match error {
            KafkaError::ClientConfig(_, why, name, _) => {
                Failure::refused(format!("{table}: librdkafka refuses {name}: {why}"))
            }
            error => Failure::new(format!("cannot make a client of Kafka: {error}")),
        })
    }
}

/// What a client has to say, and what became of what a producer sent.
pub struct Voice {
    health: Arc<Health>,
    undelivered: OnceLock<String>,
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
            self.health.lost(message);
        }
    }

    fn error(&self, _: KafkaError, reason: &str) {
        self.health.lost(reason);
    }
}

impl ConsumerContext for Voice {}

impl ProducerContext for Voice {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => self.health.found(),
            Err((error, record)) => {
                let (partition, topic) = (record.partition(), record.topic());
                self.undelivered.get_or_init(|| {
                    format!("cannot write to partition {partition} of topic {topic}: {error}")
                });
            }
        }
    }
}
