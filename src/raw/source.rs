//! A raw log as a source: segments of each partition in turn, then the topic that goes on.

use std::collections::BTreeMap;
use std::net::IpAddr;

use clicks_dataflows::decode;
use clicks_dataflows::ingest::{Beside, Record};
use clicks_dataflows::ledger::Name;
use clicks_dataflows::partition::Start;
use clicks_replay::raw::{Batch, Reading, Rows, Step, Wanted};

use crate::failure::Failure;
use crate::kafka::source::TopicSource;
use crate::raw::{RawLog, failed};
use crate::source::{Known, Piece, Poll, Polled, Source};

/// A raw log, and perhaps topics after it, as a source of one worker.
pub struct RawSource {
    log: RawLog,
    then: Option<TopicSource>,
    discovered: bool,
    open: BTreeMap<u32, Open>,
}

/// A partition that is read.
struct Open {
    name: Name,
    /// As the job began it.
    start: Start,
    /// What is read of the raw log; none once that has ended.
    part: Option<Part>,
    /// The next offset.
    next: u64,
    until: u64,
    /// The line that names the columns, until it was handed over.
    header: Option<String>,
}

/// The raw log's part of a partition.
struct Part {
    reading: Reading,
    rows: Option<Rows>,
    batch: Option<(Batch, usize)>,
}

impl RawSource {
    /// Reads `log`, and then its topics.
    pub fn new(log: RawLog) -> RawSource {
        let then = log.then.clone().map(TopicSource::new);
        RawSource { log, then, discovered: false, open: BTreeMap::new() }
    }
}

impl Source for RawSource {
    fn discover(&mut self) -> Result<Vec<Name>, Failure> {
        let mut names = match &mut self.then {
            Some(topics) => topics.discover()?,
            None => Vec::new(),
        };
        if !std::mem::replace(&mut self.discovered, true) {
            let missing = |name: &&Name| !names.contains(name);
            let kept: Vec<Name> = self.log.partitions.keys().filter(missing).cloned().collect();
            if let (Some(name), Some(_)) = (kept.first(), &self.then) {
                return Err(Failure::refused(format!(
                    "{} has {name}, which the topic has not: it was made again with fewer, or is \
                     another",
                    self.log.root(),
                )));
            }
            names.extend(kept);
            names.sort();
        }
        Ok(names)
    }

    fn first(&mut self, name: &Name) -> Result<u64, Failure> {
        match (self.log.partitions.get(name), &mut self.then) {
            (Some(kept), _) => Ok(kept.first()),
            (None, Some(topics)) => topics.first(name),
            (None, None) => Err(no_partition(&self.log, name)),
        }
    }

    fn check(&mut self, name: &Name, start: &Start) -> Result<(), Failure> {
        let Some(kept) = self.log.partitions.get(name) else {
            return match &mut self.then {
                Some(topics) => topics.check(name, start),
                None => Err(no_partition(&self.log, name)),
            };
        };
        let (root, first, end) = (self.log.root(), kept.first(), kept.end());
        if start.offset < first {
            return Err(Failure::refused(format!(
                "{name} in {root}: offset {} is needed, but {first} is the first that is there",
                start.offset,
            )));
        }
        match &mut self.then {
            Some(topics) => {
                let low = topics.first(name)?;
                let next = start.offset.max(end);
                if low > next {
                    return Err(Failure::refused(format!(
                        "{name}: {root} ends at offset {end}, and the topic begins at {low}: \
                         offsets {next} to {} are in neither, so clicks would be lost; bring them \
                         into the raw log from a copy, or keep records of the topic longer \
                         (retention.ms) than the archive may be behind",
                        low - 1,
                    )));
                }
                topics.check(name, &Start { offset: next, ..start.clone() })
            }
            None if start.committed > end => Err(Failure::refused(format!(
                "{name}: {root} ends at offset {end}, but the job has read up to {}: give it the \
                 topic too (--input), or archive on",
                start.committed,
            ))),
            None => Ok(()),
        }
    }

    fn open(&mut self, name: &Name, start: &Start) -> Result<(), Failure> {
        self.check(name, start)?;
        let kept = self.log.partitions.get(name).filter(|kept| start.offset < kept.end());
        let part = match kept {
            Some(kept) => {
                let (store, segments) = (&self.log.store, &kept.segments);
                let reading = Reading::new(store, segments, start.offset, Wanted::Clicks);
                let reading = reading.map_err(failed)?;
                Some(Part::new(reading))
            }
            None => {
                if let Some(topics) = &mut self.then {
                    topics.open(name, start)?;
                }
                None
            }
        };
        let header = kept.and_then(|kept| kept.last.header.clone());
        let open = Open {
            name: name.clone(),
            start: start.clone(),
            part,
            next: start.offset,
            until: self.log.ends.get(name).copied().unwrap_or(u64::MAX),
            header: header.filter(|_| self.log.decoder.needs_header()),
        };
        self.open.insert(start.partition, open);
        Ok(())
    }

    fn poll(
        &mut self,
        partition: u32,
        limit: usize,
        take: &mut dyn FnMut(Piece<'_>),
    ) -> Result<Polled, Failure> {
        let open = self.open.get_mut(&partition).expect("a polled partition is open");
        if let Some(header) = open.header.take() {
            take(Piece::Header(header.as_bytes()));
        }
        let Some(part) = &mut open.part else {
            return match &mut self.then {
                Some(topics) => topics.poll(partition, limit, take),
                None => Ok(Polled { next: open.next, poll: Poll::Finished }),
            };
        };
        let mut left = limit;
        while left > 0 && open.next < open.until {
            match part.rows(&self.log)? {
                Found::Row(batch, row) => {
                    let offset = batch.offset(row);
                    if offset >= open.until {
                        open.next = open.until;
                    } else if offset >= open.next {
                        hand_over(&self.log, (batch, row), take);
                        (open.next, left) = (offset + 1, left - 1);
                    }
                }
                Found::Waiting => return Ok(Polled { next: open.next, poll: Poll::More }),
                Found::End(end) => return open.go_on(end, self.then.as_mut()),
            }
        }
        let poll = if open.next >= open.until { Poll::Finished } else { Poll::More };
        Ok(Polled { next: open.next, poll })
    }
}

impl Open {
    /// Goes on where the raw log has ended.
    fn go_on(&mut self, end: u64, then: Option<&mut TopicSource>) -> Result<Polled, Failure> {
        self.part = None;
        self.next = end.max(self.next);
        let poll = match then {
            Some(topics) => {
                topics.open(&self.name, &Start { offset: self.next, ..self.start.clone() })?;
                Poll::More
            }
            None => Poll::Finished,
        };
        Ok(Polled { next: self.next, poll })
    }
}

/// What is next in a raw log.
enum Found<'a> {
    /// A row of a segment.
    Row(&'a Batch, usize),
    /// It is on its way.
    Waiting,
    /// Nothing; the next offset is this.
    End(u64),
}

impl Part {
    fn new(reading: Reading) -> Part {
        Part { reading, rows: None, batch: None }
    }

    /// The next row.
    fn rows(&mut self, log: &RawLog) -> Result<Found<'_>, Failure> {
        while self.batch.as_ref().is_none_or(|(batch, next)| *next == batch.len()) {
            if let Some(rows) = &mut self.rows {
                match rows.batch().map_err(failed)? {
                    Some(batch) => self.batch = Some((batch, 0)),
                    None => self.rows = None,
                }
                continue;
            }
            match self.reading.step().map_err(failed)? {
                Step::Rows(rows) => {
                    log.read.add(rows.bytes());
                    self.rows = Some(*rows);
                }
                Step::Waiting => return Ok(Found::Waiting),
                Step::End(end) => return Ok(Found::End(end)),
            }
        }
        let (batch, next) = self.batch.as_mut().expect("there is a row");
        *next += 1;
        Ok(Found::Row(batch, *next - 1))
    }
}

/// Hands over a row: the click that it is, or its bytes where the job decodes otherwise.
fn hand_over(log: &RawLog, (batch, row): (&Batch, usize), take: &mut dyn FnMut(Piece<'_>)) {
    let (offset, log_time) = (batch.offset(row), batch.log_time(row));
    let mapping = &batch.segment().facts.mapping;
    let as_we_do = mapping.input == log.input && log.decoder.identity_is_known();
    if as_we_do
        && let Some(values) = batch.click(row)
        && let Ok(ip) = values.ip.map(str::parse::<IpAddr>).transpose()
    {
        let click = log.decoder.click_of(&decode::Known {
            event_ms: values.time,
            ad: values.ad_id,
            user: values.user_id,
            ip,
            country: values.country,
            click_id: values.click_id,
            log_time: values.log_time,
        });
        let beside = Beside::default();
        let record = Record { offset, log_time, value: b"", bytes: 0, beside };
        let value = || {
            let mut value = Vec::new();
            batch.value(row, &mut value).unwrap_or_default().to_vec()
        };
        take(Piece::Click(Known { record, click: &click, value: &value }));
        return;
    }
    let mut value = Vec::new();
    let whole = batch.value(row, &mut value);
    let beside = Beside { null: whole.is_none(), ..Beside::default() };
    let value = whole.unwrap_or_default();
    let bytes = batch.bytes(row, value);
    take(Piece::Record(Record { offset, log_time, value, bytes, beside }));
}

fn no_partition(log: &RawLog, name: &Name) -> Failure {
    Failure::refused(format!("{} has nothing of {name}", log.root()))
}
