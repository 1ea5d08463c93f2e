//! Aliases of jobs: names that readers follow, and that are moved from job to job.
//!
//! ```json
//! {"alias":"live","job":"ads-2","since":"2026-01-01T12:00:00Z","before":"ads"}
//! ```
//!
//! An alias is kept beside the ledgers of the jobs, and is never the name of one there.

use clicks_dataflows::time::Time;
use serde::{Deserialize, Serialize};

use crate::failure::{Attempt, Failure};

/// A name that stands for a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alias {
    /// The name.
    pub alias: String,
    /// The job.
    pub job: String,
    /// Since when it stands for that job, by the wall clock.
    pub since: Time,
    /// The job for which it stood before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

impl Alias {
    /// The alias `name` that `text` is, which lies at `place`.
    ///
    /// # Errors
    ///
    /// When it is none, or another one.
    pub fn read(name: &str, text: &[u8], place: &str) -> Result<Alias, Failure> {
        let alias: Alias =
            serde_json::from_slice(text).attempt(|| format!("{place} is no alias"))?;
        if alias.alias == name {
            return Ok(alias);
        }
        Err(Failure::new(format!("{place} is of alias {}, and not of {name}", alias.alias)))
    }

    /// The line that is kept, without LF.
    pub fn line(&self) -> String {
        serde_json::to_string(self).expect("an alias is JSON")
    }

    /// Refuses to begin a job of this name at `place`.
    pub fn refuse_job(&self, place: &str) -> Failure {
        let Alias { alias, job, .. } = self;
        Failure::refused(format!(
            "{alias} is an alias of job {job} in {place}, and no job has the name of an alias: \
             name it otherwise with --job, or take the alias away with `clicks promote --remove`",
        ))
    }
}

/// The alias `name` among `aliases`.
pub fn find(aliases: Vec<Alias>, name: &str) -> Option<Alias> {
    aliases.into_iter().find(|alias| alias.alias == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_is_a_line() {
        let since = "2026-01-01T12:00:00Z".parse().unwrap();
        let (alias, job) = ("live".to_owned(), "ads-2".to_owned());
        let live = Alias { alias, job, since, before: Some("ads".to_owned()) };
        let line =
            r#"{"alias":"live","job":"ads-2","since":"2026-01-01T12:00:00Z","before":"ads"}"#;
        assert_eq!(live.line(), line);
        assert_eq!(Alias::read("live", line.as_bytes(), "there").unwrap(), live);
        let first = r#"{"alias":"live","job":"ads","since":"2026-01-01T12:00:00Z"}"#;
        assert_eq!(Alias::read("live", first.as_bytes(), "there").unwrap().line(), first);

        let refused = Alias::read("dead", line.as_bytes(), "there").unwrap_err();
        assert_eq!(refused.to_string(), "there is of alias live, and not of dead");
        let refused = Alias::read("live", b"{", "there").unwrap_err();
        assert_eq!(refused.to_string(), "there is no alias");
    }
}
