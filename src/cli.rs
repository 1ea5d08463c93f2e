//! The command line: everything the program can be asked to do.
//!
//! Values are turned into the types of the program here; `config` checks settings against each
//! other.

mod generate;
mod promote;
mod raw;
mod results;
mod run;
mod serve;
mod topics;
mod value;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub use generate::{Clicks, Generate};
pub use promote::Promote;
pub use raw::{ArchiveArgs, RawCat, RawCheck, RawCommand, RawList, RawPlace, RawRetain};
pub use results::{By, Compare, Reach, Reconcile, ResultLog, RowFormat, Tail, TailFrom, Verify};
pub use run::{Aggregate, Cluster, EngineName, Replay, Run};
pub use serve::{Serve, StorePlace};
pub use topics::{Topics, TopicsCommand, TopicsCreate};
pub use value::{Assignment, JobLocation, LogPlace, Position, Property, ResultPlace, job_name};

const EXAMPLES: &str = "\
Examples:
  clicks demo                                           all of it, with nothing to prepare
  clicks generate --to clicks --clicks 1000000          clicks to count
  clicks run --input clicks --output results --job ads  count them
  clicks tail results ranks -f table                    the most clicked ads
  clicks serve results                                  ask and watch: http://127.0.0.1:8080
  clicks verify results --input clicks                  recount, and compare
  clicks replay --input clicks --output results --job ads-2 \\
      --marks-of results/ads                            the same again, from the past
  clicks compare results/ads results/ads-2              what differs between two jobs
  clicks promote results ads-2 --as live                readers of `--job live` get the other
  clicks topics create -b localhost:9092 --input clicks --job ads
  clicks run -b localhost:9092 --input kafka:clicks --output kafka: --job ads
                                                        the same from topic to topics
  clicks archive -b localhost:9092 --input kafka:clicks --raw raw
                                                        keep every record, in Parquet
  clicks replay --raw raw --output results --job again  the same from there
  clicks raw retain raw --hot 30d --cold cheaper        move old segments to a cheaper place
  clicks reconcile results --job ads --raw raw          its counts against the raw log
  clicks config show > clicks.toml                      all settings, to start from

Exit codes: 0 done, or stopped by SIGINT or SIGTERM; 1 failed; 2 wrong usage or configuration;
3 a check found a difference; 4 another instance owns the job";

/// Counts ad clicks with one dataflow, live or from the past, exactly once.
#[derive(Debug, Parser)]
#[command(name = "clicks", version, after_help = EXAMPLES, arg_required_else_help = true)]
pub struct Cli {
    /// How messages are written to stderr
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text", display_order = 999)]
    #[arg(env = "CLICKS_LOG_FORMAT", hide_env_values = true)]
    pub log_format: LogFormat,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// The command line that `args` state, the program's name first.
    ///
    /// The error is to be printed by its own `exit`, which also serves `--help` and `--version`.
    pub fn read(args: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
        let cli = Cli::try_parse_from(args)?;
        match &cli.command {
            Command::Run(run) => {
                run.aggregate.cluster.check()?;
                if run.aggregate.input.is_empty() {
                    return Err(missing("--input: what is to be aggregated"));
                }
            }
            Command::Replay(replay) => {
                replay.aggregate.cluster.check()?;
                if replay.aggregate.input.is_empty() && replay.aggregate.raw.is_none() {
                    return Err(missing("--input or --raw: what is to be replayed"));
                }
            }
            Command::Generate(generate) => generate.check()?,
            _ => {}
        }
        Ok(cli)
    }
}

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object a line
    Json,
}

/// One variant per verb. `main` matches on it, and does little else.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Aggregate clicks: a directory to its end, or as they arrive
    Run(Run),
    /// Aggregate recorded clicks again, between two positions, as a job of its own
    Replay(Replay),
    /// Write a reproducible stream of clicks with known truth
    Generate(Generate),
    /// Print the committed rows of a job
    Tail(Tail),
    /// Check ledger, digests and rows of a job; with its input, recount it
    Verify(Verify),
    /// Answer what a job has told over HTTP: REST, streams of changes, a page
    Serve(Serve),
    /// Keep every record of a log in the raw log, in Parquet, each once
    Archive(ArchiveArgs),
    /// Look at the raw log, or keep it in cheaper places
    #[command(subcommand)]
    Raw(RawCommand),
    /// Recount the raw log in bounded memory, and compare with what a job has told
    Reconcile(Reconcile),
    /// Compare the counts of two jobs: what would the bill be under other rules
    Compare(Compare),
    /// Let an alias that readers follow stand for a job, or show aliases
    Promote(Promote),
    /// Make the topics of a job, or check those that are there
    #[command(subcommand)]
    Topics(TopicsCommand),
    /// Generate, aggregate and show clicks in one process
    Demo(Demo),
    /// Show what is set, and where it was set
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a completion script for a shell
    Completions {
        /// The shell that is to complete `clicks`
        shell: Shell,
    },
}

/// Where settings come from: flags, then `CLICKS_SECTION_KEY` variables, then the file.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Configuration")]
pub struct ConfigArgs {
    /// Settings and filters (TOML); `clicks config show` prints one to start from
    #[arg(long, value_name = "FILE", env = "CLICKS_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,

    /// Set one value, such as `job.refresh=500ms`; may be repeated, and the last one counts
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    pub set: Vec<Assignment>,

    /// The name of the job and of its result logs; without it `job.name` [default: clicks]
    #[arg(long, value_name = "NAME", value_parser = job_name)]
    pub job: Option<String>,

    /// How Kafka is reached.
    #[command(flatten)]
    pub kafka: KafkaArgs,
}

/// How Kafka is reached, where that is not in the configuration.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Kafka")]
pub struct KafkaArgs {
    /// Brokers; without it `kafka.brokers` [default: localhost:9092]
    #[arg(long, short, value_name = "HOST:PORT,...")]
    pub brokers: Option<String>,

    /// A property for librdkafka, such as `security.protocol=SSL`; may be repeated
    #[arg(short = 'X', value_name = "KEY=VALUE")]
    pub properties: Vec<Property>,
}

/// Arguments of `clicks demo`.
#[derive(Args, Debug)]
pub struct Demo {
    /// How long it runs; without it, until Ctrl-C
    #[arg(long, value_name = "COUNT")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub seconds: Option<u64>,

    /// Records to generate in a second
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub rate: u64,

    /// Where a browser is shown the same; without it 127.0.0.1:8080, or another port if that is
    /// in use
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,

    /// The settings.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// What `clicks config` does.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print every setting and filter with its origin, as a file for `--config`
    Show(ConfigArgs),
}

/// An argument that is missing.
fn missing(what: &str) -> clap::Error {
    use clap::CommandFactory;
    let kind = clap::error::ErrorKind::MissingRequiredArgument;
    Cli::command().error(kind, format!("missing {what}"))
}

/// A use that no single argument can refuse by itself.
fn wrong(message: String) -> clap::Error {
    use clap::CommandFactory;
    Cli::command().error(clap::error::ErrorKind::ValueValidation, message)
}

#[cfg(test)]
mod tests {
    use timely::CommunicationConfig;

    use super::*;

    fn read(line: &str) -> Result<Cli, String> {
        Cli::read(line.split_whitespace().map(OsString::from)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_line_holds_together() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn a_replay_takes_what_a_run_takes() {
        let line = "clicks replay --input in --output out --job again -w 2 --marks-of out/ads";
        let more = "--from 2026-01-01T00:00:00Z --set job.top=5 --set job.emit=changes";
        let cli = read(&format!("{line} {more} --log-format json")).unwrap();
        let Command::Replay(replay) = cli.command else { panic!("it is a replay") };
        assert_eq!(cli.log_format, LogFormat::Json);
        assert_eq!(replay.until, Position::End);
        assert_eq!(replay.marks_of.unwrap().job, "ads");
        assert_eq!(replay.aggregate.config.set.len(), 2);
        let CommunicationConfig::Process(2) = replay.aggregate.cluster.communication() else {
            panic!("it has two workers")
        };
    }

    #[test]
    fn wrong_use_is_refused_with_the_reason() {
        let run = "clicks run --input in --output out";
        for (line, reason) in [
            ("clicks run --input in".to_owned(), "--output <DIR|kafka:>"),
            ("clicks run --input kafka:a/b --output out".to_owned(), "a topic's name is"),
            ("clicks run --input in --output kafka:ads".to_owned(), "named after the job"),
            (format!("{run} --job .ads"), "the first no dot"),
            (format!("{run} --set refresh"), "SECTION.KEY=VALUE"),
            (format!("{run} -w 0"), "1..=1024"),
            (format!("{run} --process 1"), "--hosts"),
            (format!("{run} --hosts a:1,b:2 --process 2"), "none of --hosts: 0 to 1"),
            (format!("{run} --hosts a:1,b"), "HOST:PORT"),
            ("clicks generate --to in --late 1.5".to_owned(), "from 0 to 1"),
            ("clicks generate --to in --late 0.6 --duplicates 0.5".to_owned(), "not below 1"),
            ("clicks replay --input in --output out --from soon".to_owned(), "RFC 3339"),
        ] {
            let refused = read(&line).unwrap_err();
            assert!(refused.contains(reason), "{line}: {refused}");
        }
    }
}
