//! What a job needs of its topics, checked before it begins.
//!
//! A commit that a topic will not take fails each time that it is tried, so what cannot fit is
//! refused at the start. What is merely unwise is said.

use std::collections::BTreeMap;

use clicks_dataflows::click::QUOTE_BYTES_MAX;
use clicks_dataflows::options::Options;

use crate::duration::Duration;
use crate::failure::Failure;
use crate::kafka::admin::{Admin, Settings};
use crate::kafka::client::Cluster;
use crate::kafka::policy::{has_policy, kept_ms};
use crate::kafka::results::{LOGS, topic};
use crate::kafka::topics::alter;
use crate::kafka::transaction::MESSAGE_BYTES_MAX;
use crate::log;
use crate::past::distance_ms;

/// Bytes of an ad's id: at most 256, each of which may be written as `\u0001`.
const AD_BYTES_MAX: u64 = 256 * 6;

/// Bytes of `{"ad_id":"","clicks":18446744073709551615},`.
const RANKED_BYTES_MAX: u64 = AD_BYTES_MAX + 43;

/// Bytes of a row besides ads and quotes, its key, and the frame of its batch.
const ROOM_BYTES: u64 = 2048;

/// Bytes of a record that librdkafka puts into one batch, unless it is told otherwise.
const BATCH_BYTES: u64 = 1_000_000;

/// Topics and what a job does with them.
pub struct Use<'a> {
    /// The topics that it reads.
    pub inputs: &'a [String],
    /// Whether its results are topics, named after the job.
    pub job: Option<&'a str>,
    /// How it counts.
    pub options: &'a Options,
}

/// Refuses topics to which a job cannot commit; says what is unwise of those that it reads.
///
/// A topic that is missing is left to others to refuse.
///
/// # Errors
///
/// When a topic is refused, or no broker answers.
pub fn check(cluster: &Cluster, used: &Use<'_>) -> Result<(), Failure> {
    let results = used.job.map(|job| LOGS.map(|log| (log, topic(job, log))));
    let results: Vec<(&str, String)> = results.into_iter().flatten().collect();
    let results = results.iter().filter(|(_, topic)| !used.inputs.contains(topic));
    let inputs = used.inputs.iter().map(|input| ("clicks", input));
    let topics: Vec<(&str, &String)> =
        inputs.chain(results.map(|(log, topic)| (*log, topic))).collect();
    let mut names: Vec<&str> = topics.iter().map(|(_, topic)| topic.as_str()).collect();
    let admin = Admin::new(cluster)?;
    let there = admin.extents(&names)?;
    names.retain(|topic| there.contains_key(*topic));
    let settings: BTreeMap<&str, Option<Settings>> =
        names.iter().copied().zip(admin.settings(&names)?).collect();
    let mut untold = Vec::new();
    for (log, topic) in topics {
        let check = Check { cluster, topic, options: used.options };
        match settings.get(topic.as_str()) {
            Some(Some(settings)) if log == "clicks" => {
                clicks_notes(topic, settings, used.options).iter().for_each(|note| log::say(note));
            }
            Some(Some(settings)) => check.result(log, settings)?,
            Some(None) => untold.push(topic.as_str()),
            None => {}
        }
    }
    if !untold.is_empty() {
        log::say(&format!(
            "this user may not read the settings of topics (DescribeConfigs), so whether commits \
             fit, and how long clicks are kept, is not checked: {}",
            untold.join(", "),
        ));
    }
    Ok(())
}

/// What is unwise about a topic of clicks with these settings.
pub fn clicks_notes(topic: &str, settings: &Settings, options: &Options) -> Vec<String> {
    let mut notes = Vec::new();
    let needed_ms = distance_ms(options);
    if let Some(kept_ms) = kept_ms(settings).filter(|kept_ms| *kept_ms < needed_ms) {
        notes.push(format!(
            "topic {topic} keeps clicks for {} (retention.ms), but a job that starts again reads \
             up to {} of them again, besides those of the time that it was away: with fewer it \
             is refused",
            Duration(kept_ms),
            Duration(needed_ms),
        ));
    }
    if has_policy(settings, "compact") {
        notes.push(format!(
            "topic {topic} is compacted (cleanup.policy): clicks that have a key are lost once \
             there is a newer one, and a job that starts again may find them missing",
        ));
    }
    if settings.get("message.timestamp.type").is_some_and(|kind| kind == "CreateTime") {
        notes.push(format!(
            "topic {topic} has the times of its producers (message.timestamp.type=CreateTime): \
             their clocks are trusted; with LogAppendTime none is",
        ));
    }
    notes
}

/// A topic of results.
struct Check<'a> {
    cluster: &'a Cluster,
    topic: &'a str,
    options: &'a Options,
}

impl Check<'_> {
    fn result(&self, log: &str, settings: &Settings) -> Result<(), Failure> {
        if matches!(log, "rejects" | "ledger") && has_policy(settings, "compact") {
            return Err(self.refused(
                "it is compacted (cleanup.policy), and takes no records without a key",
                ("cleanup.policy", "delete"),
            ));
        }
        let taken = settings.get("max.message.bytes").and_then(|bytes| bytes.parse().ok());
        let taken = taken.unwrap_or(u64::from(MESSAGE_BYTES_MAX) + ROOM_BYTES);
        if log == "ranks" {
            self.lists(taken)?;
        }
        let row = match log {
            "counts" => AD_BYTES_MAX,
            "rejects" => QUOTE_BYTES_MAX as u64 * 6,
            _ => 0,
        };
        let needed = row.max(self.batch_bytes()) + ROOM_BYTES;
        if taken < needed {
            return Err(self.refused(
                &format!(
                    "it takes batches of {taken} bytes (max.message.bytes), and a commit may send \
                     {needed} (kafka.producer.batch.size and more)",
                ),
                ("max.message.bytes", &needed.to_string()),
            ));
        }
        Ok(())
    }

    /// Refuses lists that may be longer than what the topic takes, or we send.
    fn lists(&self, taken: u64) -> Result<(), Failure> {
        let top = self.options.top as u64;
        let longest = top * RANKED_BYTES_MAX + ROOM_BYTES;
        let sent = u64::from(MESSAGE_BYTES_MAX);
        if longest <= taken.min(sent) {
            return Ok(());
        }
        let fits = taken.min(sent).saturating_sub(ROOM_BYTES) / RANKED_BYTES_MAX;
        let lists = format!("job.top: a list of {top} ads may have {longest} bytes");
        if longest > sent {
            return Err(Failure::refused(format!(
                "{lists}, and records of more than {sent} are not sent to topics: {fits} ads fit",
            )));
        }
        Err(self.refused(
            &format!("{lists}, but it takes {taken} (max.message.bytes), for which {fits} ads fit"),
            ("max.message.bytes", &(longest + ROOM_BYTES).to_string()),
        ))
    }

    fn batch_bytes(&self) -> u64 {
        let set = self.cluster.producer_property("batch.size");
        set.and_then(|bytes| bytes.parse().ok()).unwrap_or(BATCH_BYTES)
    }

    /// Refuses the topic, with how another setting mends it.
    fn refused(&self, why: &str, (setting, value): (&str, &str)) -> Failure {
        let Check { cluster, topic, .. } = self;
        let mend = alter(cluster.brokers(), topic, setting, value);
        Failure::refused(format!("topic {topic}: {why}; to mend it, {mend}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Kafka;

    fn settings(settings: &[(&str, &str)]) -> Settings {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        settings.iter().map(own).collect()
    }

    fn options(top: usize) -> Options {
        Options {
            refresh_ms: 1000,
            lateness_ms: 15_000,
            horizon_ms: 6 * 3_600_000,
            ahead_max_ms: 3_600_000,
            jump_max_ms: 3_600_000,
            correct_every_ms: 60_000,
            emit: clicks_dataflows::options::Emit::Final,
            copies: clicks_dataflows::options::Copies::default(),
            filters: clicks_dataflows::filter::Filters::default(),
            windows: vec![1, 60],
            top,
            from: clicks_dataflows::time::Minute(0),
            engine: clicks_dataflows::options::Engine::Fast,
        }
    }

    fn refused(log: &str, top: usize, found: &[(&str, &str)]) -> Option<String> {
        let kafka = Kafka {
            brokers: "b:1".to_owned(),
            properties: BTreeMap::new(),
            consumer: BTreeMap::new(),
            producer: BTreeMap::new(),
        };
        let cluster = &Cluster::new(&kafka).unwrap();
        let check = Check { cluster, topic: "ads.log", options: &options(top) };
        check.result(log, &settings(found)).map_err(|failure| failure.to_string()).err()
    }

    #[test]
    fn commits_fit_their_topics() {
        let by_default = [("max.message.bytes", "1048588"), ("cleanup.policy", "delete")];
        for log in LOGS {
            assert_eq!(refused(log, 100, &by_default), None);
            let told = refused(log, 100, &[("max.message.bytes", "1000000")]).unwrap();
            assert!(told.contains("topic ads.log: it takes batches of 1000000 bytes"), "{told}");
            assert!(told.contains("--add-config max.message.bytes=1002048"), "{told}");
        }
        let told = refused("ranks", 1000, &by_default).unwrap();
        assert!(told.contains("job.top: a list of 1000 ads may have 1581048 bytes"), "{told}");
        assert!(told.contains("it takes 1048588 (max.message.bytes), for which 662"), "{told}");
        assert_eq!(refused("ranks", 1000, &[("max.message.bytes", "1581048")]), None);
        let told = refused("ranks", 10_000, &[("max.message.bytes", "100000000")]).unwrap();
        assert!(told.contains("10000000 are not sent to topics: 6331 ads fit"), "{told}");
    }

    #[test]
    fn topics_without_keys_are_not_compacted() {
        for log in ["rejects", "ledger"] {
            let told = refused(log, 1, &[("cleanup.policy", "compact,delete")]).unwrap();
            assert!(told.ends_with("--add-config cleanup.policy=delete"), "{told}");
        }
        assert_eq!(refused("counts", 1, &[("cleanup.policy", "compact")]), None);
    }

    #[test]
    fn what_is_unwise_of_clicks_is_said() {
        let said = |found: &[(&str, &str)]| {
            clicks_notes("clicks", &settings(found), &options(1)).join("\n")
        };
        assert_eq!(
            said(&[
                ("retention.ms", "-1"),
                ("cleanup.policy", "delete"),
                ("message.timestamp.type", "LogAppendTime")
            ]),
            ""
        );
        let short = said(&[("retention.ms", "3600000"), ("cleanup.policy", "delete")]);
        assert!(short.contains("for 1h (retention.ms)") && short.contains("483m"), "{short}");
        assert!(said(&[("message.timestamp.type", "CreateTime")]).contains("LogAppendTime"));
        assert!(said(&[("cleanup.policy", "compact")]).contains("is compacted"));
    }
}
