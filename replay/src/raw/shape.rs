//! How the bytes of a record come back from its columns.
//!
//! ```text
//! {"ad_id":"ad7","click_timestamp":1767225600000}   the record
//! {"ad_id":" AD_ID ","click_timestamp": TIME }      its shape: text, and where fields stand
//! ```
//!
//! Records of one producer look alike: they differ in the values of their fields, which are columns
//! anyway. A segment keeps each shape once, and for a record the number of its shape. A record that
//! its shape does not give back byte for byte keeps its bytes instead, so a shape that was guessed
//! badly costs room, and never a byte.

use std::fmt::Write as _;
use std::net::IpAddr;

use clicks_dataflows::click::ClickRef;
use clicks_dataflows::time::{Millis, Time};
use serde::{Deserialize, Serialize};

/// What is the same in many records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Shape(Vec<Part>);

/// A stretch of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Text that stands in each record.
    Text(String),
    /// The text of a field.
    Field(Field),
    /// When the click happened.
    Time(Form),
    /// The log time that the record states.
    LogTime(Form),
}

/// A field whose column holds its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// The ad.
    AdId,
    /// Who clicked.
    UserId,
    /// From which address.
    Ip,
    /// From which country.
    Country,
    /// The click's own id.
    ClickId,
}

/// How a time is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Milliseconds since 1970.
    Ms,
    /// RFC 3339.
    Rfc3339 {
        /// What stands between date and time.
        between: char,
        /// Whether milliseconds are written where they are zero.
        fraction: bool,
        /// Whether a `Z` follows.
        z: bool,
    },
}

impl Form {
    /// All forms that are looked for.
    fn all() -> impl Iterator<Item = Form> {
        let texts = ['T', ' '].into_iter().flat_map(|between| {
            [(true, true), (false, true), (true, false), (false, false)]
                .map(|(fraction, z)| Form::Rfc3339 { between, fraction, z })
        });
        std::iter::once(Form::Ms).chain(texts)
    }

    /// Writes `ms` to `text`, which is emptied.
    fn write(self, ms: Millis, text: &mut String) {
        text.clear();
        let written = match self {
            Form::Ms => write!(text, "{ms}"),
            Form::Rfc3339 { .. } => write!(text, "{}", Time(ms)),
        };
        written.expect("a string takes what is written");
        if let Form::Rfc3339 { between, fraction, z } = self {
            if between != 'T' {
                *text = text.replacen('T', between.encode_utf8(&mut [0; 4]), 1);
            }
            text.pop();
            if fraction && ms.is_multiple_of(1000) {
                text.push_str(".000");
            }
            if z {
                text.push('Z');
            }
        }
    }
}

/// The values of a record's columns, as text where they are text.
#[derive(Clone, Copy, Debug, Default)]
pub struct Values<'a> {
    /// The ad.
    pub ad_id: &'a str,
    /// When the click happened.
    pub time: Millis,
    /// Who clicked.
    pub user_id: Option<&'a str>,
    /// From which address.
    pub ip: Option<&'a str>,
    /// From which country.
    pub country: Option<&'a str>,
    /// The click's own id.
    pub click_id: Option<&'a str>,
    /// The log time that the record states.
    pub log_time: Option<Millis>,
}

impl<'a> Values<'a> {
    /// The values of `click`, whose address is `ip`.
    pub fn of(click: &'a ClickRef<'_>, ip: Option<&'a str>) -> Values<'a> {
        Values {
            ad_id: &click.ad,
            time: click.event_ms,
            user_id: click.user.as_deref(),
            ip,
            country: click.country.as_deref(),
            click_id: click.click_id.as_deref(),
            log_time: click.log_time,
        }
    }

    fn text(&self, field: Field) -> Option<&'a str> {
        match field {
            Field::AdId => Some(self.ad_id),
            Field::UserId => self.user_id,
            Field::Ip => self.ip,
            Field::Country => self.country,
            Field::ClickId => self.click_id,
        }
    }
}

/// The text of an address, in `text`.
pub fn write_ip(ip: IpAddr, text: &mut String) {
    text.clear();
    write!(text, "{ip}").expect("a string takes what is written");
}

impl Shape {
    /// The shape of a record whose columns are `values`, if it gives it back.
    pub fn of(record: &[u8], values: &Values<'_>) -> Option<Shape> {
        let text = std::str::from_utf8(record).ok()?;
        let mut found: Vec<(usize, usize, Part)> = Vec::new();
        let fields = [Field::AdId, Field::UserId, Field::Country, Field::ClickId];
        for field in fields {
            let Some(value) = values.text(field) else { continue };
            // A value that was read without change is a part of the record.
            let at = (value.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
            if text.get(at..at.checked_add(value.len())?)? != value {
                return None;
            }
            found.push((at, value.len(), Part::Field(field)));
        }
        let mut written = String::new();
        let times = [Some(values.time), values.log_time];
        let parts: [fn(Form) -> Part; 2] = [Part::Time, Part::LogTime];
        for (ms, part) in times.into_iter().zip(parts) {
            let Some(ms) = ms else { continue };
            let (at, form) = Form::all().find_map(|form| {
                form.write(ms, &mut written);
                free_place(text, &written, &found).map(|at| (at, form))
            })?;
            form.write(ms, &mut written);
            found.push((at, written.len(), part(form)));
        }
        if let Some(ip) = values.ip {
            found.push((free_place(text, ip, &found)?, ip.len(), Part::Field(Field::Ip)));
        }
        let shape = Shape::from_places(text, found)?;
        shape.fits(record, values, &mut written).then_some(shape)
    }

    fn from_places(text: &str, mut found: Vec<(usize, usize, Part)>) -> Option<Shape> {
        found.sort_unstable_by_key(|(at, ..)| *at);
        let (mut parts, mut next) = (Vec::new(), 0);
        for (at, length, part) in found {
            let between = text.get(next..at)?;
            if !between.is_empty() {
                parts.push(Part::Text(between.to_owned()));
            }
            parts.push(part);
            next = at + length;
        }
        let rest = text.get(next..)?;
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Some(Shape(parts))
    }

    /// Whether a record whose columns are `values` comes back as it is; `written` is room for times.
    pub fn fits(&self, record: &[u8], values: &Values<'_>, written: &mut String) -> bool {
        let mut rest = record;
        let mut pass = |text: &str| {
            let after = rest.strip_prefix(text.as_bytes());
            rest = after.unwrap_or(rest);
            after.is_some()
        };
        let all = self.0.iter().all(|part| match part {
            Part::Text(text) => pass(text),
            Part::Field(field) => values.text(*field).is_some_and(&mut pass),
            Part::Time(form) => {
                form.write(values.time, written);
                pass(written)
            }
            Part::LogTime(form) => values.log_time.is_some_and(|ms| {
                form.write(ms, written);
                pass(written)
            }),
        });
        all && rest.is_empty()
    }

    /// Writes the record whose columns are `values` to the end of `record`.
    pub fn write(&self, values: &Values<'_>, record: &mut Vec<u8>) {
        let mut written = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => record.extend_from_slice(text.as_bytes()),
                Part::Field(field) => {
                    record.extend_from_slice(values.text(*field).unwrap_or_default().as_bytes());
                }
                Part::Time(form) => {
                    form.write(values.time, &mut written);
                    record.extend_from_slice(written.as_bytes());
                }
                Part::LogTime(form) => {
                    form.write(values.log_time.unwrap_or_default(), &mut written);
                    record.extend_from_slice(written.as_bytes());
                }
            }
        }
    }
}

/// Where `value` stands in `text` by itself, and no other field does.
fn free_place(text: &str, value: &str, taken: &[(usize, usize, Part)]) -> Option<usize> {
    let bytes = text.as_bytes();
    let is_word = |at: Option<usize>| {
        at.and_then(|at| bytes.get(at)).is_some_and(|byte| byte.is_ascii_alphanumeric())
    };
    text.match_indices(value).map(|(at, _)| at).find(|at| {
        let end = at + value.len();
        !is_word(at.checked_sub(1))
            && !is_word(Some(end))
            && taken.iter().all(|(other, length, _)| end <= *other || other + length <= *at)
    })
}

#[cfg(test)]
mod tests {
    use clicks_dataflows::decode::{Decoder, Fields, Format, Schema};

    use super::*;

    /// The shape of `record` under `schema`, after a check that it gives the record back.
    fn shape(record: &str, schema: &Schema) -> Option<Shape> {
        let click = Decoder::new(schema).unwrap().read(record.as_bytes()).unwrap();
        let mut ip = String::new();
        let ip = click.ip.map(|address| {
            write_ip(address, &mut ip);
            ip.as_str()
        });
        let values = Values::of(&click, ip);
        let shape = Shape::of(record.as_bytes(), &values)?;
        let mut back = Vec::new();
        shape.write(&values, &mut back);
        assert_eq!(String::from_utf8(back).unwrap(), record);
        Some(shape)
    }

    fn json(record: &str) -> Option<Shape> {
        shape(record, &Schema::default())
    }

    #[test]
    fn records_that_look_alike_have_one_shape() {
        let one = json(
            r#"{"ad_id":"ad1","click_timestamp":1767225600000,"user_id":"u1","ip":"10.0.0.1"}"#,
        );
        let other =
            json(r#"{"ad_id":"1","click_timestamp":1767225600001,"user_id":"1","ip":"10.0.0.21"}"#);
        assert!(one.is_some());
        assert_eq!(one, other);
        let another = json(r#"{"user_id":"u1", "ad_id":"ad1","click_timestamp":1767225600000}"#);
        assert!(another.is_some_and(|another| Some(another) != one));
    }

    #[test]
    fn times_come_back_in_every_form() {
        let times = [
            "1767225600000",
            r#""1767225600000""#,
            r#""2026-01-01T00:00:00Z""#,
            r#""2026-01-01T00:00:00.000Z""#,
            r#""2026-01-01T00:00:00.120Z""#,
            r#""2026-01-01 00:00:00""#,
            r#""2026-01-01T00:00:00.007""#,
        ];
        for time in times {
            assert!(
                json(&format!(r#"{{"click_timestamp":{time},"ad_id":7}}"#)).is_some(),
                "{time}"
            );
        }
    }

    #[test]
    fn what_columns_do_not_hold_does_not_fit() {
        // Digits beyond milliseconds, a zone, an escape, an address in another form.
        for record in [
            r#"{"ad_id":"a","click_timestamp":"2026-01-01T00:00:00.1234Z"}"#,
            r#"{"ad_id":"a","click_timestamp":"2026-01-01T01:00:00+01:00"}"#,
            r#"{"ad_id":"a\u0062","click_timestamp":1767225600000}"#,
            r#"{"ad_id":"a","click_timestamp":1767225600000,"ip":"2001:DB8::1"}"#,
        ] {
            assert_eq!(json(record), None, "{record}");
        }
    }

    #[test]
    fn a_constant_field_and_a_key_twice_are_text() {
        assert!(
            json(r#"{"v":1,"ad_id":"a","ad_id":"b","click_timestamp":1767225600000}"#).is_some()
        );
    }

    #[test]
    fn rows_of_csv_have_shapes_too() {
        let columns = ["ad_id", "click_timestamp", "user_id", "ip", "country"];
        let columns = Some(columns.map(str::to_owned).to_vec());
        let schema = Schema { format: Format::Csv { columns }, ..Schema::default() };
        let one = shape("ad001, 2021-01-01 00:00:01, user 1, 207.148.22.22, USA", &schema);
        let other = shape("ad2, 2021-01-01 00:00:02, user 22, 207.148.22.2, DE", &schema);
        assert!(one.is_some());
        assert_eq!(one, other);
    }

    #[test]
    fn a_stated_log_time_is_a_column() {
        let fields = Fields { log_time: "at".into(), ..Fields::default() };
        let schema = Schema { fields, ..Schema::default() };
        let record = r#"{"ad_id":"a","click_timestamp":1767225600000,"at":1767225600000}"#;
        let found = shape(record, &schema).unwrap();
        assert!(found.0.contains(&Part::LogTime(Form::Ms)));
    }
}
