//! What a ledger says of a job's past: where it stands, and from where its state can be rebuilt.
//!
//! ```text
//! ledger: opening ─ 1 ─ 2 ─ … ─ K ─ … ─ L        L: the last commit
//!                               └── read again ──┘ silently, obeying the marks
//! ```
//!
//! The state after L holds minutes that the horizon keeps. K is the newest commit so old that
//! nothing read before it is among them: from its positions and clocks on, the same records come
//! to the same epochs, and rebuild the same state. K is old enough for the last commit that has
//! rows, too: it comes out again from a whole state, so that its digest tells whether the input is
//! what it was.

use std::collections::{BTreeMap, VecDeque};

use clicks_dataflows::clock::Clock;
use clicks_dataflows::horizon::first_minute;
use clicks_dataflows::ledger::{Commit, Lengths, Name, Opening, Position, Totals};
use clicks_dataflows::options::Options;
use clicks_dataflows::partition::{Lift, Start};
use clicks_dataflows::time::{Epoch, MINUTE_MS, Millis, Minute};

use crate::commit::sha256_hex;
use crate::failure::{Attempt, Failure};
use crate::numbers::Numbers;
use crate::sink::{Ledger, Results};

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

/// How far before the end of its input a job may read again when it resumes, in event time.
///
/// What the state rests on, as `whole_from` finds it, and two minutes, as commits without rows are
/// a minute apart.
pub fn distance_ms(options: &Options) -> Millis {
    let kept = options.horizon_ms + Millis::from(options.window_max()) * MINUTE_MS;
    kept + options.ahead_max_ms + options.told_within() + 2 * MINUTE_MS
}

/// What going back needs to know of a commit.
#[derive(Clone, Debug)]
struct Brief {
    epoch: Epoch,
    clock: Millis,
    reach: Millis,
    digest: String,
}

/// Where a partition stands: the next offset, and its clock before that.
#[derive(Clone, Copy, Debug)]
struct Stand {
    offset: u64,
    clock: Clock,
}

impl Stand {
    fn of(position: &Position) -> Stand {
        let clock = Clock { clock: position.clock.0, jump: position.jump.map(|jump| jump.0) };
        Stand { offset: position.offset, clock }
    }
}

/// A commit that is told again, and must come out the same.
#[derive(Clone, Debug)]
pub struct Check {
    /// Its number.
    pub commit: u64,
    /// Its rows are of epochs after this one.
    pub after: Epoch,
    /// Its rows are of epochs up to this one.
    pub epoch: Epoch,
    /// Their digest.
    pub digest: String,
}

/// Where to begin, so that the state comes out whole.
pub struct GoBack {
    /// Where each known partition begins.
    pub starts: Vec<(Name, Start)>,
    /// The commits that must come out the same.
    pub checks: Vec<Check>,
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
        let back = self.whole_from(self.told.unwrap_or(self.briefs.len()), options);
        while self.back < back {
            self.back += 1;
            self.stood.extend(self.moved.pop_front().into_iter().flatten());
        }
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

    /// Where to begin so that the state after the last commit comes out whole, and the last rows
    /// can be compared; `options` are those with which the ledger was read.
    pub fn go_back(&self, options: &Options) -> GoBack {
        let checks = (self.back..self.briefs.len())
            .filter(|at| self.whole_from(*at, options) >= self.back)
            .map(|at| Check {
                commit: at as u64 + 1,
                after: at.checked_sub(1).map_or(0, |before| self.briefs[before].epoch),
                epoch: self.briefs[at].epoch,
                digest: self.briefs[at].digest.clone(),
            })
            .collect();
        let starts = self.positions.iter().map(|(number, stands)| {
            let began = self.began.get(number).copied().unwrap_or(0);
            let began = Stand { offset: began, clock: Clock::default() };
            let Stand { offset, clock } = self.stood.get(number).copied().unwrap_or(began);
            let start = Start {
                partition: *number,
                offset,
                clock,
                marks: self.marks_of(*number, offset),
                floors: vec![(stands.offset, self.epoch())],
                committed: stands.offset,
            };
            (stands.name(), start)
        });
        GoBack { starts: starts.collect(), checks }
    }

    /// The marks of a partition from `offset` on.
    pub fn marks_of(&self, partition: u32, offset: u64) -> BTreeMap<u64, Millis> {
        let lifts = self.lifts.iter().filter(|l| l.partition == partition && l.offset >= offset);
        lifts.map(|lift| (lift.offset, lift.clock)).collect()
    }

    /// How many commits lie before everything that the state after `commits` commits rests on.
    fn whole_from(&self, commits: usize, options: &Options) -> usize {
        let Some(brief) = commits.checked_sub(1).map(|at| &self.briefs[at]) else { return 0 };
        // What was learnt until then is told by then.
        let told = brief.epoch.saturating_sub(options.told_within());
        let known = self.briefs[..commits].partition_point(|brief| brief.epoch <= told);
        let clock = known.checked_sub(1).map_or(0, |at| self.briefs[at].clock);
        let kept = first_minute(clock, options).minus(options.window_max() - 1);
        self.briefs[..known].partition_point(|brief| {
            let reach = brief.clock.saturating_add(options.ahead_max_ms).max(brief.reach);
            Minute::of(reach.min(clicks_dataflows::time::TIME_MAX)) < kept
        })
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
