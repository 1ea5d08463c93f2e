//! What goes wrong with a raw log.

use std::error::Error;
use std::fmt;

/// Why a raw log, or a segment of it, cannot be read or written.
#[derive(Debug)]
pub enum RawError {
    /// What `--raw` says is no place of a raw log.
    Place(String),
    /// The store would not do it.
    Store {
        /// What was attempted, and on what.
        attempt: String,
        /// Why not.
        cause: Box<dyn Error + Send + Sync>,
    },
    /// A segment is not what was written.
    Damaged {
        /// The file.
        file: String,
        /// What is wrong with it.
        why: String,
    },
    /// A segment that is to move is in the cold store already, but another.
    Unlike {
        /// The file in the cold store.
        cold: String,
        /// The file that is to move.
        hot: String,
    },
}

impl RawError {
    /// A segment that is not what was written.
    pub fn damaged(file: impl Into<String>, why: impl fmt::Display) -> RawError {
        RawError::Damaged { file: file.into(), why: why.to_string() }
    }

    /// What it says, with what caused it.
    pub fn in_full(&self) -> String {
        match self.source() {
            Some(cause) => format!("{self}: {cause}"),
            None => self.to_string(),
        }
    }
}

impl fmt::Display for RawError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RawError::Place(why) => f.write_str(why),
            RawError::Store { attempt, .. } => f.write_str(attempt),
            RawError::Damaged { file, why } => write!(
                f,
                "{file} is damaged ({why}): bring it back from a copy, or move it away and archive \
                 its records again while their topic has them",
            ),
            RawError::Unlike { cold, hot } => write!(
                f,
                "{cold} is not what {hot} holds, which is as it was sealed: move the former away, \
                 and the next run copies it again",
            ),
        }
    }
}

impl Error for RawError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            RawError::Store { cause, .. } => Some(&**cause),
            RawError::Place(_) | RawError::Damaged { .. } | RawError::Unlike { .. } => None,
        }
    }
}
