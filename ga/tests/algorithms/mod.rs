//! The algorithms that the tests of all of them run, small enough to end at once. A new algorithm is added here.

use scenarios::settings::{HybridGaSettings, PaperGaSettings};
use scenarios::work::Algorithm;

/// Every algorithm there is.
pub(crate) fn algorithms() -> [Algorithm; 2] {
    [paper(), hybrid()]
}

pub(crate) fn paper() -> Algorithm {
    Algorithm::Paper(PaperGaSettings { population: 12, generations: 6, ..PaperGaSettings::default() })
}

pub(crate) fn hybrid() -> Algorithm {
    Algorithm::Hybrid(HybridGaSettings {
        islands: 3,
        population: 4,
        moves_per_generation: 16,
        migration_interval: 2,
        ..HybridGaSettings::default()
    })
}
