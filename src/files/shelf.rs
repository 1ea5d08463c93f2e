//! The identities of settled minutes in a file, so that they take no memory.
//!
//! ```text
//! row   │ 255 identities, check │ 255 identities, check │ … │ up to 254 in memory
//!       └──── a page of 4 KiB ──┘
//! file  │ 256 pages of one row  │ 256 of another │ free │ …      blocks of 1 MiB
//! ```
//!
//! Each worker has one file, whatever its minutes: a row takes blocks, and leaves them to others
//! when its minute is forgotten. The file is as long as it had to be at most.
//!
//! It has no name: it is unlinked as soon as it is open, so that a process that is killed leaves
//! nothing. Nothing is synced, as a restart reads the log again. A page's check says of which row
//! it is and where it stands: what the disk lost or mixed up is an error, and no wrong answer.

use std::cell::RefCell;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::rc::Rc;

use clicks_dataflows::keep_first::shelf::{Row, Shelf};

use crate::failure::{Attempt, Failure};

/// Bytes of an identity.
const IDENTITY_BYTES: usize = 16;
/// Identities of a page.
const PAGE: usize = PAGE_BYTES / IDENTITY_BYTES - 1;
/// Bytes of a page.
const PAGE_BYTES: usize = 1 << 12;
/// Pages of a block.
const BLOCK: u64 = 1 << 8;

/// Rows in a file without a name, see the module.
pub struct FileShelf {
    disk: Rc<Disk>,
    rows: u64,
}

impl FileShelf {
    /// Makes a file in `directory`, and takes its name away.
    ///
    /// # Errors
    ///
    /// When the directory takes no file, or its files cannot be unlinked while they are open.
    pub fn open(directory: &Path) -> Result<FileShelf, Failure> {
        let (path, file) = create(directory)
            .attempt(|| format!("cannot keep seen clicks in {}", directory.display()))?;
        fs::remove_file(&path)
            .attempt(|| format!("cannot unlink {} while it is open", path.display()))?;
        let directory = directory.to_owned();
        Ok(FileShelf {
            disk: Rc::new(Disk { file, directory, blocks: RefCell::default() }),
            rows: 0,
        })
    }
}

/// A new file, under a name that nobody has.
fn create(directory: &Path) -> io::Result<(PathBuf, File)> {
    let mut number = 0_u64;
    loop {
        let path = directory.join(format!(".clicks-seen-{}-{number}", process::id()));
        let mut options = OpenOptions::new();
        match options.read(true).write(true).create_new(true).mode(0o600).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            opened => return opened.map(|file| (path, file)),
        }
    }
}

impl Shelf for FileShelf {
    fn begin(&mut self, _: u64) -> io::Result<Box<dyn Row>> {
        self.rows += 1;
        Ok(Box::new(FileRow {
            disk: Rc::clone(&self.disk),
            number: self.rows,
            blocks: Vec::new(),
            pages: 0,
            rest: Vec::with_capacity(PAGE),
        }))
    }
}

/// The file of a worker.
struct Disk {
    file: File,
    directory: PathBuf,
    blocks: RefCell<Blocks>,
}

/// Blocks that nobody has: some between others, and all from the end on.
#[derive(Default)]
struct Blocks {
    free: Vec<u32>,
    end: u32,
}

impl Blocks {
    fn take(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.end += 1;
            self.end - 1
        })
    }
}

impl Disk {
    fn named(&self, verb: &str, error: &io::Error) -> io::Error {
        let directory = self.directory.display();
        io::Error::new(error.kind(), format!("cannot {verb} seen clicks in {directory}: {error}"))
    }
}

struct FileRow {
    disk: Rc<Disk>,
    number: u64,
    blocks: Vec<u32>,
    /// Whole pages, which are in the file.
    pages: u64,
    /// The identities after them.
    rest: Vec<u128>,
}

impl FileRow {
    fn write_rest(&mut self) -> io::Result<()> {
        if self.pages.is_multiple_of(BLOCK) {
            self.blocks.push(self.disk.blocks.borrow_mut().take());
        }
        let mut bytes = [0; PAGE_BYTES];
        let check = self.check(self.pages, &self.rest);
        let (slots, _) = bytes.as_chunks_mut::<IDENTITY_BYTES>();
        for (slot, identity) in slots.iter_mut().zip(self.rest.iter().chain([&check])) {
            *slot = identity.to_le_bytes();
        }
        self.disk
            .file
            .write_all_at(&bytes, self.place(self.pages))
            .map_err(|error| self.disk.named("write", &error))?;
        self.pages += 1;
        self.rest.clear();
        Ok(())
    }

    fn read(&self, number: u64, page: &mut Vec<u128>) -> io::Result<()> {
        let mut bytes = [0; PAGE_BYTES];
        self.disk
            .file
            .read_exact_at(&mut bytes, self.place(number))
            .map_err(|error| self.disk.named("read", &error))?;
        let (slots, _) = bytes.as_chunks::<IDENTITY_BYTES>();
        page.extend(slots.iter().map(|slot| u128::from_le_bytes(*slot)));
        if page.pop() != Some(self.check(number, page)) {
            let error =
                io::Error::new(io::ErrorKind::InvalidData, "a page is not what was written");
            return Err(self.disk.named("read", &error));
        }
        Ok(())
    }

    /// Where a page stands in the file.
    fn place(&self, page: u64) -> u64 {
        let block = usize::try_from(page / BLOCK).expect("the list of blocks is in memory");
        (u64::from(self.blocks[block]) * BLOCK + page % BLOCK) * PAGE_BYTES as u64
    }

    /// Two sums, of which the second knows the order: Fletcher, "An arithmetic checksum for serial
    /// transmissions", 1982.
    fn check(&self, page: u64, identities: &[u128]) -> u128 {
        let start = u128::from(self.number) << 64 | u128::from(page);
        let (sum, sums) = identities.iter().fold((start, start), |(sum, sums), identity| {
            let sum = sum.wrapping_add(*identity);
            (sum, sums.wrapping_add(sum))
        });
        sum ^ sums.rotate_left(64)
    }
}

impl Row for FileRow {
    fn append(&mut self, sorted: &[u128]) -> io::Result<()> {
        let mut left = sorted;
        while !left.is_empty() {
            let (some, others) = left.split_at(left.len().min(PAGE - self.rest.len()));
            self.rest.extend_from_slice(some);
            left = others;
            if self.rest.len() == PAGE {
                self.write_rest()?;
            }
        }
        Ok(())
    }

    fn page(&self, at: u64, page: &mut Vec<u128>) -> io::Result<u64> {
        page.clear();
        let number = at / PAGE as u64;
        if number < self.pages {
            self.read(number, page)?;
        } else {
            page.extend_from_slice(&self.rest);
        }
        Ok(number * PAGE as u64)
    }

    fn count(&self) -> u64 {
        self.pages * PAGE as u64 + self.rest.len() as u64
    }

    fn bytes(&self) -> usize {
        size_of::<FileRow>() + self.rest.capacity() * IDENTITY_BYTES + self.blocks.capacity() * 4
    }
}

impl Drop for FileRow {
    fn drop(&mut self) {
        self.disk.blocks.borrow_mut().free.append(&mut self.blocks);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clicks_dataflows::faults::{Fault, Faults};
    use clicks_dataflows::keep_first::seen::SeenClicks;
    use clicks_dataflows::time::Minute;

    use super::*;
    use crate::generate::random::Random;

    fn row(shelf: &mut FileShelf, identities: impl Iterator<Item = u128>) -> Box<dyn Row> {
        let mut row = shelf.begin(0).unwrap();
        row.append(&identities.collect::<Vec<_>>()).unwrap();
        row
    }
}
