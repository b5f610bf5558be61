//! Whether this machine's clock is behind: more validators propose what seems to come from the future than may lie.

use std::collections::BTreeMap;

use chain::consensus::{Power, ValidatorSet};

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
    /// A validator proposes a batch that is ahead of our clock. How many of these validators have done so lately, if that
    /// is to be told: they have more votes than may lie, and nothing was told for some time.
    pub(super) fn note_early(
        &mut self,
        validator: u16,
        validators: &ValidatorSet,
        now: Now,
    ) -> Option<usize> {
        self.seen_ms.retain(|_, seen_ms| now.since_ms(*seen_ms) <= DOUBT_MS);
        self.seen_ms.insert(validator, now.monotonic_ms);
        let powers = self.seen_ms.keys().map(|&position| validators.power_of(position));
        let power = powers.fold(0, Power::saturating_add);
        let is_told = self.told_ms.is_some_and(|told_ms| now.since_ms(told_ms) <= SILENCE_MS);
        if power <= validators.tolerated_power() || is_told {
            return None;
        }
        self.told_ms = Some(now.monotonic_ms);
        Some(self.seen_ms.len())
    }

    /// A validator proposes a batch that is not ahead of our clock.
    pub(super) fn note_timely(&mut self, validator: u16) {
        self.seen_ms.remove(&validator);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validators(powers: [Power; 4]) -> ValidatorSet {
        let keys = (0..4).map(|index| chain::SecretKey::for_scenario(1, "validator", index).public());
        // In order of position.
        let keys: std::collections::BTreeSet<_> = keys.collect();
        ValidatorSet::new(&keys.into_iter().zip(powers).collect()).unwrap()
    }

    #[test]
    fn validators_are_as_many_as_their_votes() {
        let (mut doubts, weighted) = (ClockDoubts::default(), validators([1, 1, 1, 4]));
        // Two of seven votes may lie.
        assert_eq!(doubts.note_early(0, &weighted, Now::at(0)), None);
        assert_eq!(doubts.note_early(1, &weighted, Now::at(1)), None);
        assert_eq!(doubts.note_early(2, &weighted, Now::at(2)), Some(3));
        assert_eq!(ClockDoubts::default().note_early(3, &weighted, Now::at(0)), Some(1));
    }

    #[test]
    fn more_validators_than_may_lie_make_the_clock_doubtful_once_in_ten_minutes() {
        let equals = &validators([1; 4]);
        let mut doubts = ClockDoubts::default();
        assert_eq!(doubts.note_early(0, equals, Now::at(0)), None);
        assert_eq!(doubts.note_early(0, equals, Now::at(1_000)), None, "one may lie as often as it likes");
        assert_eq!(doubts.note_early(3, equals, Now::at(2_000)), Some(2));
        assert_eq!(doubts.note_early(2, equals, Now::at(3_000)), None, "told already");
        assert_eq!(doubts.note_early(2, equals, Now::at(602_000)), None, "the others' doubts are old");
        assert_eq!(doubts.note_early(1, equals, Now::at(602_001)), Some(2));
    }

    #[test]
    fn a_timely_proposal_takes_the_doubt_back() {
        let equals = &validators([1; 4]);
        let mut doubts = ClockDoubts::default();
        assert_eq!(doubts.note_early(0, equals, Now::at(0)), None);
        doubts.note_timely(0);
        assert_eq!(doubts.note_early(1, equals, Now::at(1)), None);
    }
}
