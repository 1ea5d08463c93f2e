//! Where the view keeps its rows: a store embedded in the process, in a directory.
//!
//! It is a tree of sorted files (fjall): a settled minute brings hundreds of thousands of rows whose
//! ads lie all over, which a tree of pages (redb) would rewrite page by page. Each day of minutes is
//! a keyspace of its own, so that an old one goes at once.
//!
//! Rows are written under the epoch at which they were told, and the standing after them: what lies
//! beyond the standing is not asked for, and comes again, the same, after a crash.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use clicks_dataflows::time::{Epoch, MINUTE_MS, Minute};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, UserValue};
use serde::{Deserialize, Serialize};

use crate::keys;

/// Minutes of a day.
const DAY: u32 = 24 * 60;

/// The first minute of the day of `minute`.
pub(crate) fn day_of(minute: Minute) -> Minute {
    Minute(minute.0 / DAY * DAY)
}

/// The version of what is kept.
pub(crate) const FORMAT: u32 = 1;

const STANDING: &str = "standing";

/// Up to where the view has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The version of keys and values.
    pub format: u32,
    /// The SHA-256 of the line that opens the ledger.
    pub opening: String,
    /// The number of the last commit.
    pub commit: u64,
    /// The SHA-256 of its line.
    pub line: String,
    /// The first minute that is kept: rows of earlier ones were let go.
    pub from: Minute,
}

/// A store that cannot be used.
#[derive(Debug)]
pub enum StoreError {
    /// It fails at what was attempted.
    Failed {
        /// What was attempted.
        attempted: String,
        /// Why that cannot be.
        cause: fjall::Error,
    },
    /// What it holds is not what it must.
    Wrong(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Failed { attempted, .. } => f.write_str(attempted),
            StoreError::Wrong(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StoreError::Failed { cause, .. } => Some(cause),
            StoreError::Wrong(_) => None,
        }
    }
}

/// What was told of a key at an epoch.
pub(crate) struct Version {
    /// The minute that it is about.
    pub minute: Minute,
    /// When it was told.
    pub epoch: Epoch,
    /// What was told.
    pub value: UserValue,
}

/// A directory of sorted files.
pub struct Store {
    place: PathBuf,
    database: Database,
    /// The standing.
    job: Keyspace,
    /// Rejects, by when they were told.
    pub(crate) rejects: Keyspace,
    /// Corrected counts, by when they were told.
    pub(crate) corrections: Keyspace,
    days: RwLock<BTreeMap<u32, Keyspace>>,
}

impl Store {
    /// The store in `place`, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// When it cannot be opened, another process has it, or a later version has written it.
    pub fn open(place: &Path) -> Result<Store, StoreError> {
        let attempted = || format!("cannot open the store in {}", place.display());
        let failed = |cause| StoreError::Failed { attempted: attempted(), cause };
        let database = Database::builder(place).open().map_err(failed)?;
        let keyspace = |name: &str| database.keyspace(name, KeyspaceCreateOptions::default);
        let mut days = BTreeMap::new();
        for name in database.list_keyspace_names() {
            if let Some(day) = name.strip_prefix("day-").and_then(|day| day.parse().ok()) {
                days.insert(day, keyspace(&name).map_err(failed)?);
            }
        }
        let [job, rejects, corrections] = ["job", "rejects", "corrections"].map(keyspace);
        let store = Store {
            place: place.to_owned(),
            job: job.map_err(failed)?,
            rejects: rejects.map_err(failed)?,
            corrections: corrections.map_err(failed)?,
            database,
            days: RwLock::new(days),
        };
        store.standing().map(|_| store)
    }

    /// Where it lies.
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// Bytes on disk.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn bytes(&self) -> Result<u64, StoreError> {
        self.attempt("measure", self.database.disk_space())
    }

    /// Up to where rows are whole; none of a new store.
    ///
    /// # Errors
    ///
    /// When the store fails, or a later version has written it.
    pub fn standing(&self) -> Result<Option<Standing>, StoreError> {
        let Some(kept) = self.attempt("read", self.job.get(STANDING))? else { return Ok(None) };
        let wrong = |what: &str| {
            StoreError::Wrong(format!(
                "the store in {} {what}: remove it, and it is built anew",
                self.place.display()
            ))
        };
        let standing: Standing =
            serde_json::from_slice(&kept).map_err(|_| wrong("does not say how far it is"))?;
        if standing.format != FORMAT {
            return Err(wrong("was written by another version"));
        }
        Ok(Some(standing))
    }

    /// Rows that are to be written together.
    pub(crate) fn batch(&self) -> OwnedWriteBatch {
        self.database.batch()
    }

    /// Writes a batch.
    pub(crate) fn write(&self, batch: OwnedWriteBatch) -> Result<(), StoreError> {
        self.attempt("write to", batch.commit())
    }

    /// Says up to where all rows are written.
    pub(crate) fn stand(&self, standing: &Standing) -> Result<(), StoreError> {
        let text = serde_json::to_vec(standing).expect("a standing is JSON");
        self.attempt("write to", self.job.insert(STANDING, text))
    }

    /// The keyspace of the day of `minute`, which is made if it is not there.
    pub(crate) fn day(&self, minute: Minute) -> Result<Keyspace, StoreError> {
        let day = minute.0 / DAY;
        if let Some(keyspace) = self.days.read().unwrap_or_else(PoisonError::into_inner).get(&day) {
            return Ok(keyspace.clone());
        }
        let made = self.database.keyspace(&format!("day-{day}"), KeyspaceCreateOptions::default);
        let keyspace = self.attempt("write to", made)?;
        let mut days = self.days.write().unwrap_or_else(PoisonError::into_inner);
        Ok(days.entry(day).or_insert(keyspace).clone())
    }

    /// The days that have minutes of `from` to `to`, the latter excluded, the oldest first.
    pub(crate) fn days(&self, from: Minute, to: Minute) -> Vec<Keyspace> {
        if from >= to {
            return Vec::new();
        }
        let days = self.days.read().unwrap_or_else(PoisonError::into_inner);
        days.range(from.0 / DAY..=(to.0 - 1) / DAY).map(|(_, day)| day.clone()).collect()
    }

    /// The versions of a key in minutes, by minute and epoch.
    pub(crate) fn versions(
        &self,
        prefix: &[u8],
        minutes: &Range<Minute>,
    ) -> impl DoubleEndedIterator<Item = Result<Version, StoreError>> {
        let ends = [minutes.start, minutes.end].map(|minute| keys::version(prefix, minute, 0));
        let days = self.days(minutes.start, minutes.end).into_iter();
        days.flat_map(move |day| day.range(&ends[0][..]..&ends[1][..])).map(|entry| {
            let (key, value) = self.attempt("read", entry.into_inner())?;
            let at = keys::minute_and_epoch(&key);
            let (minute, epoch) = at.ok_or_else(|| self.damaged("a key that is none"))?;
            Ok(Version { minute, epoch, value })
        })
    }

    /// Lets go of the days that end before `minute`, and of what was told before it began.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn forget_before(&self, minute: Minute) -> Result<(), StoreError> {
        let first = minute.0 / DAY;
        let old = {
            let mut days = self.days.write().unwrap_or_else(PoisonError::into_inner);
            let kept = days.split_off(&first);
            std::mem::replace(&mut *days, kept)
        };
        if old.is_empty() {
            return Ok(());
        }
        for day in old.into_values() {
            self.attempt("remove a day of", self.database.delete_keyspace(day))?;
        }
        let end = (u64::from(first) * u64::from(DAY) * MINUTE_MS).to_be_bytes();
        for keyspace in [&self.rejects, &self.corrections] {
            let mut batch = self.batch();
            for entry in keyspace.range(..&end[..]) {
                batch.remove(keyspace, self.attempt("read", entry.key())?);
            }
            self.write(batch)?;
        }
        Ok(())
    }

    pub(crate) fn attempt<T>(&self, what: &str, done: fjall::Result<T>) -> Result<T, StoreError> {
        done.map_err(|cause| StoreError::Failed {
            attempted: format!("cannot {what} the store in {}", self.place.display()),
            cause,
        })
    }

    pub(crate) fn damaged(&self, what: impl fmt::Display) -> StoreError {
        StoreError::Wrong(format!(
            "the store in {} holds {what}: remove it, and it is built anew",
            self.place.display()
        ))
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("place", &self.place).finish_non_exhaustive()
    }
}
