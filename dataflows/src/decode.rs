//! Turns the bytes of a record into a click, or says why they are none.
//!
//! ```text
//! bytes ─▶ json, csv: values of the wanted names ─▶ value: text, times, addresses ─▶ click
//! ```
//!
//! Pure: the same bytes under the same schema give the same click or the same refusal, word for
//! word. Where a record has several faults, the first field's is told, in the order of
//! [`Fields`]: ad, time, user, address, country, click id, log time, then the identity's others.

use crate::click::{Click, ClickRef, RECORD_BYTES_MAX, Reason, Refusal};
use crate::time::Millis;

mod csv;
mod flat;
mod identity;
mod json;
mod schema;
mod slots;
mod token;
mod value;

pub use identity::Known;
use identity::{Form, Part, Piece};
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

/// Slots of most schemas, whose values are held without an allocation.
const FEW: usize = 12;

/// How values are found in a record.
#[derive(Clone, Debug)]
enum Reader {
    /// Perhaps a shortcut, and what decides where it gives up.
    Json(Option<flat::Names>, json::Names),
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
            Format::Json => {
                let names = || slots.names.iter().map(String::as_str);
                Reader::Json(flat::Names::new(names()), json::Names::new(names()))
            }
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

    /// The same decoder without its shortcut for records of the common shape; for tests that hold
    /// the two against each other.
    #[must_use]
    pub fn without_shortcut(&self) -> Decoder {
        let mut decoder = self.clone();
        if let Reader::Json(flat, _) = &mut decoder.reader {
            *flat = None;
        }
        decoder
    }

    /// The click that `bytes` are, on its own.
    ///
    /// # Errors
    ///
    /// As [`Decoder::read`].
    ///
    /// # Panics
    ///
    /// When the decoder needs a header.
    pub fn decode(&self, bytes: &[u8]) -> Result<Decoded, Refusal> {
        let click = self.read(bytes)?;
        Ok(Decoded { click: Click::from(&click), log_time: click.log_time })
    }

    /// The click that `bytes` are, borrowing from them: most clicks are read without an allocation.
    ///
    /// # Errors
    ///
    /// Says why `bytes` are no click; that is data, not a failure.
    ///
    /// # Panics
    ///
    /// When the decoder needs a header.
    pub fn read<'a>(&self, bytes: &'a [u8]) -> Result<ClickRef<'a>, Refusal> {
        let mut few = [const { Value::Absent }; FEW];
        match few.get_mut(..self.slots.names.len()) {
            Some(values) => self.read_by(bytes, values),
            None => self.read_by(bytes, &mut vec![Value::Absent; self.slots.names.len()]),
        }
    }

    /// Whether all that makes two records the same click is in the fields of clicks.
    pub fn identity_is_known(&self) -> bool {
        !self.slots.identity.iter().any(|part| matches!(part, Part::Other(..)))
    }

    /// The click whose fields are `known`: the same as that of a record which holds them.
    ///
    /// # Panics
    ///
    /// Unless [`Decoder::identity_is_known`].
    pub fn click_of<'a>(&self, known: &Known<'a>) -> ClickRef<'a> {
        let identity = self.identity(known, &[]).expect("known fields are of their types");
        ClickRef {
            event_ms: known.event_ms,
            ad: known.ad.into(),
            user: known.user.map(Into::into),
            ip: known.ip,
            country: known.country.map(Into::into),
            click_id: known.click_id.map(Into::into),
            identity,
            log_time: known.log_time,
        }
    }

    /// Reads a click by way of the `values` of all slots, none of which is there yet.
    fn read_by<'a>(
        &self,
        bytes: &'a [u8],
        values: &mut [Value<'a>],
    ) -> Result<ClickRef<'a>, Refusal> {
        self.find(bytes, values)?;
        let value = |slot: Option<usize>| slot.map_or(&Value::Absent, |slot| &values[slot]);
        let ad = value(self.slots.ad_id).as_ad("ad_id")?;
        let event_ms = value(self.slots.click_timestamp).as_event_time("click_timestamp")?;
        let user = value(self.slots.user_id).as_text("user_id")?;
        let ip = value(self.slots.ip).as_ip("ip")?;
        let country = value(self.slots.country).as_text("country")?;
        let click_id = value(self.slots.click_id).as_text("click_id")?;
        let log_time = value(self.slots.log_time).as_log_time("log_time")?;
        let known = Known {
            event_ms,
            ad: &ad,
            user: user.as_deref(),
            ip,
            country: country.as_deref(),
            click_id: click_id.as_deref(),
            log_time,
        };
        let identity = self.identity(&known, values)?;
        Ok(ClickRef { event_ms, ad, user, ip, country, click_id, identity, log_time })
    }

    /// Finds the values of all slots.
    fn find<'a>(&self, bytes: &'a [u8], values: &mut [Value<'a>]) -> Result<(), Refusal> {
        check_length(bytes.len() as u64)?;
        let malformed = |detail| Refusal { reason: Reason::Malformed, detail };
        if bytes.is_empty() {
            return Err(malformed("empty".into()));
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|error| malformed(format!("not UTF-8 at byte {}", error.valid_up_to())))?;
        match &self.reader {
            Reader::Json(flat, names) => {
                if flat.as_ref().is_some_and(|flat| flat::read(text, flat, values).is_some()) {
                    return Ok(());
                }
                values.fill(Value::Absent);
                json::read(text, names, values)
            }
            Reader::Csv(columns) => {
                let columns = columns.as_ref().expect("a header comes before the rows under it");
                csv::read(without_line_end(text), columns, values)
            }
        }
        .map_err(malformed)
    }

    fn identity(&self, known: &Known<'_>, values: &[Value<'_>]) -> Result<Option<u128>, Refusal> {
        match self.schema.identity {
            Identity::Auto => return Ok(identity::auto(known)),
            Identity::None => return Ok(None),
            Identity::Of(_) => {}
        }
        let (mut form, mut complete) = (Form::listed(), true);
        for part in &self.slots.identity {
            let other;
            let piece = match part {
                Part::Ad => Some(Piece::Text(known.ad)),
                Part::Time => Some(Piece::Time(known.event_ms)),
                Part::User => known.user.map(Piece::Text),
                Part::Ip => known.ip.map(Piece::Ip),
                Part::Country => known.country.map(Piece::Text),
                Part::ClickId => known.click_id.map(Piece::Text),
                Part::LogTime => known.log_time.map(Piece::Time),
                Part::Other(slot, name) => {
                    other = values[*slot].as_text(name)?;
                    other.as_deref().map(Piece::Text)
                }
            };
            match piece {
                Some(piece) => form.push(piece),
                // The parts after it may still be at fault.
                None => complete = false,
            }
        }
        Ok(complete.then(|| form.hash()))
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

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod agree;

#[cfg(test)]
mod tests;
