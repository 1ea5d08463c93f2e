//! From what closed epochs tell to commits: rows in their order, totals, positions.
//!
//! ```text
//! (epoch, learnt) … ─▶ rows ─┐
//!                   ─▶ tally ┴─▶ one commit: rows, then the ledger's line
//! ```
//!
//! After a restart the graph tells again what is committed. Those epochs make no rows; where the
//! state was whole when they were told again, their digests must be those of the ledger.

use std::collections::{BTreeMap, BTreeSet};

use clicks_dataflows::count::changes::ChangeRef;
use clicks_dataflows::ledger::{Commit, Lengths, Mark, Name, Position, Totals};
use clicks_dataflows::options::Options;
use clicks_dataflows::partition::{Behind, Lift, Progress};
use clicks_dataflows::rank::List;
use clicks_dataflows::time::{Epoch, MINUTE_MS, Millis, Time};
use clicks_dataflows::told::write::Writer;
use clicks_dataflows::told::{CountRow, RankRow, RankedAd, RejectRow, State};
use sha2::{Digest, Sha256};

use crate::failure::Failure;
use crate::outbox::Learnt;
use crate::past::{Check, Past};
use crate::sink::{Lines, Rows, Sink};

/// Rows, and bytes of them, that are worth a commit at once: few enough for one transaction. If one
/// cannot be made, nobody reads on.
const COMMIT_ROWS: u64 = 200_000;
const COMMIT_BYTES: usize = 32 << 20;

/// SHA-256 as lower-case hexadecimal digits.
pub fn sha256_hex(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the summary of a run tells beyond the ledger's totals.
#[derive(Clone, Debug, Default)]
pub struct Tolls {
    /// Rejects of this run by reason.
    pub rejected: BTreeMap<&'static str, u64>,
    /// Rows of this run: counts, ranks, rejects.
    pub rows: [u64; 3],
    /// Clicks of this run that nothing identifies.
    pub own: u64,
    /// Commits of this run.
    pub commits: u64,
    /// The click that was furthest behind, and the partition in which it was.
    pub behind: Option<(Behind, String)>,
}

/// Makes the commits of one job.
pub struct Committer {
    job: String,
    options: Options,
    commit: u64,
    /// The last committed epoch.
    epoch: Epoch,
    /// The epoch of the last commit that named all positions.
    named_all: Epoch,
    positions: BTreeMap<u32, Position>,
    changed: BTreeSet<u32>,
    totals: Totals,
    clock: Millis,
    reach: Millis,
    rows: Rows,
    writer: Writer,
    marks: Vec<Mark>,
    tolls: Tolls,
    /// Committed commits to be compared when they are told again, the oldest last.
    checks: Vec<Check>,
    silent_until: Epoch,
    /// The last epoch that was taken.
    taken: Epoch,
    /// The greatest epoch that had a record or a row.
    told: Epoch,
    /// Whether the commit that closes the job was written.
    closed: bool,
}

impl Committer {
    /// Goes on after `past`.
    pub fn new(past: &Past, checks: Vec<Check>, options: &Options) -> Committer {
        let epoch = past.epoch();
        Committer {
            job: past.job().to_owned(),
            options: options.clone(),
            commit: past.commits(),
            epoch,
            named_all: epoch,
            positions: past.positions().clone(),
            changed: BTreeSet::new(),
            totals: past.totals(),
            clock: past.clock(),
            reach: past.reach(),
            rows: Rows::default(),
            writer: Writer::default(),
            marks: Vec::new(),
            tolls: Tolls::default(),
            checks: checks.into_iter().rev().collect(),
            silent_until: epoch,
            taken: epoch,
            told: epoch,
            closed: false,
        }
    }

    /// Whether the partition `name` has a number.
    pub fn knows(&self, name: &Name) -> bool {
        self.positions.values().any(|position| position.name() == *name)
    }

    /// The name of a partition.
    pub fn name(&self, partition: u32) -> String {
        self.position(partition).name().to_string()
    }

    /// Where each partition stands, by number.
    pub fn positions(&self) -> &BTreeMap<u32, Position> {
        &self.positions
    }

    fn position(&self, partition: u32) -> &Position {
        self.positions.get(&partition).expect("a partition that tells was opened")
    }

    /// The number of the partition `name` that appears: its own in a single topic, else the next.
    pub fn next_partition(&self, name: &Name) -> u32 {
        if let Name::Partition { log: None, partition } = name {
            return *partition;
        }
        self.positions.last_key_value().map_or(0, |(partition, _)| partition + 1)
    }

    /// The last committed epoch.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Partition `number` begins at `position`; the next commit names it, and marks where that is if
    /// it is not the first offset of all.
    pub fn open(&mut self, number: u32, position: Position) {
        if position.offset > 0 {
            self.marks.push(Mark::of_begin(&position));
        }
        self.positions.insert(number, position);
        self.changed.insert(number);
    }

    /// Takes what a closed epoch tells; epochs come in ascending order.
    ///
    /// # Errors
    ///
    /// When an epoch that is told again differs from what was committed.
    pub fn take(&mut self, epoch: Epoch, mut learnt: Learnt) -> Result<(), Failure> {
        learnt.sort();
        self.taken = epoch;
        if epoch > self.silent_until {
            self.check_until(Epoch::MAX)?;
            self.add(epoch, &learnt);
            return Ok(());
        }
        self.check_until(epoch)?;
        if self.checks.last().is_some_and(|check| epoch > check.after) {
            self.add_rows(epoch, &learnt);
        }
        Ok(())
    }

    /// Compares the commits that end before `epoch` with what was told again.
    fn check_until(&mut self, epoch: Epoch) -> Result<(), Failure> {
        while let Some(check) = self.checks.pop_if(|check| check.epoch < epoch) {
            let rows = std::mem::take(&mut self.rows);
            if digest(&rows) != check.digest {
                return Err(Failure::new(format!(
                    "commit {} of job {} comes out differently when it is read again: the input \
                     or its files are not what they were",
                    check.commit, self.job,
                )));
            }
            self.tolls = Tolls::default();
        }
        Ok(())
    }

    fn add(&mut self, epoch: Epoch, learnt: &Learnt) {
        self.add_rows(epoch, learnt);
        for tally in &learnt.tallies {
            self.totals.clicks += tally.clicks;
            self.totals.duplicates += tally.duplicates;
            self.totals.skipped += tally.skipped;
            self.totals.late += tally.late;
            self.tolls.own += tally.own;
        }
        for reject in &learnt.rejects {
            *self.tolls.rejected.entry(reject.reason.as_str()).or_default() += 1;
        }
        self.totals.rejected += learnt.rejects.len() as u64;
        self.add_marks(&learnt.lifts);
        for progress in &learnt.progress {
            self.add_progress(progress);
        }
        let has_records = learnt.progress.iter().any(|progress| progress.records > 0);
        if has_records || !(learnt.counts.is_empty() && learnt.ranks.is_empty()) {
            self.told = self.told.max(epoch);
        }
    }

    fn add_marks(&mut self, lifts: &[Lift]) {
        for Lift { partition, offset, clock } in lifts {
            let Position { log, partition, .. } = self.position(*partition).clone();
            self.marks.push(Mark { log, partition, offset: *offset, clock: Time(*clock) });
        }
    }

    fn add_progress(&mut self, progress: &Progress) {
        self.totals.records += progress.records;
        self.clock = self.clock.max(progress.clock.clock);
        self.reach = self.reach.max(progress.reach);
        let position = self.positions.get_mut(&progress.partition);
        let position = position.expect("a partition that progresses was opened");
        position.offset = progress.offset;
        position.clock = Time(progress.clock.clock);
        position.jump = progress.clock.jump.map(Time);
        let behind = progress.behind.map(|behind| (behind, position.name().to_string()));
        self.tolls.behind = self.tolls.behind.take().max(behind);
        self.changed.insert(progress.partition);
    }

    fn add_rows(&mut self, epoch: Epoch, learnt: &Learnt) {
        let (options, writer) = (&self.options, &mut self.writer);
        for ChangeRef { ad, minute, filter, clicks, was } in learnt.counts.iter() {
            let (epoch, state) = (Time(epoch), State::at(epoch, options.settle(minute)));
            let row = CountRow { ad_id: ad, minute, filter, clicks, was, epoch, state };
            self.rows.counts.push(|line, key| writer.count(&row, line, key));
        }
        for List { group: (filter, window, minute), ads } in &learnt.ranks {
            let ads = ads.iter();
            let ads = ads.map(|(clicks, ad)| RankedAd { ad_id: ad.as_str(), clicks: clicks.0 });
            let row = RankRow {
                filter: *filter,
                window: *window,
                minute: *minute,
                ads: ads.collect(),
                epoch: Time(epoch),
                state: State::at(epoch, options.settle(*minute)),
            };
            self.rows.ranks.push(|line, key| writer.rank(&row, line, key));
        }
        for reject in &learnt.rejects {
            let position = self.positions.get(&reject.at.partition);
            let position = position.expect("a partition that tells was opened");
            self.rows.rejects.push_keyless(&RejectRow::new(reject, position, epoch));
        }
    }

    /// Commits all that was taken, if it is worth a commit; everything up to `epoch` was taken.
    ///
    /// # Errors
    ///
    /// Those of the sink.
    pub fn commit(&mut self, epoch: Epoch, sink: &mut dyn Sink) -> Result<bool, Failure> {
        let news = !self.rows.is_empty() || !self.marks.is_empty();
        let due = epoch >= self.epoch + MINUTE_MS && !self.changed.is_empty();
        if epoch <= self.silent_until || !(news || due) {
            return Ok(false);
        }
        self.check_until(Epoch::MAX)?;
        self.write(epoch, false, sink)?;
        Ok(true)
    }

    /// Commits the end of the input: at `until` if that was asked for, else when all is told.
    ///
    /// # Errors
    ///
    /// Those of the sink.
    pub fn close(&mut self, until: Option<Epoch>, sink: &mut dyn Sink) -> Result<(), Failure> {
        self.check_until(Epoch::MAX)?;
        let epoch = until.unwrap_or(self.told).max(self.epoch);
        self.write(epoch, true, sink)
    }

    fn write(&mut self, epoch: Epoch, closed: bool, sink: &mut dyn Sink) -> Result<(), Failure> {
        let all = closed || epoch >= self.named_all + MINUTE_MS;
        let changed = std::mem::take(&mut self.changed);
        let named = self.positions.iter().filter(|(p, _)| all || changed.contains(p));
        let rows = std::mem::take(&mut self.rows);
        let commit = Commit {
            job: self.job.clone(),
            commit: self.commit + 1,
            epoch: Time(epoch),
            positions: named.map(|(_, position)| position.clone()).collect(),
            marks: std::mem::take(&mut self.marks),
            reach: Some(Time(self.reach))
                .filter(|reach| reach.0 > self.clock.saturating_add(self.options.ahead_max_ms)),
            totals: self.totals,
            counts: rows.counts.count(),
            ranks: rows.ranks.count(),
            rejects: rows.rejects.count(),
            lengths: sink.lengths().map(|lengths| lengths_after(lengths, &rows)),
            digest: String::new(),
            previous: String::new(),
            closed,
        };
        let counts = rows.logs().map(Lines::count);
        self.rows = sink.commit(rows, commit)?;
        self.commit += 1;
        self.epoch = epoch;
        self.closed = closed;
        if all {
            self.named_all = epoch;
        }
        self.tolls.commits += 1;
        for (sum, count) in self.tolls.rows.iter_mut().zip(counts) {
            *sum += count;
        }
        Ok(())
    }

    /// The job's totals as far as they were taken.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// What this run brought.
    pub fn tolls(&self) -> &Tolls {
        &self.tolls
    }

    /// The greatest clock so far.
    pub fn clock(&self) -> Millis {
        self.clock
    }

    /// Whether the commit that closes the job was written.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// The last epoch that was taken.
    pub fn taken(&self) -> Epoch {
        self.taken
    }

    /// Whether so much waits that it is to be committed before more is taken.
    pub fn is_full(&self) -> bool {
        // What is told again, to be compared, is not committed.
        let waits = self.taken > self.silent_until;
        waits && (self.rows.count() >= COMMIT_ROWS || self.rows.bytes() >= COMMIT_BYTES)
    }
}

/// The digest over the rows of a commit.
pub fn digest(rows: &Rows) -> String {
    sha256_hex(&rows.logs().map(|lines| lines.bytes.as_slice()))
}

fn lengths_after(lengths: Lengths, rows: &Rows) -> Lengths {
    Lengths {
        counts: lengths.counts + rows.counts.bytes.len() as u64,
        ranks: lengths.ranks + rows.ranks.bytes.len() as u64,
        rejects: lengths.rejects + rows.rejects.bytes.len() as u64,
    }
}
