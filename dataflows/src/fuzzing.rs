//! What the fuzzers in `fuzz/` drive: the comparisons of the tests, over bytes that they choose.
//!
//! Each panics where the fast engine is wrong. Here because they look at what is nobody else's, and
//! behind the feature `fuzzing` because nobody else calls them.

use crate::count::fast::scripts as counts;
use crate::decode::agree::{Pair, is_object};
use crate::random::Bytes;
use crate::rank::boards::scripts as lists;

/// Decodes records under several schemas, with and without the shortcut.
pub struct Records {
    pairs: Vec<Pair>,
}

impl Default for Records {
    fn default() -> Records {
        Records { pairs: Pair::all() }
    }
}

impl Records {
    /// `record` is the same click or the same refusal to both readers, and JSON if it is JSON to
    /// `serde_json`.
    pub fn check(&self, record: &[u8]) {
        for pair in &self.pairs {
            // Click or not: that both readers say so is what is asked.
            let _ = pair.read(record);
        }
        if let Ok(text) = std::str::from_utf8(record) {
            is_object(text, &["ad_id", "click_timestamp", "ip", "device", "device.ip"]);
        }
    }
}

/// Plays the script that `choices` make to the counts of a worker and to a tree.
pub fn check_counts(choices: &[u8]) {
    counts::play(&mut Bytes::new(choices));
}

/// Plays the script that `choices` make to the lists of a worker, the simple windows and sorting.
pub fn check_lists(choices: &[u8]) {
    lists::play(&mut Bytes::new(choices));
}
