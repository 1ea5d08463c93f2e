//! A directory of files as input: each file a partition, each line a record.
//!
//! A partition is named by its file, without its compression. Plain files may grow while they are
//! followed; compressed ones are complete.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clicks_dataflows::decode::{Format, Schema};
use clicks_dataflows::gauge::Gauge;
use clicks_dataflows::ledger::Name;
use clicks_dataflows::partition::Start;

use crate::failure::{Attempt, Failure};
use crate::files::follow::LineFile;
use crate::run::Input;
use crate::source::{Ending, Piece, Polled, Source};

/// How partitions end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// Where the files end when they are read.
    #[default]
    Complete,
    /// Never: lines may be appended, and files appear.
    Followed,
    /// At their lengths as they were found, or at given offsets, by the partition's name.
    At(BTreeMap<String, Until>),
}

impl Directory {
    /// As what a job reads, up to `end`.
    pub fn input(&self, end: End) -> Input {
        let directory = self.clone();
        Input {
            name: format!("{} (*.{})", self.path.display(), self.extension),
            ending: if end == End::Followed { Ending::Open } else { Ending::Complete },
            source: Arc::new(move || {
                Box::new(DirectorySource::new(directory.clone(), end.clone()))
            }),
        }
    }
}

/// Where a partition ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Before an offset.
    Offset(u64),
    /// At a length in bytes of its plain file.
    Bytes(u64),
}

/// Which files of a directory are partitions, and how their lines are taken.
#[derive(Clone, Debug)]
pub struct Directory {
    /// The directory.
    pub path: PathBuf,
    /// `jsonl` or `csv`.
    pub extension: &'static str,
    /// Whether a file's first line names the columns.
    pub header: bool,
    /// Bytes read of all files, as they lie on disk.
    pub read: Gauge,
}

impl Directory {
    /// The partitions in `path` as `schema` describes them.
    pub fn new(path: PathBuf, schema: &Schema) -> Directory {
        let (extension, header) = match &schema.format {
            Format::Json => ("jsonl", false),
            Format::Csv { columns } => ("csv", columns.is_none()),
        };
        Directory { path, extension, header, read: Gauge::default() }
    }

    /// The partitions, by name, with the files that hold them.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read, or two files are the same partition.
    pub fn partitions(&self) -> Result<BTreeMap<String, PathBuf>, Failure> {
        let attempt = || format!("cannot read the input directory {}", self.path.display());
        let mut found = BTreeMap::new();
        for entry in std::fs::read_dir(&self.path).attempt(attempt)? {
            let path = entry.attempt(attempt)?.path();
            let Some(name) = self.partition_name(&path) else { continue };
            if let Some(other) = found.insert(name.clone(), path.clone()) {
                return Err(Failure::refused(format!(
                    "{} and {} are the same partition {name}: remove one",
                    other.display(),
                    path.display(),
                )));
            }
        }
        Ok(found)
    }

    /// Bytes of all partitions, as they lie on disk.
    ///
    /// # Errors
    ///
    /// Those of [`Directory::partitions`].
    pub fn bytes(&self) -> Result<u64, Failure> {
        let paths = self.partitions()?.into_values();
        Ok(paths.filter_map(|path| path.metadata().ok()).map(|file| file.len()).sum())
    }

    fn partition_name(&self, path: &Path) -> Option<String> {
        let name = path.file_name()?.to_str()?;
        let plain = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(name);
        let stem = plain.strip_suffix(self.extension)?.strip_suffix('.')?;
        (!stem.is_empty() && path.is_file()).then(|| plain.to_owned())
    }
}

/// A directory of files as a source.
pub struct DirectorySource {
    directory: Directory,
    end: End,
    /// Partitions that have been discovered.
    known: BTreeSet<String>,
    /// The directory as it was last looked at.
    paths: BTreeMap<String, PathBuf>,
    files: BTreeMap<u32, LineFile>,
}

impl DirectorySource {
    /// The partitions of `directory`, up to `end`.
    pub fn new(directory: Directory, end: End) -> DirectorySource {
        let (known, paths, files) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new());
        DirectorySource { directory, end, known, paths, files }
    }

    /// Where the file `name` is, which is a partition with this number.
    fn path(&mut self, name: &str, partition: u32) -> Result<PathBuf, Failure> {
        if !self.paths.contains_key(name) {
            self.paths = self.directory.partitions()?;
        }
        self.paths.get(name).cloned().ok_or_else(|| {
            Failure::refused(format!(
                "{} is missing from {}: partition {partition} was read from it",
                name,
                self.directory.path.display(),
            ))
        })
    }

    /// The file that the partition `name` is.
    fn file<'a>(&self, name: &'a Name) -> Result<&'a String, Failure> {
        match name {
            Name::File(file) => Ok(file),
            Name::Partition { .. } => Err(Failure::refused(format!(
                "the job reads {name} of a topic: --input {} is a directory",
                self.directory.path.display(),
            ))),
        }
    }
}

impl Source for DirectorySource {
    fn discover(&mut self) -> Result<Vec<Name>, Failure> {
        if !self.known.is_empty() && self.end != End::Followed {
            return Ok(Vec::new());
        }
        self.paths = self.directory.partitions()?;
        let names = self.paths.keys().filter(|name| match &self.end {
            End::At(ends) => ends.contains_key(*name),
            End::Complete | End::Followed => true,
        });
        let new = names.filter(|name| self.known.insert((*name).clone()));
        Ok(new.cloned().map(Name::File).collect())
    }

    fn first(&mut self, name: &Name) -> Result<u64, Failure> {
        self.file(name).map(|_| 0)
    }

    fn check(&mut self, name: &Name, start: &Start) -> Result<(), Failure> {
        let name = self.file(name)?;
        self.path(name, start.partition).map(|_| ())
    }

    fn open(&mut self, name: &Name, start: &Start) -> Result<(), Failure> {
        let partition = start.partition;
        let name = self.file(name)?;
        let path = self.path(name, partition)?;
        let until = match &self.end {
            End::At(ends) => ends.get(name).copied(),
            End::Complete | End::Followed => None,
        };
        let followed = self.end == End::Followed;
        let mut file = LineFile::open(&path, &self.directory, followed, until)?;
        file.skip_to(start.offset)?;
        self.files.insert(partition, file);
        Ok(())
    }

    fn poll(
        &mut self,
        partition: u32,
        limit: usize,
        take: &mut dyn FnMut(Piece<'_>),
    ) -> Result<Polled, Failure> {
        self.files.get_mut(&partition).expect("a polled partition is open").poll(limit, take)
    }
}
