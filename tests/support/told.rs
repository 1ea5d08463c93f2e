//! The ledger of a job that told what the oracle tells, cut into commits anywhere.

use std::fs;
use std::path::Path;

use clicks::files::results::log_path;
use clicks_dataflows::ledger::{Commit, Lengths, Opening, Totals};
use clicks_dataflows::time::Time;
use serde_json::json;

use crate::support::oracle::Oracle;
use crate::support::script::Settings;

/// The line that opens a job with these settings.
pub fn opening(job: &str, settings: &Settings) -> String {
    let length = |ms: u64| format!("{ms}ms");
    let filters: Vec<_> =
        settings.filters.iter().map(|filter| json!({ "id": filter.id })).collect();
    let meaning = json!({
        "refresh": length(settings.refresh_ms),
        "lateness": length(settings.lateness_ms),
        "horizon": length(settings.horizon_ms),
        "correct_every": length(settings.correct_every_ms),
        "emit": if settings.changes { "changes" } else { "final" },
        "filters": filters,
        "windows": settings.windows,
        "top": settings.top,
    });
    let (version, started) = ("1".to_owned(), Time(0));
    let job = job.to_owned();
    let opening = Opening { job, commit: 0, version, started, positions: Vec::new(), meaning };
    serde_json::to_string(&opening).unwrap()
}

/// Rows and lines of a ledger.
#[derive(Clone, Debug)]
pub struct Logs {
    /// Rows of `counts`, `ranks` and `rejects`.
    pub rows: [String; 3],
    /// The line that opens the job, and a line for each commit.
    pub ledger: Vec<String>,
}

impl Logs {
    /// Writes them, the ledger up to commit `commits`.
    pub fn write(&self, directory: &Path, job: &str, commits: usize) {
        for (log, rows) in ["counts", "ranks", "rejects"].into_iter().zip(&self.rows) {
            fs::write(log_path(directory, job, log), rows).unwrap();
        }
        let ledger = self.ledger[..=commits].join("\n") + "\n";
        fs::write(log_path(directory, job, "ledger"), ledger).unwrap();
    }
}

/// What `oracle` tells, committed up to each of `cuts`; closed if that is all.
pub fn logs(job: &str, settings: &Settings, oracle: &Oracle, cuts: &[u64]) -> Logs {
    let mut ledger = vec![opening(job, settings)];
    let mut rows = [const { String::new() }; 3];
    let mut after = 0;
    for (number, cut) in (1..).zip(cuts) {
        let told = [oracle.counts(), oracle.ranks(), oracle.rejects()].map(|log| {
            let new = log.iter().filter(|(epoch, _)| after < *epoch && epoch <= cut);
            new.map(|(_, row)| format!("{row}\n")).collect::<Vec<_>>()
        });
        let [counts, ranks, rejects] = [0, 1, 2].map(|log| {
            rows[log].extend(told[log].iter().map(String::as_str));
            told[log].len() as u64
        });
        let [of_counts, of_ranks, of_rejects] = [0, 1, 2].map(|log| rows[log].len() as u64);
        let totals = oracle.totals(*cut);
        let commit = Commit {
            job: job.to_owned(),
            commit: number,
            epoch: Time(*cut),
            positions: Vec::new(),
            marks: Vec::new(),
            reach: None,
            totals: Totals {
                records: totals.records,
                clicks: totals.clicks,
                duplicates: totals.duplicates,
                rejected: totals.rejected,
                skipped: totals.skipped,
                late: totals.late,
            },
            counts,
            ranks,
            rejects,
            lengths: Some(Lengths { counts: of_counts, ranks: of_ranks, rejects: of_rejects }),
            digest: String::new(),
            previous: String::new(),
            closed: *cut == oracle.closing_epoch(),
        };
        ledger.push(serde_json::to_string(&commit).unwrap());
        after = *cut;
    }
    Logs { rows, ledger }
}
