//! A directory that is gone afterwards.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::{Attempt, Failure};

/// A directory of this process; it is removed when it is dropped.
#[derive(Debug)]
pub struct TemporaryDirectory {
    path: PathBuf,
}

impl TemporaryDirectory {
    /// Makes one for `what` in the system's directory for temporary files.
    ///
    /// # Errors
    ///
    /// When that cannot be written.
    pub fn new(what: &str) -> Result<TemporaryDirectory, Failure> {
        let all = std::env::temp_dir();
        let process = std::process::id();
        // A process that was killed may have left one, and its number may come again.
        let names = (0..1000).map(|number| all.join(format!("clicks-{what}-{process}-{number}")));
        for path in names {
            match fs::create_dir(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                made => {
                    made.attempt(|| format!("cannot make {}", path.display()))?;
                    return Ok(TemporaryDirectory { path });
                }
            }
        }
        Err(Failure::new(format!(
            "{} holds too many old clicks-{what}-*: remove them",
            all.display()
        )))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A directory in it, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub fn inner(&self, name: &str) -> Result<PathBuf, Failure> {
        let path = self.path.join(name);
        fs::create_dir_all(&path).attempt(|| format!("cannot make {}", path.display()))?;
        Ok(path)
    }

    /// Bytes of the files in directories in it; what cannot be looked at is left out.
    pub fn bytes(&self, names: &[&str]) -> u64 {
        let paths = names.iter().map(|name| self.path.join(name));
        let entries = paths.filter_map(|path| fs::read_dir(path).ok()).flatten();
        entries.filter_map(|entry| entry.ok()?.metadata().ok()).map(|file| file.len()).sum()
    }

    /// Removes it with all that is in it.
    ///
    /// # Errors
    ///
    /// When something of it remains.
    pub fn remove(self) -> Result<(), Failure> {
        fs::remove_dir_all(&self.path).attempt(|| format!("cannot remove {}", self.path.display()))
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        // It is gone already, or there is a failure to tell that matters more.
        let _ = fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_of_it() {
        let [one, other] = [(), ()].map(|()| TemporaryDirectory::new("test").unwrap());
        let paths = [one.path().to_owned(), other.path().to_owned()];
        assert_ne!(paths[0], paths[1]);
        fs::write(one.inner("in").unwrap().join("a.jsonl"), "123").unwrap();
        assert_eq!((one.bytes(&["in", "out"]), other.bytes(&["in"])), (3, 0));
        one.remove().unwrap();
        drop(other);
        assert!(!paths[0].exists() && !paths[1].exists());
    }
}
