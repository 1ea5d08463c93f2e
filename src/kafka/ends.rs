//! Where partitions begin and truly end.

use std::collections::BTreeMap;

use rdkafka::Offset;

use crate::failure::{Attempt, Failure};
use crate::kafka::client::{Cluster, Consumer, PATIENCE};
use crate::kafka::lookout::{Place, ask};

/// Asks for the first offsets and the ends of partitions.
pub struct Ends {
    cluster: Cluster,
}

impl Ends {
    /// Ends as a reader sees them that takes everything.
    pub fn new(cluster: &Cluster) -> Ends {
        Ends { cluster: cluster.clone() }
    }

    /// The first offset of each partition.
    ///
    /// # Errors
    ///
    /// When one of them has no leader, or no broker answers.
    pub fn lows(&self, places: &[Place]) -> Result<BTreeMap<Place, u64>, Failure> {
        self.ask(places, Offset::Beginning)
    }

    /// The end of each partition, whatever is open before it.
    ///
    /// # Errors
    ///
    /// When one of them has no leader, or no broker answers.
    pub fn ends(&self, places: &[Place]) -> Result<BTreeMap<Place, u64>, Failure> {
        self.ask(places, Offset::End)
    }

    fn ask(&self, places: &[Place], what: Offset) -> Result<BTreeMap<Place, u64>, Failure> {
        offsets(self.cluster.asked()?, places, what, self.cluster.brokers())
    }
}

/// The offset that `what` means for each of `places` to this client.
///
/// # Errors
///
/// When one of them has no leader, or no broker answers.
pub fn offsets(
    client: &Consumer,
    places: &[Place],
    what: Offset,
    brokers: &str,
) -> Result<BTreeMap<Place, u64>, Failure> {
    let attempt = || format!("cannot find where topics begin and end at {brokers}");
    let found = ask(client, places.iter(), what, PATIENCE).attempt(attempt)?;
    match places.iter().find(|place| !found.contains_key(place)) {
        Some(Place { topic, partition }) => Err(Failure::new(format!(
            "partition {partition} of topic {topic} cannot be read at {brokers}: it has no leader",
        ))),
        None => Ok(found),
    }
}
