//! What each error of each transactional call becomes.
//!
//! The errors are those of librdkafka's mock cluster, whose transactions are empty: what is shown
//! here is which way an error goes, and nothing about what becomes visible.

use std::collections::BTreeMap;

use rdkafka::bindings::rd_kafka_resp_err_t as Code;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::RDKafkaApiKey as Api;

use super::*;
use crate::config::Kafka;
use crate::failure::Kind;

type Mock = MockCluster<'static, DefaultProducerContext>;

/// A cluster with the topics of a job.
fn mock() -> (Mock, Cluster, Topics) {
    let mock = MockCluster::new(1).unwrap();
    for (log, partitions) in [("counts", 2), ("ranks", 1), ("rejects", 1), ("ledger", 1)] {
        mock.create_topic(&format!("ads.{log}"), partitions, 1).unwrap();
    }
    mock.create_topic("clicks", 1, 1).unwrap();
    let kafka = Kafka {
        brokers: mock.bootstrap_servers(),
        properties: BTreeMap::from([("retry.backoff.ms".to_owned(), "10".to_owned())]),
        consumer: BTreeMap::new(),
        producer: BTreeMap::new(),
    };
    let topics = Topics { job: "ads".to_owned(), counts: 2, ranks: 1 };
    (mock, Cluster::new(&kafka).unwrap(), topics)
}

fn commit(transactions: &mut Transactions, line: &str) -> Result<(), Failure> {
    let mut sealed = Sealed::opening(line.to_owned());
    sealed.rows.counts.push(|line, key| {
        line.extend(b"a row");
        key.extend(b"ad|minute|0");
    });
    let offsets = vec![("clicks".to_owned(), 0, 7)];
    transactions.commit(&Pending { sealed: &sealed, offsets })
}

/// How a commit ends during which `api` answers with `codes`, one after the other.
fn outcome(api: Api, codes: &[Code]) -> Result<(), Kind> {
    let (mock, cluster, topics) = mock();
    let mut transactions = Transactions::begin(&cluster, topics).unwrap();
    commit(&mut transactions, "opening").unwrap();
    mock.request_errors(api, codes);
    commit(&mut transactions, "a commit").map_err(|failure| failure.kind())
}

#[test]
fn what_passes_is_tried_again() {
    use Code::*;
    for (api, code) in [
        (Api::AddPartitionsToTxn, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS),
        (Api::AddPartitionsToTxn, RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS),
        (Api::Produce, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS),
        (Api::Produce, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION),
        (Api::Produce, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT),
        (Api::TxnOffsetCommit, RD_KAFKA_RESP_ERR_NOT_COORDINATOR),
        (Api::AddOffsetsToTxn, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE),
        (Api::EndTxn, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS),
        (Api::EndTxn, RD_KAFKA_RESP_ERR_NOT_COORDINATOR),
    ] {
        assert_eq!(outcome(api, &[code; 3]), Ok(()), "{api:?} {code:?}");
    }
}

/// What loses a transaction loses its producer; a new one begins again.
#[test]
fn a_lost_transaction_is_begun_again_by_a_new_producer() {
    use Code::*;
    for (api, code) in [
        (Api::AddPartitionsToTxn, RD_KAFKA_RESP_ERR_INVALID_TXN_STATE),
        (Api::AddPartitionsToTxn, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING),
        (Api::Produce, RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID),
        (Api::EndTxn, RD_KAFKA_RESP_ERR_INVALID_TXN_STATE),
        (Api::EndTxn, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING),
    ] {
        assert_eq!(outcome(api, &[code]), Ok(()), "{api:?} {code:?}");
    }
}

/// Whoever is fenced does not fence the other in return.
#[test]
fn whoever_is_fenced_ends() {
    use Code::*;
    for (api, code) in [
        (Api::AddPartitionsToTxn, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH),
        (Api::AddPartitionsToTxn, RD_KAFKA_RESP_ERR_PRODUCER_FENCED),
        (Api::AddOffsetsToTxn, RD_KAFKA_RESP_ERR_PRODUCER_FENCED),
        (Api::TxnOffsetCommit, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH),
        (Api::EndTxn, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH),
        (Api::EndTxn, RD_KAFKA_RESP_ERR_PRODUCER_FENCED),
    ] {
        assert_eq!(outcome(api, &[code]), Err(Kind::Owned), "{api:?} {code:?}");
    }
}

#[test]
fn what_will_never_be_is_refused() {
    use Code::*;
    for (api, code) in [
        (Api::AddPartitionsToTxn, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED),
        (Api::AddPartitionsToTxn, RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED),
        (Api::Produce, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE),
        (Api::Produce, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED),
        (Api::TxnOffsetCommit, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED),
    ] {
        assert_eq!(outcome(api, &[code]), Err(Kind::Refused), "{api:?} {code:?}");
    }
}

#[test]
fn beginning_waits_for_the_coordinator_and_is_refused_what_it_may_not() {
    use Code::*;
    let begun = |codes: &[Code]| {
        let (mock, cluster, topics) = mock();
        mock.request_errors(Api::InitProducerId, codes);
        Transactions::begin(&cluster, topics).map(|_| ()).map_err(|failure| failure.kind())
    };
    assert_eq!(begun(&[RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS; 3]), Ok(()));
    assert_eq!(begun(&[RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS; 3]), Ok(()));
    let refused = [RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED];
    assert_eq!(begun(&refused), Err(Kind::Refused));
}
