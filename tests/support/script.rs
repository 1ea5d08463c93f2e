//! Test inputs: scripts of clicks, told one by one or drawn at random.
//!
//! A script is plain data: what the options are, and what each partition holds. It knows how its
//! records are written, and nothing of what they come to: that is the oracle's.

use std::fmt;
use std::fmt::Write;

use super::oracle::rfc3339;

/// Partitions of records, and the options under which they are read.
#[derive(Clone)]
pub struct Script {
    pub settings: Settings,
    pub partitions: Vec<Vec<Item>>,
    /// The partition to which [`Script::click`] adds.
    current: usize,
}

/// The options on which the meaning of a script depends.
#[derive(Clone, Debug)]
pub struct Settings {
    pub refresh_ms: u64,
    pub lateness_ms: u64,
    pub horizon_ms: u64,
    pub ahead_max_ms: u64,
    pub jump_max_ms: u64,
    pub correct_every_ms: u64,
    /// Whether every change is told, or each cell once and then corrected.
    pub changes: bool,
    /// Whether clicks of two partitions are never the same.
    pub copies_stay: bool,
    /// Ascending.
    pub windows: Vec<u32>,
    pub top: usize,
    /// Ascending by id; filter 0 is not among them.
    pub filters: Vec<FilterSpec>,
    /// Whether `fields.log_time` is mapped to `logged`.
    pub log_time: bool,
}

/// A filter: all of its predicates must hold.
#[derive(Clone, Debug)]
pub struct FilterSpec {
    pub id: u32,
    /// At most one for each field under `where`, and one under `not`.
    pub predicates: Vec<Predicate>,
}

/// The field has one of the values; or, negated (under `not`), it has none of them.
#[derive(Clone, Debug)]
pub struct Predicate {
    pub negated: bool,
    pub values: Values,
}

/// A field and values that it may have.
#[derive(Clone, Debug)]
pub enum Values {
    Country(Vec<String>),
    User(Vec<String>),
    /// Addresses and blocks of IPv4: `198.51.100.7`, `203.0.113.0/24`.
    Ip(Vec<String>),
}

/// A line of a partition.
#[derive(Clone, Debug)]
pub enum Item {
    Click(ClickSpec),
    /// A record that does not decode; without a `detail`, any will do.
    Bad {
        line: Vec<u8>,
        reason: &'static str,
        detail: Option<String>,
    },
    /// An empty line, which is no record.
    Empty,
}

/// A record that decodes.
#[derive(Clone, Debug, Default)]
pub struct ClickSpec {
    pub event_ms: u64,
    pub ad: String,
    pub user: Option<String>,
    /// An address of IPv4.
    pub ip: Option<String>,
    pub country: Option<String>,
    pub click_id: Option<String>,
    /// Counts as absent where it is 0.
    pub log_time: Option<u64>,
    /// How it is written, of [`STYLES`]: decides nothing else.
    pub style: u8,
}

/// Ways to write a click: eight for its time, three for an absent field, two for other fields.
pub const STYLES: u8 = 8 * 3 * 2;

/// The lines, as they would lie in files: a failing script is read at a glance.
impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?}", self.settings)?;
        for (partition, items) in self.partitions.iter().enumerate() {
            for (offset, item) in items.iter().enumerate() {
                writeln!(f, "{partition} {offset} {}", String::from_utf8_lossy(&item.line()))?;
            }
        }
        Ok(())
    }
}

impl Item {
    /// The bytes of the line, without LF.
    pub fn line(&self) -> Vec<u8> {
        match self {
            Item::Click(click) => click.json().into_bytes(),
            Item::Bad { line, .. } => line.clone(),
            Item::Empty => Vec::new(),
        }
    }

    /// What its row of `rejects` must say, where the script knows it.
    pub fn detail(&self) -> Option<String> {
        match self {
            Item::Bad { detail, .. } => detail.clone(),
            Item::Click(_) | Item::Empty => None,
        }
    }
}

impl ClickSpec {
    fn json(&self) -> String {
        let quoted = |text: &String| serde_json::Value::from(text.as_str()).to_string();
        let mut json = String::from("{");
        if self.style / 24 % 2 == 1 {
            // Other fields are ignored, and of a key that is there twice the last counts.
            json.push_str(r#""page":{"url":"/?a=1","tags":[null,1.5]},"ad_id":"overwritten","#);
        }
        let (ad, time) = (quoted(&self.ad), timestamp(self.event_ms, self.style % 8));
        write!(json, r#""ad_id":{ad},"click_timestamp":{time}"#).expect("a string takes all");
        let fields = [
            ("user_id", self.user.as_ref().map(quoted)),
            ("ip", self.ip.as_ref().map(quoted)),
            ("country", self.country.as_ref().map(quoted)),
            ("click_id", self.click_id.as_ref().map(quoted)),
            ("logged", self.log_time.map(|ms| ms.to_string())),
        ];
        for (name, value) in fields {
            let absent = [None, Some("null"), Some("\"\"")][usize::from(self.style / 8 % 3)];
            if let Some(value) = value.as_deref().or(absent) {
                write!(json, r#","{name}":{value}"#).expect("a string takes all");
            }
        }
        json.push('}');
        json
    }
}

/// A time as JSON, in one of the eight ways in which it may be written.
fn timestamp(ms: u64, style: u8) -> String {
    let utc = rfc3339(ms);
    let local = utc.trim_end_matches('Z');
    let whole = rfc3339(ms / 1000 * 1000);
    let whole = whole.trim_end_matches('Z');
    let east = rfc3339(ms + 2 * 3_600_000);
    let west = ms.checked_sub(5 * 3_600_000 + 30 * 60_000).map(rfc3339);
    match (style, west) {
        (1, _) => format!("\"{utc}\""),
        (2, _) => format!("\"{}\"", local.replace('T', " ")),
        (3, _) if !east.starts_with("10000") => format!("\"{}+02:00\"", east.trim_end_matches('Z')),
        (4, _) => format!("\"{ms}\""),
        (5, Some(west)) => format!("\"{}-05:30\"", west.trim_end_matches('Z').replace('T', " ")),
        (6, _) => format!("\"{whole}.{:03}999Z\"", ms % 1000),
        (7, _) => format!("\"{local}\""),
        _ => ms.to_string(),
    }
}

/// 2026-01-01T00:00:00Z.
pub const NEW_YEAR_MS: u64 = 1_767_225_600_000;

/// A time of 2026-01-01 UTC, written `12:00:10` or `12:00:10.500`; hour 24 and more is later.
pub fn at(time: &str) -> u64 {
    let parts: Vec<&str> = time.split([':', '.']).collect();
    let number = |i: usize| parts.get(i).map_or(0, |part| part.parse::<u64>().expect("a number"));
    NEW_YEAR_MS + (number(0) * 3600 + number(1) * 60 + number(2)) * 1000 + number(3)
}

/// Scripts told one by one: partition 0 first, minutes by themselves, all else as by default.
impl Script {
    /// An empty script; every minute settles `seconds` after its end.
    pub fn with_lateness(seconds: u64) -> Script {
        let settings = Settings {
            refresh_ms: 1000,
            lateness_ms: seconds * 1000,
            horizon_ms: 6 * 3_600_000,
            ahead_max_ms: 3_600_000,
            jump_max_ms: 3_600_000,
            correct_every_ms: 60_000,
            changes: false,
            copies_stay: false,
            windows: vec![1],
            top: 100,
            filters: Vec::new(),
            log_time: false,
        };
        Script::of(settings, vec![Vec::new()])
    }

    /// A script of these parts.
    pub fn of(settings: Settings, partitions: Vec<Vec<Item>>) -> Script {
        Script { settings, partitions, current: 0 }
    }

    /// Changes settings.
    pub fn set(mut self, change: impl FnOnce(&mut Settings)) -> Script {
        change(&mut self.settings);
        self
    }

    /// What follows is added to this partition.
    pub fn partition(mut self, partition: usize) -> Script {
        self.current = partition;
        let partitions = self.partitions.len().max(partition + 1);
        self.partitions.resize(partitions, Vec::new());
        self
    }

    /// A click of ad 7 (`ad007`) at a time of 2026-01-01, see [`at`].
    pub fn click(self, ad: u32, time: &str) -> Script {
        let ad = format!("ad{ad:03}");
        self.item(Item::Click(ClickSpec { event_ms: at(time), ad, style: 1, ..Default::default() }))
    }

    /// The last click has this user.
    pub fn user(self, user: &str) -> Script {
        self.but(|click| click.user = Some(user.into()))
    }

    /// The last click has this address.
    pub fn ip(self, ip: &str) -> Script {
        self.but(|click| click.ip = Some(ip.into()))
    }

    /// The last click has this country.
    pub fn country(self, country: &str) -> Script {
        self.but(|click| click.country = Some(country.into()))
    }

    /// The last click has this id.
    pub fn click_id(self, click_id: &str) -> Script {
        self.but(|click| click.click_id = Some(click_id.into()))
    }

    /// The last click was logged at this time, and log times are read.
    pub fn logged(self, time: &str) -> Script {
        self.set(|settings| settings.log_time = true).but(|click| click.log_time = Some(at(time)))
    }

    /// A line that is not JSON; an empty one is no record.
    pub fn line(self, line: &[u8]) -> Script {
        if line.is_empty() { self.item(Item::Empty) } else { self.bad(line, "malformed") }
    }

    /// A line that is rejected for this reason.
    pub fn bad(self, line: &[u8], reason: &'static str) -> Script {
        self.item(Item::Bad { line: line.to_vec(), reason, detail: None })
    }

    fn item(mut self, item: Item) -> Script {
        self.partitions[self.current].push(item);
        self
    }

    fn but(mut self, change: impl FnOnce(&mut ClickSpec)) -> Script {
        match self.partitions[self.current].last_mut() {
            Some(Item::Click(click)) => change(click),
            other => panic!("the last line is no click: {other:?}"),
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_in_eight_ways() {
        let ms = NEW_YEAR_MS + 1020;
        let ways: Vec<String> = (0..8).map(|style| timestamp(ms, style)).collect();
        assert_eq!(
            ways,
            [
                "1767225601020",
                "\"2026-01-01T00:00:01.020Z\"",
                "\"2026-01-01 00:00:01.020\"",
                "\"2026-01-01T02:00:01.020+02:00\"",
                "\"1767225601020\"",
                "\"2025-12-31 18:30:01.020-05:30\"",
                "\"2026-01-01T00:00:01.020999Z\"",
                "\"2026-01-01T00:00:01.020\"",
            ]
        );
        assert_eq!(timestamp(5, 5), "5", "1969 cannot be written");
        assert_eq!(timestamp(253_402_300_799_000, 3), "253402300799000", "nor can the year 10000");
    }

    #[test]
    fn a_click_is_written_in_many_ways() {
        let written = |style| {
            let script = Script::with_lateness(15).click(7, "12:00:10").user("u\"1");
            let Item::Click(click) = &script.partitions[0][0] else { panic!("a click") };
            Item::Click(ClickSpec { style, ..click.clone() }).line()
        };
        let text = |style| String::from_utf8(written(style)).expect("lines are UTF-8");
        assert_eq!(
            text(1),
            r#"{"ad_id":"ad007","click_timestamp":"2026-01-01T12:00:10Z","user_id":"u\"1"}"#
        );
        assert!(text(8).ends_with(r#""ip":null,"country":null,"click_id":null,"logged":null}"#));
        assert!(text(16).ends_with(r#""ip":"","country":"","click_id":"","logged":""}"#));
        for style in 0..STYLES {
            let value: serde_json::Value = serde_json::from_slice(&written(style)).expect("JSON");
            assert_eq!(value["ad_id"], "ad007");
        }
    }
}
