//! How the bytes of a record come back from its columns.
//!
//! ```text
//! {"ad_id":"ad7","click_timestamp":1767225600000}   the record
//! {"ad_id":" AD_ID ","click_timestamp": TIME }      its shape: text, and where fields stand
//! ```
//!
//! Records of one producer look alike: they differ in the values of their fields, which are columns
//! anyway. A segment keeps each shape once, and for a record the number of its shape. What differs
//! besides, as other fields do, stands in *gaps*, whose text is kept for each record. A record that
//! its shape does not give back byte for byte keeps its bytes instead, so a shape that was guessed
//! badly costs room, and never a byte.

use serde::{Deserialize, Serialize};

mod form;
mod gaps;
mod recent;
mod values;

use form::Form;
pub use recent::Recent;
pub use values::{Values, write_ip};

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
    /// What each record has of its own, up to the text that follows.
    Gap,
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
        shape.fits(record, values, &mut Room::default()).then_some(shape)
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

    /// Whether a record whose columns are `values` comes back as it is, with what stands in its gaps.
    pub fn fits(&self, record: &[u8], values: &Values<'_>, room: &mut Room) -> bool {
        let Room { written, gaps } = room;
        gaps.clear();
        let mut rest = record;
        let fits = self.0.iter().enumerate().all(|(at, part)| {
            let length = match part {
                Part::Gap => gap(rest, &self.0[at + 1..], values, written),
                part => part
                    .text(values, written)
                    .filter(|text| rest.starts_with(text.as_bytes()))
                    .map(str::len),
            };
            let Some(length) = length else { return false };
            let (taken, after) = rest.split_at(length);
            rest = after;
            if matches!(part, Part::Gap) {
                gaps.extend_from_slice(taken);
                gaps.push(GAP_END);
                return !taken.contains(&GAP_END);
            }
            true
        });
        fits && rest.is_empty()
    }

    /// Writes the record whose columns are `values` to the end of `record`; `gaps` are as
    /// [`Shape::fits`] found them.
    pub fn write(&self, values: &Values<'_>, gaps: &[u8], record: &mut Vec<u8>) {
        let mut written = String::new();
        let mut gaps = gaps.split(|byte| *byte == GAP_END);
        for part in &self.0 {
            let text = match part {
                Part::Gap => gaps.next().unwrap_or_default(),
                part => part.text(values, &mut written).unwrap_or_default().as_bytes(),
            };
            record.extend_from_slice(text);
        }
    }
}

/// Room for what is found of a record.
#[derive(Default)]
pub struct Room {
    /// A time as text.
    written: String,
    /// What stood in the gaps of the last shape that fitted, each with a zero byte after it.
    pub gaps: Vec<u8>,
}

/// Ends the text of a gap; no text of a record that has gaps contains it.
const GAP_END: u8 = 0;

impl Part {
    /// Its text in a record with these values, unless it is a gap.
    fn text<'t>(&'t self, values: &Values<'t>, written: &'t mut String) -> Option<&'t str> {
        let (form, ms) = match self {
            Part::Text(text) => return Some(text),
            Part::Field(field) => return values.text(*field),
            Part::Gap => return None,
            Part::Time(form) => (form, values.time),
            Part::LogTime(form) => (form, values.log_time?),
        };
        form.write(ms, written);
        Some(written)
    }
}

/// The length of the gap with which `rest` begins: up to the text that follows it, and the field
/// after that, or up to the end.
fn gap(rest: &[u8], next: &[Part], values: &Values<'_>, written: &mut String) -> Option<usize> {
    let Some(Part::Text(text)) = next.first() else { return None };
    match next.get(1) {
        Some(field) => {
            let needle = [text.as_str(), field.text(values, written)?].concat();
            memchr::memmem::find(rest, needle.as_bytes())
        }
        None => rest.strip_suffix(text.as_bytes()).map(<[u8]>::len),
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
        shape.write(&values, &[], &mut back);
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
