//! What a directory of results needs from a file system.
//!
//! What is written is certain only once it is synced, and a new file only once its directory is.
//! The tests' disk forgets everything else when it is killed.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// A file system, or a test's.
pub trait Disk: Send + Sync {
    /// The file's length, if it exists.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    fn length(&self, path: &Path) -> io::Result<Option<u64>>;

    /// Reads a file from `from` on.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    fn read(&self, path: &Path, from: u64) -> io::Result<Box<dyn BufRead>>;

    /// Writes `bytes` at the end of a file, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;

    /// Cuts a file off at `length`.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    fn cut(&self, path: &Path, length: u64) -> io::Result<()>;

    /// Gives a file the name of another, in place of that.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes what was written to a file certain.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    fn sync(&self, path: &Path) -> io::Result<()>;

    /// Makes a directory's entries certain.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    fn sync_entries(&self, directory: &Path) -> io::Result<()>;
}

/// The file system of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalDisk;

impl Disk for LocalDisk {
    fn length(&self, path: &Path) -> io::Result<Option<u64>> {
        match path.metadata() {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(None),
                _ => Err(error),
            },
        }
    }

    fn read(&self, path: &Path, from: u64) -> io::Result<Box<dyn BufRead>> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(from))?;
        // The length is taken once, so that a reader of a growing file comes to an end.
        let length = file.metadata()?.len().saturating_sub(from);
        Ok(Box::new(BufReader::with_capacity(1 << 16, file.take(length))))
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        OpenOptions::new().append(true).create(true).open(path)?.write_all(bytes)
    }

    fn cut(&self, path: &Path, length: u64) -> io::Result<()> {
        OpenOptions::new().write(true).open(path)?.set_len(length)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        OpenOptions::new().write(true).open(path)?.sync_data()
    }

    fn sync_entries(&self, directory: &Path) -> io::Result<()> {
        File::open(directory)?.sync_all()
    }
}
