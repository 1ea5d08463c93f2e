//! A job that is measured: its topics, its configuration, its process, what the system charges.

use std::fs;

use clicks::config::Kafka;
use clicks::kafka::client::Cluster;
use clicks::kafka::results::ResultTopics;
use clicks::sink::Results as _;
use clicks_dataflows::ledger::Commit;

pub use crate::beside::job::FILTERS;
use crate::support::binary::{Place, Running};
use crate::support::{Broker, Topic, broker, brokers};

/// Logs of a job, and the partitions that they have here.
const WIDTHS: [(&str, i32); 4] = [("counts", 4), ("ranks", 2), ("rejects", 1), ("ledger", 1)];

/// A topic of the bench's broker.
pub fn topic(name: &str) -> Topic {
    Topic { brokers: brokers().to_owned(), name: name.to_owned() }
}

/// Makes a topic of clicks that keeps them, however old they are.
pub fn clicks_topic(name: &str, partitions: i32, time: &str) -> Topic {
    let topic = topic(name);
    topic.create(partitions, &[("retention.ms", "-1"), ("message.timestamp.type", time)]);
    topic
}

/// The bench's broker as the program reaches it.
pub fn cluster() -> Cluster {
    let none = std::collections::BTreeMap::new;
    let (properties, consumer, producer) = (none(), none(), none());
    let kafka = Kafka { brokers: brokers().to_owned(), properties, consumer, producer };
    Cluster::new(&kafka).unwrap()
}

/// A job whose topics are there.
pub struct House {
    /// The job.
    pub name: String,
    place: Place,
}

impl House {
    /// A job with this emission and these filters; all else is as it is by default.
    pub fn new(name: &str, emit: &str, filters: &str) -> House {
        for (log, partitions) in WIDTHS {
            topic(&format!("{name}.{log}")).create(partitions, &[]);
        }
        let place = Place::new();
        let config = format!("[job]\nemit = \"{emit}\"\n{filters}");
        fs::write(place.path("clicks.toml"), config).unwrap();
        House { name: name.to_owned(), place }
    }

    /// Starts it: `verb` is `run`, or `replay` with its options.
    pub fn start(&self, verb: &str, input: &Topic) -> Running {
        let (job, input, brokers) = (&self.name, &input.name, brokers());
        self.place.start(&format!(
            "{verb} --input kafka:{input} --output kafka: --job {job} -b {brokers} \
             --config clicks.toml --no-progress",
        ))
    }

    /// A result topic.
    pub fn topic(&self, log: &str) -> Topic {
        topic(&format!("{}.{log}", self.name))
    }

    /// The lines of its ledger.
    pub fn ledger(&self) -> Vec<String> {
        let (cluster, job) = (cluster(), self.name.clone());
        let results = ResultTopics { cluster, job, inputs: Vec::new() };
        results.ledger().unwrap().map(Result::unwrap).collect()
    }

    /// Its commits.
    pub fn commits(&self) -> Vec<Commit> {
        self.ledger().iter().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Hundredths of a second of CPU.
#[derive(Clone, Copy, Default)]
pub struct Cpu {
    /// Of this process.
    pub own: u64,
    /// Of programs that have ended.
    pub children: u64,
    /// Of the broker.
    pub broker: u64,
}

impl Cpu {
    /// What was used so far.
    pub fn used() -> Cpu {
        let own = stat("self");
        let broker = stat(&broker(Broker::process));
        Cpu { own: own[0] + own[1], children: own[2] + own[3], broker: broker[0] + broker[1] }
    }

    /// What was used since `before`.
    pub fn since(self, before: Cpu) -> Cpu {
        Cpu {
            own: self.own - before.own,
            children: self.children - before.children,
            broker: self.broker - before.broker,
        }
    }
}

/// User and system time of a process, then that of its children that have ended.
fn stat(process: &str) -> [u64; 4] {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = fields.split_whitespace().collect();
    std::array::from_fn(|at| fields[11 + at].parse().unwrap())
}

/// Seconds of CPU that a process has used.
pub fn cpu_seconds(pid: &str) -> f64 {
    let [user, system, ..] = stat(pid);
    (user + system) as f64 / 100.0
}

/// MiB that a process had resident at most.
pub fn resident(pid: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) >> 10
}
