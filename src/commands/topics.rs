//! `clicks topics create` and `clicks topics check`: topics compared with what they should be.
//!
//! stdout has a line for each topic that is as it should be, and for each thing that is not; how it
//! is mended goes to stderr.

use std::collections::BTreeMap;
use std::process::ExitCode;

use crate::alias;
use crate::cli::{Topics, TopicsCommand, TopicsCreate};
use crate::commands::config;
use crate::config::Config;
use crate::failure::{Failure, Kind};
use crate::kafka::admin::{Admin, Extent};
use crate::kafka::aliases::AliasTopic;
use crate::kafka::checks::clicks_notes;
use crate::kafka::client::Cluster;
use crate::kafka::topics::{Holds, Wanted};
use crate::log;
use crate::plural::some;

/// Makes topics, or compares them.
///
/// # Errors
///
/// When the brokers do not answer, will not make a topic, or one is not as it should be.
pub fn topics(command: &TopicsCommand) -> Result<ExitCode, Failure> {
    match command {
        TopicsCommand::Create(TopicsCreate { dry_run, topics }) => {
            let mut compared = Compared::new(topics)?;
            compared.create(*dry_run)?;
            compared.compare()
        }
        TopicsCommand::Check(topics) => {
            let compared = Compared::new(topics)?;
            compared.say_missing();
            compared.compare()
        }
    }
}

/// Topics as they should be, beside what is there.
struct Compared {
    admin: Admin,
    cluster: Cluster,
    config: Config,
    wanted: Vec<Wanted>,
    there: BTreeMap<String, Extent>,
    job: Option<String>,
    /// Those that will not be missing.
    made: Vec<String>,
}

impl Compared {
    fn new(topics: &Topics) -> Result<Compared, Failure> {
        let config = config(&topics.reach.config())?;
        let cluster = Cluster::new(&config.kafka)?;
        let admin = Admin::new(&cluster)?;
        let wanted = topics.plan().topics();
        if let Some(topic) = double(&wanted) {
            return Err(Failure::refused(format!(
                "topic {topic} cannot be both clicks and results: name another --input or --job",
            )));
        }
        let names: Vec<&str> = wanted.iter().map(|wanted| wanted.topic.as_str()).collect();
        let there = admin.extents(&names)?;
        let job = topics.job.clone();
        Ok(Compared { admin, cluster, config, wanted, there, job, made: Vec::new() })
    }

    /// Refuses topics of a job whose name is an alias.
    fn check_name(&self) -> Result<(), Failure> {
        let Some(job) = &self.job else { return Ok(()) };
        let aliases = AliasTopic { cluster: &self.cluster }.all()?;
        let place = format!("kafka at {}", self.cluster.brokers());
        alias::find(aliases, job).map_or(Ok(()), |alias| Err(alias.refuse_job(&place)))
    }

    fn is_there(&self, wanted: &Wanted) -> bool {
        self.there.contains_key(&wanted.topic)
    }

    /// Says what is missing, and how it is made.
    fn say_missing(&self) {
        let missing: Vec<&Wanted> =
            self.wanted.iter().filter(|wanted| !self.is_there(wanted)).collect();
        missing.iter().for_each(|wanted| println!("{}: missing", wanted.topic));
        if !missing.is_empty() {
            log::say("to make what is missing: `clicks topics create` with the same options");
        }
    }

    /// Makes what is missing, in order, up to the first that cannot be made.
    fn create(&mut self, dry_run: bool) -> Result<(), Failure> {
        self.check_name()?;
        for wanted in &self.wanted {
            if self.is_there(wanted) {
                continue;
            }
            let new = wanted.new_topic();
            self.admin.create(&new, dry_run)?;
            let verb = if dry_run { "would be made" } else { "made" };
            println!("{}: {verb}, {}", wanted.topic, some(new.partitions, "partition"));
            self.made.push(new.topic);
        }
        if !dry_run {
            let made: Vec<&str> = self.made.iter().map(String::as_str).collect();
            let extents = self.admin.extents(&made)?;
            self.there.extend(extents);
        }
        Ok(())
    }

    /// Compares what is there; a difference ends with the exit code that says so.
    fn compare(&self) -> Result<ExitCode, Failure> {
        let there: Vec<&Wanted> =
            self.wanted.iter().filter(|wanted| self.is_there(wanted)).collect();
        let names: Vec<&str> = there.iter().map(|wanted| wanted.topic.as_str()).collect();
        let mut mends = Vec::new();
        let will_be = |wanted: &&Wanted| self.is_there(wanted) || self.made.contains(&wanted.topic);
        let mut wrong = self.wanted.len() - self.wanted.iter().filter(will_be).count();
        for (wanted, settings) in there.into_iter().zip(self.admin.settings(&names)?) {
            let topic = &wanted.topic;
            let settings = settings.ok_or_else(|| {
                Failure::new(format!(
                    "cannot read the settings of topic {topic}: this user may not \
                     (DescribeConfigs)",
                ))
            })?;
            let extent = &self.there[topic];
            let differences = wanted.differences(extent, &settings);
            for difference in &differences {
                let (setting, is, should) =
                    (difference.setting, &difference.is, &difference.should);
                println!("{topic}: {setting} is {is}, should be {should}");
                mends.push(wanted.mend(difference, self.cluster.brokers()));
            }
            wrong += usize::from(!differences.is_empty());
            if differences.is_empty() && !self.made.contains(topic) {
                println!("{topic}: as it should be, {}", some(extent.partitions, "partition"));
            }
            if wanted.holds == Holds::Clicks {
                // The times of its producers are told as a difference.
                let notes = clicks_notes(topic, &settings, &self.config.options);
                let notes = notes.iter().filter(|note| !note.contains("CreateTime"));
                notes.for_each(|note| log::say(note));
            }
        }
        mends.iter().for_each(|mend| log::say(&format!("to mend {mend}")));
        match wrong {
            0 => Ok(ExitCode::SUCCESS),
            1 => Err(Failure::of(Kind::Differs, "a topic is not as it should be")),
            _ => {
                Err(Failure::of(Kind::Differs, format!("{wrong} topics are not as they should be")))
            }
        }
    }
}

/// A topic that is wanted twice.
fn double(wanted: &[Wanted]) -> Option<&str> {
    let names: Vec<&str> = wanted.iter().map(|wanted| wanted.topic.as_str()).collect();
    names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)).map(|(_, name)| *name)
}
