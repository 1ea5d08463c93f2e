//! The view: what is asked, and how it follows the result logs.
//!
//! ```text
//! rows ─▶ Follower ─▶ store                    under their epochs
//! a line of the ledger ─▶ standing, Moment ─▶  all who wait
//! ```

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use clicks_dataflows::filter::FilterId;
use clicks_dataflows::ledger::Commit;
use clicks_dataflows::time::{Epoch, MINUTE_MS, Millis, Minute};
use clicks_dataflows::told::{CountRow, RankRow, RejectRow, State};
use fjall::OwnedWriteBatch;
use tokio::sync::watch;

use crate::keys;
use crate::moment::{Changes, Moment, Rules};
use crate::store::{FORMAT, Standing, Store, StoreError, day_of};

/// Rows that are written together.
const BATCH: usize = 20_000;

/// What is asked.
pub struct View {
    /// The rows.
    pub store: Arc<Store>,
    /// What they mean.
    pub rules: Rules,
    /// The wall clock.
    pub clock: fn() -> Millis,
    moments: watch::Sender<Option<Arc<Moment>>>,
    is_current: AtomicBool,
    /// The job that is shown instead.
    successor: OnceLock<String>,
}

impl View {
    /// A view that speaks of nothing yet.
    pub fn new(store: Arc<Store>, rules: Rules, clock: fn() -> Millis) -> View {
        let moments = watch::Sender::new(None);
        let (is_current, successor) = (AtomicBool::new(false), OnceLock::new());
        View { store, rules, clock, moments, is_current, successor }
    }

    /// Whether it has told all that was committed when it began.
    pub fn is_current(&self) -> bool {
        self.is_current.load(Ordering::Relaxed)
    }

    /// Says that it has.
    pub fn set_current(&self) {
        self.is_current.store(true, Ordering::Relaxed);
    }

    /// The job that is shown instead, if one is.
    pub fn successor(&self) -> Option<&str> {
        self.successor.get().map(String::as_str)
    }

    /// Sends all who wait to the view of another job.
    pub fn retire(&self, successor: &str) {
        let _ = self.successor.set(successor.to_owned());
        self.moments.send_modify(|_| ());
    }

    /// How many wait for further moments.
    pub fn waiting(&self) -> usize {
        self.moments.receiver_count()
    }

    /// The last moment that was told whole; none before the first commit.
    pub fn moment(&self) -> Option<Arc<Moment>> {
        self.moments.borrow().clone()
    }

    /// All further moments, as they come.
    pub fn moments(&self) -> watch::Receiver<Option<Arc<Moment>>> {
        self.moments.subscribe()
    }

    /// The first minute that a row may be of which was told after `epoch`.
    pub fn first_changed(&self, epoch: Epoch) -> Minute {
        let options = &self.rules.options;
        let back = options.horizon_ms + options.lateness_ms + options.told_within() + MINUTE_MS;
        let widest = options.windows.iter().max().copied().unwrap_or_default();
        Minute::of(epoch.saturating_sub(back)).minus(widest)
    }

    /// Whether the job has the filter.
    pub fn has_filter(&self, filter: FilterId) -> bool {
        self.rules.options.filters.ids().any(|id| id == filter)
    }
}

/// What brings rows and commits to a view, in their order.
pub struct Follower {
    view: Arc<View>,
    /// How long minutes are kept after the newest.
    keep_ms: Option<Millis>,
    moment: Option<Moment>,
    from: Minute,
    batch: OwnedWriteBatch,
    changes: Changes,
}

impl Follower {
    /// Brings to `view` what its store does not hold yet.
    ///
    /// # Errors
    ///
    /// When the store is a view of another ledger, or fails.
    pub fn new(view: Arc<View>, keep_ms: Option<Millis>) -> Result<Follower, StoreError> {
        let standing = view.store.standing()?;
        if standing.as_ref().is_some_and(|standing| standing.opening != view.rules.opening) {
            return Err(view
                .store
                .damaged(format!("a view of another ledger than that of job {}", view.rules.job)));
        }
        let from = standing.map_or(Minute(0), |standing| standing.from);
        // It may have been left before all was let go.
        view.store.forget_before(from)?;
        let batch = view.store.batch();
        let changes = Changes::default();
        Ok(Follower { view, keep_ms, moment: None, from, batch, changes })
    }

    /// The number of the last commit whose rows are kept, with the digest of its line.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn standing(&self) -> Result<Option<Standing>, StoreError> {
        self.view.store.standing()
    }

    /// Takes a commit whose rows are kept.
    pub fn pass(&mut self, commit: Commit) {
        Moment::advance(&mut self.moment, commit, (self.view.clock)());
    }

    /// Shows what was passed.
    pub fn show(&mut self) {
        let changes = std::mem::take(&mut self.changes);
        let mut moment = self.moment.clone();
        if let Some(moment) = &mut moment {
            moment.changes = Arc::new(changes);
            moment.from = self.from;
        }
        self.view.moments.send_replace(moment.map(Arc::new));
    }

    /// Takes a row of the next commit.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn count(&mut self, row: CountRow) -> Result<(), StoreError> {
        if row.minute < self.from {
            return Ok(());
        }
        self.view.store.put_count(&row, &mut self.batch)?;
        if row.state == State::Correction {
            let line = serde_json::to_vec(&row).expect("a row is JSON");
            self.batch.insert(&self.view.store.corrections, keys::of_correction(&row), line);
        }
        self.changes.add_count(row);
        self.write_at(BATCH)
    }

    /// Takes a row of the next commit.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn list(&mut self, row: RankRow) -> Result<(), StoreError> {
        if row.minute < self.from {
            return Ok(());
        }
        self.view.store.put_list(&row, &mut self.batch)?;
        self.changes.add_list(row);
        self.write_at(BATCH)
    }

    /// Takes a row of the next commit, as it lies in its log.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn reject(&mut self, row: &RejectRow<'_>, line: &[u8]) -> Result<(), StoreError> {
        self.batch.insert(&self.view.store.rejects, keys::of_reject(row), line);
        self.write_at(BATCH)
    }

    /// Takes the commit of the rows before it, whose line has the SHA-256 `line`, and shows it.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn commit(&mut self, commit: Commit, line: String) -> Result<(), StoreError> {
        self.write_at(1)?;
        let before = self.moment.as_ref().map_or(0, |moment| moment.epoch);
        self.changes.close((before, commit.epoch.0));
        let number = commit.commit;
        self.pass(commit);
        let old = self.raise_from();
        let opening = self.view.rules.opening.clone();
        let standing = Standing { format: FORMAT, opening, commit: number, line, from: self.from };
        self.view.store.stand(&standing)?;
        self.show();
        // Whoever asks looks whether it is still kept after it has read.
        if old { self.view.store.forget_before(self.from) } else { Ok(()) }
    }

    /// Moves the first minute that is kept; whether there are days before it.
    fn raise_from(&mut self) -> bool {
        let Some((keep_ms, moment)) = self.keep_ms.zip(self.moment.as_ref()) else { return false };
        let day = day_of(Minute::of(moment.epoch.saturating_sub(keep_ms)));
        let old = day > self.from;
        self.from = self.from.max(day);
        old
    }

    fn write_at(&mut self, rows: usize) -> Result<(), StoreError> {
        if self.batch.len() < rows {
            return Ok(());
        }
        let batch = std::mem::replace(&mut self.batch, self.view.store.batch());
        self.view.store.write(batch)
    }
}
