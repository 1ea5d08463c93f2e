//! Any bytes are the same click, or no click for the same reason, to both readers of JSON.

#![no_main]

use clicks_dataflows::fuzzing::Records;
use libfuzzer_sys::fuzz_target;

thread_local! {
    static RECORDS: Records = Records::default();
}

fuzz_target!(|record: &[u8]| RECORDS.with(|records| records.check(record)));
