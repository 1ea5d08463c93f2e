//! `clicks generate`: clicks with known truth, as fast as they can be made or in real time.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::cli::{Generate, LogPlace};
use crate::commands::{config, stop_flag};
use crate::failure::{Attempt, Failure};
use crate::generate::files::TRUTH;
use crate::generate::{Files, Outlet, Pace, Plan, Progress, Truth, Writing, write};
use crate::kafka::client::Cluster;
use crate::kafka::outlet::Topic;
use crate::log;
use crate::worker::wall_ms;

/// Partitions of a directory.
const PARTITIONS: u32 = 4;

/// Writes the clicks that the arguments describe, and their truth.
///
/// # Errors
///
/// When the directory holds others already, the topic is missing, or it cannot be written.
pub fn generate(args: &Generate) -> Result<ExitCode, Failure> {
    let stop = stop_flag()?;
    let (plan, mut outlet) = match &args.to {
        LogPlace::Directory(dir) => directory(args, dir)?,
        LogPlace::Topic(topic) => self::topic(args, topic)?,
    };
    let destination = Destination::open(args)?;
    let pace = Pace { now_ms: &wall_ms, sleep: &std::thread::sleep };
    let mut progress = |_: Progress| {};
    let writing =
        Writing { pace: args.rate.map(|_| pace), stop: &stop, on_progress: &mut progress };
    let truth = write(&plan, outlet.as_mut(), writing)?;
    destination.take(&truth)?;
    log::say(&format!(
        "{}: {} records of {} clicks, seed {}; what was generated is {}",
        args.to,
        truth.records,
        truth.clicks,
        plan.seed,
        destination.place(),
    ));
    Ok(ExitCode::SUCCESS)
}

fn directory(args: &Generate, dir: &Path) -> Result<(Plan, Box<dyn Outlet>), Failure> {
    let plan = checked_plan(args, PARTITIONS)?;
    let files = Files::create(dir, plan.partitions)?;
    Ok((plan, Box::new(files)))
}

fn topic(args: &Generate, name: &str) -> Result<(Plan, Box<dyn Outlet>), Failure> {
    let cluster = Cluster::new(&config(&args.reach.config())?.kafka)?;
    let topic = Topic::find(&cluster, name)?;
    let plan = checked_plan(args, topic.partitions())?;
    topic.check(&plan, wall_ms())?;
    if topic.records() > 0 {
        let records = topic.records();
        log::say(&format!("topic {name} holds {records} records already; more are added"));
    }
    Ok((plan, Box::new(topic.outlet(args.rate)?)))
}

/// The plan, if it can be carried out.
fn checked_plan(args: &Generate, partitions: u32) -> Result<Plan, Failure> {
    let plan = args.plan(wall_ms(), partitions);
    plan.check().map_err(Failure::refused)?;
    Ok(plan)
}

/// Where the truth goes.
enum Destination {
    /// Into the directory of the clicks.
    Beside(PathBuf),
    /// Into a file of its own.
    File(PathBuf),
    /// To stdout, as one line.
    Stdout,
}

impl Destination {
    /// What the arguments say; a file of its own is made, as it may take hours to the end.
    fn open(args: &Generate) -> Result<Destination, Failure> {
        match (&args.truth, &args.to) {
            (Some(path), _) => {
                fs::write(path, "").attempt(|| format!("cannot write {}", path.display()))?;
                Ok(Destination::File(path.clone()))
            }
            (None, LogPlace::Directory(dir)) => Ok(Destination::Beside(dir.join(TRUTH))),
            (None, LogPlace::Topic(_)) => Ok(Destination::Stdout),
        }
    }

    fn take(&self, truth: &Truth) -> Result<(), Failure> {
        match self {
            Destination::Beside(path) | Destination::File(path) => {
                let text = serde_json::to_string_pretty(truth).expect("the truth is plain data");
                let written = fs::write(path, text + "\n");
                written.attempt(|| format!("cannot write {}", path.display()))
            }
            Destination::Stdout => {
                println!("{}", serde_json::to_string(truth).expect("the truth is plain data"));
                Ok(())
            }
        }
    }

    /// For people.
    fn place(&self) -> String {
        match self {
            Destination::Beside(_) => format!("in {TRUTH}"),
            Destination::File(path) => format!("in {}", path.display()),
            Destination::Stdout => "on stdout".to_owned(),
        }
    }
}
