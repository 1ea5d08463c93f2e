//! Choices for tests: the same seed, or the same bytes of a fuzzer, make the same ones.

/// Makes choices.
pub(crate) trait Draw {
    /// A number below `bound`.
    fn below(&mut self, bound: u64) -> u64;

    /// The same as `u32`.
    fn small(&mut self, bound: u32) -> u32 {
        u32::try_from(self.below(bound.into())).expect("it is below a u32")
    }

    /// The same as a place.
    fn place(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).expect("it is below a usize")
    }

    /// True once in `times`.
    fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// A generator of SplitMix64 (<https://prng.di.unimi.it/splitmix64.c>).
pub(crate) struct Random(pub u64);

impl Draw for Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}

#[cfg(test)]
impl Random {
    /// One of these.
    pub(crate) fn one_of<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.place(of.len())]
    }
}

/// The bytes of a fuzzer: each choice takes as many as it needs. Once there are none, choices follow
/// from those that were: few bytes begin a long script.
#[cfg(feature = "fuzzing")]
pub(crate) struct Bytes<'a> {
    left: &'a [u8],
    then: Random,
}

#[cfg(feature = "fuzzing")]
impl Bytes<'_> {
    pub(crate) fn new(bytes: &[u8]) -> Bytes<'_> {
        let seed = bytes.iter().fold(0, |seed: u64, byte| seed.rotate_left(8) ^ u64::from(*byte));
        Bytes { left: bytes, then: Random(seed) }
    }
}

#[cfg(feature = "fuzzing")]
impl Draw for Bytes<'_> {
    fn below(&mut self, bound: u64) -> u64 {
        let needed = (u64::BITS - (bound - 1).leading_zeros()).div_ceil(8) as usize;
        let Some((taken, left)) = self.left.split_at_checked(needed) else {
            return self.then.below(bound);
        };
        self.left = left;
        taken.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)) % bound
    }
}
