//! A topic of rows as the one log that it is: its partitions merged by epoch.
//!
//! Each partition is in the order of epochs, and within an epoch rows have an order of their own.
//! So the least row among the first ones of all partitions is the next of the log. A partition that
//! has none to show has no further row of a commit once its reader stands at an end that was asked
//! for after the commit was seen: all rows of a transaction lie in their partitions before it
//! commits, though each becomes visible at its own moment. Where a later transaction was left open
//! the end is not reached for a while; then the commit's number of rows tells that they are all
//! there.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clicks_dataflows::time::Epoch;

use crate::failure::Failure;
use crate::kafka::client::Consumer;
use crate::kafka::committed::{Committed, Next, Taken};
use crate::kafka::ends::Ends;
use crate::kafka::lookout::Place;
use crate::kafka::placed::{Order, Placed};
use crate::kafka::widths::{Lying, Widths};
use crate::logs::{Row, RowLog, epoch_of};

/// After how long a partition that stands still before its end counts as held by a transaction.
const HELD_AFTER: Duration = Duration::from_secs(1);

/// A commit whose rows are asked for.
#[derive(Clone, Copy)]
pub struct Asked {
    /// Its number.
    pub commit: u64,
    /// Its rows are of epochs up to this.
    pub epoch: Epoch,
    /// Its rows that were not handed over.
    pub owed: u64,
    /// The reading of the ledger that brought it.
    pub seen: u64,
}

/// The rows of a log, from all its partitions.
pub struct Merged {
    log: RowLog,
    partitions: Vec<Partition>,
    ends: Rc<Ends>,
    widths: Widths,
    /// Up to which reading of the ledger the ends hold: all commits seen by then lie before them.
    hold_for: Option<u64>,
    /// Up to which epoch rows are passed over, if any are.
    skip: Option<Epoch>,
    /// Ends all waiting when set.
    stop: Arc<AtomicBool>,
}

/// A partition, and the row that it shows.
struct Partition {
    records: Committed,
    head: Option<Head>,
    /// Whether records before its first one are gone.
    is_cut: bool,
    /// The epoch of its first row that is left.
    first: Option<Epoch>,
    /// The epoch of the row before.
    epoch: Epoch,
}

/// The next row of a partition.
struct Head {
    offset: u64,
    order: Order,
    /// What chooses its partition.
    chooses: Option<String>,
    row: Row,
}

impl Merged {
    /// The rows of `log`, whose partitions are `places`, from the offsets of `from`.
    ///
    /// # Errors
    ///
    /// When the topic cannot be read.
    pub fn open(
        log: RowLog,
        from: &BTreeMap<Place, u64>,
        (consumer, ends): (&Rc<Consumer>, &Rc<Ends>),
        stop: &Arc<AtomicBool>,
    ) -> Result<Merged, Failure> {
        let places: Vec<Place> = from.keys().cloned().collect();
        let lows = ends.lows(&places)?;
        let open = |(place, next): (&Place, &u64)| {
            let low = lows[place];
            let records = Committed::open(consumer, place.clone(), low.max(*next), low)?;
            Ok(Partition { records, head: None, is_cut: low > *next, first: None, epoch: 0 })
        };
        let partitions: Result<Vec<Partition>, Failure> = from.iter().map(open).collect();
        Ok(Merged {
            log,
            partitions: partitions?,
            ends: Rc::clone(ends),
            widths: Widths::new(
                log.name(),
                u32::try_from(places.len()).expect("partitions are few"),
            ),
            hold_for: None,
            skip: None,
            stop: Arc::clone(stop),
        })
    }

    /// Passes over rows up to `epoch`.
    pub fn skip(&mut self, epoch: Epoch) {
        self.skip = Some(epoch);
    }

    /// The next row of a commit; none if there is none, or if waiting was ended.
    ///
    /// # Errors
    ///
    /// When a partition cannot be read.
    pub fn next(&mut self, asked: &mut Asked) -> Result<Option<Row>, Failure> {
        loop {
            if !self.show_all(*asked)? {
                return Ok(None);
            }
            let Some(least) = self.least() else { return Ok(None) };
            let head = &mut self.partitions[least].head;
            let Some(head) = head.take_if(|head| head.order.epoch <= asked.epoch) else {
                return Ok(None);
            };
            if self.skip.is_none_or(|skip| head.order.epoch > skip) {
                asked.owed = asked.owed.saturating_sub(1);
                if let Some(chooses) = &head.chooses {
                    let partition = self.partitions[least].records.place().partition;
                    let Asked { commit, .. } = *asked;
                    self.widths.add(&Lying { commit, partition, offset: head.offset, chooses });
                }
                return Ok(Some(head.row));
            }
        }
    }

    /// Where the next row of each partition lies, or may lie.
    pub fn begins(&self) -> Vec<u64> {
        let begin = |partition: &Partition| match &partition.head {
            Some(head) => head.offset,
            None => partition.records.next_offset(),
        };
        self.partitions.iter().map(begin).collect()
    }

    /// Whether rows of epochs after `after` may have been deleted.
    pub fn is_cut_after(&self, after: Epoch) -> bool {
        let cut = |partition: &Partition| {
            partition.is_cut && partition.first.is_none_or(|first| after < first)
        };
        self.partitions.iter().any(cut)
    }

    /// The rows so far that lie in a partition where they do not belong, each in words.
    pub fn strays(&self) -> Vec<String> {
        self.widths.strays()
    }

    /// Where the first row lies that no commit up to the `seen`th reading of the ledger has.
    ///
    /// # Errors
    ///
    /// When a partition cannot be read.
    pub fn left(&mut self, seen: u64) -> Result<Option<(u32, u64)>, Failure> {
        self.show_all(Asked { commit: 0, epoch: 0, owed: 0, seen })?;
        let mut heads = self.partitions.iter().filter_map(|partition| {
            let number = partition.records.place().partition;
            partition.head.as_ref().map(|head| (number, head.offset))
        });
        Ok(heads.next())
    }

    /// The partition that shows the least row.
    fn least(&self) -> Option<usize> {
        let order = |at: usize| self.partitions[at].head.as_ref().map(|head| &head.order);
        let showing = (0..self.partitions.len()).filter(|at| order(*at).is_some());
        showing.min_by_key(|at| order(*at))
    }

    /// Lets each partition show its next row, if it has one of the commit; false if waiting was
    /// ended.
    fn show_all(&mut self, asked: Asked) -> Result<bool, Failure> {
        for at in 0..self.partitions.len() {
            while self.partitions[at].head.is_none() {
                if self.partitions[at].is_held()? && self.has_all(asked)? {
                    break;
                }
                match self.partitions[at].records.step()? {
                    Next::Record(record) => self.partitions[at].show(self.log, record),
                    Next::Wait if self.stop.load(Ordering::Relaxed) => return Ok(false),
                    Next::Wait => {}
                    Next::End if self.hold_for.is_none_or(|hold| hold < asked.seen) => {
                        self.ask_for_ends()?;
                        self.hold_for = Some(asked.seen);
                    }
                    Next::End => break,
                }
            }
        }
        Ok(true)
    }

    /// Whether the partitions have as many rows of the commit as it is owed.
    fn has_all(&mut self, asked: Asked) -> Result<bool, Failure> {
        let mut there = 0;
        for partition in &mut self.partitions {
            let is_its = |epoch: Option<Epoch>| epoch.is_none_or(|epoch| epoch <= asked.epoch);
            let head = partition.head.as_ref().map(|head| head.order.epoch);
            there += u64::from(head.is_some_and(|epoch| is_its(Some(epoch))));
            let ahead = partition.records.ahead(|record| is_its(epoch_of(&record.value)))?;
            there += ahead.take_while(|record| is_its(epoch_of(&record.value))).count() as u64;
        }
        Ok(there >= asked.owed)
    }

    fn ask_for_ends(&mut self) -> Result<(), Failure> {
        let places = self.partitions.iter().map(|partition| partition.records.place().clone());
        let ends = self.ends.ends(&places.collect::<Vec<_>>())?;
        for partition in &mut self.partitions {
            partition.records.extend(ends[partition.records.place()]);
        }
        Ok(())
    }
}

impl Partition {
    /// Whether an open transaction seems to keep it from its end.
    fn is_held(&mut self) -> Result<bool, Failure> {
        if self.records.stands_still() < HELD_AFTER {
            return Ok(false);
        }
        Ok(self.records.ahead(|_| true)?.next().is_none())
    }

    fn show(&mut self, log: RowLog, record: Taken) {
        let Taken { offset, key, value: mut line } = record;
        let placed = Placed::of(log, &line, self.epoch);
        let number = self.records.place().partition;
        let fault = match line.contains(&b'\n') {
            true => Some("it holds several lines".to_owned()),
            false => placed.fault(&key),
        };
        let misplaced = fault.map(|fault| format!("record {number}:{offset}: {fault}"));
        line.push(b'\n');
        let order = placed.order.clone();
        self.epoch = order.epoch;
        self.first.get_or_insert(self.epoch);
        let chooses = if misplaced.is_none() { placed.chooses() } else { None };
        self.head = Some(Head { offset, order, chooses, row: Row { line, misplaced } });
    }
}
