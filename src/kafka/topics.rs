//! Topics as they should be: of clicks, and of a job's results.
//!
//! | topic | partitions | keeps its records |
//! |---|---|---|
//! | of clicks | as asked, or more | as the brokers do, or as asked |
//! | `JOB.counts`, `JOB.ranks` | as asked, or more | for ever, as asked, or the newest of each key |
//! | `JOB.rejects` | 1 | for ever, or as asked; without keys it cannot be compacted |
//! | `JOB.ledger` | 1 | for ever: a job resumes from it, and is verified by it |

use std::collections::BTreeSet;

use clicks_dataflows::time::Millis;

use crate::kafka::admin::{Extent, New, Settings};
use crate::kafka::results::topic;

/// The largest batch of a topic of clicks: a record of 1 MiB, which may be a click, with its key,
/// its headers and the frame of its batch; and somewhat larger ones, which then are rejects that
/// are seen, rather than errors of their producer.
const INPUT_BATCH_BYTES: u32 = 2 << 20;

/// From so many copies on, one may be missing while clicks and results are taken.
const SAFE_REPLICATION: u16 = 3;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Topics of clicks.
    pub inputs: Vec<String>,
    /// Partitions of each.
    pub partitions: u32,
    /// How long clicks are kept; without it, as the brokers do.
    pub input_retention_ms: Option<Millis>,
    /// The job, if its topics are asked for.
    pub job: Option<String>,
    /// Partitions of `counts`, and of `ranks`.
    pub result_partitions: u32,
    /// How long counts, ranks and rejects are kept; without it, for ever.
    pub result_retention_ms: Option<Millis>,
    /// The largest batch of the job's topics.
    pub result_batch_bytes: u32,
    /// Whether only the newest rows of counts and ranks are kept.
    pub compact: bool,
    /// Copies of each partition; without it, as many as the brokers make.
    pub replication: Option<u16>,
}

/// A topic as it should be.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Its name.
    pub topic: String,
    /// What it holds.
    pub holds: Holds,
    partitions: u32,
    replication: Option<u16>,
    settings: Vec<(&'static str, Should)>,
}

/// What a topic holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Clicks.
    Clicks,
    /// Rows by their keys: counts or ranks.
    Rows,
    /// Records in one order: rejects or the ledger.
    Lines,
}

/// What a setting should be.
#[derive(Clone, Debug)]
enum Should {
    /// This, and nothing else; of words, in any order.
    Be(String),
    /// This number or more.
    BeAtLeast(u32),
}

/// What is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Kafka's word for it; `partitions` and `replication` besides.
    pub setting: &'static str,
    /// What it is.
    pub is: String,
    /// What it should be.
    pub should: String,
}

impl Plan {
    /// The topics that are asked for.
    pub fn topics(&self) -> Vec<Wanted> {
        let mut topics: Vec<Wanted> = self.inputs.iter().map(|input| self.clicks(input)).collect();
        if let Some(job) = &self.job {
            let rows = ["counts", "ranks"].map(|log| self.rows(topic(job, log)));
            let rejects = self.lines(topic(job, "rejects"), self.result_retention_ms);
            topics.extend(rows);
            topics.extend([rejects, self.lines(topic(job, "ledger"), None)]);
        }
        topics
    }

    fn clicks(&self, topic: &str) -> Wanted {
        let mut settings = vec![
            ("cleanup.policy", be("delete")),
            ("max.message.bytes", Should::BeAtLeast(INPUT_BATCH_BYTES)),
            ("message.timestamp.type", be("LogAppendTime")),
        ];
        if let Some(retention_ms) = self.input_retention_ms {
            settings.push(("retention.ms", be(&retention_ms.to_string())));
        }
        self.wanted(topic.to_owned(), Holds::Clicks, self.partitions, settings)
    }

    fn rows(&self, topic: String) -> Wanted {
        let settings = match (self.compact, self.result_retention_ms) {
            (false, retention_ms) => kept("delete", retention_ms),
            (true, Some(retention_ms)) => kept("compact,delete", Some(retention_ms)),
            (true, None) => vec![("cleanup.policy", be("compact"))],
        };
        self.result(topic, Holds::Rows, self.result_partitions, settings)
    }

    fn lines(&self, topic: String, retention_ms: Option<Millis>) -> Wanted {
        self.result(topic, Holds::Lines, 1, kept("delete", retention_ms))
    }

    fn result(
        &self,
        topic: String,
        holds: Holds,
        partitions: u32,
        mut settings: Vec<(&'static str, Should)>,
    ) -> Wanted {
        settings.push(("max.message.bytes", Should::BeAtLeast(self.result_batch_bytes)));
        self.wanted(topic, holds, partitions, settings)
    }

    fn wanted(
        &self,
        topic: String,
        holds: Holds,
        partitions: u32,
        mut settings: Vec<(&'static str, Should)>,
    ) -> Wanted {
        if self.replication >= Some(SAFE_REPLICATION) {
            settings.push(("min.insync.replicas", Should::BeAtLeast(2)));
        }
        Wanted { topic, holds, partitions, replication: self.replication, settings }
    }
}

/// Settings of a topic that cleans up by `policy`, and keeps records so long, or for ever.
fn kept(policy: &str, retention_ms: Option<Millis>) -> Vec<(&'static str, Should)> {
    let retention = retention_ms.map_or("-1".to_owned(), |retention| retention.to_string());
    vec![
        ("cleanup.policy", be(policy)),
        ("retention.bytes", be("-1")),
        ("retention.ms", be(&retention)),
    ]
}

fn be(value: &str) -> Should {
    Should::Be(value.to_owned())
}

impl Wanted {
    /// The topic as it is made.
    pub fn new_topic(&self) -> New {
        let settings = self.settings.iter().map(|(name, should)| (*name, should.value()));
        New {
            topic: self.topic.clone(),
            partitions: self.partitions,
            replication: self.replication,
            settings: settings.collect(),
        }
    }

    /// What is not as it should be of the topic as it is.
    pub fn differences(&self, extent: &Extent, settings: &Settings) -> Vec<Difference> {
        let mut differences = Vec::new();
        let mut differ = |setting, is: String, should: String| {
            differences.push(Difference { setting, is, should });
        };
        let wanted = self.partitions as usize;
        match self.holds {
            Holds::Lines if extent.partitions != 1 => {
                differ("partitions", extent.partitions.to_string(), "1".to_owned());
            }
            Holds::Clicks | Holds::Rows if extent.partitions < wanted => {
                differ("partitions", extent.partitions.to_string(), wanted.to_string());
            }
            _ => {}
        }
        if let Some(copies) = self.replication.filter(|n| extent.replication < usize::from(*n)) {
            differ("replication", extent.replication.to_string(), copies.to_string());
        }
        for (name, should) in &self.settings {
            // What the brokers do not tell is theirs to decide.
            if let Some(is) = settings.get(*name).filter(|is| !should.allows(is)) {
                differ(name, is.clone(), should.to_string());
            }
        }
        differences
    }

    /// How `difference` is mended, at `brokers`.
    pub fn mend(&self, difference: &Difference, brokers: &str) -> String {
        let topic = &self.topic;
        match (difference.setting, self.holds) {
            ("partitions", Holds::Clicks) => format!(
                "{topic}: kafka-topics.sh --bootstrap-server {brokers} --alter --topic {topic} \
                 --partitions {}",
                difference.should,
            ),
            ("partitions", Holds::Rows) => format!(
                "{topic}: rows of a key are in one partition, so none is added to a job that has \
                 begun: leave it, or start a new job",
            ),
            ("partitions", Holds::Lines) => format!(
                "{topic}: its records are in one order: delete it and make it again, if the job \
                 has not begun, or start a new job",
            ),
            ("replication", _) => format!(
                "{topic}: kafka-reassign-partitions.sh --bootstrap-server {brokers} gives \
                 partitions more copies",
            ),
            ("cleanup.policy", Holds::Rows) => {
                format!(
                    "{}; or ask for what is there by --compact and --result-retention",
                    self.alter(difference.setting, brokers),
                )
            }
            (setting, _) => self.alter(setting, brokers),
        }
    }

    fn alter(&self, setting: &str, brokers: &str) -> String {
        let should = self.settings.iter().find(|(name, _)| *name == setting);
        let value = should.map(|(_, should)| should.value()).unwrap_or_default();
        alter(brokers, &self.topic, setting, &value)
    }
}

/// The command that gives a topic another setting.
pub fn alter(brokers: &str, topic: &str, setting: &str, value: &str) -> String {
    let value = if value.contains(',') { format!("[{value}]") } else { value.to_owned() };
    format!(
        "{topic}: kafka-configs.sh --bootstrap-server {brokers} --alter --entity-type topics \
         --entity-name {topic} --add-config {setting}={value}",
    )
}

impl Should {
    fn value(&self) -> String {
        match self {
            Should::Be(value) => value.clone(),
            Should::BeAtLeast(least) => least.to_string(),
        }
    }

    fn allows(&self, is: &str) -> bool {
        let words = |text: &str| -> BTreeSet<String> {
            text.split(',').map(|word| word.trim().to_owned()).collect()
        };
        match self {
            Should::Be(value) => words(is) == words(value),
            Should::BeAtLeast(least) => is.parse::<u64>().is_ok_and(|is| is >= u64::from(*least)),
        }
    }
}

impl std::fmt::Display for Should {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Should::Be(value) => f.write_str(value),
            Should::BeAtLeast(least) => write!(f, "{least} or more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(partitions: usize, settings: &[(&str, &str)]) -> (Extent, Settings) {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let extent = Extent { partitions, replication: 1, is_led: true };
        (extent, settings.iter().map(own).collect())
    }

    fn plan() -> Plan {
        Plan {
            inputs: vec!["clicks".to_owned()],
            partitions: 4,
            job: Some("ads".to_owned()),
            result_partitions: 2,
            result_batch_bytes: 10,
            ..Plan::default()
        }
    }

    /// `SETTING=VALUE` of each topic as it is made.
    fn made(plan: &Plan) -> Vec<String> {
        let text = |(name, value): &(&str, String)| format!("{name}={value}");
        let line = |wanted: Wanted| {
            let new = wanted.new_topic();
            let settings: Vec<String> = new.settings.iter().map(text).collect();
            format!("{} {} {}", new.topic, new.partitions, settings.join(" "))
        };
        plan.topics().into_iter().map(line).collect()
    }

    const FOR_EVER: &str =
        "cleanup.policy=delete retention.bytes=-1 retention.ms=-1 max.message.bytes=10";

    #[test]
    fn results_are_kept_for_ever() {
        let clicks = "cleanup.policy=delete max.message.bytes=2097152 \
            message.timestamp.type=LogAppendTime";
        assert_eq!(
            made(&plan()),
            [
                format!("clicks 4 {clicks}"),
                format!("ads.counts 2 {FOR_EVER}"),
                format!("ads.ranks 2 {FOR_EVER}"),
                format!("ads.rejects 1 {FOR_EVER}"),
                format!("ads.ledger 1 {FOR_EVER}"),
            ],
        );
    }

    #[test]
    fn the_ledger_is_kept_for_ever_whatever_is_asked_for() {
        let (compact, retention) = (true, Some(5000));
        let asked = Plan { compact, result_retention_ms: retention, inputs: vec![], ..plan() };
        let some = "retention.bytes=-1 retention.ms=5000 max.message.bytes=10";
        assert_eq!(
            made(&asked),
            [
                format!("ads.counts 2 cleanup.policy=compact,delete {some}"),
                format!("ads.ranks 2 cleanup.policy=compact,delete {some}"),
                format!("ads.rejects 1 cleanup.policy=delete {some}"),
                format!("ads.ledger 1 {FOR_EVER}"),
            ],
        );
        let newest = made(&Plan { result_retention_ms: None, ..asked });
        assert_eq!(newest[0], "ads.counts 2 cleanup.policy=compact max.message.bytes=10");
    }

    #[test]
    fn three_copies_may_lose_one() {
        let made = made(&Plan { replication: Some(3), ..plan() });
        assert!(made.iter().all(|topic| topic.ends_with("min.insync.replicas=2")), "{made:?}");
    }

    #[test]
    fn what_differs_is_told_and_more_is_as_good() {
        let asked = plan().topics();
        let told = |wanted: &Wanted, partitions, settings| -> Vec<String> {
            let (extent, settings) = found(partitions, settings);
            let differences = wanted.differences(&extent, &settings);
            let line = |d: &Difference| format!("{} {} {}", d.setting, d.is, d.should);
            differences.iter().map(line).collect()
        };
        let (clicks, counts, ledger) = (&asked[0], &asked[1], &asked[4]);
        let nothing: [String; 0] = [];
        let good = [("max.message.bytes", "9000000"), ("message.timestamp.type", "LogAppendTime")];
        assert_eq!(told(clicks, 9, &good), nothing);
        let bad = [("max.message.bytes", "9"), ("message.timestamp.type", "CreateTime")];
        assert_eq!(
            told(clicks, 3, &bad),
            [
                "partitions 3 4",
                "max.message.bytes 9 2097152 or more",
                "message.timestamp.type CreateTime LogAppendTime",
            ],
        );
        assert_eq!(told(counts, 2, &[("retention.ms", "7")]), ["retention.ms 7 -1"]);
        let compacted = [("cleanup.policy", "compact,delete")];
        assert_eq!(
            told(ledger, 2, &compacted),
            ["partitions 2 1", "cleanup.policy compact,delete delete"],
        );
    }
}
