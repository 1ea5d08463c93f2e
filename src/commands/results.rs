//! `clicks tail` and `clicks verify`: a job's results, read.

use std::process::ExitCode;

use crate::cli::{Tail, Verify};
use crate::commands::stop_flag;
use crate::failure::Failure;
use crate::files::disk::LocalDisk;
use crate::tail::{Tailing, tail};
use crate::verify::verify;

/// Prints committed rows, as they come.
///
/// # Errors
///
/// When there is no such job, or it cannot be read.
pub fn print_rows(args: &Tail) -> Result<ExitCode, Failure> {
    let stop = stop_flag()?;
    let tailing = Tailing {
        disk: &LocalDisk,
        results: &args.results,
        job: args.job.as_deref(),
        log: args.log,
        from: args.from,
        format: args.format,
        follow: !args.no_follow,
        stop: &stop,
        sleep: &std::thread::sleep,
    };
    tail(&tailing, &mut std::io::stdout().lock())?;
    Ok(ExitCode::SUCCESS)
}

/// Checks ledger, digests and rows, and recounts the input if it is given.
///
/// # Errors
///
/// When there is a difference, or the results cannot be read.
pub fn check(args: &Verify) -> Result<ExitCode, Failure> {
    let input = args.input.as_deref();
    let verified = verify(&LocalDisk, &args.results, args.job.as_deref(), input)?;
    for line in &verified.lines {
        println!("{line}");
    }
    verified.failure().map_or(Ok(ExitCode::SUCCESS), Err)
}
