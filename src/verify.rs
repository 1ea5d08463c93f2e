//! Checks a job's results without trusting anything: the ledger, the rows, and the recount.
//!
//! ```text
//! ledger ─▶ chain ─▶ rows of each commit ─▶ lists by the counts ─▶ recount of the input
//! ```
//!
//! Every fault is told with what is wrong and where. After a fault the check goes on where the
//! next commit begins, so that one changed byte is one fault. Holds every cell and every list that
//! was told.

use std::path::Path;

use clicks_dataflows::time::Time;

use crate::config::Config;
use crate::failure::{Failure, Kind};
use crate::jobs::find_job;
use crate::logs::Jobs;
use crate::plural::some;

pub(crate) mod chain;
mod lists;
pub(crate) mod reading;
mod recounted;
mod row;
mod rows;
pub(crate) mod standing;
#[cfg(test)]
mod tests;

use chain::{Beginning, Chain};
pub use reading::Clicks;
use row::Told;
use rows::Rows;
use standing::Standing;

/// Faults that are told; the others are counted.
const FAULTS_TOLD: usize = 20;

/// What a check has found.
#[derive(Clone, Debug)]
pub struct Verified {
    /// What was checked and what is wrong with it, line by line, for stdout.
    pub lines: Vec<String>,
    /// How many faults and differences there are.
    pub faults: usize,
    job: String,
}

impl Verified {
    /// What ends the program, if anything is wrong.
    pub fn failure(&self) -> Option<Failure> {
        let Verified { faults, job, .. } = self;
        let wrong =
            || Failure::of(Kind::Differs, format!("job {job} has {}", some(*faults, "fault")));
        (*faults > 0).then(wrong)
    }
}

/// Checks the results of `job`, or of the only job there is; with `input` also recounts that.
///
/// # Errors
///
/// When there is no such job, or something cannot be read; a fault is no error.
pub fn verify(
    results: &dyn Jobs,
    job: Option<&str>,
    input: Option<&Clicks>,
) -> Result<Verified, Failure> {
    let job = find_job(results, job)?;
    let mut logs = results.open(&job)?;
    let mut faults = Faults::default();
    let mut chain = Chain::new(&job, logs.has_lengths());
    let begun = match chain.begin(&mut *logs, &mut faults)? {
        Beginning::Opening(opening) => {
            match Config::from_meaning(&opening.meaning, Path::new(&logs.ledger_name())) {
                Ok(config) => Some((opening, config)),
                Err(error) => {
                    faults.add(format!("line 1 of the ledger: its meaning cannot be: {error}"));
                    return Ok(Verified::new(job, Vec::new(), &faults));
                }
            }
        }
        Beginning::Commit => None,
        Beginning::Nothing => return Ok(Verified::new(job, logs.notes(), &faults)),
    };
    let options = begun.as_ref().map(|(_, config)| &config.options);
    let refresh_ms = options.map(|options| options.refresh_ms);
    let mut rows = Rows::new(options);
    while let Some(link) = chain.next(&mut *logs, refresh_ms, &mut faults)? {
        rows.check(&mut *logs, &link, &chain.standing().numbers, &mut faults)?;
    }
    logs.strays().into_iter().for_each(|fault| faults.add(fault));
    logs.uncommitted()?.into_iter().for_each(|fault| faults.add(fault));
    let standing = chain.standing();
    let mut notes = Vec::new();
    let torn = Some(logs.torn()).filter(|bytes| *bytes > 0);
    notes.extend(torn.map(|bytes| {
        format!("  the ledger ends with {bytes} bytes of a commit that was not made")
    }));
    notes.extend(logs.notes());
    notes.extend(rows.notes());
    let told = rows.told();
    if let Some(options) = options
        && faults.count == 0
        && !told.has_lost_rows()
    {
        lists::check(&told, options, standing, &mut faults);
    }
    let mut verified = Verified::new(job, notes, &faults);
    verified.lines[0] += &summary(standing, &told, &faults);
    if let Some(input) = input {
        let Some((opening, config)) = &begun else {
            verified.lines.push("no recount: the line that opens the job is gone".to_owned());
            return Ok(verified);
        };
        match recounted::compare(input, config, opening, standing, &told) {
            Ok(compared) => verified.add(compared),
            // What is wrong with the ledger says more than what follows from it.
            Err(failure) if faults.count > 0 => {
                verified.lines.push(format!("no recount: {failure}"));
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(verified)
}

/// What there is, and whether it is right.
fn summary(standing: &Standing, told: &Told, faults: &Faults) -> String {
    let verdict = match faults.count {
        0 => "ledger, digests and rows are right".to_owned(),
        count => some(count, "fault"),
    };
    if standing.commits == 0 {
        return format!(": no commits: {verdict}");
    }
    let [counts, ranks, rejects] = told.rows;
    format!(
        ": {} up to {}, {}, {}, {}: {verdict}",
        some(standing.commits, "commit"),
        Time(standing.epoch),
        some(counts, "count"),
        some(ranks, "rank"),
        some(rejects, "reject"),
    )
}

impl Verified {
    fn new(job: String, notes: Vec<String>, faults: &Faults) -> Verified {
        let mut lines = vec![format!("job {job}")];
        lines.extend(faults.lines());
        lines.extend(notes);
        Verified { lines, faults: faults.count, job }
    }

    fn add(&mut self, (head, notes, faults): (String, Vec<String>, Faults)) {
        self.lines.push(head);
        self.lines.extend(faults.lines());
        self.lines.extend(notes);
        self.faults += faults.count;
    }
}

/// What is wrong, in the order in which it was found.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub first: Vec<String>,
    pub count: usize,
}

impl Faults {
    pub fn add(&mut self, fault: String) {
        if self.count < FAULTS_TOLD {
            self.first.push(fault);
        }
        self.count += 1;
    }

    pub fn lines(&self) -> impl Iterator<Item = String> {
        let more = self.count - self.first.len();
        let last = (more > 0).then(|| format!("  and {more} more"));
        self.first.iter().map(|fault| format!("  {fault}")).chain(last)
    }
}
