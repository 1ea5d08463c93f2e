//! How far a job goes back that resumes.
//!
//! ```text
//! ledger: opening ─ 1 ─ 2 ─ … ─ K ─ … ─ L        L: the last commit
//!                               └── read again ──┘ silently, obeying the marks
//! ```
//!
//! The state after L holds minutes that the horizon keeps. K is the newest commit so old that
//! nothing read before it is among them: from its positions and clocks on, the same records come
//! to the same epochs, and rebuild the same state. K is old enough for the last commit that has
//! rows, too: it comes out again from a whole state, so that its digest tells whether the input is
//! what it was.

use clicks_dataflows::clock::Clock;
use clicks_dataflows::horizon::first_minute;
use clicks_dataflows::ledger::{Name, Position};
use clicks_dataflows::options::Options;
use clicks_dataflows::partition::Start;
use clicks_dataflows::time::{Epoch, MINUTE_MS, Millis, Minute};

use super::Past;

/// How far before the end of its input a job may read again when it resumes, in event time.
///
/// What the state rests on, as `whole_from` finds it, and two minutes, as commits without rows are
/// a minute apart.
pub fn distance_ms(options: &Options) -> Millis {
    let kept = options.horizon_ms + Millis::from(options.window_max()) * MINUTE_MS;
    kept + options.ahead_max_ms + options.told_within() + 2 * MINUTE_MS
}

/// What going back needs to know of a commit.
#[derive(Clone, Debug)]
pub(super) struct Brief {
    pub(super) epoch: Epoch,
    pub(super) clock: Millis,
    pub(super) reach: Millis,
    pub(super) digest: String,
}

/// Where a partition stands: the next offset, and its clock before that.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stand {
    offset: u64,
    clock: Clock,
}

impl Stand {
    /// Where `position` says.
    pub(super) fn of(position: &Position) -> Stand {
        let clock = position.own_clock();
        Stand { offset: position.offset, clock }
    }
}

/// A commit that is told again, and must come out the same.
#[derive(Clone, Debug)]
pub struct Check {
    /// Its number.
    pub commit: u64,
    /// Its rows are of epochs after this one.
    pub after: Epoch,
    /// Its rows are of epochs up to this one.
    pub epoch: Epoch,
    /// Their digest.
    pub digest: String,
}

/// Where to begin, so that the state comes out whole.
pub struct GoBack {
    /// Where each known partition begins.
    pub starts: Vec<(Name, Start)>,
    /// The commits that must come out the same.
    pub checks: Vec<Check>,
}

impl Past {
    /// Lets K follow the last commit.
    pub(super) fn follow(&mut self, options: &Options) {
        let back = self.whole_from(self.told.unwrap_or(self.briefs.len()), options);
        while self.back < back {
            self.back += 1;
            self.stood.extend(self.moved.pop_front().into_iter().flatten());
        }
    }

    /// Where to begin so that the state after the last commit comes out whole, and the last rows
    /// can be compared; `options` are those with which the ledger was read.
    pub fn go_back(&self, options: &Options) -> GoBack {
        let checks = (self.back..self.briefs.len())
            .filter(|at| self.whole_from(*at, options) >= self.back)
            .map(|at| Check {
                commit: at as u64 + 1,
                after: at.checked_sub(1).map_or(0, |before| self.briefs[before].epoch),
                epoch: self.briefs[at].epoch,
                digest: self.briefs[at].digest.clone(),
            })
            .collect();
        let starts = self.positions.iter().map(|(number, stands)| {
            let began = self.began.get(number).copied().unwrap_or(0);
            let began = Stand { offset: began, clock: Clock::default() };
            let Stand { offset, clock } = self.stood.get(number).copied().unwrap_or(began);
            let start = Start {
                partition: *number,
                offset,
                clock,
                marks: self.marks_of(*number, offset),
                floors: vec![(stands.offset, self.epoch())],
                committed: stands.offset,
            };
            (stands.name(), start)
        });
        GoBack { starts: starts.collect(), checks }
    }

    /// How many commits lie before everything that the state after `commits` commits rests on.
    fn whole_from(&self, commits: usize, options: &Options) -> usize {
        let Some(brief) = commits.checked_sub(1).map(|at| &self.briefs[at]) else { return 0 };
        // What was learnt until then is told by then.
        let told = brief.epoch.saturating_sub(options.told_within());
        let known = self.briefs[..commits].partition_point(|brief| brief.epoch <= told);
        let clock = known.checked_sub(1).map_or(0, |at| self.briefs[at].clock);
        let kept = first_minute(clock, options).minus(options.window_max() - 1);
        self.briefs[..known].partition_point(|brief| {
            let reach = brief.clock.saturating_add(options.ahead_max_ms).max(brief.reach);
            Minute::of(reach.min(clicks_dataflows::time::TIME_MAX)) < kept
        })
    }
}
