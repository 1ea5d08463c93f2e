//! A job's ledger, read once as it grows, and where the hours begin that are not closed.
//!
//! ```text
//! commits ─ … ─ A ─ … ─ B ─ … ─ newest
//!               │       └ before it lies no click of 08:00 or later
//!               └ before it lies no click of 07:00 or later
//! ```
//!
//! Of each hour that is not closed it keeps where the job stood when the first click of it could
//! come, and nothing of those before. Rows are read once too: those that no hour will be held
//! against, as they come before any click of their minute or after their hour was closed, are told.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::ops::Range;

use clicks_dataflows::ledger::Commit;
use clicks_dataflows::options::Options;
use clicks_dataflows::time::Millis;
use clicks_dataflows::told::CountRow;
use clicks_replay::raw::Hour;

use super::damaged;
use super::hours::{self, Due};
use super::span::{RowBegin, RowSpan, Span, Stands, reach};
use super::verdict::Job;
use crate::failure::Failure;
use crate::logs::{Logs, RowLog};
use crate::verify::Faults;
use crate::verify::chain::{Chain, Link};
use crate::verify::standing::Standing;

/// A ledger that is followed.
pub struct Following<'a> {
    job: String,
    options: Options,
    logs: Box<dyn Logs + 'a>,
    chain: Chain,
    /// Where hours begin that are not closed, in their order.
    begins: VecDeque<Begin>,
    /// Where those begin of which no click can have come.
    newest: Begin,
    /// Rows of `counts` up to the newest commit.
    counts: u64,
}

/// Where hours begin.
struct Begin {
    /// The first of them.
    hour: Hour,
    /// Where the job stood, and where rows begin; none at the job's start.
    at: Option<(Stands, RowBegin)>,
    /// Rows of `counts` before.
    counts: u64,
}

/// Rows of a commit that no hour is held against.
pub struct Strays {
    /// The commit.
    pub commit: u64,
    /// The first of them.
    pub row: CountRow,
    /// Whether its hour was closed; else no click of its minute can have been read.
    pub is_closed: bool,
    /// How many there are beside it.
    pub others: u64,
}

/// A commit that was read.
pub struct Read {
    /// Those of its rows that no hour is held against, if there are any.
    pub strays: Option<Strays>,
}

impl<'a> Following<'a> {
    /// The ledger of `job`, before its first commit.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn open(job: &Job<'a>) -> Result<Following<'a>, Failure> {
        let mut logs = job.asked.results.open(&job.name)?;
        let mut chain = Chain::new(&job.name, logs.has_lengths());
        chain.begin(&mut *logs, &mut Faults::default())?;
        Ok(Following {
            job: job.name.clone(),
            options: job.config.options.clone(),
            logs,
            chain,
            begins: VecDeque::new(),
            newest: Begin { hour: Hour(0), at: None, counts: 0 },
            counts: 0,
        })
    }

    /// Goes on to the next commit, if there is one; of the hours that are asked for, `closed` are
    /// closed.
    ///
    /// # Errors
    ///
    /// When the ledger is not right, or the logs cannot be read.
    pub fn next(&mut self, closed: &Range<Hour>) -> Result<Option<Read>, Failure> {
        let mut faults = Faults::default();
        let link = self.chain.next(&mut *self.logs, None, &mut faults)?;
        if faults.count > 0 {
            return Err(damaged(&self.job, &faults));
        }
        let Some(Link { commit, .. }) = link else { return Ok(None) };
        let reach = reach(&commit, self.chain.standing(), &self.options);
        let strays = match reach < closed.start.start() {
            true => self.pass_rows(&commit).map(|()| None),
            false => self.read_rows(&commit, reach, closed),
        }?;
        self.counts += commit.counts;
        // The first hour that begins after all that may have been read.
        let hour = Hour(Hour::of(reach).0 + 1);
        let offsets = self.logs.begins(RowLog::Counts)?;
        let at = Some((Stands::of(self.chain.standing()), RowBegin { commit, offsets }));
        let before = mem::replace(&mut self.newest, Begin { hour, at, counts: self.counts });
        if before.hour < hour {
            self.begins.push_back(before);
        }
        Ok(Some(Read { strays }))
    }

    /// Passes over the rows of `commit`: in topics they are read, as nothing else says their end.
    fn pass_rows(&mut self, commit: &Commit) -> Result<(), Failure> {
        if self.logs.has_lengths() {
            return self.logs.skip(RowLog::Counts, commit);
        }
        self.logs.rows(RowLog::Counts, commit)?.try_for_each(|row| row.map(drop))
    }

    /// Reads the rows of `commit`, up to which there are clicks up to `reach`; returns those that
    /// cannot be.
    fn read_rows(
        &mut self,
        commit: &Commit,
        reach: Millis,
        closed: &Range<Hour>,
    ) -> Result<Option<Strays>, Failure> {
        let mut strays: Option<Strays> = None;
        for row in self.logs.rows(RowLog::Counts, commit)? {
            // What is no row is found when its hour is reconciled.
            let Ok(row) = serde_json::from_slice::<CountRow>(&row?.line) else { continue };
            let is_closed = closed.contains(&Hour::of(row.minute.start()));
            if !is_closed && row.minute.start() <= reach {
                continue;
            }
            match &mut strays {
                Some(strays) => strays.others += 1,
                None => {
                    let commit = commit.commit;
                    strays = Some(Strays { commit, row, is_closed, others: 0 });
                }
            }
        }
        Ok(strays)
    }

    /// Where the job stands after the commits so far.
    pub fn standing(&self) -> &Standing {
        self.chain.standing()
    }

    /// The commits between which `due` is decided, of which the newest is the last.
    pub fn span(&self, due: &Due) -> Span {
        let mut begins = self.begins.iter().chain([&self.newest]);
        let begin = begins.rfind(|begin| begin.hour <= due.hours.start);
        let begin = begin.expect("what an hour needs is kept until it is closed");
        let (after, row_begin) = begin.at.clone().unzip();
        let last = self.newest.at.as_ref().map(|(_, begin)| begin.commit.clone());
        let last = last.expect("an hour is due at a commit");
        Span {
            minutes: hours::minutes(&due.hours),
            after,
            until: due.until.clone(),
            last: self.chain.standing().clone(),
            rows: RowSpan {
                after: row_begin,
                last: Commit { counts: self.counts - begin.counts, ..last },
            },
            is_cut: !due.is_closed,
        }
    }

    /// Forgets what only hours before `hour` need.
    pub fn forget(&mut self, hour: Hour) {
        let mut forgot = false;
        while !self.begins.is_empty() && self.begins.get(1).unwrap_or(&self.newest).hour <= hour {
            self.begins.pop_front();
            forgot = true;
        }
        let first = self.begins.front().unwrap_or(&self.newest);
        if let (true, Some((Stands { positions, .. }, _))) = (forgot, &first.at) {
            let offsets: BTreeMap<u32, u64> =
                positions.iter().map(|(number, (offset, _))| (*number, *offset)).collect();
            self.chain.forget_marks(&offsets);
        }
    }
}
