//! The results are those of the oracle, whatever the workers, the batches and the order of reading.

use clicks_dataflows::options::Engine;
use proptest::prelude::*;

use crate::support::cases;
use crate::support::oracle::{self, Oracle, Totals};
use crate::support::run::{Committed, How, PLAIN};
use crate::support::scripts::scripts;

/// Asserts that `committed` is what `oracle` tells, to the byte, up to the last commit.
pub fn assert_told(committed: &Committed, oracle: &Oracle) {
    let last = committed.last().epoch.0;
    let upto = |rows: &[(u64, String)]| -> Vec<String> {
        rows.iter().filter(|(epoch, _)| *epoch <= last).map(|(_, row)| row.clone()).collect()
    };
    assert_eq!(committed.counts, upto(oracle.counts()), "counts");
    assert_eq!(committed.ranks, upto(oracle.ranks()), "ranks");
    let rejects: Vec<String> =
        committed.rejects.iter().map(|row| oracle::without_detail(row)).collect();
    assert_eq!(rejects, upto(oracle.rejects()), "rejects");
    let mut done = [0; 3];
    for commit in &committed.ledger {
        let totals = Totals {
            records: commit.totals.records,
            clicks: commit.totals.clicks,
            duplicates: commit.totals.duplicates,
            rejected: commit.totals.rejected,
            skipped: commit.totals.skipped,
            late: commit.totals.late,
        };
        assert_eq!(totals, oracle.totals(commit.epoch.0), "totals at {}", commit.epoch);
        let mut rows = Vec::new();
        let logs = [&committed.counts, &committed.ranks, &committed.rejects];
        let counted = [commit.counts, commit.ranks, commit.rejects];
        for ((log, done), count) in logs.into_iter().zip(&mut done).zip(counted) {
            let count = usize::try_from(count).unwrap();
            rows.extend(log[*done..*done + count].iter().map(String::as_str));
            *done += count;
        }
        assert_eq!(commit.digest, oracle::digest(rows), "digest at {}", commit.epoch);
        assert_eq!(
            commit.reach.map(|reach| reach.0),
            oracle.reach(commit.epoch.0),
            "reach at {}",
            commit.epoch
        );
    }
}

/// The same of an input that is complete: everything is told, and the job is closed.
pub fn assert_complete(committed: &Committed, oracle: &Oracle) {
    assert_told(committed, oracle);
    let last = committed.last();
    assert!(last.closed);
    assert_eq!(last.epoch.0, oracle.closing_epoch());
    let positions: Vec<_> = last
        .positions
        .iter()
        .map(|p| (p.partition, p.offset, p.clock.0, p.jump.map(|jump| jump.0)))
        .collect();
    assert_eq!(positions, oracle.positions(last.epoch.0));
}

fn hows() -> impl Strategy<Value = How> {
    let batches = prop_oneof![Just(1usize), 2..7usize, Just(4096)];
    let engines = prop_oneof![Just(Engine::Fast), Just(Engine::Simple)];
    let how = (1usize..=4, batches, any::<bool>(), 0u64..100, engines);
    how.prop_map(|(workers, batch, reversed, commit_every_ms, engine)| How {
        workers,
        batch,
        reversed,
        commit_every_ms,
        engine,
    })
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn one_worker_tells_what_the_oracle_tells(script in scripts()) {
        let oracle = oracle::tell(&script, &[]);
        for engine in [Engine::Fast, Engine::Simple] {
            assert_complete(&script.run_as(How { engine, ..PLAIN }), &oracle);
        }
    }

    #[test]
    fn workers_batches_and_order_decide_nothing(script in scripts(), how in hows()) {
        assert_complete(&script.run_as(how), &oracle::tell(&script, &[]));
    }
}
