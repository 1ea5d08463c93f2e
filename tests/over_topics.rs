//! What is read back from topics is what the oracle tells, to the byte, and so what files hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use clicks::config::Kafka;
use clicks::kafka::client::Cluster;
use clicks::kafka::results::ResultTopics;
use clicks::kafka::source::InputTopics;
use clicks::run::Job;
use clicks::sink::Results;
use clicks::source::Ending;
use proptest::test_runner::TestRunner;
use timely::CommunicationConfig;

use crate::laws::assert_complete;
use crate::support::cases;
use crate::support::disk::ForgetfulDisk;
use crate::support::kafka::{self, Record, Topic, order};
use crate::support::live::Arrivals;
use crate::support::oracle;
use crate::support::run::{Committed, How, Nobody, PLAIN, job};
use crate::support::script::{Item, Script};
use crate::support::scripts::scripts;

/// Topics are read to their end and results go to topics; workers decide nothing.
#[test]
fn topics_tell_what_the_oracle_tells() {
    let mut runner = TestRunner::new(cases(12));
    let cases = (scripts(), 1usize..=3);
    runner
        .run(&cases, |(script, workers)| {
            let script = without_empty_lines(script);
            let over = OverTopics::new(&script);
            let mut job = over.job(&script, How { workers, ..PLAIN });
            job.ending = Ending::Complete;
            job.run(Box::new(Nobody)).unwrap();
            assert_complete(&over.committed(), &oracle::tell(&script, &[]));
            Ok(())
        })
        .unwrap();
}

/// A script's records in a topic, and the topics of a job.
struct OverTopics {
    job: String,
    cluster: Cluster,
    input: Topic,
}

impl OverTopics {
    fn new(script: &Script) -> OverTopics {
        let job = kafka::unique("law");
        let partitions = i32::try_from(script.partitions.len()).unwrap();
        let input = kafka::create_topic(&format!("{job}-clicks"), partitions, &[]);
        for (log, partitions) in [("counts", 3), ("ranks", 2), ("rejects", 1), ("ledger", 1)] {
            kafka::create_topic(&format!("{job}.{log}"), partitions, &[]);
        }
        let mut records = Vec::new();
        for (items, partition) in script.partitions.iter().zip(0..) {
            // None, as in a file: librdkafka takes 0 for the time now.
            let record = |item: &Item| Record {
                partition,
                time: Some(-1),
                key: None,
                value: Some(item.line()),
            };
            records.extend(items.iter().map(record));
        }
        kafka::produce(&input, &records);
        let kafka = Kafka {
            brokers: kafka::brokers().to_owned(),
            properties: BTreeMap::new(),
            consumer: BTreeMap::new(),
            producer: BTreeMap::new(),
        };
        OverTopics { job, cluster: Cluster::new(&kafka).unwrap(), input }
    }

    fn job(&self, script: &Script, how: How) -> Job {
        let topics = [self.input.name.clone()];
        let mut input = InputTopics::new(&self.cluster, &topics, &self.job);
        input.lookout.extents().unwrap();
        input.ends = Some(input.lookout.ends());
        let nowhere = ForgetfulDisk::default();
        let as_script = job(script, &nowhere, &Arrivals::complete(script), how);
        let input = input.input();
        Job {
            name: self.job.clone(),
            source: input.source,
            ending: input.ending,
            results: Arc::new(self.results()),
            communication: CommunicationConfig::Process(how.workers),
            now: Arc::new(clicks::worker::monotonic_ms),
            patience: std::time::Duration::from_millis(1),
            ..as_script
        }
    }

    fn results(&self) -> ResultTopics {
        let (cluster, job) = (self.cluster.clone(), self.job.clone());
        ResultTopics { cluster, job, inputs: vec![self.input.name.clone()] }
    }

    /// What a reader of committed records finds, in the order in which it was told.
    fn committed(&self) -> Committed {
        let lines = |log: &str| {
            let topic =
                Topic { brokers: kafka::brokers().to_owned(), name: format!("{}.{log}", self.job) };
            let rows = kafka::rows(&topic).into_iter();
            let mut rows: Vec<String> = rows.map(|row| String::from_utf8(row).unwrap()).collect();
            // The rejects and the ledger have one partition, in order.
            match log {
                "counts" => {
                    rows.sort_by_cached_key(|row| order(row, &["ad_id", "minute", "filter"]))
                }
                "ranks" => {
                    rows.sort_by_cached_key(|row| order(row, &["filter", "window", "minute"]))
                }
                _ => {}
            }
            rows
        };
        let results = self.results();
        let ledger = results.ledger().unwrap().skip(1);
        Committed {
            counts: lines("counts"),
            ranks: lines("ranks"),
            rejects: lines("rejects"),
            ledger: ledger.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect(),
        }
    }
}

/// In a topic an empty record is a record; in a file it is none.
fn without_empty_lines(mut script: Script) -> Script {
    for partition in &mut script.partitions {
        partition.retain(|item| !item.line().is_empty());
    }
    script
}
