//! Killed at every step of a start and of a commit, the shipped binary loses and doubles nothing.

use clicks::failpoint::STEPS;

use crate::support::kafka::{TopicJob, clicks, lively, wait_for_stop};
use crate::support::script::Settings;

/// The crash matrix: each step is killed with `kill -9` in its turn, in a run that has to recover
/// from the kill before, and that has something new to commit.
#[test]
fn killed_at_every_step_it_comes_out_the_same() {
    let mut job = TopicJob::new(lively(), 3);
    // First as the job is opened, then as it goes on.
    for step in STEPS {
        job.feed();
        let running = job.start_to(step);
        wait_for_stop(&running, step);
        running.kill();
    }
    for step in STEPS.iter().skip_while(|step| **step != "before-begin") {
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

/// The textbook failure: results are sent, and the position is not stored when it crashes.
#[test]
fn results_that_were_sent_before_the_position_count_once() {
    let mut job = TopicJob::new(lively(), 1);
    job.feed();
    let running = job.start();
    job.wait_for_all();
    running.terminate();

    job.feed();
    let running = job.start_to("before-offsets");
    wait_for_stop(&running, "before-offsets");
    running.kill();
    let running = job.start();
    job.wait_for_all();
    running.terminate();
    job.assert_exact();
}

/// Stopped in the middle of a commit while another instance takes over and goes on: when it wakes
/// it is fenced, and ends; results are unharmed.
#[test]
fn a_zombie_is_fenced_and_ends() {
    let mut job = TopicJob::new(lively(), 2);
    job.feed();
    for step in ["after-begin", "after-ledger-line", "after-flush", "before-commit", "commit-sent"]
    {
        let zombie = job.start_to(step);
        job.feed();
        wait_for_stop(&zombie, step);
        let running = job.start();
        job.feed();
        job.wait_for_all();
        running.terminate();
        zombie.signal("CONT");
        zombie.end().with(4).naming(&["another instance of job", &job.name]);
        job.assert_exact();
    }
}

/// Whoever has nothing to commit looks whether it could.
#[test]
fn an_idle_instance_that_is_taken_over_ends_soon() {
    // Nothing becomes final in the meantime.
    let mut job = TopicJob::new(Settings { lateness_ms: 600_000, ..lively() }, 2);
    job.append(0, clicks(9, &["12:00:01", "12:00:02", "12:00:03"]));
    let first = job.start();
    job.wait_for_all();
    let second = job.start();
    first.end().with(4).naming(&["another instance of job", &job.name]);
    job.feed();
    job.wait_for_all();
    second.terminate();
    job.assert_exact();
}

/// The one that comes later works; the other ends, and says why.
#[test]
fn of_two_instances_one_works() {
    let mut job = TopicJob::new(lively(), 2);
    job.feed();
    let first = job.start();
    job.wait_for_all();
    let second = job.start();
    job.feed();
    first.end().with(4).naming(&["another instance of job", &job.name]);
    job.wait_for_all();
    second.terminate();
    job.assert_exact();
}
