//! Which job is read, where results of several may be.

use crate::failure::Failure;
use crate::logs::Jobs;

/// The job that is asked for, or the only one there is.
///
/// # Errors
///
/// When there is no such job, none at all, or several and none is asked for.
pub fn find_job(results: &dyn Jobs, job: Option<&str>) -> Result<String, Failure> {
    let jobs = results.jobs()?;
    let place = results.place();
    let refusal = match (job, &jobs[..]) {
        (Some(job), _) if jobs.iter().any(|known| known == job) => return Ok(job.to_owned()),
        (None, [job]) => return Ok(job.clone()),
        (_, []) => format!("{place} holds no results: there is no {}", results.ledgers()),
        (Some(job), _) => format!("{place} has no job {job}, but {}", jobs.join(", ")),
        (None, _) => format!("{place} has several jobs, name one by --job: {}", jobs.join(", ")),
    };
    Err(Failure::refused(refusal))
}

#[cfg(test)]
mod tests {
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
}
