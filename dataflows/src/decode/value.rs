//! What a value in a record is taken for: text, a time, an address, or absent.
//!
//! The rules are those of the table in `docs/design.md`, the same for JSON and CSV. A fault is
//! told in words that depend on the value alone, and quote at most [`QUOTE_CHARS_MAX`] of it.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};

use crate::click::{Reason, Refusal};
use crate::time::{Millis, TIME_MAX, parse_rfc3339};

/// A value as it stands in a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Value<'a> {
    /// Not there, `null`, or empty.
    #[default]
    Absent,
    /// A string, not empty.
    Text(Cow<'a, str>),
    /// An integer outside quotes: digits, perhaps after a minus.
    Integer(&'a str),
    /// Anything else, in words: `a boolean`.
    Other(&'static str),
}

/// Characters of a value that a fault may quote.
const QUOTE_CHARS_MAX: usize = 64;

/// The longest ad in bytes.
const AD_BYTES_MAX: usize = 256;

impl<'a> Value<'a> {
    /// A string of the record.
    #[inline]
    pub fn text(text: Cow<'a, str>) -> Value<'a> {
        if text.is_empty() { Value::Absent } else { Value::Text(text) }
    }

    /// The value of a field that holds text.
    ///
    /// # Errors
    ///
    /// `bad_field` for what is neither a string nor an integer.
    #[inline]
    pub fn as_text(&self, field: &str) -> Result<Option<Cow<'a, str>>, Refusal> {
        match self {
            Value::Absent => Ok(None),
            Value::Text(text) => Ok(Some(text.clone())),
            Value::Integer(digits) => Ok(Some(Cow::Borrowed(digits))),
            Value::Other(what) => Err(bad(field, format_args!("{what} is no text"))),
        }
    }

    /// The value of the field that holds the ad.
    ///
    /// # Errors
    ///
    /// `missing_field` without one, `bad_field` for what is no text or too long.
    #[inline]
    pub fn as_ad(&self, field: &str) -> Result<Cow<'a, str>, Refusal> {
        let ad = self.as_text(field)?.ok_or_else(|| missing(field))?;
        if ad.len() > AD_BYTES_MAX {
            let length = ad.len();
            return Err(bad(field, format_args!("{length} bytes are more than {AD_BYTES_MAX}")));
        }
        Ok(ad)
    }

    /// The value of a field that holds an address; an IPv4 address in IPv6's clothes is IPv4.
    ///
    /// # Errors
    ///
    /// `bad_field` for what is no address.
    pub fn as_ip(&self, field: &str) -> Result<Option<IpAddr>, Refusal> {
        let Some(text) = self.as_text(field)? else { return Ok(None) };
        if let Some(ip) = ipv4(text.as_bytes()) {
            return Ok(Some(IpAddr::V4(ip)));
        }
        match text.parse::<IpAddr>() {
            Ok(ip) => Ok(Some(ip.to_canonical())),
            Err(_) => Err(bad(field, format_args!("{} is no address", self.quote()))),
        }
    }

    /// The value of the field that holds the time of the click.
    ///
    /// # Errors
    ///
    /// `missing_field` without one, `bad_field` for what is no time.
    pub fn as_event_time(&self, field: &str) -> Result<Millis, Refusal> {
        self.as_time(field)?.ok_or_else(|| missing(field))
    }

    /// The value of the field that holds the log time; a time of 1970's beginning or earlier is
    /// how logs say that they have none.
    ///
    /// # Errors
    ///
    /// `bad_field` for what is no time.
    pub fn as_log_time(&self, field: &str) -> Result<Option<Millis>, Refusal> {
        if let Value::Integer(text) = self
            && text.starts_with('-')
        {
            return Ok(None);
        }
        if let Value::Text(text) = self
            && text.strip_prefix('-').is_some_and(is_digits)
        {
            return Ok(None);
        }
        Ok(self.as_time(field)?.filter(|ms| *ms > 0))
    }

    fn as_time(&self, field: &str) -> Result<Option<Millis>, Refusal> {
        let time = match self {
            Value::Absent => return Ok(None),
            Value::Other(what) => return Err(bad(field, format_args!("{what} is no time"))),
            Value::Text(text) if is_digits(text) => millis(text),
            Value::Text(text) => parse_rfc3339(text.as_bytes()),
            Value::Integer(digits) => millis(digits),
        };
        let no_time =
            || bad(field, format_args!("{} is no time from 1970 to the year 9999", self.quote()));
        time.map(Some).ok_or_else(no_time)
    }

    /// The value as a fault quotes it.
    fn quote(&self) -> String {
        let (text, mark) = match self {
            Value::Text(text) => (text.as_ref(), "\""),
            Value::Integer(digits) => (*digits, ""),
            Value::Absent | Value::Other(_) => ("", "\""),
        };
        match text.char_indices().nth(QUOTE_CHARS_MAX) {
            Some((end, _)) => format!("{mark}{}…{mark}", &text[..end]),
            None => format!("{mark}{text}{mark}"),
        }
    }
}

/// The IPv4 address that `text` states: what the standard library takes for one, in less time.
fn ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut rest = text;
    for (place, octet) in octets.iter_mut().enumerate() {
        if place > 0 {
            rest = rest.strip_prefix(b".")?;
        }
        let (value, length) = match rest {
            [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', ..] => {
                (u32::from(a - b'0') * 100 + u32::from(b - b'0') * 10 + u32::from(c - b'0'), 3)
            }
            [a @ b'1'..=b'9', b @ b'0'..=b'9', ..] => {
                (u32::from(a - b'0') * 10 + u32::from(b - b'0'), 2)
            }
            [a @ b'0'..=b'9', ..] => (u32::from(a - b'0'), 1),
            _ => return None,
        };
        *octet = u8::try_from(value).ok()?;
        rest = &rest[length..];
    }
    rest.is_empty().then(|| Ipv4Addr::from(octets))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The milliseconds that `digits` state, if they lie before the year 10000.
fn millis(digits: &str) -> Option<Millis> {
    digits.parse().ok().filter(|ms| *ms <= TIME_MAX)
}

fn missing(field: &str) -> Refusal {
    Refusal { reason: Reason::MissingField, detail: format!("{field}: missing") }
}

fn bad(field: &str, fault: std::fmt::Arguments<'_>) -> Refusal {
    Refusal { reason: Reason::BadField, detail: format!("{field}: {fault}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value<'_> {
        Value::text(text.into())
    }

    fn shown<T: std::fmt::Debug>(result: Result<T, Refusal>) -> String {
        match result {
            Ok(value) => format!("{value:?}"),
            Err(refusal) => format!("{} {}", refusal.reason.as_str(), refusal.detail),
        }
    }

    #[test]
    fn strings_and_integers_are_text() {
        for (value, expected) in [
            (Value::Absent, "None"),
            (text(""), "None"),
            (text("USA"), "Some(\"USA\")"),
            (text(" "), "Some(\" \")"),
            (Value::Integer("-7"), "Some(\"-7\")"),
            (
                Value::Integer("123456789012345678901234567890"),
                "Some(\"123456789012345678901234567890\")",
            ),
            (Value::Other("a boolean"), "bad_field f: a boolean is no text"),
        ] {
            assert_eq!(shown(value.as_text("f")), expected);
        }
    }

    #[test]
    fn an_ad_has_1_to_256_bytes() {
        assert_eq!(shown(text("").as_ad("ad_id")), "missing_field ad_id: missing");
        assert_eq!(shown(Value::Integer("7").as_ad("ad_id")), "\"7\"");
        assert!(text(&"é".repeat(128)).as_ad("ad_id").is_ok());
        let long = "é".repeat(128) + "e";
        assert_eq!(
            shown(text(&long).as_ad("ad_id")),
            "bad_field ad_id: 257 bytes are more than 256"
        );
    }

    #[test]
    fn times_are_milliseconds_or_rfc_3339() {
        const MAX: &str = "253402300799999";
        for (value, expected) in [
            (Value::Absent, "missing_field t: missing"),
            (Value::Integer("0"), "0"),
            (Value::Integer("1609459201000"), "1609459201000"),
            (text("0001609459201000"), "1609459201000"),
            (text("00000000000000000000000000000007"), "7"),
            (text("2021-01-01 00:00:01"), "1609459201000"),
            (text("2021-01-01T01:00:01.0009+01:00"), "1609459201000"),
            (Value::Integer(MAX), MAX),
            (text(MAX), MAX),
        ] {
            assert_eq!(shown(value.as_event_time("t")), expected);
        }
        for value in [
            Value::Integer("-1"),
            Value::Integer("253402300800000"),
            Value::Integer("99999999999999999999999999"),
        ] {
            let Value::Integer(digits) = value else { unreachable!() };
            let fault = format!("bad_field t: {digits} is no time from 1970 to the year 9999");
            assert_eq!(shown(value.as_event_time("t")), fault);
        }
        for no_time in ["-1", "+1", " 1", "1.0", "2021-01-01T00:00:60Z", "2021-01-01", "now"] {
            let fault = format!("bad_field t: \"{no_time}\" is no time from 1970 to the year 9999");
            assert_eq!(shown(text(no_time).as_event_time("t")), fault);
        }
        let fraction = Value::Other("a fraction");
        assert_eq!(shown(fraction.as_event_time("t")), "bad_field t: a fraction is no time");
    }

    #[test]
    fn log_times_of_0_or_less_are_absent() {
        for value in [
            Value::Integer("0"),
            Value::Integer("-1"),
            text("0"),
            text("-1"),
            text("1970-01-01T00:00:00Z"),
            Value::Absent,
        ] {
            assert_eq!(value.as_log_time("log_time"), Ok(None));
        }
        assert_eq!(Value::Integer("1").as_log_time("log_time"), Ok(Some(1)));
        for value in [text("-"), text("-1x"), text("soon"), Value::Other("an array")] {
            assert!(value.as_log_time("log_time").is_err());
        }
    }

    #[test]
    fn addresses_are_compared_as_such() {
        for (left, right) in
            [("2001:DB8::1", "2001:0db8:0:0:0:0:0:1"), ("::ffff:1.2.3.4", "1.2.3.4")]
        {
            assert_eq!(text(left).as_ip("ip"), text(right).as_ip("ip"));
        }
        for ip in ["0.0.0.0", "255.255.255.255", "1.20.30.4", "10.200.99.100"] {
            assert_eq!(ipv4(ip.as_bytes()), ip.parse().ok(), "{ip}");
        }
        let not_ipv4 =
            ["", "1.2.3", "1.2.3.", "1.2.3.4.", "1.2.3.4 ", "01.2.3.4", "1.2.3.00", "256.1.1.1"];
        for text in not_ipv4.into_iter().chain(["1.1.1.300", "1.1.1.1000", "::1", "1..2.3"]) {
            assert_eq!((ipv4(text.as_bytes()), text.parse::<Ipv4Addr>().ok()), (None, None));
        }
        assert_eq!(shown(text("1.2.3").as_ip("ip")), "bad_field ip: \"1.2.3\" is no address");
        assert_eq!(
            shown(Value::Integer("16909060").as_ip("ip")),
            "bad_field ip: 16909060 is no address"
        );
        let long = "ü".repeat(100);
        let fault = format!("bad_field ip: \"{}…\" is no address", "ü".repeat(64));
        assert_eq!(shown(text(&long).as_ip("ip")), fault);
    }
}
