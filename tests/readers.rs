//! Other clients read what is committed, nothing else, and can check it.
//!
//! What is run is what the guide shows, but for the brokers, the job, and where it ends.

mod programs;
mod told;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::process::{Child, Stdio};
use std::time::Duration;

use rdkafka::producer::{BaseProducer, Producer};

use crate::support::binary::wait_for;
use crate::support::kafka::{self, Record};
use programs::{Ended, ROOT, need, sh, shown, sorted, subscribe};
use told::{PARTITIONS, PIECES, RUN, Told, create_topics, record, topic};

/// How long a call to the brokers may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Sends `row` to each partition of a job's counts in a transaction that is still open.
fn send_open(job: &str, row: &str) -> BaseProducer {
    let topic = topic(job, "counts");
    let producer = topic.transactional(&format!("{job}-{row}"));
    producer.begin_transaction().unwrap();
    (0..PARTITIONS).for_each(|partition| topic.send(&producer, &record(partition, row)));
    producer.flush(PATIENCE).unwrap();
    producer
}

#[test]
fn kcat_and_java_print_committed_rows_and_no_others_if_run_as_the_guide_says() {
    need("kcat");
    let told = Told::nothing();
    send_open(&told.job, "aborted").abort_transaction(PATIENCE).unwrap();
    told.tell();
    let _open = send_open(&told.job, "open");

    let kcat = sh(&format!("{} -e -q", shown("kcat -C", &told.job)));
    assert_eq!(kcat.lines(), told.counts());

    let java = shown("ConsoleConsumer", &told.job);
    let committed = " --isolation-level read_committed";
    assert!(java.ends_with(committed), "{java}");
    // It waits for more as long as that.
    let until = "--timeout-ms 5000";
    assert_eq!(sh(&format!("{java} {until}")).lines(), told.counts());

    let java = java.strip_suffix(committed).unwrap().trim_end_matches(['\\', '\n', ' ']);
    let others = ["aborted", "open"].map(|row| vec![row.to_owned(); PARTITIONS as usize]);
    let all = [told.counts(), others.concat()].concat();
    assert_eq!(sh(&format!("{java} {until}")).lines(), sorted(all));
}

/// A subscriber that goes on until it is forgotten.
struct Subscriber(Child);

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn a_subscriber_in_python_follows_a_job_and_finds_its_ledger_right() {
    let told = Told::nothing();
    send_open(&told.job, "aborted").abort_transaction(PATIENCE).unwrap();
    let (job, stdout) = (&told.job, told.place.path("stdout"));
    let mut command = subscribe(job, &[]);
    command.current_dir(ROOT).stdin(Stdio::null()).stdout(File::create(&stdout).unwrap());
    let _subscriber = Subscriber(command.spawn().unwrap());
    let so_far = || fs::read_to_string(&stdout).unwrap();

    let output = format!("--output kafka: --job {job} -b {}", kafka::brokers());
    let running = told.place.start(&format!("{RUN} --follow --input growing {output}"));
    for piece in 0..PIECES {
        let before = so_far().len();
        told.grow(piece);
        wait_for("changes", || (so_far().len() > before).then_some(()));
    }
    told.tell_files();
    wait_for("the table", || (made_of(&so_far()) == told.table()).then_some(()));
    running.terminate();

    let once = Ended::of(&mut subscribe(job, &["--once"]));
    assert_eq!((once.code, once.stdout), (Some(0), told.table()), "{}", once.stderr);
    let commits = once.stderr.strip_prefix("ledger: ").unwrap();
    let commits = commits.strip_suffix(" commits, chain and digests are right\n").unwrap();
    assert!(commits.parse::<usize>().unwrap() >= PIECES, "{commits}");
}

/// The table that the whole lines of `changes` make, each a cell and what it has become.
fn made_of(changes: &str) -> String {
    let lines = changes.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let table: BTreeMap<&str, &str> = lines.map(|line| line.rsplit_once('\t').unwrap()).collect();
    table.into_iter().map(|(cell, clicks)| format!("{cell}\t{clicks}")).collect()
}

/// Sends the logs of `told`, changed by `change`, as another job, and subscribes to it.
fn forged(told: &Told, change: impl Fn(&str, &mut Vec<String>)) -> Ended {
    let job = kafka::unique("forged");
    create_topics(&job);
    for log in ["counts", "ranks", "rejects", "ledger"] {
        let mut lines = told.lines(log);
        change(log, &mut lines);
        let records: Vec<Record> = lines.iter().map(|line| record(0, line)).collect();
        kafka::produce(&topic(&job, log), &records);
    }
    Ended::of(&mut subscribe(&job, &["--once"]))
}

#[test]
fn a_subscriber_in_python_finds_what_was_tampered_with() {
    let told = Told::nothing();
    told.tell();
    let copy = forged(&told, |_, _| ());
    assert_eq!((copy.code, copy.stdout), (Some(0), told.table()), "{}", copy.stderr);

    for (log, forge, wrong) in FORGERIES {
        let forged = forged(&told, |changed, lines| {
            if changed == log {
                forge(lines);
            }
        });
        forged.finds(wrong);
    }
}

/// What is done to the lines of a log, and what is said of it.
type Forgery = (&'static str, fn(&mut Vec<String>), &'static str);

const FORGERIES: [Forgery; 8] = [
    ("ledger", |lines| forge_digest(lines.last_mut().unwrap()), DIGEST),
    ("ledger", |lines| forge(&mut lines[0], "\"version\":\""), "commit 1 is wrong: previous"),
    ("ledger", |lines| forge(lines.last_mut().unwrap(), "\"skipped\":"), "totals differ"),
    ("counts", |lines| forge(&mut lines[0], "\"clicks\":"), DIGEST),
    ("ranks", |lines| forge(&mut lines[0], "\"clicks\":"), DIGEST),
    ("rejects", |lines| forge(&mut lines[0], "\"offset\":"), DIGEST),
    ("counts", |lines| lines.insert(1, lines[0].clone()), "counts are there, not"),
    ("ranks", |lines| drop(lines.pop()), "some of its rows cannot be read"),
];

const DIGEST: &str = "is wrong: the digest is not that of its rows";

/// Lets a value, whose name is `key`, begin with a further digit.
fn forge(line: &mut String, key: &str) {
    let at = line.find(key).unwrap() + key.len();
    line.insert(at, '1');
}

/// Changes the first digit.
fn forge_digest(line: &mut String) {
    let at = line.find("\"digest\":\"").unwrap() + 10;
    let other = if line.as_bytes()[at] == b'0' { "1" } else { "0" };
    line.replace_range(at..=at, other);
}
