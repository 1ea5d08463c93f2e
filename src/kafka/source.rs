//! Topics as a source: each partition from a queue of its own, to its true end.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use clicks_dataflows::ingest::Record;
use clicks_dataflows::ledger::{Name, Position};
use clicks_dataflows::partition::Start;
use clicks_dataflows::time::Millis;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::RDKafkaErrorCode;

use crate::failure::Failure;
use crate::kafka::client::{Cluster, Consumer, PATIENCE};
use crate::kafka::fetch::{Fetched, Queue};
use crate::kafka::health::HEALTH;
use crate::kafka::lookout::{Extent, Lookout, Place};
use crate::run::Input;
use crate::source::{Ending, Piece, Poll, Polled, Source};

/// Bytes that are fetched ahead of all partitions together, at least and at most of one.
const AHEAD_BYTES: usize = 256 << 20;
const AHEAD_BYTES_OF_ONE: (usize, usize) = (256 << 10, 32 << 20);

/// Records that are fetched ahead of one partition at most, if they are small.
const RECORDS_AHEAD_OF_ONE: usize = 20_000;

/// Between so many polls of partitions, what the client has to say is heard.
const POLLS: u64 = 64;

/// The topics that a job reads.
#[derive(Clone)]
pub struct InputTopics {
    /// The cluster.
    pub cluster: Cluster,
    /// Which partitions there are, and where they end.
    pub lookout: Arc<Lookout>,
    /// The job, as which groups of lag tools know it.
    pub job: String,
    /// Where each partition ends, if it ends.
    pub ends: Option<BTreeMap<Place, u64>>,
    /// Whether headers are read.
    pub headers: bool,
}

impl InputTopics {
    /// `topics` of `cluster`, for ever.
    pub fn new(cluster: &Cluster, topics: &[String], job: &str) -> InputTopics {
        InputTopics {
            cluster: cluster.clone(),
            lookout: Lookout::new(cluster, topics),
            job: job.to_owned(),
            ends: None,
            headers: false,
        }
    }

    /// What the partitions are called that there are.
    ///
    /// # Errors
    ///
    /// When a topic is not there.
    pub fn names(&self) -> Result<Vec<Name>, Failure> {
        Ok(self.lookout.extents()?.keys().map(|place| self.name(place)).collect())
    }

    /// As what a job reads.
    pub fn input(&self) -> Input {
        let topics = self.clone();
        Input {
            name: self.lookout.topics().join(", "),
            ending: if self.ends.is_none() { Ending::Open } else { Ending::Cut },
            source: Arc::new(move || Box::new(TopicSource::new(topics.clone()))),
        }
    }

    /// What a partition is called: its topic is named where there are several.
    pub fn name(&self, place: &Place) -> Name {
        let several = self.lookout.topics().len() > 1;
        let log = several.then(|| place.topic.clone());
        Name::Partition { log, partition: place.partition }
    }

    /// How far a job that stands at `positions` is behind the ends of its topics.
    pub fn lag<'a>(&self, positions: impl Iterator<Item = &'a Position>, now: Millis) -> Lag {
        let ends = self.lookout.ends();
        let mut lag = Lag::default();
        for position in positions {
            let place = self.place(&position.name()).ok();
            let end = place.and_then(|place| ends.get(&place).copied()).unwrap_or(0);
            let records = end.saturating_sub(position.offset);
            lag.records += records;
            // The clock of a partition of which nothing was read says nothing.
            if records > 0 && position.clock.0 > 0 {
                lag.ms = lag.ms.max(now.saturating_sub(position.clock.0));
            }
        }
        lag
    }

    /// Where the partition `name` is.
    ///
    /// # Errors
    ///
    /// When it is none of these topics.
    pub fn place(&self, name: &Name) -> Result<Place, Failure> {
        let topics = self.lookout.topics();
        match name {
            Name::Partition { log: None, partition } if topics.len() == 1 => {
                Ok(Place { topic: topics[0].clone(), partition: *partition })
            }
            Name::Partition { log: Some(log), partition } if topics.contains(log) => {
                Ok(Place { topic: log.clone(), partition: *partition })
            }
            _ => Err(Failure::refused(format!(
                "the job has read {name}, which is none of its input now ({}): give it back, or \
                 start a new job with --job",
                topics.join(", "),
            ))),
        }
    }
}

/// How far a job is behind its input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Records that it has not told yet.
    pub records: u64,
    /// From the clock of the partition that is furthest behind to now.
    pub ms: Millis,
}

/// Topics as a source of one worker.
pub struct TopicSource {
    topics: InputTopics,
    known: BTreeSet<Place>,
    consumer: Option<Rc<Consumer>>,
    open: BTreeMap<u32, Open>,
    polls: u64,
}

/// A partition that is read.
struct Open {
    queue: Queue,
    place: Place,
    next: u64,
    /// The job has committed what lies before this offset.
    committed: u64,
    until: Option<u64>,
    /// The look that had begun when it last yielded something.
    taken: u64,
}

impl TopicSource {
    /// Reads `topics`.
    pub fn new(topics: InputTopics) -> TopicSource {
        let (known, open) = (BTreeSet::new(), BTreeMap::new());
        TopicSource { topics, known, consumer: None, open, polls: 0 }
    }

    /// What a partition holds; one that is new here, as another process has seen it before, is
    /// looked for.
    fn extent(&self, place: &Place) -> Result<Extent, Failure> {
        let lookout = &self.topics.lookout;
        if let Some(extent) = lookout.extents()?.get(place) {
            return Ok(*extent);
        }
        lookout.look_for(Some(place))?;
        Ok(lookout.extent(place)?.expect("it was found"))
    }

    fn consumer(&mut self, partitions: usize) -> Result<Rc<Consumer>, Failure> {
        if let Some(consumer) = &self.consumer {
            return Ok(Rc::clone(consumer));
        }
        let (least, most) = AHEAD_BYTES_OF_ONE;
        let bytes = (AHEAD_BYTES / partitions.max(1)).clamp(least, most);
        let consumer = self.topics.cluster.consumer(&[
            ("group.id", &self.topics.job),
            ("isolation.level", "read_committed"),
            ("enable.partition.eof", "true"),
            ("fetch.wait.max.ms", "100"),
            ("queued.max.messages.kbytes", &(bytes >> 10).to_string()),
            ("queued.min.messages", &RECORDS_AHEAD_OF_ONE.to_string()),
        ])?;
        for topic in self.topics.lookout.topics() {
            // Unasked, the client looks for leaders once a second. It asks again if this fails.
            let _ = consumer.fetch_metadata(Some(topic), PATIENCE);
        }
        let consumer = Rc::new(consumer);
        self.consumer = Some(Rc::clone(&consumer));
        Ok(consumer)
    }
}

impl Source for TopicSource {
    fn discover(&mut self) -> Result<Vec<Name>, Failure> {
        let extents = self.topics.lookout.extents()?;
        let new = extents.into_keys().filter(|place| self.known.insert(place.clone()));
        let mut names: Vec<Name> = new.map(|place| self.topics.name(&place)).collect();
        names.sort();
        Ok(names)
    }

    fn first(&mut self, name: &Name) -> Result<u64, Failure> {
        let place = self.topics.place(name)?;
        self.extent(&place).map(|extent| extent.low)
    }

    fn check(&mut self, name: &Name, start: &Start) -> Result<(), Failure> {
        let Start { offset, committed, .. } = *start;
        let place = self.topics.place(name)?;
        let holds = |(low, end): (u64, u64)| offset >= low && offset.max(committed) <= end;
        let Extent { low, end, .. } = self.extent(&place)?;
        if holds((low, end)) {
            return Ok(());
        }
        // A predecessor may have committed what has come since the last look.
        let extent = self.topics.lookout.now(&place)?;
        match holds(extent) {
            true => Ok(()),
            false => Err(out_of_log(&place, (offset, committed), extent)),
        }
    }

    fn open(&mut self, name: &Name, start: &Start) -> Result<(), Failure> {
        self.check(name, start)?;
        let Start { partition, offset, committed, .. } = *start;
        let place = self.topics.place(name)?;
        let partitions = self.topics.lookout.extents()?.len();
        let consumer = self.consumer(partitions)?;
        let queue = Queue::open(&consumer, &place.topic, place.partition, offset)?;
        let queue = if self.topics.headers { queue.with_headers() } else { queue };
        let until = self.topics.ends.as_ref().map(|ends| ends.get(&place).copied().unwrap_or(0));
        let taken = self.topics.lookout.begun();
        self.open.insert(partition, Open { queue, place, next: offset, committed, until, taken });
        Ok(())
    }

    fn poll(
        &mut self,
        partition: u32,
        limit: usize,
        take: &mut dyn FnMut(Piece<'_>),
    ) -> Result<Polled, Failure> {
        let lookout = &self.topics.lookout;
        self.polls += 1;
        if self.polls.is_multiple_of(POLLS)
            && let Some(consumer) = &self.consumer
            && let Some(Err(error)) = consumer.poll(Duration::ZERO)
        {
            HEALTH.lost(&error.to_string());
        }
        let open = self.open.get_mut(&partition).expect("a polled partition is open");
        let begun = lookout.begun();
        let (mut next, mut failed) = (open.next, None);
        let until = open.until.unwrap_or(u64::MAX);
        open.queue.take(limit, Duration::ZERO, &mut |fetched| match fetched {
            Fetched::Record { offset, time, value, beside } if offset < until => {
                let bytes = value.len() as u64;
                take(Piece::Record(Record { offset, log_time: time, value, bytes, beside }));
                next = offset + 1;
            }
            Fetched::Record { .. } => next = until,
            Fetched::End(offset) => next = next.max(offset.min(until)),
            Fetched::Error(error) => failed = Some(error),
        });
        if next > open.next {
            (open.next, open.taken) = (next, begun);
        }
        if let Some(error) = failed {
            open.explain(error, lookout)?;
            HEALTH.lost(&error.to_string());
        }
        if next >= until {
            return Ok(Polled { next, poll: Poll::Finished });
        }
        let poll = match lookout.extent(&open.place)? {
            // An end that the last look did not find may be none.
            Some(Extent { end, look, .. })
                if look > open.taken && look + 1 >= begun && next >= end =>
            {
                Poll::AtEnd
            }
            _ => Poll::More,
        };
        Ok(Polled { next, poll })
    }
}

impl Open {
    /// What ends the run because of `error`; others pass.
    fn explain(&self, error: RDKafkaErrorCode, lookout: &Lookout) -> Result<(), Failure> {
        let Place { topic, partition } = &self.place;
        match error {
            RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange => {
                let extent = lookout.now(&self.place)?;
                Err(out_of_log(&self.place, (self.next, self.committed), extent))
            }
            RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::GroupAuthorizationFailed => Err(Failure::refused(format!(
                "cannot read partition {partition} of topic {topic}: {error}",
            ))),
            _ => Ok(()),
        }
    }
}

/// Why a partition cannot be read from `needed` on, of which the job has committed what lies before
/// `committed`, and which holds `low` to `end`.
fn out_of_log(place: &Place, (needed, committed): (u64, u64), (low, end): (u64, u64)) -> Failure {
    let Place { topic, partition } = place;
    let why = if needed.max(committed) > end {
        "the topic was deleted and made again, or has lost records: a new topic needs a new job \
         (--job)"
    } else if low <= committed {
        "none of them is new to the job, but a restart goes back to rebuild what minutes still \
         hold, and cannot: start a new job (--job), and keep records longer (retention.ms) than \
         the job's horizon and its longest window"
    } else {
        "records that the job has not read have been deleted, so clicks would be lost: read them \
         from elsewhere with a new job (--job), and keep records longer (retention.ms) than the \
         job may be away"
    };
    let needed = if needed.max(committed) > end { needed.max(committed) } else { needed };
    Failure::refused(format!(
        "partition {partition} of topic {topic}: offset {needed} is needed, but {low} to {end} are \
         there; {why}",
    ))
}
