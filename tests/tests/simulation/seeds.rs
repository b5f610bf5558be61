//! Random stories: agreement, feasibility and money are checked at every step; in the end all is served.
//!
//! `MIZAN_SIM_SEEDS=0..2000` tells those instead, to hunt for a seed that fails.

use std::ops::Range;

use mizan_tests::sim::{Failure, Hazard, Report, Story, Theme};

/// Stories of each theme: as many as a test run has patience for.
const SEEDS: Range<u64> = 0..30;

fn story(rng_seed: u64, theme: Theme) -> Result<Report, Failure> {
    eprintln!("seed {rng_seed}, {theme:?}");
    Story { theme, ..Story::new(rng_seed, Hazard::Storm) }.tell()
}

fn tell(theme: Theme) {
    for rng_seed in seeds_or(SEEDS) {
        match story(rng_seed, theme) {
            Ok(report) => eprintln!("{report}"),
            Err(failure) => panic!("{failure}"),
        }
    }
}

/// The seeds that are asked for, or these.
pub(crate) fn seeds_or(seeds: Range<u64>) -> Range<u64> {
    let asked = std::env::var("MIZAN_SIM_SEEDS").ok();
    let Some((first, end)) = asked.as_deref().and_then(|range| range.split_once("..")) else { return seeds };
    first.parse().expect("a number before the dots")..end.parse().expect("a number after the dots")
}

#[test]
fn strips_survive_their_storms() {
    tell(Theme::Strips);
}

#[test]
fn cells_survive_their_storms() {
    tell(Theme::Cells);
}

#[test]
fn racers_survive_their_storms() {
    tell(Theme::Racers);
}

#[test]
fn the_same_seed_tells_the_same_story_and_another_seed_another() {
    let hash = |rng_seed| story(rng_seed, Theme::Cells).unwrap().trace_hash;
    assert_eq!(hash(7), hash(7));
    assert_ne!(hash(7), hash(8));
}
