//! How tables find their places; and, so that tests can ask for it, how they find them badly.
//!
//! A hash says where to look, and never what is there: answers must not depend on it. With the
//! feature `weak-hash` all hashes are of four values, so that everything collides all the time.

use foldhash::fast::FixedState;

/// What is used of a hash: all of it.
#[cfg(not(feature = "weak-hash"))]
pub const fn used(hash: u64) -> u64 {
    hash
}

/// What is used of a hash: two bits, the same in each of its bytes, as tables use different ones.
#[cfg(feature = "weak-hash")]
pub const fn used(hash: u64) -> u64 {
    (hash & 3) * 0x0101_0101_0101_0101
}

/// What makes the hashes of a table: the same in every run.
#[cfg(not(feature = "weak-hash"))]
pub type Hashes = FixedState;

/// What makes the hashes of a table: the same in every run, and weak.
#[cfg(feature = "weak-hash")]
pub use weak::Hashes;

#[cfg(feature = "weak-hash")]
mod weak {
    use std::hash::{BuildHasher, Hasher};

    use super::{FixedState, used};

    #[derive(Clone, Debug, Default)]
    pub struct Hashes(FixedState);

    pub struct Weak<H>(H);

    impl BuildHasher for Hashes {
        type Hasher = Weak<<FixedState as BuildHasher>::Hasher>;

        fn build_hasher(&self) -> Self::Hasher {
            Weak(self.0.build_hasher())
        }
    }

    impl<H: Hasher> Hasher for Weak<H> {
        fn write(&mut self, bytes: &[u8]) {
            self.0.write(bytes);
        }

        fn finish(&self) -> u64 {
            used(self.0.finish())
        }
    }
}
