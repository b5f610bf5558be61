//! The simulator's random choices: `ChaCha8` streams and our own rejection sampling, so that a seed tells the
//! same story whatever release of `rand` is linked.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// One independent stream of draws.
#[derive(Clone, Debug)]
pub struct Draws(ChaCha8Rng);

impl Draws {
    /// Stream `stream` of this seed; streams of one seed never overlap.
    pub fn new(rng_seed: u64, stream: u64) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(rng_seed);
        generator.set_stream(stream);
        Self(generator)
    }

    /// Uniform in `0..limit` without bias; 0 if there is no choice.
    pub fn below(&mut self, limit: u64) -> u64 {
        let limit = limit.max(1);
        // Draws at or above the largest multiple of `limit` would favour small remainders.
        let fair = u64::MAX - u64::MAX % limit;
        loop {
            let draw = self.0.next_u64();
            if draw < fair {
                return draw % limit;
            }
        }
    }

    /// Uniform between two numbers, both possible.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most.saturating_sub(least) + 1)
    }

    /// True this many times of a hundred.
    pub fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    /// One of these.
    ///
    /// # Panics
    /// If there are none.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        let place = self.below(choices.len() as u64);
        &choices[usize::try_from(place).unwrap_or(0)]
    }
}
