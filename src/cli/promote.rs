//! The command that moves aliases.

use clap::Args;

use super::results::{Reach, RowFormat};
use super::value::{ResultPlace, job_name};

/// Arguments of `clicks promote`.
#[derive(Args, Debug)]
pub struct Promote {
    /// Where the result logs of the jobs are: a directory, or `kafka:`
    #[arg(value_name = "RESULTS")]
    pub results: ResultPlace,

    /// The job for which the alias is to stand; without it aliases are shown
    #[arg(value_name = "JOB", value_parser = job_name, requires = "alias")]
    pub job: Option<String>,

    /// The alias, a name that no job has there; without it all are shown
    #[arg(long = "as", value_name = "ALIAS", value_parser = job_name)]
    pub alias: Option<String>,

    /// Let it stand for the job though that is more than a minute behind the one before
    #[arg(long, requires = "job")]
    pub force: bool,

    /// Take the alias away
    #[arg(long, requires = "alias", conflicts_with = "job")]
    pub remove: bool,

    /// How aliases are printed
    #[arg(long, short, value_name = "FORMAT", default_value = "table")]
    pub format: RowFormat,

    /// How topics are reached.
    #[command(flatten)]
    pub reach: Reach,
}
