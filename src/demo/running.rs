//! The generator and the job at work, each on its own threads.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use clicks_dataflows::gauge::Gauge;
use clicks_dataflows::time::Millis;
use timely::CommunicationConfig;

use super::{Showing, page};
use crate::failure::{Attempt, Failure};
use crate::files::input::{Directory, End};
use crate::files::results::ResultDirectory;
use crate::generate::{Files, Pace, Plan, Truth, Writing, write};
use crate::progress::Progress;
use crate::run::Job;
use crate::summary::Summary;
use crate::temporary::TemporaryDirectory;
use crate::worker::{monotonic_ms, wall_ms};

/// Partitions that are generated.
pub const PARTITIONS: u32 = 4;

/// Workers that count them.
pub const WORKERS: usize = 2;

/// The generator goes on for so long: 10 years.
const ENDLESS_S: u64 = 10 * 365 * 86_400;

/// How long generator and job may take to stop.
const STOP_WITHIN_MS: Millis = 10_000;

/// A generator, and a job that follows it, until both are told to stop.
pub struct Running {
    generator: JoinHandle<Result<Truth, Failure>>,
    job: JoinHandle<Result<Summary, Failure>>,
    page: Option<JoinHandle<Result<(), Failure>>>,
}

impl Running {
    /// Starts both in `directory`.
    ///
    /// # Errors
    ///
    /// When the configuration does not hold together, or there are no threads to be had.
    pub fn start(showing: &Showing, directory: &TemporaryDirectory) -> Result<Running, Failure> {
        let (config, clicks) = (&showing.config, directory.inner("clicks")?);
        let input = Directory::new(clicks.clone(), &config.schema).input(End::Followed);
        let results = Arc::new(ResultDirectory::new(directory.inner("results")?, &config.job));
        let mut job = Job::new(config, input, results)?;
        job.communication = CommunicationConfig::Process(WORKERS);
        job.stop = Arc::clone(&showing.stop);

        let (plan, stop) = (plan(showing, wall_ms()), Arc::clone(&showing.stop));
        let generator = spawn("generator", move || generate(&plan, &clicks, &stop))?;
        let silent = Progress::new(None, Gauge::default(), false, true);
        let job = spawn("job", move || job.run(Box::new(silent)))?;
        let listener = showing.listener.as_ref();
        let page =
            listener.map(|listener| page::start(listener, showing, directory)).transpose()?;
        Ok(Running { generator, job, page })
    }

    /// Whether one of them has ended by itself.
    pub fn has_ended(&self) -> bool {
        let has_page_ended = self.page.as_ref().is_some_and(JoinHandle::is_finished);
        self.generator.is_finished() || self.job.is_finished() || has_page_ended
    }

    /// Waits until both have stopped, as they were told, and tells how it went.
    ///
    /// # Errors
    ///
    /// When one of them failed, or does not stop within 10 s.
    pub fn end(self) -> Result<(Truth, Summary), Failure> {
        let until = monotonic_ms() + STOP_WITHIN_MS;
        let generated = join(self.generator, until);
        // Its files are in use until it has stopped, whatever became of the generator.
        let counted = join(self.job, until);
        let shown = self.page.map_or(Ok(Ok(())), |page| join(page, until));
        let truth = generated?.attempt(|| "cannot generate clicks".to_owned())?;
        let counted = counted??;
        shown??;
        Ok((truth, counted))
    }
}

/// What is generated: 2 % copies, 1 % late clicks, 0.2 % broken records, the same in every run.
fn plan(showing: &Showing, now: Millis) -> Plan {
    Plan {
        clicks: showing.rate * ENDLESS_S,
        partitions: PARTITIONS,
        seed: 1,
        ads: 2000,
        skew: 1.05,
        duplicates: 0.02,
        late: 0.01,
        malformed: 0.002,
        start_ms: now,
        per_second: showing.rate as f64,
        lateness_ms: showing.config.options.lateness_ms,
    }
}

fn generate(plan: &Plan, to: &std::path::Path, stop: &AtomicBool) -> Result<Truth, Failure> {
    plan.check().map_err(Failure::refused)?;
    let mut files = Files::create(to, plan.partitions)?;
    let pace = Some(Pace { now_ms: &wall_ms, sleep: &thread::sleep });
    write(plan, &mut files, Writing { pace, stop, on_progress: &mut |_| {} })
}

pub(super) fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, Failure> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(work);
    thread.attempt(|| format!("cannot start a thread for the {name}"))
}

/// What a thread returns, if it ends by `until`.
fn join<T>(thread: JoinHandle<T>, until: Millis) -> Result<T, Failure> {
    let name = thread.thread().name().unwrap_or_default().to_owned();
    while !thread.is_finished() {
        if monotonic_ms() >= until {
            return Err(Failure::new(format!("the {name} does not stop")));
        }
        thread::sleep(Duration::from_millis(5));
    }
    thread.join().map_err(|_| Failure::new(format!("the {name} has panicked")))
}
