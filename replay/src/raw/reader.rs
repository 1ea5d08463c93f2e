//! A partition of a raw log as it is read: segment after segment, without waiting.
//!
//! ```text
//! footer on its way ─▶ row groups on their way, a few ahead ─▶ rows
//! ```

use std::collections::VecDeque;
use std::sync::Arc;

use super::catalog::Listed;
use super::error::RawError;
use super::segment::{Footer, Rows, Segment, TAIL_BYTES, Wanted};
use super::store::{Fetch, Store};

/// Row groups that are on their way, or wait to be read.
const AHEAD: usize = 2;

/// A partition that is read from an offset on.
pub struct Reading {
    store: Store,
    wanted: Wanted,
    /// Segments whose footers have not been asked for.
    segments: VecDeque<Listed>,
    /// The footer that is on its way.
    footer: Option<(Listed, Fetch)>,
    /// The segment whose groups are asked for, and the next of them.
    open: Option<(Arc<Segment>, usize)>,
    groups: VecDeque<(Arc<Segment>, usize, Fetch)>,
    /// Records before this offset are passed over.
    from: u64,
    /// Where the next segment must begin, once one was read.
    follows: Option<u64>,
}

/// What there is to read.
pub enum Step {
    /// Rows, of which the first may lie before the offset that was asked for.
    Rows(Box<Rows>),
    /// They are on their way.
    Waiting,
    /// Nothing more; the next offset would be this.
    End(u64),
}

impl Reading {
    /// Reads `segments`, which are all of a partition in their order, from the offset `from` on.
    ///
    /// # Errors
    ///
    /// When they begin after `from`.
    pub fn new(
        store: &Store,
        segments: &[Listed],
        from: u64,
        wanted: Wanted,
    ) -> Result<Reading, RawError> {
        let before = segments.partition_point(|listed| listed.place.first <= from);
        if let (0, Some(listed)) = (before, segments.first()) {
            return Err(RawError::Place(format!(
                "{} in {}: offset {from} is needed, but {} is the first that is there",
                listed.place.partition,
                store.root(),
                listed.place.first,
            )));
        }
        Ok(Reading {
            store: store.clone(),
            wanted,
            segments: segments[before.saturating_sub(1)..].iter().cloned().collect(),
            footer: None,
            open: None,
            groups: VecDeque::new(),
            from,
            follows: None,
        })
    }

    /// What comes next.
    ///
    /// # Errors
    ///
    /// When a segment cannot be read, is damaged, or does not follow the one before.
    pub fn step(&mut self) -> Result<Step, RawError> {
        self.ask()?;
        let Some((_, _, fetch)) = self.groups.front_mut() else {
            let waiting = self.footer.is_some() || self.open.is_some();
            return Ok(match waiting {
                true => Step::Waiting,
                false => Step::End(self.follows.unwrap_or(self.from).max(self.from)),
            });
        };
        let Some(bytes) = fetch.poll() else { return Ok(Step::Waiting) };
        let (segment, group, _) = self.groups.pop_front().expect("it was at the front");
        let rows = segment.rows(group, self.wanted, bytes?)?;
        self.ask()?;
        Ok(Step::Rows(Box::new(rows)))
    }

    /// Asks for what is next, so that enough is on its way.
    fn ask(&mut self) -> Result<(), RawError> {
        while self.groups.len() < AHEAD {
            if let Some((segment, group)) = &mut self.open {
                if *group == segment.groups() {
                    self.open = None;
                    continue;
                }
                if segment.last_of(*group).is_none_or(|last| last >= self.from) {
                    let ranges = segment.ranges(*group, self.wanted);
                    let fetch = self.store.fetch(&segment.facts.place().path(), ranges);
                    self.groups.push_back((Arc::clone(segment), *group, fetch));
                }
                *group += 1;
            } else if let Some((listed, mut fetch)) = self.footer.take() {
                let Some(tail) = fetch.poll() else {
                    self.footer = Some((listed, fetch));
                    break;
                };
                let file = self.store.name(&listed.place.path());
                match Segment::of(&listed, &tail?[0], &file)? {
                    Footer::Whole(segment) => {
                        self.follow(&segment)?;
                        self.open = Some((Arc::from(segment), 0));
                    }
                    Footer::Needs(bytes) => {
                        let fetch = self.tail(&listed, bytes)?;
                        self.footer = Some((listed, fetch));
                    }
                }
            } else if let Some(listed) = self.segments.pop_front() {
                let fetch = self.tail(&listed, TAIL_BYTES)?;
                self.footer = Some((listed, fetch));
            } else {
                break;
            }
        }
        Ok(())
    }

    /// Takes note of a segment, which must follow the one before.
    fn follow(&mut self, segment: &Segment) -> Result<(), RawError> {
        let first = segment.facts.first;
        if let Some(next) = self.follows.replace(segment.facts.last + 1)
            && next != first
        {
            return Err(RawError::Place(missing(&segment.file, next, first)));
        }
        Ok(())
    }

    fn tail(&self, listed: &Listed, bytes: u64) -> Result<Fetch, RawError> {
        let range = listed.tail(bytes, &self.store)?;
        Ok(self.store.fetch(&listed.place.path(), vec![range]))
    }
}

/// Says that the segment in `file` does not begin where the one before it ended.
pub(super) fn missing(file: &str, next: u64, first: u64) -> String {
    match first > next {
        true => format!(
            "offsets {next} to {} are missing before {file}: bring their segments back, or archive \
             them again while their topic has them",
            first - 1,
        ),
        false => format!(
            "offsets {first} to {} before {file} are in the segment before it too: `clicks raw \
             check` says more",
            next - 1,
        ),
    }
}
