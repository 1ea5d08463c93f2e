//! What a ledger says of a job's past: where it stands, and from where its state can be rebuilt.
//!
//! How far back that is, and what K is there, says `back`.

use std::collections::{BTreeMap, VecDeque};

use clicks_dataflows::ledger::{Commit, Lengths, Opening, Position, Totals};
use clicks_dataflows::options::Options;
use clicks_dataflows::partition::Lift;
use clicks_dataflows::time::{Epoch, Millis};

use crate::commit::sha256_hex;
use crate::failure::{Attempt, Failure};
use crate::numbers::Numbers;
use crate::sink::{Ledger, Results};

mod back;

use back::{Brief, Stand};
pub use back::{Check, GoBack, distance_ms};

/// A ledger as it was read.
pub struct Past {
    opening: Opening,
    briefs: Vec<Brief>,
    numbers: Numbers,
    positions: BTreeMap<u32, Position>,
    lifts: Vec<Lift>,
    /// Where partitions began that were added to the job, if not at 0.
    began: BTreeMap<u32, u64>,
    totals: Totals,
    lengths: Lengths,
    closed: bool,
    last_line_hash: String,
    /// Bytes of the ledger up to the end of its last whole line.
    length: u64,
    /// Commits before the last one that has rows, if any has.
    told: Option<usize>,
    /// Commits up to K.
    back: usize,
    /// Where each partition stood after those.
    stood: BTreeMap<u32, Stand>,
    /// What each later commit has changed of that.
    moved: VecDeque<Vec<(u32, Stand)>>,
}

impl Past {
    /// A job that begins with `opening`, whose ledger holds only that line.
    pub fn begin(opening: Opening, line: &str) -> Past {
        let mut past = Past {
            opening,
            briefs: Vec::new(),
            numbers: Numbers::default(),
            positions: BTreeMap::new(),
            lifts: Vec::new(),
            began: BTreeMap::new(),
            totals: Totals::default(),
            lengths: Lengths::default(),
            closed: false,
            last_line_hash: sha256_hex(&[line.as_bytes()]),
            length: line.len() as u64 + 1,
            told: None,
            back: 0,
            stood: BTreeMap::new(),
            moved: VecDeque::new(),
        };
        for position in past.opening.positions.clone() {
            let number = past.numbers.of(position.log.as_ref(), position.partition);
            past.stood.insert(number, Stand::of(&position));
            past.positions.insert(number, position);
        }
        past
    }

    /// Reads the whole ledger of a job; none if there is none, or not even its first line is whole.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or a whole line of it is no record of a ledger.
    pub fn read(results: &dyn Results, options: &Options) -> Result<Option<Past>, Failure> {
        Past::read_on(None, &mut *results.ledger()?, &results.ledger_name(), options)
    }

    /// Adds the lines of the ledger `name` that follow those of `past`, or all if that is none.
    ///
    /// Of where partitions stood it keeps what a job with these `options` goes back to.
    ///
    /// # Errors
    ///
    /// Those of [`Past::read`].
    pub fn read_on(
        past: Option<Past>,
        ledger: &mut dyn Ledger,
        name: &str,
        options: &Options,
    ) -> Result<Option<Past>, Failure> {
        let mut past = match past {
            Some(past) => past,
            None => {
                let Some(line) = ledger.next().transpose()? else { return Ok(None) };
                let opening = serde_json::from_str(&line);
                Past::begin(opening.attempt(|| format!("line 1 of {name} opens no job"))?, &line)
            }
        };
        for line in ledger {
            let line = line?;
            let number = past.briefs.len() + 2;
            let commit: Commit = serde_json::from_str(&line)
                .attempt(|| format!("line {number} of {name} is no commit"))?;
            if past.closed {
                return Err(Failure::new(format!(
                    "line {number} of {name} follows the commit that closed the job",
                )));
            }
            past.add(commit, &line, options);
        }
        Ok(Some(past))
    }

    fn add(&mut self, commit: Commit, line: &str, options: &Options) {
        let clock = commit.positions.iter().map(|p| p.clock.0).max().unwrap_or(0).max(self.clock());
        self.briefs.push(Brief {
            epoch: commit.epoch.0,
            clock,
            reach: commit.reach.map_or(0, |reach| reach.0),
            digest: commit.digest,
        });
        let mut moved = Vec::with_capacity(commit.positions.len());
        for position in commit.positions {
            let number = self.numbers.of(position.log.as_ref(), position.partition);
            moved.push((number, Stand::of(&position)));
            self.positions.insert(number, position);
        }
        self.moved.push_back(moved);
        for mark in commit.marks {
            let partition = self.numbers.of(mark.log.as_ref(), mark.partition);
            if mark.is_begin() {
                self.began.insert(partition, mark.offset);
                continue;
            }
            self.lifts.push(Lift { partition, offset: mark.offset, clock: mark.clock.0 });
        }
        self.totals = commit.totals;
        self.lengths = commit.lengths.unwrap_or_default();
        self.closed = commit.closed;
        self.last_line_hash = sha256_hex(&[line.as_bytes()]);
        self.length += line.len() as u64 + 1;
        if commit.counts + commit.ranks + commit.rejects > 0 {
            self.told = Some(self.briefs.len() - 1);
        }
        self.follow(options);
    }

    /// The job.
    pub fn job(&self) -> &str {
        &self.opening.job
    }

    /// The line that opened it.
    pub fn opening(&self) -> &Opening {
        &self.opening
    }

    /// How many commits it has.
    pub fn commits(&self) -> u64 {
        self.briefs.len() as u64
    }

    /// The last committed epoch, 0 if none.
    pub fn epoch(&self) -> Epoch {
        self.briefs.last().map_or(0, |brief| brief.epoch)
    }

    /// The greatest clock of any partition.
    pub fn clock(&self) -> Millis {
        self.briefs.last().map_or(0, |brief| brief.clock)
    }

    /// The greatest event time that lies beyond the clocks, 0 if none does.
    pub fn reach(&self) -> Millis {
        self.briefs.last().map_or(0, |brief| brief.reach)
    }

    /// Where each partition stands.
    pub fn positions(&self) -> &BTreeMap<u32, Position> {
        &self.positions
    }

    /// Whether the job has read a record of a partition, at whose `position` it stands.
    pub fn has_read(&self, position: &Position) -> bool {
        let name = position.name();
        let begin = self.opening.positions.iter().find(|begin| begin.name() == name);
        begin.map_or(0, |begin| begin.offset) < position.offset
    }

    /// The job's totals.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// The lengths of its logs.
    pub fn lengths(&self) -> Lengths {
        self.lengths
    }

    /// Whether its input is complete.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// The hash of its last line.
    pub fn last_line_hash(&self) -> &str {
        &self.last_line_hash
    }

    /// Bytes of the ledger that are whole lines.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The marks of a partition from `offset` on.
    pub fn marks_of(&self, partition: u32, offset: u64) -> BTreeMap<u64, Millis> {
        let lifts = self.lifts.iter().filter(|l| l.partition == partition && l.offset >= offset);
        lifts.map(|lift| (lift.offset, lift.clock)).collect()
    }

    /// The clocks of partitions at `offsets`, each of which some commit must name.
    ///
    /// # Errors
    ///
    /// When no commit names an offset, as its clock is then not known.
    pub fn positions_at(
        &self,
        results: &dyn Results,
        offsets: &BTreeMap<u32, u64>,
    ) -> Result<BTreeMap<u32, Position>, Failure> {
        let mut found = BTreeMap::new();
        let mut numbers = Numbers::default();
        for line in results.ledger()?.skip(1) {
            for position in commit(results, &line?)?.positions {
                let number = numbers.of(position.log.as_ref(), position.partition);
                if offsets.get(&number) == Some(&position.offset) {
                    found.insert(number, position);
                }
            }
        }
        let unknown = offsets.iter().find(|(p, offset)| **offset > 0 && !found.contains_key(p));
        if let Some((partition, offset)) = unknown {
            return Err(Failure::refused(format!(
                "--from {partition}={offset}: no commit of job {} stands there, so its clock is \
                 not known; take an offset from its ledger",
                self.job(),
            )));
        }
        Ok(found)
    }
}

fn commit(results: &dyn Results, line: &str) -> Result<Commit, Failure> {
    serde_json::from_str(line)
        .attempt(|| format!("a line of {} is no commit", results.ledger_name()))
}
