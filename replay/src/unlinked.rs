//! Files without a name: a process that is killed leaves nothing.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process;

/// Makes a file in `directory`, and takes its name away.
///
/// # Errors
///
/// When the directory takes no file, or its files cannot be unlinked while they are open.
pub fn unlinked(directory: &Path) -> io::Result<File> {
    let (path, file) = create(directory)?;
    fs::remove_file(&path)?;
    Ok(file)
}

/// A new file, under a name that nobody has.
fn create(directory: &Path) -> io::Result<(PathBuf, File)> {
    let mut number = 0_u64;
    loop {
        let path = directory.join(format!(".clicks-{}-{number}", process::id()));
        let mut options = OpenOptions::new();
        match options.read(true).write(true).create_new(true).mode(0o600).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            opened => return opened.map(|file| (path, file)),
        }
    }
}
