//! A commit in doubt: a new producer, and the ledger's last line says whether it happened.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::call::CALL;
use super::{Pending, Transactions, producer};
use crate::commit::sha256_hex;
use crate::failure::{Failure, Kind};
use crate::kafka::health::HEALTH;
use crate::kafka::ledger::{self, Upto};
use crate::kafka::results::LOGS;

/// After how many looks in a row a topic that is not there has gone.
const MISSING: u32 = 3;

/// How long to wait before trying again what has failed.
const AGAIN: Duration = Duration::from_millis(500);

/// What the end of the ledger says.
enum Found {
    /// The pending commit.
    Pending,
    /// The one before it.
    Before,
    /// A line of another instance.
    Other,
}

impl Transactions {
    /// Makes a new producer; whether the pending commit, if there is one, had happened.
    pub(super) fn recover(&mut self, pending: Option<&Pending<'_>>) -> Result<bool, Failure> {
        loop {
            if self.give_up.load(Ordering::Relaxed) {
                return Err(Failure::new(format!(
                    "cannot commit to topics {}.* at {}: nothing answers in time; the next start \
                     finds out whether the last commit happened",
                    self.topics.job,
                    self.cluster.brokers(),
                )));
            }
            self.check_topics()?;
            // Whoever has committed since owns the job: it must not be fenced. What it had to abort
            // of ours is aborted, so that its lines are seen without waiting.
            let found = self.find(pending, Upto::Open).and_then(|found| match found {
                Found::Other => Ok(found),
                Found::Pending | Found::Before => {
                    self.is_alive();
                    self.producer = producer(&self.cluster, &self.topics.job, self.times)
                        .map_err(|stop| stop.failure(&self.topics))?;
                    self.find(pending, Upto::End)
                }
            });
            match found {
                Ok(Found::Pending) => return Ok(true),
                Ok(Found::Before) => return Ok(false),
                Ok(Found::Other) => return Err(self.owned()),
                Err(failure) if failure.kind() == Kind::Refused => return Err(failure),
                Err(failure) => {
                    HEALTH.lost(&failure.in_full());
                    std::thread::sleep(AGAIN);
                }
            }
        }
    }

    /// Refuses to go on without a topic of the job, once it is certain that it has gone.
    fn check_topics(&mut self) -> Result<(), Failure> {
        let attempt = || format!("cannot find the topics of job {}", self.topics.job);
        // Without an answer nothing is certain.
        let gone = self.cluster.widths(CALL, attempt).ok().and_then(|widths| {
            let is_there = |name: &String| widths.get(name).is_some_and(|width| *width > 0);
            LOGS.map(|log| self.topics.name(log)).into_iter().find(|name| !is_there(name))
        });
        self.missing = if gone.is_some() { self.missing + 1 } else { 0 };
        match gone {
            Some(name) if self.missing >= MISSING => Err(Failure::refused(format!(
                "topic {name} has gone from {}: its rows have gone with it, so a new job is needed \
                 (--job)",
                self.cluster.brokers(),
            ))),
            _ => Ok(()),
        }
    }

    fn find(&self, pending: Option<&Pending<'_>>, upto: Upto) -> Result<Found, Failure> {
        self.is_alive();
        let last = ledger::last(&self.cluster, &self.topics.name("ledger"), upto)?;
        let last = last.map(|line| sha256_hex(&[&line]));
        let pending = pending.map(|pending| sha256_hex(&[pending.sealed.line().as_bytes()]));
        Ok(match last {
            last if last == self.last => Found::Before,
            last if last == pending => Found::Pending,
            _ => Found::Other,
        })
    }

    pub(super) fn owned(&self) -> Failure {
        Failure::of(
            Kind::Owned,
            format!(
                "another instance of job {} has taken it over at {}: this one stops, and has \
                 committed nothing since",
                self.topics.job,
                self.cluster.brokers(),
            ),
        )
    }
}
