//! Partitions of which one has a hundred times the records of the others, in bounded memory.

use std::fs;

use crate::support::binary::Place;

/// What three sparse partitions may add to the memory of a dense one.
const ADDED_KIB: u64 = 60_000;

#[test]
fn sparse_partitions_are_not_read_far_ahead_of_a_dense_one() {
    let place = Place::new();
    let span = "--start 2026-01-01T12:00:00Z --ads 1000";
    place.succeed(&format!(
        "generate --to in --clicks 1000000 --per-second 300 --partitions 1 {span}"
    ));
    place.succeed("archive --input in --raw alone");
    place.succeed(&format!(
        "generate --to sparse --clicks 30000 --per-second 9 --partitions 3 --seed 2 {span}"
    ));
    for partition in 0..3 {
        let from = place.path(&format!("sparse/clicks-{partition}.jsonl"));
        fs::rename(from, place.path(&format!("in/sparse-{partition}.jsonl"))).unwrap();
    }
    place.succeed("archive --input in --raw together");
    let peak = |raw: &str, job: &str| {
        place.peak_kib(&format!("replay --raw {raw} --output out --job {job} -w 2"))
    };
    let (alone, together) = (peak("alone", "alone"), peak("together", "together"));
    eprintln!("{alone} KiB for the dense partition, {together} KiB with three sparse ones");
    assert!(together < alone + ADDED_KIB, "{alone} KiB alone, {together} KiB together");
}
