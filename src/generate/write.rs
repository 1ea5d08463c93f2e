//! Writes the records of a plan as a directory of partitions, at once or in real time.
//!
//! Lines go to a file whole, so that a follower never reads half of one. The truth is written last,
//! beside the partitions, and is about what was written, also when writing was stopped.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clicks_dataflows::time::Millis;

use super::Plan;
use super::clicks::Generator;
use super::truth::{Tally, Truth};

/// The name of the truth, outside of the partitions.
pub const TRUTH: &str = "truth.json";

/// A partition's lines are written once they are so many bytes.
const BUFFER_BYTES: usize = 64 * 1024;

/// Records between two looks at the clock and at `stop`.
const BATCH: usize = 4096;

/// Between two flushes in real time, at least and at most.
const NAP_MS: (Millis, Millis) = (5, 50);

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

/// Why nothing, or not all, was written.
#[derive(Debug)]
pub enum WriteError {
    /// The plan cannot be carried out.
    Plan(String),
    /// The directory has partitions, or a truth, already.
    Occupied(PathBuf),
    /// The outside world failed: what was attempted, and how it ended.
    Io(String, io::Error),
}

/// Writes the records of `plan` and their truth into `dir`, which is made if it does not exist.
///
/// With a pace, `plan.start_ms` is best the time now; `plan.per_second` is the rate. Blocks until
/// all is written, or `stop` is true.
///
/// # Errors
/// The plan is impossible, the directory is in use, or writing fails. What was written stays.
pub fn write(plan: &Plan, dir: &Path, writing: Writing<'_>) -> Result<Truth, WriteError> {
    plan.check().map_err(WriteError::Plan)?;
    fs::create_dir_all(dir).map_err(failed("make", dir))?;
    refuse_occupied(dir)?;
    let mut partitions = open_all(dir, plan.partitions)?;
    let mut tally = Tally::new(plan);
    let mut records = Generator::new(plan.clone()).peekable();

    while !writing.stop.load(Ordering::Relaxed) {
        let now = writing.pace.map_or(Millis::MAX, |pace| (pace.now_ms)());
        for _ in 0..BATCH {
            let Some(made) = records.next_if(|made| made.arrival_ms <= now) else { break };
            tally.add(&made);
            partitions[made.partition as usize].push(&made.line)?;
        }
        if writing.pace.is_some() {
            partitions.iter_mut().try_for_each(Partition::flush)?;
        }
        let Truth { records: written, clicks, .. } = *tally.so_far();
        (writing.on_progress)(Progress { records: written, clicks });

        let Some(next) = records.peek() else { break };
        let wait = next.arrival_ms.saturating_sub(now);
        if let Some(pace) = writing.pace.filter(|_| wait > 0) {
            (pace.sleep)(Duration::from_millis(wait.clamp(NAP_MS.0, NAP_MS.1)));
        }
    }

    partitions.iter_mut().try_for_each(Partition::flush)?;
    let truth = tally.finish();
    let path = dir.join(TRUTH);
    let mut text = serde_json::to_string_pretty(&truth).expect("the truth is plain data");
    text.push('\n');
    fs::write(&path, text).map_err(failed("write", &path))?;
    Ok(truth)
}

/// One file of lines.
struct Partition {
    path: PathBuf,
    file: File,
    /// Whole lines that are not in the file yet.
    lines: Vec<u8>,
}

impl Partition {
    fn push(&mut self, line: &[u8]) -> Result<(), WriteError> {
        self.lines.extend_from_slice(line);
        self.lines.push(b'\n');
        if self.lines.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), WriteError> {
        self.file.write_all(&self.lines).map_err(failed("write", &self.path))?;
        self.lines.clear();
        Ok(())
    }
}

/// Makes `clicks-0.jsonl` and so on, with zeros in front so that their order is that of the names.
fn open_all(dir: &Path, count: u32) -> Result<Vec<Partition>, WriteError> {
    let width = (count - 1).to_string().len();
    let open = |number| {
        let path = dir.join(format!("clicks-{number:0width$}.jsonl"));
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        Ok(Partition { file: file.map_err(failed("make", &path))?, path, lines: Vec::new() })
    };
    (0..count).map(open).collect()
}

fn refuse_occupied(dir: &Path) -> Result<(), WriteError> {
    for entry in fs::read_dir(dir).map_err(failed("list", dir))? {
        let name = entry.map_err(failed("list", dir))?.file_name();
        let name = name.to_string_lossy();
        let plain = name.strip_suffix(".gz").or(name.strip_suffix(".zst")).unwrap_or(&name);
        if name == TRUTH || plain.ends_with(".jsonl") || plain.ends_with(".csv") {
            return Err(WriteError::Occupied(dir.join(&*name)));
        }
    }
    Ok(())
}

fn failed<'a>(verb: &'a str, path: &'a Path) -> impl FnOnce(io::Error) -> WriteError + 'a {
    move |cause| WriteError::Io(format!("cannot {verb} {}", path.display()), cause)
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WriteError::Plan(wrong) => f.write_str(wrong),
            WriteError::Occupied(path) => write!(
                f,
                "cannot generate beside {}, as another run has written it: \
                 name another directory, or remove it",
                path.display()
            ),
            WriteError::Io(attempt, _) => f.write_str(attempt),
        }
    }
}

impl std::error::Error for WriteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            WriteError::Io(_, cause) => Some(cause),
            WriteError::Plan(_) | WriteError::Occupied(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::{BTreeMap, BTreeSet};

    use clicks_dataflows::time::Time;
    use serde_json::Value;

    use super::super::tests::plan;
    use super::*;

    fn write_all(plan: &Plan, dir: &Path) -> Result<Truth, WriteError> {
        let stop = AtomicBool::new(false);
        write(plan, dir, Writing { pace: None, stop: &stop, on_progress: &mut |_| {} })
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
        let told = fs::read(dir.path().join(TRUTH)).unwrap();
        assert_eq!(serde_json::from_slice::<Truth>(&told).unwrap(), truth);

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
    fn a_directory_in_use_is_refused() {
        for name in ["a.jsonl", "b.csv", "c.jsonl.gz", "d.csv.zst", TRUTH] {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join(name), "").unwrap();
            let refused = write_all(&plan(), dir.path()).unwrap_err();
            assert!(refused.to_string().contains(name), "{refused}");
        }
    }

    #[test]
    fn names_sort_as_numbers() {
        let dir = tempfile::tempdir().unwrap();
        write_all(&Plan { partitions: 11, clicks: 10, ..plan() }, dir.path()).unwrap();
        assert!(dir.path().join("clicks-00.jsonl").exists());
        assert!(dir.path().join("clicks-10.jsonl").exists());
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
        let truth = write(&plan, dir.path(), writing).unwrap();
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
