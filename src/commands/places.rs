//! Where logs are, from what the command line says.

use std::sync::Arc;

use crate::cli::ResultPlace;
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
