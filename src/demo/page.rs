//! The page of a demonstration: a view of its job, served by this process.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use clicks_dataflows::filter::FilterId;
use clicks_view::api::Site;

use super::Showing;
use super::running::spawn;
use crate::failure::{Attempt, Failure};
use crate::files::disk::LocalDisk;
use crate::files::logs::JobFiles;
use crate::logs::Jobs;
use crate::serve::{Following, Keeping, open_store, serve};
use crate::temporary::TemporaryDirectory;

/// How long to wait before the job's ledger is looked for again.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Serves the job in `directory` at `listener`, until the demonstration is stopped.
///
/// # Errors
///
/// When there are no threads to be had.
pub fn start(
    listener: &TcpListener,
    showing: &Showing,
    directory: &TemporaryDirectory,
) -> Result<JoinHandle<Result<(), Failure>>, Failure> {
    let listener = listener.try_clone().attempt(|| "cannot serve the page".to_owned())?;
    let served = Served {
        job: showing.config.job.clone(),
        results: directory.inner("results")?,
        store: directory.inner("view")?,
        names: showing.config.options.filters.names(),
        stop: Arc::clone(&showing.stop),
    };
    spawn("page", move || served.follow(listener))
}

/// What is served.
struct Served {
    job: String,
    results: PathBuf,
    store: PathBuf,
    names: BTreeMap<FilterId, String>,
    stop: Arc<AtomicBool>,
}

impl Served {
    fn follow(self, listener: TcpListener) -> Result<(), Failure> {
        let Served { job, results, store, names, stop } = self;
        let files = JobFiles::new(&LocalDisk, &results);
        while !files.jobs()?.contains(&job) && !stop.load(Ordering::Relaxed) {
            thread::sleep(LOOK_EVERY);
        }
        let keeping = Keeping { store: open_store(&store)?, keep_ms: None, names, stop: &stop };
        if stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        let Some(mut following) = Following::begin(&job, files.open(&job)?, &keeping)? else {
            return Ok(());
        };
        let _serving = serve(listener, &Site::new(Arc::clone(&following.view)), (None, None))?;
        following.follow(&stop, &|| None).map(drop)
    }
}
