//! The random draws of the searches: `ChaCha8` streams and our own rejection sampling, so that a seed gives
//! the same search whatever release of `rand` is linked.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// One independent stream of draws.
#[derive(Clone, Debug)]
pub(crate) struct Draws(ChaCha8Rng);

impl Draws {
    /// Stream `stream` of this seed; streams of one seed never overlap.
    pub(crate) fn new(rng_seed: u64, stream: u64) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(rng_seed);
        generator.set_stream(stream);
        Self(generator)
    }

    /// Uniform in `0..limit` without bias. `limit` is at least 1.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        debug_assert!(limit > 0, "nothing can be drawn below 0");
        let limit = limit.max(1) as u64;
        // Draws at or above the largest multiple of `limit` would favour small remainders.
        let fair = u64::MAX - u64::MAX % limit;
        loop {
            let draw = self.0.next_u64();
            if draw < fair {
                return usize::try_from(draw % limit).unwrap_or(0);
            }
        }
    }

    /// Uniform in `0.0..1.0`, in steps of 2^-53.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
    pub(crate) fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True with this probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A uniformly random order.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            items.swap(end, self.below(end + 1));
        }
    }

    /// Two different positions below `limit`, ascending; `limit` is at least 2.
    pub(crate) fn two_below(&mut self, limit: usize) -> (usize, usize) {
        let first = self.below(limit);
        let second = self.below(limit - 1);
        let second = if second >= first { second + 1 } else { second };
        (first.min(second), first.max(second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_pinned_so_that_a_seed_means_the_same_search_for_ever() {
        let mut draws = Draws::new(7, 3);
        let values: Vec<usize> = (0..8).map(|_| draws.below(100)).collect();
        assert_eq!(values, [49, 94, 42, 87, 22, 0, 64, 51]);
    }

    #[test]
    fn every_value_below_the_limit_is_drawn() {
        let mut draws = Draws::new(1, 0);
        let mut seen = [0_u32; 5];
        for _ in 0..5_000 {
            seen[draws.below(5)] += 1;
        }
        assert!(seen.iter().all(|&count| (850..1_150).contains(&count)), "{seen:?}");
    }

    #[test]
    fn two_positions_differ_and_ascend() {
        let mut draws = Draws::new(2, 0);
        for _ in 0..200 {
            let (first, second) = draws.two_below(3);
            assert!(first < second && second < 3);
        }
    }
}
