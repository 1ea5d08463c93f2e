//! `clicks promote`: aliases moved, taken away and shown.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use clicks_dataflows::time::Time;

use crate::alias::Alias;
use crate::cli::{Promote, RowFormat};
use crate::commands::results::jobs;
use crate::failure::Failure;
use crate::log;
use crate::logs::Jobs;
use crate::promote::{Promotion, known, remove};
use crate::tail::written;
use crate::worker::wall_ms;

/// Lets an alias stand for a job, takes it away, or shows what there is.
///
/// # Errors
///
/// When that is refused, or aliases cannot be read or written.
pub fn promote(args: &Promote) -> Result<ExitCode, Failure> {
    let results = jobs(&args.results, &args.reach, &Arc::default())?;
    let shown = match (&args.alias, &args.job) {
        (Some(alias), Some(job)) => {
            let promotion = Promotion { alias, job, force: args.force, now: Time(wall_ms()) };
            let (alias, notes) = promotion.make(&*results)?;
            notes.iter().for_each(|note| log::warn(note));
            vec![alias]
        }
        (Some(alias), None) if args.remove => vec![taken_away(&*results, alias)?],
        (Some(alias), None) => vec![known(&*results, alias)?],
        (None, _) => all(&*results)?,
    };
    print(&shown, args.format)?;
    Ok(ExitCode::SUCCESS)
}

fn taken_away(results: &dyn Jobs, alias: &str) -> Result<Alias, Failure> {
    let alias = remove(results, alias)?;
    log::say(&format!("{} is an alias in {} no more", alias.alias, results.place()));
    Ok(alias)
}

fn all(results: &dyn Jobs) -> Result<Vec<Alias>, Failure> {
    let aliases = results.aliases()?;
    if aliases.is_empty() {
        log::say(&format!("{} has no aliases", results.place()));
    }
    Ok(aliases)
}

/// Prints aliases to stdout.
fn print(aliases: &[Alias], format: RowFormat) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let columns = |texts: [&str; 4]| {
        let [alias, job, since, before] = texts;
        let line = format!("{alias:<20}  {job:<20}  {since:<24}  {before}");
        line.trim_end().to_owned()
    };
    if format == RowFormat::Table && !aliases.is_empty() {
        written(writeln!(out, "{}", columns(["ALIAS", "JOB", "SINCE", "BEFORE"])))?;
    }
    for kept in aliases {
        let Alias { alias, job, since, before } = kept;
        let line = match format {
            RowFormat::Json => kept.line(),
            RowFormat::Table => {
                columns([alias, job, &since.to_string(), before.as_deref().unwrap_or("")])
            }
        };
        if !written(writeln!(out, "{line}"))? {
            break;
        }
    }
    Ok(())
}
