//! The job's side: the one that ships, over the same clicks.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Empty};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use clicks::files::disk::Disk;
use clicks::files::input::{Directory, End};
use clicks::files::results::ResultDirectory;
use clicks::run::Job;
use clicks::source::Source;
use clicks::watch::{Watch, Watched};
use clicks_dataflows::decode::Schema;
use clicks_dataflows::options::Options;
use clicks_dataflows::time::Millis;
use clicks_dataflows::told::{CountRow, RankRow};
use timely::CommunicationConfig;

use crate::ads::Text;
use crate::lines::in_memory;
use crate::support::job::{job, options};
use crate::support::lines::{FromMemory, Lines};
use crate::support::told::DigestingDisk;
use crate::told::{Checksum, Count, Rank, Sink, Told};
use crate::workload::Decoded;

/// Clicks, and what the job needs of them beforehand.
pub struct Input {
    /// The clicks.
    pub decoded: Decoded,
    lines: OnceLock<Arc<Lines>>,
}

impl Input {
    /// Of these clicks.
    pub fn new(decoded: Decoded) -> Input {
        Input { decoded, lines: OnceLock::new() }
    }

    /// Makes what the job reads, so that it is not measured.
    pub fn prepare(&self) -> &Arc<Lines> {
        self.lines.get_or_init(|| in_memory(&self.decoded))
    }
}

// ---------------------------------------------------------------------------------------------
// TO BE FILLED IN (issue 5): hand `input.decoded` to the job's entry for decoded clicks, and its
// rows as values to a `Checksum`. Until then lines are decoded, and rows parsed, while the clock
// runs: results are compared, the speed says nothing. With it go `Input::lines` and `RowsDisk`.
// ---------------------------------------------------------------------------------------------
/// Runs the job over clicks in memory.
pub fn run_job(input: &Input, workers: usize, options: Options) -> Told {
    let lines = Arc::clone(input.prepare());
    let source = move || Box::new(FromMemory::new(Arc::clone(&lines))) as Box<dyn Source>;
    let disk = Arc::new(RowsDisk::default());
    let results = ResultDirectory {
        disk: Arc::clone(&disk) as Arc<dyn Disk>,
        directory: PathBuf::new(),
        job: "bench".to_owned(),
        lock: false,
    };
    let job = Job {
        communication: communication(workers),
        results: Arc::new(results),
        ..job(options, source, &DigestingDisk::default())
    };
    let totals = job.run(Box::new(Nobody)).expect("memory never fails").totals;
    assert_eq!((totals.late, totals.rejected), (0, 0), "the loop makes no corrections");
    Told { clicks: totals.clicks, duplicates: totals.duplicates, rows: disk.rows() }
}

/// Runs the job from the directory `from` to files in `to`.
pub fn run_directory(from: &Path, to: &Path, workers: usize) {
    let input = Directory::new(from.to_owned(), &Schema::default()).input(End::Complete);
    let nothing = || -> Box<dyn Source> { unreachable!("the directory is read") };
    let job = Job {
        communication: communication(workers),
        input: input.name,
        ending: input.ending,
        source: input.source,
        results: Arc::new(ResultDirectory::new(to.to_owned(), "bench")),
        ..job(options(6), nothing, &DigestingDisk::default())
    };
    let totals = job.run(Box::new(Nobody)).expect("directories can be read and written").totals;
    assert_eq!((totals.late, totals.rejected), (0, 0), "the loop makes no corrections");
}

fn communication(workers: usize) -> CommunicationConfig {
    match workers {
        1 => CommunicationConfig::Thread,
        _ => CommunicationConfig::Process(workers),
    }
}

/// A disk that adds up the rows of result logs.
#[derive(Default)]
struct RowsDisk(Mutex<(Checksum, BTreeMap<PathBuf, u64>)>);

impl RowsDisk {
    fn rows(&self) -> Checksum {
        self.0.lock().expect("nothing panics while it writes").0
    }
}

fn take_count(rows: &mut Checksum, line: &[u8]) {
    let row: CountRow = serde_json::from_slice(line).expect("it is a row");
    rows.count(Count {
        epoch: row.epoch.0,
        ad: Text::new(row.ad_id.as_str()),
        minute: row.minute,
        filter: row.filter,
        clicks: row.clicks,
    });
}

fn take_rank(rows: &mut Checksum, line: &[u8]) {
    let row: RankRow = serde_json::from_slice(line).expect("it is a row");
    let ads = row.ads.iter().map(|ad| (ad.clicks, Text::new(ad.ad_id.as_str())));
    let ads: Vec<(u64, Text)> = ads.collect();
    let RankRow { filter, window, minute, epoch, .. } = row;
    rows.rank(Rank { epoch: epoch.0, minute, filter, window, ads: &ads });
}

impl Disk for RowsDisk {
    fn length(&self, path: &Path) -> io::Result<Option<u64>> {
        Ok(self.0.lock().expect("nothing panics while it writes").1.get(path).copied())
    }

    fn read(&self, _: &Path, _: u64) -> io::Result<Box<dyn BufRead>> {
        Ok(Box::<Empty>::default())
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let (rows, lengths) = &mut *self.0.lock().expect("nothing panics while it writes");
        *lengths.entry(path.to_owned()).or_default() += bytes.len() as u64;
        let take = match path.to_str() {
            Some("bench.counts.jsonl") => take_count,
            Some("bench.ranks.jsonl") => take_rank,
            _ => return Ok(()),
        };
        bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).for_each(|line| {
            take(rows, line);
        });
        Ok(())
    }

    fn cut(&self, _: &Path, length: u64) -> io::Result<()> {
        assert_eq!(length, 0, "a new job has nothing to cut off");
        Ok(())
    }

    fn sync(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_entries(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

/// Nobody watches.
struct Nobody;

impl Watch for Nobody {
    fn show(&mut self, _: &Watched<'_>, _: Millis) {}
}
