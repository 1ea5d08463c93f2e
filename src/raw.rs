//! The raw log as what a job reads: by itself, or before the topic that goes on from it.

use std::collections::BTreeMap;
use std::sync::Arc;

use clicks_dataflows::decode::Decoder;
use clicks_dataflows::gauge::Gauge;
use clicks_dataflows::ledger::Name;
use clicks_dataflows::options::Options;
use clicks_dataflows::time::Millis;
use clicks_replay::raw::{Access, Catalog, Facts, Listed, RawError, Store};

use crate::config::Config;
use crate::duration::Duration;
use crate::failure::Failure;
use crate::kafka::source::InputTopics;
use crate::run::Input;
use crate::source::Ending;

mod source;

pub use source::RawSource;

/// The partitions of a raw log, as they are when it is opened.
#[derive(Clone)]
pub struct RawLog {
    store: Store,
    partitions: Arc<BTreeMap<Name, Kept>>,
    /// The topics that go on where it ends.
    then: Option<InputTopics>,
    /// Where each partition ends, if before its end.
    pub ends: BTreeMap<Name, u64>,
    decoder: Decoder,
    /// Format and fields of the job.
    input: serde_json::Value,
    /// Bytes read of all segments.
    pub read: Gauge,
}

/// A partition of a raw log.
pub struct Kept {
    /// Its segments.
    pub segments: Vec<Listed>,
    /// What the last of them says.
    pub last: Facts,
}

impl Kept {
    /// The first offset that it has.
    pub fn first(&self) -> u64 {
        self.segments[0].place.first
    }

    /// The offset after its last.
    pub fn end(&self) -> u64 {
        self.last.last + 1
    }
}

/// How long an object store may be silent, unless the environment says otherwise.
const SILENCE: &str = "30s";

/// The store that `--raw` names.
///
/// # Errors
///
/// When it is none.
pub fn open_store(root: &str) -> Result<Store, Failure> {
    Store::open(root, std::env::vars(), silence()?).map_err(failed)
}

/// How stores are reached, as the environment says.
///
/// # Errors
///
/// When it says what cannot be.
pub fn access() -> Result<Access, Failure> {
    Ok(Access::new(std::env::vars(), silence()?))
}

fn silence() -> Result<std::time::Duration, Failure> {
    let silence = std::env::var("AWS_TIMEOUT").unwrap_or_else(|_| SILENCE.to_owned());
    let Duration(silence) = silence
        .parse()
        .map_err(|error| Failure::refused(format!("AWS_TIMEOUT={silence}: {error}")))?;
    if silence == 0 {
        return Err(Failure::refused("AWS_TIMEOUT: a store is given some time, such as 30s"));
    }
    Ok(std::time::Duration::from_millis(silence))
}

/// An error of a raw log, as what ends a run.
pub fn failed(error: RawError) -> Failure {
    match error {
        RawError::Place(_) => Failure::refused(error.to_string()),
        RawError::Damaged { .. } | RawError::Unlike { .. } | RawError::Store { .. } => {
            Failure::new(error.in_full())
        }
    }
}

impl RawLog {
    /// The raw log at `root`: of the topics `then`, which go on from it, or of `topics`, or of all.
    ///
    /// # Errors
    ///
    /// When it cannot be read, holds what does not belong there, or none of these topics.
    pub fn open(
        root: &str,
        topics: &[String],
        then: Option<InputTopics>,
        config: &Config,
    ) -> Result<RawLog, Failure> {
        let store = open_store(root)?;
        let mut catalog = Catalog::read(&store, None).map_err(failed)?;
        catalog.check(&store).map_err(failed)?;
        let wanted = then.as_ref().map_or(topics, |then| then.lookout.topics());
        if let Some(topic) = wanted.iter().find(|topic| !catalog.topics().contains(&topic.as_str()))
        {
            return Err(Failure::refused(format!(
                "{root} has nothing of topic {topic}, but of {}",
                list(&catalog.topics()),
            )));
        }
        if !wanted.is_empty() {
            catalog.partitions.retain(|partition, _| wanted.contains(&partition.topic));
        }
        if catalog.partitions.is_empty() {
            return Err(Failure::refused(format!(
                "{root} holds no segments: `clicks archive --raw {root}` writes them",
            )));
        }
        let several = match &then {
            Some(then) => then.lookout.topics().len() > 1,
            None => catalog.topics().len() > 1,
        };
        let lasts = catalog.lasts(&store).map_err(failed)?;
        let all = catalog.partitions.into_values().zip(lasts);
        let kept = all.map(|(segments, last)| (name_of(&last, several), Kept { segments, last }));
        Ok(RawLog {
            store,
            partitions: Arc::new(kept.collect()),
            then,
            ends: BTreeMap::new(),
            decoder: config.decoder()?,
            input: config.meaning()["input"].clone(),
            read: Gauge::default(),
        })
    }

    /// The partitions, by name.
    pub fn partitions(&self) -> &BTreeMap<Name, Kept> {
        &self.partitions
    }

    /// The topics that go on where it ends.
    pub fn then(&self) -> Option<&InputTopics> {
        self.then.as_ref()
    }

    /// Where it is, in words.
    pub fn root(&self) -> &str {
        self.store.root()
    }

    /// Bytes of all segments.
    pub fn bytes(&self) -> u64 {
        let segments = self.partitions.values().flat_map(|kept| &kept.segments);
        segments.map(|listed| listed.size).sum()
    }

    /// Lets the topics end where they end now, or where a partition is to end.
    pub fn end_topics(&mut self) {
        let Some(topics) = &mut self.then else { return };
        let mut ends = topics.lookout.ends();
        for (place, end) in &mut ends {
            if let Some(until) = self.ends.get(&topics.name(place)) {
                *end = *until;
            }
        }
        topics.ends = Some(ends);
    }

    /// As what a job reads.
    pub fn input(&self) -> Input {
        let log = self.clone();
        let files = self.partitions.keys().all(|name| matches!(name, Name::File(_)));
        let ending = match &self.then {
            Some(topics) => topics.input().ending,
            None if files && self.ends.is_empty() => Ending::Complete,
            None => Ending::Cut,
        };
        let name = match &self.then {
            Some(topics) => format!("{}, then {}", self.root(), topics.input().name),
            None => self.root().to_owned(),
        };
        Input { name, ending, source: Arc::new(move || Box::new(RawSource::new(log.clone()))) }
    }

    /// Of each partition, the first offset of the segment from which on all clicks are found that
    /// happened at `time` or later, and were logged no earlier than `ahead_max` before.
    ///
    /// # Errors
    ///
    /// When a footer cannot be read.
    pub fn at_time(
        &self,
        time: Millis,
        options: &Options,
    ) -> Result<BTreeMap<Name, Facts>, Failure> {
        let logged = time.saturating_sub(options.ahead_max_ms);
        let mut found = BTreeMap::new();
        for (name, kept) in &*self.partitions {
            // Hours never go back: what lies under an earlier hour than the segment before the one
            // that is looked for, is earlier.
            let after = kept.segments.partition_point(|listed| listed.place.hour.start() < logged);
            let mut segments = kept.segments[after.saturating_sub(2)..].iter();
            let facts = loop {
                let Some(listed) = segments.next() else { break kept.last.clone() };
                let facts = listed.open(&self.store).map_err(failed)?.facts;
                let reaches = |range: Option<(Millis, Millis)>, from: Millis| {
                    range.is_some_and(|(_, greatest)| greatest >= from)
                };
                if reaches(facts.log_times, logged) || reaches(facts.click_times, time) {
                    break facts;
                }
            };
            found.insert(name.clone(), facts);
        }
        Ok(found)
    }
}

/// What a partition is called in ledgers, where there are several topics or one.
pub fn name_of(facts: &Facts, several: bool) -> Name {
    match &facts.file {
        Some(file) => Name::File(file.clone()),
        None => Name::Partition {
            log: several.then(|| facts.topic.clone()),
            partition: facts.partition,
        },
    }
}

fn list(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
