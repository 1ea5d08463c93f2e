//! What differs, as it is printed: a table for people, or one JSON object a line.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::Write;

use clicks_dataflows::click::AdId;
use clicks_dataflows::filter::FilterId;
use clicks_dataflows::time::Minute;
use clicks_dataflows::told::minute_text;
use serde::Serialize;

use super::SIDES;
use super::fold::Cell;
use crate::cli::{By, RowFormat};
use crate::failure::Failure;
use crate::tail::table::escaped;
use crate::tail::written;

/// How differences are printed.
pub struct Shown {
    /// What a line is about.
    pub by: By,
    /// How lines are written.
    pub format: RowFormat,
    /// Lines at most, if there is a bound.
    pub top: Option<u64>,
}

/// The difference of an ad under a filter, in one minute or over all that differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Line<'a> {
    ad_id: &'a AdId,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "write_minute")]
    minute: Option<Minute>,
    filter: FilterId,
    job1: u64,
    job2: u64,
    difference: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    minutes: Option<u64>,
}

/// The second of two numbers of clicks less the first.
pub fn difference([one, other]: [u64; 2]) -> i64 {
    other.wrapping_sub(one).cast_signed()
}

/// The same in per cent of the first, in brackets and after a space; nothing if that is 0.
pub fn per_cent(clicks: [u64; 2]) -> String {
    match clicks {
        [0, _] => String::new(),
        [one, _] => format!(" ({:+.2} %)", difference(clicks) as f64 * 100.0 / one as f64),
    }
}

impl Shown {
    /// Prints the cells that differ; how many lines are left out.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn print<'a>(
        &self,
        cells: impl Iterator<Item = (&'a Cell, &'a [u64; 2])>,
        out: &mut dyn Write,
    ) -> Result<u64, Failure> {
        let mut lines = match self.by {
            By::Ad => by_ad(cells),
            By::Minute => by_minute(cells),
        };
        lines.sort_by_key(|line| {
            (Reverse(line.difference.unsigned_abs()), line.filter, line.ad_id, line.minute)
        });
        let top = self.top.and_then(|top| usize::try_from(top).ok()).unwrap_or(usize::MAX);
        if self.format == RowFormat::Table
            && !lines.is_empty()
            && !written(writeln!(out, "{}", self.header()))?
        {
            return Ok(0);
        }
        for line in lines.iter().take(top) {
            let text = match self.format {
                RowFormat::Table => line.columns(),
                RowFormat::Json => serde_json::to_string(line).expect("a difference is JSON"),
            };
            if !written(writeln!(out, "{text}"))? {
                return Ok(0);
            }
        }
        written(out.flush())?;
        Ok(lines.len().saturating_sub(top) as u64)
    }

    fn header(&self) -> String {
        let [one, other] = SIDES;
        let minutes = match self.by {
            By::Ad => format!("{:>10}", "MINUTES"),
            By::Minute => format!("{:<20}", "MINUTE"),
        };
        format!("{:>10}  {one:>10}  {other:>10}  {:>6}  {minutes}  AD", "DIFFERENCE", "FILTER")
    }
}

impl Line<'_> {
    fn columns(&self) -> String {
        let Line { ad_id, minute, filter, job1, job2, difference, minutes } = self;
        let minutes = match (minute, minutes) {
            (Some(minute), _) => format!("{minute:<20}"),
            (None, minutes) => format!("{:>10}", minutes.unwrap_or(0)),
        };
        let ad = escaped(ad_id.as_str());
        format!("{difference:>+10}  {job1:>10}  {job2:>10}  {filter:>6}  {minutes}  {ad}")
    }
}

/// A line for each cell.
fn by_minute<'a>(cells: impl Iterator<Item = (&'a Cell, &'a [u64; 2])>) -> Vec<Line<'a>> {
    let line = |((filter, ad_id, minute), clicks): (&'a Cell, &[u64; 2])| Line {
        ad_id,
        minute: Some(*minute),
        filter: *filter,
        job1: clicks[0],
        job2: clicks[1],
        difference: difference(*clicks),
        minutes: None,
    };
    cells.map(line).collect()
}

/// A line for each ad and filter.
fn by_ad<'a>(cells: impl Iterator<Item = (&'a Cell, &'a [u64; 2])>) -> Vec<Line<'a>> {
    let mut ads: BTreeMap<(FilterId, &AdId), ([u64; 2], u64)> = BTreeMap::new();
    for ((filter, ad_id, _), clicks) in cells {
        let (sums, minutes) = ads.entry((*filter, ad_id)).or_default();
        sums[0] += clicks[0];
        sums[1] += clicks[1];
        *minutes += 1;
    }
    let line = |((filter, ad_id), (sums, minutes)): ((FilterId, &'a AdId), ([u64; 2], u64))| Line {
        ad_id,
        minute: None,
        filter,
        job1: sums[0],
        job2: sums[1],
        difference: difference(sums),
        minutes: Some(minutes),
    };
    ads.into_iter().map(line).collect()
}

#[expect(clippy::ref_option, reason = "serde gives the field so")]
fn write_minute<S: serde::Serializer>(minute: &Option<Minute>, to: S) -> Result<S::Ok, S::Error> {
    minute_text::serialize(&minute.unwrap_or_default(), to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(by: By, format: RowFormat, top: Option<u64>) -> (String, u64) {
        let cell = |filter, ad: &str, minute| (filter, AdId::from(ad), Minute(minute));
        let cells = BTreeMap::from([
            (cell(0, "a", 60), [3, 1]),
            (cell(0, "a", 61), [0, 2]),
            (cell(1, "b\u{1b}[2J", 60), [1, 11]),
        ]);
        let mut out = Vec::new();
        let left = Shown { by, format, top }.print(cells.iter(), &mut out).unwrap();
        (String::from_utf8(out).unwrap(), left)
    }

    #[test]
    fn the_greatest_difference_comes_first() {
        let (told, left) = print(By::Ad, RowFormat::Table, None);
        assert_eq!(
            told,
            "DIFFERENCE        JOB1        JOB2  FILTER     MINUTES  AD\n\
             \x20      +10           1          11       1           1  b\\u{1b}[2J\n\
             \x20       +0           3           3       0           2  a\n",
        );
        assert_eq!(left, 0);
        let (told, left) = print(By::Minute, RowFormat::Table, Some(2));
        assert_eq!(
            told,
            "DIFFERENCE        JOB1        JOB2  FILTER  MINUTE                AD\n\
             \x20      +10           1          11       1  1970-01-01T01:00:00Z  b\\u{1b}[2J\n\
             \x20       -2           3           1       0  1970-01-01T01:00:00Z  a\n",
        );
        assert_eq!(left, 1);
    }

    #[test]
    fn programs_get_an_object_a_line() {
        let (told, _) = print(By::Ad, RowFormat::Json, Some(1));
        assert_eq!(
            told,
            "{\"ad_id\":\"b\\u001b[2J\",\"filter\":1,\"job1\":1,\"job2\":11,\"difference\":10,\
             \"minutes\":1}\n",
        );
        let (told, _) = print(By::Minute, RowFormat::Json, None);
        let last = told.lines().last().unwrap();
        assert_eq!(
            last,
            "{\"ad_id\":\"a\",\"minute\":\"1970-01-01T01:01:00Z\",\"filter\":0,\"job1\":0,\
             \"job2\":2,\"difference\":2}",
        );
    }

    #[test]
    fn per_cent_are_of_the_first() {
        assert_eq!(per_cent([200, 201]), " (+0.50 %)");
        assert_eq!(per_cent([200, 0]), " (-100.00 %)");
        assert_eq!(per_cent([0, 7]), "");
    }
}
