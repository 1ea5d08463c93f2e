//! Random numbers that follow from a seed, and popularity by Zipf's law.

/// What is added at each step: 2^64 divided by the golden ratio.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// Random numbers from a seed.
///
/// splitmix64: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The numbers that follow from `seed`.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GAMMA);
        mix(self.0)
    }

    /// A number less than `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        scale(self.any(), bound)
    }

    /// A place in a list that has so many, and is not empty.
    pub fn place(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).expect("it is less than the length")
    }

    /// A number from 0 to less than 1.
    pub fn unit(&mut self) -> f64 {
        (self.any() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// A number that looks unlike `number`, and differs for each.
pub fn mix(number: u64) -> u64 {
    let z = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number less than `bound`, in proportion to where `number` lies among all.
pub fn scale(number: u64, bound: u64) -> u64 {
    let product = u128::from(number) * u128::from(bound);
    u64::try_from(product >> 64).expect("the upper half of a product fits")
}

/// Ranks from 1 on, of which rank `k` is drawn in proportion to `k` to the power of `-skew`.
///
/// Rejection-inversion, in constant time and space: Hörmann and Derflinger, "Rejection-Inversion to
/// Generate Variates from Monotone Discrete Distributions", 1996.
#[derive(Clone, Debug)]
pub struct Zipf {
    ranks: f64,
    skew: f64,
    /// The integral up to the lower end of the first rank's share, and up to the end of the last.
    ends: (f64, f64),
    /// So far below its rank a point is accepted without a closer look.
    squeeze: f64,
}

impl Zipf {
    /// Ranks `1..=ranks`; a `skew` of 0 makes all alike.
    pub fn new(ranks: u64, skew: f64) -> Zipf {
        let mut zipf = Zipf { ranks: ranks as f64, skew, ends: (0.0, 0.0), squeeze: 0.0 };
        zipf.ends = (zipf.integral(1.5) - 1.0, zipf.integral(zipf.ranks + 0.5));
        zipf.squeeze = 2.0 - zipf.inverse(zipf.integral(2.5) - zipf.density(2.0));
        zipf
    }

    /// Draws a rank.
    pub fn draw(&self, random: &mut Random) -> u64 {
        let (first, last) = self.ends;
        loop {
            let area = last + random.unit() * (first - last);
            let point = self.inverse(area);
            let rank = point.round().clamp(1.0, self.ranks);
            if rank - point <= self.squeeze
                || area >= self.integral(rank + 0.5) - self.density(rank)
            {
                return whole(rank);
            }
        }
    }

    fn density(&self, x: f64) -> f64 {
        (-self.skew * x.ln()).exp()
    }

    /// The integral of the density from 1 to `x`; also where the skew is 1, or close to it.
    fn integral(&self, x: f64) -> f64 {
        let log = x.ln();
        let t = (1.0 - self.skew) * log;
        if t.abs() < 1e-8 { log * (1.0 + t / 2.0) } else { log * t.exp_m1() / t }
    }

    /// The `x` up to which the integral is `area`.
    fn inverse(&self, area: f64) -> f64 {
        let t = ((1.0 - self.skew) * area).max(-1.0);
        let log = if t.abs() < 1e-8 { area * (1.0 - t / 2.0) } else { area * t.ln_1p() / t };
        log.exp()
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank is a whole number from 1 on"
)]
fn whole(rank: f64) -> u64 {
    rank as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_drawn_as_often_as_zipf_says() {
        let (ranks, draws) = (50, 200_000);
        for skew in [0.0, 0.5, 1.0, 1.05, 2.0, 10.0] {
            let zipf = Zipf::new(ranks, skew);
            let mut random = Random::new(11);
            let mut drawn = vec![0_u32; 51];
            for _ in 0..draws {
                drawn[usize::try_from(zipf.draw(&mut random)).unwrap()] += 1;
            }
            let weights: Vec<f64> = (1..=50).map(|rank| f64::from(rank).powf(-skew)).collect();
            let sum: f64 = weights.iter().sum();
            assert_eq!(drawn[0], 0);
            for (rank, weight) in weights.iter().enumerate() {
                let expected = f64::from(draws) * weight / sum;
                let off = (f64::from(drawn[rank + 1]) - expected).abs();
                assert!(off <= 6.0 + 5.0 * expected.sqrt(), "skew {skew}, rank {}", rank + 1);
            }
        }
    }

    #[test]
    fn one_rank_is_always_drawn() {
        let zipf = Zipf::new(1, 1.05);
        let mut random = Random::new(3);
        assert!((0..1000).all(|_| zipf.draw(&mut random) == 1));
    }
}
