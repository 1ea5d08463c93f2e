//! Lets an alias stand for a job, unless its readers would go back too far.

use clicks_dataflows::time::{Epoch, MINUTE_MS, Millis, Time};

use crate::alias::{Alias, find};
use crate::failure::Failure;
use crate::logs::{Jobs, epoch_of};
use crate::plural::some;

/// How far the job may be behind the one whose place it takes, unless more is asked for.
const BEHIND_MAX_MS: Millis = MINUTE_MS;

/// Which alias is to stand for which job.
#[derive(Clone, Copy, Debug)]
pub struct Promotion<'a> {
    /// The alias.
    pub alias: &'a str,
    /// The job.
    pub job: &'a str,
    /// Whether it may be behind as far as it is.
    pub force: bool,
    /// The time by the wall clock.
    pub now: Time,
}

impl Promotion<'_> {
    /// Lets the alias stand for the job; returns it with what people should know.
    ///
    /// # Errors
    ///
    /// When there is no such job, the alias is the name of one, or the job is too far behind the
    /// one whose place it takes.
    pub fn make(&self, results: &dyn Jobs) -> Result<(Alias, Vec<String>), Failure> {
        let Promotion { alias, job, now, .. } = *self;
        let (place, jobs, aliases) = (results.place(), results.jobs()?, results.aliases()?);
        let is_job = |name: &str| jobs.iter().any(|job| job == name);
        if is_job(alias) {
            return Err(Failure::refused(format!(
                "{alias} is a job in {place}: an alias has a name that no job has there",
            )));
        }
        if !is_job(job) {
            return Err(Failure::refused(match find(aliases, job) {
                Some(other) => format!("{job} is an alias of {}: name a job", other.job),
                None if jobs.is_empty() => format!("{place} has no job {job}, nor any other"),
                None => format!("{place} has no job {job}, but {}", jobs.join(", ")),
            }));
        }
        let before = find(aliases, alias);
        if let Some(same) = before.as_ref().filter(|before| before.job == job) {
            return Ok((same.clone(), vec![format!("{alias} is job {job} already")]));
        }
        let before = before.map(|before| before.job);
        let mut notes = Vec::new();
        match before.as_deref() {
            Some(old) if is_job(old) => notes.extend(self.behind(results, old)?),
            Some(old) => notes.push(format!("job {old}, which {alias} was, is not in {place}")),
            None => {}
        }
        let (alias, job) = (alias.to_owned(), job.to_owned());
        let made = Alias { alias, job, since: now, before };
        results.keep_alias(&made)?;
        Ok((made, notes))
    }

    /// How far the job is behind `old`, if it is.
    fn behind(&self, results: &dyn Jobs, old: &str) -> Result<Option<String>, Failure> {
        let Promotion { alias, job, force, .. } = *self;
        let (stands, stood) = (epoch(results, job)?, epoch(results, old)?);
        let behind = stood.unwrap_or(0).saturating_sub(stands.unwrap_or(0));
        if behind == 0 {
            return Ok(None);
        }
        let told = |epoch: Option<Epoch>| match epoch {
            Some(epoch) => format!("stands at {}", Time(epoch)),
            None => "has no commits".to_owned(),
        };
        let minutes = match stands {
            Some(_) => format!(", {} behind", some(behind.div_ceil(MINUTE_MS), "minute")),
            None => String::new(),
        };
        let (stands, stood) = (told(stands), told(stood));
        let note = format!("job {job} {stands}{minutes}: job {old}, which {alias} was, {stood}");
        if behind > BEHIND_MAX_MS && !force {
            return Err(Failure::refused(format!(
                "{note}: let it catch up, or let readers go back with --force",
            )));
        }
        Ok(Some(note))
    }
}

/// Takes an alias away; returns what it was.
///
/// # Errors
///
/// When there is none of this name.
pub fn remove(results: &dyn Jobs, name: &str) -> Result<Alias, Failure> {
    let alias = known(results, name)?;
    results.remove_alias(name)?;
    Ok(alias)
}

/// The alias of this name.
///
/// # Errors
///
/// When there is none.
pub fn known(results: &dyn Jobs, name: &str) -> Result<Alias, Failure> {
    let aliases = results.aliases()?;
    let names: Vec<String> = aliases.iter().map(|alias| alias.alias.clone()).collect();
    find(aliases, name).ok_or_else(|| {
        let place = results.place();
        Failure::refused(match names.is_empty() {
            true => format!("{place} has no alias {name}, nor any other"),
            false => format!("{place} has no alias {name}, but {}", names.join(", ")),
        })
    })
}

/// The epoch of a job's last commit.
fn epoch(results: &dyn Jobs, job: &str) -> Result<Option<Epoch>, Failure> {
    let mut logs = results.open(job)?;
    let mut last = None;
    while let Some(line) = logs.next_line()? {
        // The line that opens the job has none.
        last = epoch_of(&line).or(last);
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::files::disk::LocalDisk;
    use crate::files::logs::JobFiles;

    /// A job whose last commit is of this time of day, or without commits.
    fn job(results: &Path, name: &str, epoch: Option<&str>) {
        let commit = |epoch| format!("{{\"epoch\":\"2026-01-01T{epoch}Z\"}}\n");
        let ledger = "{\"commit\":0}\n".to_owned() + &epoch.map(commit).unwrap_or_default();
        std::fs::write(results.join(format!("{name}.ledger.jsonl")), ledger).unwrap();
    }

    fn promotion<'a>(job: &'a str, force: bool) -> Promotion<'a> {
        Promotion { alias: "live", job, force, now: Time(1000) }
    }

    /// What is said when `live` comes to be this job.
    fn made(files: &JobFiles<'_>, job: &str, force: bool) -> Result<Vec<String>, String> {
        let made = promotion(job, force).make(files);
        made.map(|(_, notes)| notes).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_job_that_is_far_behind_is_promoted_by_force_alone() {
        let results = tempfile::tempdir().unwrap();
        let files = JobFiles::new(&LocalDisk, results.path());
        job(results.path(), "ads", Some("12:05:00"));
        job(results.path(), "near", Some("12:04:00"));
        job(results.path(), "far", Some("12:02:59"));
        job(results.path(), "new", None);
        assert_eq!(made(&files, "ads", false), Ok(vec![]));
        let said = made(&files, "near", false).unwrap();
        let stands =
            "job near stands at 2026-01-01T12:04:00Z, 1 minute behind: job ads, which live";
        assert_eq!(said, [format!("{stands} was, stands at 2026-01-01T12:05:00Z")]);
        assert_eq!(made(&files, "ads", false), Ok(vec![]));

        let refused = made(&files, "far", false).unwrap_err();
        assert!(
            refused.contains("far stands at 2026-01-01T12:02:59Z, 3 minutes behind"),
            "{refused}"
        );
        assert!(refused.contains("with --force"), "{refused}");
        assert!(
            made(&files, "new", false).unwrap_err().contains("job new has no commits: job ads")
        );
        assert_eq!(known(&files, "live").unwrap().job, "ads");
        assert_eq!(made(&files, "far", true).unwrap().len(), 1);
        let live = known(&files, "live").unwrap();
        assert_eq!((live.job.as_str(), live.before.as_deref()), ("far", Some("ads")));
    }

    #[test]
    fn an_alias_stands_for_a_job_that_is_there() {
        let results = tempfile::tempdir().unwrap();
        let files = JobFiles::new(&LocalDisk, results.path());
        assert!(made(&files, "ads", false).unwrap_err().ends_with("no job ads, nor any other"));
        job(results.path(), "ads", Some("12:05:00"));
        job(results.path(), "live", Some("12:05:00"));
        let refused = made(&files, "ads", true).unwrap_err();
        assert!(refused.starts_with("live is a job in "), "{refused}");
        std::fs::remove_file(results.path().join("live.ledger.jsonl")).unwrap();
        assert_eq!(made(&files, "ads", false), Ok(vec![]));
        assert_eq!(made(&files, "ads", false), Ok(vec!["live is job ads already".to_owned()]));
        assert_eq!(
            made(&files, "live", true),
            Err("live is an alias of ads: name a job".to_owned())
        );
        assert!(made(&files, "no", true).unwrap_err().ends_with("has no job no, but ads"));

        job(results.path(), "ads-2", None);
        std::fs::remove_file(results.path().join("ads.ledger.jsonl")).unwrap();
        let said = made(&files, "ads-2", false).unwrap();
        assert!(said[0].starts_with("job ads, which live was, is not in "), "{said:?}");
        assert_eq!(remove(&files, "live").unwrap().job, "ads-2");
        assert!(remove(&files, "live").unwrap_err().to_string().contains("has no alias live"));
    }
}
