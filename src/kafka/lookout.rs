//! What is there of topics: their partitions, and where each truly ends.
//!
//! A thread of its own asks the brokers again and again, for all partitions at once, so that no
//! worker waits for an answer. The ends are those of a reader that takes everything: with an open
//! transaction, a reader of committed records is told an end that is none.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use clicks_dataflows::time::Millis;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use crate::failure::{Attempt, Failure};
use crate::kafka::client::{Cluster, Consumer, PATIENCE};
use crate::kafka::health::HEALTH;
use crate::worker::monotonic_ms;

/// Between two looks at the ends.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Looks at the ends for each look at the partitions.
const LOOKS: u64 = 10;

/// How long a look may take once it is known that brokers are there.
const LOOK: Duration = Duration::from_secs(5);

/// How long a partition may be without a leader when it is needed.
const PATIENCE_MS: Millis = 15_000;

/// A partition of the topics that are watched.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: u32,
}

/// What a partition holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Its first offset.
    pub low: u64,
    /// The offset after its last.
    pub end: u64,
    /// The look that found its end, from 1.
    pub look: u64,
}

/// Watches topics.
pub struct Lookout {
    cluster: Cluster,
    topics: Vec<String>,
    /// Looks that have begun.
    begun: AtomicU64,
    seen: Mutex<Seen>,
    started: OnceLock<()>,
}

#[derive(Default)]
struct Seen {
    extents: BTreeMap<Place, Extent>,
    failure: Option<String>,
}

impl Lookout {
    /// A lookout over `topics`, which looks once it is first asked.
    pub fn new(cluster: &Cluster, topics: &[String]) -> Arc<Lookout> {
        Arc::new(Lookout {
            cluster: cluster.clone(),
            topics: topics.to_vec(),
            begun: AtomicU64::new(0),
            seen: Mutex::default(),
            started: OnceLock::new(),
        })
    }

    /// The topics.
    pub fn topics(&self) -> &[String] {
        &self.topics
    }

    /// The look that has begun last: what ends lie beyond is known by a later one.
    pub fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// All partitions as they were last seen.
    ///
    /// # Errors
    ///
    /// When a topic is not there, or is not what it was, or at first when no broker answers.
    pub fn extents(self: &Arc<Self>) -> Result<BTreeMap<Place, Extent>, Failure> {
        self.start()?;
        let seen = self.seen();
        match &seen.failure {
            Some(failure) => Err(Failure::new(failure.clone())),
            None => Ok(seen.extents.clone()),
        }
    }

    /// What was last seen of a partition.
    ///
    /// # Errors
    ///
    /// Those of [`Lookout::extents`].
    pub fn extent(&self, place: &Place) -> Result<Option<Extent>, Failure> {
        let seen = self.seen();
        match &seen.failure {
            Some(failure) => Err(Failure::new(failure.clone())),
            None => Ok(seen.extents.get(place).copied()),
        }
    }

    /// Where a partition begins and ends at this moment, by asking for it.
    ///
    /// # Errors
    ///
    /// When the brokers do not answer, or the partition has no leader.
    pub fn now(&self, place: &Place) -> Result<(u64, u64), Failure> {
        let Place { topic, partition } = place;
        let attempt = || format!("cannot find where partition {partition} of topic {topic} begins");
        let client = self.cluster.asked()?;
        let ask = |what| ask(client, std::iter::once(place), what, PATIENCE).attempt(attempt);
        let (lows, ends) = (ask(Offset::Beginning)?, ask(Offset::End)?);
        match (lows.get(place), ends.get(place)) {
            (Some(low), Some(end)) => Ok((*low, *end)),
            _ => Err(Failure::new(attempt())),
        }
    }

    /// The records of all partitions up to their ends, as of the last look.
    pub fn ends(&self) -> BTreeMap<Place, u64> {
        self.seen().extents.iter().map(|(place, extent)| (place.clone(), extent.end)).collect()
    }

    /// The first offset of each partition whose log time is at least `time`: its end if none is,
    /// and its first if its records have no log time.
    ///
    /// # Errors
    ///
    /// When the brokers do not answer, or a partition has no leader.
    pub fn at_time(self: &Arc<Self>, time: Millis) -> Result<BTreeMap<Place, u64>, Failure> {
        let extents = self.extents()?;
        let attempt = || format!("cannot find offsets by time at {}", self.cluster.brokers());
        let client = self.cluster.asked()?;
        let find = |time: Millis| {
            let time = i64::try_from(time).unwrap_or(i64::MAX);
            answers(client, extents.keys(), Offset::Offset(time), PATIENCE).attempt(attempt)
        };
        let (found, timed) = (find(time)?, find(0)?);
        let at = |(place, extent): (&Place, &Extent)| {
            let (Some(found), Some(timed)) = (found.get(place), timed.get(place)) else {
                return Err(Failure::new(attempt()));
            };
            let without = if timed.is_some() { extent.end } else { extent.low };
            Ok((place.clone(), found.unwrap_or(without).max(extent.low)))
        };
        extents.iter().map(at).collect()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("no look panics")
    }

    /// Looks for the first time, and lets the thread begin.
    fn start(self: &Arc<Self>) -> Result<(), Failure> {
        if self.started.get().is_some() {
            return Ok(());
        }
        self.look_for(None)?;
        if self.started.set(()).is_ok() {
            let lookout = Arc::downgrade(self);
            let watch = move || {
                let mut looks = 0;
                while let Some(lookout) = lookout.upgrade() {
                    lookout.look(looks);
                    drop(lookout);
                    looks += 1;
                    std::thread::sleep(LOOK_EVERY);
                }
            };
            let thread = std::thread::Builder::new().name("lookout".to_owned()).spawn(watch);
            thread.attempt(|| "cannot start a thread".to_owned())?;
        }
        Ok(())
    }

    fn look(&self, looks: u64) {
        let client = self.cluster.asked().expect("it was asked before");
        // What the client has to say is heard here.
        if let Some(Err(error)) = client.poll(Duration::ZERO) {
            HEALTH.lost(&error.to_string());
        }
        if looks % LOOKS == LOOKS - 1
            && let Err(failure) = self.look_at_partitions(client, LOOK)
        {
            self.seen().failure = Some(failure.to_string());
        }
        match self.look_at_ends(client, LOOK) {
            Ok(()) => HEALTH.found(),
            Err(error) => HEALTH.lost(&format!("no ends of topics: {error}")),
        }
    }

    /// Finds the partitions that are there; one that has gone is a failure. Returns those that
    /// cannot be read yet.
    fn look_at_partitions(
        &self,
        client: &Consumer,
        patience: Duration,
    ) -> Result<Vec<Place>, Failure> {
        let brokers = self.cluster.brokers();
        let first = self.started.get().is_none();
        let metadata = match client.fetch_metadata(None, patience) {
            Ok(metadata) => metadata,
            Err(error) if first => {
                return Err(error).attempt(|| format!("cannot reach Kafka at {brokers}"));
            }
            Err(error) => {
                HEALTH.lost(&format!("no metadata: {error}"));
                return Ok(Vec::new());
            }
        };
        let mut new = Vec::new();
        for topic in &self.topics {
            let found = metadata.topics().iter().find(|found| found.name() == topic);
            let width = found.map_or(0, |found| found.partitions().len());
            let known = self.seen().extents.keys().filter(|place| place.topic == *topic).count();
            if width == 0 && first {
                return Err(Failure::refused(format!(
                    "topic {topic} is missing at {brokers}: make it with `clicks topics create -b \
                     {brokers} --input {topic}`, or let this user see it",
                )));
            }
            if width < known {
                return Err(Failure::new(format!(
                    "topic {topic} had {known} partitions and has {width}: it was deleted; results \
                     stay as they are, and a new topic needs a new job",
                )));
            }
            let places = (0..width).map(|partition| Place {
                topic: topic.clone(),
                partition: u32::try_from(partition).expect("a partition is an i32"),
            });
            new.extend(places.filter(|place| !self.seen().extents.contains_key(place)));
        }
        // Those without a leader are found by a later look.
        let lows = ask(client, new.iter(), Offset::Beginning, patience).unwrap_or_default();
        let extent = |low| Extent { low, end: low, look: 0 };
        self.seen().extents.extend(lows.into_iter().map(|(place, low)| (place, extent(low))));
        new.retain(|place| !self.seen().extents.contains_key(place));
        Ok(new)
    }

    /// Looks until `place`, or without one every partition that there is, can be read.
    ///
    /// # Errors
    ///
    /// When the brokers do not answer, or one of them has no leader for too long.
    pub fn look_for(&self, place: Option<&Place>) -> Result<(), Failure> {
        let (client, brokers) = (self.cluster.asked()?, self.cluster.brokers());
        let until = monotonic_ms() + PATIENCE_MS;
        loop {
            let without = self.look_at_partitions(client, PATIENCE)?;
            let missing = match place {
                Some(place) => Some(place).filter(|place| !self.seen().extents.contains_key(place)),
                None => without.first(),
            };
            let Some(Place { topic, partition }) = missing else { break };
            if monotonic_ms() > until {
                return Err(Failure::new(format!(
                    "partition {partition} of topic {topic} cannot be read at {brokers}: it is not \
                     there, or has no leader",
                )));
            }
            std::thread::sleep(LOOK_EVERY);
        }
        let attempt = || format!("cannot look at the ends of topics at {brokers}");
        self.look_at_ends(client, PATIENCE).attempt(attempt)
    }

    fn look_at_ends(&self, client: &Consumer, patience: Duration) -> Result<(), KafkaError> {
        let look = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
        let places: Vec<Place> = self.seen().extents.keys().cloned().collect();
        let ends = ask(client, places.iter(), Offset::End, patience)?;
        let mut seen = self.seen();
        for (place, end) in ends {
            let Some(extent) = seen.extents.get_mut(&place) else { continue };
            let before = extent.end;
            if end < before {
                let Place { topic, partition } = place;
                seen.failure = Some(format!(
                    "partition {partition} of topic {topic} ended at {before} and ends at {end}: \
                     the topic was deleted and made again, or has lost records; results stay as \
                     they are, and a new topic needs a new job",
                ));
            } else {
                (extent.end, extent.look) = (end, look);
            }
        }
        Ok(())
    }
}

/// The offsets that `what` means for each of `places`; those without a leader are left out.
///
/// # Errors
///
/// When the brokers do not answer, or no partition has a leader.
pub fn ask<'a>(
    client: &Consumer,
    places: impl Iterator<Item = &'a Place>,
    what: Offset,
    patience: Duration,
) -> Result<BTreeMap<Place, u64>, KafkaError> {
    let answers = answers(client, places, what, patience)?;
    Ok(answers.into_iter().filter_map(|(place, offset)| Some((place, offset?))).collect())
}

/// The same, where a place that has no such offset is among the answers.
fn answers<'a>(
    client: &Consumer,
    places: impl Iterator<Item = &'a Place>,
    what: Offset,
    patience: Duration,
) -> Result<BTreeMap<Place, Option<u64>>, KafkaError> {
    let mut list = TopicPartitionList::new();
    for Place { topic, partition } in places {
        let partition = i32::try_from(*partition).expect("a partition is an i32");
        list.add_partition_offset(topic, partition, what)?;
    }
    if list.count() == 0 {
        return Ok(BTreeMap::new());
    }
    let found = client.offsets_for_times(list, patience)?;
    let mut offsets = BTreeMap::new();
    for element in found.elements() {
        let (Ok(()), Ok(partition)) = (element.error(), u32::try_from(element.partition())) else {
            continue;
        };
        let offset = match element.offset() {
            Offset::Offset(offset) => u64::try_from(offset).ok(),
            _ => None,
        };
        offsets.insert(Place { topic: element.topic().to_owned(), partition }, offset);
    }
    match offsets.is_empty() {
        true => Err(KafkaError::OffsetFetch(RDKafkaErrorCode::LeaderNotAvailable)),
        false => Ok(offsets),
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use rdkafka::mocking::MockCluster;

    use super::*;
    use crate::config::Kafka;

    /// What is not seen when a job begins would be left out, or be late when it is.
    #[test]
    fn a_partition_without_a_leader_is_waited_for() {
        let mock = MockCluster::new(1).unwrap();
        mock.create_topic("clicks", 2, 1).unwrap();
        mock.partition_leader("clicks", 0, None).unwrap();
        let kafka = Kafka {
            brokers: mock.bootstrap_servers(),
            properties: BTreeMap::new(),
            consumer: BTreeMap::new(),
            producer: BTreeMap::new(),
        };
        let cluster = Cluster::new(&kafka).unwrap();
        let lookout = Lookout::new(&cluster, &["clicks".to_owned()]);
        let looking = Arc::clone(&lookout);
        let partitions = thread::spawn(move || looking.extents().unwrap().len());
        // Partition 1 has been found, and partition 0 is still looked for.
        let one = || lookout.seen().extents.len() == 1;
        while !one() {
            thread::sleep(LOOK_EVERY);
        }
        thread::sleep(LOOK_EVERY);
        assert!(one() && !partitions.is_finished());
        mock.partition_leader("clicks", 0, Some(1)).unwrap();
        assert_eq!(partitions.join().unwrap(), 2);
    }
}
