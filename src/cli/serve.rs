//! `clicks serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use super::Reach;
use super::value::{ResultPlace, job_name};
use crate::duration::Duration;

/// Arguments of `clicks serve`.
#[derive(Args, Debug)]
pub struct Serve {
    /// Where the job's result logs are: a directory, or `kafka:` for topics named after the job
    #[arg(value_name = "RESULTS")]
    pub results: ResultPlace,

    /// The job, or an alias of it, where there are several
    #[arg(long, value_name = "NAME", value_parser = job_name)]
    pub job: Option<String>,

    /// Where to listen
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    /// Where the view is kept; without it, in a temporary directory that is built anew
    #[arg(long, value_name = "embedded:DIR")]
    pub store: Option<StorePlace>,

    /// Minutes are kept so long after the newest, in whole days; without it, all of them
    #[arg(long, value_name = "LENGTH")]
    pub keep: Option<Duration>,

    /// A file with the token that every request must bring, as a bearer or as a password
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// Speak TLS: a file (PEM) with the certificate, and those that lead to a known one
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// The key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// Serve whoever reaches another address than a loopback one, without a token
    #[arg(long, conflicts_with = "token_file")]
    pub public: bool,

    /// How topics are reached.
    #[command(flatten)]
    pub reach: Reach,
}

/// Where a view is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorePlace {
    /// In a directory, by a store in the process.
    Embedded(PathBuf),
}

impl FromStr for StorePlace {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<StorePlace, &'static str> {
        match text.split_once(':') {
            Some(("embedded", directory)) if !directory.is_empty() => {
                Ok(StorePlace::Embedded(PathBuf::from(directory)))
            }
            _ => Err("a store is embedded:DIR"),
        }
    }
}
