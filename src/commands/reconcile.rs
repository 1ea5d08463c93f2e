//! `clicks reconcile`: a job's counts against the raw log.

use std::process::ExitCode;
use std::sync::Arc;

use clicks_replay::sort::Room;
use clicks_replay::unlinked::unlinked;

use crate::cli::Reconcile;
use crate::commands::results::jobs;
use crate::commands::stop_flag;
use crate::failure::{Attempt, Failure};
use crate::reconcile::{Reconciling, continuously, reconcile as compare};

/// Recounts the raw log, and compares.
///
/// # Errors
///
/// When there is a difference, or something cannot be read.
pub fn reconcile(args: &Reconcile) -> Result<ExitCode, Failure> {
    let directory = args.spill.clone().unwrap_or_else(std::env::temp_dir);
    unlinked(&directory)
        .attempt(|| format!("--spill {}: it takes no files", directory.display()))
        .map_err(Failure::as_refused)?;
    let bytes = usize::try_from(args.memory).unwrap_or(usize::MAX);
    if args.curve && args.continuous {
        return Err(Failure::refused(
            "--curve: it is of all clicks of a range, and an hour that has settled has not seen its \
             late ones; ask for it with --from and --until, without --continuous",
        ));
    }
    let stop = if args.continuous { stop_flag()? } else { Arc::default() };
    let results = jobs(&args.results, &args.reach, &stop)?;
    let asked = Reconciling {
        results: &*results,
        job: args.job.as_deref(),
        raw: &args.raw,
        topics: &args.topic,
        from: args.from,
        until: args.until,
        top: args.top,
        room: Room { bytes, directory },
        curve: args.curve,
        stop: &stop,
    };
    let out = &mut std::io::stdout().lock();
    if args.continuous { continuously(&asked, out) } else { compare(&asked, out) }?;
    Ok(ExitCode::SUCCESS)
}
