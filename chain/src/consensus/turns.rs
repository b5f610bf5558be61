//! Whose turn it is to propose: a weighted round robin that follows from height and round alone, so that all know it and
//! nobody has to remember it.
//!
//! Each validator owns an arc of a circle, as long as its power; `S` is the circle, powers divided by what they have in
//! common. The turns go round it by strides prime to `S`, so that within `S` turns each has as many as its power, and near
//! the golden section of `S`, so that those lie far apart: one stride leads further than any arc of less than a third, and
//! no validator whom the others need not trust has two turns in a row. With equal powers the stride is one seat: each in
//! order.

use std::sync::Arc;

use super::Round;
use super::validators::Power;
use crate::record::Height;

/// The order of turns.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Turns {
    /// Where the arc of each validator ends.
    ends: Arc<[Power]>,
    /// Prime to the circle's length, which is the last end.
    stride: Power,
}

impl Turns {
    /// For validators of these powers, none of them 0.
    pub(super) fn new(powers: &[Power]) -> Self {
        let unit = powers.iter().copied().fold(0, greatest_common_divisor).max(1);
        let arcs = powers.iter().map(|power| power.checked_div(unit).unwrap_or(0));
        let ends: Arc<[Power]> = arcs
            .scan(0, |end: &mut Power, arc| {
                *end = end.saturating_add(arc);
                Some(*end)
            })
            .collect();
        let circle = ends.last().copied().unwrap_or(0);
        let is_equal = usize::try_from(circle) == Ok(powers.len());
        Self { stride: if is_equal { 1 } else { stride(circle) }, ends }
    }

    /// The position of who has the turn of this height and round.
    pub(super) fn at(&self, height: Height, round: Round) -> u16 {
        let circle = u128::from(self.ends.last().copied().unwrap_or(0).max(1));
        let turn = u128::from(height).saturating_add(u128::from(round)).rem_euclid(circle);
        // Both factors are below 2^61.
        let place = turn.saturating_mul(u128::from(self.stride)).rem_euclid(circle);
        let position = self.ends.partition_point(|end| u128::from(*end) <= place);
        u16::try_from(position).unwrap_or_default()
    }
}

/// What is prime to the circle and nearest to its golden section.
fn stride(circle: Power) -> Power {
    let section = u128::from(circle).saturating_mul(618).saturating_add(500) / 1_000;
    let section = Power::try_from(section).unwrap_or(circle);
    let candidates = (0..circle).flat_map(|off| [section.saturating_sub(off), section.saturating_add(off)]);
    let mut fitting = candidates
        .filter(|&stride| (1..circle).contains(&stride) && greatest_common_divisor(stride, circle) == 1);
    fitting.next().unwrap_or(1)
}

fn greatest_common_divisor(mut one: Power, mut other: Power) -> Power {
    while let Some(rest) = one.checked_rem(other) {
        (one, other) = (other, rest);
    }
    one
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn turns(powers: &[Power], count: Round) -> Vec<u16> {
        let turns = Turns::new(powers);
        (0..count).map(|round| turns.at(0, round)).collect()
    }

    #[test]
    fn equals_have_their_turns_in_order() {
        assert_eq!(turns(&[1; 4], 6), [0, 1, 2, 3, 0, 1]);
        assert_eq!(turns(&[7; 3], 4), [0, 1, 2, 0]);
        assert_eq!(turns(&[5], 3), [0, 0, 0]);
    }

    #[test]
    fn who_has_twice_the_power_has_twice_the_turns_and_they_lie_apart() {
        assert_eq!(turns(&[2, 1, 1, 1], 10), [0, 2, 0, 3, 1, 0, 2, 0, 3, 1]);
    }

    #[test]
    fn the_largest_powers_there_may_be_have_turns() {
        let half = super::super::POWER_TOTAL / 2;
        let turns = Turns::new(&[half - 1, half, 1]);
        let had: Vec<u16> = (0..8).map(|round| turns.at(Height::MAX, round)).collect();
        assert!(had.contains(&0) && had.contains(&1) && had.iter().all(|&position| position < 3), "{had:?}");
    }

    #[test]
    fn one_stride_leads_further_than_any_arc_that_need_not_be_trusted() {
        for circle in 2..5_000 {
            let stride = stride(circle);
            assert_eq!(greatest_common_divisor(stride, circle), 1, "{circle}");
            assert!(stride.min(circle - stride) >= (circle - 1) / 3, "{stride} of {circle}");
        }
    }

    proptest! {
        #[test]
        fn in_a_cycle_each_has_its_share_and_less_than_a_third_never_two_turns_in_a_row(
            powers in prop::collection::vec(1..20_u64, 1..9), height in any::<Height>(),
        ) {
            let unit = powers.iter().copied().fold(0, greatest_common_divisor);
            let circle = Round::try_from(powers.iter().sum::<u64>() / unit).unwrap();
            let turns = Turns::new(&powers);
            let had: Vec<u16> = (0..circle).map(|round| turns.at(height, round)).collect();
            for (position, power) in (0..).zip(&powers) {
                let count = had.iter().filter(|&&turn| turn == position).count() as u64;
                prop_assert_eq!(count, power / unit);
                if 3 * power < powers.iter().sum() {
                    let next = turns.at(height, circle);
                    let pairs = had.iter().zip(had.iter().skip(1).chain([&next]));
                    prop_assert!(pairs.clone().all(|(one, two)| one != two || *one != position), "{:?}", had);
                }
            }
        }
    }
}
