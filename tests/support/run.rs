//! Scripts run by the real job: the graph, the loop and the commits that ship.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clicks::config::Pace;
use clicks::failure::Failure;
use clicks::files::results::{ResultDirectory, log_path};
use clicks::range::Range;
use clicks::run::{Job, in_memory};
use clicks::source::Ending;
use clicks::summary::Summary;
use clicks::watch::{Watch, Watched};
use clicks_dataflows::decode::{Decoder, Fields, Format, Identity, Schema};
use clicks_dataflows::filter::{Filter, Filters, Predicates};
use clicks_dataflows::gauge::Gauges;
use clicks_dataflows::ledger::Commit;
use clicks_dataflows::options::{Copies, Emit, Engine, Options};
use clicks_dataflows::time::Minute;
use timely::CommunicationConfig;

use crate::support::disk::ForgetfulDisk;
use crate::support::live::{Arrivals, ScriptSource};
use crate::support::script::{Script, Settings, Values};

/// The job of every script.
pub const JOB: &str = "ads";

/// How a script is run; its results must not depend on it.
#[derive(Clone, Copy, Debug)]
pub struct How {
    pub workers: usize,
    pub batch: usize,
    /// Every other partition waits for a while, as if others were read first.
    pub reversed: bool,
    /// How often it commits, by the test's clock.
    pub commit_every_ms: u64,
    pub engine: Engine,
}

/// One worker that takes all there is.
pub const PLAIN: How =
    How { workers: 1, batch: 4096, reversed: false, commit_every_ms: 0, engine: Engine::Fast };

/// What a run left behind.
pub struct Committed {
    pub counts: Vec<String>,
    pub ranks: Vec<String>,
    pub rejects: Vec<String>,
    pub ledger: Vec<Commit>,
}

impl Committed {
    /// What lies on `disk`.
    pub fn read(disk: &ForgetfulDisk) -> Committed {
        let lines = |log: &str| disk.lines(&log_path(&directory(), JOB, log));
        let ledger = lines("ledger").into_iter().skip(1);
        Committed {
            counts: lines("counts"),
            ranks: lines("ranks"),
            rejects: lines("rejects"),
            ledger: ledger.map(|line| serde_json::from_str(&line).unwrap()).collect(),
        }
    }

    /// The last commit.
    pub fn last(&self) -> &Commit {
        self.ledger.last().unwrap()
    }

    /// All marks, as the oracle takes them.
    pub fn marks(&self) -> Vec<(u32, u64, u64)> {
        let marks = self.ledger.iter().flat_map(|commit| &commit.marks);
        marks.map(|mark| (mark.partition, mark.offset, mark.clock.0)).collect()
    }

    /// The count rows as a person would say them: `12:01:15 final ad007 at 12:00: 2`.
    pub fn told(&self) -> Vec<String> {
        let rows = self.counts.iter().map(|line| serde_json::from_str(line).unwrap());
        rows.map(|row: serde_json::Value| {
            let text = |key: &str| row[key].as_str().unwrap().to_owned();
            let (epoch, minute) = (&text("epoch")[11..], &text("minute")[11..16]);
            let epoch = epoch.trim_end_matches('Z');
            format!("{epoch} {} {} at {minute}: {}", text("state"), text("ad_id"), row["clicks"])
        })
        .collect()
    }
}

impl Script {
    /// Runs to the end of the script, plainly.
    pub fn run(&self) -> Committed {
        self.run_as(PLAIN)
    }

    /// Runs to the end of the script.
    pub fn run_as(&self, how: How) -> Committed {
        let disk = ForgetfulDisk::default();
        let arrivals = Arrivals::complete(self);
        job(self, &disk, &arrivals, how).run(Box::new(Nobody)).unwrap();
        Committed::read(&disk)
    }
}

/// The job that runs `script`, whose results lie on `disk`.
pub fn job(script: &Script, disk: &ForgetfulDisk, arrivals: &Arc<Arrivals>, how: How) -> Job {
    let options = Options { engine: how.engine, ..options(&script.settings) };
    let (source, clock) = (Arc::clone(arrivals), Arc::clone(arrivals));
    Job {
        name: JOB.to_owned(),
        meaning: serde_json::json!({ "settings": format!("{:?}", script.settings) }),
        pace: Pace {
            idle_after_ms: options.refresh_ms,
            stall_after_ms: None,
            align_max_ms: 60_000,
        },
        options,
        decoder: decoder(&script.settings),
        input: "a script".to_owned(),
        source: Arc::new(move || Box::new(ScriptSource::new(&source, how.reversed))),
        ending: if arrivals.is_live() { Ending::Open } else { Ending::Complete },
        range: Range::default(),
        results: Arc::new(results(disk)),
        communication: CommunicationConfig::Process(how.workers),
        batch: how.batch,
        stop: arrivals.stop(),
        connecting: Arc::default(),
        shelf: in_memory(),
        gauges: Gauges::default(),
        now: Arc::new(move || clock.now()),
        patience: std::time::Duration::ZERO,
        commit_every_ms: how.commit_every_ms,
    }
}

/// The results of every script on `disk`.
pub fn results(disk: &ForgetfulDisk) -> ResultDirectory {
    let disk = Arc::new(disk.clone());
    ResultDirectory { disk, directory: directory(), job: JOB.to_owned(), lock: false }
}

/// Runs a job; a killed disk is no surprise.
pub fn run_or_die(job: Job, disk: &ForgetfulDisk) -> Option<Summary> {
    match job.run(Box::new(Nobody)) {
        Ok(summary) => Some(summary),
        Err(failure) if disk.is_killed() => {
            let _: Failure = failure;
            None
        }
        Err(failure) => panic!("{failure}"),
    }
}

/// Where results are said to be; nothing but the test's disk knows of it.
pub fn directory() -> PathBuf {
    Path::new("/results").to_path_buf()
}

/// The options of a script.
pub fn options(settings: &Settings) -> Options {
    let filters = settings.filters.iter().map(|spec| {
        let mut filter = Filter { id: spec.id, ..Filter::default() };
        for predicate in &spec.predicates {
            let side = if predicate.negated { &mut filter.not } else { &mut filter.where_ };
            add(side, &predicate.values);
        }
        filter
    });
    Options {
        refresh_ms: settings.refresh_ms,
        lateness_ms: settings.lateness_ms,
        horizon_ms: settings.horizon_ms,
        ahead_max_ms: settings.ahead_max_ms,
        jump_max_ms: settings.jump_max_ms,
        correct_every_ms: settings.correct_every_ms,
        emit: if settings.changes { Emit::Changes } else { Emit::Final },
        copies: if settings.copies_stay { Copies::Partition } else { Copies::Anywhere },
        filters: Filters::new(filters.collect()).unwrap(),
        windows: settings.windows.clone(),
        top: settings.top,
        from: Minute(0),
        engine: Engine::default(),
    }
}

fn add(predicates: &mut Predicates, values: &Values) {
    match values {
        Values::Country(countries) => predicates.country.clone_from(countries),
        Values::User(users) => predicates.user_id.clone_from(users),
        Values::Ip(blocks) => {
            let parse = |block: &String| match block.contains('/') {
                true => block.parse().unwrap(),
                false => format!("{block}/32").parse().unwrap(),
            };
            predicates.ip = blocks.iter().map(parse).collect();
        }
    }
}

fn decoder(settings: &Settings) -> Decoder {
    let mut fields = Fields::default();
    if settings.log_time {
        fields.log_time = "logged".to_owned();
    }
    Decoder::new(&Schema { format: Format::Json, fields, identity: Identity::Auto }).unwrap()
}

/// Nobody watches.
pub struct Nobody;

impl Watch for Nobody {
    fn show(&mut self, _: &Watched<'_>, _: u64) {}
}
