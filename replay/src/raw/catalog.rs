//! Which segments there are.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use object_store::ObjectMeta;
use object_store::path::Path;

use super::error::RawError;
use super::facts::Facts;
use super::layout::{Partition, Place};
use super::seal::no_footer;
use super::segment::{Footer, Segment, TAIL_BYTES};
use super::store::Store;
use super::tiers::is_hidden;

/// The segments of a raw log, by partition, in the order of their offsets.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// Of each partition.
    pub partitions: BTreeMap<Partition, Vec<Listed>>,
    /// Files that are no segments.
    pub foreign: Vec<Path>,
}

/// A segment that is there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// Which it is.
    pub place: Place,
    /// Bytes of its file.
    pub size: u64,
}

impl Catalog {
    /// The segments in `store`, of all topics or of one.
    ///
    /// Files and directories whose names begin with `_` or `.` are passed over, as others do.
    ///
    /// # Errors
    ///
    /// When the store does not tell.
    pub fn read(store: &Store, topic: Option<&str>) -> Result<Catalog, RawError> {
        let under = topic.map(|topic| Path::from_iter([format!("topic={topic}")]));
        Ok(Catalog::of(store.list(under.as_ref())?))
    }

    pub(super) fn of(files: Vec<ObjectMeta>) -> Catalog {
        let mut catalog = Catalog::default();
        for file in files.into_iter().filter(|file| !is_hidden(&file.location)) {
            match Place::of(&file.location) {
                Some(place) => {
                    let segments = catalog.partitions.entry(place.partition.clone()).or_default();
                    segments.push(Listed { place, size: file.size });
                }
                None => catalog.foreign.push(file.location),
            }
        }
        for segments in catalog.partitions.values_mut() {
            segments.sort_by_key(|listed| (listed.place.first, listed.place.hour));
        }
        catalog.foreign.sort();
        catalog
    }

    /// Refuses files that do not belong there.
    ///
    /// # Errors
    ///
    /// Names a foreign file, or two segments that begin at one offset.
    pub fn check(&self, store: &Store) -> Result<(), RawError> {
        if let Some(path) = self.foreign.first() {
            return Err(RawError::Place(format!(
                "{} is no segment: move it away, or put a `_` before its name",
                store.name(path),
            )));
        }
        for pair in self.partitions.values().flat_map(|segments| segments.windows(2)) {
            let [one, other] = pair else { continue };
            if one.place.first == other.place.first {
                return Err(RawError::Place(format!(
                    "{} and {} begin at the same offset: `clicks raw check` says which is right",
                    store.name(&one.place.path()),
                    store.name(&other.place.path()),
                )));
            }
        }
        Ok(())
    }

    /// What the last segment of each partition says, in the order of partitions.
    ///
    /// # Errors
    ///
    /// When a footer cannot be read, or is damaged.
    pub fn lasts(&self, store: &Store) -> Result<Vec<Facts>, RawError> {
        let lasts = self.partitions.values().filter_map(|segments| segments.last().cloned());
        store.each(lasts.collect(), |store, last: Listed| Ok(last.open(store)?.facts))
    }

    /// The topics, by name.
    pub fn topics(&self) -> Vec<&str> {
        let mut topics: Vec<&str> = self.partitions.keys().map(|p| p.topic.as_str()).collect();
        topics.dedup();
        topics
    }
}

impl Listed {
    /// Where the last bytes of its file are.
    ///
    /// # Errors
    ///
    /// When it is empty.
    pub(super) fn tail(&self, bytes: u64, store: &Store) -> Result<Range<u64>, RawError> {
        match self.size {
            0 => Err(no_footer(&store.name(&self.place.path()))),
            size => Ok(size.saturating_sub(bytes)..size),
        }
    }

    /// What the footer of a `whole` file says, which is called `file`.
    ///
    /// # Errors
    ///
    /// When it is damaged.
    pub(super) fn facts_of(&self, whole: &Bytes, file: &str) -> Result<Facts, RawError> {
        match Segment::of(self, whole, file)? {
            Footer::Whole(segment) => Ok(segment.facts),
            Footer::Needs(_) => Err(no_footer(file)),
        }
    }

    /// What its footer says.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is damaged.
    pub fn open(&self, store: &Store) -> Result<Segment, RawError> {
        let path = self.place.path();
        let read = |bytes: u64| store.range(&path, self.tail(bytes, store)?);
        let footer = |tail: &Bytes| Segment::of(self, tail, &store.name(&path));
        match footer(&read(TAIL_BYTES)?)? {
            Footer::Whole(segment) => Ok(*segment),
            Footer::Needs(bytes) => match footer(&read(bytes)?)? {
                Footer::Whole(segment) => Ok(*segment),
                Footer::Needs(bytes) => Err(RawError::damaged(
                    store.name(&path),
                    format!("its footer would have more than {bytes} bytes"),
                )),
            },
        }
    }
}
