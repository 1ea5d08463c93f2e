//! From a start to the first commit, after hours of clicks: what is read again, and in what memory.
//!
//! Hours of event time are written at once. A click of each partition two minutes later settles
//! what came before, a job commits that and ends; then another click of each, and a start.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clicks::generate::{Plan, Writing, write};
use clicks::kafka::outlet;
use clicks::worker::{monotonic_ms, wall_ms};
use clicks_dataflows::time::{MINUTE_MS, Millis};
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use crate::Args;
use crate::house::{FILTERS, House, clicks_topic, cluster, cpu_seconds, resident};
use crate::support::Topic;
use crate::support::binary::Running;

/// Partitions of the clicks.
const PARTITIONS: u32 = 8;

/// Measures one restart; tells whether the job goes on where it was.
pub fn measure(args: &Args) -> bool {
    let Args { restart_hours: hours, restart_rate: rate, .. } = *args;
    println!("\nrestart: {hours} h at {rate} clicks/s, horizon 6 h, 100,000 ads");
    let partitions = i32::try_from(PARTITIONS).unwrap();
    let input = clicks_topic("restart-clicks", partitions, "CreateTime");
    let end_ms = wall_ms() - 10 * MINUTE_MS;
    let records = fill(&input, hours, rate, end_ms);
    let house = House::new("restart", "final", FILTERS);

    append(&input, end_ms + 2 * MINUTE_MS);
    let first = commit(&house, &input, records);
    println!("  {records} records; first run: {first}");

    append(&input, end_ms + 4 * MINUTE_MS);
    let again = commit(&house, &input, records + u64::from(PARTITIONS));
    let before = first.last;
    println!("  restart:   {again}");
    let good = again.first == before + 1;
    if !good {
        println!("  the job had made {before} commits, and went on with {}", again.first);
    }
    good
}

/// Fills the topic; tells how many records it holds.
fn fill(input: &Topic, hours: u64, rate: u64, end_ms: Millis) -> u64 {
    let seconds = hours * 3600;
    let (duplicates, malformed) = (0.01, 0.0);
    let clicks = seconds * rate;
    let plan = Plan {
        clicks,
        partitions: PARTITIONS,
        seed: 7,
        ads: 100_000,
        skew: 1.05,
        duplicates,
        late: 0.005,
        malformed,
        start_ms: end_ms - seconds * 1000,
        per_second: rate as f64 / (1.0 - duplicates),
        lateness_ms: 15_000,
    };
    let topic = outlet::Topic::find(&cluster(), &input.name).unwrap();
    let mut outlet = topic.outlet(None).unwrap();
    let mut records = 0;
    let stop = AtomicBool::new(false);
    let mut on_progress = |progress: clicks::generate::Progress| records = progress.records;
    let writing = Writing { pace: None, stop: &stop, on_progress: &mut on_progress };
    write(&plan, &mut outlet, writing).unwrap();
    records
}

/// A click in each partition.
fn append(input: &Topic, event_ms: Millis) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &input.brokers);
    let producer: BaseProducer = config.create().unwrap();
    let line = format!(r#"{{"ad_id":"later","click_timestamp":{event_ms}}}"#);
    for partition in 0..i32::try_from(PARTITIONS).unwrap() {
        let record = BaseRecord::<(), str>::to(&input.name).partition(partition).payload(&line);
        producer.send(record.timestamp(i64::try_from(event_ms).unwrap())).unwrap();
    }
    producer.flush(Duration::from_secs(30)).unwrap();
}

/// What a run until a commit took.
struct Took {
    ms: Millis,
    cpu: f64,
    mib: u64,
    /// The first commit that it made, and the last.
    first: u64,
    last: u64,
}

impl std::fmt::Display for Took {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Took { ms, cpu, mib, .. } = self;
        write!(f, "{:.1} s to its commit, {cpu:.1} s of CPU, {mib} MiB", *ms as f64 / 1000.0)
    }
}

/// Runs the job until it has committed at least so many records.
fn commit(house: &House, input: &Topic, records: u64) -> Took {
    let known = house.commits().len() as u64;
    let began = monotonic_ms();
    let mut job = house.start("run", input);
    loop {
        assert!(!job.has_ended(), "{}", job.stderr());
        let commits = house.commits();
        let last = commits.last().filter(|last| last.commit > known);
        if let Some(last) = last.filter(|last| last.totals.records >= records) {
            let ms = monotonic_ms() - began;
            return took(job, ms, (known + 1, last.commit));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn took(job: Running, ms: Millis, (first, last): (u64, u64)) -> Took {
    let (cpu, mib) = (cpu_seconds(&job.pid()), resident(&job.pid()));
    job.terminate();
    Took { ms, cpu, mib, first, last }
}
