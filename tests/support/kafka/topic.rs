//! Topics as a test makes, fills and reads them, with none of the program's code.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigEntry, ConfigSource, NewTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::metadata::MetadataTopic;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::support::binary::{pause, wait_for};

/// How long a broker may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// As many copies as the brokers make by themselves.
const BROKERS_DEFAULT: i32 = -1;

/// A topic of a broker.
#[derive(Clone, Debug)]
pub struct Topic {
    /// Where it is.
    pub brokers: String,
    /// Its name.
    pub name: String,
}

/// A record to be produced.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Its partition.
    pub partition: i32,
    /// Its log time, if it is not the broker's affair.
    pub time: Option<i64>,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// What it holds; nothing is a tombstone.
    pub value: Option<Vec<u8>>,
}

/// Makes a topic of the shared broker.
pub fn create_topic(name: &str, partitions: i32, config: &[(&str, &str)]) -> Topic {
    let topic = Topic { brokers: super::brokers().to_owned(), name: name.to_owned() };
    topic.create(partitions, config);
    topic
}

/// Deletes a topic.
pub fn delete_topic(topic: &Topic) {
    let admin = topic.admin();
    let deleted = answer(admin.delete_topics(&[&topic.name], &AdminOptions::new()));
    assert!(deleted.unwrap()[0].is_ok());
}

/// Deletes the records of a partition before `offset`.
pub fn delete_records(topic: &Topic, partition: i32, offset: i64) {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&topic.name, partition, Offset::Offset(offset)).unwrap();
    let admin = topic.admin();
    answer(admin.delete_records(&list, &AdminOptions::new())).unwrap();
}

/// Appends records, and waits until the broker has them all.
pub fn produce(topic: &Topic, records: &[Record]) {
    let mut config = topic.config();
    config.set("linger.ms", "5").set("enable.idempotence", "true");
    let producer: BaseProducer<Delivered> = config.create_with_context(Delivered).unwrap();
    for record in records {
        topic.send(&producer, record);
    }
    producer.flush(PATIENCE).unwrap();
}

/// What is produced is delivered.
struct Delivered;

impl ClientContext for Delivered {}

impl ProducerContext for Delivered {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        assert!(result.is_ok(), "{result:?}");
    }
}

/// The values of the committed records of each partition, up to its end as it is now.
pub fn committed(topic: &Topic) -> Vec<Vec<Vec<u8>>> {
    let reader = topic.reader("read_committed");
    topic.ends().iter().zip(0..).map(|(end, number)| topic.read(&reader, number, *end)).collect()
}

/// All committed values of all partitions, in no particular order.
pub fn rows(topic: &Topic) -> Vec<Vec<u8>> {
    committed(topic).concat()
}

impl Topic {
    /// Makes it.
    pub fn create(&self, partitions: i32, config: &[(&str, &str)]) {
        let mut new =
            NewTopic::new(&self.name, partitions, TopicReplication::Fixed(BROKERS_DEFAULT));
        for (key, value) in config {
            new = new.set(key, value);
        }
        let admin = self.admin();
        let made = answer(admin.create_topics([&new], &AdminOptions::new())).unwrap();
        assert!(made[0].is_ok(), "{made:?}");
        self.wait_for_partitions(partitions);
    }

    /// Lets it have more partitions.
    pub fn grow(&self, partitions: i32) {
        let count = usize::try_from(partitions).unwrap();
        let new = rdkafka::admin::NewPartitions::new(&self.name, count);
        let admin = self.admin();
        let made = answer(admin.create_partitions([&new], &AdminOptions::new())).unwrap();
        assert!(made[0].is_ok(), "{made:?}");
        self.wait_for_partitions(partitions);
    }

    /// Changes a setting.
    pub fn set(&self, key: &str, value: &str) {
        let config = AlterConfig::new(ResourceSpecifier::Topic(&self.name)).set(key, value);
        let admin = self.admin();
        // All that is not named goes back to its default, unless it was read before.
        let all = self.settings();
        let set = all.iter().filter(|entry| entry.source == ConfigSource::DynamicTopic);
        let set = set.filter(|entry| entry.name != key);
        let config = set
            .fold(config, |config, entry| config.set(&entry.name, entry.value.as_deref().unwrap()));
        let changed = answer(admin.alter_configs(&[config], &AdminOptions::new())).unwrap();
        assert!(changed[0].is_ok(), "{changed:?}");
    }

    /// The value of a setting.
    pub fn setting(&self, key: &str) -> String {
        let entry = self.settings().into_iter().find(|entry| entry.name == key);
        entry.and_then(|entry| entry.value).unwrap_or_default()
    }

    fn settings(&self) -> Vec<ConfigEntry> {
        let asked = [ResourceSpecifier::Topic(&self.name)];
        let found = answer(self.admin().describe_configs(&asked, &AdminOptions::new()));
        found.unwrap().remove(0).unwrap().entries
    }

    /// Waits until it is not there.
    pub fn wait_until_gone(&self) {
        let reader = self.reader("read_uncommitted");
        wait_for("a topic is gone", || {
            let metadata = reader.fetch_metadata(None, PATIENCE).ok()?;
            let found = metadata.topics().iter().any(|topic| topic.name() == self.name);
            (!found).then_some(())
        });
    }

    /// Waits until all partitions of its brokers, of all topics, have so many copies in step.
    pub fn wait_for_copies(&self, copies: usize) {
        let reader = self.reader("read_uncommitted");
        wait_for("copies in step", || {
            let metadata = reader.fetch_metadata(None, PATIENCE).ok()?;
            let mut partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
            partitions.all(|partition| partition.isr().len() == copies).then_some(())
        });
    }

    fn wait_for_partitions(&self, partitions: i32) {
        let reader = self.reader("read_uncommitted");
        wait_for("a topic", || {
            let metadata = reader.fetch_metadata(Some(&self.name), PATIENCE).ok()?;
            let found = metadata.topics().first()?.partitions();
            let led = found.iter().filter(|partition| partition.leader() >= 0).count();
            (i32::try_from(led) == Ok(partitions)).then_some(())
        });
    }

    /// Where each partition ends for a reader that takes everything.
    pub fn ends(&self) -> Vec<i64> {
        let reader = self.reader("read_uncommitted");
        let metadata = reader.fetch_metadata(Some(&self.name), PATIENCE).unwrap();
        let count = i32::try_from(metadata.topics()[0].partitions().len()).unwrap();
        let end = |number| reader.fetch_watermarks(&self.name, number, PATIENCE).unwrap().1;
        (0..count).map(end).collect()
    }

    /// Settings that reach it.
    pub fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        config.set("message.max.bytes", "20000000");
        config
    }

    /// A producer that can leave things open.
    pub fn transactional(&self, id: &str) -> BaseProducer {
        let producer: BaseProducer = self.config().set("transactional.id", id).create().unwrap();
        producer.init_transactions(PATIENCE).unwrap();
        producer
    }

    /// Sends a record by `producer`.
    pub fn send<C>(&self, producer: &BaseProducer<C>, record: &Record)
    where
        C: ProducerContext<DeliveryOpaque = ()>,
    {
        let mut sent = BaseRecord::<[u8], [u8]>::to(&self.name).partition(record.partition);
        sent.key = record.key.as_deref();
        sent.payload = record.value.as_deref();
        sent.timestamp = record.time;
        while let Err((error, back)) = producer.send(sent) {
            assert!(error.to_string().contains("QueueFull"), "{error}");
            producer.poll(Duration::from_millis(1));
            sent = back;
        }
    }

    fn reader(&self, isolation: &str) -> BaseConsumer {
        let mut config = self.config();
        config.set("group.id", "clicks-tests").set("isolation.level", isolation);
        config.set("auto.offset.reset", "error").set("enable.auto.commit", "false");
        config.set("fetch.wait.max.ms", "10").create().unwrap()
    }

    fn read(&self, reader: &BaseConsumer, partition: i32, end: i64) -> Vec<Vec<u8>> {
        let (low, _) = reader.fetch_watermarks(&self.name, partition, PATIENCE).unwrap();
        let mut start = TopicPartitionList::new();
        start.add_partition_offset(&self.name, partition, Offset::Offset(low)).unwrap();
        reader.assign(&start).unwrap();
        let mut values = Vec::new();
        let mut at = low;
        wait_for("the end of a partition", || {
            if at >= end {
                return Some(());
            }
            while let Some(record) = reader.poll(Duration::from_millis(10)) {
                let record = record.unwrap();
                if record.offset() < end {
                    values.push(record.payload().unwrap_or_default().to_vec());
                }
            }
            let positions = reader.position().unwrap();
            let position = positions.find_partition(&self.name, partition).unwrap();
            if let Offset::Offset(offset) = position.offset() {
                at = offset;
            }
            (at >= end).then_some(())
        });
        values
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.config().create().unwrap()
    }
}

/// Counts the committed records of a topic of one partition, as they come.
pub struct Lines {
    reader: BaseConsumer,
    seen: u64,
}

impl Lines {
    /// Of `topic`, from its start.
    pub fn of(topic: &Topic) -> Lines {
        let reader = topic.reader("read_committed");
        let mut start = TopicPartitionList::new();
        start.add_partition_offset(&topic.name, 0, Offset::Beginning).unwrap();
        reader.assign(&start).unwrap();
        Lines { reader, seen: 0 }
    }

    /// How many there are, as far as is known.
    pub fn seen(&mut self) -> u64 {
        // A broker that is away comes back.
        while let Some(record) = self.reader.poll(Duration::ZERO) {
            self.seen += u64::from(record.is_ok());
        }
        self.seen
    }
}

/// Waits for what a client has asked.
fn answer<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(answer) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return answer;
        }
        pause();
    }
}
