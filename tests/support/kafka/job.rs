//! A job of the shipped binary from a topic to topics, fed bit by bit, and held to the oracle.

use std::collections::BTreeMap;
use std::path::Path;

use clicks::config::Kafka;
use clicks::kafka::client::Cluster;
use clicks::kafka::results::ResultTopics;
use clicks::sink::Results;
use clicks_dataflows::ledger::Commit;
use clicks_dataflows::time::Time;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use super::{Broker, Record, Topic, brokers, produce, rows, unique};
use crate::laws::assert_told;
use crate::support::binary::{Place, Running, wait_for};
use crate::support::oracle::{self, Telling};
use crate::support::run::Committed;
use crate::support::script::{Item, Script, Settings};
use crate::support::scripts::scripts;

/// A job, its input, and all that was ever fed to it.
pub struct TopicJob {
    /// The job.
    pub name: String,
    /// What it reads.
    pub input: Topic,
    /// What the input holds.
    pub script: Script,
    place: Place,
    random: TestRunner,
    rounds: u64,
}

impl TopicJob {
    /// A job on the shared broker, whose input has so many partitions.
    pub fn new(settings: Settings, partitions: usize) -> TopicJob {
        TopicJob::at(brokers(), settings, partitions)
    }

    /// The same on a broker of the test's own.
    pub fn on(broker: &Broker, settings: Settings, partitions: usize) -> TopicJob {
        TopicJob::at(&broker.address(), settings, partitions)
    }

    fn at(brokers: &str, settings: Settings, partitions: usize) -> TopicJob {
        let name = unique("job");
        let topic = |name: String| Topic { brokers: brokers.to_owned(), name };
        let input = topic(format!("{name}-clicks"));
        input.create(i32::try_from(partitions).unwrap(), &[]);
        for (log, partitions) in [("counts", 3), ("ranks", 2), ("rejects", 1), ("ledger", 1)] {
            topic(format!("{name}.{log}")).create(partitions, &[]);
        }
        let place = Place::new();
        std::fs::write(place.path("clicks.toml"), toml(&settings)).unwrap();
        let script = Script::of(settings, vec![Vec::new(); partitions]);
        TopicJob { name, input, script, place, random: TestRunner::deterministic(), rounds: 0 }
    }

    /// A result topic.
    pub fn topic(&self, log: &str) -> Topic {
        Topic { brokers: self.input.brokers.clone(), name: format!("{}.{log}", self.name) }
    }

    /// Where its configuration and its processes are.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The arguments that run it.
    pub fn arguments(&self) -> String {
        format!(
            "run --input kafka:{} --output kafka: --job {} -b {} --config clicks.toml",
            self.input.name, self.name, self.input.brokers,
        )
    }

    /// Starts it.
    pub fn start(&self) -> Running {
        self.place.start(&self.arguments())
    }

    /// Starts it so that it stops itself at a step: `before-commit`, or `before-commit:2`.
    pub fn start_to(&self, step: &str) -> Running {
        self.place.start_with(&self.arguments(), &[("CLICKS_FAILPOINT", step)])
    }

    /// Appends what a random script holds, some time after all that it was fed before.
    pub fn feed(&mut self) {
        let script = scripts().new_tree(&mut self.random).unwrap().current();
        let later_ms = self.rounds * 20_000;
        self.rounds += 1;
        let partitions = self.script.partitions.len();
        for (items, at) in script.partitions.into_iter().zip((0..partitions).cycle()) {
            let items = items.into_iter().filter(|item| !item.line().is_empty());
            self.append(at, items.map(|item| delayed(item, later_ms)).collect());
        }
    }

    /// Appends records to a partition.
    pub fn append(&mut self, partition: usize, items: Vec<Item>) {
        let at = i32::try_from(partition).unwrap();
        let record = |item: &Item| {
            let value = Some(item.line()).filter(|line| !line.is_empty());
            Record { partition: at, time: Some(-1), key: None, value }
        };
        produce(&self.input, &items.iter().map(record).collect::<Vec<_>>());
        self.script.partitions[partition].extend(items);
    }

    /// All records that it was fed.
    pub fn fed(&self) -> u64 {
        self.script.partitions.iter().map(|items| items.len() as u64).sum()
    }

    /// Its commits.
    pub fn commits(&self) -> Vec<Commit> {
        let kafka = Kafka {
            brokers: self.input.brokers.clone(),
            properties: BTreeMap::new(),
            consumer: BTreeMap::new(),
            producer: BTreeMap::new(),
        };
        let cluster = Cluster::new(&kafka).unwrap();
        let results = ResultTopics { cluster, job: self.name.clone(), inputs: Vec::new() };
        let lines = results.ledger().unwrap().skip(1);
        lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
    }

    /// Records that are committed.
    pub fn records(&self) -> u64 {
        self.commits().last().map_or(0, |commit| commit.totals.records)
    }

    /// Waits until all that it was fed is committed.
    pub fn wait_for_all(&self) {
        let fed = self.fed();
        wait_for("all records are committed", || (self.records() >= fed).then_some(()));
        assert_eq!(self.records(), fed, "each record is committed once");
    }

    /// What a reader of committed records finds, in the order in which it was told.
    pub fn committed(&self) -> Committed {
        Committed {
            counts: self.rows("counts", &["ad_id", "minute", "filter"]),
            ranks: self.rows("ranks", &["filter", "window", "minute"]),
            rejects: self.rows("rejects", &[]),
            ledger: self.commits(),
        }
    }

    fn rows(&self, log: &str, keys: &[&str]) -> Vec<String> {
        let rows = rows(&self.topic(log)).into_iter();
        let mut rows: Vec<String> = rows.map(|row| String::from_utf8(row).unwrap()).collect();
        // Rejects have one partition, in order.
        if !keys.is_empty() {
            rows.sort_by_cached_key(|row| order(row, keys));
        }
        rows
    }

    /// Asserts that all it has ever been fed is told as the oracle tells it under the marks that
    /// the job has recorded: nothing lost, nothing doubled, to the byte.
    pub fn assert_exact(&self) {
        let committed = self.committed();
        let mut ends = BTreeMap::new();
        for position in committed.ledger.iter().flat_map(|commit| &commit.positions) {
            ends.insert(position.partition as usize, usize::try_from(position.offset).unwrap());
        }
        let committed_of = |(at, items): (usize, &Vec<Item>)| {
            items[..ends.get(&at).copied().unwrap_or(0)].to_vec()
        };
        let script = self.script.partitions.iter().enumerate().map(committed_of).collect();
        let script = Script::of(self.script.settings.clone(), script);
        let floor = committed.last().epoch.0;
        let telling = Telling { marks: committed.marks(), floor, ..Telling::default() };
        assert_told(&committed, &oracle::tell_as(&script, &telling));
    }
}

/// The epoch of a row, and what orders it within: words as they are, numbers by size.
pub fn order(row: &str, keys: &[&str]) -> Vec<(u64, String)> {
    let row: serde_json::Value = serde_json::from_str(row).unwrap();
    let time = |text: &str| text.parse::<Time>().unwrap().0;
    let part = |key: &str| match &row[key] {
        serde_json::Value::String(text) if key == "ad_id" => (0, text.clone()),
        serde_json::Value::String(text) => (time(text), String::new()),
        number => (number.as_u64().unwrap(), String::new()),
    };
    std::iter::once("epoch").chain(keys.iter().copied()).map(part).collect()
}

/// Settings under which much is told soon.
pub fn lively() -> Settings {
    Settings {
        refresh_ms: 100,
        changes: true,
        windows: vec![1, 5],
        top: 3,
        ..Script::with_lateness(15).settings
    }
}

/// The same record, `ms` later.
fn delayed(mut item: Item, ms: u64) -> Item {
    if let Item::Click(click) = &mut item {
        click.event_ms += ms;
        click.log_time = click.log_time.map(|time| if time > 0 { time + ms } else { 0 });
    }
    item
}

/// The settings as a file for `--config`; they have no filters.
fn toml(settings: &Settings) -> String {
    assert!(settings.filters.is_empty());
    let ms = |ms: u64| format!("\"{ms}ms\"");
    let emit = if settings.changes { "changes" } else { "final" };
    format!(
        "[job]\nrefresh = {}\nlateness = {}\nhorizon = {}\nahead_max = {}\njump_max = {}\n\
         correct_every = {}\nemit = \"{emit}\"\nwindows = {:?}\ntop = {}\n\
         [input]\nfields = {{ log_time = \"{}\" }}\n",
        ms(settings.refresh_ms),
        ms(settings.lateness_ms),
        ms(settings.horizon_ms),
        ms(settings.ahead_max_ms),
        ms(settings.jump_max_ms),
        ms(settings.correct_every_ms),
        settings.windows,
        settings.top,
        if settings.log_time { "logged" } else { "" },
    )
}

/// Waits until a process has stopped itself at a step.
pub fn wait_for_stop(running: &Running, step: &str) {
    wait_for(&format!("a stop at {step}"), || {
        let stat = std::fs::read_to_string(Path::new("/proc").join(running.pid()).join("stat"));
        let stat = stat.unwrap_or_else(|_| panic!("it has ended: {}", running.stderr()));
        let state = stat.rsplit_once(')').unwrap().1.trim_start().chars().next();
        (state == Some('T')).then_some(())
    });
    assert!(running.stderr().contains(&format!("failpoint {step}")), "{}", running.stderr());
}
