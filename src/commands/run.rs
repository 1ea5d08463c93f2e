//! `clicks run`: a job from its arguments to its summary.

use std::process::ExitCode;
use std::sync::Arc;

use clicks_dataflows::gauge::Gauge;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag::register_conditional_shutdown;

use crate::cli::{Aggregate, LogPlace, ResultPlace, Run};
use crate::commands::places::{Places, topics};
use crate::commands::{config, on_signals, stop_flag};
use crate::config::Config;
use crate::failure::{Failure, Kind};
use crate::files::input::{Directory, End};
use crate::files::shelf::FileShelf;
use crate::kafka::checks::{self, Use};
use crate::kafka::results::{LOGS, topic};
use crate::kafka::source::InputTopics;
use crate::log;
use crate::progress::Progress;
use crate::raw::RawLog;
use crate::run::Job;
use crate::worker::monotonic_ms;

/// Aggregates a directory to its end, or as it grows, or topics as they come.
///
/// # Errors
///
/// When the job is refused, or the outside world fails.
pub fn run(run: &Run) -> Result<ExitCode, Failure> {
    let config = config(&run.aggregate.config)?;
    let places = Places::new(&config);
    let clicks = Clicks::new(&run.aggregate, &[], (&config, &places))?;
    let results = places.results(&run.aggregate.output, &config.job, clicks.topics())?;
    let stop = stop_flag()?;
    check_topics(&run.aggregate, &config, &places, &clicks)?;
    let (input, progress) = match &clicks {
        Clicks::Files(directory) => {
            let end = if run.follow { End::Followed } else { End::Complete };
            let total = if run.follow { None } else { Some(bytes(directory)?) };
            (directory.input(end), progress(&run.aggregate, total, directory.read.clone()))
        }
        Clicks::Topics(topics) => {
            (topics.input(), progress(&run.aggregate, None, Gauge::default()).behind(topics))
        }
        Clicks::Raw(raw) => (raw.input(), progress_of(raw, &run.aggregate)),
    };
    let job = Job { stop, ..Job::new(&config, input, results)? };
    drive(job, &run.aggregate, progress)
}

/// The clicks that a job reads.
pub(super) enum Clicks {
    /// Files of a directory.
    Files(Directory),
    /// Topics.
    Topics(InputTopics),
    /// A raw log, and perhaps topics that go on from it.
    Raw(Box<RawLog>),
}

impl Clicks {
    /// What `--input` and `--raw` name; of a raw log without input only `kept`, or all.
    pub(super) fn new(
        Aggregate { input, raw, .. }: &Aggregate,
        kept: &[String],
        (config, places): (&Config, &Places<'_>),
    ) -> Result<Clicks, Failure> {
        if let (Some(root), []) = (raw, &input[..]) {
            let raw = RawLog::open(root, kept, None, config)?;
            return Ok(Clicks::Raw(Box::new(raw)));
        }
        if let [LogPlace::Directory(path)] = &input[..] {
            if raw.is_some() {
                return Err(Failure::refused(format!(
                    "--input {}: what goes on from a raw log is a topic",
                    path.display(),
                )));
            }
            return Ok(Clicks::Files(Directory::new(path.clone(), &config.schema)));
        }
        let topics = topics(input)?;
        config.check_topic()?;
        let topics = InputTopics::new(places.cluster()?, &topics, &config.job);
        match raw {
            Some(root) => {
                let raw = RawLog::open(root, kept, Some(topics), config)?;
                Ok(Clicks::Raw(Box::new(raw)))
            }
            None => Ok(Clicks::Topics(topics)),
        }
    }

    /// The topics among them.
    pub(super) fn topics(&self) -> &[String] {
        match self {
            Clicks::Files(_) => &[],
            Clicks::Topics(topics) => topics.lookout.topics(),
            Clicks::Raw(raw) => raw.then().map_or(&[], |topics| topics.lookout.topics()),
        }
    }
}

/// Refuses topics that the job cannot commit to; the first process does so for all.
pub(super) fn check_topics(
    aggregate: &Aggregate,
    config: &Config,
    places: &Places<'_>,
    clicks: &Clicks,
) -> Result<(), Failure> {
    let inputs = clicks.topics();
    let job = (aggregate.output == ResultPlace::Kafka).then_some(config.job.as_str());
    if aggregate.cluster.process > 0 || inputs.is_empty() && job.is_none() {
        return Ok(());
    }
    let own = job.into_iter().flat_map(|job| LOGS.map(|log| topic(job, log)));
    if let Some(input) = own.into_iter().find(|name| inputs.contains(name)) {
        return Err(Failure::refused(format!(
            "--input kafka:{input}: it is a result of job {}, which cannot read it",
            config.job,
        )));
    }
    let used = Use { inputs, job, options: &config.options };
    checks::check(places.cluster()?, &used)
}

/// Bytes of the input; an input that is not there is wrong usage.
pub(super) fn bytes(input: &Directory) -> Result<u64, Failure> {
    input.bytes().map_err(Failure::as_refused)
}

/// What a terminal shows of a raw log, and of what goes on from it.
pub(super) fn progress_of(raw: &RawLog, aggregate: &Aggregate) -> Progress {
    let progress = progress(aggregate, Some(raw.bytes()), raw.read.clone());
    match raw.then() {
        Some(topics) => progress.behind(topics),
        None => progress,
    }
}

/// What a terminal shows of it.
pub(super) fn progress(aggregate: &Aggregate, total: Option<u64>, read: Gauge) -> Progress {
    Progress::new(total, read, aggregate.stats, aggregate.no_progress)
}

/// Runs the job to its end, and says how it went.
pub(super) fn drive(
    mut job: Job,
    aggregate: &Aggregate,
    progress: Progress,
) -> Result<ExitCode, Failure> {
    job.communication = aggregate.cluster.communication();
    job.options.engine = aggregate.engine.into();
    if let Some(directory) = aggregate.spill.clone() {
        // Refused before anything is read.
        FileShelf::open(&directory).map_err(Failure::as_refused)?;
        job.shelf = Arc::new(move || Ok(Box::new(FileShelf::open(&directory)?)));
    }
    let several = aggregate.cluster.hosts.len() > 1;
    if several {
        // While it waits for others nothing has been read: a signal ends it at once.
        on_signals(&[SIGINT, SIGTERM], |signal| {
            register_conditional_shutdown(signal, 0, Arc::clone(&job.connecting))
        })?;
    }
    end_with_any_thread(several);
    let name = job.name.clone();
    let began = monotonic_ms();
    let summary = job.run(Box::new(progress))?;
    summary.lines(&name, monotonic_ms() - began).iter().for_each(|line| log::say(line));
    Ok(ExitCode::SUCCESS)
}

/// Ends the whole process when one of its threads panics, as the others would wait for it for
/// ever; with a clear message when that is because another process of the job has ended.
fn end_with_any_thread(several: bool) {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let file = panic.location().map_or("", |location| location.file());
        if several && file.contains("timely_communication") {
            log::complain(
                "another process of the job has ended, or runs another number of workers (-w): \
                 this one cannot go on alone; start all processes again, with the same -w, and \
                 they resume from the last commit",
            );
        } else {
            print(panic);
        }
        std::process::exit(Kind::Failed.exit_code().into());
    }));
}
