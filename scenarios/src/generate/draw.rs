//! Random draws that every platform and every release of every crate makes alike.
//!
//! `ChaCha8` is seeded from bytes and read as 64-bit words; everything else (ranges, shuffles, spreads) is
//! integer arithmetic of our own, because the `rand` crate may change how it maps words to values.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What a stream of random words is for. Each part of a scenario draws from its own, so that changing one part
/// (capacities, cost range) leaves the others as they were.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stream {
    ProviderSites = 0,
    DemandSites = 1,
    Offers = 2,
    Orders = 3,
    Capacities = 4,
    Names = 5,
    Windows = 6,
}

/// A source of random numbers.
#[derive(Clone, Debug)]
pub(super) struct Draw(ChaCha8Rng);

impl Draw {
    pub(super) fn new(rng_seed: u64, stream: Stream) -> Self {
        let mut seed = *b"........mizan scenario generator";
        seed[..8].copy_from_slice(&rng_seed.to_le_bytes());
        let mut words = ChaCha8Rng::from_seed(seed);
        words.set_stream(stream as u64);
        Self(words)
    }

    /// A number below `bound`, all alike; `bound` is at least 1. Words that would favour small numbers are
    /// rejected.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        let bound = bound.max(1);
        let favoured = (u64::MAX - bound + 1) % bound;
        loop {
            let word = self.0.next_u64();
            if word <= u64::MAX - favoured {
                return word % bound;
            }
        }
    }

    /// An index into something of this length, at least 1.
    pub(super) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).expect("below a length")
    }

    /// Fisher and Yates, from the end.
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(last + 1));
        }
    }

    /// A whole number about 0 with this standard deviation, nearly normal: the sum of twelve uniform numbers
    /// less its mean (Irwin-Hall, whose variance is 12/12), so never beyond six deviations.
    pub(super) fn spread(&mut self, deviation: u32) -> i64 {
        let sum: i64 = (0..12).map(|_| i64::from(self.half_word())).sum();
        let scaled = i128::from(sum - 6 * (1 << 32)) * i128::from(deviation);
        i64::try_from((scaled + (1 << 31)).div_euclid(1 << 32)).expect("six times a 32-bit deviation")
    }

    fn half_word(&mut self) -> u32 {
        (self.0.next_u64() >> 32) as u32
    }
}

/// Numbers `0..size` in random order, over and over: no number comes twice before all have come once.
#[derive(Clone, Debug)]
pub(super) struct Deck {
    size: u64,
    left: Vec<u64>,
}

impl Deck {
    pub(super) const fn new(size: u64) -> Self {
        Self { size, left: Vec::new() }
    }

    pub(super) fn next(&mut self, draw: &mut Draw) -> u64 {
        if self.left.is_empty() {
            self.left = (0..self.size.max(1)).collect();
        }
        let position = draw.index(self.left.len());
        self.left.swap_remove(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_behind_every_file_stay_the_same() {
        let draws = |stream| {
            let mut draw = Draw::new(1, stream);
            [draw.below(1_000_000), draw.below(1_000_000), draw.below(1_000_000)]
        };
        assert_eq!(draws(Stream::ProviderSites), [44_230, 493_896, 514_430]);
        assert_eq!(draws(Stream::Offers), [218_548, 566_848, 867_429]);
    }

    #[test]
    fn a_spread_has_its_deviation() {
        let mut draw = Draw::new(7, Stream::ProviderSites);
        let draws: Vec<i64> = (0..20_000).map(|_| draw.spread(8_000)).collect();
        let mean = draws.iter().sum::<i64>() / 20_000;
        let variance = draws.iter().map(|value| value * value).sum::<i64>() / 20_000;
        assert!(mean.abs() < 200, "{mean}");
        assert!((7_800..8_200).contains(&variance.isqrt()), "{}", variance.isqrt());
        assert_eq!(draw.spread(0), 0);
    }

    #[test]
    fn a_deck_gives_every_number_once_before_any_comes_again() {
        let (mut draw, mut deck) = (Draw::new(3, Stream::Offers), Deck::new(5));
        for _ in 0..3 {
            let mut round: Vec<u64> = (0..5).map(|_| deck.next(&mut draw)).collect();
            round.sort_unstable();
            assert_eq!(round, [0, 1, 2, 3, 4]);
        }
    }

    #[test]
    fn a_shuffle_is_a_permutation() {
        let mut items: Vec<u32> = (0..50).collect();
        Draw::new(3, Stream::Orders).shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<u32>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<u32>>());
    }
}
