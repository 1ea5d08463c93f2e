//! Rows as the contract writes them, byte for byte: spelled out, without a serializer's help.

use std::cmp::Ordering;

use sha2::{Digest, Sha256};

/// The part of a rejected record that is kept.
const QUOTE_BYTES_MAX: usize = 64 * 1024;

/// When a row about a minute is told, and when that minute settles.
#[derive(Clone, Copy)]
pub struct When {
    pub epoch: u64,
    pub settle: u64,
}

impl When {
    fn state(self) -> &'static str {
        match self.epoch.cmp(&self.settle) {
            Ordering::Less => "provisional",
            Ordering::Equal => "final",
            Ordering::Greater => "correction",
        }
    }
}

/// The row of a count; its cell is (ad, minute, filter).
pub fn count_row(cell: (&str, u64, u32), clicks: u64, was: u64, when: When) -> String {
    let (ad, minute, filter) = cell;
    let (ad, minute, epoch) = (quoted(ad), rfc3339(minute * 60_000), rfc3339(when.epoch));
    let state = when.state();
    format!(
        concat!(
            r#"{{"ad_id":{},"minute":"{}","filter":{},"clicks":{},"was":{},"#,
            r#""epoch":"{}","state":"{}"}}"#
        ),
        ad, minute, filter, clicks, was, epoch, state
    )
}

/// The row of a list, which is (filter, window, minute), with its ads and their clicks.
pub fn rank_row(list: (u32, u32, u64), ads: &[(&str, u64)], when: When) -> String {
    let (filter, window, minute) = list;
    let (minute, epoch, state) = (rfc3339(minute * 60_000), rfc3339(when.epoch), when.state());
    let ads: Vec<String> = ads
        .iter()
        .map(|(ad, clicks)| format!(r#"{{"ad_id":{},"clicks":{clicks}}}"#, quoted(ad)))
        .collect();
    format!(
        concat!(
            r#"{{"filter":{},"window":{},"minute":"{}","ads":[{}],"#,
            r#""epoch":"{}","state":"{}"}}"#
        ),
        filter,
        window,
        minute,
        ads.join(","),
        epoch,
        state
    )
}

/// The row of a reject at (partition, offset), its detail left empty.
pub fn reject_row(at: (u32, u64), reason: &str, line: &[u8], epoch: u64) -> String {
    let kept = &line[..line.len().min(QUOTE_BYTES_MAX)];
    let whole = kept.len() == line.len();
    let record = match std::str::from_utf8(kept) {
        Ok(text) => format!(r#""record":{}"#, quoted(text)),
        // The cut went through a character, which is left out.
        Err(error) if !whole && error.error_len().is_none() => {
            let text = String::from_utf8_lossy(&kept[..error.valid_up_to()]);
            format!(r#""record":{}"#, quoted(&text))
        }
        Err(_) => format!(r#""record_base64":"{}""#, base64(kept)),
    };
    let bytes = if whole { String::new() } else { format!(r#","bytes":{}"#, line.len()) };
    let ((partition, offset), epoch) = (at, rfc3339(epoch));
    format!(
        concat!(
            r#"{{"partition":{},"offset":{},"reason":"{}","detail":"","#,
            r#"{}{},"epoch":"{}"}}"#
        ),
        partition, offset, reason, record, bytes, epoch
    )
}

/// A row of `rejects` that names the log of its partition, if there are `logs`.
pub fn named(row: String, number: u32, logs: &[(String, u32)]) -> String {
    let Some((log, partition)) = logs.get(number as usize) else { return row };
    let unnamed = format!(r#"{{"partition":{number},"#);
    let named = format!(r#"{{"log":{},"partition":{partition},"#, quoted(log));
    row.replacen(&unnamed, &named, 1)
}

/// A row of `rejects` with an empty detail: what the fault is called is the decoder's affair.
pub fn without_detail(line: &str) -> String {
    match detail_at(line) {
        Some((start, end)) => format!("{}{}", &line[..start], &line[end..]),
        None => line.to_string(),
    }
}

/// The detail of a row of `rejects`, still escaped as JSON.
pub fn detail(line: &str) -> Option<&str> {
    detail_at(line).map(|(start, end)| &line[start..end])
}

/// Where the detail's text starts and ends; what precedes it holds no free text.
fn detail_at(line: &str) -> Option<(usize, usize)> {
    let key = r#""detail":""#;
    let start = line.find(key)? + key.len();
    let mut escaped = false;
    for (at, byte) in line.bytes().enumerate().skip(start) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some((start, at)),
            _ => {}
        }
    }
    None
}

/// SHA-256 over `lines`, each with LF, in hex.
pub fn digest<'a>(lines: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for line in lines {
        hash.update(line.as_bytes());
        hash.update(b"\n");
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `text` as a JSON string.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A time in UTC, with a fraction only if that is not zero; found by counting years and months.
pub fn rfc3339(ms: u64) -> String {
    let (mut days, of_day) = (ms / 86_400_000, ms % 86_400_000);
    let (mut year, mut month) = (1970, 1);
    while days >= days_of_year(year) {
        days -= days_of_year(year);
        year += 1;
    }
    while days >= days_of_month(year, month) {
        days -= days_of_month(year, month);
        month += 1;
    }
    let (hour, minute, second) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1000 % 60);
    let fraction =
        if ms.is_multiple_of(1000) { String::new() } else { format!(".{:03}", ms % 1000) };
    let day = days + 1;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

fn days_of_year(year: u64) -> u64 {
    (1..=12).map(|month| days_of_month(year, month)).sum()
}

fn days_of_month(year: u64, month: u64) -> u64 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Base64 with the standard alphabet and padding.
fn base64(bytes: &[u8]) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits: String =
            (0..3).map(|i| format!("{:08b}", three.get(i).copied().unwrap_or(0))).collect();
        for i in 0..4 {
            let six = usize::from_str_radix(&bits[6 * i..6 * i + 6], 2).expect("bits are binary");
            text.push(if i > three.len() { '=' } else { char::from(alphabet[six]) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_the_contract_says() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_767_225_599_999, "2025-12-31T23:59:59.999Z"),
            (1_767_225_600_050, "2026-01-01T00:00:00.050Z"),
            (253_402_300_799_000, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(ms), text);
        }
    }

    #[test]
    fn rejects_quote_the_record() {
        assert_eq!(
            reject_row((1, 12), "malformed", b"{\"a\":\"\xc3\xa9\"", 1500),
            "{\"partition\":1,\"offset\":12,\"reason\":\"malformed\",\"detail\":\"\",\
             \"record\":\"{\\\"a\\\":\\\"é\\\"\",\"epoch\":\"1970-01-01T00:00:01.500Z\"}"
        );
        for (bytes, text) in [(&b"\xff"[..], "/w=="), (b"\xff\xfe", "//4="), (b"a\xffb", "Yf9i")] {
            let row = reject_row((0, 0), "malformed", bytes, 0);
            assert!(
                row.contains(&format!("\"detail\":\"\",\"record_base64\":\"{text}\",")),
                "{row}"
            );
        }
        let long = "é".repeat(40_000);
        let row = reject_row((0, 0), "malformed", format!("a{long}").as_bytes(), 0);
        assert!(row.contains("éé\",\"bytes\":80001,\"epoch\":"), "{}", &row[row.len() - 80..]);
    }

    #[test]
    fn details_are_left_out() {
        let line = r#"{"reason":"malformed","detail":"a \"quoted\\","record":"\"detail\":\"x\""}"#;
        let rest = r#"{"reason":"malformed","detail":"","record":"\"detail\":\"x\""}"#;
        assert_eq!(without_detail(line), rest);
        assert_eq!(detail(line), Some(r#"a \"quoted\\"#));
        assert_eq!(without_detail(rest), rest);
        assert_eq!(without_detail("{}"), "{}");
    }

    #[test]
    fn digests_are_those_of_sha256sum() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(digest([]), empty);
        let abc = "edeaaff3f1774ad2888673770c6d64097e391bc362d7d6fb34982ddf0efd18cb";
        assert_eq!(digest(["abc"]), abc);
    }
}
