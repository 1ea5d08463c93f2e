//! Why a configuration is refused.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use strsim::damerau_levenshtein;

use super::settings::Origin;

/// Why a configuration is refused; all of it is wrong usage.
#[derive(Debug)]
pub enum ConfigError {
    /// The file cannot be read.
    Unreadable(PathBuf, io::Error),
    /// The file is no TOML: where, and why.
    NotToml(PathBuf, String),
    /// There is no such key.
    Unknown {
        /// The key, or the environment variable.
        key: String,
        /// The known one that is nearest to it.
        nearest: String,
        /// Where it stands.
        origin: Origin,
    },
    /// The key has a value that it cannot have.
    Refused {
        /// The key.
        key: String,
        /// Where the value stands.
        origin: Origin,
        /// What is wrong, and what would be right.
        problem: String,
    },
}

impl ConfigError {
    /// Refuses the file at `path`, which holds `text`; the line is not quoted, as it may hold a
    /// secret.
    pub(super) fn not_toml(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let why = format!("line {line}, column {column}: {}", error.message());
        ConfigError::NotToml(path.to_path_buf(), why)
    }

    /// Refuses `key`, which is none of `known`.
    pub(super) fn unknown<T: AsRef<str>>(
        key: &str,
        known: impl IntoIterator<Item = T>,
        origin: Origin,
    ) -> ConfigError {
        let nearest = known.into_iter().min_by_key(|known| distance(key, known.as_ref()));
        let nearest = nearest.map(|known| known.as_ref().to_owned()).unwrap_or_default();
        ConfigError::Unknown { key: key.to_owned(), nearest, origin }
    }

    /// Refuses the value of `key`.
    pub(super) fn refused(
        key: impl Into<String>,
        origin: Origin,
        problem: impl Into<String>,
    ) -> ConfigError {
        ConfigError::Refused { key: key.into(), origin, problem: problem.into() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Unreadable(path, _) => write!(f, "cannot read {}", path.display()),
            ConfigError::NotToml(path, why) => {
                write!(f, "{} is not TOML: {why}", path.display())
            }
            ConfigError::Unknown { key, nearest, origin } => {
                write!(f, "unknown key `{key}`; did you mean `{nearest}`? ({origin})")
            }
            ConfigError::Refused { key, origin, problem } => {
                write!(f, "`{key}` ({origin}): {problem}")
            }
        }
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ConfigError::Unreadable(_, error) => Some(error),
            ConfigError::NotToml(..)
            | ConfigError::Unknown { .. }
            | ConfigError::Refused { .. } => None,
        }
    }
}

/// Edits between two keys; one, and those between their last parts, if the sections are wrong.
fn distance(key: &str, known: &str) -> usize {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    damerau_levenshtein(key, known).min(1 + damerau_levenshtein(&last(key), &last(known)))
}
