//! Steps at which a test stops the program, to kill it there or to let it go on.
//!
//! With `CLICKS_FAILPOINT=STEP` in its environment the program stops itself (SIGSTOP) when it comes
//! to that step; with `STEP:N`, when it comes there for the Nth time. With `CLICKS_STEP_FILE=PATH`
//! that file holds the step that it has reached last, for whoever kills it at random.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// All steps of a start and of a commit, in their order.
pub const STEPS: [&str; 17] = [
    "before-init",
    "after-init",
    "before-ledger",
    "after-ledger",
    "before-begin",
    "after-begin",
    "after-counts",
    "after-ranks",
    "after-rejects",
    "after-ledger-line",
    "before-flush",
    "after-flush",
    "before-offsets",
    "after-offsets",
    "before-commit",
    "commit-sent",
    "commit-answered",
];

/// The step at which to stop, and how often it is still passed.
static STOP: OnceLock<Option<(String, AtomicU64)>> = OnceLock::new();

/// Where the last step is written.
static LAST: OnceLock<Option<File>> = OnceLock::new();

/// Stops here, if that was asked for.
pub fn reach(step: &str) {
    debug_assert!(STEPS.contains(&step), "{step} is no step");
    if let Some(file) = LAST.get_or_init(last_step) {
        file.write_at(format!("{step:20}").as_bytes(), 0).expect("a test's file is written");
    }
    let Some((stop, times)) = STOP.get_or_init(asked) else { return };
    if stop == step && times.fetch_sub(1, Ordering::Relaxed) == 1 {
        crate::log::say(&format!("failpoint {step}"));
        signal_hook::low_level::raise(signal_hook::consts::SIGSTOP)
            .expect("a process stops itself");
    }
}

/// Whether this step is the one to stop at next, so that it is worth to arrange it.
pub fn asked_for(step: &str) -> bool {
    let asked = STOP.get_or_init(asked).as_ref();
    asked.is_some_and(|(stop, times)| stop == step && times.load(Ordering::Relaxed) == 1)
}

fn last_step() -> Option<File> {
    let path = std::env::var_os("CLICKS_STEP_FILE")?;
    Some(File::create(path).expect("a test's file is made"))
}

fn asked() -> Option<(String, AtomicU64)> {
    let text = std::env::var("CLICKS_FAILPOINT").ok()?;
    let (step, times) = text.split_once(':').unwrap_or((&text, "1"));
    Some((step.to_owned(), AtomicU64::new(times.parse().ok()?)))
}
