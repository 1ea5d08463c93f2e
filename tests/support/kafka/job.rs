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

use super::{Broker, Record, Topic, brokers, delete_records, produce, rows, unique};
use crate::laws::assert_told;
use crate::support::binary::{Place, Running, wait_for};
use crate::support::oracle::{self, Telling};
use crate::support::run::Committed;
use crate::support::script::{Item, Script, Settings};
use crate::support::scripts::scripts;

/// As many milliseconds as a setting takes.
const FOR_EVER: &str = "9223372036854775807";

/// A job, its input, and all that was ever fed to it.
pub struct TopicJob {
    /// The job.
    pub name: String,
    /// What it reads, or the first of it.
    pub input: Topic,
    /// What its partitions hold, in the order in which the job numbers them; a gap is empty.
    pub script: Script,
    /// Where it finds its broker, which a test may reach elsewhere.
    pub brokers: String,
    /// Where each partition is.
    parts: Vec<(Topic, i32)>,
    /// Whether log times are those of the records, and not in a field.
    log_times: bool,
    place: Place,
    random: TestRunner,
    rounds: u64,
}

impl TopicJob {
    /// A job on the shared broker, whose input has so many partitions.
    pub fn new(settings: Settings, partitions: usize) -> TopicJob {
        TopicJob::at(brokers(), settings, &[("clicks", partitions)], false)
    }

    /// The same, whose records have log times of their own: a click's, or now.
    pub fn logged(settings: Settings, partitions: usize) -> TopicJob {
        let settings = Settings { log_time: true, ..settings };
        TopicJob::at(brokers(), settings, &[("clicks", partitions)], true)
    }

    /// The same over several topics, in the order of their names.
    pub fn over(settings: Settings, topics: &[(&str, usize)]) -> TopicJob {
        TopicJob::at(brokers(), settings, topics, false)
    }

    /// The same on a broker of the test's own.
    pub fn on(broker: &Broker, settings: Settings, partitions: usize) -> TopicJob {
        TopicJob::at(&broker.address(), settings, &[("clicks", partitions)], false)
    }

    /// The same on brokers of the test's own.
    pub fn on_all(brokers: &[Broker], settings: Settings, partitions: usize) -> TopicJob {
        let addresses: Vec<String> = brokers.iter().map(Broker::address).collect();
        TopicJob::at(&addresses.join(","), settings, &[("clicks", partitions)], false)
    }

    fn at(
        brokers: &str,
        settings: Settings,
        topics: &[(&str, usize)],
        log_times: bool,
    ) -> TopicJob {
        let name = unique("job");
        // Times of the test are long past to a broker, or yet to come.
        let config = [("retention.ms", "-1"), ("message.timestamp.after.max.ms", FOR_EVER)];
        let config = if log_times { &config[..] } else { &[] };
        let mut parts = Vec::new();
        for (topic, partitions) in topics {
            let name = format!("{name}-{topic}");
            let topic = Topic { brokers: brokers.to_owned(), name };
            let partitions = i32::try_from(*partitions).unwrap();
            topic.create(partitions, config);
            parts.extend((0..partitions).map(|partition| (topic.clone(), partition)));
        }
        create_results(brokers, &name);
        let place = Place::new();
        std::fs::write(place.path("clicks.toml"), toml(&settings, log_times)).unwrap();
        let script = Script::of(settings, vec![Vec::new(); parts.len()]);
        let (input, random) = (parts[0].0.clone(), TestRunner::deterministic());
        let brokers = brokers.to_owned();
        TopicJob { name, input, script, brokers, parts, log_times, place, random, rounds: 0 }
    }

    /// A result topic.
    pub fn topic(&self, log: &str) -> Topic {
        self.topic_of(&self.name, log)
    }

    fn topic_of(&self, job: &str, log: &str) -> Topic {
        Topic { brokers: self.input.brokers.clone(), name: format!("{job}.{log}") }
    }

    /// The topics that it reads.
    pub fn inputs(&self) -> Vec<Topic> {
        let mut topics: Vec<Topic> = self.parts.iter().map(|(topic, _)| topic.clone()).collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        topics.dedup_by(|a, b| a.name == b.name);
        topics
    }

    /// Reads `topic` instead, which has as many partitions and no record.
    pub fn reads(&mut self, topic: &Topic) {
        self.parts.iter_mut().for_each(|(of, _)| *of = topic.clone());
        self.input = topic.clone();
    }

    /// Adds a partition to a topic that it reads.
    pub fn grow(&mut self, topic: &Topic) {
        let partition = self.parts.iter().filter(|(of, _)| of.name == topic.name).count();
        let partition = i32::try_from(partition).unwrap();
        topic.grow(partition + 1);
        self.parts.push((topic.clone(), partition));
        self.script.partitions.push(Vec::new());
    }

    /// Lets it read another topic of one partition, whose name follows those of the others.
    pub fn join(&mut self, topic: &str) {
        let (brokers, name) = (self.input.brokers.clone(), format!("{}-{topic}", self.name));
        let topic = Topic { brokers, name };
        topic.create(1, &[]);
        self.parts.push((topic, 0));
        self.script.partitions.push(Vec::new());
    }

    /// Deletes what lies before `offset` in a partition that it has not read: a gap.
    pub fn cut(&mut self, partition: usize, offset: usize) {
        let (topic, at) = &self.parts[partition];
        delete_records(topic, *at, i64::try_from(offset).unwrap());
        self.script.partitions[partition][..offset].fill(Item::Empty);
    }

    /// Where its configuration and its processes are.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The arguments that run it.
    pub fn arguments(&self) -> String {
        let inputs: Vec<String> =
            self.inputs().iter().map(|topic| format!("--input kafka:{}", topic.name)).collect();
        format!(
            "run {} --output kafka: --job {} -b {} --config clicks.toml",
            inputs.join(" "),
            self.name,
            self.brokers,
        )
    }

    /// The arguments that read its input again with its settings.
    pub fn replay(&self, rest: &str) -> String {
        let Topic { brokers, name } = &self.input;
        format!("replay --input kafka:{name} -b {brokers} --config clicks.toml {rest}")
    }

    /// Starts it.
    pub fn start(&self) -> Running {
        self.place.start(&self.arguments())
    }

    /// Starts it so that it stops itself at a step: `before-commit`, or `before-commit:2`.
    pub fn start_to(&self, step: &str) -> Running {
        self.start_to_with(step, "")
    }

    /// The same with more arguments.
    pub fn start_to_with(&self, step: &str, rest: &str) -> Running {
        let arguments = format!("{} {rest}", self.arguments());
        self.place.start_with(&arguments, &[("CLICKS_FAILPOINT", step)])
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
        let (topic, at) = &self.parts[partition];
        let records: Vec<Record> = items.iter().map(|item| self.record(*at, item)).collect();
        produce(topic, &records);
        self.script.partitions[partition].extend(items);
    }

    /// What it is fed of `item`: an empty record is a tombstone.
    pub fn record(&self, partition: i32, item: &Item) -> Record {
        let time = match item {
            Item::Click(click) if self.log_times => click.log_time.filter(|time| *time > 0),
            _ => None,
        };
        let time = time.map_or(-1, |time| i64::try_from(time).unwrap());
        let value = Some(item.line()).filter(|line| !line.is_empty());
        Record { partition, time: Some(time), key: None, value }
    }

    /// All records that it was fed.
    pub fn fed(&self) -> u64 {
        let items = self.script.partitions.iter().flatten();
        items.filter(|item| !matches!(item, Item::Empty)).count() as u64
    }

    /// Its commits.
    pub fn commits(&self) -> Vec<Commit> {
        self.commits_of(&self.name)
    }

    /// Where its topics are.
    pub fn cluster(&self) -> Cluster {
        let kafka = Kafka {
            brokers: self.input.brokers.clone(),
            properties: BTreeMap::new(),
            consumer: BTreeMap::new(),
            producer: BTreeMap::new(),
        };
        Cluster::new(&kafka).unwrap()
    }

    fn commits_of(&self, job: &str) -> Vec<Commit> {
        let (cluster, job) = (self.cluster(), job.to_owned());
        let results = ResultTopics { cluster, job, inputs: Vec::new() };
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

    /// Starts it with more arguments.
    pub fn start_with(&self, rest: &str) -> Running {
        self.place.start(&format!("{} {rest}", self.arguments()))
    }

    /// Waits until all that it was fed is in closed epochs, by the last line of its `--stats`: what
    /// is not told yet is committed once a minute only.
    pub fn wait_for_all_closed(&self, running: &Running) {
        let fed = format!("{} records,", self.fed());
        wait_for("all records are in closed epochs", || {
            let said = running.stderr();
            said.lines().last().filter(|line| line.starts_with(&fed)).map(|_| ())
        });
    }

    /// What a reader of committed records finds, in the order in which it was told.
    pub fn committed(&self) -> Committed {
        self.committed_of(&self.name)
    }

    /// The same of another job on its broker.
    pub fn committed_of(&self, job: &str) -> Committed {
        Committed {
            counts: self.rows(job, "counts", &["ad_id", "minute", "filter"]),
            ranks: self.rows(job, "ranks", &["filter", "window", "minute"]),
            rejects: self.rows(job, "rejects", &[]),
            ledger: self.commits_of(job),
        }
    }

    fn rows(&self, job: &str, log: &str, keys: &[&str]) -> Vec<String> {
        let rows = rows(&self.topic_of(job, log)).into_iter();
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
            let number = self.number(position.log.as_deref(), position.partition);
            ends.insert(number, usize::try_from(position.offset).unwrap());
        }
        let committed_of = |(at, items): (usize, &Vec<Item>)| {
            items[..ends.get(&at).copied().unwrap_or(0).min(items.len())].to_vec()
        };
        let script = self.script.partitions.iter().enumerate().map(committed_of).collect();
        let script = Script::of(self.script.settings.clone(), script);
        let floor = committed.last().epoch.0;
        let marks = committed.ledger.iter().flat_map(|commit| &commit.marks).map(|mark| {
            let number = self.number(mark.log.as_deref(), mark.partition);
            (u32::try_from(number).unwrap(), mark.offset, mark.clock.0)
        });
        let several = self.inputs().len() > 1;
        let log = |(topic, partition): &(Topic, i32)| {
            (topic.name.clone(), u32::try_from(*partition).unwrap())
        };
        let logs = self.parts.iter().filter(|_| several).map(log).collect();
        let telling = Telling { marks: marks.collect(), floor, logs, ..Telling::default() };
        assert_told(&committed, &oracle::tell_as(&script, &telling));
    }

    /// The number within the job of a partition as the ledger names it.
    fn number(&self, log: Option<&str>, partition: u32) -> usize {
        let several = self.inputs().len() > 1;
        assert_eq!(log.is_some(), several, "a log is named where there are several");
        let is = |(topic, at): &(Topic, i32)| {
            log.is_none_or(|log| topic.name == log) && u32::try_from(*at) == Ok(partition)
        };
        self.parts.iter().position(is).unwrap()
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

/// Makes the result topics of a job.
pub fn create_results(brokers: &str, job: &str) {
    for (log, partitions) in [("counts", 3), ("ranks", 2), ("rejects", 1), ("ledger", 1)] {
        let topic = Topic { brokers: brokers.to_owned(), name: format!("{job}.{log}") };
        topic.create(partitions, &[]);
    }
}

/// Clicks of an ad at these times of 2026-01-01.
pub fn clicks(ad: u32, times: &[&str]) -> Vec<Item> {
    let script = Script::with_lateness(0);
    let mut script = times.iter().fold(script, |script, time| script.click(ad, time));
    script.partitions.remove(0)
}

/// The same, each logged when it happened.
pub fn logged_clicks(ad: u32, times: &[&str]) -> Vec<Item> {
    let mut items = clicks(ad, times);
    for item in &mut items {
        if let Item::Click(click) = item {
            click.log_time = Some(click.event_ms);
        }
    }
    items
}

/// Settings under which much is told soon.
pub fn lively() -> Settings {
    Settings {
        refresh_ms: 100,
        changes: true,
        copies_stay: false,
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
fn toml(settings: &Settings, log_times: bool) -> String {
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
        if settings.log_time && !log_times { "logged" } else { "" },
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
