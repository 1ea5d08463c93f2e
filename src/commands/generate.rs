//! `clicks generate`: clicks with known truth, as fast as they can be made or in real time.

use std::process::ExitCode;

use crate::cli::Generate;
use crate::commands::stop_flag;
use crate::failure::{Attempt, Failure};
use crate::generate::{Pace, Progress, WriteError, Writing, write};
use crate::log;
use crate::worker::wall_ms;

/// Writes the clicks that the arguments describe, and their truth.
///
/// # Errors
///
/// When the directory holds others already, or cannot be written.
pub fn generate(generate: &Generate) -> Result<ExitCode, Failure> {
    let stop = stop_flag()?;
    let plan = generate.plan(wall_ms());
    let pace = Pace { now_ms: &wall_ms, sleep: &std::thread::sleep };
    let mut progress = |_: Progress| {};
    let writing =
        Writing { pace: generate.rate.map(|_| pace), stop: &stop, on_progress: &mut progress };
    let truth = match write(&plan, &generate.to, writing) {
        Ok(truth) => truth,
        Err(error @ WriteError::Io { .. }) => {
            return Err(error)
                .attempt(|| format!("cannot write clicks to {}", generate.to.display()));
        }
        Err(refused) => return Err(Failure::refused(refused.to_string())),
    };
    log::say(&format!(
        "{}: {} records of {} clicks, seed {}; what was generated is in truth.json",
        generate.to.display(),
        truth.records,
        truth.clicks,
        plan.seed,
    ));
    Ok(ExitCode::SUCCESS)
}
