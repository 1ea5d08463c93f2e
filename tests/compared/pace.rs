//! Whatever the pace at which two jobs tell the same clicks, and wherever they stand.

use std::collections::BTreeSet;
use std::path::Path;

use clicks::compare::Comparison;
use clicks::files::disk::LocalDisk;
use clicks::files::logs::JobFiles;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::support::cases;
use crate::support::oracle;
use crate::support::script::{Script, Settings};
use crate::support::scripts::scripts;
use crate::support::told;

/// How a job tells: its pace, where it stands, and how its commits are cut.
#[derive(Clone, Debug)]
struct Told {
    refresh_ms: u64,
    lateness_ms: u64,
    correct_every_ms: u64,
    changes: bool,
    /// Which epoch at which it tells something is its last; none if it is closed.
    stands: Option<Index>,
    /// Epochs that are told and of which the last ends a commit.
    epochs_of_commit: usize,
}

fn told() -> impl Strategy<Value = Told> {
    let refresh = select(vec![100, 500, 1000, 5000, 60_000]);
    let times = (refresh, select(vec![0, 15_000, 60_000]), 1..4u64);
    let place = (any::<bool>(), proptest::option::weighted(0.8, any::<Index>()), 1..9usize);
    (times, place).prop_map(|(times, (changes, stands, epochs_of_commit))| {
        let (refresh_ms, lateness_ms, every) = times;
        let correct_every_ms = refresh_ms * every;
        Told { refresh_ms, lateness_ms, correct_every_ms, changes, stands, epochs_of_commit }
    })
}

impl Told {
    /// The script under this pace.
    fn script(&self, script: &Script) -> Script {
        let Told { refresh_ms, lateness_ms, correct_every_ms, changes, .. } = *self;
        let settings = script.settings.clone();
        let settings = Settings { refresh_ms, lateness_ms, correct_every_ms, changes, ..settings };
        Script::of(settings, script.partitions.clone())
    }

    /// Writes what the job has told by where it stands; whether it has told anything.
    fn write(&self, directory: &Path, job: &str, script: &Script) -> bool {
        let script = self.script(script);
        let oracle = oracle::tell(&script, &[]);
        let epochs: BTreeSet<u64> = oracle.counts().iter().map(|(epoch, _)| *epoch).collect();
        let epochs: Vec<u64> = epochs.into_iter().collect();
        let Some(last) = self.stands.map_or_else(
            || Some(oracle.closing_epoch()),
            |at| (!epochs.is_empty()).then(|| *at.get(&epochs)),
        ) else {
            return false;
        };
        let cuts = epochs.chunks(self.epochs_of_commit).map(|told| told[told.len() - 1]);
        let cuts: Vec<u64> = cuts.filter(|cut| *cut < last).chain([last]).collect();
        let logs = told::logs(job, &script.settings, &oracle, &cuts);
        logs.write(directory, job, cuts.len());
        true
    }
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn jobs_over_the_same_clicks_do_not_differ(script in scripts(), told in [told(), told()]) {
        // Of copies in two partitions the first by epoch counts, which need not be the same one.
        let copies_stay = told[0].refresh_ms != told[1].refresh_ms || script.settings.copies_stay;
        let script = script.set(|settings| settings.copies_stay = copies_stay);
        let directory = tempfile::tempdir().unwrap();
        let names = ["one", "other"];
        for (told, job) in told.iter().zip(names) {
            prop_assume!(told.write(directory.path(), job, &script));
        }
        let files = JobFiles::new(&LocalDisk, directory.path());
        let comparison = Comparison::of(names.map(|job| (&files as _, job))).unwrap();
        match comparison.compare() {
            Ok(compared) => {
                let failure = compared.failure().map(|failure| failure.to_string());
                prop_assert_eq!(failure, None, "{:?}", comparison.head());
            }
            Err(failure) => {
                prop_assert!(failure.to_string().starts_with("nothing was compared"), "{}", failure);
            }
        }
    }
}
