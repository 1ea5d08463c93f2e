//! Several processes of one job over topics: partitions are dealt, one commits, none goes on alone.

use crate::support::binary::{Running, two_hosts};
use crate::support::kafka::{TopicJob, clicks, delete_records, lively};

/// Each reads its partitions; what they tell is exact, also after either was killed.
#[test]
fn two_processes_share_topics_and_survive_each_others_end() {
    let mut job = TopicJob::new(lively(), 3);
    let hosts = two_hosts();
    job.feed();
    let [first, second] = start_two(&job, &hosts);
    job.wait_for_all();
    second.kill();
    first.end().with(1).naming(&["another process of the job has ended"]);

    job.feed();
    let [first, second] = start_two(&job, &hosts);
    job.wait_for_all();
    job.feed();
    first.kill();
    second.end().with(1).naming(&["another process of the job has ended"]);

    job.grow(&job.input.clone());
    job.append(3, clicks(9, &["12:00:01", "12:00:02", "12:30:00"]));
    let [first, second] = start_two(&job, &hosts);
    job.wait_for_all();
    job.grow(&job.input.clone());
    job.append(4, clicks(9, &["12:00:03", "12:00:04", "12:30:01"]));
    job.feed();
    job.wait_for_all();
    second.terminate();
    first.end().with(0);
    job.assert_exact();
}

/// A process that cannot read its partitions ends the others too, all with the reason.
#[test]
fn what_one_process_cannot_read_ends_all() {
    let mut job = TopicJob::new(lively(), 2);
    let hosts = two_hosts();
    job.append(0, clicks(8, &["12:00:01", "12:00:02", "12:30:00"]));
    job.append(1, clicks(9, &["12:00:01", "12:00:02", "12:30:00"]));
    let [first, second] = start_two(&job, &hosts);
    job.wait_for_all();
    first.terminate();
    second.end().with(0);

    delete_records(&job.input, 1, 3);
    let [first, second] = start_two(&job, &hosts);
    for ended in [first.end(), second.end()] {
        ended.with(2).naming(&["partition 1", "is needed, but 3 to 3 are there"]);
    }
    job.assert_exact();
}

fn start_two(job: &TopicJob, hosts: &str) -> [Running; 2] {
    let start =
        |process| job.place().start(&format!("{} {hosts} --process {process}", job.arguments()));
    let second = start(1);
    [start(0), second]
}
