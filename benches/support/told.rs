//! What a side tells: the bytes of its result logs, digested and forgotten.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Empty};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use clicks::files::disk::Disk;
use xxhash_rust::xxh3::Xxh3;

/// What came of the clicks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// First copies.
    pub clicks: u64,
    /// Further copies.
    pub duplicates: u64,
    /// The log of counts.
    pub counts: Digest,
    /// The log of lists.
    pub ranks: Digest,
}

/// The bytes of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    /// How many.
    pub bytes: u64,
    /// XXH3 over them.
    pub hash: u128,
}

/// A log that is written: equal bytes have equal digests, however they are cut.
#[derive(Clone, Default)]
pub struct Digesting {
    bytes: u64,
    hash: Xxh3,
}

impl Digesting {
    /// Adds `bytes` at the end.
    pub fn append(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.hash.update(bytes);
    }

    /// What has been added.
    pub fn digest(&self) -> Digest {
        Digest { bytes: self.bytes, hash: self.hash.digest128() }
    }
}

/// A disk that digests what is written to it and keeps nothing.
#[derive(Clone, Default)]
pub struct DigestingDisk(Arc<Mutex<BTreeMap<PathBuf, Digesting>>>);

impl DigestingDisk {
    /// What a file has been given.
    pub fn digest(&self, path: &Path) -> Digest {
        self.with(|files| files.get(path).map(Digesting::digest)).unwrap_or_default()
    }

    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<PathBuf, Digesting>) -> T) -> T {
        work(&mut self.0.lock().expect("nothing panics while it writes"))
    }
}

impl Disk for DigestingDisk {
    fn length(&self, path: &Path) -> io::Result<Option<u64>> {
        Ok(self.with(|files| files.get(path).map(|file| file.bytes)))
    }

    fn read(&self, _: &Path, _: u64) -> io::Result<Box<dyn BufRead>> {
        Ok(Box::<Empty>::default())
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.with(|files| files.entry(path.to_path_buf()).or_default().append(bytes));
        Ok(())
    }

    fn cut(&self, _: &Path, length: u64) -> io::Result<()> {
        assert_eq!(length, 0, "a new job has nothing to cut off");
        Ok(())
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        unreachable!("a job renames nothing")
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        unreachable!("a job removes nothing")
    }

    fn sync(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_entries(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}
