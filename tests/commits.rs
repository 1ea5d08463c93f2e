//! How commits are cut: whole epochs, and no more than one transaction takes.

use std::fmt::Write;
use std::ops::Range;

use crate::support::binary::Place;

/// Bytes that are worth a commit; the epoch that reaches them belongs to it.
const COMMIT_BYTES: u64 = 32 << 20;

/// Ads that take turns, whose ids are as long as ids may be.
const ADS: u64 = 100;

/// One click in each epoch, after each of which a list is told.
fn clicks(range: Range<u64>) -> String {
    range.fold(String::new(), |mut lines, number| {
        let (ad, time) = (number % ADS, 1_767_268_800_000 + number * 100);
        writeln!(
            lines,
            r#"{{"ad_id":"{ad:0256}","click_timestamp":{time},"click_id":"{number}"}}"#
        )
        .unwrap();
        lines
    })
}

#[test]
fn commits_of_few_large_rows_are_cut_by_their_bytes() {
    let place = Place::new();
    let run = "run --input in --output out --job ads --follow --no-progress \
               --set job.refresh=100ms --set job.emit=changes --set job.windows=1";
    place.append("in/p0.jsonl", clicks(0..1800));
    let running = place.start(run);
    place.wait_for_records("ads", 1800);
    running.terminate();
    // What was cut comes out the same when it is read again.
    place.append("in/p0.jsonl", clicks(1800..1810));
    let running = place.start(run);
    place.wait_for_records("ads", 1810);
    running.terminate();

    let commits = place.commits("ads");
    let length = |number: usize| {
        let lengths = commits[number].lengths.unwrap();
        lengths.counts + lengths.ranks + lengths.rejects
    };
    assert!(length(commits.len() - 1) > COMMIT_BYTES, "it is too much for one commit");
    let epoch_bytes_max = ADS * 300 + 1000;
    for number in 1..commits.len() {
        let bytes = length(number) - length(number - 1);
        assert!(bytes < COMMIT_BYTES + epoch_bytes_max, "commit {number} has {bytes} bytes");
    }
    assert!(length(0) < COMMIT_BYTES + epoch_bytes_max);
    place.assert_verified("ads");
}
