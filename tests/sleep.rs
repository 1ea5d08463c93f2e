//! Partitions that sleep, wake, end and appear: what was decided is recorded, and obeyed.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::laws::assert_told;
use crate::support::cases;
use crate::support::disk::ForgetfulDisk;
use crate::support::live::Arrivals;
use crate::support::oracle::{self, Telling};
use crate::support::run::{Committed, How, PLAIN, job, results, run_or_die};
use crate::support::script::Script;
use crate::support::scripts::scripts;
use clicks::past::Past;
use clicks::range::{Obeyed, Range};

/// When lines arrive, and when the disk dies.
#[derive(Clone, Debug)]
struct Life {
    /// Milliseconds between the lines of each partition, used in turn.
    pauses: Vec<Vec<u64>>,
    /// The clock's step at each look.
    step: u64,
    /// Steps after which the disk dies, one life each.
    deaths: Vec<u64>,
    workers: usize,
    /// How long the run goes on after the last line.
    after: u64,
}

fn lives() -> impl Strategy<Value = Life> {
    let pause = prop_oneof![
        6 => 0u64..300,
        3 => 300u64..3000,
        1 => 3000u64..200_000,
    ];
    (
        vec(vec(pause, 1..12), 4),
        prop_oneof![Just(20u64), Just(100), Just(700)],
        vec(1u64..120, 0..4),
        1usize..=3,
        prop_oneof![Just(0u64), Just(5_000), Just(200_000)],
    )
        .prop_map(|(pauses, step, deaths, workers, after)| Life {
            pauses,
            step,
            deaths,
            workers,
            after,
        })
}

/// Lives through `script`, dying and starting again.
fn live(script: &Script, life: &Life) -> (Committed, ForgetfulDisk) {
    let times = arrivals(script, life);
    let last = times.iter().flatten().max().copied().unwrap_or(0);
    let arrivals = Arrivals::live(script, times, life.step, last + life.after);
    let disk = ForgetfulDisk::default();
    let how = How { workers: life.workers, batch: 5, ..PLAIN };
    for death in &life.deaths {
        disk.kill_at(*death);
        run_or_die(job(script, &disk, &arrivals, how), &disk);
        disk.restart(3);
    }
    run_or_die(job(script, &disk, &arrivals, how), &disk).unwrap();
    (Committed::read(&disk), disk)
}

fn arrivals(script: &Script, life: &Life) -> Vec<Vec<u64>> {
    let times = |(lines, pauses): (usize, &Vec<u64>)| {
        let mut now = 0;
        let pauses = pauses.iter().cycle().take(lines);
        pauses
            .map(|pause| {
                now += pause;
                now
            })
            .collect()
    };
    let lines = script.partitions.iter().map(Vec::len);
    lines.zip(life.pauses.iter().cycle()).map(times).collect()
}

/// What the job of `lived` has committed of `script`, its partitions in the order in which it met
/// them. What comes later has later epochs, by the floor of the last commit.
fn as_met(script: &Script, lived: &Committed) -> Script {
    let positions = lived.ledger.iter().flat_map(|commit| &commit.positions);
    let met: BTreeMap<u32, (usize, usize)> = positions
        .map(|position| {
            let at = position.file.as_ref().unwrap()[1..].parse().unwrap();
            (position.partition, (at, usize::try_from(position.offset).unwrap()))
        })
        .collect();
    let partitions = met.values().map(|(at, end)| script.partitions[*at][..*end].to_vec());
    Script::of(script.settings.clone(), partitions.collect())
}

/// What the script tells under the marks of `lived`, up to its last commit.
fn assert_lived(script: &Script, lived: &Committed) {
    let Some(last) = lived.ledger.last() else { return };
    let script = &as_met(script, lived);
    let telling = Telling { marks: lived.marks(), floor: last.epoch.0, ..Telling::default() };
    assert_told(lived, &oracle::tell_as(script, &telling));
}

/// Replays the whole script under the marks of the job on `disk`.
fn replay(script: &Script, disk: &ForgetfulDisk, workers: usize) -> Committed {
    let arrivals = Arrivals::complete(script);
    let own = ForgetfulDisk::default();
    let mut replay = job(script, &own, &arrivals, How { workers, ..PLAIN });
    let past = Past::read(&results(disk), &replay.options).unwrap().unwrap();
    let clocks = Default::default();
    replay.range = Range { obeyed: Some(Obeyed { past, clocks }), ..Range::default() };
    run_or_die(replay, &own).unwrap();
    Committed::read(&own)
}

/// The rows of `rows` up to the epoch of the last commit of `lived`.
fn upto<'a>(rows: &'a [String], epoch: &str) -> Vec<&'a String> {
    let told = |row: &&String| {
        let row: serde_json::Value = serde_json::from_str(row).unwrap();
        let ms = |text: &str| text.parse::<clicks_dataflows::time::Time>().unwrap();
        ms(row["epoch"].as_str().unwrap()) <= ms(epoch)
    };
    rows.iter().filter(told).collect()
}

proptest! {
    #![proptest_config(cases(128))]

    #[test]
    fn what_was_lived_is_what_its_marks_tell(script in scripts(), life in lives()) {
        let (lived, _) = live(&script, &life);
        assert_lived(&script, &lived);
    }

    #[test]
    fn replay_equals_live(script in scripts(), life in lives(), workers in 1usize..=2) {
        let (lived, disk) = live(&script, &life);
        if let Some(last) = lived.ledger.last() {
            let epoch = last.epoch.to_string();
            let again = replay(&script, &disk, workers);
            prop_assert_eq!(lived.counts.iter().collect::<Vec<_>>(), upto(&again.counts, &epoch));
            prop_assert_eq!(lived.ranks.iter().collect::<Vec<_>>(), upto(&again.ranks, &epoch));
            prop_assert_eq!(
                lived.rejects.iter().collect::<Vec<_>>(),
                upto(&again.rejects, &epoch)
            );
        }
    }
}

/// A click that comes to a partition that slept, of a minute that had settled, is a correction.
#[test]
fn a_sleeper_that_wakes_with_older_clicks_corrects() {
    let script = Script::with_lateness(15)
        .click(1, "12:00:10")
        .click(1, "12:00:11")
        .click(1, "12:02:00")
        .click(1, "12:02:30")
        .partition(1)
        .click(2, "12:00:20")
        .click(2, "12:00:21");
    let life = Life {
        pauses: vec![vec![10, 10, 10, 10], vec![10_000, 10]],
        step: 50,
        deaths: vec![],
        workers: 1,
        after: 300_000,
    };
    let (lived, _) = live(&script, &life);
    assert_eq!(
        lived.told(),
        [
            "12:01:15 final ad001 at 12:00: 2",
            "12:03:00 correction ad002 at 12:00: 2",
            "12:03:15 final ad001 at 12:02: 2",
        ],
    );
    assert_eq!(lived.marks().len(), 1);
    assert_lived(&script, &lived);
}

/// A partition without any record holds nobody.
#[test]
fn an_empty_partition_is_left_out() {
    let script = Script::with_lateness(15).click(1, "12:00:10").click(1, "12:00:12").partition(1);
    let life =
        Life { pauses: vec![vec![10]], step: 50, deaths: vec![], workers: 2, after: 5_000_000 };
    let (lived, _) = live(&script, &life);
    assert_eq!(lived.told(), ["12:01:15 final ad001 at 12:00: 2"]);
}
