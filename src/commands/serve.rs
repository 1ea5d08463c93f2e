//! `clicks serve`: a view over the results of a job, asked over HTTP.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clicks_view::api::{Site, Token};
use clicks_view::{Serving, Store, Tls};

use crate::alias;
use crate::cli::{Serve, StorePlace};
use crate::commands::{config, results, stop_flag};
use crate::failure::{Attempt, Failure};
use crate::jobs::{Found, find};
use crate::log;
use crate::logs::Jobs;
use crate::serve::{Following, Keeping, listen, open_store, serve as begin};
use crate::temporary::TemporaryDirectory;

/// Bytes of a token at least.
const TOKEN_BYTES_MIN: usize = 16;

/// Follows a job, and answers, until it is stopped.
///
/// # Errors
///
/// When there is no such job, its logs cannot be read, or the store or the address cannot be had.
pub fn serve(args: &Serve) -> Result<ExitCode, Failure> {
    let (token, tls) = (token(args)?, tls(args)?);
    let scheme = if tls.is_some() { "https" } else { "http" };
    let stop = stop_flag()?;
    let jobs = results::jobs(&args.results, &args.reach, &stop)?;
    // Names are what the settings call filters; nothing depends on them.
    let names = config(&args.reach.config())?.options.filters.names();
    let mut found = find(&*jobs, args.job.as_deref())?;
    let mut listener = Some(listen(args.listen)?);
    let temporary =
        if args.store.is_none() { Some(TemporaryDirectory::new("view")?) } else { None };
    let mut stores: BTreeMap<String, Arc<Store>> = BTreeMap::new();
    let mut served: Option<(Site, Serving)> = None;
    loop {
        let store = match stores.get(&found.job) {
            // An alias may be moved back.
            Some(store) => Arc::clone(store),
            None => open_store(&place(args, temporary.as_ref(), &found.job))?,
        };
        stores.insert(found.job.clone(), Arc::clone(&store));
        let keep_ms = args.keep.map(|keep| keep.0);
        let keeping = Keeping { store, keep_ms, names: names.clone(), stop: &stop };
        let begun = Following::begin(&found.job, jobs.open(&found.job)?, &keeping)?;
        let Some(mut following) = begun else { break };
        if let Some((site, _)) = &served {
            // The view of the other job is asked until this one has caught up.
            following.catch_up(&stop)?;
            site.show(Arc::clone(&following.view));
        } else if let Some(listener) = listener.take() {
            let site = Site::new(Arc::clone(&following.view));
            let serving = begin(listener, &site, (token.clone(), tls.clone()))?;
            let address = serving.address;
            log::say(&format!("job {} is served at {scheme}://{address}", found.job));
            served = Some((site, serving));
        }
        let Some(job) = following.follow(&stop, &|| moved(&*jobs, &found))? else { break };
        log::say(&format!("{} is job {job}", found.alias.as_deref().unwrap_or_default()));
        found.job = job;
    }
    drop(served);
    drop(stores);
    temporary.map_or(Ok(()), TemporaryDirectory::remove)?;
    Ok(ExitCode::SUCCESS)
}

/// The job that the alias stands for by which a job was found, if that is another one.
fn moved(jobs: &dyn Jobs, found: &Found) -> Option<String> {
    // What cannot be read is looked at again, and an alias that is gone is followed no further.
    let alias = alias::find(jobs.aliases().ok()?, found.alias.as_deref()?)?;
    (alias.job != found.job).then_some(alias.job)
}

/// Where the view of `job` is kept.
fn place(args: &Serve, temporary: Option<&TemporaryDirectory>, job: &str) -> PathBuf {
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

/// What makes connections those of TLS, if it is asked for.
fn tls(args: &Serve) -> Result<Option<Tls>, Failure> {
    let Some((certificate, key)) = args.tls_cert.as_ref().zip(args.tls_key.as_ref()) else {
        return Ok(None);
    };
    let tls = Tls::read(certificate, key).attempt(|| "cannot speak TLS".to_owned());
    tls.map(Some).map_err(Failure::as_refused)
}
