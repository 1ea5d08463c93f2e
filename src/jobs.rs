//! Which jobs a directory of results holds.

use std::path::Path;

use crate::failure::{Attempt, Failure};

/// How the file of a ledger ends, after the job's name.
const LEDGER: &str = ".ledger.jsonl";

/// The job that is asked for, or the only one there is.
///
/// # Errors
///
/// When there is no such job, none at all, or several and none is asked for.
pub fn find_job(results: &Path, job: Option<&str>) -> Result<String, Failure> {
    let jobs = jobs(results)?;
    let place = results.display();
    let refusal = match (job, &jobs[..]) {
        (Some(job), _) if jobs.iter().any(|known| known == job) => return Ok(job.to_owned()),
        (None, [job]) => return Ok(job.clone()),
        (_, []) => format!("{place} holds no results: there is no *{LEDGER}"),
        (Some(job), _) => format!("{place} has no job {job}, but {}", jobs.join(", ")),
        (None, _) => format!("{place} has several jobs, name one by --job: {}", jobs.join(", ")),
    };
    Err(Failure::refused(refusal))
}

/// The jobs whose results are in a directory, by name.
///
/// # Errors
///
/// When the directory cannot be read.
pub fn jobs(results: &Path) -> Result<Vec<String>, Failure> {
    let attempt = || format!("cannot read the results in {}", results.display());
    let mut jobs = Vec::new();
    for entry in std::fs::read_dir(results).attempt(attempt)? {
        let name = entry.attempt(attempt)?.file_name();
        let job = name.to_str().and_then(|name| name.strip_suffix(LEDGER));
        jobs.extend(job.filter(|job| !job.is_empty()).map(str::to_owned));
    }
    jobs.sort();
    Ok(jobs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_only_job_needs_no_name() {
        let results = tempfile::tempdir().unwrap();
        let found = |job| find_job(results.path(), job).map_err(|failure| failure.to_string());
        assert!(found(None).unwrap_err().contains("holds no results"));

        std::fs::write(results.path().join("ads.ledger.jsonl"), "").unwrap();
        std::fs::write(results.path().join("other.counts.jsonl"), "").unwrap();
        assert_eq!(found(None), Ok("ads".to_owned()));
        assert!(found(Some("other")).unwrap_err().ends_with("has no job other, but ads"));

        std::fs::write(results.path().join("a.b.ledger.jsonl"), "").unwrap();
        assert_eq!(found(Some("a.b")), Ok("a.b".to_owned()));
        assert!(found(None).unwrap_err().ends_with("name one by --job: a.b, ads"));
        assert!(jobs(&results.path().join("x")).is_err());
    }
}
