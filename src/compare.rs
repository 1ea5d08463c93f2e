//! Compares the counts of two jobs: what would the bill be under other rules?
//!
//! ```text
//! two ledgers ─▶ stands ─▶ span: up to which epoch, of which minutes and filters
//! two counts, in step by epoch ─▶ fold ─▶ cells that differ, sums of each filter
//! ```
//!
//! A cell is kept only while the jobs differ in it. So what is held is bounded by what differs and
//! by how far one log runs ahead of the other: one commit, and the minutes that one job tells
//! earlier. Rows are trusted as `tail` trusts them; `verify` checks them.

use std::io::Write;

use crate::failure::{Failure, Kind};
use crate::logs::Jobs;
use crate::plural::some;

mod commits;
mod fold;
mod meaning;
mod minutes;
mod rows;
mod shown;
mod span;
mod stand;

use fold::Fold;
use rows::Told;
pub use shown::Shown;
use span::Span;
use stand::Stand;

/// The sides of a comparison, as its usage names them.
const SIDES: [&str; 2] = ["JOB1", "JOB2"];

/// Two jobs that are compared.
pub struct Comparison<'a> {
    results: [&'a dyn Jobs; 2],
    stands: [Stand; 2],
    span: Span,
}

impl<'a> Comparison<'a> {
    /// Looks at where the jobs stand.
    ///
    /// # Errors
    ///
    /// When one has no commits, a ledger is broken, or it does not say what its rows mean.
    pub fn of(jobs: [(&'a dyn Jobs, &str); 2]) -> Result<Comparison<'a>, Failure> {
        let [(one, job), (other, other_job)] = jobs;
        let stands = [Stand::read(one, job)?, Stand::read(other, other_job)?];
        let span = Span::of(&stands);
        Ok(Comparison { results: [one, other], stands, span })
    }

    /// What to know before any difference: who is compared, in what their rules differ, and which
    /// minutes are compared at which epoch.
    pub fn head(&self) -> Vec<String> {
        let who = |side: usize| {
            let Stand { job, place, .. } = &self.stands[side];
            format!("{} is job {job} in {place}", SIDES[side])
        };
        let mut lines = vec![format!("{}, {}", who(0), who(1))];
        lines.extend(meaning::differences(self.stands.each_ref().map(|stand| &stand.meaning)));
        lines.extend(self.span.lines(&self.stands));
        lines
    }

    /// Goes through the counts of both, in step by epoch.
    ///
    /// # Errors
    ///
    /// When they cannot be read, are broken, or have no row of a minute that is compared.
    pub fn compare(&self) -> Result<Compared, Failure> {
        let mut fold = Fold::default();
        let told = |side: usize| {
            let Stand { job, .. } = &self.stands[side];
            Told::open(self.results[side], job, side, self.span.upto[side])
        };
        let mut told = [told(0)?, told(1)?];
        while let Some(behind) =
            told.iter_mut().filter(|told| !told.is_done()).min_by_key(|told| told.epoch())
        {
            behind.step(&self.span, &mut fold)?;
        }
        if fold.rows == 0 && self.stands.iter().any(|stand| stand.rows > 0) {
            return Err(Failure::new(
                "nothing was compared: there is no row of a minute that has settled in both jobs",
            ));
        }
        Ok(Compared { fold, when: self.span.when(), jobs: self.stands.each_ref().map(Stand::name) })
    }
}

/// What a comparison has found.
pub struct Compared {
    fold: Fold,
    when: String,
    jobs: [String; 2],
}

impl Compared {
    /// Prints what differs, the greatest difference first; how many lines are left out.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn print(&self, shown: &Shown, out: &mut dyn Write) -> Result<u64, Failure> {
        shown.print(self.fold.cells(), out)
    }

    /// The clicks of each filter, or that nothing differs.
    pub fn summary(&self) -> Vec<String> {
        let (minutes, when) = (some(self.fold.minutes.count(), "minute"), &self.when);
        let sum = |(filter, [one, other]): (&u32, &[u64; 2])| {
            let share = shown::per_cent([*one, *other]);
            let difference = shown::difference([*one, *other]);
            format!(
                "filter {filter}: {one} and {other} clicks, {difference:+}{share} over {minutes} \
                 {when}",
            )
        };
        let mut lines: Vec<String> = self.fold.sums.iter().map(sum).collect();
        if self.fold.cells().len() == 0 {
            lines
                .push(
                    format!("differences: none over {minutes}, {}", some(self.fold.rows, "row"),),
                );
        }
        lines
    }

    /// What ends the program, if anything differs.
    pub fn failure(&self) -> Option<Failure> {
        let [one, other] = &self.jobs;
        let cells = self.fold.cells().len();
        let differ = || format!("jobs {one} and {other} differ in {}", some(cells, "cell"));
        (cells > 0).then(|| Failure::of(Kind::Differs, differ()))
    }
}
