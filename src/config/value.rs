//! The settings that exist, and what their values can be.

use std::fmt;

use crate::duration::Duration;

use Kind::{Choice, Identity, Length, LengthOrOff, Number, Numbers, Text, Texts};

/// A setting: its key with the section, the kind of its values, and its default.
pub struct Key {
    /// The key, such as `job.refresh`.
    pub name: &'static str,
    /// What its value can be.
    pub kind: Kind,
    /// The default, as a flag would state it.
    pub default: &'static str,
}

/// Every setting, in the order in which they are shown. `job.idle_after` follows `job.refresh`
/// until it is set.
#[rustfmt::skip]
pub const KEYS: [Key; 25] = [
    key("job.name", Text, "clicks"),
    key("job.refresh", Length, "1s"),
    key("job.lateness", Length, "15s"),
    key("job.horizon", Length, "6h"),
    key("job.ahead_max", Length, "1h"),
    key("job.jump_max", Length, "1h"),
    key("job.idle_after", Length, "1s"),
    key("job.align_max", Length, "60s"),
    key("job.stall_after", LengthOrOff, "off"),
    key("job.correct_every", Length, "1m"),
    key("job.emit", Choice(&["final", "changes"]), "final"),
    key("job.identity", Identity, "auto"),
    key("job.copies", Choice(&["anywhere", "partition"]), "anywhere"),
    key("job.windows", Numbers, "1,5,60"),
    key("job.top", Number, "100"),
    key("input.format", Choice(&["json", "csv"]), "json"),
    key("input.columns", Texts, ""),
    key("input.fields.ad_id", Text, "ad_id"),
    key("input.fields.click_timestamp", Text, "click_timestamp"),
    key("input.fields.user_id", Text, "user_id"),
    key("input.fields.ip", Text, "ip"),
    key("input.fields.country", Text, "country"),
    key("input.fields.click_id", Text, "click_id"),
    key("input.fields.log_time", Text, ""),
    key("kafka.brokers", Text, "localhost:9092"),
];

const fn key(name: &'static str, kind: Kind, default: &'static str) -> Key {
    Key { name, kind, default }
}

/// Tables whose keys are librdkafka's, and thus not known here.
pub const PROPERTIES: [&str; 3] = ["kafka.properties", "kafka.consumer", "kafka.producer"];

/// The kind of the setting `name`, if there is such a one.
pub fn kind_of(name: &str) -> Option<Kind> {
    let is_property =
        |table: &&&str| name.starts_with(&format!("{table}.")) && !name.ends_with('.');
    match KEYS.iter().find(|key| key.name == name) {
        Some(key) => Some(key.kind),
        None => PROPERTIES.iter().find(is_property).map(|_| Kind::Property),
    }
}

/// What the value of a setting can be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Any text.
    Text,
    /// A duration.
    Length,
    /// A duration, or `off`.
    LengthOrOff,
    /// A whole number.
    Number,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Whole numbers.
    Numbers,
    /// Any texts.
    Texts,
    /// `auto`, `none`, or names of input fields.
    Identity,
    /// Text for librdkafka; numbers and booleans are taken as they are written.
    Property,
}

/// The value of a setting. It is shown as TOML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Text, or a word.
    Text(String),
    /// A duration.
    Length(Duration),
    /// A whole number.
    Number(u64),
    /// Whole numbers.
    Numbers(Vec<u64>),
    /// Texts.
    Texts(Vec<String>),
}

impl Kind {
    /// The value that a flag or a variable states; lists are separated by commas.
    ///
    /// The error says what would be right.
    pub fn read_text(self, text: &str) -> Result<Value, String> {
        let items = || text.split(',').map(str::trim).filter(|_| !text.trim().is_empty());
        match self {
            Text | Kind::Property => Ok(Value::Text(text.to_owned())),
            LengthOrOff if text == "off" => Ok(Value::Text(text.to_owned())),
            Length | LengthOrOff => {
                text.parse().map(Value::Length).map_err(|error| error.to_string())
            }
            Choice(words) if words.contains(&text) => Ok(Value::Text(text.to_owned())),
            Number => text.parse().map(Value::Number).map_err(|_| self.wants(&quoted(text))),
            Numbers => {
                let numbers: Result<Vec<u64>, _> = items().map(str::parse).collect();
                numbers.map(Value::Numbers).map_err(|_| self.wants(&quoted(text)))
            }
            Identity if matches!(text, "auto" | "none") => Ok(Value::Text(text.to_owned())),
            Texts | Identity => Ok(Value::Texts(items().map(str::to_owned).collect())),
            Choice(_) => Err(self.wants(&quoted(text))),
        }
    }

    /// The value that the file states. The error says what would be right.
    pub fn read_toml(self, value: &toml::Value) -> Result<Value, String> {
        let wrong = || self.wants(&value.to_string());
        let list = |value: &toml::Value| value.as_array().cloned().ok_or_else(wrong);
        match (self, value) {
            (Identity, toml::Value::String(word)) if !matches!(word.as_str(), "auto" | "none") => {
                Err(wrong())
            }
            (Number | Numbers | Texts, toml::Value::String(_)) => Err(wrong()),
            (_, toml::Value::String(text)) => self.read_text(text),
            (Number, _) => whole(value).map(Value::Number).ok_or_else(wrong),
            (Numbers, _) => {
                let numbers = list(value)?.iter().map(whole).collect::<Option<_>>();
                numbers.map(Value::Numbers).ok_or_else(wrong)
            }
            (Texts | Identity, _) => {
                let texts = list(value)?.iter().map(|v| v.as_str().map(str::to_owned)).collect();
                Option::map(texts, Value::Texts).ok_or_else(wrong)
            }
            (Kind::Property, toml::Value::Integer(_) | toml::Value::Boolean(_)) => {
                Ok(Value::Text(value.to_string()))
            }
            _ => Err(wrong()),
        }
    }

    /// `it takes …, not FOUND`.
    fn wants(self, found: &str) -> String {
        let right = match self {
            Text | Kind::Property => "text in quotes".to_owned(),
            Length => r#"a duration in quotes, such as "15s""#.to_owned(),
            LengthOrOff => r#"a duration in quotes, such as "15s", or "off""#.to_owned(),
            Number => "a whole number".to_owned(),
            Choice(words) => words.join(" or "),
            Numbers => "a list of whole numbers, such as [1, 5, 60]".to_owned(),
            Texts => r#"a list of texts, such as ["a", "b"]"#.to_owned(),
            Identity => r#""auto", "none", or a list of input fields"#.to_owned(),
        };
        format!("it takes {right}, not {found}")
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |items: Vec<String>| format!("[{}]", items.join(", "));
        match self {
            Value::Text(text) => f.write_str(&quoted(text)),
            Value::Length(length) => f.write_str(&quoted(&length.to_string())),
            Value::Number(number) => number.fmt(f),
            Value::Numbers(numbers) => {
                f.write_str(&list(numbers.iter().map(u64::to_string).collect()))
            }
            Value::Texts(texts) => f.write_str(&list(texts.iter().map(|t| quoted(t)).collect())),
        }
    }
}

/// `text` as TOML writes it.
pub fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn whole(value: &toml::Value) -> Option<u64> {
    value.as_integer().and_then(|number| u64::try_from(number).ok())
}
