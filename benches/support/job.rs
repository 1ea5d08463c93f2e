//! The job that is measured: the one that ships, between memory and memory.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clicks::config::Pace;
use clicks::files::results::{ResultDirectory, log_path};
use clicks::range::Range;
use clicks::run::{Job, in_memory};
use clicks::source::{Ending, Source};
use clicks::summary::Summary;
use clicks::watch::{Watch, Watched};
use clicks::worker::{Ended, monotonic_ms};
use clicks_dataflows::decode::{Decoder, Schema};
use clicks_dataflows::filter::{Filter, Filters};
use clicks_dataflows::gauge::Gauges;
use clicks_dataflows::options::{Copies, Emit, Engine, Options};
use clicks_dataflows::time::{MINUTE_MS, Millis, Minute};
use serde::Deserialize;
use timely::CommunicationConfig;

use super::lines::{FromMemory, Lines};
use super::told::{DigestingDisk, Told};

/// How long after its end a minute settles.
pub const LATENESS_MS: Millis = 15_000;

/// Records taken of a partition at once.
pub const BATCH: usize = 4096;

const HOUR_MS: Millis = 60 * MINUTE_MS;

/// Lists of 100 ads over 1, 5 and 60 minutes, of three filters; all else as it is by default.
pub fn options(horizon_hours: u64) -> Options {
    Options {
        refresh_ms: 1000,
        lateness_ms: LATENESS_MS,
        horizon_ms: horizon_hours * HOUR_MS,
        ahead_max_ms: HOUR_MS,
        jump_max_ms: HOUR_MS,
        correct_every_ms: MINUTE_MS,
        emit: Emit::Final,
        copies: Copies::default(),
        filters: filters(),
        windows: vec![1, 5, 60],
        top: 100,
        from: Minute(0),
        engine: Engine::default(),
    }
}

/// Every click; a country with 20 % of them; blocks of addresses with 10 %.
pub const FILTERS: &str = r#"
[[filter]]
id = 1
where = { country = ["USA"] }
[[filter]]
id = 2
where = { ip = ["16.0.0.0/5", "24.0.0.0/6", "28.0.0.0/8"] }
"#;

/// What [`FILTERS`] says.
fn filters() -> Filters {
    #[derive(Deserialize)]
    struct Config {
        filter: Vec<Filter>,
    }
    let config: Config = toml::from_str(FILTERS).expect("it is a configuration");
    Filters::new(config.filter).expect("their numbers differ")
}

/// Decodes JSON lines.
pub fn decoder() -> Decoder {
    Decoder::new(&Schema::default()).expect("the default is a schema")
}

/// Decodes `lines`, and nothing else.
pub fn decode(lines: &Lines) {
    let decoder = decoder();
    for partition in lines.partitions() {
        for offset in 0..partition.len() {
            black_box(decoder.decode(partition.line(offset))).expect("each line is a click");
        }
    }
}

/// Runs the job over `lines`.
pub fn run(lines: &Arc<Lines>, workers: usize) -> Told {
    let disk = DigestingDisk::default();
    let lines = Arc::clone(lines);
    let source = move || Box::new(FromMemory::new(Arc::clone(&lines))) as Box<dyn Source>;
    let job = Job { communication: communication(workers), ..job(options(6), source, &disk) };
    let summary = job.run(Box::new(Nobody)).expect("memory never fails");
    told(&summary, &disk)
}

/// The job over `source` on one worker, whose results go to `disk`.
pub fn job(
    options: Options,
    source: impl Fn() -> Box<dyn Source> + Send + Sync + 'static,
    disk: &DigestingDisk,
) -> Job {
    Job {
        name: "bench".to_owned(),
        meaning: serde_json::json!({}),
        pace: Pace { idle_after_ms: 1000, stall_after_ms: None, align_max_ms: MINUTE_MS },
        options,
        decoder: decoder(),
        input: "memory".to_owned(),
        source: Arc::new(source),
        ending: Ending::Complete,
        range: Range::default(),
        results: Arc::new(results(disk)),
        communication: communication(1),
        batch: BATCH,
        commit_every_ms: 100,
        stop: Arc::default(),
        connecting: Default::default(),
        shelf: in_memory(),
        gauges: Gauges::default(),
        now: Arc::new(monotonic_ms),
        patience: Duration::from_millis(2),
    }
}

fn results(disk: &DigestingDisk) -> ResultDirectory {
    let disk = Arc::new(disk.clone());
    ResultDirectory { disk, directory: PathBuf::new(), job: "bench".to_owned(), lock: false }
}

fn communication(workers: usize) -> CommunicationConfig {
    match workers {
        1 => CommunicationConfig::Thread,
        _ => CommunicationConfig::Process(workers),
    }
}

fn told(summary: &Summary, disk: &DigestingDisk) -> Told {
    let totals = &summary.totals;
    assert_eq!(summary.ended, Ended::Closed);
    assert_eq!((totals.late, totals.rejected), (0, 0), "the loop makes no corrections");
    let digest = |log| disk.digest(&log_path(Path::new(""), "bench", log));
    Told {
        clicks: totals.clicks,
        duplicates: totals.duplicates,
        counts: digest("counts"),
        ranks: digest("ranks"),
    }
}

/// Nobody watches.
struct Nobody;

impl Watch for Nobody {
    fn show(&mut self, _: &Watched<'_>, _: Millis) {}
}
