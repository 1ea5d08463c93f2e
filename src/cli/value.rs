//! Values of arguments: how each is read, and what is said of one that cannot be.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clicks_dataflows::time::Time;

use crate::duration::Duration;

/// A point in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// Before the first record of every partition.
    Start,
    /// After the last record of every partition, as it is when asked.
    End,
    /// A time that resolves to offsets.
    Time(Time),
    /// An offset for each partition that is named.
    Offsets(BTreeMap<u32, u64>),
}

impl FromStr for Position {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Position, &'static str> {
        match text {
            "start" => return Ok(Position::Start),
            "end" => return Ok(Position::End),
            _ => {}
        }
        if !text.contains('=') {
            let wanted = "a position is start, end, an RFC 3339 time or PARTITION=OFFSET,...";
            return text.parse().map(Position::Time).map_err(|_| wanted);
        }
        let mut offsets = BTreeMap::new();
        for pair in text.split(',') {
            let (partition, offset) = pair.split_once('=').ok_or(OFFSETS_WANTED)?;
            let partition = partition.trim().parse().map_err(|_| OFFSETS_WANTED)?;
            let offset = offset.trim().parse().map_err(|_| OFFSETS_WANTED)?;
            if offsets.insert(partition, offset).is_some() {
                return Err("a partition has one offset");
            }
        }
        Ok(Position::Offsets(offsets))
    }
}

const OFFSETS_WANTED: &str = "offsets are PARTITION=OFFSET,... in whole numbers, such as 0=12,1=0";

/// A job where its results are: `RESULTS/JOB`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobLocation {
    /// Where its result logs are.
    pub results: ResultPlace,
    /// The job.
    pub job: String,
}

impl FromStr for JobLocation {
    type Err = String;

    fn from_str(text: &str) -> Result<JobLocation, String> {
        let Some((results, job)) = text.rsplit_once('/') else {
            return Err("it is results and a job, such as results/ads or kafka:/ads".to_owned());
        };
        let results = if results.is_empty() { "/" } else { results };
        Ok(JobLocation { results: results.parse()?, job: job_name(job)? })
    }
}

/// A setting as `--set` takes it: `SECTION.KEY=VALUE`. It is shown without its value, which may be
/// a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Assignment {
    /// Section and key.
    pub key: String,
    /// The value as text.
    pub value: String,
}

impl FromStr for Assignment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Assignment, &'static str> {
        let wanted = "a setting is SECTION.KEY=VALUE, such as job.refresh=500ms";
        let (key, value) = text.split_once('=').ok_or(wanted)?;
        Ok(Assignment { key: key.trim().to_owned(), value: value.to_owned() })
    }
}

impl fmt::Debug for Assignment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=..", self.key)
    }
}

/// A property of librdkafka as `-X` takes it: `KEY=VALUE`. It is shown without its value, which may
/// be a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Property {
    /// The property's name.
    pub key: String,
    /// Its value.
    pub value: String,
}

impl fmt::Debug for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=..", self.key)
    }
}

impl FromStr for Property {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Property, &'static str> {
        let wanted = "a property is KEY=VALUE, such as security.protocol=SSL";
        let (key, value) = text.split_once('=').ok_or(wanted)?;
        Ok(Property { key: key.trim().to_owned(), value: value.to_owned() })
    }
}

/// A job's name: it begins the names of the job's logs.
pub fn job_name(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if (1..=100).contains(&text.len()) && text.chars().all(allowed) && !text.starts_with('.') {
        return Ok(text.to_owned());
    }
    Err("a job's name is 1 to 100 of A-Z a-z 0-9 . _ -, the first no dot".to_owned())
}

/// A log of clicks: a directory, or a topic as `kafka:TOPIC`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogPlace {
    /// A directory with a file for each partition.
    Directory(PathBuf),
    /// A topic.
    Topic(String),
}

impl FromStr for LogPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<LogPlace, String> {
        match text.strip_prefix("kafka:") {
            Some("") => Err("a topic has a name: kafka:TOPIC".to_owned()),
            Some(topic) => topic_name(topic).map(LogPlace::Topic),
            None => directory(text).map(LogPlace::Directory),
        }
    }
}

impl fmt::Display for LogPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LogPlace::Directory(path) => path.display().fmt(f),
            LogPlace::Topic(topic) => write!(f, "kafka:{topic}"),
        }
    }
}

/// Results: a directory, or topics named after the job as `kafka:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResultPlace {
    /// A directory with the job's result logs.
    Directory(PathBuf),
    /// Topics.
    Kafka,
}

impl FromStr for ResultPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<ResultPlace, String> {
        match text.strip_prefix("kafka:") {
            Some("") => Ok(ResultPlace::Kafka),
            Some(_) => {
                Err("result topics are named after the job: kafka: and --job NAME".to_owned())
            }
            None => directory(text).map(ResultPlace::Directory),
        }
    }
}

impl fmt::Display for ResultPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResultPlace::Directory(path) => path.display().fmt(f),
            ResultPlace::Kafka => f.write_str("kafka:"),
        }
    }
}

/// A topic's name, as Kafka allows it.
pub(super) fn topic_name(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if (1..=249).contains(&text.len()) && text.chars().all(allowed) && !matches!(text, "." | "..") {
        return Ok(text.to_owned());
    }
    Err("a topic's name is 1 to 249 of A-Z a-z 0-9 . _ -".to_owned())
}

/// A topic of clicks, with or without `kafka:` before it.
pub(super) fn topic_of_clicks(text: &str) -> Result<String, String> {
    topic_name(text.strip_prefix("kafka:").unwrap_or(text))
}

/// A directory.
pub(super) fn directory(text: &str) -> Result<PathBuf, String> {
    match text {
        "" => Err("a directory has a name".to_owned()),
        topic if topic.starts_with("kafka:") => Err("it is a directory, not a topic".to_owned()),
        name => Ok(PathBuf::from(name)),
    }
}

/// Bytes: `512MB`, `64MiB`, `100000`.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = text[..text.len() - unit.len()].parse::<u64>();
    let units = [
        ("", 1),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
    ];
    let factor = units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    let bytes = number.ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    match bytes {
        Some(bytes) if bytes > 0 => Ok(bytes),
        _ => Err("bytes are a number above 0 with KB, MB, GB, KiB, MiB or GiB: 512MB".to_owned()),
    }
}

/// Days of a month, so that nothing is too old before it is.
const MONTH_DAYS: u64 = 31;

/// An age: a duration, or months such as `13mo`.
pub(super) fn age(text: &str) -> Result<Duration, String> {
    let months = text.strip_suffix("mo").and_then(|months| months.parse::<u64>().ok());
    let days = months.and_then(|months| months.checked_mul(MONTH_DAYS));
    let age = days.map_or(text.to_owned(), |days| format!("{days}d")).parse();
    age.map_err(|_| "an age is a whole number of h, d or mo (31 days): 30d, 13mo".to_owned())
}

/// The address of a process.
pub(super) fn host(text: &str) -> Result<String, String> {
    match text.rsplit_once(':') {
        Some((name, port)) if !name.is_empty() && port.parse::<u16>().is_ok() => {
            Ok(text.to_owned())
        }
        _ => Err("an address is HOST:PORT".to_owned()),
    }
}

/// A part of the whole.
pub(super) fn fraction(text: &str) -> Result<f64, String> {
    number_between(text, 1.0).ok_or_else(|| "a part is a number from 0 to 1".to_owned())
}

/// Zipf's exponent.
pub(super) fn skew(text: &str) -> Result<f64, String> {
    number_between(text, 10.0).ok_or_else(|| "a skew is a number from 0 to 10".to_owned())
}

/// The number from 0 to `max` that `text` states; not one, if it states NaN.
fn number_between(text: &str, max: f64) -> Option<f64> {
    text.parse().ok().filter(|number| (0.0..=max).contains(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_read() {
        let time = "2026-01-01T00:00:00Z".parse().unwrap();
        for (text, position) in [
            ("start", Position::Start),
            ("end", Position::End),
            ("2026-01-01T00:00:00Z", Position::Time(time)),
            ("1=12, 0=7", Position::Offsets(BTreeMap::from([(0, 7), (1, 12)]))),
        ] {
            assert_eq!(text.parse(), Ok(position), "{text}");
        }
        for text in ["", "begin", "12", "0=", "0=1,", "0=1,0=2", "0=-1"] {
            assert!(text.parse::<Position>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_job_is_named_with_its_results() {
        let location: JobLocation = "a/results/ads".parse().unwrap();
        assert_eq!(location.results, ResultPlace::Directory("a/results".into()));
        assert_eq!(location.job, "ads");
        let location: JobLocation = "kafka:/ads".parse().unwrap();
        assert_eq!((location.results, location.job.as_str()), (ResultPlace::Kafka, "ads"));
        for text in ["ads", "results/", "results/.ads", "kafka:clicks/ads"] {
            assert!(text.parse::<JobLocation>().is_err(), "{text}");
        }
    }

    #[test]
    fn names_of_jobs_are_safe_in_file_names() {
        for name in ["a", "ads", "ads-2.test_1", &"x".repeat(100)] {
            assert!(job_name(name).is_ok(), "{name}");
        }
        for name in ["", ".ads", "a/b", "a b", "ä", &"x".repeat(101)] {
            assert!(job_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn ages_are_durations_or_months_of_31_days() {
        const DAY_MS: u64 = 86_400_000;
        for (text, days) in [("30d", 30), ("48h", 2), ("1mo", 31), ("13mo", 403)] {
            assert_eq!(age(text), Ok(Duration(days * DAY_MS)), "{text}");
        }
        for text in ["", "mo", "1.5mo", "-1mo", "13", "13 mo", "99999999999999999999mo", "1y"] {
            assert!(age(text).unwrap_err().contains("13mo"), "{text}");
        }
    }

    #[test]
    fn parts_are_numbers_from_0_to_1() {
        assert_eq!(fraction("0.25"), Ok(0.25));
        for text in ["-0.1", "1.01", "NaN", "inf", "", "1%"] {
            assert!(fraction(text).is_err(), "{text}");
        }
    }
}
