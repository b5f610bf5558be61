//! Whether this machine's clock is behind: more validators propose what seems to come from the future than may lie.

use std::collections::BTreeMap;

use super::now::Now;

/// How long a proposal from the future counts.
const DOUBT_MS: u64 = 60_000;
/// How long the operator is not told again.
const SILENCE_MS: u64 = 600_000;

/// Validators whose last proposal seemed to come from the future.
#[derive(Debug, Default)]
pub(super) struct ClockDoubts {
    /// By position: when it was seen, by the monotonic clock.
    seen_ms: BTreeMap<u16, u64>,
    told_ms: Option<u64>,
}

impl ClockDoubts {
    /// A validator proposes a block that is ahead of our clock. How many have done so lately, if that is to be told:
    /// more than `faults`, and nothing was told for some time.
    pub(super) fn note_early(&mut self, validator: u16, faults: usize, now: Now) -> Option<usize> {
        self.seen_ms.retain(|_, seen_ms| now.since_ms(*seen_ms) <= DOUBT_MS);
        self.seen_ms.insert(validator, now.monotonic_ms);
        let count = self.seen_ms.len();
        let is_told = self.told_ms.is_some_and(|told_ms| now.since_ms(told_ms) <= SILENCE_MS);
        if count <= faults || is_told {
            return None;
        }
        self.told_ms = Some(now.monotonic_ms);
        Some(count)
    }

    /// A validator proposes a block that is not ahead of our clock.
    pub(super) fn note_timely(&mut self, validator: u16) {
        self.seen_ms.remove(&validator);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_validators_than_may_lie_make_the_clock_doubtful_once_in_ten_minutes() {
        let mut doubts = ClockDoubts::default();
        assert_eq!(doubts.note_early(0, 1, Now::at(0)), None);
        assert_eq!(doubts.note_early(0, 1, Now::at(1_000)), None, "one may lie as often as it likes");
        assert_eq!(doubts.note_early(3, 1, Now::at(2_000)), Some(2));
        assert_eq!(doubts.note_early(2, 1, Now::at(3_000)), None, "told already");
        assert_eq!(doubts.note_early(2, 1, Now::at(602_000)), None, "the others' doubts are old");
        assert_eq!(doubts.note_early(1, 1, Now::at(602_001)), Some(2));
    }

    #[test]
    fn a_timely_proposal_takes_the_doubt_back() {
        let mut doubts = ClockDoubts::default();
        assert_eq!(doubts.note_early(0, 1, Now::at(0)), None);
        doubts.note_timely(0);
        assert_eq!(doubts.note_early(1, 1, Now::at(1)), None);
    }
}
