//! Aliases in a cluster: the topic `clicks.aliases`, compacted to the newest of each.
//!
//! The key of a record is an alias, its value the same line as in a directory; without a value the
//! alias is taken away.

use std::collections::BTreeMap;

use rdkafka::producer::{BaseRecord, Producer as _};

use crate::alias::Alias;
use crate::failure::{Attempt, Failure};
use crate::kafka::admin::{Admin, New};
use crate::kafka::client::{Cluster, PATIENCE};
use crate::kafka::committed::{Committed, Next, Taken, reader};
use crate::kafka::ends::Ends;
use crate::kafka::lookout::Place;

/// The topic.
pub const TOPIC: &str = "clicks.aliases";

/// The aliases of a cluster.
#[derive(Clone, Copy)]
pub struct AliasTopic<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
}

impl AliasTopic<'_> {
    /// All of them, by name.
    ///
    /// # Errors
    ///
    /// When the topic cannot be read, or a record of it is no alias.
    pub fn all(self) -> Result<Vec<Alias>, Failure> {
        if !self.is_there()? {
            return Ok(Vec::new());
        }
        let place = Place { topic: TOPIC.to_owned(), partition: 0 };
        let ends = Ends::new(self.cluster);
        let (low, end) = {
            let places = [place.clone()];
            (ends.lows(&places)?[&place], ends.ends(&places)?[&place])
        };
        let consumer = reader(self.cluster, &[TOPIC], 1)?;
        let mut records = Committed::open(&consumer, place, low, end)?;
        let mut aliases = BTreeMap::new();
        loop {
            match records.step()? {
                Next::Record(record) => {
                    let (name, alias) = read(&record)?;
                    aliases.insert(name, alias);
                }
                Next::Wait => {}
                Next::End => return Ok(aliases.into_values().flatten().collect()),
            }
        }
    }

    /// Keeps `alias`, in place of the one of its name; the topic is made if it is missing.
    ///
    /// # Errors
    ///
    /// When it cannot be written to all replicas.
    pub fn keep(self, alias: &Alias) -> Result<(), Failure> {
        if !self.is_there()? {
            self.make()?;
        }
        self.send(&alias.alias, Some(alias.line()))
    }

    /// Takes the one of this name away.
    ///
    /// # Errors
    ///
    /// When that cannot be written to all replicas.
    pub fn remove(self, name: &str) -> Result<(), Failure> {
        self.send(name, None)
    }

    /// Whether the topic is there, as it must be.
    fn is_there(self) -> Result<bool, Failure> {
        let brokers = self.cluster.brokers();
        let attempt = || format!("cannot look for topic {TOPIC} at {brokers}");
        match self.cluster.widths(PATIENCE, attempt)?.get(TOPIC) {
            None | Some(0) => Ok(false),
            Some(1) => Ok(true),
            Some(width) => Err(Failure::refused(format!(
                "topic {TOPIC} has {width} partitions, and must have 1, as its order matters",
            ))),
        }
    }

    fn make(self) -> Result<(), Failure> {
        let admin = Admin::new(self.cluster)?;
        let made = admin.create(
            &New {
                topic: TOPIC.to_owned(),
                partitions: 1,
                replication: None,
                settings: vec![("cleanup.policy", "compact".to_owned())],
            },
            false,
        );
        match made {
            // Another program may have made it meanwhile.
            Err(failure) if !self.is_there()? => Err(failure),
            _ => Ok(()),
        }
    }

    fn send(self, key: &str, value: Option<String>) -> Result<(), Failure> {
        let producer = self.cluster.producer(&[("acks", "all"), ("enable.idempotence", "true")])?;
        let mut record = BaseRecord::<[u8], [u8]>::to(TOPIC).partition(0).key(key.as_bytes());
        if let Some(value) = &value {
            record = record.payload(value.as_bytes());
        }
        let attempt = || format!("cannot write to topic {TOPIC} at {}", self.cluster.brokers());
        producer.send(record).map_err(|(error, _)| error).attempt(attempt)?;
        producer.flush(PATIENCE).attempt(attempt)?;
        match producer.context().undelivered() {
            Some(why) => Err(Failure::new(why)),
            None => Ok(()),
        }
    }
}

/// The alias of a record by its name; none if it was taken away.
fn read(record: &Taken) -> Result<(String, Option<Alias>), Failure> {
    let place = format!("record {} of topic {TOPIC}", record.offset);
    let name = str::from_utf8(&record.key).attempt(|| format!("{place} is no alias"))?;
    let alias = (!record.value.is_empty()).then(|| Alias::read(name, &record.value, &place));
    Ok((name.to_owned(), alias.transpose()?))
}
