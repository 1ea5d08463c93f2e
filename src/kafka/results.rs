//! A job's results as topics: `JOB.counts`, `JOB.ranks`, `JOB.rejects` and `JOB.ledger`.

use crate::alias;
use crate::failpoint::reach;
use crate::failure::{Attempt, Failure};
use crate::kafka::aliases::AliasTopic;
use crate::kafka::client::{Cluster, PATIENCE};
use crate::kafka::ledger::Lines;
use crate::kafka::sink::TopicSink;
use crate::kafka::transaction::Transactions;
use crate::sink::{Ledger, Results, Sink};

/// The result topics of a job.
#[derive(Clone, Debug)]
pub struct Topics {
    /// The job.
    pub job: String,
    /// Partitions of `counts`.
    pub counts: u32,
    /// Partitions of `ranks`.
    pub ranks: u32,
}

impl Topics {
    /// The topic of a log.
    pub fn name(&self, log: &str) -> String {
        topic(&self.job, log)
    }
}

/// The logs of a job.
pub const LOGS: [&str; 4] = ["counts", "ranks", "rejects", "ledger"];

/// The topic of a job's log.
pub fn topic(job: &str, log: &str) -> String {
    format!("{job}.{log}")
}

/// Where a job's results are, before they are its own.
pub struct ResultTopics {
    /// The cluster.
    pub cluster: Cluster,
    /// The job.
    pub job: String,
    /// The topics of its input, if it reads topics.
    pub inputs: Vec<String>,
}

impl ResultTopics {
    /// The topics as they are.
    ///
    /// # Errors
    ///
    /// When one is missing, or has not the partitions that it needs.
    pub fn topics(&self) -> Result<Topics, Failure> {
        let brokers = self.cluster.brokers();
        let attempt = || format!("cannot find the topics of job {} at {brokers}", self.job);
        let widths = self.cluster.widths(PATIENCE, attempt)?;
        let width = |log: &str| {
            let name = topic(&self.job, log);
            widths.get(&name).copied().filter(|width| *width > 0).ok_or_else(|| {
                Failure::refused(format!(
                    "topic {name} is missing at {brokers}: make it with `clicks topics create -b \
                     {brokers} --job {}`, or let this user see it",
                    self.job,
                ))
            })
        };
        for log in ["rejects", "ledger"] {
            let width = width(log)?;
            if width != 1 {
                return Err(Failure::refused(format!(
                    "topic {} has {width} partitions, and must have 1, as its order matters",
                    topic(&self.job, log),
                )));
            }
        }
        Ok(Topics { job: self.job.clone(), counts: width("counts")?, ranks: width("ranks")? })
    }

    fn has_ledger(&self) -> Result<bool, Failure> {
        let name = topic(&self.job, "ledger");
        let attempt = || format!("cannot find topic {name} at {}", self.cluster.brokers());
        Ok(self.cluster.widths(PATIENCE, attempt)?.get(&name).is_some_and(|width| *width > 0))
    }
}

impl Results for ResultTopics {
    fn place(&self) -> String {
        format!("kafka at {}", self.cluster.brokers())
    }

    fn ledger_name(&self) -> String {
        format!("topic {}", topic(&self.job, "ledger"))
    }

    fn open_ledger(&self) -> Result<Box<dyn Ledger + '_>, Failure> {
        let Topics { job, .. } = self.topics()?;
        let lines = Lines::open(&self.cluster, &topic(&job, "ledger"))?;
        Ok(Box::new(LedgerTopic { results: self, lines: Some(lines) }))
    }

    fn ledger(&self) -> Result<Box<dyn Ledger + '_>, Failure> {
        let name = topic(&self.job, "ledger");
        let open = |there: bool| there.then(|| Lines::open(&self.cluster, &name)).transpose();
        let mut ledger = LedgerTopic { results: self, lines: open(self.has_ledger()?)? };
        ledger.go_on()?;
        Ok(Box::new(ledger))
    }

    fn check_name(&self) -> Result<(), Failure> {
        let aliases = AliasTopic { cluster: &self.cluster }.all()?;
        let alias = alias::find(aliases, &self.job);
        alias.map_or(Ok(()), |alias| Err(alias.refuse_job(&self.place())))
    }

    fn take_over(&self) -> Result<Box<dyn Sink>, Failure> {
        let transactions = Transactions::begin(&self.cluster, self.topics()?)?;
        Ok(Box::new(TopicSink::new(transactions, &self.inputs)))
    }
}

/// The ledger of a job, read as its topic is committed.
struct LedgerTopic<'a> {
    results: &'a ResultTopics,
    /// Its lines; none if there is no such topic.
    lines: Option<Lines>,
}

impl Iterator for LedgerTopic<'_> {
    type Item = Result<String, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        let attempt = || format!("{} is not UTF-8", self.results.ledger_name());
        let line = self.lines.as_mut()?.next()?;
        Some(line.and_then(|line| String::from_utf8(line).attempt(attempt)))
    }
}

impl Ledger for LedgerTopic<'_> {
    fn go_on(&mut self) -> Result<(), Failure> {
        reach("before-ledger");
        self.lines.as_mut().map_or(Ok(()), Lines::go_on)
    }
}
