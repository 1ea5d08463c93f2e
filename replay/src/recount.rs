//! The recount: what a job must have told up to its last commit, found by sorting.
//!
//! ```text
//! records ─▶ decode, clock, marks ─┬─▶ accepted ─▶ sort by identity ─▶ firsts ─▶ sort by cell ─▶ counts
//!                                  └─▶ rejects
//! ```
//!
//! It holds the whole input in memory: 48 bytes a click, twice that while a vector grows, each ad
//! once, and 40 bytes a cell at the end. What a sleeping partition brought is judged last, as the
//! clocks of the others decide over it.

use std::collections::BTreeMap;
use std::mem;

use clicks_dataflows::click::{AdId, Click, Coordinates, Reason};
use clicks_dataflows::clock::Clock;
use clicks_dataflows::decode::{Decoder, SchemaError};
use clicks_dataflows::filter::FilterId;
use clicks_dataflows::ingest::Record;
use clicks_dataflows::ledger::Totals;
use clicks_dataflows::options::Options;
use clicks_dataflows::time::{Epoch, Millis, Minute};

use crate::numbers::Numbers;

/// What a job must have told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recount {
    /// Clicks of each ad, minute and filter as told, sorted.
    pub counts: Vec<(AdId, Minute, FilterId, u64)>,
    /// Totals over all records.
    pub totals: Totals,
    /// Records that do not count, by partition and offset.
    pub rejects: Vec<(u32, u64, Reason)>,
    /// Records whose epoch is after the last that was told; they are in nothing else.
    pub beyond: Vec<Coordinates>,
    /// Marks that raise the epoch of no record.
    pub idle_marks: Vec<Coordinates>,
}

/// Where a partition begins, and what was decided of it.
#[derive(Clone, Debug, Default)]
pub struct Begin {
    /// The partition's number.
    pub partition: u32,
    /// Its clock before its first record.
    pub clock: Clock,
    /// Its marks: offset and clock.
    pub marks: BTreeMap<u64, Millis>,
}

/// A recount that takes records.
pub struct Recounting {
    options: Options,
    decoder: Decoder,
    /// All that was told was told up to it.
    epoch: Epoch,
    /// Clicks with an identity.
    identified: Vec<Seen>,
    /// Clicks of their own.
    own: Vec<Seen>,
    /// Clicks that a mark lifts beyond their partition's clock, with whether they are of their own.
    lifted: Vec<(Seen, bool)>,
    names: Numbers<AdId>,
    filters: Numbers<Vec<FilterId>>,
    /// Clocks of all partitions, each at the end of an epoch.
    clocks: Vec<(Epoch, Millis)>,
    recount: Recount,
}

/// A click, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    identity: u128,
    epoch: Epoch,
    partition: u32,
    offset: u64,
    minute: u32,
    ad: u32,
    filters: u32,
}

/// A partition of which records are taken.
pub struct Reading<'a> {
    of: &'a mut Recounting,
    decoder: Decoder,
    begin: Begin,
    lift: Millis,
    /// The epoch of the record before.
    epoch: Epoch,
}

impl Recounting {
    /// A recount of what was told up to `epoch`.
    pub fn new(options: Options, decoder: Decoder, epoch: Epoch) -> Recounting {
        Recounting {
            options,
            decoder,
            epoch,
            identified: Vec::new(),
            own: Vec::new(),
            lifted: Vec::new(),
            names: Numbers::default(),
            filters: Numbers::default(),
            clocks: Vec::new(),
            recount: Recount::default(),
        }
    }

    /// Begins a partition; its records up to its position in the last commit follow, in order.
    pub fn open(&mut self, begin: Begin) -> Reading<'_> {
        let decoder = self.decoder.clone();
        Reading { of: self, decoder, begin, lift: 0, epoch: 0 }
    }

    /// Counts what was taken.
    ///
    /// A replay from a time does not state it in its ledger, but how many clicks it `skipped` for
    /// being earlier: those of the first minutes.
    pub fn finish(mut self, skipped: u64) -> Recount {
        self.judge_lifted();
        let from = self.first_told(skipped);
        let mut identified = mem::take(&mut self.identified);
        identified.sort_unstable();
        let accepted = identified.len() + self.own.len();
        let early = |seen: &Seen| Minute(seen.minute) < from;
        let skipped = identified.iter().chain(&self.own).filter(|seen| early(seen)).count();
        identified.dedup_by_key(|seen| seen.identity);
        identified.append(&mut self.own);
        identified.retain(|seen| !early(seen));
        let late = |seen: &&Seen| seen.epoch > self.options.settle(Minute(seen.minute));

        let totals = &mut self.recount.totals;
        totals.skipped = skipped as u64;
        totals.clicks = identified.len() as u64;
        totals.duplicates = (accepted - skipped - identified.len()) as u64;
        totals.late = identified.iter().filter(late).count() as u64;
        totals.rejected = self.recount.rejects.len() as u64;
        self.recount.rejects.sort_unstable();
        self.recount.beyond.sort_unstable();
        self.recount.idle_marks.sort_unstable();
        self.recount.counts = self.count(identified);
        self.recount
    }

    /// Refuses lifted clicks whose minute the clocks of earlier epochs have left behind.
    fn judge_lifted(&mut self) {
        self.clocks.sort_unstable();
        let mut greatest = 0;
        for (_, clock) in &mut self.clocks {
            greatest = greatest.max(*clock);
            *clock = greatest;
        }
        for (seen, own) in mem::take(&mut self.lifted) {
            let before = self.clocks.partition_point(|(epoch, _)| *epoch < seen.epoch);
            let clock = before.checked_sub(1).map_or(0, |at| self.clocks[at].1);
            if Minute(seen.minute).end().saturating_add(self.options.horizon_ms) <= clock {
                self.recount.rejects.push((seen.partition, seen.offset, Reason::TooLate));
            } else if own {
                self.own.push(seen);
            } else {
                self.identified.push(seen);
            }
        }
    }

    /// The first minute that is told, if so many clicks come before it.
    fn first_told(&self, skipped: u64) -> Minute {
        let Some(last_skipped) = usize::try_from(skipped).ok().and_then(|n| n.checked_sub(1))
        else {
            return Minute(0);
        };
        let accepted = self.identified.iter().chain(&self.own);
        let mut minutes: Vec<u32> = accepted.map(|seen| seen.minute).collect();
        minutes.sort_unstable();
        let last = minutes.get(last_skipped).or(minutes.last());
        last.map_or(Minute(0), |minute| Minute(*minute).plus(1))
    }

    /// The clicks of each cell that were told, sorted.
    fn count(&self, firsts: Vec<Seen>) -> Vec<(AdId, Minute, FilterId, u64)> {
        let told =
            |seen: &Seen| self.options.told_at(seen.epoch, Minute(seen.minute)) <= self.epoch;
        let ranks = self.names.ranks();
        let cell = |seen: Seen| (ranks[seen.ad as usize], seen.minute, seen.filters);
        let mut cells: Vec<_> = firsts.into_iter().filter(told).map(cell).collect();
        cells.sort_unstable();
        let filters: Vec<&Vec<FilterId>> = self.filters.by_number();
        let mut counts = Vec::new();
        for same in cells.chunk_by(|one, other| one == other) {
            let (ad, minute, set) = same[0];
            let clicks = same.len() as u64;
            counts.extend(filters[set as usize].iter().map(|filter| (ad, minute, *filter, clicks)));
        }
        counts.sort_unstable();
        let ads: Vec<&AdId> = self.names.sorted().collect();
        let cells =
            counts.chunk_by(|one, other| (one.0, one.1, one.2) == (other.0, other.1, other.2));
        cells
            .map(|same| {
                let (ad, minute, filter, _) = same[0];
                let clicks = same.iter().map(|(_, _, _, clicks)| clicks).sum();
                (ads[ad as usize].clone(), Minute(minute), filter, clicks)
            })
            .collect()
    }
}

impl Reading<'_> {
    /// Takes the line that names the columns.
    ///
    /// # Errors
    ///
    /// When no row under it can be a click.
    pub fn header(&mut self, line: &[u8]) -> Result<(), SchemaError> {
        self.decoder = self.decoder.with_header(line)?;
        Ok(())
    }

    /// Takes the next record.
    pub fn record(&mut self, record: &Record<'_>) {
        let at = Coordinates { partition: self.begin.partition, offset: record.offset };
        let options = &self.of.options;
        let (decoder, clock) = (&self.decoder, &mut self.begin.clock);
        let found = decoder.decode(record.value).and_then(|decoded| {
            let log_time = decoded.log_time.or(record.log_time);
            clock.judge(decoded.click.event_ms, log_time, options)?;
            Ok(decoded.click)
        });
        let own = options.epoch(clock.clock);
        let unmarked = options.epoch(clock.clock.max(self.lift));
        if let Some(mark) = self.begin.marks.remove(&record.offset) {
            self.lift = self.lift.max(mark);
            if options.epoch(self.lift) <= unmarked {
                self.of.recount.idle_marks.push(at);
            }
        }
        let epoch = options.epoch(clock.clock.max(self.lift));
        if epoch > self.of.epoch {
            self.of.recount.beyond.push(at);
            return;
        }
        let clock = clock.clock;
        self.of.note_clock(epoch, clock, epoch == mem::replace(&mut self.epoch, epoch));
        self.of.recount.totals.records += 1;
        match found {
            Ok(click) => self.of.take(at, &click, epoch, epoch > own),
            Err(refusal) => {
                self.of.recount.rejects.push((at.partition, at.offset, refusal.reason));
            }
        }
    }

    /// The partition's own clock after its last record.
    pub fn close(self) -> Clock {
        let partition = self.begin.partition;
        let idle = self.begin.marks.keys().map(|offset| Coordinates { partition, offset: *offset });
        self.of.recount.idle_marks.extend(idle);
        self.begin.clock
    }
}

impl Recounting {
    /// Takes note of a partition's clock after a record; `same` says that its last was of the epoch.
    fn note_clock(&mut self, epoch: Epoch, clock: Millis, same: bool) {
        match self.clocks.last_mut() {
            Some(last) if same => last.1 = clock,
            _ => self.clocks.push((epoch, clock)),
        }
    }

    fn take(&mut self, at: Coordinates, click: &Click, epoch: Epoch, lifted: bool) {
        let seen = Seen {
            identity: click.identity.unwrap_or_default(),
            epoch,
            partition: at.partition,
            offset: at.offset,
            minute: click.minute().0,
            ad: self.names.number(&click.ad),
            filters: self.filters.number(&self.options.filters.matching(click).collect()),
        };
        match click.identity {
            own if lifted => self.lifted.push((seen, own.is_none())),
            None => self.own.push(seen),
            Some(_) => self.identified.push(seen),
        }
    }
}

#[cfg(test)]
mod tests {
    use clicks_dataflows::decode::Schema;
    use clicks_dataflows::filter::{Filter, Filters, Predicates};
    use clicks_dataflows::options::Emit;
    use clicks_dataflows::time::Time;

    use super::*;

    fn options() -> Options {
        let where_ = Predicates { country: vec!["USA".to_owned()], ..Predicates::default() };
        let filter = Filter { id: 7, where_, ..Filter::default() };
        Options {
            refresh_ms: 1000,
            lateness_ms: 15_000,
            horizon_ms: 600_000,
            ahead_max_ms: 3_600_000,
            jump_max_ms: 3_600_000,
            correct_every_ms: 60_000,
            emit: Emit::Final,
            filters: Filters::new(vec![filter]).unwrap(),
            windows: vec![1],
            top: 10,
            from: Minute(0),
        }
    }

    fn ms(time: &str) -> Millis {
        format!("2026-01-01T{time}Z").parse::<Time>().unwrap().0
    }

    /// Begins a partition at 11:50 and takes `AD TIME COUNTRY ID` of each line, or whatever it is.
    fn read(recounting: &mut Recounting, partition: u32, marks: &[(u64, &str)], lines: &[&str]) {
        let marks = marks.iter().map(|(offset, clock)| (*offset, ms(clock))).collect();
        let clock = Clock { clock: ms("11:50:00"), jump: None };
        let mut reading = recounting.open(Begin { partition, clock, marks });
        for (line, offset) in lines.iter().zip(0..) {
            let json = match line.split(' ').collect::<Vec<_>>()[..] {
                [ad, time, country, id] => format!(
                    r#"{{"ad_id":"{ad}","click_timestamp":{},"country":"{country}","click_id":"{id}"}}"#,
                    ms(time)
                ),
                _ => (*line).to_owned(),
            };
            let value = json.as_bytes();
            let bytes = value.len() as u64;
            reading.record(&Record { offset, log_time: None, value, bytes });
        }
        reading.close();
    }

    fn recounting(epoch: &str) -> Recounting {
        Recounting::new(options(), Decoder::new(&Schema::default()).unwrap(), ms(epoch))
    }

    fn shown(recount: &Recount) -> Vec<String> {
        let counts = recount.counts.iter();
        counts
            .map(|(ad, minute, filter, clicks)| {
                let minute = minute.to_string().replace("2026-01-01T", "");
                format!("{ad} {minute} {filter}: {clicks}")
            })
            .collect()
    }

    #[test]
    fn first_copies_are_counted_by_ad_minute_and_filter() {
        let mut recounting = recounting("12:03:00");
        read(&mut recounting, 0, &[], &["b 12:00:20 USA 1", "a 12:00:50 CAN 2", "no click"]);
        read(&mut recounting, 1, &[], &["b 12:00:20 USA 1", "b 12:01:10 USA 3", "b 12:00:58 - 4"]);
        let recount = recounting.finish(0);
        assert_eq!(
            shown(&recount),
            [
                "a 12:00:00Z 0: 1",
                "b 12:00:00Z 0: 2",
                "b 12:00:00Z 7: 1",
                "b 12:01:00Z 0: 1",
                "b 12:01:00Z 7: 1"
            ],
        );
        let totals =
            Totals { records: 6, clicks: 4, duplicates: 1, rejected: 1, skipped: 0, late: 0 };
        assert_eq!(recount.totals, totals);
        assert_eq!(recount.rejects, [(0, 2, Reason::Malformed)]);
    }

    #[test]
    fn what_is_told_after_the_epoch_is_in_the_totals_alone() {
        let lines = ["a 12:00:20 - 1", "a 12:01:20 - 2", "a 12:00:59 - 3", "a 12:01:59 - 4"];
        let mut early = recounting("12:01:21");
        read(&mut early, 0, &[], &lines);
        let early = early.finish(0);
        assert_eq!(shown(&early), ["a 12:00:00Z 0: 1"]);
        assert_eq!((early.totals.records, early.totals.clicks, early.totals.late), (3, 3, 1));
        assert_eq!(early.beyond, [Coordinates { partition: 0, offset: 3 }]);

        let mut later = recounting("12:02:00");
        read(&mut later, 0, &[], &lines);
        assert_eq!(shown(&later.finish(0)), ["a 12:00:00Z 0: 2"]);
    }

    #[test]
    fn a_lifted_click_is_judged_by_the_clocks_of_the_others() {
        let mut recounting = recounting("13:00:00");
        let others = ["a 12:20:00 - 1"];
        let sleepy = ["b 12:00:00 - 2", "b 12:09:00 - 3", "b 12:10:00 - 4"];
        read(&mut recounting, 0, &[], &others);
        read(&mut recounting, 1, &[(1, "12:20:05"), (2, "12:20:01")], &sleepy);
        let recount = recounting.finish(0);
        assert_eq!(recount.rejects, [(1, 1, Reason::TooLate)]);
        assert_eq!(recount.idle_marks, [Coordinates { partition: 1, offset: 2 }]);
        assert_eq!(shown(&recount), ["a 12:20:00Z 0: 1", "b 12:00:00Z 0: 1", "b 12:10:00Z 0: 1"]);
        assert_eq!(recount.totals.late, 1);
    }

    #[test]
    fn skipped_clicks_are_those_of_the_first_minutes() {
        let mut recounting = recounting("13:00:00");
        let lines = ["a 12:00:20 - 1", "a 12:00:20 - 1", "a 12:01:20 - 2", "a 12:02:20 - 3"];
        read(&mut recounting, 0, &[], &lines);
        let recount = recounting.finish(3);
        assert_eq!(shown(&recount), ["a 12:02:00Z 0: 1"]);
        assert_eq!((recount.totals.skipped, recount.totals.duplicates), (3, 0));
    }
}
