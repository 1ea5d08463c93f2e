//! The loop: read, step, commit; at the end, step and commit what is left.
//!
//! Nothing here knows whether records are live, or from where: live and replay differ in their
//! `Source`, and in where partitions start and end. The wall clock is read here and nowhere else.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clicks_dataflows::decode::Decoder;
use clicks_dataflows::faults::Faults;
use clicks_dataflows::gauge::Gauges;
use clicks_dataflows::graph::assemble;
use clicks_dataflows::keep_first::seen::SeenClicks;
use clicks_dataflows::keep_first::shelf::{InMemory, Shelf};
use clicks_dataflows::ledger::{Name, Totals};
use clicks_dataflows::options::Options;
use clicks_dataflows::partition::Start;
use clicks_dataflows::time::{Epoch, Millis};
use timely::worker::Worker;

use crate::commit::{Committer, Tolls};
use crate::config::Pace;
use crate::failure::Failure;
use crate::outbox::Outbox;
use crate::reader::{Reader, Turn};
use crate::sink::Sink;
use crate::source::{Ending, Source};
use crate::steer::{Agreed, Steer, Verdict};
use crate::watch::{Watch, Watched};

/// Milliseconds since the program started, by a clock that never goes back.
#[expect(clippy::disallowed_methods, reason = "this is the file that reads the clock")]
pub fn monotonic_ms() -> Millis {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let elapsed = START.get_or_init(Instant::now).elapsed().as_millis();
    Millis::try_from(elapsed).expect("a program runs for fewer milliseconds than u64")
}

/// Milliseconds since 1970 by the wall clock; no result depends on it.
#[expect(clippy::disallowed_methods, reason = "this is the file that reads the clock")]
pub fn wall_ms() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}

/// Makes a place for the clicks seen of settled minutes.
pub type MakeShelf = Arc<dyn Fn() -> Result<Box<dyn Shelf>, Failure> + Send + Sync>;

/// What all workers of a job run with.
pub struct Plan {
    /// What results mean.
    pub options: Options,
    /// What only steers.
    pub pace: Pace,
    /// Records taken of a partition at once.
    pub batch: usize,
    /// Decodes records of a partition that has no header.
    pub decoder: Decoder,
    /// The version and meaning that all processes must share.
    pub agreed: Agreed,
    /// What this process has found out before.
    pub verdict: Verdict,
    /// How the input ends.
    pub ending: Ending,
    /// Each partition is read until its clock reaches this, and rows up to it are told.
    pub until: Option<Epoch>,
    /// Makes the place where a worker keeps the clicks seen of settled minutes.
    pub shelf: MakeShelf,
    /// What has failed under a stage of a worker of this process.
    pub faults: Faults,
    /// Numbers of the graph.
    pub gauges: Gauges,
    /// Set when the program is to stop.
    pub stop: Arc<AtomicBool>,
    /// A monotonic clock in milliseconds.
    pub now: Arc<dyn Fn() -> Millis + Send + Sync>,
    /// How long a worker without work waits before it looks again.
    pub patience: Duration,
    /// Commits are at least this far apart, so that a replay makes few large ones.
    pub commit_every_ms: Millis,
}

/// What only the first worker has: the job's past, its results, and who watches.
pub struct Lead<'a> {
    /// Where each known partition begins, in the order of their numbers.
    pub starts: Vec<(Name, Start)>,
    /// Makes the commits.
    pub committer: Committer,
    /// Takes them.
    pub sink: &'a mut dyn Sink,
    /// Is shown how it goes.
    pub watch: &'a mut dyn Watch,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The input is complete, and the job is closed.
    Closed,
    /// Somebody wanted it to stop; the next run goes on.
    Stopped,
}

/// How one worker's run went.
#[derive(Clone, Debug)]
pub struct Went {
    /// How it ended.
    pub ended: Ended,
    /// Of the first worker, what it committed.
    pub led: Option<(Totals, Tolls)>,
}

impl Went {
    fn new(ended: Ended, lead: Option<&Lead<'_>>) -> Went {
        let led = lead.map(|lead| (lead.committer.totals(), lead.committer.tolls().clone()));
        Went { ended, led }
    }
}

/// Runs one worker until the input is complete or somebody stops it.
///
/// # Errors
///
/// When the source or the sink fails, or the workers do not agree.
pub fn run(
    worker: &mut Worker,
    source: &mut dyn Source,
    mut lead: Option<Lead<'_>>,
    plan: &Plan,
) -> Result<Went, Failure> {
    let mut steer = Steer::attach(worker);
    if !steer.join(worker, &plan.agreed, &plan.verdict)? {
        return Ok(Went::new(Ended::Stopped, None));
    }
    let shelf = (plan.shelf)().unwrap_or_else(|failure| {
        plan.faults.tell(failure.in_full());
        Box::new(InMemory)
    });
    let seen = SeenClicks::new(shelf, plan.faults.clone());
    let (ingest, mut outbox) = worker.dataflow_named("Clicks", |scope| {
        let (ingest, outputs) = assemble(scope, seen, &plan.options, &plan.gauges);
        (ingest, Outbox::attach(outputs, &plan.options))
    });
    let mut reader = Reader::new(worker, plan, steer, ingest);
    if let Some(lead) = &mut lead {
        reader.begin(lead, source);
    }
    let mut committed_at = 0;
    loop {
        let now = (plan.now)();
        if let Some(fault) = plan.faults.first() {
            reader.stop_for(Failure::new(fault));
        }
        let busy = match reader.turn(source, lead.as_mut(), outbox.open_from(), now) {
            Turn::Read(records) => records > 0,
            Turn::Halt => {
                if plan.faults.first().is_some() {
                    abandon(worker);
                }
                return Ok(Went::new(reader.halted()?, lead.as_ref()));
            }
        };
        if busy {
            worker.step();
        } else {
            worker.step_or_park(Some(plan.patience));
        }
        let Some(lead) = &mut lead else {
            match outbox.open_from() {
                None => return Ok(Went::new(Ended::Closed, None)),
                Some(_) => continue,
            }
        };
        let stopping = reader.stopping();
        let due = stopping || now >= committed_at + plan.commit_every_ms;
        match commit_closed(&mut outbox, lead, plan, due, stopping) {
            Ok(Committed::All) => return Ok(Went::new(Ended::Closed, Some(lead))),
            Ok(Committed::Some) => committed_at = now,
            Ok(Committed::Nothing) => {}
            Err(failure) => return Err(reader.fail(failure)),
        }
        let Lead { committer, watch, .. } = lead;
        reader.pause(committer.is_full());
        watch.show(&Watched::new(committer, &reader, outbox.open_from(), plan), now);
        reader.halt_if_stopping();
    }
}

/// Drops the graph: a stage that has failed keeps it from ever coming to its end.
fn abandon(worker: &mut Worker) {
    for dataflow in worker.installed_dataflows() {
        worker.drop_dataflow(dataflow);
    }
}

/// What came of a look at the closed epochs.
enum Committed {
    Nothing,
    Some,
    All,
}

/// One commit for all epochs that have closed: live that is one or few, in a replay many.
///
/// If somebody is `stopping`, it waits for the commit to be made.
fn commit_closed(
    outbox: &mut Outbox,
    lead: &mut Lead<'_>,
    plan: &Plan,
    due: bool,
    stopping: bool,
) -> Result<Committed, Failure> {
    let refresh_ms = plan.options.refresh_ms;
    let open = outbox.open_from();
    let closed = open.map_or(Epoch::MAX, |open| open.saturating_sub(1) / refresh_ms * refresh_ms);
    let mut closed = closed.min(plan.until.unwrap_or(Epoch::MAX));
    if plan.ending == Ending::Cut {
        // What is told at the last epoch that was read is not known before the end.
        let last = if open.is_none() { outbox.cut_at() } else { outbox.read_to() };
        closed = closed.min(last.saturating_sub(refresh_ms));
    }
    if open.is_none() {
        return close(outbox, lead, plan, closed, stopping);
    }
    let closed = take_closed(outbox, &mut lead.committer, closed)?;
    if stopping {
        lead.sink.finish()?;
    }
    let due = due || lead.committer.is_full();
    let ready = lead.sink.is_ready()?;
    if ready && due && !outbox.input_ended() && lead.committer.commit(closed, lead.sink)? {
        if stopping {
            lead.sink.finish()?;
        }
        return Ok(Committed::Some);
    }
    Ok(Committed::Nothing)
}

/// Closes the job once all before is committed: what is told after the end is one commit, whose
/// epoch is that of the last row.
fn close(
    outbox: &mut Outbox,
    lead: &mut Lead<'_>,
    plan: &Plan,
    closed: Epoch,
    stopping: bool,
) -> Result<Committed, Failure> {
    let Lead { committer, sink, .. } = lead;
    if stopping {
        sink.finish()?;
    } else if !sink.is_ready()? {
        return Ok(Committed::Nothing);
    }
    if committer.is_closed() {
        return Ok(Committed::All);
    }
    while let Some((epoch, learnt)) = outbox.take(closed) {
        committer.take(epoch, learnt)?;
    }
    let until = plan.until.unwrap_or(Epoch::MAX);
    let end = if plan.ending == Ending::Cut { until.min(outbox.cut_at()) } else { until };
    if let Some(held) = outbox.take_held(until) {
        committer.take(end, held)?;
    }
    committer.close(Some(end).filter(|end| *end < Epoch::MAX), *sink)?;
    if stopping {
        sink.finish()?;
    }
    Ok(Committed::Some)
}

/// Takes closed epochs, whole ones, until they are worth a commit; the epoch up to which all are
/// taken.
fn take_closed(
    outbox: &mut Outbox,
    committer: &mut Committer,
    closed: Epoch,
) -> Result<Epoch, Failure> {
    while !committer.is_full() {
        let Some((epoch, learnt)) = outbox.take(closed) else { return Ok(closed) };
        committer.take(epoch, learnt)?;
    }
    Ok(committer.taken())
}
