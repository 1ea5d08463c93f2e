//! The table, from numbers to lines.
//!
//! Ads are the users' own text: all but plain ASCII is escaped, so that a terminal obeys none of
//! it, and each character is one column wide.

use std::net::SocketAddr;

use clicks_dataflows::ledger::Totals;
use clicks_dataflows::time::{Epoch, Millis, Time};
use clicks_dataflows::told::{RankRow, State};

/// Ads of a list that are shown.
const ADS_SHOWN: usize = 10;

/// Between two lists.
const GAP: &str = "    ";

/// What is shown.
#[derive(Clone, Debug)]
pub struct View<'a> {
    /// What is being shown.
    pub title: String,
    /// Where a browser shows it, if one can.
    pub page: Option<SocketAddr>,
    /// For how long it has been.
    pub seconds: u64,
    /// For how long it will be, if there is an end.
    pub seconds_max: Option<u64>,
    /// Clicks counted in a second.
    pub clicks_per_second: u64,
    /// Totals of the job.
    pub totals: Totals,
    /// Commits of the job.
    pub commits: u64,
    /// Up to where everything is committed; 0 before the first commit.
    pub frontier: Epoch,
    /// The time.
    pub wall_ms: Millis,
    /// Where the files are, and their bytes.
    pub files: (String, u64),
    /// Windows in minutes with their newest lists.
    pub lists: Vec<(u32, Option<&'a RankRow>)>,
}

/// The lines of the table, none wider than `width`; always as many.
pub fn table(view: &View<'_>, width: usize) -> Vec<String> {
    let totals = view.totals;
    let end = match view.seconds_max {
        Some(seconds_max) => format!("{} of {seconds_max} s", view.seconds),
        None => format!("{} s, ends with Ctrl-C", view.seconds),
    };
    let mut lines = vec![
        format!("{}, {end}", view.title),
        view.page.map(|page| format!("page       http://{page}")).unwrap_or_default(),
        fields([
            ("clicks/s", view.clicks_per_second),
            ("late", totals.late),
            ("commits", view.commits),
        ]),
        fields([
            ("clicks", totals.clicks),
            ("duplicates", totals.duplicates),
            ("rejects", totals.rejected),
        ]),
        format!("frontier   {}", frontier(view)),
        format!("files      {}, {} MB", escaped(&view.files.0), tenths(view.files.1 / 100_000)),
        String::new(),
    ];
    let columns = view.lists.len().max(1);
    let column = (width.saturating_sub(GAP.len() * (columns - 1))) / columns;
    let lists = view.lists.iter().map(|(window, list)| ranking(*window, *list, column));
    let lists: Vec<Vec<String>> = lists.collect();
    for row in 0..=ADS_SHOWN {
        let cells: Vec<String> =
            lists.iter().map(|list| format!("{:column$}", cut(&list[row], column))).collect();
        lines.push(cells.join(GAP).trim_end().to_owned());
    }
    lines.iter().map(|line| cut(line, width)).collect()
}

/// The same as one line, for where nothing can be redrawn.
pub fn line(view: &View<'_>) -> String {
    let totals = view.totals;
    let mut line = format!(
        "{} s: {} clicks, {}/s, {} late, {} duplicates, {} rejects, {} commits, frontier {}",
        view.seconds,
        grouped(totals.clicks),
        grouped(view.clicks_per_second),
        grouped(totals.late),
        grouped(totals.duplicates),
        grouped(totals.rejected),
        grouped(view.commits),
        frontier(view),
    );
    for (window, list) in &view.lists {
        if let Some(first) = list.and_then(|list| list.ads.first()) {
            let (ad, clicks) = (escaped(first.ad_id.as_str()), grouped(first.clicks));
            line += &format!(", most in {window} min: {ad} with {clicks}");
        }
    }
    line
}

/// `number` with commas between thousands.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

fn fields(fields: [(&str, u64); 3]) -> String {
    fields.map(|(name, number)| format!("{name:10} {:>12}", grouped(number))).join(GAP)
}

fn frontier(view: &View<'_>) -> String {
    if view.frontier == 0 {
        return "none yet".to_owned();
    }
    let behind_ms = view.wall_ms.saturating_sub(view.frontier);
    format!("{}, {} s behind the clock", Time(view.frontier), tenths(behind_ms / 100))
}

/// `number` tenths.
fn tenths(number: u64) -> String {
    format!("{}.{}", grouped(number / 10), number % 10)
}

/// A heading, and the ads with clicks and bars.
fn ranking(window: u32, list: Option<&RankRow>, width: usize) -> Vec<String> {
    let heading = list.map_or_else(String::new, |list| {
        let first = list.minute.minus(window - 1).to_string();
        let state = match list.state {
            State::Provisional => "provisional",
            State::Final => "final",
            State::Correction => "corrected",
        };
        format!(" from {} ({state})", &first[11..16])
    });
    let ads = list.map_or(&[][..], |list| &list.ads);
    let ads: Vec<(String, u64)> =
        ads.iter().take(ADS_SHOWN).map(|ad| (escaped(ad.ad_id.as_str()), ad.clicks)).collect();
    let most = ads.first().map_or(1, |(_, clicks)| *clicks).max(1);
    let widest = ads.iter().map(|(ad, _)| ad.len()).max().unwrap_or_default();
    let widest = widest.clamp(9, (width / 3).max(9));
    let digits = grouped(most).len().max(5);
    let bar = width.saturating_sub(2 + 1 + widest + 1 + digits + 1);
    let mut lines = vec![format!("Last {window} min{heading}")];
    for (index, (ad, clicks)) in ads.iter().enumerate() {
        lines.push(format!(
            "{:2} {:widest$} {:>digits$} {}",
            index + 1,
            cut(ad, widest),
            grouped(*clicks),
            "█".repeat(share(*clicks, most, bar)),
        ));
    }
    lines.resize(1 + ADS_SHOWN, String::new());
    lines
}

/// The part of `whole` columns that `clicks` of `most` take, at least one.
fn share(clicks: u64, most: u64, whole: usize) -> usize {
    let columns = u128::from(clicks) * whole as u128 / u128::from(most);
    usize::try_from(columns).unwrap_or(whole).clamp(whole.min(1), whole)
}

fn escaped(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            ' '..='~' => character.to_string(),
            _ => character.escape_default().to_string(),
        })
        .collect()
}

/// The first `width` characters.
fn cut(text: &str, width: usize) -> String {
    text.chars().take(width).collect()
}

#[cfg(test)]
mod tests {
    use clicks_dataflows::click::AdId;
    use clicks_dataflows::time::Minute;
    use clicks_dataflows::told::RankedAd;

    use super::*;

    /// 12:03 on the first day of 2026.
    const MINUTE: Minute = Minute(29_454_483);

    fn list(window: u32, ads: &[(&str, u64)]) -> RankRow {
        let ads = ads.iter();
        let ads = ads.map(|(ad, clicks)| RankedAd { ad_id: AdId::from(*ad), clicks: *clicks });
        RankRow {
            filter: 0,
            window,
            minute: MINUTE,
            ads: ads.collect(),
            epoch: Time(MINUTE.start() + 38_000),
            state: State::Provisional,
        }
    }

    fn view<'a>(lists: Vec<(u32, Option<&'a RankRow>)>) -> View<'a> {
        View {
            page: Some(([127, 0, 0, 1], 8080).into()),
            title: "clicks demo: 1,000 records/s".to_owned(),
            seconds: 12,
            seconds_max: None,
            clicks_per_second: 978,
            totals: Totals {
                records: 12_004,
                clicks: 11_740,
                duplicates: 240,
                rejected: 24,
                skipped: 0,
                late: 118,
            },
            commits: 12,
            frontier: MINUTE.start() + 38_000,
            wall_ms: MINUTE.start() + 39_250,
            files: ("/tmp/demo".to_owned(), 12_345_678),
            lists,
        }
    }

    #[test]
    fn the_table_shows_numbers_and_lists_side_by_side() {
        let one = list(1, &[("ad0000001", 1200), ("ad0000002", 600), ("ad0000003", 1)]);
        let five = list(5, &[("ad0000002", 5000)]);
        let lines = table(&view(vec![(1, Some(&one)), (5, Some(&five))]), 80);
        let wanted = "\
clicks demo: 1,000 records/s, 12 s, ends with Ctrl-C
page       http://127.0.0.1:8080
clicks/s            978    late                118    commits              12
clicks           11,740    duplicates          240    rejects              24
frontier   2026-01-01T12:03:38Z, 1.2 s behind the clock
files      /tmp/demo, 12.3 MB

Last 1 min from 12:03 (provisional)       Last 5 min from 11:59 (provisional)
 1 ad0000001 1,200 ███████████████████     1 ad0000002 5,000 ███████████████████
 2 ad0000002   600 █████████
 3 ad0000003     1 █";
        assert_eq!(lines[..11].join("\n"), wanted);
        assert_eq!(lines.len(), 18);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let long = "x".repeat(300);
        let ads = [(long.as_str(), u64::MAX), ("é", 1)];
        let one = list(1, &ads);
        for width in 1..200 {
            for lists in [vec![], vec![(1, Some(&one))], vec![(1, Some(&one)), (5, None)]] {
                let lines = table(&view(lists), width);
                assert_eq!(lines.len(), 18);
                assert!(lines.iter().all(|line| line.chars().count() <= width), "{lines:#?}");
            }
        }
    }

    #[test]
    fn a_terminal_obeys_no_ad() {
        let one = list(1, &[("\u{1b}[2J\u{202e}\n", 2)]);
        let view = view(vec![(1, Some(&one))]);
        let shown = table(&view, 80).concat() + &line(&view);
        assert!(!shown.contains(|character: char| character.is_control()), "{shown}");
        assert!(shown.contains("\\u{1b}[2J\\u{202e}\\n"), "{shown}");
    }

    #[test]
    fn a_line_tells_the_same() {
        let five = list(5, &[("ad0000002", 5000)]);
        assert_eq!(
            line(&view(vec![(1, None), (5, Some(&five))])),
            "12 s: 11,740 clicks, 978/s, 118 late, 240 duplicates, 24 rejects, 12 commits, \
             frontier 2026-01-01T12:03:38Z, 1.2 s behind the clock, most in 5 min: ad0000002 with \
             5,000"
        );
        let nothing = View { frontier: 0, ..view(Vec::new()) };
        assert!(line(&nothing).ends_with("frontier none yet"));
    }
}
