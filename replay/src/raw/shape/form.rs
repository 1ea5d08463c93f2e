//! How times are written in records.

use std::fmt::Write as _;

use clicks_dataflows::time::{Millis, Time};
use serde::{Deserialize, Serialize};

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
    pub fn all() -> impl Iterator<Item = Form> {
        let texts = ['T', ' '].into_iter().flat_map(|between| {
            [(true, true), (false, true), (true, false), (false, false)]
                .map(|(fraction, z)| Form::Rfc3339 { between, fraction, z })
        });
        std::iter::once(Form::Ms).chain(texts)
    }

    /// Writes `ms` to `text`, which is emptied.
    pub fn write(self, ms: Millis, text: &mut String) {
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
