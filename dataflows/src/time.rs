//! Times: milliseconds since 1970 in UTC, minutes of them, epochs, and how they are written.
//!
//! Years run from 1970 to 9999, so every time that the project handles fits RFC 3339.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type Millis = u64;

/// When the graph learnt of a fact: the timely timestamp, in milliseconds of event time, always a
/// multiple of `refresh`.
pub type Epoch = Millis;

/// Milliseconds of a minute.
pub const MINUTE_MS: Millis = 60_000;

/// The last millisecond of the year 9999.
pub const TIME_MAX: Millis = 253_402_300_799_999;

/// The least multiple of `step` that is at least `time`.
pub fn round_up(time: Millis, step: Millis) -> Millis {
    time.div_ceil(step) * step
}

/// A minute of event time, counted from 1970.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Minute(pub u32);

impl Minute {
    /// The minute in which `time` lies.
    pub fn of(time: Millis) -> Minute {
        Minute(u32::try_from(time / MINUTE_MS).expect("the year 9999 has fewer minutes than u32"))
    }

    /// Its first millisecond.
    pub fn start(self) -> Millis {
        Millis::from(self.0) * MINUTE_MS
    }

    /// The first millisecond after it.
    pub fn end(self) -> Millis {
        self.start() + MINUTE_MS
    }

    /// The minute `count` later.
    pub fn plus(self, count: u32) -> Minute {
        Minute(self.0.saturating_add(count))
    }

    /// The minute `count` earlier, at least the first of 1970.
    pub fn minus(self, count: u32) -> Minute {
        Minute(self.0.saturating_sub(count))
    }
}

/// A time as it is written: RFC 3339 in UTC, a fraction only if it is not zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub Millis);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, ms) = (self.0 / 86_400_000, self.0 % 86_400_000);
        let (year, month, day) = civil_from_days(days);
        let (h, m, s) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
        if year > 9999 {
            write!(f, "{year}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}")?;
        } else {
            // Each row holds several times: digits by hand take a fifth of what `write!` does.
            let mut text = *b"0000-00-00T00:00:00";
            for (at, two) in [(0, year / 100), (2, year % 100), (5, month), (8, day)] {
                put_two(&mut text, at, two);
            }
            for (at, two) in [(11, h), (14, m), (17, s)] {
                put_two(&mut text, at, two);
            }
            f.write_str(std::str::from_utf8(&text).expect("digits are UTF-8"))?;
        }
        match ms % 1000 {
            0 => f.write_str("Z"),
            fraction => write!(f, ".{fraction:03}Z"),
        }
    }
}

/// Puts a number below 100 into `text` at `at`, as two digits.
fn put_two(text: &mut [u8], at: usize, number: u64) {
    let digit = |number: u64| b'0' + u8::try_from(number % 10).expect("a digit is small");
    (text[at], text[at + 1]) = (digit(number / 10), digit(number));
}

impl fmt::Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Time(self.start()).fmt(f)
    }
}

impl FromStr for Time {
    type Err = NotATime;

    /// RFC 3339 with `T` or a space between date and time; without a zone it is UTC; digits of a
    /// second beyond the third are cut.
    fn from_str(text: &str) -> Result<Time, NotATime> {
        parse_rfc3339(text.as_bytes()).map(Time).ok_or(NotATime)
    }
}

/// The text is no RFC 3339 time from 1970 to the year 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotATime;

impl fmt::Display for NotATime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an RFC 3339 time from 1970 to the year 9999")
    }
}

impl std::error::Error for NotATime {}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        let text = String::deserialize(deserializer)?;
        // What happened in the last minute of the year 9999 settles after it.
        if let Some(rest) = text.strip_prefix("10000-01-01") {
            let day: Result<Time, _> = format!("9999-12-31{rest}").parse();
            return day.map(|t| Time(t.0 + 86_400_000)).map_err(serde::de::Error::custom);
        }
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Year, month and day of a number of days since 1970.
///
/// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let era = z / 146_097;
    let doe = z % 146_097;
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + u64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

/// Days since 1970 of a date from 1969-12-31 on; the inverse of [`civil_from_days`].
fn days_from_civil(year: u64, month: u64, day: u64) -> Option<u64> {
    let y = if month <= 2 { year.checked_sub(1)? } else { year };
    let (era, yoe) = (y / 400, y % 400);
    let mp = if month > 2 { month - 3 } else { month + 9 };
    let doy = (153 * mp + 2) / 5 + day - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    // One day more than asked for, so that a zone east of UTC may reach back over 1970.
    (era * 146_097 + doe + 1).checked_sub(719_468)
}

fn days_of_month(year: u64, month: u64) -> u64 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The value of two or more ASCII digits.
fn digits(text: &[u8]) -> Option<u64> {
    text.iter()
        .try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u64::from(byte - b'0')))
}

/// The time that `text` states, if it does and lies between 1970 and the year 9999.
pub fn parse_rfc3339(text: &[u8]) -> Option<Millis> {
    // A text of known length, and one loop over its digits, take a third of the time of slices.
    const DIGITS: [usize; 14] = [0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18];
    let (date_time, rest) = text.split_first_chunk::<19>()?;
    let [.., b'-', _, _, b'-', _, _, b'T' | b't' | b' ', _, _, b':', _, _, b':', _, _] = date_time
    else {
        return None;
    };
    if !DIGITS.iter().fold(true, |all, at| all & date_time[*at].is_ascii_digit()) {
        return None;
    }
    let two = |at| u64::from(date_time[at] & 15) * 10 + u64::from(date_time[at + 1] & 15);
    let (year, month, day) = (two(0) * 100 + two(2), two(5), two(8));
    let (hour, minute, second) = (two(11), two(14), two(17));
    let day_exists = (1..=12).contains(&month) && (1..=days_of_month(year, month)).contains(&day);
    if !day_exists || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (fraction_ms, zone) = split_fraction(rest)?;
    // Both sides are one day ahead, see `days_from_civil`.
    let local = days_from_civil(year, month, day)? * 86_400_000
        + (hour * 3600 + minute * 60 + second) * 1000
        + fraction_ms;
    let utc = match zone {
        [] | [b'Z' | b'z'] => local,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let offset = (hours * 60 + minutes) * MINUTE_MS;
            if *sign == b'+' { local.checked_sub(offset)? } else { local + offset }
        }
        _ => return None,
    };
    utc.checked_sub(86_400_000).filter(|ms| *ms <= TIME_MAX)
}

/// The milliseconds of a leading `.123`, and what follows it.
fn split_fraction(rest: &[u8]) -> Option<(Millis, &[u8])> {
    if let [b'.', a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', zone] = rest
        && matches!(zone, b'Z' | b'z')
    {
        let digit = |byte: &u8| Millis::from(byte & 15);
        return Some((digit(a) * 100 + digit(b) * 10 + digit(c), std::slice::from_ref(zone)));
    }
    let Some(fraction) = rest.strip_prefix(b".") else { return Some((0, rest)) };
    let length = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (taken, zone) = fraction.split_at(length);
    let scale = [1000, 100, 10, 1][length.min(3)];
    (length > 0).then_some((digits(&taken[..length.min(3)])? * scale, zone))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<String> {
        text.parse::<Time>().ok().map(|time| time.to_string())
    }

    #[test]
    fn times_are_written_and_read() {
        for (text, canonical) in [
            ("2026-01-01T00:01:15Z", "2026-01-01T00:01:15Z"),
            ("2021-01-01 00:00:01", "2021-01-01T00:00:01Z"),
            ("2021-01-01t00:00:01.5z", "2021-01-01T00:00:01.500Z"),
            ("2021-01-01T00:00:01.123999999", "2021-01-01T00:00:01.123Z"),
            ("2021-01-01T00:00:01+01:00", "2020-12-31T23:00:01Z"),
            ("1969-12-31T23:30:00-00:30", "1970-01-01T00:00:00Z"),
            ("1970-01-01T00:30:00+00:30", "1970-01-01T00:00:00Z"),
            ("2024-02-29T23:59:59.999Z", "2024-02-29T23:59:59.999Z"),
            ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(parsed(text).as_deref(), Some(canonical), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2021-01-01",
            "2021-01-01T00:00:60Z",
            "2021-01-01T24:00:00Z",
            "2021-02-29T00:00:00Z",
            "2021-13-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
            "2021-01-01T00:00:01.Z",
            "2021-01-01T00:00:01 Z",
            "2021-01-01T00:00:01+0100",
            "+021-01-01T00:00:01Z",
        ] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }

    #[test]
    fn every_day_is_written_as_it_is_read() {
        for day in 0..2_932_897 {
            let time = Time(day * 86_400_000 + day % 86_400_000);
            assert_eq!(time.to_string().parse(), Ok(time));
        }
    }
}
