//! One row: whether it is written, placed and told as the contract says.

use std::collections::{BTreeMap, BTreeSet};

use clicks_dataflows::click::{AdId, Reason};
use clicks_dataflows::filter::FilterId;
use clicks_dataflows::options::{Emit, Options};
use clicks_dataflows::time::{Epoch, Minute, Time};
use clicks_dataflows::told::{CountRow, RankRow, RankedAd, RejectRow, State};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::logs::Missing;
use crate::numbers::Numbers;

/// A list's filter, window in minutes, and last minute.
pub type Group = (FilterId, u32, Minute);

/// What the rows so far have told.
#[derive(Default)]
pub struct Told {
    /// Clicks of each ad, minute and filter.
    pub counts: BTreeMap<(AdId, Minute, FilterId), u64>,
    /// Each list as it was told last.
    pub lists: BTreeMap<Group, Vec<RankedAd>>,
    /// Records that do not count, by partition and offset.
    pub rejects: Vec<(u32, u64, Reason)>,
    /// Rows of counts, ranks and rejects.
    pub rows: [u64; 3],
    /// Which number a partition has within the job.
    pub numbers: Numbers,
    /// What is no longer there of counts, ranks and rejects.
    pub lost: [Option<Missing>; 3],
    /// The epoch of the commit that is checked, if it closes the job.
    pub closing: Option<Epoch>,
}

impl Told {
    /// Whether something that was told last is no longer there.
    pub fn has_lost_rows(&self) -> bool {
        self.lost.contains(&Some(Missing::Deleted))
    }

    /// The number of the partition of a rejected record; none if the job has no such partition.
    fn partition(&self, row: &RejectRow<'_>) -> Option<u32> {
        self.numbers.known(row.log.as_deref(), row.partition)
    }
}

/// A row of one of the result logs.
pub trait Row: Serialize + DeserializeOwned {
    /// What rows of an epoch are ordered by.
    type Key: Ord;

    /// When it was told.
    fn epoch(&self) -> Epoch;

    /// Its place among the rows of its epoch, after what was told before.
    fn key(&self, told: &Told) -> Self::Key;

    /// What is wrong with it after what was told before.
    fn fault(&self, told: &Told, options: &Options) -> Option<String>;

    /// Adds what it tells.
    fn tell(self, told: &mut Told);
}

/// The row that `line` is.
///
/// The error says in what it is not one.
pub fn read<R: Row>(line: &[u8]) -> Result<R, String> {
    let Some(line) = line.strip_suffix(b"\n") else { return Err("it does not end".to_owned()) };
    let row: R = serde_json::from_slice(line).map_err(|error| format!("it is no row: {error}"))?;
    match serde_json::to_vec(&row) {
        Ok(written) if written == line => Ok(row),
        _ => Err("it is not as a row is written".to_owned()),
    }
}

impl Row for CountRow {
    type Key = (AdId, Minute, FilterId);

    fn epoch(&self) -> Epoch {
        self.epoch.0
    }

    fn key(&self, _: &Told) -> Self::Key {
        (self.ad_id.clone(), self.minute, self.filter)
    }

    fn fault(&self, told: &Told, options: &Options) -> Option<String> {
        let before = told.counts.get(&self.key(told)).copied();
        // The rows of a cell are lost from the first on.
        let is_lost = before.is_none() && told.lost[0].is_some();
        let before = before.unwrap_or(0);
        if self.was != before && !is_lost {
            return Some(format!("it was {}, but {before} were told before", self.was));
        }
        if self.clicks <= self.was {
            return Some(format!(
                "{} clicks are no more than the {} before",
                self.clicks, self.was
            ));
        }
        unknown_filter(self.filter, options)
            .or_else(|| wrong_time((self.epoch.0, self.minute, self.state), told.closing, options))
    }

    fn tell(self, told: &mut Told) {
        told.rows[0] += 1;
        told.counts.insert((self.ad_id, self.minute, self.filter), self.clicks);
    }
}

impl Row for RankRow {
    type Key = Group;

    fn epoch(&self) -> Epoch {
        self.epoch.0
    }

    fn key(&self, _: &Told) -> Group {
        (self.filter, self.window, self.minute)
    }

    fn fault(&self, told: &Told, options: &Options) -> Option<String> {
        if !options.windows.contains(&self.window) {
            return Some(format!("the job has no window of {} minutes", self.window));
        }
        if self.ads.is_empty() || self.ads.len() > options.top {
            return Some(format!("a list has 1 to {} ads, not {}", options.top, self.ads.len()));
        }
        let before = |one: &RankedAd, other: &RankedAd| {
            (other.clicks, &one.ad_id) < (one.clicks, &other.ad_id)
        };
        if let Some(pair) = self.ads.windows(2).find(|pair| !before(&pair[0], &pair[1])) {
            return Some(format!("{:?} stands out of order", pair[1].ad_id.as_str()));
        }
        let ads: BTreeSet<&AdId> = self.ads.iter().map(|ranked| &ranked.ad_id).collect();
        if ads.len() < self.ads.len() {
            return Some("an ad is in it twice".to_owned());
        }
        if self.state != State::Final && told.lists.get(&self.key(told)) == Some(&self.ads) {
            return Some("the same list was told before".to_owned());
        }
        unknown_filter(self.filter, options)
            .or_else(|| wrong_time((self.epoch.0, self.minute, self.state), told.closing, options))
    }

    fn tell(self, told: &mut Told) {
        told.rows[1] += 1;
        told.lists.insert((self.filter, self.window, self.minute), self.ads);
    }
}

impl Row for RejectRow<'static> {
    type Key = (u32, u64);

    fn epoch(&self) -> Epoch {
        self.epoch.0
    }

    fn key(&self, told: &Told) -> Self::Key {
        (told.partition(self).unwrap_or(u32::MAX), self.offset)
    }

    fn fault(&self, told: &Told, options: &Options) -> Option<String> {
        if told.partition(self).is_none() {
            return Some("the job reads no such partition".to_owned());
        }
        let between = !self.epoch.0.is_multiple_of(options.refresh_ms);
        between.then(|| format!("nothing is told at {}", self.epoch))
    }

    fn tell(self, told: &mut Told) {
        told.rows[2] += 1;
        told.rejects.push((told.partition(&self).unwrap_or(u32::MAX), self.offset, self.reason));
    }
}

fn unknown_filter(filter: FilterId, options: &Options) -> Option<String> {
    let known = options.filters.ids().any(|id| id == filter);
    (!known).then(|| format!("the job has no filter {filter}"))
}

/// What is wrong with telling of `minute` at `epoch` as `state`.
///
/// At the epoch that closes a job all is told that is still held.
fn wrong_time(
    (epoch, minute, state): (Epoch, Minute, State),
    closing: Option<Epoch>,
    options: &Options,
) -> Option<String> {
    if minute < options.from {
        return Some(format!("minute {minute} is before the first that is told"));
    }
    let settle = options.settle(minute);
    let is_told = match options.emit {
        Emit::Changes => epoch.is_multiple_of(options.refresh_ms),
        Emit::Final if closing == Some(epoch) => true,
        Emit::Final if epoch > settle => epoch.is_multiple_of(options.correct_every_ms),
        Emit::Final => epoch == settle,
    };
    if !is_told {
        return Some(format!("nothing of minute {minute} is told at {}", Time(epoch)));
    }
    let right = State::at(epoch, settle);
    (state != right).then(|| {
        let (told, right) = (word(state), word(right));
        format!("it is told as {told}, but at {} it is {right}", Time(epoch))
    })
}

fn word(state: State) -> &'static str {
    match state {
        State::Provisional => "provisional",
        State::Final => "final",
        State::Correction => "a correction",
    }
}
