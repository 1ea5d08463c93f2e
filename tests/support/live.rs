//! A script as a source: all of it at once, or line by line as a clock of the test's own goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use clicks::failure::Failure;
use clicks::source::{Piece, Poll, Polled, Source};
use clicks_dataflows::ingest::{Beside, Record};
use clicks_dataflows::ledger::Name;
use clicks_dataflows::partition::Start;

use crate::support::script::Script;

/// When the lines of a script arrive.
pub struct Arrivals {
    lines: Vec<Vec<Vec<u8>>>,
    /// Per partition, when each line is there; none if all are, and no more will come.
    times: Option<Vec<Vec<u64>>>,
    now: AtomicU64,
    /// How far each look moves the clock.
    step: u64,
    /// When the run is stopped.
    until: u64,
    stop: Arc<AtomicBool>,
}

impl Arrivals {
    /// All lines are there.
    pub fn complete(script: &Script) -> Arc<Arrivals> {
        Arrivals::new(script, None, 1, u64::MAX)
    }

    /// Lines come at `times`; each look at the clock moves it by `step`, up to `until`.
    pub fn live(script: &Script, times: Vec<Vec<u64>>, step: u64, until: u64) -> Arc<Arrivals> {
        Arrivals::new(script, Some(times), step, until)
    }

    fn new(script: &Script, times: Option<Vec<Vec<u64>>>, step: u64, until: u64) -> Arc<Arrivals> {
        let lines = script.partitions.iter();
        let lines = lines.map(|items| items.iter().map(|item| item.line()).collect()).collect();
        let (now, stop) = (AtomicU64::new(0), Arc::default());
        Arc::new(Arrivals { lines, times, now, step, until, stop })
    }

    /// Whether more may come.
    pub fn is_live(&self) -> bool {
        self.times.is_some()
    }

    /// What a look at the clock shows.
    pub fn now(&self) -> u64 {
        // The test's clock must not outrun the workers.
        std::thread::yield_now();
        let now = self.now.fetch_add(self.step, Ordering::Relaxed);
        if now >= self.until {
            self.stop.store(true, Ordering::Relaxed);
        }
        now
    }

    /// Set at the end.
    pub fn stop(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    /// Lines of a partition that have arrived.
    fn there(&self, partition: usize) -> usize {
        let now = self.now.load(Ordering::Relaxed);
        match &self.times {
            None => self.lines[partition].len(),
            Some(times) => times[partition].partition_point(|time| *time <= now),
        }
    }

    /// Whether the partition can be seen: from the arrival of its first line on.
    fn exists(&self, partition: usize) -> bool {
        self.times.is_none() || self.lines[partition].is_empty() || self.there(partition) > 0
    }
}

/// A script as a source.
pub struct ScriptSource {
    arrivals: Arc<Arrivals>,
    /// Whether partitions take turns from the last to the first.
    reversed: bool,
    known: Vec<bool>,
    open: BTreeMap<u32, (usize, usize)>,
    turns: usize,
}

impl ScriptSource {
    pub fn new(arrivals: &Arc<Arrivals>, reversed: bool) -> ScriptSource {
        let known = vec![false; arrivals.lines.len()];
        let arrivals = Arc::clone(arrivals);
        ScriptSource { arrivals, reversed, known, open: BTreeMap::new(), turns: 0 }
    }
}

impl Source for ScriptSource {
    fn discover(&mut self) -> Result<Vec<Name>, Failure> {
        let arrivals = &self.arrivals;
        let new = |known: &bool, at: usize| !known && arrivals.exists(at);
        let found: Vec<usize> =
            (0..self.known.len()).filter(|at| new(&self.known[*at], *at)).collect();
        found.iter().for_each(|at| self.known[*at] = true);
        Ok(found.into_iter().map(|at| Name::File(format!("p{at}"))).collect())
    }

    fn open(&mut self, name: &Name, start: &Start) -> Result<(), Failure> {
        let at = name.to_string()[1..].parse().unwrap();
        self.open.insert(start.partition, (at, usize::try_from(start.offset).unwrap()));
        Ok(())
    }

    fn poll(
        &mut self,
        partition: u32,
        limit: usize,
        take: &mut dyn FnMut(Piece<'_>),
    ) -> Result<Polled, Failure> {
        self.turns += 1;
        let (at, next) = self.open.get_mut(&partition).unwrap();
        let there = self.arrivals.there(*at);
        // Reversed: every other partition waits, as if others were read first.
        let skip = self.reversed && (self.turns / 8 + partition as usize) % 2 == 1;
        let end = if skip { *next } else { there.min(*next + limit) };
        for offset in *next..end {
            let value = self.arrivals.lines[*at][offset].as_slice();
            if !value.is_empty() {
                let (offset, bytes) = (offset as u64, value.len() as u64);
                take(Piece::Record(Record {
                    offset,
                    log_time: None,
                    value,
                    bytes,
                    beside: Beside::default(),
                }));
            }
        }
        *next = end.max(*next);
        let poll = match (*next == there, self.arrivals.is_live()) {
            (false, _) => Poll::More,
            (true, true) => Poll::AtEnd,
            (true, false) => Poll::Finished,
        };
        Ok(Polled { next: *next as u64, poll })
    }
}
