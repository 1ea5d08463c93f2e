//! Memory over days of event time.

use std::sync::{Arc, Mutex};

use clicks::progress::resident_bytes;
use clicks::source::Source;
use clicks::watch::{Watch, Watched};
use clicks_dataflows::time::{MINUTE_MS, Millis};

use super::job::{job, options};
use super::lines::{FromGenerator, START_MS, plan};
use super::told::DigestingDisk;

/// Clicks of a minute: few, so that the little which each epoch might leave behind shows.
const CLICKS: u64 = 500;

/// Event hours after which memory is measured.
const HOURS: [u64; 5] = [3, 6, 12, 24, 72];

/// Runs days of few clicks, made as they are read, with a horizon of an hour; prints how much
/// memory is resident meanwhile, and tells whether it is flat: that it grows by at most a fifth
/// from hour 6 on.
pub fn is_flat() -> bool {
    let measured: Arc<Mutex<Vec<u64>>> = Arc::default();
    let [_, from, .., last] = HOURS;
    println!("memory: {CLICKS} clicks a minute over {last} hours, horizon 1 hour");
    let source = move || {
        // A little longer, as what is committed follows what is read.
        let minutes = last * 60 + 5;
        let plan = plan(CLICKS * minutes, minutes, 100_000);
        Box::new(FromGenerator::new(plan)) as Box<dyn Source>
    };
    let watch = Measure { measured: Arc::clone(&measured) };
    let job = job(options(1), source, &DigestingDisk::default());
    job.run(Box::new(watch)).expect("memory never fails");
    let measured = measured.lock().expect("the watch is done");
    let flat = measured[HOURS.len() - 1] * 5 <= measured[1] * 6;
    if !flat {
        println!("memory is not flat: hour {last} holds over a fifth more than hour {from}");
    }
    flat
}

/// Measures resident memory as the hours pass.
struct Measure {
    measured: Arc<Mutex<Vec<u64>>>,
}

impl Watch for Measure {
    fn show(&mut self, watched: &Watched<'_>, _: Millis) {
        let mut measured = self.measured.lock().expect("the watch alone measures");
        let Some(hours) = HOURS.get(measured.len()) else { return };
        if watched.clock >= START_MS + hours * 60 * MINUTE_MS {
            let bytes = resident_bytes();
            let cells = watched.gauges.cells.get();
            println!("  hour {hours:>2}: {:>4} MiB resident, {cells} cells", bytes >> 20);
            measured.push(bytes);
        }
    }
}
