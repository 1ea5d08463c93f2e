//! Why a transaction was not committed: what the errors of Kafka's client come to.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::failure::Failure;
use crate::kafka::results::Topics;

/// Why a transaction was not committed.
pub enum Stop {
    /// The same call may be made again.
    Again(String),
    /// It is certain that it was not, or not known.
    InDoubt(String),
    /// Brokers take its rows, but not all of them in time: it was not.
    Slow(String),
    /// Another producer of the same name has been made, or the coordinator gave this one up.
    Fenced(String),
    /// It will not be: nothing is gained by trying again.
    Failed(String),
}

impl Stop {
    /// What `error` of a transactional call means.
    pub fn of(error: KafkaError) -> Stop {
        let is_retriable = matches!(&error, KafkaError::Transaction(error) if error.is_retriable());
        Stop::of_code(error.rdkafka_error_code(), error.to_string(), is_retriable)
    }

    /// What an error with this code means, which may pass if the same call is made again.
    pub fn of_code(code: Option<RDKafkaErrorCode>, why: String, is_retriable: bool) -> Stop {
        use RDKafkaErrorCode as Code;
        match code {
            Some(Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch) => {
                Stop::Fenced(why)
            }
            Some(
                Code::TopicAuthorizationFailed
                | Code::GroupAuthorizationFailed
                | Code::ClusterAuthorizationFailed
                | Code::TransactionalIdAuthorizationFailed
                | Code::MessageSizeTooLarge
                | Code::InvalidTransactionTimeout
                | Code::UnknownMemberId
                | Code::IllegalGeneration,
            ) => Stop::Failed(why),
            _ if is_retriable => Stop::Again(why),
            _ => Stop::InDoubt(why),
        }
    }

    /// What ends a run that cannot have its transactions.
    pub fn failure(self, topics: &Topics) -> Failure {
        match self {
            Stop::Again(why) | Stop::InDoubt(why) | Stop::Fenced(why) | Stop::Slow(why) => {
                Failure::new(format!("cannot begin transactions as {}: {why}", topics.job))
            }
            Stop::Failed(why) => Failure::refused(format!(
                "cannot commit to the topics of job {}: {why}",
                topics.job,
            )),
        }
    }
}
