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
    /// Another producer of the same name has been made, or the coordinator gave this one up.
    Fenced(String),
    /// It will not be: nothing is gained by trying again.
    Failed(String),
}

impl Stop {
    /// What `error` of a transactional call means.
    pub fn of(error: KafkaError) -> Stop {
        use RDKafkaErrorCode as Code;
        let why = error.to_string();
        let code = error.rdkafka_error_code();
        match (&error, code) {
            (_, Some(Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch)) => {
                Stop::Fenced(why)
            }
            (
                _,
                Some(
                    Code::TopicAuthorizationFailed
                    | Code::GroupAuthorizationFailed
                    | Code::ClusterAuthorizationFailed
                    | Code::TransactionalIdAuthorizationFailed
                    | Code::MessageSizeTooLarge
                    | Code::InvalidTransactionTimeout
                    | Code::UnknownMemberId
                    | Code::IllegalGeneration,
                ),
            ) => Stop::Failed(why),
            (KafkaError::Transaction(error), _) if error.is_retriable() => Stop::Again(why),
            _ => Stop::InDoubt(why),
        }
    }

    pub fn failure(self, topics: &Topics) -> Failure {
        match self {
            Stop::Again(why) | Stop::InDoubt(why) | Stop::Fenced(why) => {
                Failure::new(format!("cannot begin transactions as {}: {why}", topics.job))
            }
            Stop::Failed(why) => Failure::refused(format!(
                "cannot commit to the topics of job {}: {why}",
                topics.job,
            )),
        }
    }
}

/// Makes the same call again as long as that can help.
pub fn again(
    late: &dyn Fn() -> bool,
    call: impl Fn() -> Result<(), KafkaError>,
) -> Result<(), Stop> {
    loop {
        match call().map_err(Stop::of) {
            Err(Stop::Again(why)) if late() => return Err(Stop::InDoubt(why)),
            Err(Stop::Again(_)) => {}
            result => return result,
        }
    }
}
