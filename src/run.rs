//! A job from its arguments to its end.
//!
//! ```text
//! takeover ─▶ closed? ─▶ back to K ─▶ workers
//! ```
//!
//! The first process owns the job: it reads the ledger and tells all workers where partitions
//! begin. The others wait for that, and refuse to work for another version or meaning.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration as StdDuration;

use clicks_dataflows::decode::Decoder;
use clicks_dataflows::faults::Faults;
use clicks_dataflows::gauge::Gauges;
use clicks_dataflows::keep_first::shelf::InMemory;
use clicks_dataflows::ledger::{Name, Totals};
use clicks_dataflows::options::Options;
use clicks_dataflows::packed::bytes::{Built, Codec};
use clicks_dataflows::partition::Start;
use clicks_dataflows::time::Millis;
use timely::CommunicationConfig;

use crate::commit::Committer;
use crate::config::{Config, Pace};
use crate::failure::Failure;
use crate::log;
use crate::past::{GoBack, Past};
use crate::range::Range;
use crate::sink::{Results, Sink};
use crate::source::{Ending, Source};
use crate::steer::{Agreed, Verdict};
use crate::summary::Summary;
use crate::takeover::Begun;
use crate::watch::Watch;
use crate::worker::{self, Lead, MakeShelf, Plan};

/// How long a worker without work waits before it looks again.
const PATIENCE: StdDuration = StdDuration::from_millis(2);

/// How far commits are apart at least.
const COMMIT_EVERY_MS: Millis = 100;

/// Records taken of a partition at once.
pub const BATCH: usize = 4096;

/// Makes a source for each worker.
pub type MakeSource = Arc<dyn Fn() -> Box<dyn Source> + Send + Sync>;

/// What a job reads.
pub struct Input {
    /// In words.
    pub name: String,
    /// Makes a source of it for each worker.
    pub source: MakeSource,
    /// How it ends.
    pub ending: Ending,
}

/// Keeps the clicks seen of settled minutes in memory.
pub fn in_memory() -> MakeShelf {
    Arc::new(|| Ok(Box::new(InMemory)))
}

/// A job that is to be run.
pub struct Job {
    /// The job's name.
    pub name: String,
    /// What its results mean.
    pub options: Options,
    /// The meaning as the ledger remembers it.
    pub meaning: serde_json::Value,
    /// How partitions wait for each other.
    pub pace: Pace,
    /// Decodes records of a partition that has no header.
    pub decoder: Decoder,
    /// The input in words: where records come from.
    pub input: String,
    /// Makes a source of the input for each worker.
    pub source: MakeSource,
    /// How it ends.
    pub ending: Ending,
    /// What part of the input is told, and whose marks are obeyed.
    pub range: Range,
    /// Where its results are.
    pub results: Arc<dyn Results>,
    /// Which workers run in this process.
    pub communication: CommunicationConfig,
    /// Records taken of a partition at once.
    pub batch: usize,
    /// Set when the program is to stop.
    pub stop: Arc<AtomicBool>,
    /// Set while the processes connect, when a signal may end this one at once.
    pub connecting: Arc<AtomicBool>,
    /// Makes the place where a worker keeps the clicks seen of settled minutes.
    pub shelf: MakeShelf,
    /// Numbers of the graph.
    pub gauges: Gauges,
    /// A monotonic clock in milliseconds.
    pub now: Arc<dyn Fn() -> Millis + Send + Sync>,
    /// How long a worker without work waits before it looks again.
    pub patience: StdDuration,
    /// Commits are at least this far apart, so that a replay makes few large ones.
    pub commit_every_ms: Millis,
}

impl Job {
    /// The job that `config` describes, from `input` to `results`, on one worker.
    ///
    /// # Errors
    ///
    /// When the schema does not hold together.
    pub fn new(config: &Config, input: Input, results: Arc<dyn Results>) -> Result<Job, Failure> {
        Ok(Job {
            name: config.job.clone(),
            options: config.options.clone(),
            meaning: config.meaning(),
            pace: config.pace,
            decoder: config.decoder()?,
            input: input.name,
            ending: input.ending,
            source: input.source,
            range: Range::default(),
            results,
            communication: CommunicationConfig::Thread,
            batch: BATCH,
            stop: Arc::default(),
            connecting: Arc::default(),
            shelf: in_memory(),
            gauges: Gauges::default(),
            now: Arc::new(worker::monotonic_ms),
            patience: PATIENCE,
            commit_every_ms: COMMIT_EVERY_MS,
        })
    }

    /// Runs the job to the end of its input, or until it is stopped.
    ///
    /// # Errors
    ///
    /// When it is refused, or the outside world fails.
    pub fn run(self, watch: Box<dyn Watch + Send>) -> Result<Summary, Failure> {
        let (process, alone) = match &self.communication {
            CommunicationConfig::Cluster { process, .. } => (*process, false),
            _ => (0, true),
        };
        if process > 0 {
            return self.work(None, Verdict::Go);
        }
        match self.begin() {
            Ok(Begun::Closed(past)) => {
                if !alone {
                    log::say("the job is closed: the other processes are told as they connect");
                    self.work(None, Verdict::Done)?;
                }
                Ok(Summary::closed_before(&past))
            }
            Ok(Begun::Owned { past, sink }) => {
                let led = self.lead(&past, sink, watch);
                self.work(Some(led), Verdict::Go)
            }
            Err(failure) if alone => Err(failure),
            Err(failure) => {
                log::complain(&format!("{failure}: the other processes are told as they connect"));
                // It is this failure that all end with.
                let _ = self.work(None, Verdict::Refused(failure.to_string()));
                Err(failure)
            }
        }
    }

    /// Lets the workers work.
    fn work(mut self, led: Option<Led>, verdict: Verdict) -> Result<Summary, Failure> {
        let before = led.as_ref().map_or_else(Totals::default, |led| led.committer.totals());
        let led = Mutex::new(led);
        let config = timely::Config {
            communication: std::mem::replace(&mut self.communication, CommunicationConfig::Thread),
            worker: timely::WorkerConfig::default(),
        };
        let plan = self.plan(verdict);
        let job = Arc::new((self, plan));
        let shared = Arc::clone(&job);
        job.0.connecting.store(true, Ordering::Relaxed);
        if let CommunicationConfig::Cluster { addresses, process, .. } = &config.communication {
            log::say(&format!(
                "process {process} waits until all {} of --hosts are connected",
                addresses.len(),
            ));
        }
        let guards = timely::execute(config, move |worker| {
            let (job, plan) = &*shared;
            job.connecting.store(false, Ordering::Relaxed);
            let led = match worker.index() {
                0 => led.lock().expect("only the first worker leads").take(),
                _ => None,
            };
            let Some(Led { starts, committer, mut sink, mut watch }) = led else {
                return worker::run(worker, &mut *(job.source)(), None, plan);
            };
            let (sink, watch) = (&mut *sink, &mut *watch);
            let lead = Lead { starts, committer, sink, watch };
            worker::run(worker, &mut *(job.source)(), Some(lead), plan)
        })
        .map_err(|why| Failure::new(format!("cannot start the workers: {why}")))?;
        let without_identity = job.0.meaning["identity"] == "none";
        let mut summary = None;
        for worker in guards.join() {
            let went =
                worker.map_err(|panic| Failure::new(format!("a worker failed: {panic}")))??;
            if let Some((totals, mut tolls)) = went.led {
                if without_identity {
                    tolls.own = 0;
                }
                summary = Some(Summary {
                    ended: went.ended,
                    was_closed: false,
                    led: true,
                    totals,
                    before,
                    tolls,
                });
            }
        }
        Ok(summary.unwrap_or_else(|| Summary::follower(before)))
    }

    fn lead(&self, past: &Past, sink: Box<dyn Sink>, watch: Box<dyn Watch + Send>) -> Led {
        let GoBack { mut starts, checks } = past.go_back(&self.options);
        for (_, start) in &mut starts {
            self.range.obey(start);
        }
        let committer = Committer::new(past, checks, &self.options);
        Led { starts, committer, sink, watch }
    }

    fn plan(&self, verdict: Verdict) -> Plan {
        Plan {
            options: self.options.clone(),
            pace: self.pace,
            batch: self.batch,
            decoder: self.decoder.clone(),
            agreed: Agreed {
                version: env!("CARGO_PKG_VERSION").to_owned() + Built::BUILD,
                meaning: format!("{} {}", self.name, self.meaning),
            },
            verdict,
            ending: self.ending,
            until: self.range.until,
            shelf: Arc::clone(&self.shelf),
            faults: Faults::default(),
            gauges: self.gauges.clone(),
            stop: Arc::clone(&self.stop),
            now: Arc::clone(&self.now),
            patience: self.patience,
            commit_every_ms: self.commit_every_ms,
        }
    }
}

/// What the first worker takes.
struct Led {
    starts: Vec<(Name, Start)>,
    committer: Committer,
    sink: Box<dyn Sink>,
    watch: Box<dyn Watch + Send>,
}
