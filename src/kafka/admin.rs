//! Topics as the brokers know them: their partitions and settings; and new ones.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use clicks_dataflows::time::Millis;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::KafkaError;

use crate::failure::{Attempt, Failure};
use crate::kafka::client::{Cluster, PATIENCE, Voice};
use crate::worker::monotonic_ms;

/// Between two looks at whether an answer has come.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How long a new topic may take to come up.
const PATIENCE_MS: Millis = 15_000;

/// Settings of a topic, in Kafka's words.
pub type Settings = BTreeMap<String, String>;

/// A topic that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Its partitions.
    pub partitions: usize,
    /// The copies of the partition that has the fewest.
    pub replication: usize,
    /// Whether all its partitions can be read and written.
    pub is_led: bool,
}

/// A client that makes and describes topics.
pub struct Admin {
    /// There until it is closed.
    client: Option<AdminClient<Voice>>,
    cluster: Cluster,
}

impl Admin {
    /// A client of `cluster`.
    ///
    /// # Errors
    ///
    /// When librdkafka refuses a property.
    pub fn new(cluster: &Cluster) -> Result<Admin, Failure> {
        Ok(Admin { client: Some(cluster.admin()?), cluster: cluster.clone() })
    }

    /// Those of `topics` that are there.
    ///
    /// # Errors
    ///
    /// When no broker answers.
    pub fn extents(&self, topics: &[&str]) -> Result<BTreeMap<String, Extent>, Failure> {
        let metadata = self.cluster.reach()?;
        let asked = metadata.topics().iter().filter(|topic| topics.contains(&topic.name()));
        let found = asked.filter(|topic| !topic.partitions().is_empty()).map(|topic| {
            let partitions = topic.partitions();
            let copies = partitions.iter().map(|partition| partition.replicas().len());
            let extent = Extent {
                partitions: partitions.len(),
                replication: copies.min().unwrap_or(0),
                is_led: partitions.iter().all(|partition| partition.leader() >= 0),
            };
            (topic.name().to_owned(), extent)
        });
        Ok(found.collect())
    }

    /// The settings of each of `topics`, in their order; none if they are not told to this user, or
    /// there is no such topic.
    ///
    /// # Errors
    ///
    /// When no broker answers.
    pub fn settings(&self, topics: &[&str]) -> Result<Vec<Option<Settings>>, Failure> {
        if topics.is_empty() {
            return Ok(Vec::new());
        }
        let asked: Vec<_> = topics.iter().map(|topic| ResourceSpecifier::Topic(topic)).collect();
        let options = AdminOptions::new().request_timeout(Some(PATIENCE));
        let found = wait(self.client().describe_configs(&asked, &options));
        let brokers = self.cluster.brokers();
        let found = found.attempt(|| format!("cannot ask for settings of topics at {brokers}"))?;
        let known = found.into_iter().map(|resource| {
            let entries = resource.ok()?.entries.into_iter();
            let settings: Settings =
                entries.filter_map(|entry| Some((entry.name, entry.value?))).collect();
            // rdkafka leaves out why there are none; a topic has some.
            Some(settings).filter(|settings| !settings.is_empty())
        });
        Ok(known.collect())
    }

    /// Makes a topic, or with `only_asks` finds out whether it could be made.
    ///
    /// # Errors
    ///
    /// When the brokers will not have it, or it does not come up.
    pub fn create(&self, new: &New, only_asks: bool) -> Result<(), Failure> {
        let attempt = || format!("cannot make topic {} at {}", new.topic, self.cluster.brokers());
        let partitions = i32::try_from(new.partitions).attempt(attempt)?;
        let replication = TopicReplication::Fixed(new.replication.map_or(-1, i32::from));
        let mut topic = NewTopic::new(&new.topic, partitions, replication);
        for (name, value) in &new.settings {
            topic = topic.set(name, value);
        }
        let options = AdminOptions::new().request_timeout(Some(PATIENCE));
        let options = options.operation_timeout(Some(PATIENCE)).validate_only(only_asks);
        let made = wait(self.client().create_topics([&topic], &options)).attempt(attempt)?;
        for made in made {
            made.map_err(|(_, error)| KafkaError::AdminOp(error)).attempt(attempt)?;
        }
        if only_asks { Ok(()) } else { self.wait_for(&new.topic) }
    }

    /// Waits until a topic that was made can be read and written.
    fn wait_for(&self, topic: &str) -> Result<(), Failure> {
        let until = monotonic_ms() + PATIENCE_MS;
        loop {
            if self.extents(&[topic])?.get(topic).is_some_and(|extent| extent.is_led) {
                return Ok(());
            }
            if monotonic_ms() > until {
                let brokers = self.cluster.brokers();
                return Err(Failure::new(format!("topic {topic} at {brokers} does not come up")));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn client(&self) -> &AdminClient<Voice> {
        self.client.as_ref().expect("it is not closed")
    }
}

impl Drop for Admin {
    /// Closes the client on a thread, as rdkafka takes up to 100 ms for that. Nobody waits for it,
    /// nor does the end of the program.
    fn drop(&mut self) {
        let client = self.client.take();
        let thread = std::thread::Builder::new().name("closing".to_owned());
        // Without a thread it is closed here.
        let _ = thread.spawn(move || drop(client));
    }
}

/// A topic to be made.
#[derive(Clone, Debug)]
pub struct New {
    /// Its name.
    pub topic: String,
    /// Its partitions.
    pub partitions: u32,
    /// Its copies; without it as many as the brokers make of every topic.
    pub replication: Option<u16>,
    /// Its settings, in Kafka's words.
    pub settings: Vec<(&'static str, String)>,
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
