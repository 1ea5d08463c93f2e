//! Old segments move to the cold store, and the oldest are removed.
//!
//! ```text
//! read from hot ─▶ its seal holds ─▶ put in cold, if not there ─▶ read back, the same ─▶ gone from hot
//! ```
//!
//! Wherever that dies, a segment lies whole in one place at least, and the next run goes on: what
//! is in cold already is compared, and leaves hot. The last segment of a partition stays where it
//! is: it says where an archive goes on.

use clicks_dataflows::time::Millis;
use object_store::path::Path;

use super::access::Access;
use super::bond::{Binding, Bound};
use super::catalog::{Catalog, Listed};
use super::check::look;
use super::error::RawError;
use super::layout::{Hour, Partition, Place};
use super::seal::check_seal;
use super::store::{Put, Store};
use super::tiers::union;

/// Bytes that are read back together.
const PIECE: usize = 16 << 20;

/// A raw log in hot and cold.
pub struct Tiered {
    hot: Store,
    cold: Option<Bound>,
    reach: fn(&str),
}

/// A segment that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Which it is.
    pub listed: Listed,
    /// Whether it lies in hot.
    hot: bool,
    /// Whether it lies in cold.
    cold: bool,
}

/// How a raw log is opened to retain it.
pub struct Retained<'a> {
    /// How stores are reached.
    pub access: &'a Access,
    /// The cold store, if it is not the one that the raw log names.
    pub cold: Option<&'a str>,
    /// The time, in words.
    pub now: &'a str,
    /// Whether nothing may be written.
    pub dry: bool,
    /// Told each step.
    pub reach: fn(&str),
}

impl Retained<'_> {
    /// The raw log at `root`, bound to its cold store.
    ///
    /// # Errors
    ///
    /// When it is no raw log, or the cold store cannot be its own.
    pub fn open(&self, root: &str) -> Result<Tiered, RawError> {
        let hot = Store::tier(root, "RAW", self.access)?;
        if !hot.has(|path| Place::of(path).is_some())? {
            return Err(RawError::Place(format!("{root} holds no segments: it is no raw log")));
        }
        let Retained { access, now, dry, reach, .. } = *self;
        let cold = Binding { hot: &hot, access, now, dry, reach }.bind(self.cold)?;
        Ok(Tiered { hot, cold, reach })
    }
}

impl Tiered {
    /// Where the raw log is, in words.
    pub fn root(&self) -> &str {
        self.hot.root()
    }

    /// Where its cold store is, in words, if it has one.
    pub fn cold(&self) -> Option<&str> {
        self.cold.as_ref().map(|bound| bound.root.as_str())
    }

    fn cold_store(&self) -> Option<&Store> {
        self.cold.as_ref().and_then(|bound| bound.store.as_ref())
    }

    /// Its segments by partition, in the order of their offsets.
    ///
    /// # Errors
    ///
    /// When they are not told, or there are files that do not belong there.
    pub fn partitions(&self) -> Result<Vec<(Partition, Vec<Kept>)>, RawError> {
        let hot = self.hot.list(None)?;
        let cold = self.cold_store().map_or(Ok(Vec::new()), |cold| cold.list(None))?;
        let paths = |files: &[object_store::ObjectMeta]| {
            let mut paths: Vec<Path> = files.iter().map(|file| file.location.clone()).collect();
            paths.sort();
            paths
        };
        let (in_hot, in_cold) = (paths(&hot), paths(&cold));
        let catalog = Catalog::of(union(hot, cold));
        catalog.check(&self.hot)?;
        let kept = |listed: Listed| {
            let path = listed.place.path();
            let lies = |paths: &[Path]| paths.binary_search(&path).is_ok();
            Kept { hot: lies(&in_hot), cold: lies(&in_cold), listed }
        };
        let partitions = catalog.partitions.into_iter();
        Ok(partitions.map(|(name, all)| (name, all.into_iter().map(kept).collect())).collect())
    }

    /// The file of a segment, in words.
    pub fn name(&self, kept: &Kept) -> String {
        let store = if kept.hot { Some(&self.hot) } else { self.cold_store() };
        store.unwrap_or(&self.hot).name(&kept.listed.place.path())
    }

    /// How many of the first of `segments` ended before `time`; never the last of them.
    ///
    /// Where neither log times nor a clock say so, its path is a guess: such a segment has ended
    /// when one after it has.
    ///
    /// # Errors
    ///
    /// When a footer cannot be read, or is damaged: with how many there are before it.
    pub fn ended(&self, segments: &[Kept], time: Millis) -> (usize, Result<(), RawError>) {
        let mut ended = 0;
        let all = segments.split_last().map_or(segments, |(_, before)| before);
        for (at, kept) in (1..).zip(all) {
            let store = if kept.hot { Some(&self.hot) } else { self.cold_store() };
            let facts = match kept.listed.open(store.expect("it lies there")) {
                Ok(segment) => segment.facts,
                Err(error) => return (ended, Err(error)),
            };
            if !facts.hour_is_known() {
                continue;
            }
            if !kept.listed.place.hour.ended_before(time) {
                break;
            }
            ended = at;
        }
        (ended, Ok(()))
    }

    /// Removes a segment, wherever it lies.
    ///
    /// # Errors
    ///
    /// When it cannot be deleted.
    pub fn remove(&self, kept: &Kept) -> Result<(), RawError> {
        let path = kept.listed.place.path();
        if kept.hot {
            self.hot.delete(&path)?;
            (self.reach)("segment-removed");
        }
        if let Some(cold) = self.cold_store().filter(|_| kept.cold) {
            cold.delete(&path)?;
        }
        (self.reach)("segment-removed");
        Ok(())
    }

    /// Moves a segment from hot to cold.
    ///
    /// # Errors
    ///
    /// When it is damaged, another is in cold, or a store fails.
    pub fn shift(&self, kept: &Kept) -> Result<(), RawError> {
        let cold = self.cold_store().expect("there is a cold store");
        let path = kept.listed.place.path();
        let (file, there) = (self.hot.name(&path), cold.name(&path));
        let unlike = || RawError::Unlike { cold: there.clone(), hot: file.clone() };
        let Some(bytes) = self.hot.find(&path)? else {
            // Another run has moved it.
            return look(cold, &kept.listed, true).map(drop);
        };
        check_seal(&bytes, &file)?;
        kept.listed.facts_of(&bytes, &file)?;
        (self.reach)("segment-read");
        if cold.put_new(&path, bytes.clone())? == Put::Other {
            return Err(unlike());
        }
        (self.reach)("segment-copied");
        if cold.size(&path)? != Some(bytes.len() as u64) {
            return Err(unlike());
        }
        for (piece, from) in bytes.chunks(PIECE).zip((0..).step_by(PIECE)) {
            let from: u64 = from;
            if cold.range(&path, from..from + piece.len() as u64)? != piece {
                return Err(unlike());
            }
        }
        cold.settle(&path)?;
        (self.reach)("segment-compared");
        self.hot.delete(&path)?;
        (self.reach)("segment-moved");
        Ok(())
    }
}

impl Kept {
    /// Whether it is to move, if what ended before `time` is: it lies in hot.
    pub fn moves(&self, time: Millis) -> bool {
        self.hot && self.listed.place.hour.ended_before(time)
    }
}

impl Hour {
    /// Whether it had ended at `time`.
    fn ended_before(self, time: Millis) -> bool {
        Hour(self.0 + 1).start() <= time
    }
}
