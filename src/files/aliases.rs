//! Aliases in a directory: `ALIAS.alias.json` beside the ledgers.
//!
//! A file takes the place of the one before as a whole, so a reader finds the one or the other.

use std::path::{Path, PathBuf};

use crate::alias::Alias;
use crate::failure::{Attempt, Failure};
use crate::files::disk::Disk;

/// How the file of an alias ends, after its name.
const ALIAS: &str = ".alias.json";

/// The aliases of a directory.
#[derive(Clone, Copy)]
pub struct AliasFiles<'a> {
    /// The file system.
    pub disk: &'a dyn Disk,
    /// The directory.
    pub directory: &'a Path,
}

impl AliasFiles<'_> {
    /// All of them, by name.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read, or a file of it is no alias.
    pub fn all(self) -> Result<Vec<Alias>, Failure> {
        let attempt = || format!("cannot read the aliases in {}", self.directory.display());
        let mut names = Vec::new();
        for entry in std::fs::read_dir(self.directory).attempt(attempt)? {
            let name = entry.attempt(attempt)?.file_name();
            let alias = name.to_str().and_then(|name| name.strip_suffix(ALIAS));
            names.extend(alias.filter(|alias| !alias.is_empty()).map(str::to_owned));
        }
        names.sort();
        let aliases: Result<Vec<_>, _> = names.iter().map(|name| self.find(name)).collect();
        Ok(aliases?.into_iter().flatten().collect())
    }

    /// The one of this name, if it is there.
    ///
    /// # Errors
    ///
    /// When its file cannot be read, or is no alias.
    pub fn find(self, name: &str) -> Result<Option<Alias>, Failure> {
        let path = self.path(name);
        let attempt = || format!("cannot read {}", path.display());
        if self.disk.length(&path).attempt(attempt)?.is_none() {
            return Ok(None);
        }
        let mut text = Vec::new();
        self.disk.read(&path, 0).attempt(attempt)?.read_to_end(&mut text).attempt(attempt)?;
        Alias::read(name, &text, &path.display().to_string()).map(Some)
    }

    /// Keeps `alias`, in place of the one of its name.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn keep(self, alias: &Alias) -> Result<(), Failure> {
        let path = self.path(&alias.alias);
        let attempt = || format!("cannot write {}", path.display());
        // Two programs that do so at once do not write to the same file.
        let new = self.path(&format!("{}.{}", alias.alias, std::process::id()));
        let new = new.with_extension("new");
        if self.disk.length(&new).attempt(attempt)?.is_some() {
            self.disk.cut(&new, 0).attempt(attempt)?;
        }
        self.disk.append(&new, format!("{}\n", alias.line()).as_bytes()).attempt(attempt)?;
        self.disk.sync(&new).attempt(attempt)?;
        self.disk.rename(&new, &path).attempt(attempt)?;
        self.disk.sync_entries(self.directory).attempt(attempt)
    }

    /// Takes the one of this name away.
    ///
    /// # Errors
    ///
    /// When its file cannot be removed.
    pub fn remove(self, name: &str) -> Result<(), Failure> {
        let path = self.path(name);
        let attempt = || format!("cannot remove {}", path.display());
        self.disk.remove(&path).attempt(attempt)?;
        self.disk.sync_entries(self.directory).attempt(attempt)
    }

    fn path(self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}{ALIAS}"))
    }
}
