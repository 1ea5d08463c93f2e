//! Steps at which a test stops the program, to kill it there or to let it go on.
//!
//! With `CLICKS_FAILPOINT=STEP` in its environment the program stops itself (SIGSTOP) when it comes
//! to that step; with `STEP:N`, when it comes there for the Nth time. With `STEP:hang` the thread
//! that comes there goes no further, as if a call did not return. With `CLICKS_STEP_FILE=PATH` that
//! file holds the step that it has reached last, for whoever kills it at random.

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

/// All steps by which a segment comes into a raw log, in their order.
pub const ARCHIVE_STEPS: [&str; 6] = [
    "segment-begun",
    "segment-filled",
    "segment-finished",
    "segment-sealed",
    "segment-put",
    "segment-known",
];

/// All steps by which segments leave a raw log, in their order.
pub const RETAIN_STEPS: [&str; 7] = [
    "cold-marked",
    "cold-named",
    "segment-removed",
    "segment-read",
    "segment-copied",
    "segment-compared",
    "segment-moved",
];

/// What is to happen at a step.
enum Fault {
    /// The program stops when it has come there so often.
    Stop(AtomicU64),
    /// The thread hangs.
    Hang,
}

/// The step at which something is to happen.
static ASKED: OnceLock<Option<(String, Fault)>> = OnceLock::new();

/// Where the last step is written.
static LAST: OnceLock<Option<File>> = OnceLock::new();

/// Stops here, if that was asked for.
pub fn reach(step: &str) {
    let mut steps = STEPS.iter().chain(&ARCHIVE_STEPS).chain(&RETAIN_STEPS);
    debug_assert!(steps.any(|known| *known == step), "{step} is no step");
    if let Some(file) = LAST.get_or_init(last_step) {
        file.write_at(format!("{step:20}").as_bytes(), 0).expect("a test's file is written");
    }
    let Some((_, fault)) = ASKED.get_or_init(asked).as_ref().filter(|asked| asked.0 == step) else {
        return;
    };
    match fault {
        Fault::Stop(times) if times.fetch_sub(1, Ordering::Relaxed) == 1 => {
            crate::log::say(&format!("failpoint {step}"));
            signal_hook::low_level::raise(signal_hook::consts::SIGSTOP)
                .expect("a process stops itself");
        }
        Fault::Stop(_) => {}
        Fault::Hang => {
            crate::log::say(&format!("failpoint {step}"));
            loop {
                std::thread::park();
            }
        }
    }
}

/// Whether this step is the one to stop at next, so that it is worth to arrange it.
pub fn asked_for(step: &str) -> bool {
    match ASKED.get_or_init(asked) {
        Some((stop, Fault::Stop(times))) => stop == step && times.load(Ordering::Relaxed) == 1,
        _ => false,
    }
}

fn last_step() -> Option<File> {
    let path = std::env::var_os("CLICKS_STEP_FILE")?;
    Some(File::create(path).expect("a test's file is made"))
}

fn asked() -> Option<(String, Fault)> {
    let text = std::env::var("CLICKS_FAILPOINT").ok()?;
    let (step, fault) = text.split_once(':').unwrap_or((&text, "1"));
    let fault = match fault {
        "hang" => Fault::Hang,
        times => Fault::Stop(AtomicU64::new(times.parse().ok()?)),
    };
    Some((step.to_owned(), fault))
}
