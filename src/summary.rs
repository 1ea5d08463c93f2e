//! How a run went, for people: the lines at its end.

use clicks_dataflows::click::Reason;
use clicks_dataflows::ledger::Totals;
use clicks_dataflows::partition::Behind;
use clicks_dataflows::time::{MINUTE_MS, Millis};

use crate::commit::Tolls;
use crate::duration::Duration;
use crate::past::Past;
use crate::plural::some;
use crate::worker::Ended;

/// How a run went.
#[derive(Clone, Debug)]
pub struct Summary {
    /// How it ended.
    pub ended: Ended,
    /// Whether the job had been closed before.
    pub was_closed: bool,
    /// Whether this process made the commits.
    pub led: bool,
    /// The job's totals.
    pub totals: Totals,
    /// The job's totals before this run.
    pub before: Totals,
    /// What this run brought.
    pub tolls: Tolls,
}

impl Summary {
    /// The summary of a run of `job` that took so long, line by line.
    pub fn lines(&self, job: &str, took_ms: Millis) -> Vec<String> {
        if self.was_closed {
            return vec![format!(
                "job {job} is closed: its input was complete, and has not changed"
            )];
        }
        if !self.led {
            return vec![format!("job {job}: this process is done; process 0 tells how it went")];
        }
        let how = match self.ended {
            Ended::Closed => "is complete",
            Ended::Stopped => "has stopped; the next run goes on",
        };
        let mut lines = vec![format!("job {job} {how}"), self.records()];
        let Tolls { rows: [counts, ranks, rejects], commits, .. } = &self.tolls;
        lines.push(format!(
            "  {} rows: {counts} counts, {ranks} ranks, {rejects} rejects, in {}",
            counts + ranks + rejects,
            some(*commits, "commit"),
        ));
        let seconds = took_ms.max(1) as f64 / 1000.0;
        let clicks = self.totals.clicks - self.before.clicks;
        lines.push(format!("  {seconds:.1} s, {:.0} clicks/s", clicks as f64 / seconds));
        lines.extend(self.warnings().into_iter().map(|warning| format!("warning: {warning}")));
        lines
    }

    /// The records of this run by what became of them.
    fn records(&self) -> String {
        let Summary { totals, before, tolls, .. } = self;
        let reasons = tolls.rejected.iter().map(|(reason, count)| format!("{count} {reason}"));
        let reasons = reasons.collect::<Vec<String>>().join(", ");
        let reasons = if reasons.is_empty() { reasons } else { format!(" ({reasons})") };
        format!(
            "  {} records: {} clicks, {} duplicates, {} rejected{reasons}, {} skipped; {} late",
            totals.records - before.records,
            totals.clicks - before.clicks,
            totals.duplicates - before.duplicates,
            totals.rejected - before.rejected,
            totals.skipped - before.skipped,
            totals.late - before.late,
        )
    }

    /// What people should look at.
    fn warnings(&self) -> Vec<String> {
        let records = self.totals.records - self.before.records;
        let mut warnings = Vec::new();
        let duplicates = self.totals.duplicates - self.before.duplicates;
        if duplicates * 20 > records {
            warnings.push(format!(
                "{duplicates} of {records} records are duplicates: if clicks that differ are \
                 taken for one, give them a click_id, or set job.identity"
            ));
        }
        let too_late = self.tolls.rejected.get(Reason::TooLate.as_str()).copied().unwrap_or(0);
        if let Some((Behind { ms, moved_by }, name)) = &self.tolls.behind
            && too_late * 100 > records
        {
            let horizon = Duration((ms / MINUTE_MS + 1) * MINUTE_MS);
            warnings.push(format!(
                "{too_late} of {records} records are too late: the record at offset {moved_by} of \
                 {name} moved the clock; a horizon of {horizon} takes them all"
            ));
        }
        if self.tolls.own > 0 {
            warnings.push(format!(
                "{} clicks have neither click_id nor both user_id and ip: copies of them cannot \
                 be told, and each counts",
                self.tolls.own
            ));
        }
        warnings
    }

    /// A job that had been closed.
    pub fn closed_before(past: &Past) -> Summary {
        Summary {
            ended: Ended::Closed,
            was_closed: true,
            led: true,
            totals: past.totals(),
            before: past.totals(),
            tolls: Tolls::default(),
        }
    }

    /// A process that made no commits.
    pub fn follower(before: Totals) -> Summary {
        Summary {
            ended: Ended::Stopped,
            was_closed: false,
            led: false,
            totals: before,
            before,
            tolls: Tolls::default(),
        }
    }
}
