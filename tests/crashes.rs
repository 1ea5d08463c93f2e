//! Killed at every step of a start and of a commit, the shipped binary loses and doubles nothing.

use clicks::kafka::failpoint::STEPS;

use crate::support::kafka::{TopicJob, lively, wait_for_stop};

/// The crash matrix: each step is killed with `kill -9` in its turn, in a run that has to recover
/// from the kill before, and that has something new to commit.
#[test]
fn killed_at_every_step_it_comes_out_the_same() {
    let mut job = TopicJob::new(lively(), 3);
    for step in STEPS {
        job.feed();
        let running = job.start_to(step);
        wait_for_stop(&running, step);
        running.kill();
    }
    job.feed();
    let running = job.start();
    job.wait_for_all();
    running.terminate();
    job.assert_exact();
}
