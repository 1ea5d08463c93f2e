//! Every setting with its value and where it was set.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use clicks_dataflows::time::Millis;

use super::error::ConfigError;
use super::properties::is_secret;
use super::value::{KEYS, Value};

/// Where a value was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere.
    Default,
    /// In the file.
    File(PathBuf),
    /// By this environment variable.
    Environment(String),
    /// By this flag.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(path) => write!(f, "file {}", path.display()),
            Origin::Environment(variable) => write!(f, "environment {variable}"),
            Origin::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// Every setting with its value and its origin. It is shown without its secrets.
#[derive(Clone)]
pub struct Settings {
    values: BTreeMap<String, (Value, Origin)>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.values.iter().filter(|(key, _)| !is_secret(key))).finish()
    }
}

impl Settings {
    /// The lowest layer.
    pub fn defaults() -> Settings {
        let values = KEYS.iter().map(|key| {
            let value = key.kind.read_text(key.default).expect("a default is of its kind");
            (key.name.to_owned(), (value, Origin::Default))
        });
        Settings { values: values.collect() }
    }

    /// Sets `key`, if its value could be read.
    pub(super) fn set(
        &mut self,
        key: String,
        value: Result<Value, String>,
        origin: Origin,
    ) -> Result<(), ConfigError> {
        match value {
            Ok(value) => self.values.insert(key, (value, origin)),
            // What would be right tells what is there.
            Err(_) if is_secret(&key) => {
                return Err(ConfigError::refused(key, origin, "it takes text in quotes"));
            }
            Err(problem) => return Err(ConfigError::refused(key, origin, problem)),
        };
        Ok(())
    }

    /// Fills in what follows from other settings, and sorts what has no order.
    pub fn complete(&mut self) {
        if *self.origin("job.idle_after") == Origin::Default {
            let refresh = self.value("job.refresh").clone();
            self.values.insert("job.idle_after".to_owned(), (refresh, Origin::Default));
        }
        if let Some((Value::Numbers(windows), _)) = self.values.get_mut("job.windows") {
            windows.sort_unstable();
        }
    }

    /// The value of a setting.
    pub fn value(&self, key: &str) -> &Value {
        &self.values.get(key).expect("every setting has a default").0
    }

    /// Where a setting was set.
    pub fn origin(&self, key: &str) -> &Origin {
        &self.values.get(key).expect("every setting has a default").1
    }

    /// A setting that is text.
    pub fn text(&self, key: &str) -> &str {
        match self.value(key) {
            Value::Text(text) => text,
            value => panic!("{key} is text: {value}"),
        }
    }

    /// A setting that is a duration; none if it is off.
    pub fn length(&self, key: &str) -> Option<Millis> {
        match self.value(key) {
            Value::Length(length) => Some(length.0),
            Value::Text(_) => None,
            value => panic!("{key} is a duration: {value}"),
        }
    }

    /// A setting that is a number.
    pub fn number(&self, key: &str) -> u64 {
        match self.value(key) {
            Value::Number(number) => *number,
            value => panic!("{key} is a number: {value}"),
        }
    }

    /// A setting that is a list of numbers.
    pub fn numbers(&self, key: &str) -> &[u64] {
        match self.value(key) {
            Value::Numbers(numbers) => numbers,
            value => panic!("{key} is numbers: {value}"),
        }
    }

    /// A setting that is a list of texts; none if it is a word.
    pub fn texts(&self, key: &str) -> Option<&[String]> {
        match self.value(key) {
            Value::Texts(texts) => Some(texts),
            _ => None,
        }
    }

    /// The properties for librdkafka in `table`, by their own names, with value and origin.
    pub fn properties(&self, table: &str) -> impl Iterator<Item = (&str, &str, &Origin)> {
        let prefix = format!("{table}.");
        self.values.iter().filter_map(move |(key, (value, origin))| match value {
            Value::Text(text) => Some((key.strip_prefix(&prefix)?, text.as_str(), origin)),
            _ => None,
        })
    }
}
