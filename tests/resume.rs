//! Killed at every step of a commit, and resumed: as if nothing had happened.

use std::sync::Arc;

use clicks::run::Job;
use proptest::prelude::*;

use crate::laws::assert_complete;
use crate::support::cases;
use crate::support::disk::ForgetfulDisk;
use crate::support::in_step::InStep;
use crate::support::live::Arrivals;
use crate::support::oracle;
use crate::support::run::{Committed, How, PLAIN, job, results, run_or_die};
use crate::support::script::Script;
use crate::support::scripts::scripts;

/// Runs `script` on a disk that dies at its step `at`, and then again until it is done.
fn run_killed(script: &Script, how: How, at: u64, torn: usize) -> Committed {
    let disk = ForgetfulDisk::default();
    disk.kill_at(at);
    let arrivals = Arrivals::complete(script);
    while run_or_die(job(script, &disk, &arrivals, how), &disk).is_none() {
        disk.restart(torn);
    }
    Committed::read(&disk)
}

/// Every step of every commit is the last one, once; what was not synced is gone, or torn.
#[test]
fn killed_at_any_step_it_comes_out_the_same() {
    let mut script = Script::with_lateness(15);
    for second in 0..240 {
        let time = format!("12:{:02}:{:02}", second / 60, second % 60);
        script = script.partition(second % 3).click(u32::try_from(second % 5).unwrap(), &time);
        if second % 7 == 0 {
            script = script.line(b"{");
        }
    }
    let oracle = oracle::tell(&script, &[]);
    let how = How { batch: 1, ..PLAIN };
    for torn in [0, 7, 100_000] {
        let mut at = 1;
        loop {
            let disk = ForgetfulDisk::default();
            disk.kill_at(at);
            let arrivals = Arrivals::complete(&script);
            let in_step = Arc::new(InStep(results(&disk)));
            let job_in_step = Job { results: in_step, ..job(&script, &disk, &arrivals, how) };
            let died = run_or_die(job_in_step, &disk).is_none();
            disk.restart(torn);
            let arrivals = Arrivals::complete(&script);
            run_or_die(job(&script, &disk, &arrivals, PLAIN), &disk).unwrap();
            assert_complete(&Committed::read(&disk), &oracle);
            if !died {
                break;
            }
            at += 1;
        }
        assert!(at > 30, "a run has commits to be killed in, not only {at} steps");
    }
}

proptest! {
    #![proptest_config(cases(128))]

    #[test]
    fn resumed_equals_uninterrupted(
        script in scripts(),
        workers in 1usize..=2,
        at in 1u64..200,
        torn in prop_oneof![Just(0usize), 1..200usize],
    ) {
        let committed = run_killed(&script, How { workers, batch: 3, ..PLAIN }, at, torn);
        assert_complete(&committed, &oracle::tell(&script, &[]));
    }
}
