//! Random numbers of a test that no library draws, with a seed that is printed.

use std::sync::atomic::{AtomicU64, Ordering};

use clicks::worker::wall_ms;

/// Random numbers; `CLICKS_TEST_SEED` takes up those of another run again.
pub struct Dice(u64);

impl Dice {
    /// Dice with a seed of their own.
    pub fn cast() -> Dice {
        static CASTS: AtomicU64 = AtomicU64::new(0);
        let asked = std::env::var("CLICKS_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        let fresh = || wall_ms() + (CASTS.fetch_add(1, Ordering::Relaxed) << 48);
        let seed = asked.unwrap_or_else(fresh);
        println!("CLICKS_TEST_SEED={seed}");
        Dice(seed)
    }

    /// A number below `bound`; splitmix64.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
