//! Where logs are, from what the command line says.

use std::sync::Arc;

use crate::cli::{LogPlace, ResultPlace};
use crate::config::Config;
use crate::failure::Failure;
use crate::files::results::ResultDirectory;
use crate::kafka::client::Cluster;
use crate::kafka::results::ResultTopics;
use crate::sink::Results;

/// The results of `job` at `place`; `inputs` are the topics that the job reads.
///
/// # Errors
///
/// When the configuration of Kafka is refused.
pub fn results(
    place: &ResultPlace,
    job: &str,
    config: &Config,
    inputs: &[String],
) -> Result<Arc<dyn Results>, Failure> {
    Ok(match place {
        ResultPlace::Directory(path) => Arc::new(ResultDirectory::new(path.clone(), job)),
        ResultPlace::Kafka => Arc::new(ResultTopics {
            cluster: Cluster::new(&config.kafka)?,
            job: job.to_owned(),
            inputs: inputs.to_vec(),
        }),
    })
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
