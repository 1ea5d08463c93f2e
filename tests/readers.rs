//! Other clients read what is committed, nothing else, and can check it.
//!
//! What is run is what the guide shows, but for the brokers, the job, and where it ends.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use rdkafka::producer::{BaseProducer, Producer};
use serde_json::Value;

use crate::support::binary::{Place, wait_for};
use crate::support::kafka::{self, Record, Topic};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Where commands are shown.
const GUIDE: &str = "docs/reading-results.md";

/// Partitions of `counts`.
const PARTITIONS: i32 = 3;

/// Pieces in which clicks come to a job that follows them.
const PIECES: usize = 3;

/// A job whose changes are told as they come.
const RUN: &str = "run --set job.emit=changes --set job.refresh=500ms";

/// How long a call to the brokers may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A job whose changes are told as they come, in topics and in the directory `out` of a place.
struct Told {
    place: Place,
    job: String,
}

impl Told {
    /// A job that has told nothing: its clicks are there, and its topics.
    fn nothing() -> Told {
        let told = Told { place: Place::new(), job: kafka::unique("told") };
        let clicks = "--clicks 3000 --ads 50 --seed 3 --duplicates 0.05 --late 0.05 \
            --malformed 0.05 --per-second 20 --start 2026-01-01T12:00:00Z";
        told.place.succeed(&format!("generate --to in {clicks}"));
        fs::create_dir(told.place.path("growing")).unwrap();
        create_topics(&told.job);
        told
    }

    /// Tells all, in topics and in the directory.
    fn tell(&self) {
        let (job, brokers) = (&self.job, kafka::brokers());
        self.place.succeed(&format!("{RUN} --input in --output kafka: --job {job} -b {brokers}"));
        self.tell_files();
    }

    /// Tells all in the directory.
    fn tell_files(&self) {
        self.place.succeed(&format!("{RUN} --input in --output out --job {}", self.job));
    }

    /// Appends a piece of all clicks to the files of another directory, `growing`.
    fn grow(&self, piece: usize) {
        for file in (0..4).map(|partition| format!("clicks-{partition}.jsonl")) {
            let bytes = self.place.bytes(&format!("in/{file}"));
            let cut = |piece| bytes.len() * piece / PIECES;
            self.place.append(&format!("growing/{file}"), &bytes[cut(piece)..cut(piece + 1)]);
        }
    }

    /// The lines of one of its logs, as the directory has them.
    fn lines(&self, log: &str) -> Vec<String> {
        let bytes = self.place.bytes(&format!("out/{}.{log}.jsonl", self.job));
        String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
    }

    /// The lines of `counts`, sorted.
    fn counts(&self) -> Vec<String> {
        sorted(self.lines("counts"))
    }

    /// What the rows of `counts` add up to, as the subscriber prints it.
    fn table(&self) -> String {
        let table: BTreeMap<Cell, u64> =
            self.lines("counts").iter().map(|line| row(line)).collect();
        table.into_iter().map(printed).collect()
    }
}

/// An ad, a minute, a filter.
type Cell = (String, String, u64);

/// The cell of a row, and what it has become.
fn row(line: &str) -> (Cell, u64) {
    let row: Value = serde_json::from_str(line).unwrap();
    let text = |key: &str| row[key].as_str().unwrap().to_owned();
    let number = |key: &str| row[key].as_u64().unwrap();
    ((text("ad_id"), text("minute"), number("filter")), number("clicks"))
}

/// A cell as the subscriber prints it.
fn printed(((ad, minute, filter), clicks): (Cell, u64)) -> String {
    format!("{ad}\t{minute}\t{filter}\t{clicks}\n")
}

fn create_topics(job: &str) {
    for (log, partitions) in [("counts", PARTITIONS), ("ranks", 2), ("rejects", 1), ("ledger", 1)] {
        topic(job, log).create(partitions, &[]);
    }
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort_unstable();
    lines
}

/// How a command of another program ended.
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ended {
    fn of(command: &mut Command) -> Ended {
        let output = command.current_dir(ROOT).stdin(Stdio::null()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        Ended { code: output.status.code(), stdout, stderr }
    }

    /// What it printed, if it ended well.
    fn lines(self) -> Vec<String> {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        sorted(self.stdout.lines().map(str::to_owned).collect())
    }
}

/// The command of the guide that names `program`, for the brokers and the job of a test.
fn shown(program: &str, job: &str) -> String {
    let guide = fs::read_to_string(Path::new(ROOT).join(GUIDE)).unwrap();
    let blocks = guide.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let block = blocks.into_iter().find(|block| block.contains(program)).unwrap();
    assert!(block.contains("localhost:9092") && block.contains(" ads.counts"), "{block}");
    let block = block.replace("localhost:9092", kafka::brokers());
    block.replace(" ads.counts", &format!(" {job}.counts")).trim_end().to_owned()
}

/// Runs a command of a shell.
fn sh(command: &str) -> Ended {
    Ended::of(Command::new("sh").args(["-c", command]))
}

/// Sends `row` to each partition of a job's counts in a transaction that is still open.
fn send_open(job: &str, row: &str) -> BaseProducer {
    let topic = topic(job, "counts");
    let producer = topic.transactional(&format!("{job}-{row}"));
    producer.begin_transaction().unwrap();
    (0..PARTITIONS).for_each(|partition| topic.send(&producer, &record(partition, row)));
    producer.flush(PATIENCE).unwrap();
    producer
}

/// The topic of a job's log.
fn topic(job: &str, log: &str) -> Topic {
    Topic { brokers: kafka::brokers().to_owned(), name: format!("{job}.{log}") }
}

fn record(partition: i32, value: &str) -> Record {
    Record { partition, value: Some(value.into()), ..Record::default() }
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

/// Makes sure that a program is there.
fn need(program: &str) {
    let needed = sh(&format!("scripts/need.sh {program}"));
    assert_eq!(needed.code, Some(0), "{}", needed.stderr);
}

/// A Python that has the client of the version that the example names; it is made once.
fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let example = fs::read_to_string(Path::new(ROOT).join("examples/subscribe.py")).unwrap();
        let line = example.lines().find_map(|line| line.trim().strip_prefix("pip install "));
        let client = line.unwrap();
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("python-{client}"));
        let (python, whole) = (home.join("bin/python"), home.join("whole"));
        if !whole.exists() {
            need("python3");
            let home = home.display();
            let made = sh(&format!(
                "rm -rf '{home}' && python3 -m venv '{home}' && '{home}/bin/python' -m pip \
                 --disable-pip-version-check install --quiet --only-binary :all: '{client}'"
            ));
            assert_eq!(made.code, Some(0), "{}", made.stderr);
            fs::write(whole, "").unwrap();
        }
        python
    })
}

/// The example, subscribing to a job.
fn subscribe(job: &str, more: &[&str]) -> Command {
    let mut command = Command::new(python());
    command.arg("examples/subscribe.py").args(["--brokers", kafka::brokers(), "--job", job]);
    command.args(more);
    command
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

    let commits = told.lines("ledger").len();
    let last = commits - 1;
    let digest = forged(&told, |log, lines| {
        if log == "ledger" {
            let line = &mut lines[last];
            let at = line.find("\"digest\":\"").unwrap() + 10;
            let other = if line.as_bytes()[at] == b'0' { "1" } else { "0" };
            line.replace_range(at..=at, other);
        }
    });
    digest.finds(&format!("commit {last} is wrong: the digest is not that of its rows"));

    let chain = forged(&told, |log, lines| {
        if log == "ledger" {
            lines[0] = lines[0].replacen("\"version\":\"", "\"version\":\"1", 1);
        }
    });
    chain.finds("commit 1 is wrong: previous is not the line before");

    let totals = forged(&told, |log, lines| {
        if log == "ledger" {
            lines[last] = lines[last].replace("\"skipped\":0", "\"skipped\":1");
        }
    });
    totals.finds(&format!("commit {last} is wrong: totals differ"));

    for log in ["counts", "ranks", "rejects"] {
        let row = forged(&told, |changed, lines| {
            if changed == log {
                lines[0] = lines[0].replacen("\"epoch\":", " \"epoch\":", 1);
            }
        });
        row.finds("is wrong: the digest is not that of its rows");
    }
    let twice = forged(&told, |log, lines| {
        if log == "counts" {
            lines.insert(1, lines[0].clone());
        }
    });
    twice.finds("counts are there, not");
    let lost = forged(&told, |log, lines| {
        if log == "ranks" {
            lines.pop();
        }
    });
    lost.finds("some of its rows cannot be read");
}

impl Ended {
    /// Asserts that it failed, and said this.
    fn finds(self, wrong: &str) {
        assert_eq!(self.code, Some(1), "{wrong} is not found: {}", self.stderr);
        assert!(self.stderr.contains(wrong), "{wrong}: {}", self.stderr);
    }
}
