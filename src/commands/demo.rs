//! `clicks demo`: generator, graph and a live table in one process.

use std::process::ExitCode;

use crate::cli::Demo;
use crate::failure::Failure;

/// Runs for the seconds that were asked for, or until it is stopped.
///
/// # Errors
///
/// When the generator or the job fails.
pub fn demo(_demo: &Demo) -> Result<ExitCode, Failure> {
    Err(Failure::new("not yet"))
}
