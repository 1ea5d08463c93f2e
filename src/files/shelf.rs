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
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use clicks_dataflows::keep_first::shelf::{Row, Shelf};
use clicks_replay::unlinked::unlinked;

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
        let file = unlinked(directory)
            .attempt(|| format!("cannot keep seen clicks in {}", directory.display()))?;
        let directory = directory.to_owned();
        Ok(FileShelf {
            disk: Rc::new(Disk { file, directory, blocks: RefCell::default() }),
            rows: 0,
        })
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
    use std::fs;

    use clicks_dataflows::faults::{Fault, Faults};
    use clicks_dataflows::keep_first::seen::SeenClicks;
    use clicks_dataflows::keep_first::shelf::find;
    use clicks_dataflows::time::Minute;

    use super::*;
    use crate::generate::random::Random;

    fn identity(random: &mut Random) -> u128 {
        u128::from(random.any()) << 64 | u128::from(random.any())
    }

    fn row(shelf: &mut FileShelf, identities: &BTreeSet<u128>) -> Box<dyn Row> {
        let mut row = shelf.begin(identities.len() as u64).unwrap();
        for some in identities.iter().copied().collect::<Vec<_>>().chunks(1000) {
            row.append(some).unwrap();
        }
        row
    }

    #[test]
    fn rows_are_told_apart_and_their_blocks_used_again() {
        let directory = tempfile::tempdir().unwrap();
        let mut shelf = FileShelf::open(directory.path()).unwrap();
        assert_eq!(directory.path().read_dir().unwrap().count(), 0);
        let mut random = Random::new(3);
        let mut page = Vec::new();
        for _ in 0..4 {
            let of_rows = [0, 1, 254, 255, 65_280, 140_000]
                .map(|count| (0..count).map(|_| identity(&mut random)).collect());
            let rows = of_rows.each_ref().map(|identities| row(&mut shelf, identities));
            for (identities, row) in of_rows.iter().zip(&rows) {
                assert_eq!(row.count(), identities.len() as u64);
                assert!(row.bytes() < 4500);
                for sought in of_rows.iter().flat_map(|others| others.iter().step_by(97)) {
                    let found = find(&**row, *sought, &mut page).unwrap();
                    assert_eq!(found, identities.contains(sought));
                }
            }
        }
        // One for 255, one for 65 280, three for 140 000.
        assert_eq!(shelf.disk.blocks.borrow().end, 5);
        assert!(shelf.disk.file.metadata().unwrap().len() <= 5 << 20);
    }

    #[test]
    fn seen_clicks_are_the_same_from_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let shelf = FileShelf::open(directory.path()).unwrap();
        let mut seen = SeenClicks::new(Box::new(shelf), Faults::default());
        let (mut told, mut all, mut random) = (Vec::new(), BTreeSet::new(), Random::new(4));
        for now in 0..600 {
            // Nine of ten are of the newest minute, which is one for a hundred turns.
            for _ in 0..800 {
                let late = random.below(10) == 0;
                let minute = if late { random.below(now / 100 + 1) } else { now / 100 };
                let minute = Minute(u32::try_from(minute).unwrap());
                let click = match random.below(4) {
                    0 if now > 0 => told[random.place(told.len())],
                    _ => (minute, identity(&mut random)),
                };
                told.push(click);
                assert_eq!(seen.of(click.0).insert(click.1), Ok(all.insert(click)));
            }
            seen.freeze_before(Minute(u32::try_from(now / 100).unwrap()));
        }
        assert_eq!(seen.len(), all.len() as u64);
        let last = all.range((Minute(5), 0)..).count();
        assert!(seen.bytes() < last * 36 + all.len() * 3, "{} bytes", seen.bytes());
        assert_eq!(seen.forget_before(Minute(5)), (all.len() - last) as u64);
    }

    /// A minute frozen to a file, which is then given to `spoil`; what fails at the next click.
    fn fault(frozen: u64, spoil: impl FnOnce(&File)) -> String {
        let directory = tempfile::tempdir().unwrap();
        let shelf = FileShelf::open(directory.path()).unwrap();
        let (disk, faults) = (Rc::clone(&shelf.disk), Faults::default());
        let mut seen = SeenClicks::new(Box::new(shelf), faults.clone());
        let spread = u128::MAX / u128::from(frozen);
        (1..frozen).for_each(|number| _ = seen.of(Minute(0)).insert(u128::from(number) * spread));
        seen.freeze_before(Minute(1));
        assert_eq!(faults.first(), None);
        assert_eq!(seen.of(Minute(0)).insert(spread), Ok(false));
        spoil(&disk.file);
        assert_eq!(seen.of(Minute(0)).insert(spread), Err(Fault));
        assert_eq!(seen.of(Minute(9)).insert(9), Err(Fault));
        let told = faults.first().unwrap();
        let place = directory.path().display().to_string();
        assert!(told.contains(&place), "{told} does not name {place}");
        told.replace(&place, "DIR")
    }

    #[test]
    fn a_page_that_is_lost_is_a_fault() {
        assert_eq!(
            fault(10_000, |file| file.set_len(100).unwrap()),
            "cannot read seen clicks in DIR: failed to fill whole buffer"
        );
        let not_written = "cannot read seen clicks in DIR: a page is not what was written";
        let zeros = [0; PAGE_BYTES];
        assert_eq!(fault(10_000, |file| file.write_all_at(&zeros, 0).unwrap()), not_written);
        // Another page of the same row.
        let swap = |file: &File| {
            let mut bytes = [0; PAGE_BYTES];
            file.read_exact_at(&mut bytes, PAGE_BYTES as u64).unwrap();
            file.write_all_at(&bytes, 0).unwrap();
        };
        assert_eq!(fault(10_000, swap), not_written);
    }

    #[test]
    fn a_disk_that_takes_nothing_is_a_fault() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("read-only");
        fs::write(&path, "").unwrap();
        let (file, place) = (File::open(&path).unwrap(), directory.path().to_owned());
        let disk = Disk { file, directory: place, blocks: RefCell::default() };
        let shelf = FileShelf { disk: Rc::new(disk), rows: 0 };
        let faults = Faults::default();
        let mut seen = SeenClicks::new(Box::new(shelf), faults.clone());
        (1..1000).for_each(|identity| assert_eq!(seen.of(Minute(0)).insert(identity), Ok(true)));
        seen.freeze_before(Minute(1));
        assert_eq!(seen.of(Minute(0)).insert(1), Err(Fault));
        let begin = format!("cannot write seen clicks in {}: ", directory.path().display());
        assert!(faults.first().unwrap().starts_with(&begin));
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("missing");
        let failure = FileShelf::open(&missing).err().unwrap().to_string();
        assert_eq!(failure, format!("cannot keep seen clicks in {}", missing.display()));
    }
}
