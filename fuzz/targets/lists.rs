//! The lists of a worker are what sorting gives, however windows slide and clicks come late.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|choices: &[u8]| clicks_dataflows::fuzzing::check_lists(choices));
