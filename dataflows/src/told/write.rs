//! Rows as bytes, by hand: the same that serde writes, in a fraction of the time.
//!
//! ```text
//! {"ad_id":"ad001","minute":"…","filter":0,"clicks":3,"was":0,"epoch":"…","state":"final"}
//!                └── Shared ──┘                             └───────── Shared ──────────┘
//! ```
//!
//! Rows that follow each other are mostly of the same minute and epoch, so what they say of both
//! is made once.

use super::{CountRow, RankRow, RankedAd, State};
use crate::time::{Minute, Time};

/// Minutes that are remembered; those that follow each other do not take each other's place.
const REMEMBERED: usize = 8;

/// Writes rows of `counts` and `ranks`, and their keys.
#[derive(Clone, Debug, Default)]
pub struct Writer([Shared; REMEMBERED]);

/// What rows of the same minute, epoch and state have in common.
#[derive(Clone, Debug, Default)]
struct Shared {
    of: Option<(Minute, Time, State)>,
    /// The minute as it is written.
    minute: Vec<u8>,
    /// The field of the minute, between two others.
    middle: Vec<u8>,
    /// The fields of epoch and state, after another, to the end.
    end: Vec<u8>,
}

impl Writer {
    /// Appends `row` to `line`, and its key to `key`.
    pub fn count(&mut self, row: &CountRow<&str>, line: &mut Vec<u8>, key: &mut Vec<u8>) {
        let shared = self.shared(row.minute, row.epoch, row.state);
        line.extend_from_slice(b"{\"ad_id\":");
        put_text(line, row.ad_id);
        line.extend_from_slice(&shared.middle);
        line.extend_from_slice(b"\"filter\":");
        put_number(line, row.filter);
        line.extend_from_slice(b",\"clicks\":");
        put_number(line, row.clicks);
        line.extend_from_slice(b",\"was\":");
        put_number(line, row.was);
        line.extend_from_slice(&shared.end);

        key.extend_from_slice(row.ad_id.as_bytes());
        key.push(b'|');
        key.extend_from_slice(&shared.minute);
        key.push(b'|');
        put_number(key, row.filter);
    }

    /// Appends `row` to `line`, and its key to `key`.
    pub fn rank(&mut self, row: &RankRow<&str>, line: &mut Vec<u8>, key: &mut Vec<u8>) {
        let shared = self.shared(row.minute, row.epoch, row.state);
        line.extend_from_slice(b"{\"filter\":");
        put_number(line, row.filter);
        line.extend_from_slice(b",\"window\":");
        put_number(line, row.window);
        line.extend_from_slice(&shared.middle);
        line.extend_from_slice(b"\"ads\":[");
        for (at, RankedAd { ad_id, clicks }) in row.ads.iter().enumerate() {
            line.extend_from_slice(if at == 0 { b"{\"ad_id\":" } else { b",{\"ad_id\":" });
            put_text(line, ad_id);
            line.extend_from_slice(b",\"clicks\":");
            put_number(line, *clicks);
            line.push(b'}');
        }
        line.push(b']');
        line.extend_from_slice(&shared.end);

        put_number(key, row.filter);
        key.push(b'|');
        put_number(key, row.window);
        key.push(b'|');
        key.extend_from_slice(&shared.minute);
    }

    fn shared(&mut self, minute: Minute, epoch: Time, state: State) -> &Shared {
        let shared = &mut self.0[minute.0 as usize % REMEMBERED];
        if shared.of != Some((minute, epoch, state)) {
            *shared = Shared::new(minute, epoch, state);
        }
        shared
    }
}

impl Shared {
    fn new(minute: Minute, epoch: Time, state: State) -> Shared {
        let text = serde_json::to_string(&state).expect("a state is JSON");
        Shared {
            of: Some((minute, epoch, state)),
            minute: minute.to_string().into_bytes(),
            middle: format!(",\"minute\":\"{minute}\",").into_bytes(),
            end: format!(",\"epoch\":\"{epoch}\",\"state\":{text}}}").into_bytes(),
        }
    }
}

fn put_number(to: &mut Vec<u8>, number: impl itoa::Integer) {
    to.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends `text` as a string of JSON.
fn put_text(to: &mut Vec<u8>, text: &str) {
    let as_it_is = |byte: &u8| *byte >= b' ' && !matches!(byte, b'"' | b'\\');
    if text.as_bytes().iter().all(as_it_is) {
        to.push(b'"');
        to.extend_from_slice(text.as_bytes());
        to.push(b'"');
    } else {
        serde_json::to_writer(to, text).expect("a text is JSON, and memory takes it");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::{MINUTE_MS, TIME_MAX};

    /// Ids of up to 256 bytes: of characters that JSON escapes, of plain ones, of any.
    fn ids() -> impl Strategy<Value = String> {
        let hostile = "[\"\\\\/|\u{0}-\u{1f}\u{7f}a ]{0,256}";
        prop_oneof!["ad[0-9]{1,9}", "[a-z|é€🦀\u{2028}]{0,64}", hostile, ".{0,64}"]
    }

    fn numbers() -> impl Strategy<Value = u64> {
        prop_oneof![Just(0), 0..1000u64, any::<u64>(), Just(u64::MAX)]
    }

    /// Few minutes and epochs, so that rows share them, and take each other's place.
    fn minutes() -> impl Strategy<Value = Minute> {
        let last = u32::try_from(TIME_MAX / MINUTE_MS).unwrap();
        prop_oneof![(0..12u32).prop_map(|at| Minute(27_000_000 + at)), (0..=last).prop_map(Minute)]
    }

    fn epochs() -> impl Strategy<Value = Time> {
        let few = (0..3u64).prop_map(|at| Time(1_767_225_600_000 + at * 500));
        prop_oneof![few, (0..=TIME_MAX + MINUTE_MS).prop_map(Time)]
    }

    fn states() -> impl Strategy<Value = State> {
        prop_oneof![Just(State::Provisional), Just(State::Final), Just(State::Correction)]
    }

    fn count_rows() -> impl Strategy<Value = CountRow<String>> {
        let row = (ids(), minutes(), any::<u32>(), numbers(), numbers(), epochs(), states());
        row.prop_map(|(ad_id, minute, filter, clicks, was, epoch, state)| CountRow {
            ad_id,
            minute,
            filter,
            clicks,
            was,
            epoch,
            state,
        })
    }

    fn rank_rows() -> impl Strategy<Value = RankRow<String>> {
        let ad = (ids(), numbers()).prop_map(|(ad_id, clicks)| RankedAd { ad_id, clicks });
        let ads = prop::collection::vec(ad, 0..4);
        let row = (any::<u32>(), any::<u32>(), minutes(), ads, epochs(), states());
        row.prop_map(|(filter, window, minute, ads, epoch, state)| RankRow {
            filter,
            window,
            minute,
            ads,
            epoch,
            state,
        })
    }

    proptest! {
        #[test]
        fn counts_are_written_as_serde_writes_them(
            rows in prop::collection::vec(count_rows(), 1..40),
        ) {
            let mut writer = Writer::default();
            for row in rows {
                let (mut line, mut key) = (b"before".to_vec(), b"before".to_vec());
                let CountRow { minute, filter, clicks, was, epoch, state, .. } = row;
                let ad_id = row.ad_id.as_str();
                let same = CountRow { ad_id, minute, filter, clicks, was, epoch, state };
                writer.count(&same, &mut line, &mut key);
                let expected = serde_json::to_string(&row).unwrap();
                prop_assert_eq!(String::from_utf8(line).unwrap(), format!("before{expected}"));
                let expected = format!("before{ad_id}|{minute}|{filter}");
                prop_assert_eq!(String::from_utf8(key).unwrap(), expected);
            }
        }

        #[test]
        fn ranks_are_written_as_serde_writes_them(
            rows in prop::collection::vec(rank_rows(), 1..40),
        ) {
            let mut writer = Writer::default();
            for row in rows {
                let (mut line, mut key) = (Vec::new(), Vec::new());
                let RankRow { filter, window, minute, epoch, state, .. } = row;
                let ads = row.ads.iter();
                let ads = ads.map(|ad| RankedAd { ad_id: ad.ad_id.as_str(), clicks: ad.clicks });
                let same = RankRow { filter, window, minute, ads: ads.collect(), epoch, state };
                writer.rank(&same, &mut line, &mut key);
                prop_assert_eq!(line, serde_json::to_vec(&row).unwrap());
                let expected = format!("{filter}|{window}|{minute}");
                prop_assert_eq!(String::from_utf8(key).unwrap(), expected);
            }
        }
    }
}
