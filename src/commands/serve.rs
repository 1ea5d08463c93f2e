//! `clicks serve`: a view over the results of a job, asked over HTTP.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clicks_view::api::Token;

use crate::cli::{Serve, StorePlace};
use crate::commands::{config, results, stop_flag};
use crate::failure::{Attempt, Failure};
use crate::jobs::find_job;
use crate::log;
use crate::serve::{Following, Keeping, listen, serve as begin};
use crate::temporary::TemporaryDirectory;

/// Bytes of a token at least.
const TOKEN_BYTES_MIN: usize = 16;

/// Follows a job, and answers, until it is stopped.
///
/// # Errors
///
/// When there is no such job, its logs cannot be read, or the store or the address cannot be had.
pub fn serve(args: &Serve) -> Result<ExitCode, Failure> {
    let token = token(args)?;
    let stop = stop_flag()?;
    let jobs = results::jobs(&args.results, &args.reach, &stop)?;
    let job = find_job(&*jobs, args.job.as_deref())?;
    let listener = listen(args.listen)?;
    let temporary =
        if args.store.is_none() { Some(TemporaryDirectory::new("view")?) } else { None };
    let keeping = Keeping {
        store: &store(args, temporary.as_ref(), &job),
        keep_ms: args.keep.map(|keep| keep.0),
        names: names(args)?,
        stop: &stop,
    };
    if let Some(mut following) = Following::begin(&job, jobs.open(&job)?, &keeping)? {
        let serving = begin(listener, &following.view, token)?;
        log::say(&format!("job {job} is served at http://{}", serving.address));
        following.follow(&stop)?;
    }
    temporary.map_or(Ok(()), TemporaryDirectory::remove)?;
    Ok(ExitCode::SUCCESS)
}

/// Where the view of `job` is kept.
fn store(args: &Serve, temporary: Option<&TemporaryDirectory>, job: &str) -> PathBuf {
    match (&args.store, temporary) {
        (Some(StorePlace::Embedded(directory)), _) => directory.join(job),
        (None, Some(temporary)) => temporary.path().join(job),
        (None, None) => unreachable!("there is a temporary directory where no store is named"),
    }
}

/// What every request must bring, if it is served to others than this machine.
fn token(args: &Serve) -> Result<Option<Token>, Failure> {
    let Some(file) = &args.token_file else {
        if args.public || args.listen.ip().is_loopback() {
            return Ok(None);
        }
        return Err(Failure::refused(format!(
            "--listen {}: whoever reaches that address could read everything: name a --token-file, \
             or say --public",
            args.listen,
        )));
    };
    let text = std::fs::read_to_string(file);
    let text = text.attempt(|| format!("cannot read --token-file {}", file.display()));
    let text = text.map_err(Failure::as_refused)?;
    let token = text.trim();
    if token.len() < TOKEN_BYTES_MIN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Failure::refused(format!(
            "--token-file {}: a token is at least {TOKEN_BYTES_MIN} letters, digits or signs, on \
             one line, as `openssl rand -hex 32` makes them",
            file.display(),
        )));
    }
    Ok(Some(Token::new(token)))
}

/// What the settings call the filters; nothing depends on it.
fn names(args: &Serve) -> Result<BTreeMap<u32, String>, Failure> {
    let filters = config(&args.reach.config())?.options.filters;
    Ok(filters.names().map(|(id, name)| (id, name.to_owned())).collect())
}
