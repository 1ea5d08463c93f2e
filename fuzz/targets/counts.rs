//! The counts that a worker holds and tells are those of a tree, whatever comes in which order.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|choices: &[u8]| clicks_dataflows::fuzzing::check_counts(choices));
