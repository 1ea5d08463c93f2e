//! A directory of generated partitions: a file of lines for each.
//!
//! Lines go to a file whole, so that a follower never reads half of one.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::clicks::Made;
use super::write::Outlet;
use crate::failure::{Attempt, Failure};

/// The name of the truth, outside of the partitions.
pub const TRUTH: &str = "truth.json";

/// A partition's lines are written once they are so many bytes.
const BUFFER_BYTES: usize = 64 * 1024;

/// The files of a directory, one for each partition.
pub struct Files(Vec<Partition>);

impl Files {
    /// Makes the files of `partitions` partitions in `dir`, which is made if it does not exist.
    ///
    /// # Errors
    ///
    /// When the directory has partitions or a truth already, or cannot be written.
    pub fn create(dir: &Path, partitions: u32) -> Result<Files, Failure> {
        fs::create_dir_all(dir).attempt(|| format!("cannot make {}", dir.display()))?;
        refuse_occupied(dir)?;
        // With zeros in front, so that their order is that of the names.
        let width = (partitions - 1).to_string().len();
        let path = |number| dir.join(format!("clicks-{number:0width$}.jsonl"));
        (0..partitions).map(path).map(Partition::create).collect::<Result<_, _>>().map(Files)
    }
}

impl Outlet for Files {
    fn take(&mut self, made: &Made) -> Result<(), Failure> {
        self.0[made.partition as usize].push(&made.line)
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.0.iter_mut().try_for_each(Partition::flush)
    }

    fn finish(&mut self) -> Result<(), Failure> {
        self.flush()
    }
}

/// One file of lines.
struct Partition {
    path: PathBuf,
    file: File,
    /// Whole lines that are not in the file yet.
    lines: Vec<u8>,
}

impl Partition {
    fn create(path: PathBuf) -> Result<Partition, Failure> {
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        let file = file.attempt(|| format!("cannot make {}", path.display()))?;
        Ok(Partition { path, file, lines: Vec::new() })
    }

    fn push(&mut self, line: &[u8]) -> Result<(), Failure> {
        self.lines.extend_from_slice(line);
        self.lines.push(b'\n');
        if self.lines.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Failure> {
        let written = self.file.write_all(&self.lines);
        written.attempt(|| format!("cannot write {}", self.path.display()))?;
        self.lines.clear();
        Ok(())
    }
}

fn refuse_occupied(dir: &Path) -> Result<(), Failure> {
    let attempt = || format!("cannot list {}", dir.display());
    for entry in fs::read_dir(dir).attempt(attempt)? {
        let name = entry.attempt(attempt)?.file_name();
        let name = name.to_string_lossy();
        let plain = name.strip_suffix(".gz").or(name.strip_suffix(".zst")).unwrap_or(&name);
        if name == TRUTH || plain.ends_with(".jsonl") || plain.ends_with(".csv") {
            return Err(Failure::refused(format!(
                "cannot generate beside {}, as another run has written it: name another \
                 directory, or remove it",
                dir.join(&*name).display(),
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_in_use_is_refused() {
        for name in ["a.jsonl", "b.csv", "c.jsonl.gz", "d.csv.zst", TRUTH] {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join(name), "").unwrap();
            let refused = Files::create(dir.path(), 4).map(drop).unwrap_err();
            assert!(refused.to_string().contains(name), "{refused}");
        }
    }

    #[test]
    fn names_sort_as_numbers() {
        let dir = tempfile::tempdir().unwrap();
        Files::create(dir.path(), 11).unwrap();
        assert!(dir.path().join("clicks-00.jsonl").exists());
        assert!(dir.path().join("clicks-10.jsonl").exists());
    }
}
