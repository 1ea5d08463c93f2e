//! A job's results as topics: `JOB.counts`, `JOB.ranks`, `JOB.rejects` and `JOB.ledger`.

use crate::failure::{Attempt, Failure};
use crate::kafka::client::{Cluster, PATIENCE};
use crate::kafka::failpoint::reach;
use crate::kafka::ledger::{self, Upto};
use crate::kafka::sink::TopicSink;
use crate::kafka::transaction::Transactions;
use crate::sink::{LedgerLines, Results, Sink};

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

    fn text(&self, line: Vec<u8>) -> Result<String, Failure> {
        String::from_utf8(line).attempt(|| format!("{} is not UTF-8", self.ledger_name()))
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

    fn ledger(&self) -> Result<LedgerLines<'_>, Failure> {
        if !self.has_ledger()? {
            return Ok(Box::new(std::iter::empty()));
        }
        reach("before-ledger");
        let records = ledger::lines(&self.cluster, &topic(&self.job, "ledger"), Upto::End)?;
        Ok(Box::new(records.map(|record| record.and_then(|line| self.text(line)))))
    }

    fn opening_line(&self) -> Result<Option<String>, Failure> {
        if !self.has_ledger()? {
            return Ok(None);
        }
        let mut lines = ledger::lines(&self.cluster, &topic(&self.job, "ledger"), Upto::Open)?;
        lines.next().transpose()?.map(|line| self.text(line)).transpose()
    }

    fn take_over(&self) -> Result<Box<dyn Sink>, Failure> {
        let transactions = Transactions::begin(&self.cluster, self.topics()?)?;
        Ok(Box::new(TopicSink::new(transactions, &self.inputs)))
    }
}
