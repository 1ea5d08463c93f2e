//! Writes the records of a plan, at once or in real time.
//!
//! Where they go is an outlet: a directory, or a topic. The truth is about what was written, also
//! when writing was stopped.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clicks_dataflows::time::Millis;

use super::Plan;
use super::clicks::{Generator, Made};
use super::truth::{Tally, Truth};
use crate::failure::Failure;

/// Records between two looks at the clock and at `stop`.
const BATCH: usize = 4096;

/// Between two flushes in real time, at least and at most.
const NAP_MS: (Millis, Millis) = (5, 50);

/// A log of as many partitions as the plan has: a directory, or a topic.
pub trait Outlet {
    /// Takes a record, after all earlier ones of its partition.
    ///
    /// # Errors
    ///
    /// When this one or an earlier one cannot be written.
    fn take(&mut self, made: &Made) -> Result<(), Failure>;

    /// Lets readers have, soon, what was taken; is called between naps.
    ///
    /// # Errors
    ///
    /// When something that was taken cannot be written.
    fn flush(&mut self) -> Result<(), Failure>;

    /// Returns once readers have all that was taken.
    ///
    /// # Errors
    ///
    /// When something that was taken cannot be written.
    fn finish(&mut self) -> Result<(), Failure>;
}

/// How to write.
pub struct Writing<'a> {
    /// Writes each record when it arrives by this clock; without one, all at once.
    pub pace: Option<Pace<'a>>,
    /// Once true, writing ends.
    pub stop: &'a AtomicBool,
    /// Is told from time to time how far it is; in real time, at least every 50 ms.
    pub on_progress: &'a mut dyn FnMut(Progress),
}

/// A clock and how to wait by it.
#[derive(Clone, Copy)]
pub struct Pace<'a> {
    /// The time now.
    pub now_ms: &'a dyn Fn() -> Millis,
    /// Waits for so long.
    pub sleep: &'a dyn Fn(Duration),
}

/// How far writing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Records written.
    pub records: u64,
    /// Distinct clicks among them; `plan.clicks` at the end.
    pub clicks: u64,
}

/// Writes the records of `plan`, which has been checked, and tells what they were.
///
/// With a pace, `plan.start_ms` is best the time now; `plan.per_second` is the rate. Blocks until
/// all is written, or `stop` is true.
///
/// # Errors
///
/// Those of the outlet. What was written stays.
pub fn write(plan: &Plan, outlet: &mut dyn Outlet, writing: Writing<'_>) -> Result<Truth, Failure> {
    let mut tally = Tally::new(plan);
    let mut records = Generator::new(plan.clone()).peekable();

    while !writing.stop.load(Ordering::Relaxed) {
        let now = writing.pace.map_or(Millis::MAX, |pace| (pace.now_ms)());
        for _ in 0..BATCH {
            let Some(made) = records.next_if(|made| made.arrival_ms <= now) else { break };
            tally.add(&made);
            outlet.take(&made)?;
        }
        if writing.pace.is_some() {
            outlet.flush()?;
        }
        let Truth { records: written, clicks, .. } = *tally.so_far();
        (writing.on_progress)(Progress { records: written, clicks });

        let Some(next) = records.peek() else { break };
        let wait = next.arrival_ms.saturating_sub(now);
        if let Some(pace) = writing.pace.filter(|_| wait > 0) {
            (pace.sleep)(Duration::from_millis(wait.clamp(NAP_MS.0, NAP_MS.1)));
        }
    }

    outlet.finish()?;
    Ok(tally.finish())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;
    use std::path::Path;

    use clicks_dataflows::time::Time;
    use serde_json::Value;

    use super::super::files::Files;
    use super::super::tests::plan;
    use super::*;

    fn write_all(plan: &Plan, dir: &Path) -> Result<Truth, Failure> {
        let stop = AtomicBool::new(false);
        let mut files = Files::create(dir, plan.partitions)?;
        write(plan, &mut files, Writing { pace: None, stop: &stop, on_progress: &mut |_| {} })
    }

    fn lines(dir: &Path, partitions: usize) -> Vec<Vec<Vec<u8>>> {
        let read = |number| fs::read(dir.join(format!("clicks-{number}.jsonl"))).unwrap();
        let split = |bytes: Vec<u8>| {
            bytes.strip_suffix(b"\n").unwrap().split(|byte| *byte == b'\n').map(Vec::from).collect()
        };
        (0..partitions).map(read).map(split).collect()
    }

    #[test]
    fn the_truth_equals_a_recount_of_the_lines() {
        let dir = tempfile::tempdir().unwrap();
        let truth = write_all(&plan(), dir.path()).unwrap();
        let partitions = lines(dir.path(), 4);
        let counts: Vec<u64> = partitions.iter().map(|lines| lines.len() as u64).collect();
        let clicks: Vec<Value> =
            partitions.iter().flatten().filter_map(|line| click(line)).collect();
        let distinct: BTreeSet<String> = clicks.iter().map(Value::to_string).collect();
        let malformed = counts.iter().sum::<u64>() - clicks.len() as u64;
        assert_eq!(truth.partitions, counts);
        assert_eq!(truth.records, counts.iter().sum::<u64>());
        assert_eq!((truth.clicks, truth.clicks), (distinct.len() as u64, 100_000));
        assert_eq!(truth.duplicates, (clicks.len() - distinct.len()) as u64);
        assert_eq!(truth.malformed.values().sum::<u64>(), malformed);
        assert_eq!(truth.rejected.values().sum::<u64>(), malformed);

        let distinct: Vec<Value> =
            distinct.iter().map(|click| serde_json::from_str(click).unwrap()).collect();
        let time = |click: &Value| click["click_timestamp"].as_str().unwrap().parse().unwrap();
        assert_eq!(truth.first_event, distinct.iter().map(time).min());
        assert_eq!(truth.last_event, distinct.iter().map(time).max());
        let (mut minutes, mut ads) = (BTreeMap::new(), BTreeMap::new());
        for click in &distinct {
            *minutes.entry(Time(time(click).0 / 60_000 * 60_000)).or_insert(0) += 1;
            *ads.entry(click["ad_id"].as_str().unwrap()).or_insert(0_u64) += 1;
        }
        assert_eq!(truth.minutes, minutes);
        let mut ads: Vec<(&str, u64)> = ads.into_iter().collect();
        ads.sort_by_key(|(_, clicks)| std::cmp::Reverse(*clicks));
        let top = truth.top.iter().map(|ad| (ad.ad_id.as_str(), ad.clicks));
        assert_eq!(top.collect::<Vec<_>>(), ads[..100]);
    }

    /// The line's object, if it is a click.
    fn click(line: &[u8]) -> Option<Value> {
        let value: Value = serde_json::from_slice(line).ok()?;
        value["click_timestamp"].as_str()?.parse::<Time>().ok()?;
        value["ad_id"].is_string().then_some(value)
    }

    #[test]
    fn in_real_time_a_record_is_in_its_file_when_it_arrives() {
        let dir = tempfile::tempdir().unwrap();
        let plan = Plan { clicks: 200, per_second: 100.0, ..plan() };
        let (stop, now) = (AtomicBool::new(false), Cell::new(plan.start_ms));
        let sleep = |nap: Duration| {
            assert!(nap.as_millis() <= 50);
            let arrived = 1 + (now.get() - plan.start_ms) / 10;
            assert_eq!(lines_in(dir.path()), arrived);
            stop.store(arrived == 150, Ordering::Relaxed);
            now.set(now.get() + u64::try_from(nap.as_millis()).unwrap());
        };
        let pace = Pace { now_ms: &|| now.get(), sleep: &sleep };
        let writing = Writing { pace: Some(pace), stop: &stop, on_progress: &mut |_| {} };
        let mut files = Files::create(dir.path(), 4).unwrap();
        let truth = write(&plan, &mut files, writing).unwrap();
        assert_eq!(truth.records, 150);
        assert_eq!(lines_in(dir.path()), 150);
    }

    fn lines_in(dir: &Path) -> u64 {
        let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        let partitions = files.filter(|path| path.extension().unwrap() == "jsonl");
        let count = |path| fs::read(path).unwrap().iter().filter(|byte| **byte == b'\n').count();
        partitions.map(count).sum::<usize>() as u64
    }
}
