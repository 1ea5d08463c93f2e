//! What ends a run: the outside world would not have it, and a restart resumes.

use std::error::Error;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What was attempted on what, and why it failed.
#[derive(Debug)]
pub struct Failure {
    attempt: String,
    cause: Option<Box<dyn Error + Send + Sync>>,
    kind: Kind,
}

/// How a failure ends the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// The outside world failed; a restart resumes.
    Failed,
    /// What was asked for cannot be: wrong usage or configuration.
    Refused,
    /// A check found a difference.
    Differs,
    /// Another instance owns the job.
    Owned,
}

impl Kind {
    /// The exit code that says so.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Failed => 1,
            Kind::Refused => 2,
            Kind::Differs => 3,
            Kind::Owned => 4,
        }
    }
}

impl Failure {
    /// A failure without a further cause.
    pub fn new(attempt: impl Into<String>) -> Failure {
        Failure { attempt: attempt.into(), cause: None, kind: Kind::Failed }
    }

    /// The same failure as one of wrong usage or configuration.
    #[must_use]
    pub fn as_refused(self) -> Failure {
        Failure { kind: Kind::Refused, ..self }
    }

    /// What was asked for cannot be.
    pub fn refused(why: impl Into<String>) -> Failure {
        Failure { kind: Kind::Refused, ..Failure::new(why) }
    }

    /// A failure of another kind.
    pub fn of(kind: Kind, why: impl Into<String>) -> Failure {
        Failure { kind, ..Failure::new(why) }
    }

    /// What it says, with all that caused it.
    pub fn in_full(&self) -> String {
        let mut message = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            message += &format!(": {error}");
            cause = error.source();
        }
        message
    }

    /// How it ends the program.
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.attempt)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}

/// Says what was attempted when an error ends it.
pub trait Attempt<T> {
    /// Names the attempt: `cannot read in/p0.jsonl`.
    ///
    /// # Errors
    ///
    /// The same error, as the cause of the failed attempt.
    fn attempt(self, attempt: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T, E: Error + Send + Sync + 'static> Attempt<T> for Result<T, E> {
    fn attempt(self, attempt: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|cause| Failure { cause: Some(Box::new(cause)), ..Failure::new(attempt()) })
    }
}
