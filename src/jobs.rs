//! Which job is read, where results of several may be.

use crate::alias::{self, Alias};
use crate::failure::Failure;
use crate::log;
use crate::logs::Jobs;

/// The job that is asked for by its name or by an alias, or the only one there is; which job an
/// alias stands for is said.
///
/// # Errors
///
/// When there is no such job, none at all, or several and none is asked for.
pub fn find_job(results: &dyn Jobs, job: Option<&str>) -> Result<String, Failure> {
    find(results, job).map(|found| found.job)
}

/// A job that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub job: String,
    /// The alias by which it was asked for, if it was.
    pub alias: Option<String>,
}

/// The same, with the alias.
///
/// # Errors
///
/// Those of [`find_job`].
pub fn find(results: &dyn Jobs, job: Option<&str>) -> Result<Found, Failure> {
    let jobs = results.jobs()?;
    let place = results.place();
    let known = |job: &str| jobs.iter().any(|known| known == job);
    match (job, &jobs[..]) {
        (Some(job), _) if known(job) => return Ok(Found { job: job.to_owned(), alias: None }),
        (None, [job]) => return Ok(Found { job: job.clone(), alias: None }),
        _ => {}
    }
    if let Some(name) = job
        && let Some(Alias { alias, job, .. }) = alias::find(results.aliases()?, name)
    {
        if !known(&job) {
            let gone = format!("{alias} is an alias of job {job}, which is not in {place}");
            return Err(Failure::refused(gone));
        }
        log::say(&format!("{alias} is job {job} in {place}"));
        return Ok(Found { job, alias: Some(alias) });
    }
    Err(Failure::refused(match (job, &jobs[..]) {
        (_, []) => format!("{place} holds no results: there is no {}", results.ledgers()),
        (Some(job), _) => format!("{place} has no job {job}, but {}", jobs.join(", ")),
        (None, _) => format!("{place} has several jobs, name one by --job: {}", jobs.join(", ")),
    }))
}

#[cfg(test)]
mod tests {
    use clicks_dataflows::time::Time;

    use super::*;
    use crate::files::disk::LocalDisk;
    use crate::files::logs::JobFiles;

    #[test]
    fn the_only_job_needs_no_name() {
        let results = tempfile::tempdir().unwrap();
        let files = JobFiles::new(&LocalDisk, results.path());
        let found = |job| find_job(&files, job).map_err(|failure| failure.to_string());
        assert!(found(None).unwrap_err().contains("holds no results"));

        std::fs::write(results.path().join("ads.ledger.jsonl"), "").unwrap();
        std::fs::write(results.path().join("other.counts.jsonl"), "").unwrap();
        assert_eq!(found(None), Ok("ads".to_owned()));
        assert!(found(Some("other")).unwrap_err().ends_with("has no job other, but ads"));

        std::fs::write(results.path().join("a.b.ledger.jsonl"), "").unwrap();
        assert_eq!(found(Some("a.b")), Ok("a.b".to_owned()));
        assert!(found(None).unwrap_err().ends_with("name one by --job: a.b, ads"));
        assert!(JobFiles::new(&LocalDisk, &results.path().join("x")).jobs().is_err());
    }

    #[test]
    fn an_alias_stands_for_its_job() {
        let results = tempfile::tempdir().unwrap();
        let files = JobFiles::new(&LocalDisk, results.path());
        let found = |job| find(&files, Some(job)).map_err(|failure| failure.to_string());
        std::fs::write(results.path().join("ads.ledger.jsonl"), "").unwrap();
        for (alias, job) in [("live", "ads"), ("old", "gone")] {
            let (alias, job) = (alias.to_owned(), job.to_owned());
            files.keep_alias(&Alias { alias, job, since: Time(0), before: None }).unwrap();
        }
        assert_eq!(files.jobs().unwrap(), ["ads"]);
        let live = Found { job: "ads".to_owned(), alias: Some("live".to_owned()) };
        assert_eq!(found("live"), Ok(live));
        assert!(found("old").unwrap_err().contains("old is an alias of job gone, which is not in"));
        assert!(found("dead").unwrap_err().ends_with("has no job dead, but ads"));
    }
}
