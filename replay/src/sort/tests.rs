//! Rows sorted by pieces are those of a plain sort.

use std::fs;

use bytemuck::{Pod, Zeroable};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Pod, Zeroable)]
#[repr(C)]
struct Wide {
    key: u64,
    rest: [u64; 4],
}

fn room(bytes: usize, directory: &tempfile::TempDir) -> Room {
    Room { bytes, directory: directory.path().to_owned() }
}

fn sorted<R: Pod + Ord>(room: Room, rows: &[R]) -> (Vec<R>, bool) {
    let mut sorter = Sorter::new(room);
    rows.iter().for_each(|row| sorter.push(*row).unwrap());
    let mut sorted = sorter.sort().unwrap();
    let mut found = Vec::new();
    while let Some(row) = sorted.next().unwrap() {
        found.push(row);
    }
    (found, sorted.is_in_memory())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn rows_come_as_from_a_plain_sort(
        keys in vec((0..300_u64, any::<u8>()), 0..4000),
        bytes in prop_oneof![Just(0_usize), 1..200_000_usize],
    ) {
        let directory = tempfile::tempdir().unwrap();
        let row = |(key, rest): (u64, u8)| Wide { key, rest: [rest.into(), 0, 0, 0] };
        let rows: Vec<Wide> = keys.into_iter().map(row).collect();
        let mut plain = rows.clone();
        plain.sort();
        let (found, in_memory) = sorted(room(bytes, &directory), &rows);
        prop_assert_eq!(found, plain);
        prop_assert_eq!(in_memory, rows.len() <= (bytes / 40).max(ROWS_FIRST));
        prop_assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}

/// With so little memory, runs are merged to longer ones, and those again.
#[test]
fn runs_of_runs_are_merged() {
    let directory = tempfile::tempdir().unwrap();
    let rows: Vec<u64> = (0..100_000).map(|at: u64| at.wrapping_mul(0x9E37_79B9_7F4A)).collect();
    let mut plain = rows.clone();
    plain.sort_unstable();
    assert_eq!(sorted(room(1000, &directory), &rows), (plain, false));
}

#[test]
fn rows_that_fit_never_touch_the_disk() {
    let room = Room { bytes: 8000, directory: "/nowhere".into() };
    let rows: Vec<u64> = (0..1000).rev().collect();
    assert_eq!(sorted(room, &rows), ((0..1000).collect(), true));
}

#[test]
fn a_directory_that_takes_no_files_is_an_error_that_names_it() {
    let mut sorter = Sorter::new(Room { bytes: 0, directory: "/nowhere".into() });
    let error = (0..1000_u64).find_map(|row| sorter.push(row).err()).unwrap();
    assert_eq!(error.to_string(), "cannot keep rows to be sorted in /nowhere");
    assert!(error.source().unwrap().to_string().contains("No such file"), "{error:?}");
}
