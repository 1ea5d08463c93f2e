//! The input: generated clicks as JSON lines, by partition, in memory or made as they are read.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use clicks::failure::Failure;
use clicks::generate::{Generator, Plan};
use clicks::source::{Piece, Poll, Polled, Source};
use clicks_dataflows::ingest::{Beside, Record};
use clicks_dataflows::ledger::Name;
use clicks_dataflows::partition::Start;

use super::job::LATENESS_MS;

/// Partitions of the input.
pub const PARTITIONS: usize = 4;

/// 2026-01-01T00:00:00Z.
pub const START_MS: u64 = 1_767_225_600_000;

/// So many clicks spread evenly over `minutes`; 1 % of the records are copies, none is late.
pub fn plan(clicks: u64, minutes: u64, ads: u64) -> Plan {
    let duplicates = 0.01;
    let plan = Plan {
        clicks,
        partitions: u32::try_from(PARTITIONS).expect("there are few partitions"),
        seed: 7,
        ads,
        skew: 1.05,
        duplicates,
        late: 0.0,
        malformed: 0.0,
        start_ms: START_MS,
        per_second: clicks as f64 / (1.0 - duplicates) / (minutes * 60) as f64,
        lateness_ms: LATENESS_MS,
    };
    plan.check().unwrap_or_else(|why| panic!("no such clicks can be made: {why}"));
    plan
}

/// Lines of each partition.
#[derive(Default)]
pub struct Lines([Partition; PARTITIONS]);

/// Lines, one after the other, and where each ends.
#[derive(Default)]
pub struct Partition {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Lines {
    /// The lines of `plan`.
    pub fn generate(plan: Plan) -> Lines {
        let mut lines = Lines::default();
        for made in Generator::new(plan) {
            lines.push(made.partition as usize, &made.line);
        }
        lines
    }

    /// Appends a line to a partition.
    pub fn push(&mut self, partition: usize, line: &[u8]) {
        let partition = &mut self.0[partition];
        partition.bytes.extend_from_slice(line);
        partition.ends.push(partition.bytes.len());
    }

    /// The partitions, by number.
    pub fn partitions(&self) -> &[Partition] {
        &self.0
    }

    /// How many lines there are.
    pub fn records(&self) -> u64 {
        self.0.iter().map(|partition| partition.len() as u64).sum()
    }
}

impl Partition {
    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// The line at an offset.
    pub fn line(&self, offset: usize) -> &[u8] {
        let start = offset.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[offset]]
    }
}

/// Lines in memory as a source.
pub struct FromMemory {
    lines: Arc<Lines>,
    discovered: bool,
    next: BTreeMap<u32, usize>,
}

impl FromMemory {
    /// Reads `lines` from their beginning.
    pub fn new(lines: Arc<Lines>) -> FromMemory {
        FromMemory { lines, discovered: false, next: BTreeMap::new() }
    }
}

impl Source for FromMemory {
    fn discover(&mut self) -> Result<Vec<Name>, Failure> {
        Ok(names(&mut self.discovered))
    }

    fn open(&mut self, _: &Name, start: &Start) -> Result<(), Failure> {
        self.next.insert(start.partition, 0);
        Ok(())
    }

    fn poll(
        &mut self,
        partition: u32,
        limit: usize,
        take: &mut dyn FnMut(Piece<'_>),
    ) -> Result<Polled, Failure> {
        let lines = &self.lines.partitions()[partition as usize];
        let next = self.next.get_mut(&partition).expect("what is read is open");
        let end = lines.len().min(*next + limit);
        for offset in *next..end {
            take(record(offset as u64, lines.line(offset)));
        }
        *next = end;
        Ok(polled(end as u64, end == lines.len()))
    }
}

/// Lines that are made as they are read, and never all there; for one worker.
pub struct FromGenerator {
    generator: Generator,
    discovered: bool,
    waiting: [VecDeque<Vec<u8>>; PARTITIONS],
    next: [u64; PARTITIONS],
}

impl FromGenerator {
    /// Makes the lines of `plan`.
    pub fn new(plan: Plan) -> FromGenerator {
        FromGenerator {
            generator: Generator::new(plan),
            discovered: false,
            waiting: Default::default(),
            next: [0; PARTITIONS],
        }
    }
}

impl Source for FromGenerator {
    fn discover(&mut self) -> Result<Vec<Name>, Failure> {
        Ok(names(&mut self.discovered))
    }

    fn open(&mut self, _: &Name, _: &Start) -> Result<(), Failure> {
        Ok(())
    }

    fn poll(
        &mut self,
        partition: u32,
        limit: usize,
        take: &mut dyn FnMut(Piece<'_>),
    ) -> Result<Polled, Failure> {
        let at = partition as usize;
        while self.waiting[at].is_empty()
            && let Some(made) = self.generator.next()
        {
            self.waiting[made.partition as usize].push_back(made.line);
        }
        let finished = self.waiting[at].is_empty();
        for _ in 0..limit {
            let Some(line) = self.waiting[at].pop_front() else { break };
            take(record(self.next[at], &line));
            self.next[at] += 1;
        }
        Ok(polled(self.next[at], finished))
    }
}

fn names(discovered: &mut bool) -> Vec<Name> {
    let first = !std::mem::replace(discovered, true);
    (0..PARTITIONS).filter(|_| first).map(|at| Name::File(format!("p{at}"))).collect()
}

fn record(offset: u64, value: &[u8]) -> Piece<'_> {
    Piece::Record(Record {
        offset,
        log_time: None,
        value,
        bytes: value.len() as u64,
        beside: Beside::default(),
    })
}

fn polled(next: u64, finished: bool) -> Polled {
    Polled { next, poll: if finished { Poll::Finished } else { Poll::More } }
}
