//! `clicks raw retain`: old segments move to a cheaper store, and the oldest are removed.

use std::fmt;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clicks_dataflows::time::{Millis, Time};
use clicks_replay::raw::{Kept, Partition, RawError, Retained, Tiered};

use crate::cli::RawRetain;
use crate::commands::stop_flag;
use crate::failpoint::reach;
use crate::failure::{Failure, Kind};
use crate::plural::some;
use crate::raw::{access, failed};
use crate::worker::wall_ms;

/// Goes through all partitions; exit code 3 if a segment is not as it should be.
///
/// # Errors
///
/// When it is refused, a store fails, or a segment stays because it is damaged.
pub fn retain(args: &RawRetain) -> Result<ExitCode, Failure> {
    if let Some(delete_after) = args.delete_after.filter(|age| *age <= args.hot) {
        return Err(Failure::refused(format!(
            "--delete-after {delete_after}: it is longer than --hot, which is {}",
            args.hot,
        )));
    }
    let now = wall_ms();
    let retained = Retained {
        access: &access()?,
        cold: args.cold.as_deref(),
        now: &Time(now).to_string(),
        dry: args.dry_run,
        reach,
    };
    let tiered = retained.open(&args.raw).map_err(failed)?;
    if tiered.cold().is_none() && args.delete_after.is_none() {
        return Err(Failure::refused(format!(
            "--cold: {} has no cold store yet; name one, or --delete-after",
            args.raw,
        )));
    }
    let stop = stop_flag()?;
    let mut run = Run { tiered, args, now, stop, all: Done::default(), faults: 0 };
    for (partition, segments) in run.tiered.partitions().map_err(failed)? {
        run.partition(&partition, &segments)?;
    }
    println!("{}: {}{}", run.tiered.root(), run.shown(&run.all), run.to());
    if run.faults == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    let faults = some(run.faults, "segment");
    let why = format!("{faults} of {} stopped what comes after in the partition", args.raw);
    Err(Failure::of(Kind::Differs, why))
}

/// What is being done to a raw log.
struct Run<'a> {
    tiered: Tiered,
    args: &'a RawRetain,
    now: Millis,
    stop: Arc<AtomicBool>,
    all: Done,
    faults: u64,
}

/// What was done, or would be.
#[derive(Clone, Copy, Default)]
struct Done {
    removed: Segments,
    moved: Segments,
}

/// Some segments.
#[derive(Clone, Copy, Default)]
struct Segments {
    count: u64,
    bytes: u64,
}

impl Run<'_> {
    /// Removes and moves what is old enough of a partition, up to what is damaged.
    fn partition(&mut self, partition: &Partition, segments: &[Kept]) -> Result<(), Failure> {
        let mut done = Done::default();
        let went = self.segments(segments, &mut done);
        self.all.add(&done);
        if done.removed.count + done.moved.count > 0 {
            println!("{partition}: {}{}", self.shown(&done), self.to());
        }
        match went {
            Err(error @ (RawError::Damaged { .. } | RawError::Unlike { .. })) => {
                self.faults += 1;
                println!("{error}");
                Ok(())
            }
            went => went.map_err(failed),
        }
    }

    fn segments(&self, segments: &[Kept], done: &mut Done) -> Result<(), RawError> {
        let before = |age: Millis| self.now.saturating_sub(age);
        let (ended, went) = match self.args.delete_after {
            Some(age) => self.tiered.ended(segments, before(age.0)),
            None => (0, Ok(())),
        };
        for kept in &segments[..ended] {
            if self.is_stopped() {
                return Ok(());
            }
            self.act("remove", kept, |tiered| tiered.remove(kept))?;
            done.removed.add(kept);
        }
        went?;
        let left = segments[ended..].split_last().map_or(&[][..], |(_, left)| left);
        let until = before(self.args.hot.0);
        let moves = left.iter().filter(|kept| self.tiered.cold().is_some() && kept.moves(until));
        for kept in moves {
            if self.is_stopped() {
                return Ok(());
            }
            self.act("move", kept, |tiered| tiered.shift(kept))?;
            done.moved.add(kept);
        }
        Ok(())
    }

    /// Does it, unless it is only to be said.
    fn act(
        &self,
        verb: &str,
        kept: &Kept,
        act: impl FnOnce(&Tiered) -> Result<(), RawError>,
    ) -> Result<(), RawError> {
        if !self.args.dry_run {
            act(&self.tiered)?;
        }
        if self.args.segments {
            let (name, bytes) = (self.tiered.name(kept), kept.listed.size);
            println!("{} {name} of {bytes} bytes", self.tense(verb));
        }
        Ok(())
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn tense(&self, verb: &str) -> String {
        match self.args.dry_run {
            true => format!("would {verb}"),
            false => format!("{}ed", verb.trim_end_matches('e')),
        }
    }

    fn shown(&self, done: &Done) -> String {
        let Done { removed, moved } = done;
        let (moves, removes) = (self.tense("move"), self.tense("remove"));
        match (self.args.delete_after.is_some(), self.tiered.cold().is_some()) {
            (true, true) => format!("{removes} {removed}, {moves} {moved}"),
            (true, false) => format!("{removes} {removed}"),
            (false, _) => format!("{moves} {moved}"),
        }
    }

    /// Where to.
    fn to(&self) -> String {
        self.tiered.cold().map_or(String::new(), |cold| format!(" to {cold}"))
    }
}

impl Done {
    fn add(&mut self, other: &Done) {
        for (ours, theirs) in [(&mut self.removed, other.removed), (&mut self.moved, other.moved)] {
            ours.count += theirs.count;
            ours.bytes += theirs.bytes;
        }
    }
}

impl Segments {
    fn add(&mut self, kept: &Kept) {
        self.count += 1;
        self.bytes += kept.listed.size;
    }
}

impl fmt::Display for Segments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} bytes", some(self.count, "segment"), self.bytes)
    }
}
