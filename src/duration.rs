//! Durations as people write them: `100ms`, `15s`, `5m`, `6h`, `30d`.

use std::fmt;
use std::str::FromStr;

use clicks_dataflows::time::{Millis, TIME_MAX};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The units with their milliseconds, largest first.
const UNITS: [(&str, Millis); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// A length of time in whole milliseconds, at most as long as times reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(pub Millis);

impl From<Duration> for std::time::Duration {
    fn from(duration: Duration) -> std::time::Duration {
        std::time::Duration::from_millis(duration.0)
    }
}

impl fmt::Display for Duration {
    /// The largest unit of which it is a whole number: `90s`, but `2m`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.iter().find(|(_, ms)| self.0 != 0 && self.0.is_multiple_of(*ms)) {
            Some((unit, ms)) => write!(f, "{}{unit}", self.0 / ms),
            None => f.write_str("0s"),
        }
    }
}

impl FromStr for Duration {
    type Err = NotADuration;

    fn from_str(text: &str) -> Result<Duration, NotADuration> {
        let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
        let digits = &text[..text.len() - unit.len()];
        if digits.is_empty() {
            return Err(NotADuration::NoNumber);
        }
        if unit.is_empty() {
            return Err(NotADuration::NoUnit);
        }
        let Some((_, ms)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(NotADuration::NoSuchUnit);
        };
        let length = digits.parse().ok().and_then(|count: Millis| count.checked_mul(*ms));
        length.filter(|ms| *ms <= TIME_MAX).map(Duration).ok_or(NotADuration::TooLong)
    }
}

/// Why a text is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotADuration {
    /// It does not begin with a digit.
    NoNumber,
    /// It is a number and nothing else.
    NoUnit,
    /// What follows the number is none of the units.
    NoSuchUnit,
    /// It is longer than 8029 years.
    TooLong,
}

impl fmt::Display for NotADuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotADuration::NoNumber => "a duration is a whole number and a unit, such as 15s",
            NotADuration::NoUnit => "a duration has a unit: ms, s, m, h or d",
            NotADuration::NoSuchUnit => {
                "a duration is a whole number and one unit of ms, s, m, h or d"
            }
            NotADuration::TooLong => "a duration ends before the year 9999",
        })
    }
}

impl std::error::Error for NotADuration {}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_in_their_largest_exact_unit() {
        for (text, ms, canonical) in [
            ("100ms", 100, "100ms"),
            ("1000ms", 1000, "1s"),
            ("15s", 15_000, "15s"),
            ("60s", 60_000, "1m"),
            ("90s", 90_000, "90s"),
            ("5m", 300_000, "5m"),
            ("6h", 21_600_000, "6h"),
            ("24h", 86_400_000, "1d"),
            ("030d", 2_592_000_000, "30d"),
            ("0m", 0, "0s"),
        ] {
            let duration: Duration = text.parse().unwrap();
            assert_eq!((duration.0, duration.to_string().as_str()), (ms, canonical), "{text}");
            assert_eq!(canonical.parse(), Ok(duration));
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", NotADuration::NoNumber),
            ("s", NotADuration::NoNumber),
            ("-1s", NotADuration::NoNumber),
            (" 1s", NotADuration::NoNumber),
            ("15", NotADuration::NoUnit),
            ("1.5s", NotADuration::NoSuchUnit),
            ("15 s", NotADuration::NoSuchUnit),
            ("1h30m", NotADuration::NoSuchUnit),
            ("1S", NotADuration::NoSuchUnit),
            ("2932897d", NotADuration::TooLong),
            ("99999999999999999999ms", NotADuration::TooLong),
        ] {
            assert_eq!(text.parse::<Duration>(), Err(reason), "{text}");
        }
        assert_eq!(NotADuration::NoUnit.to_string(), "a duration has a unit: ms, s, m, h or d");
    }

    #[test]
    fn a_duration_is_a_string_in_json() {
        assert_eq!(serde_json::to_string(&Duration(15_000)).unwrap(), r#""15s""#);
        assert_eq!(serde_json::from_str::<Duration>(r#""5m""#).unwrap(), Duration(300_000));
        assert!(serde_json::from_str::<Duration>("15").is_err());
    }
}
