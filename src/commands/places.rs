//! Where logs are, from what the command line says.

use std::cell::OnceCell;
use std::sync::Arc;

use crate::alias::{self, Alias};
use crate::cli::{JobLocation, LogPlace, ResultPlace};
use crate::config::Config;
use crate::failure::Failure;
use crate::files::aliases::AliasFiles;
use crate::files::disk::LocalDisk;
use crate::files::results::ResultDirectory;
use crate::kafka::aliases::AliasTopic;
use crate::kafka::client::Cluster;
use crate::kafka::results::ResultTopics;
use crate::log;
use crate::sink::Results;

/// Places of logs, under a configuration.
pub struct Places<'a> {
    config: &'a Config,
    cluster: OnceCell<Cluster>,
}

impl<'a> Places<'a> {
    /// Places under `config`.
    pub fn new(config: &'a Config) -> Places<'a> {
        Places { config, cluster: OnceCell::new() }
    }

    /// The cluster of all topics, of which only those who use topics know.
    ///
    /// # Errors
    ///
    /// When the configuration of Kafka is refused.
    pub fn cluster(&self) -> Result<&Cluster, Failure> {
        if let Some(cluster) = self.cluster.get() {
            return Ok(cluster);
        }
        let cluster = Cluster::new(&self.config.kafka)?;
        Ok(self.cluster.get_or_init(|| cluster))
    }

    /// The results of `job` at `place`; `inputs` are the topics that the job reads.
    ///
    /// # Errors
    ///
    /// Those of [`Places::cluster`].
    pub fn results(
        &self,
        place: &ResultPlace,
        job: &str,
        inputs: &[String],
    ) -> Result<Arc<dyn Results>, Failure> {
        Ok(match place {
            ResultPlace::Directory(path) => Arc::new(ResultDirectory::new(path.clone(), job)),
            ResultPlace::Kafka => Arc::new(ResultTopics {
                cluster: self.cluster()?.clone(),
                job: job.to_owned(),
                inputs: inputs.to_vec(),
            }),
        })
    }

    /// The job that `location` names, or for which the alias stands that it names, which is said.
    ///
    /// # Errors
    ///
    /// Those of [`Places::cluster`], and when aliases cannot be read.
    pub fn job(&self, location: &JobLocation) -> Result<String, Failure> {
        let JobLocation { results, job } = location;
        let alias = match results {
            ResultPlace::Directory(directory) => {
                AliasFiles { disk: &LocalDisk, directory }.find(job)?
            }
            ResultPlace::Kafka => alias::find(AliasTopic { cluster: self.cluster()? }.all()?, job),
        };
        let Some(Alias { alias, job, .. }) = alias else { return Ok(job.clone()) };
        log::say(&format!("{alias} is job {job} in {results}"));
        Ok(job)
    }
}

/// The topics that are at `input`.
///
/// # Errors
///
/// When one is no topic, or given twice.
pub fn topics(input: &[LogPlace]) -> Result<Vec<String>, Failure> {
    let mut topics = Vec::new();
    for place in input {
        let LogPlace::Topic(topic) = place else {
            return Err(Failure::refused(format!(
                "--input {place}: several inputs are topics, and one directory is all",
            )));
        };
        if topics.contains(topic) {
            return Err(Failure::refused(format!("--input {place} is given twice")));
        }
        topics.push(topic.clone());
    }
    Ok(topics)
}
