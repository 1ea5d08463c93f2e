//! What a record turns out to be: a click, or a reject with its reason.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::net::IpAddr;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::time::{Millis, Minute};

/// The advertisement that was clicked: 1 to 256 bytes of the user's own. Short ones are held in
/// place, without an allocation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AdId(pub CompactString);

impl AdId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for AdId {
    fn from(id: &str) -> AdId {
        AdId(id.into())
    }
}

impl Borrow<str> for AdId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AdId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a record stands: its partition, and its offset there.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Coordinates {
    /// The partition's number.
    pub partition: u32,
    /// The record's offset, from 0.
    pub offset: u64,
}

/// A record that decoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Click {
    /// When the click happened.
    pub event_ms: Millis,
    /// The ad that was clicked.
    pub ad: AdId,
    /// Who clicked.
    pub user: Option<CompactString>,
    /// From which address.
    pub ip: Option<IpAddr>,
    /// From which country.
    pub country: Option<CompactString>,
    /// A stable hash of what makes two records the same click; none for a click of its own.
    pub identity: Option<u128>,
}

impl Click {
    /// The minute in which it happened.
    pub fn minute(&self) -> Minute {
        Minute::of(self.event_ms)
    }
}

/// A click that borrows from its record: the same fields, and no allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClickRef<'a> {
    /// When the click happened.
    pub event_ms: Millis,
    /// The ad that was clicked; see [`AdId`].
    pub ad: Cow<'a, str>,
    /// Who clicked.
    pub user: Option<Cow<'a, str>>,
    /// From which address.
    pub ip: Option<IpAddr>,
    /// From which country.
    pub country: Option<Cow<'a, str>>,
    /// The click's own id.
    pub click_id: Option<Cow<'a, str>>,
    /// As that of [`Click`].
    pub identity: Option<u128>,
    /// The log time that the record itself states.
    pub log_time: Option<Millis>,
}

impl From<&ClickRef<'_>> for Click {
    fn from(click: &ClickRef<'_>) -> Click {
        Click {
            event_ms: click.event_ms,
            ad: AdId::from(&*click.ad),
            user: click.user.as_deref().map(Into::into),
            ip: click.ip,
            country: click.country.as_deref().map(Into::into),
            identity: click.identity,
        }
    }
}

impl<'a> From<&'a Click> for ClickRef<'a> {
    fn from(click: &'a Click) -> ClickRef<'a> {
        ClickRef {
            event_ms: click.event_ms,
            ad: Cow::Borrowed(click.ad.as_str()),
            user: click.user.as_deref().map(Cow::Borrowed),
            ip: click.ip,
            country: click.country.as_deref().map(Cow::Borrowed),
            click_id: None,
            identity: click.identity,
            log_time: None,
        }
    }
}

/// Why a record does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Not an object, or not a row.
    Malformed,
    /// A required field is absent.
    MissingField,
    /// A field has a value that it cannot have.
    BadField,
    /// The record is longer than [`RECORD_BYTES_MAX`].
    TooLarge,
    /// The click happened more than `ahead_max` after it was logged.
    Ahead,
    /// The minute of the click ended `horizon` or more before the clock.
    TooLate,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Reason; 6] = [
        Reason::Malformed,
        Reason::MissingField,
        Reason::BadField,
        Reason::TooLarge,
        Reason::Ahead,
        Reason::TooLate,
    ];

    /// The reason as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Malformed => "malformed",
            Reason::MissingField => "missing_field",
            Reason::BadField => "bad_field",
            Reason::TooLarge => "too_large",
            Reason::Ahead => "ahead",
            Reason::TooLate => "too_late",
        }
    }
}

/// The longest record that is decoded.
pub const RECORD_BYTES_MAX: usize = 1024 * 1024;

/// Why a record is not a click.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The kind of fault.
    pub reason: Reason,
    /// The fault in words, naming the field: `click_timestamp: …`.
    pub detail: String,
}

/// A record that is no click, with enough of it to mend and send it again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reject {
    /// Where the record stands.
    pub at: Coordinates,
    /// Why it does not count.
    pub reason: Reason,
    /// The fault in words.
    pub detail: String,
    /// At most [`QUOTE_BYTES_MAX`] bytes of the record.
    pub quote: Vec<u8>,
    /// The record's length in bytes.
    pub bytes: u64,
}

impl Reject {
    /// The reject of a record of `bytes` bytes that begins with `value`.
    pub fn new(at: Coordinates, refusal: Refusal, value: &[u8], bytes: u64) -> Reject {
        let Refusal { reason, detail } = refusal;
        let quote = value[..value.len().min(QUOTE_BYTES_MAX)].to_vec();
        Reject { at, reason, detail, quote, bytes }
    }
}

/// The part of a rejected record that is kept.
pub const QUOTE_BYTES_MAX: usize = 64 * 1024;
