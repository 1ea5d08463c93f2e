//! Turns the bytes of a record into a click, or says why they are none.
//!
//! ```text
//! bytes ─▶ json, csv: values of the wanted names ─▶ value: text, times, addresses ─▶ click
//! ```
//!
//! Pure: the same bytes under the same schema give the same click or the same refusal, word for
//! word. Where a record has several faults, the first field's is told, in the order of
//! [`Fields`]: ad, time, user, address, country, click id, log time, then the identity's others.

use crate::click::{AdId, Click, RECORD_BYTES_MAX, Reason, Refusal};
use crate::time::Millis;

mod csv;
mod identity;
mod json;
mod schema;
mod slots;
mod token;
mod value;

use identity::{Known, Part, Piece};
pub use schema::{Fields, Format, Identity, Schema, SchemaError};
use slots::Slots;
use value::Value;

/// Decodes the records of one partition.
#[derive(Clone, Debug)]
pub struct Decoder {
    schema: Schema,
    slots: Slots,
    reader: Reader,
}

/// A record that decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The click.
    pub click: Click,
    /// The log time that the record itself states.
    pub log_time: Option<Millis>,
}

/// How values are found in a record.
#[derive(Clone, Debug)]
enum Reader {
    Json(json::Names),
    /// The slot of each column, once they are known.
    Csv(Option<Vec<Option<usize>>>),
}

impl Decoder {
    /// A decoder of records that look like `schema`.
    ///
    /// # Errors
    ///
    /// When no record can be a click under `schema`.
    pub fn new(schema: &Schema) -> Result<Decoder, SchemaError> {
        schema.check()?;
        let slots = Slots::new(schema);
        let reader = match &schema.format {
            Format::Json => Reader::Json(json::Names::new(slots.names.iter().map(String::as_str))),
            Format::Csv { columns } => {
                Reader::Csv(columns.as_ref().map(|columns| slots.columns(columns)))
            }
        };
        Ok(Decoder { schema: schema.clone(), slots, reader })
    }

    /// Whether the partition's first line must be given to [`Decoder::with_header`].
    pub fn needs_header(&self) -> bool {
        matches!(self.reader, Reader::Csv(None))
    }

    /// The decoder of the rows under the header `line`.
    ///
    /// # Errors
    ///
    /// When `line` is no row, or no row under it can be a click.
    pub fn with_header(&self, line: &[u8]) -> Result<Decoder, SchemaError> {
        let not_utf8 = |_| SchemaError::Header("not UTF-8".into());
        let line = without_line_end(std::str::from_utf8(line).map_err(not_utf8)?);
        let columns = csv::header(line).map_err(SchemaError::Header)?;
        self.schema.check_columns(&columns)?;
        let reader = Reader::Csv(Some(self.slots.columns(&columns)));
        Ok(Decoder { reader, ..self.clone() })
    }

    /// The click that `bytes` are.
    ///
    /// # Errors
    ///
    /// Says why `bytes` are no click; that is data, not a failure.
    ///
    /// # Panics
    ///
    /// When the decoder needs a header.
    pub fn decode(&self, bytes: &[u8]) -> Result<Decoded, Refusal> {
        let values = self.values(bytes)?;
        let value = |slot: Option<usize>| slot.map_or(&Value::Absent, |slot| &values[slot]);
        let known = Known {
            ad: value(self.slots.ad_id).as_ad("ad_id")?,
            event_ms: value(self.slots.click_timestamp).as_event_time("click_timestamp")?,
            user: value(self.slots.user_id).as_text("user_id")?,
            ip: value(self.slots.ip).as_ip("ip")?,
            country: value(self.slots.country).as_text("country")?,
            click_id: value(self.slots.click_id).as_text("click_id")?,
            log_time: value(self.slots.log_time).as_log_time("log_time")?,
        };
        let click = Click {
            event_ms: known.event_ms,
            ad: AdId::from(known.ad),
            user: known.user.map(Into::into),
            ip: known.ip,
            country: known.country.map(Into::into),
            identity: self.identity(&known, &values)?,
        };
        Ok(Decoded { click, log_time: known.log_time })
    }

    /// The values of all slots.
    fn values<'a>(&self, bytes: &'a [u8]) -> Result<Vec<Value<'a>>, Refusal> {
        check_length(bytes.len() as u64)?;
        let malformed = |detail| Refusal { reason: Reason::Malformed, detail };
        if bytes.is_empty() {
            return Err(malformed("empty".into()));
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|error| malformed(format!("not UTF-8 at byte {}", error.valid_up_to())))?;
        let mut values = vec![Value::Absent; self.slots.names.len()];
        match &self.reader {
            Reader::Json(names) => json::read(text, names, &mut values),
            Reader::Csv(columns) => {
                let columns = columns.as_ref().expect("a header comes before the rows under it");
                csv::read(without_line_end(text), columns, &mut values)
            }
        }
        .map_err(malformed)?;
        Ok(values)
    }

    fn identity(&self, known: &Known<'_>, values: &[Value<'_>]) -> Result<Option<u128>, Refusal> {
        match self.schema.identity {
            Identity::Auto => return Ok(identity::auto(known)),
            Identity::None => return Ok(None),
            Identity::Of(_) => {}
        }
        let mut pieces = Vec::with_capacity(self.slots.identity.len());
        for part in &self.slots.identity {
            pieces.push(match part {
                Part::Ad => Some(Piece::Text(known.ad)),
                Part::Time => Some(Piece::Time(known.event_ms)),
                Part::User => known.user.map(Piece::Text),
                Part::Ip => known.ip.map(Piece::Ip),
                Part::Country => known.country.map(Piece::Text),
                Part::ClickId => known.click_id.map(Piece::Text),
                Part::LogTime => known.log_time.map(Piece::Time),
                Part::Other(slot, name) => values[*slot].as_text(name)?.map(Piece::Text),
            });
        }
        let pieces: Option<Vec<Piece<'_>>> = pieces.into_iter().collect();
        Ok(pieces.map(|pieces| identity::listed(pieces.into_iter())))
    }
}

/// A line without the LF or CRLF that a producer may have left on it.
fn without_line_end(line: &str) -> &str {
    let line = line.strip_suffix('\n').unwrap_or(line);
    line.strip_suffix('\r').unwrap_or(line)
}

/// Refuses a record that is longer than any that is decoded; a source may hold less of it.
pub(crate) fn check_length(bytes: u64) -> Result<(), Refusal> {
    if bytes <= RECORD_BYTES_MAX as u64 {
        return Ok(());
    }
    let detail = format!("{bytes} bytes are more than {RECORD_BYTES_MAX}");
    Err(Refusal { reason: Reason::TooLarge, detail })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoder(schema: Schema) -> Decoder {
        Decoder::new(&schema).unwrap()
    }

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// A click as `ad time user ip country log`, a refusal as `reason detail`.
    fn shown(decoder: &Decoder, record: impl AsRef<[u8]>) -> String {
        match decoder.decode(record.as_ref()) {
            Ok(Decoded { click, log_time }) => format!(
                "{} {} {:?} {:?} {:?} {log_time:?}",
                click.ad, click.event_ms, click.user, click.ip, click.country
            ),
            Err(refusal) => format!("{} {}", refusal.reason.as_str(), refusal.detail),
        }
    }

    const WHOLE: &str =
        "ad001 1609459201000 Some(\"user 1\") Some(207.148.22.22) Some(\"USA\") None";

    #[test]
    fn objects_are_clicks() {
        let decoder = decoder(Schema::default());
        for (record, expected) in [
            (
                r#"{"ad_id":"ad001","click_timestamp":"2021-01-01 00:00:01","user_id":"user 1","ip":"207.148.22.22","country":"USA","more":[{}]}"#,
                WHOLE,
            ),
            (
                r#"{"ad_id":7,"click_timestamp":0,"user_id":null,"ip":"","log_time":"x"}"#,
                "7 0 None None None None",
            ),
            (r#"{"ad_id":"a","click_timestamp":1,"ad_id":"b"}"#, "b 1 None None None None"),
            (
                r#"{"ad_id":"a","click_timestamp":true,"click_timestamp":"1"}"#,
                "a 1 None None None None",
            ),
        ] {
            assert_eq!(shown(&decoder, record), expected);
        }
    }

    #[test]
    fn what_is_no_click_says_why() {
        let decoder = decoder(Schema::default());
        for (record, expected) in [
            ("", "malformed empty"),
            ("null", "malformed not an object at byte 0"),
            (r#"{"ad_id":"a","click_timestamp":1} x"#, "malformed more than an object at byte 34"),
            ("{}", "missing_field ad_id: missing"),
            (r#"{"ad_id":"a","click_timestamp":""}"#, "missing_field click_timestamp: missing"),
            (r#"{"ad_id":1.5,"click_timestamp":[]}"#, "bad_field ad_id: a fraction is no text"),
            (r#"{"click_timestamp":[]}"#, "missing_field ad_id: missing"),
            (
                r#"{"ip":1,"user_id":{},"ad_id":"a","click_timestamp":1}"#,
                "bad_field user_id: an object is no text",
            ),
            (
                r#"{"ad_id":"a","click_timestamp":1,"click_id":[]}"#,
                "bad_field click_id: an array is no text",
            ),
        ] {
            assert_eq!(shown(&decoder, record), expected);
        }
        assert_eq!(shown(&decoder, b"{\"ad_id\":\"\xff\"}"), "malformed not UTF-8 at byte 10");
    }

    #[test]
    fn a_record_of_more_than_a_mebibyte_is_too_large() {
        let decoder = decoder(Schema::default());
        let mut record = br#"{"ad_id":"a","click_timestamp":1}"#.to_vec();
        record.resize(RECORD_BYTES_MAX, b' ');
        assert_eq!(shown(&decoder, &record), "a 1 None None None None");
        record.push(b' ');
        assert_eq!(shown(&decoder, &record), "too_large 1048577 bytes are more than 1048576");
    }

    #[test]
    fn fields_are_read_under_their_names_in_the_input() {
        let fields = Fields {
            ad_id: "app".into(),
            ip: "device.ip".into(),
            user_id: String::new(),
            log_time: "seen.at".into(),
            ..Fields::default()
        };
        let decoder = decoder(Schema { fields, ..Schema::default() });
        let record = r#"{"app":"a","click_timestamp":1,"user_id":"u","ip":"x","device":{"ip":"::1"},"seen":{"at":9}}"#;
        assert_eq!(shown(&decoder, record), "a 1 None Some(::1) None Some(9)");
        let record = r#"{"app":"a","click_timestamp":1,"seen":{"at":-1}}"#;
        assert_eq!(shown(&decoder, record), "a 1 None None None None");
    }

    #[test]
    fn rows_are_clicks() {
        let columns = strings(&["ad_id", "click_timestamp", "user_id", "ip", "country"]);
        let format = Format::Csv { columns: Some(columns) };
        let decoder = decoder(Schema { format, ..Schema::default() });
        let row = "ad001, 2021-01-01 00:00:01, user 1, 207.148.22.22, USA";
        assert!(!decoder.needs_header());
        assert_eq!(shown(&decoder, row), WHOLE);
        assert_eq!(shown(&decoder, format!("{row}\r\n")), WHOLE);
        assert_eq!(shown(&decoder, "7,60,,\"\", "), "7 60 None None None None");
        assert_eq!(shown(&decoder, "7,60,,"), "malformed 4 columns instead of 5");
        assert_eq!(shown(&decoder, ",60,,,"), "missing_field ad_id: missing");
    }

    #[test]
    fn a_header_names_the_columns() {
        let mut schema = Schema { format: Format::Csv { columns: None }, ..Schema::default() };
        schema.fields.ip = "device.ip".into();
        let headless = decoder(schema);
        assert!(headless.needs_header());
        let decoder = headless.with_header(b"device.ip,x,click_timestamp, ad_id\n").unwrap();
        assert!(!decoder.needs_header());
        assert_eq!(shown(&decoder, "1.2.3.4,,5,a"), "a 5 None Some(1.2.3.4) None None");
        for (header, fault) in [
            ("ad_id", "click_timestamp: there is no column \"click_timestamp\""),
            ("ad_id,ad_id", "two columns are named \"ad_id\""),
            ("\"ad_id", "the header is no row: an open quotation mark"),
        ] {
            let refused = headless.with_header(header.as_bytes()).unwrap_err();
            assert_eq!(refused.to_string(), fault);
        }
    }

    #[test]
    fn listed_identities_hold_canonical_values() {
        let names = strings(&["page", "ip", "click_timestamp"]);
        let listed = decoder(Schema { identity: Identity::Of(names), ..Schema::default() });
        let identity = |page: &str, ip: &str, time: &str| {
            let record =
                format!(r#"{{"ad_id":"a","page":{page},"ip":"{ip}","click_timestamp":{time}}}"#);
            listed.decode(record.as_bytes()).map(|decoded| decoded.click.identity)
        };
        let one = identity("7", "::ffff:1.2.3.4", "\"1970-01-01T00:00:01Z\"").unwrap();
        assert!(one.is_some());
        assert_eq!(identity("\"7\"", "1.2.3.4", "1000"), Ok(one));
        assert_ne!(identity("8", "1.2.3.4", "1000"), Ok(one));
        assert_eq!(identity("null", "1.2.3.4", "1000"), Ok(None));
        assert_eq!(identity("7", "", "1000"), Ok(None));
        let fault = identity("[]", "1.2.3.4", "1000").unwrap_err();
        assert_eq!(fault.detail, "page: an array is no text");

        let none = decoder(Schema { identity: Identity::None, ..Schema::default() });
        let record = br#"{"ad_id":"a","click_timestamp":1,"click_id":"c"}"#;
        assert_eq!(none.decode(record).unwrap().click.identity, None);
        assert!(decoder(Schema::default()).decode(record).unwrap().click.identity.is_some());
    }
}
