//! Results in topics as they are read: the ledger leads, and its commits say which rows are whose.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clicks_dataflows::ledger::Commit;
use clicks_dataflows::time::Epoch;
use rdkafka::Offset;

use crate::alias::Alias;
use crate::failure::Failure;
use crate::kafka::aliases::AliasTopic;
use crate::kafka::client::{Cluster, Consumer, widths};
use crate::kafka::committed::{Committed, Next, Taken, reader};
use crate::kafka::ends::{Ends, offsets};
use crate::kafka::lookout::Place;
use crate::kafka::merged::{Asked, Merged};
use crate::kafka::policy::is_compacted;
use crate::kafka::results::topic;
use crate::log;
use crate::logs::{Jobs, Logs, Missing, RowLog, Rows};

/// How the topic of a ledger ends, after the job's name.
const LEDGER: &str = ".ledger";

/// After how long a ledger that stands still before its end counts as held by a transaction that
/// was left open.
const HELD_AFTER: Duration = Duration::from_secs(5);

/// A cluster with result topics.
pub struct JobTopics {
    /// The cluster.
    pub cluster: Cluster,
    /// Ends all waiting when set.
    pub stop: Arc<AtomicBool>,
}

impl JobTopics {
    /// How many partitions each topic has.
    fn widths(&self) -> Result<BTreeMap<String, u32>, Failure> {
        Ok(widths(&self.cluster.reach()?))
    }
}

impl Jobs for JobTopics {
    fn place(&self) -> String {
        format!("kafka at {}", self.cluster.brokers())
    }

    fn ledgers(&self) -> &'static str {
        "topic *.ledger"
    }

    fn jobs(&self) -> Result<Vec<String>, Failure> {
        let names = self.widths()?.into_keys();
        let job = |name: String| name.strip_suffix(LEDGER).map(str::to_owned);
        Ok(names.filter_map(job).filter(|job| !job.is_empty()).collect())
    }

    fn open(&self, job: &str) -> Result<Box<dyn Logs + '_>, Failure> {
        let widths = self.widths()?;
        let width = |log: &str| widths.get(&topic(job, log)).copied().unwrap_or(0);
        let partitions = RowLog::ALL.map(|log| width(log.name()));
        for (log, width) in [("rejects", partitions[2]), ("ledger", width("ledger"))] {
            if width > 1 {
                return Err(Failure::refused(format!(
                    "topic {} has {width} partitions, and must have 1, as its order matters",
                    topic(job, log),
                )));
            }
        }
        let ends = Rc::new(Ends::new(&self.cluster));
        let total = partitions.iter().sum::<u32>() + 1;
        let topics = ["ledger", "counts", "ranks", "rejects"].map(|log| topic(job, log));
        let known = topics.iter().map(String::as_str).filter(|topic| widths.contains_key(*topic));
        let known: Vec<&str> = known.collect();
        let consumer = reader(&self.cluster, &known, total as usize)?;
        let ledger = Place { topic: topic(job, "ledger"), partition: 0 };
        let (first, end) = {
            let places = [ledger.clone()];
            (ends.lows(&places)?[&ledger], ends.ends(&places)?[&ledger])
        };
        Ok(Box::new(LogTopics {
            cluster: &self.cluster,
            stop: &self.stop,
            job: job.to_owned(),
            ledger: Committed::open(&consumer, ledger, first, end)?,
            first,
            is_at_end: false,
            seen: 0,
            partitions,
            consumer,
            ends,
            logs: [None, None, None],
            compacted: [None; 3],
        }))
    }

    fn aliases(&self) -> Result<Vec<Alias>, Failure> {
        AliasTopic { cluster: &self.cluster }.all()
    }

    fn keep_alias(&self, alias: &Alias) -> Result<(), Failure> {
        AliasTopic { cluster: &self.cluster }.keep(alias)
    }

    fn remove_alias(&self, alias: &str) -> Result<(), Failure> {
        AliasTopic { cluster: &self.cluster }.remove(alias)
    }
}

/// The result topics of one job.
struct LogTopics<'a> {
    cluster: &'a Cluster,
    stop: &'a Arc<AtomicBool>,
    job: String,
    ledger: Committed,
    /// The first offset of the ledger that is there.
    first: u64,
    /// Whether all of the ledger was read that was there when it was opened.
    is_at_end: bool,
    /// How often the ledger was read further.
    seen: u64,
    /// Partitions of the logs of rows.
    partitions: [u32; 3],
    consumer: Rc<Consumer>,
    ends: Rc<Ends>,
    logs: [Option<Merged>; 3],
    compacted: [Option<bool>; 3],
}

impl LogTopics<'_> {
    fn topic(&self, log: RowLog) -> String {
        topic(&self.job, log.name())
    }

    fn places(&self, log: RowLog) -> Result<Vec<Place>, Failure> {
        let topic = self.topic(log);
        match self.partitions[log as usize] {
            0 => Err(Failure::new(format!(
                "topic {topic} is missing at {}, and with it rows of job {}",
                self.cluster.brokers(),
                self.job,
            ))),
            width => {
                Ok((0..width).map(|partition| Place { topic: topic.clone(), partition }).collect())
            }
        }
    }

    /// The rows of a log, read from the offsets of `from` on.
    fn open(&mut self, log: RowLog, from: &BTreeMap<Place, u64>) -> Result<&mut Merged, Failure> {
        let merged = Merged::open(log, from, (&self.consumer, &self.ends), self.stop)?;
        Ok(self.logs[log as usize].insert(merged))
    }

    /// The rows of a log, from the first on if they were not opened.
    fn merged(&mut self, log: RowLog) -> Result<&mut Merged, Failure> {
        if self.logs[log as usize].is_none() {
            let from = self.places(log)?.into_iter().map(|place| (place, 0)).collect();
            self.open(log, &from)?;
        }
        Ok(self.logs[log as usize].as_mut().expect("it is open"))
    }
}

impl Logs for LogTopics<'_> {
    fn ledger_name(&self) -> String {
        format!("topic {}", self.ledger.place().topic)
    }

    fn name(&self, log: RowLog) -> String {
        format!("topic {}", self.topic(log))
    }

    fn has_lengths(&self) -> bool {
        false
    }

    fn next_line(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        self.seen += u64::from(!self.ledger.has_more());
        while !self.is_at_end {
            match self.ledger.step()? {
                Next::Record(Taken { value, .. }) => return Ok(Some(value)),
                Next::Wait if self.stop.load(Ordering::Relaxed) => return Ok(None),
                Next::Wait if self.ledger.stands_still() >= HELD_AFTER => {
                    let topic = &self.ledger.place().topic;
                    log::say(&format!("a transaction is open in topic {topic}: read up to it"));
                    self.is_at_end = true;
                }
                Next::Wait => {}
                Next::End => self.is_at_end = true,
            }
        }
        Ok(self.ledger.follow()?.map(|record| record.value))
    }

    /// Begins where everything is decided, so that all commits with rows before it are in the
    /// ledger that is read afterwards.
    fn begin_at_end(&mut self, log: RowLog) -> Result<(), Failure> {
        let places = self.places(log)?;
        let decided = offsets(&self.consumer, &places, Offset::End, self.cluster.brokers())?;
        self.open(log, &decided)?;
        let ledger = self.ledger.place().clone();
        let end = self.ends.ends(std::slice::from_ref(&ledger))?[&ledger];
        self.ledger.extend(end);
        Ok(())
    }

    fn skip(&mut self, log: RowLog, commit: &Commit) -> Result<(), Failure> {
        self.merged(log)?.skip(commit.epoch.0);
        Ok(())
    }

    fn begins(&mut self, log: RowLog) -> Result<Vec<u64>, Failure> {
        Ok(self.merged(log)?.begins())
    }

    fn go_on(&mut self, log: RowLog, commit: &Commit, begins: &[u64]) -> Result<(), Failure> {
        let begins = begins.iter().copied().chain(std::iter::repeat(0));
        let from = self.places(log)?.into_iter().zip(begins).collect();
        self.open(log, &from)?.skip(commit.epoch.0);
        Ok(())
    }

    fn rows(&mut self, log: RowLog, commit: &Commit) -> Result<Rows<'_>, Failure> {
        let (epoch, owed, seen) = (commit.epoch.0, log.stated(commit), self.seen);
        let mut asked = Asked { commit: commit.commit, epoch, owed, seen };
        let merged = self.merged(log)?;
        Ok(Box::new(std::iter::from_fn(move || merged.next(&mut asked).transpose())))
    }

    fn missing(&mut self, log: RowLog, after: Epoch) -> Result<Missing, Failure> {
        if self.merged(log)?.is_cut_after(after) {
            return Ok(Missing::Deleted);
        }
        let compacted = match self.compacted[log as usize] {
            Some(compacted) => compacted,
            None => is_compacted(self.cluster, &self.topic(log))?,
        };
        self.compacted[log as usize] = Some(compacted);
        Ok(if compacted { Missing::Compacted } else { Missing::Never })
    }

    fn span(&self, log: RowLog, _: u64) -> String {
        format!("the rows of {}", log.name())
    }

    fn notes(&self) -> Vec<String> {
        let topic = &self.ledger.place().topic;
        let note = |first| format!("  topic {topic} begins at offset {first}: lines were deleted");
        Some(self.first).filter(|first| *first > 0).map(note).into_iter().collect()
    }

    fn strays(&self) -> Vec<String> {
        self.logs.iter().flatten().flat_map(Merged::strays).collect()
    }

    /// A transaction commits rows and ledger together: rows that are there without it are wrong.
    fn uncommitted(&mut self) -> Result<Vec<String>, Failure> {
        let mut left = Vec::new();
        for log in RowLog::ALL {
            let seen = self.seen;
            if let Some((partition, offset)) = self.merged(log)?.left(seen)? {
                let name = self.name(log);
                left.push(format!(
                    "{name}: rows lie beyond the last commit, from record {partition}:{offset} on",
                ));
            }
        }
        if left.is_empty() {
            return Ok(left);
        }
        let ledger = self.ledger.place().clone();
        self.ledger.extend(self.ends.ends(std::slice::from_ref(&ledger))?[&ledger]);
        loop {
            match self.ledger.step()? {
                // It is about these rows, or others will be.
                Next::Record(_) => return Ok(Vec::new()),
                Next::Wait if self.ledger.stands_still() >= HELD_AFTER => return Ok(left),
                Next::Wait => {}
                Next::End => return Ok(left),
            }
        }
    }
}
