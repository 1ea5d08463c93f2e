//! Where a job stands by its ledger, and what its rows mean.

use std::collections::BTreeMap;
use std::path::Path;

use clicks_dataflows::ledger::Name;
use clicks_dataflows::options::{Emit, Options};
use clicks_dataflows::time::{Epoch, Millis, Time};
use serde_json::Value as Json;

use super::commits::Commits;
use crate::config::Config;
use crate::failure::{Attempt, Failure};
use crate::logs::Jobs;

/// Where a job stands after its last commit.
pub struct Stand {
    /// The job.
    pub job: String,
    /// Where its results are, in words.
    pub place: String,
    /// What its rows depend on, as its ledger remembers it.
    pub meaning: Json,
    /// The same, as options.
    pub options: Options,
    /// Up to which everything is told.
    pub epoch: Epoch,
    /// Whether it goes no further.
    pub closed: bool,
    /// Rows of counts.
    pub rows: u64,
    /// How far each partition was read.
    pub read: BTreeMap<Name, u64>,
}

impl Stand {
    /// Reads the whole ledger.
    ///
    /// # Errors
    ///
    /// When it cannot be read, is broken, has no commits, or means what no job means.
    pub fn read(results: &dyn Jobs, job: &str) -> Result<Stand, Failure> {
        let (mut commits, opening) = Commits::open(results, job)?;
        let config = Config::from_meaning(&opening.meaning, Path::new(&commits.logs.ledger_name()))
            .attempt(|| commits.broken("its meaning cannot be"))?;
        let mut stand = Stand {
            job: job.to_owned(),
            place: results.place(),
            meaning: opening.meaning,
            options: config.options,
            epoch: 0,
            closed: false,
            rows: 0,
            read: opening.positions.iter().map(|at| (at.name(), at.offset)).collect(),
        };
        let mut is_begun = false;
        while let Some((_, commit)) = commits.next()? {
            is_begun = true;
            stand.rows += commit.counts;
            (stand.epoch, stand.closed) = (commit.epoch.0, commit.closed);
            stand.read.extend(commit.positions.iter().map(|at| (at.name(), at.offset)));
        }
        if is_begun {
            return Ok(stand);
        }
        let Stand { job, place, .. } = stand;
        Err(Failure::new(format!(
            "job {job} in {place} has no commits: there is nothing to compare"
        )))
    }

    /// The job with its place.
    pub fn name(&self) -> String {
        format!("{} in {}", self.job, self.place)
    }

    /// What decides when a click that was learnt is told.
    pub fn pace(&self) -> (Millis, Millis, Emit, Millis) {
        let Options { refresh_ms, lateness_ms, emit, .. } = self.options;
        (refresh_ms, lateness_ms, emit, self.tells_every())
    }

    /// At multiples of this, all that was learnt of settled minutes is told.
    pub fn tells_every(&self) -> Millis {
        match self.options.emit {
            Emit::Changes => self.options.refresh_ms,
            Emit::Final => self.options.correct_every_ms,
        }
    }

    /// Whether its end tells what was held for later: that of a replay of a topic to an offset.
    pub fn ends_early(&self) -> bool {
        let until = &self.meaning["until"];
        let at_a_time = until.as_str().is_some_and(|text| text.parse::<Time>().is_ok());
        let is_topic = self.read.keys().any(|name| matches!(name, Name::Partition { .. }));
        self.closed && is_topic && !at_a_time
    }
}
