//! Small inputs, recounted.

use clicks_dataflows::clock::Clock;
use clicks_dataflows::decode::Schema;
use clicks_dataflows::filter::{Filter, Filters, Predicates};
use clicks_dataflows::ingest::{Beside, Record};
use clicks_dataflows::options::{Copies, Emit, Engine};
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
        copies: Copies::default(),
        filters: Filters::new(vec![filter]).unwrap(),
        windows: vec![1],
        top: 10,
        from: Minute(0),
        engine: Engine::default(),
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
        let record = Record { offset, log_time: None, value, bytes, beside: Beside::default() };
        reading.record(&record).unwrap();
    }
    reading.close();
}

fn recounting(epoch: &str) -> Recounting {
    Recounting::new(
        options(),
        Decoder::new(&Schema::default()).unwrap(),
        ms(epoch),
        Room::default(),
    )
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
    let recount = recounting.finish().unwrap();
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
    let totals = Totals { records: 6, clicks: 4, duplicates: 1, rejected: 1, skipped: 0, late: 0 };
    assert_eq!(recount.totals, totals);
    assert_eq!(recount.rejects, [(0, 2, Reason::Malformed)]);
}

#[test]
fn what_is_told_after_the_epoch_is_in_the_totals_alone() {
    let lines = ["a 12:00:20 - 1", "a 12:01:20 - 2", "a 12:00:59 - 3", "a 12:01:59 - 4"];
    let mut early = recounting("12:01:21");
    read(&mut early, 0, &[], &lines);
    let early = early.finish().unwrap();
    assert_eq!(shown(&early), ["a 12:00:00Z 0: 1"]);
    assert_eq!((early.totals.records, early.totals.clicks, early.totals.late), (3, 3, 1));
    assert_eq!(early.beyond, [Coordinates { partition: 0, offset: 3 }]);

    let mut later = recounting("12:02:00");
    read(&mut later, 0, &[], &lines);
    assert_eq!(shown(&later.finish().unwrap()), ["a 12:00:00Z 0: 2"]);
}

#[test]
fn a_lifted_click_is_judged_by_the_clocks_of_the_others() {
    let mut recounting = recounting("13:00:00");
    let others = ["a 12:20:00 - 1"];
    let sleepy = ["b 12:00:00 - 2", "b 12:09:00 - 3", "b 12:10:00 - 4"];
    read(&mut recounting, 0, &[], &others);
    read(&mut recounting, 1, &[(1, "12:20:05"), (2, "12:20:01")], &sleepy);
    let recount = recounting.finish().unwrap();
    assert_eq!(recount.rejects, [(1, 1, Reason::TooLate)]);
    assert_eq!(recount.idle_marks, [Coordinates { partition: 1, offset: 2 }]);
    assert_eq!(shown(&recount), ["a 12:20:00Z 0: 1", "b 12:00:00Z 0: 1", "b 12:10:00Z 0: 1"]);
    assert_eq!(recount.totals.late, 1);
}

#[test]
fn clicks_of_minutes_before_the_first_that_is_told_are_skipped() {
    let mut recounting = recounting("13:00:00");
    recounting.options.from = Minute::of(ms("12:02:00"));
    let lines = ["a 12:00:20 - 1", "a 12:00:20 - 1", "a 12:01:20 - 2", "a 12:02:20 - 3"];
    read(&mut recounting, 0, &[], &lines);
    let recount = recounting.finish().unwrap();
    assert_eq!(shown(&recount), ["a 12:02:00Z 0: 1"]);
    assert_eq!((recount.totals.skipped, recount.totals.duplicates), (3, 0));
}

#[test]
fn rejects_come_by_partition_and_offset() {
    let mut recounting = recounting("13:00:00");
    let late = "a 11:30:00 - 1";
    read(&mut recounting, 0, &[], &["a 12:00:00 - 1", late, "no click", late]);
    read(&mut recounting, 1, &[], &["no click"]);
    let found = recounting.finish().unwrap().rejects;
    let (late, malformed) = (Reason::TooLate, Reason::Malformed);
    assert_eq!(found, [(0, 1, late), (0, 2, malformed), (0, 3, late), (1, 0, malformed)]);
}
