//! Rows as columns for people.
//!
//! Ids are the users' own and may hold anything: what a terminal would obey is escaped.

use clicks_dataflows::ledger::Commit;
use clicks_dataflows::told::{CountRow, RankRow, RejectRow, State};
use serde_json::Result;

use crate::cli::ResultLog;

/// Ads of a list that are shown.
const ADS_SHOWN: usize = 10;

/// Characters of a rejected record that are shown.
const RECORD_SHOWN: usize = 60;

/// The names of the columns.
pub fn header(log: ResultLog) -> String {
    match log {
        ResultLog::Counts => {
            columns(["EPOCH", "MINUTE", "STATE"], &["FILTER", "CLICKS", "WAS"], "AD")
        }
        ResultLog::Ranks => {
            columns(["EPOCH", "MINUTE", "STATE"], &["FILTER", "WINDOW"], "ADS AND CLICKS")
        }
        ResultLog::Rejects => {
            columns(["EPOCH", "REASON", ""], &["PARTITION", "OFFSET"], "DETAIL: RECORD")
        }
        ResultLog::Ledger => columns(
            ["EPOCH", "", ""],
            &["COMMIT", "RECORDS", "CLICKS", "DUPLICATES", "REJECTED", "LATE", "COUNTS", "RANKS"],
            "",
        ),
    }
}

/// A row with its LF; the line that opens a ledger has no columns, and is left out.
///
/// # Errors
///
/// When `line` is no row of `log`.
pub fn row(log: ResultLog, line: &[u8]) -> Result<String> {
    let row = match log {
        ResultLog::Counts => count(&serde_json::from_slice(line)?),
        ResultLog::Ranks => rank(&serde_json::from_slice(line)?),
        ResultLog::Rejects => reject(&serde_json::from_slice(line)?),
        ResultLog::Ledger if line.windows(12).any(|part| part == br#""commit":0,""#) => {
            return Ok(String::new());
        }
        ResultLog::Ledger => commit(&serde_json::from_slice(line)?),
    };
    Ok(row + "\n")
}

fn count(row: &CountRow) -> String {
    let texts = [&row.epoch.to_string(), &row.minute.to_string(), state(row.state)];
    let numbers = [u64::from(row.filter), row.clicks, row.was];
    columns(texts, &numbers.map(|number| number.to_string()), &escaped(row.ad_id.as_str()))
}

fn rank(row: &RankRow) -> String {
    let texts = [&row.epoch.to_string(), &row.minute.to_string(), state(row.state)];
    let numbers = [row.filter, row.window].map(|number| number.to_string());
    let ads = row.ads.iter().take(ADS_SHOWN);
    let ads = ads.map(|ranked| format!("{} {}", escaped(ranked.ad_id.as_str()), ranked.clicks));
    let mut ads = ads.collect::<Vec<_>>().join(", ");
    if row.ads.len() > ADS_SHOWN {
        ads += &format!(" and {} more", row.ads.len() - ADS_SHOWN);
    }
    columns(texts, &numbers, &ads)
}

fn reject(row: &RejectRow<'_>) -> String {
    let texts = [&row.epoch.to_string(), row.reason.as_str(), ""];
    let numbers = [u64::from(row.partition), row.offset].map(|number| number.to_string());
    let record = row.record.as_deref().or(row.record_base64.as_deref()).unwrap_or_default();
    let shown: String = record.chars().take(RECORD_SHOWN).collect();
    let more = if shown.len() < record.len() { "…" } else { "" };
    let rest = format!("{}: {}{more}", escaped(&row.detail), escaped(&shown));
    columns(texts, &numbers, &rest)
}

fn commit(commit: &Commit) -> String {
    let totals = commit.totals;
    let numbers = [
        commit.commit,
        totals.records,
        totals.clicks,
        totals.duplicates,
        totals.rejected,
        totals.late,
        commit.counts,
        commit.ranks,
    ];
    let closed = if commit.closed { "closed" } else { "" };
    let texts = [&commit.epoch.to_string(), "", ""];
    columns(texts, &numbers.map(|number| number.to_string()), closed)
}

/// Times and words to the left of their columns, numbers to the right, what has any width last.
fn columns<T: AsRef<str>>(texts: [&str; 3], numbers: &[T], rest: &str) -> String {
    let mut line = String::new();
    for (text, width) in texts.into_iter().zip([20, 20, 11]) {
        if !text.is_empty() {
            line += &format!("{text:<width$}  ");
        }
    }
    for number in numbers {
        line += &format!("{:>10}  ", number.as_ref());
    }
    line += rest;
    line.truncate(line.trim_end().len());
    line
}

fn state(state: State) -> &'static str {
    match state {
        State::Provisional => "provisional",
        State::Final => "final",
        State::Correction => "correction",
    }
}

/// `text` without characters that move the cursor, colour, or turn the direction of writing.
pub fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        let hidden = matches!(
            character,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        );
        if character.is_control() || hidden {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(log: ResultLog, line: &str) -> String {
        format!("{}\n{}", header(log), row(log, line.as_bytes()).unwrap())
    }

    #[test]
    fn columns_line_up() {
        let line = r#"{"ad_id":"a","minute":"2026-01-01T00:00:00Z","filter":0,"clicks":3,"was":2,"epoch":"2026-01-01T00:02:00Z","state":"correction"}"#;
        assert_eq!(
            table(ResultLog::Counts, line),
            "EPOCH                 MINUTE                STATE            FILTER      CLICKS         WAS  AD\n\
             2026-01-01T00:02:00Z  2026-01-01T00:00:00Z  correction            0           3           2  a\n",
        );
        let ads: Vec<String> =
            (0..12).map(|ad| format!(r#"{{"ad_id":"a{ad}","clicks":{}}}"#, 12 - ad)).collect();
        let line = format!(
            r#"{{"filter":0,"window":5,"minute":"2026-01-01T00:00:00Z","ads":[{}],"epoch":"2026-01-01T00:01:15Z","state":"final"}}"#,
            ads.join(",")
        );
        assert_eq!(
            table(ResultLog::Ranks, &line),
            "EPOCH                 MINUTE                STATE            FILTER      WINDOW  ADS AND CLICKS\n\
             2026-01-01T00:01:15Z  2026-01-01T00:00:00Z  final                 0           5  \
             a0 12, a1 11, a2 10, a3 9, a4 8, a5 7, a6 6, a7 5, a8 4, a9 3 and 2 more\n",
        );
    }

    #[test]
    fn hostile_text_is_shown_and_not_obeyed() {
        let line = r#"{"partition":1,"offset":12,"reason":"malformed","detail":"x","record":"\u001b[2J\n\u202e<script>é","epoch":"2026-01-01T00:01:15Z"}"#;
        let shown = row(ResultLog::Rejects, line.as_bytes()).unwrap();
        assert!(shown.ends_with("x: \\u{1b}[2J\\n\\u{202e}<script>é\n"), "{shown}");
        let opening = br#"{"job":"ads","commit":0,"version":"1"}"#;
        assert_eq!(row(ResultLog::Ledger, opening).unwrap(), "");
        assert!(row(ResultLog::Counts, b"{}").is_err());
    }
}
