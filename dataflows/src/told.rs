//! What is told: the rows of the result logs, as they are written and read.
//!
//! A row is a line of JSON, its keys in the order of the fields here, without spaces. The types
//! define and read it; what is written by the million is written by [`mod@write`].

pub mod write;

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::click::{AdId, QUOTE_BYTES_MAX, Reason, Reject};
use crate::filter::FilterId;
use crate::ledger::Position;
use crate::time::{Epoch, Millis, Minute, Time};

/// Whether a change was told before its minute settled, at that epoch, or after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Told before its minute settled.
    Provisional,
    /// Told when its minute settled.
    Final,
    /// Told afterwards.
    Correction,
}

impl State {
    /// The state of what is told at `epoch` about a minute that settles at `settle`.
    pub fn at(epoch: Epoch, settle: Millis) -> State {
        match epoch.cmp(&settle) {
            std::cmp::Ordering::Less => State::Provisional,
            std::cmp::Ordering::Equal => State::Final,
            std::cmp::Ordering::Greater => State::Correction,
        }
    }
}

/// A row of `counts`: the clicks of an ad in a minute under a filter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountRow<A = AdId> {
    /// The ad.
    pub ad_id: A,
    /// The minute.
    #[serde(with = "minute_text")]
    pub minute: Minute,
    /// The filter.
    pub filter: FilterId,
    /// Clicks as known at `epoch`.
    pub clicks: u64,
    /// Clicks told before, 0 at first.
    pub was: u64,
    /// When the change was told.
    pub epoch: Time,
    /// Whether the minute had settled.
    pub state: State,
}

/// An ad in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RankedAd<A = AdId> {
    /// The ad.
    pub ad_id: A,
    /// Its clicks in the window.
    pub clicks: u64,
}

/// A row of `ranks`: the most clicked ads of the `window` minutes that end with `minute`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RankRow<A = AdId> {
    /// The filter.
    pub filter: FilterId,
    /// Minutes of the window.
    pub window: u32,
    /// The last minute of the window.
    #[serde(with = "minute_text")]
    pub minute: Minute,
    /// Most clicks first, then the least id.
    pub ads: Vec<RankedAd<A>>,
    /// When the list was told.
    pub epoch: Time,
    /// Whether the minute had settled.
    pub state: State,
}

/// A row of `rejects`: a record that does not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectRow<'a> {
    /// Its log, where the job reads several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Cow<'a, str>>,
    /// Its partition.
    pub partition: u32,
    /// Its offset.
    pub offset: u64,
    /// The kind of fault.
    pub reason: Reason,
    /// The fault in words.
    pub detail: Cow<'a, str>,
    /// The record, or its beginning, where that is UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<Cow<'a, str>>,
    /// The record, or its beginning, where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_base64: Option<String>,
    /// The length of a record of which only the beginning is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// When the reject was told.
    pub epoch: Time,
}

impl<'a> RejectRow<'a> {
    /// The row that tells at `epoch` of `reject`, whose partition is the one of `position`.
    pub fn new(reject: &'a Reject, position: &'a Position, epoch: Epoch) -> RejectRow<'a> {
        let whole = reject.bytes <= QUOTE_BYTES_MAX as u64;
        let text = match std::str::from_utf8(&reject.quote) {
            Ok(text) => Some(text),
            // A character that the cut went through is left out.
            Err(error) if !whole && error.error_len().is_none() => {
                std::str::from_utf8(&reject.quote[..error.valid_up_to()]).ok()
            }
            Err(_) => None,
        };
        RejectRow {
            log: position.log.as_deref().map(Cow::Borrowed),
            partition: position.partition,
            offset: reject.at.offset,
            reason: reject.reason,
            detail: Cow::Borrowed(&reject.detail),
            record: text.map(Cow::Borrowed),
            record_base64: text.is_none().then(|| STANDARD.encode(&reject.quote)),
            bytes: (!whole).then_some(reject.bytes),
            epoch: Time(epoch),
        }
    }
}

/// A minute as the RFC 3339 time of its start.
pub mod minute_text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::time::{Minute, Time};

    /// Writes the start of `minute`.
    ///
    /// # Errors
    ///
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(minute: &Minute, serializer: S) -> Result<S::Ok, S::Error> {
        Time(minute.start()).serialize(serializer)
    }

    /// Reads the start of a minute.
    ///
    /// # Errors
    ///
    /// When the text is no time.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Minute, D::Error> {
        Time::deserialize(deserializer).map(|time| Minute::of(time.0))
    }
}
