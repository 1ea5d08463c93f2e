//! The loop from files to files on two threads.
//!
//! ```text
//! thread 0: its files ─▶ decode ─┬─▶ ads below the pivot ─▶ loop ─▶ rows, lists ─┬─▶ files
//!                                ╳                                               │
//! thread 1: its files ─▶ decode ─┴─▶ all others ──────────▶ loop ─▶ rows, lists ─┘
//! ```
//!
//! Copies of a click have the same ad, so each thread removes those of its own ads. The rows of the
//! first come before those of the second, so they are written one after the other; lists are
//! merged. Threads go in rounds of the same number of lines, and give away a round before they wait
//! for one.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use clicks_dataflows::time::{Epoch, Millis, Minute, parse_rfc3339};
use serde::Deserialize;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::ads::Text;
use crate::rows::JsonRows;
use crate::told::{Count, Rank, Sink};
use crate::tuned::{Facts, Tuned};
use crate::windows::TOP;
use crate::workload::{matches, minute_of};

/// Lines that are taken of a file in a round.
const ROUND: usize = 4096;

/// Counts the clicks in the files of `from`, and writes the rows to files in `to`.
///
/// # Errors
///
/// When a file cannot be read or written.
pub fn count(from: &Path, to: &Path) -> io::Result<()> {
    let mut paths = fs::read_dir(from)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<PathBuf>>>()?;
    paths.sort();
    let pivot = pivot(&paths[0])?;
    let (first, second) = paths.split_at(paths.len() / 2);
    let (to_second, from_first) = channel();
    let (to_first, from_second) = channel();
    let (told, ready) = channel();
    thread::scope(|scope| {
        let side = Side { is_second: true, pivot, give: to_first, take: from_first };
        let other = scope.spawn(move || side.run(second, |minute| told.send(minute).is_ok()));
        let mut files = Files::create(to)?;
        let side = Side { is_second: false, pivot, give: to_second, take: from_second };
        side.run(first, |minute| {
            ready.recv().is_ok_and(|other| files.write(&minute, &other).is_ok())
        })?;
        other.join().expect("the other thread does not panic")?;
        files.sync()
    })
}

/// An ad below which there are about as many clicks as above.
fn pivot(path: &Path) -> io::Result<Text> {
    let mut ads = Vec::new();
    for line in BufReader::new(File::open(path)?).split(b'\n').take(10_000) {
        ads.push(decode(&line?)?.1.ad);
    }
    ads.sort_unstable();
    Ok(ads.get(ads.len() / 2).copied().unwrap_or_default())
}

/// What one thread gives the other in a round.
struct Given {
    clicks: Vec<Facts<Text>>,
    /// The least clock of the giver's files.
    clock: Millis,
}

/// One of the threads.
struct Side {
    is_second: bool,
    pivot: Text,
    give: Sender<Given>,
    take: Receiver<Given>,
}

impl Side {
    /// Counts until no file has more; `tell` takes each minute that has settled, and says whether
    /// to go on.
    fn run(self, paths: &[PathBuf], mut tell: impl FnMut(Minutely) -> bool) -> io::Result<()> {
        let mut tuned = Tuned::new(Minutely::default());
        let open = |path| Ok((BufReader::with_capacity(1 << 20, File::open(path)?), 0));
        let mut files = paths.iter().map(open).collect::<io::Result<Vec<_>>>()?;
        loop {
            let (mut own, mut others) = (Vec::with_capacity(2 * ROUND), Vec::new());
            others.reserve(2 * ROUND);
            for (file, clock) in &mut files {
                read(file, clock, |facts| {
                    let is_own = (facts.ad >= self.pivot) == self.is_second;
                    if is_own { own.push(facts) } else { others.push(facts) }
                })?;
            }
            let clock = files.iter().map(|(_, clock)| *clock).min().unwrap_or(Millis::MAX);
            // The other thread ends early when it has failed, and says why.
            let _ = self.give.send(Given { clicks: others, clock });
            let Ok(given) = self.take.recv() else { return Ok(()) };
            tuned.take(&own, |facts| *facts);
            tuned.take(&given.clicks, |facts| *facts);
            let clock = clock.min(given.clock);
            while tuned.settle(clock, &[]).is_some() {
                if !tell(std::mem::take(&mut tuned.sink)) {
                    return Err(io::Error::other("the rows of a minute are not written"));
                }
            }
            if clock == Millis::MAX {
                return Ok(());
            }
        }
    }
}

/// Hands over the clicks of a round, and moves the clock of their file.
fn read(
    file: &mut BufReader<File>,
    clock: &mut Millis,
    mut take: impl FnMut(Facts<Text>),
) -> io::Result<()> {
    let mut torn = Vec::new();
    for _ in 0..ROUND {
        let bytes = file.fill_buf()?;
        if bytes.is_empty() {
            *clock = Millis::MAX;
            return Ok(());
        }
        let (event_ms, facts, taken) = match memchr::memchr(b'\n', bytes) {
            Some(end) => {
                let (event_ms, facts) = decode(&bytes[..end])?;
                (event_ms, facts, end + 1)
            }
            None => {
                torn.clear();
                file.read_until(b'\n', &mut torn)?;
                let (event_ms, facts) = decode(torn.trim_ascii_end())?;
                (event_ms, facts, 0)
            }
        };
        file.consume(taken);
        *clock = event_ms.max(*clock);
        take(facts);
    }
    Ok(())
}

/// The fields that a filter or the identity needs.
#[derive(Deserialize)]
struct Fields<'a> {
    ad_id: &'a str,
    click_timestamp: &'a str,
    ip: &'a str,
    country: &'a str,
    click_id: &'a str,
}

/// When a click happened, and what the loop needs of it.
fn decode(line: &[u8]) -> io::Result<(Millis, Facts<Text>)> {
    let fields: Fields<'_> = serde_json::from_slice(line)?;
    let event_ms = parse_rfc3339(fields.click_timestamp.as_bytes())
        .ok_or_else(|| io::Error::other("click_timestamp is no time"))?;
    let ip: std::net::Ipv4Addr = fields.ip.parse().map_err(io::Error::other)?;
    let facts = Facts {
        identity: xxh3_128_with_seed(fields.click_id.as_bytes(), event_ms),
        ad: Text::new(fields.ad_id),
        minute: minute_of(event_ms),
        counts: matches(fields.country == "USA", ip.to_bits()),
    };
    Ok((event_ms, facts))
}

/// A list by filter and window.
type List = ((u32, u32), Vec<(u64, Text)>);

/// What a thread tells of a minute.
#[derive(Default)]
struct Minutely {
    at: (Minute, Epoch),
    rows: JsonRows,
    lists: Vec<List>,
}

impl Sink for Minutely {
    fn count(&mut self, row: Count) {
        self.rows.count(row);
    }

    fn rank(&mut self, row: Rank<'_>) {
        self.at = (row.minute, row.epoch);
        self.lists.push(((row.filter, row.window), row.ads.to_vec()));
    }
}

/// The files of results.
struct Files {
    counts: File,
    ranks: File,
}

impl Files {
    fn create(to: &Path) -> io::Result<Files> {
        let file = |log| File::create(to.join(format!("bench.{log}.jsonl")));
        Ok(Files { counts: file("counts")?, ranks: file("ranks")? })
    }

    /// Writes what both threads tell of a minute.
    fn write(&mut self, first: &Minutely, second: &Minutely) -> io::Result<()> {
        assert_eq!(first.at, second.at, "both threads have clicks of each minute");
        self.counts.write_all(&first.rows.counts)?;
        self.counts.write_all(&second.rows.counts)?;
        let (minute, epoch) = first.at;
        let mut rows = JsonRows::default();
        let mut lists: Vec<&List> = first.lists.iter().chain(&second.lists).collect();
        lists.sort_by_key(|list| list.0);
        for lists in lists.chunk_by(|a, b| a.0 == b.0) {
            let (filter, window) = lists[0].0;
            let mut ads: Vec<_> = lists.iter().flat_map(|list| list.1.iter().copied()).collect();
            ads.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
            ads.truncate(TOP);
            rows.rank(Rank { epoch, minute, filter, window, ads: &ads });
        }
        self.ranks.write_all(&rows.ranks)
    }

    fn sync(&self) -> io::Result<()> {
        self.counts.sync_all()?;
        self.ranks.sync_all()
    }
}
