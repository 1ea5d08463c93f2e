//! Keys of the store: what belongs together lies together, the oldest first.
//!
//! | of a day | key | value |
//! |---|---|---|
//! | a count | 0, ad, filter, minute, epoch | state, clicks |
//! | a list | 1, window, filter, minute, epoch | state, the ads as JSON |
//!
//! | of the job | key | value |
//! |---|---|---|
//! | a reject | epoch, partition, offset, log | its row |
//! | a correction | epoch, ad, filter, minute | its row |
//! | a commit | number | its line of the ledger |
//!
//! Numbers are big-endian, so that keys sort as they do. An ad has its length before it: no id is
//! the beginning of another.

use clicks_dataflows::filter::FilterId;
use clicks_dataflows::time::{Epoch, Minute};
use clicks_dataflows::told::{CountRow, RejectRow, State};

/// What stands before an ad's minutes under a filter; none if no ad has such an id.
pub fn of_ad(ad: &str, filter: FilterId) -> Option<Vec<u8>> {
    let length = u8::try_from(ad.len().checked_sub(1)?).ok()?;
    Some([&[0, length], ad.as_bytes(), &filter.to_be_bytes()].concat())
}

/// What stands before the lists of a window.
pub fn of_window(window: u32, filter: FilterId) -> Vec<u8> {
    [&[1][..], &window.to_be_bytes(), &filter.to_be_bytes()].concat()
}

/// A version of `prefix` at `minute`.
pub fn version(prefix: &[u8], minute: Minute, epoch: Epoch) -> Vec<u8> {
    [prefix, &minute.0.to_be_bytes(), &epoch.to_be_bytes()].concat()
}

/// Minute and epoch of a version.
pub fn minute_and_epoch(version: &[u8]) -> Option<(Minute, Epoch)> {
    let (rest, epoch) = version.split_last_chunk::<8>()?;
    let (_, minute) = rest.split_last_chunk::<4>()?;
    Some((Minute(u32::from_be_bytes(*minute)), u64::from_be_bytes(*epoch)))
}

/// A reject.
pub fn of_reject(row: &RejectRow<'_>) -> Vec<u8> {
    let log = row.log.as_deref().unwrap_or_default();
    let at = [&row.epoch.0.to_be_bytes()[..], &row.partition.to_be_bytes()].concat();
    [&at, &row.offset.to_be_bytes()[..], log.as_bytes()].concat()
}

/// A correction.
pub fn of_correction(row: &CountRow) -> Vec<u8> {
    let at = [&row.filter.to_be_bytes()[..], &row.minute.0.to_be_bytes()].concat();
    [&row.epoch.0.to_be_bytes()[..], row.ad_id.0.as_bytes(), &at].concat()
}

/// The first byte of a value.
pub fn of_state(state: State) -> u8 {
    match state {
        State::Provisional => 0,
        State::Final => 1,
        State::Correction => 2,
    }
}

/// The state that the first byte of a value says.
pub fn state(byte: u8) -> Option<State> {
    [State::Provisional, State::Final, State::Correction].get(usize::from(byte)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_ad_lies_among_the_versions_of_another() {
        let of = |ad: &str, filter| of_ad(ad, filter).unwrap();
        let key = version(&of("a", 7), Minute(3), 9);
        assert_eq!(minute_and_epoch(&key), Some((Minute(3), 9)));
        assert!(!of("ab", 7).starts_with(&of("a", 7)));
        assert!(!of("a\0\0\0\u{7}", 7).starts_with(&of("a", 7)));
        assert_eq!((of_ad("", 0), of_ad(&"x".repeat(257), 0)), (None, None));
        assert!(of_ad(&"x".repeat(256), 0).is_some());
    }

    #[test]
    fn versions_sort_by_minute_and_then_by_epoch() {
        let prefix = of_window(5, 0);
        let keys = [(1, 300), (2, 5), (2, 256), (256, 1)]
            .map(|(minute, epoch)| version(&prefix, Minute(minute), epoch));
        assert!(keys.is_sorted());
    }
}
