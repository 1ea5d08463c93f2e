//! A raw log that grows: listed again until it holds what the job has read.

use std::mem;
use std::time::Duration;

use clicks_dataflows::time::Time;
use clicks_replay::raw::Catalog;

use super::continuous::{is_stopped, pause};
use super::span::{covers, ends};
use super::verdict::Job;
use crate::failure::Failure;
use crate::log;
use crate::raw::{RawLog, failed, open_store};
use crate::verify::standing::Standing;

/// How long to wait before a directory that lags behind is listed again.
const DIRECTORY_EVERY: Duration = Duration::from_secs(1);

/// The same of an object store, where a list is a request for each thousand segments.
const STORE_EVERY: Duration = Duration::from_secs(15);

/// The raw log as it was when it was last listed.
pub struct Growing<'a> {
    job: &'a Job<'a>,
    /// None as long as it holds nothing.
    log: Option<RawLog>,
}

impl<'a> Growing<'a> {
    /// The raw log of `job`, which may hold nothing yet.
    ///
    /// # Errors
    ///
    /// When it is no such place, or cannot be read.
    pub fn open(job: &'a Job<'a>) -> Result<Growing<'a>, Failure> {
        let mut growing = Growing { job, log: None };
        growing.list()?;
        Ok(growing)
    }

    /// Waits until it has all that lies before where the job stood, and says so once if it has not;
    /// none if the program is to stop.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn covering(&mut self, until: &Standing) -> Result<Option<&RawLog>, Failure> {
        let asked = self.job.asked;
        let every = if asked.raw.contains("://") { STORE_EVERY } else { DIRECTORY_EVERY };
        let (mut listed, mut said) = (false, false);
        while let Some(lag) = self.lag(until) {
            if mem::replace(&mut listed, true) {
                if !mem::replace(&mut said, true) {
                    let epoch = Time(until.epoch);
                    log::say(&format!("{lag} by {epoch}: waiting until it is archived"));
                }
                pause(asked.stop, every);
            }
            if is_stopped(asked.stop) {
                return Ok(None);
            }
            self.list()?;
        }
        Ok(self.log.as_ref())
    }

    fn list(&mut self) -> Result<(), Failure> {
        let asked = self.job.asked;
        if self.log.is_none() {
            let catalog = Catalog::read(&open_store(asked.raw)?, None).map_err(failed)?;
            if catalog.partitions.is_empty() && catalog.foreign.is_empty() {
                return Ok(());
            }
        }
        self.log = Some(RawLog::open(asked.raw, asked.topics, None, &self.job.config)?);
        Ok(())
    }

    /// How far it is behind where the job stood, if it is.
    fn lag(&self, until: &Standing) -> Option<String> {
        let Job { asked, name, .. } = self.job;
        let Some(raw) = &self.log else {
            let records = until.totals.records;
            return Some(format!(
                "{} holds no segments, but job {name} has read {records} records",
                asked.raw,
            ));
        };
        let behind = until.positions.values().find(|position| !covers(raw, position));
        behind.map(|position| ends(asked, name, (raw, position)))
    }
}
