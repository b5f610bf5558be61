//! What share of its fees a block earns: a falling curve of 65 integer points over how far it is from
//! perfect.
//!
//! The curve has the shape of paper A's figure 3 and table 6 (full pay up to the best expected objective, then an
//! inverse cotangent), shifted so that it reaches exactly zero at the far end:
//! `y(t) = (arccot(4t) - arccot(4)) / (pi/2 - arccot(4))` for `t` from 0 (full pay ends) to 1 (no pay), at
//! `t = 0/64 ... 64/64`, floored to parts per million. Between two points the pay is interpolated and
//! floored. No float is used; a test recomputes the table.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::units::Money;

/// The number of points of a schedule.
pub const POINTS: usize = 65;

/// A million: the whole, in parts per million.
pub const PPM: u64 = 1_000_000;

/// Where full pay ends by the certified measure, unless a schedule says otherwise.
pub const GAP_FULL_PPM: u64 = 5_000;

/// Where all pay ends by the certified measure, unless a schedule says otherwise.
pub const GAP_NONE_PPM: u64 = 100_000;

/// The widest gap a schedule may still pay for: a thousand times the cost.
pub const GAP_MAX_PPM: u64 = 1_000_000_000;

/// The curve of a schedule that names no other.
#[rustfmt::skip]
pub const ARCCOT_CURVE: [u32; POINTS] = [
    1_000_000, 952_920, 906_205, 860_201, 815_224, 771_548, 729_396, 688_938,
    650_293, 613_529, 578_675, 545_723, 514_638, 485_361, 457_821, 431_934,
    407_612, 384_763, 363_295, 343_119, 324_148, 306_300, 289_495, 273_660,
    258_726, 244_629, 231_311, 218_715, 206_791, 195_492, 184_775, 174_600,
    164_931, 155_733, 146_976, 138_630, 130_670, 123_071, 115_810, 108_867,
    102_221, 95_857, 89_756, 83_903, 78_285, 72_888, 67_700, 62_709,
    57_905, 53_278, 48_818, 44_517, 40_367, 36_361, 32_490, 28_749,
    25_132, 21_632, 18_244, 14_963, 11_784, 8_702, 5_713, 2_814,
    0,
];

/// The widest margin of paper A's measure, in parts per million of the reference at [`REFERENCE_ORDERS`]: a block of
/// ten thousand orders could then be free.
pub const MARGIN_MAX_PPM: u64 = 10_000_000;

/// For blocks of how many orders paper A's measure is stated; see [`Measure::Paper`].
pub const REFERENCE_ORDERS: u64 = 100;

/// What the pay depends on. The ends are in the unit of the measure: parts per million of reduced cost over
/// cost, or of what a block saves of its reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Measure {
    /// Reduced cost over cost: what the block is proved to lose at most.
    Certified {
        /// Full pay up to this reduced cost, in ppm of the cost.
        gap_full_ppm: u64,
        /// No pay from this reduced cost, in ppm of the cost; above `gap_full_ppm`, at most [`GAP_MAX_PPM`].
        gap_max_ppm: u64,
    },
    /// How far below paper A's reference solution a block of one area lies, which is its minimum utility
    /// ([`crate::reference`]). Of what random blocks cost, the spread falls as the square root of their orders rises;
    /// so do both ends: what is said here of blocks of [`REFERENCE_ORDERS`] orders is for blocks of `n` orders to be multiplied by
    /// `sqrt(REFERENCE_ORDERS / n)`. A margin that were the same for all sizes would either pay for small random blocks or
    /// refuse large good ones.
    Paper {
        /// No pay down to this share of the reference below it, in ppm, at most [`MARGIN_MAX_PPM`].
        reference_margin_ppm: u64,
        /// Full pay from this share below it, in ppm; above the margin, at most [`MARGIN_MAX_PPM`].
        full_at_ppm: u64,
        /// Blocks of fewer orders are measured as if they had this many, at least 1: of few orders, the best there is does not
        /// differ from a lucky draw.
        block_orders_min: u32,
    },
}

/// A reward schedule. In text, such as scenario files, it is its measure with a `kind`, and the curve only where
/// it is not [`ARCCOT_CURVE`]; in canonical bytes it is both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// What the pay depends on.
    pub measure: Measure,
    /// [`POINTS`] shares of the fee in ppm, the first at the end of full pay, never rising.
    pub curve: Vec<u32>,
}

/// Why a schedule is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum ScheduleError {
    /// Too few or too many points.
    #[error("the reward curve has {got} points, expected {POINTS}")]
    PointCount {
        /// Points given.
        got: usize,
    },
    /// A point pays more than the fee.
    #[error("point {point} of the reward curve is {got} ppm, expected at most {PPM}")]
    AboveWhole {
        /// The point, from 0.
        point: usize,
        got: u32,
    },
    /// A point pays more than the one before it: a worse block would earn more.
    #[error("point {point} of the reward curve is {got} ppm, expected at most {expected} as the one before")]
    Rising {
        /// The point, from 0.
        point: usize,
        got: u32,
        /// The share of the point before.
        expected: u32,
    },
    /// Full pay must end before pay ends.
    #[error("full pay ends at {full} and all pay at {none}: expected a positive distance between them")]
    Ends {
        /// Where full pay ends.
        full: i128,
        none: i128,
    },
    /// An end is outside its range.
    #[error("got {got}, expected {lowest} to {highest}")]
    Range {
        field: &'static str,
        /// Its value, in ppm or micro-units.
        got: i128,
        lowest: i128,
        highest: i128,
    },
}

impl ScheduleError {
    /// The field of the schedule that is wrong, as a scenario file names it.
    pub const fn field(&self) -> &'static str {
        match self {
            Self::PointCount { .. } | Self::AboveWhole { .. } | Self::Rising { .. } => "schedule.curve",
            Self::Ends { .. } => "schedule",
            Self::Range { field, .. } => field,
        }
    }
}

/// What a block achieved, as far as schedules ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Achievement {
    /// Total cost of its compositions.
    pub cost: Money,
    /// Total reduced cost of its compositions: by the measure of paper A, what they cost beyond the cheapest of their area.
    pub reduced_cost: Money,
    /// Orders of its compositions.
    pub orders: u64,
    /// What random assignments of its demands cost on average; for the measure of paper A alone.
    pub reference: Money,
}

impl From<Measure> for Schedule {
    /// On [`ARCCOT_CURVE`].
    fn from(measure: Measure) -> Self {
        Self { measure, curve: ARCCOT_CURVE.to_vec() }
    }
}

impl Default for Schedule {
    /// Certified: full pay up to half a percent of reduced cost, nothing from ten percent.
    fn default() -> Self {
        Self::from(Measure::Certified { gap_full_ppm: GAP_FULL_PPM, gap_max_ppm: GAP_NONE_PPM })
    }
}

impl Schedule {
    /// Paper A's schedule, as measured on its four problems (`cargo run --release -p ga --example margins`): of 1,000
    /// random blocks of each size the best lies up to 23.7 % below the reference at a hundred orders, and what the published
    /// algorithm finds in a whole strip 29 to 60 %.
    pub fn paper() -> Self {
        Self::from(Measure::Paper {
            reference_margin_ppm: 240_000,
            full_at_ppm: 350_000,
            block_orders_min: 45,
        })
    }

    /// Checks the shape of the curve and its ends.
    ///
    /// # Errors
    /// The first rule broken.
    pub fn validate(&self) -> Result<(), ScheduleError> {
        self.validate_curve()?;
        self.validate_ends()
    }

    fn validate_curve(&self) -> Result<(), ScheduleError> {
        if self.curve.len() != POINTS {
            return Err(ScheduleError::PointCount { got: self.curve.len() });
        }
        let mut before = u32::MAX;
        for (point, &got) in self.curve.iter().enumerate() {
            if u64::from(got) > PPM {
                return Err(ScheduleError::AboveWhole { point, got });
            }
            if got > before {
                return Err(ScheduleError::Rising { point, got, expected: before });
            }
            before = got;
        }
        Ok(())
    }

    fn validate_ends(&self) -> Result<(), ScheduleError> {
        match self.measure {
            Measure::Certified { gap_full_ppm, gap_max_ppm } => {
                range("schedule.gap_full_ppm", 0, gap_full_ppm.into(), GAP_MAX_PPM.into())?;
                range("schedule.gap_max_ppm", 0, gap_max_ppm.into(), GAP_MAX_PPM.into())?;
            }
            Measure::Paper { reference_margin_ppm, full_at_ppm, block_orders_min } => {
                let highest = MARGIN_MAX_PPM.into();
                range("schedule.reference_margin_ppm", 0, reference_margin_ppm.into(), highest)?;
                range("schedule.full_at_ppm", 0, full_at_ppm.into(), highest)?;
                range("schedule.block_orders_min", 1, block_orders_min.into(), u32::MAX.into())?;
            }
        }
        let (full, none) = self.ends();
        if none > full { Ok(()) } else { Err(ScheduleError::Ends { full, none }) }
    }

    /// The share of its fees, in ppm, that a block with this achievement earns.
    pub fn reward_ppm(&self, achievement: &Achievement) -> u64 {
        let cost = i128::from(achievement.cost.micros());
        let (x, per) = match self.measure {
            Measure::Certified { .. } => {
                let reduced_cost = i128::from(achievement.reduced_cost.micros());
                (reduced_cost.saturating_mul(i128::from(PPM)), cost)
            }
            Measure::Paper { block_orders_min, .. } => {
                let reference = i128::from(achievement.reference.micros());
                let orders = achievement.orders.max(block_orders_min.into());
                // What is saved counts sqrt(orders / REFERENCE_ORDERS) times; smaller is better.
                let weighted = cost.saturating_sub(reference).saturating_mul(root_ppm(orders));
                (weighted, reference)
            }
        };
        self.share_at(x, per, self.ends())
    }

    /// The share of its fees, in ppm, that a block earns by its reduced cost over cost, in place of what [`Self::reward_ppm`] gives it by
    /// the measure of paper A: where there is little to choose from, the best there is may lie near the reference, or be it. By
    /// the ends of the certified measure, [`GAP_FULL_PPM`] and [`GAP_NONE_PPM`].
    pub fn reward_near_optimum_ppm(&self, achievement: &Achievement) -> u64 {
        let (reduced_cost, cost) =
            (i128::from(achievement.reduced_cost.micros()), i128::from(achievement.cost.micros()));
        let ends = (i128::from(GAP_FULL_PPM), i128::from(GAP_NONE_PPM));
        self.share_at(reduced_cost.saturating_mul(i128::from(PPM)), cost, ends)
    }

    /// Where full pay and all pay end, on an axis where smaller is better.
    fn ends(&self) -> (i128, i128) {
        match self.measure {
            Measure::Certified { gap_full_ppm, gap_max_ppm } => {
                (i128::from(gap_full_ppm), i128::from(gap_max_ppm))
            }
            Measure::Paper { reference_margin_ppm, full_at_ppm, block_orders_min: _ } => {
                (i128::from(full_at_ppm).saturating_neg(), i128::from(reference_margin_ppm).saturating_neg())
            }
        }
    }

    /// The curve at `x / per`, `per >= 0`, between these ends, by cross-multiplication. Every product stays below 2^127:
    /// amounts are below 2^63, ends below 2^31, and roots below 2^49 and 64 multiply them, or a million.
    fn share_at(&self, x: i128, per: i128, (full, none): (i128, i128)) -> u64 {
        let beyond = x.saturating_sub(full.saturating_mul(per));
        if beyond <= 0 {
            return self.point(0);
        }
        let span = none.saturating_sub(full).saturating_mul(per);
        if beyond >= span {
            return 0;
        }
        let steps = i128::try_from(POINTS.saturating_sub(1)).unwrap_or(0);
        let scaled = beyond.saturating_mul(steps);
        let (step, rest) = (scaled.checked_div(span).unwrap_or(0), scaled.checked_rem(span).unwrap_or(0));
        let step = usize::try_from(step).unwrap_or(POINTS);
        let (high, low) = (i128::from(self.point(step)), i128::from(self.point(step.saturating_add(1))));
        let fallen = high.saturating_sub(low).saturating_mul(rest);
        // floor(high - fallen / span) = high - ceil(fallen / span)
        let fallen = fallen.saturating_add(span).saturating_sub(1).checked_div(span).unwrap_or(high);
        u64::try_from(high.saturating_sub(fallen)).unwrap_or(0)
    }

    fn point(&self, index: usize) -> u64 {
        self.curve.get(index).copied().map_or(0, u64::from)
    }
}

fn range(field: &'static str, lowest: i128, got: i128, highest: i128) -> Result<(), ScheduleError> {
    if (lowest..=highest).contains(&got) {
        Ok(())
    } else {
        Err(ScheduleError::Range { field, got, lowest, highest })
    }
}

/// `floor(1,000,000 * sqrt(orders / REFERENCE_ORDERS))`.
fn root_ppm(orders: u64) -> i128 {
    let square = u128::from(PPM) * u128::from(PPM) / u128::from(REFERENCE_ORDERS);
    i128::try_from((u128::from(orders) * square).isqrt()).unwrap_or(i128::MAX)
}

/// A schedule in canonical bytes.
#[derive(Serialize, Deserialize)]
struct ScheduleBytes {
    measure: Measure,
    curve: Vec<u32>,
}

/// What a block's reward depends on.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum ScheduleDocument {
    /// Reduced cost over cost: full pay up to `gap_full_ppm`, nothing from `gap_max_ppm`.
    Certified {
        /// Full pay up to this reduced cost/cost.
        gap_full_ppm: u64,
        /// No pay from this reduced cost/cost.
        gap_max_ppm: u64,
        /// 65 shares of the fee in parts per million, from where full pay ends to where pay ends, never rising.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        curve: Option<Vec<u32>>,
    },
    /// How far a block lies below the exact mean of random assignments (paper A's reference solution, its minimum utility): nothing
    /// down to `reference_margin_ppm` below it, full pay from `full_at_ppm`. Both are for blocks of 100 orders; for n orders they
    /// are multiplied by sqrt(100 / n), as the spread of random blocks is.
    Paper {
        /// No pay down to this share of the reference below it, at most 10,000,000 ppm.
        reference_margin_ppm: u64,
        /// Full pay from this share below it.
        full_at_ppm: u64,
        /// Blocks of fewer orders are measured as if they had this many.
        block_orders_min: u32,
        /// 65 shares of the fee in parts per million, from where full pay ends to where pay ends, never rising.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        curve: Option<Vec<u32>>,
    },
}

impl From<&Schedule> for ScheduleDocument {
    fn from(schedule: &Schedule) -> Self {
        let curve = (schedule.curve != ARCCOT_CURVE).then(|| schedule.curve.clone());
        match schedule.measure {
            Measure::Certified { gap_full_ppm, gap_max_ppm } => {
                Self::Certified { gap_full_ppm, gap_max_ppm, curve }
            }
            Measure::Paper { reference_margin_ppm, full_at_ppm, block_orders_min } => {
                Self::Paper { reference_margin_ppm, full_at_ppm, block_orders_min, curve }
            }
        }
    }
}

impl From<ScheduleDocument> for Schedule {
    fn from(document: ScheduleDocument) -> Self {
        let (measure, curve) = match document {
            ScheduleDocument::Certified { gap_full_ppm, gap_max_ppm, curve } => {
                (Measure::Certified { gap_full_ppm, gap_max_ppm }, curve)
            }
            ScheduleDocument::Paper { reference_margin_ppm, full_at_ppm, block_orders_min, curve } => {
                (Measure::Paper { reference_margin_ppm, full_at_ppm, block_orders_min }, curve)
            }
        };
        Self { measure, curve: curve.unwrap_or_else(|| ARCCOT_CURVE.to_vec()) }
    }
}

impl Serialize for Schedule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            ScheduleDocument::from(self).serialize(serializer)
        } else {
            ScheduleBytes { measure: self.measure, curve: self.curve.clone() }.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Schedule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            ScheduleDocument::deserialize(deserializer).map(Self::from)
        } else {
            let ScheduleBytes { measure, curve } = ScheduleBytes::deserialize(deserializer)?;
            Ok(Self { measure, curve })
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn certified() -> Schedule {
        Schedule::default()
    }

    fn reduced_cost_of(units: i64, reduced_cost: i64) -> Achievement {
        Achievement {
            cost: Money::from_units(units),
            reduced_cost: Money::from_units(reduced_cost),
            orders: 1,
            ..Achievement::default()
        }
    }

    /// On a block that should cost 1,000 $.
    fn against_reference(orders: u64, cost: i64) -> Achievement {
        let (cost, reference) = (Money::from_micros(cost), Money::from_units(1_000));
        Achievement { cost, orders, reference, ..Achievement::default() }
    }

    #[test]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "shares of a million")]
    fn the_table_is_the_formula_floored() {
        let arccot = |u: f64| std::f64::consts::FRAC_PI_2 - u.atan();
        for (index, &point) in (0_u32..).zip(&ARCCOT_CURVE) {
            let t = f64::from(index) / 64.0;
            let share = (arccot(4.0 * t) - arccot(4.0)) / (std::f64::consts::FRAC_PI_2 - arccot(4.0));
            assert_eq!(point, (share * 1e6 + 1e-6).floor() as u32, "point {index}");
        }
    }

    #[test]
    fn certified_pay_is_full_to_half_a_percent_and_nothing_from_ten() {
        assert_eq!(certified().reward_ppm(&reduced_cost_of(1_000, 0)), 1_000_000);
        assert_eq!(certified().reward_ppm(&reduced_cost_of(1_000, 5)), 1_000_000);
        assert_eq!(certified().reward_ppm(&reduced_cost_of(1_000, 100)), 0);
        assert_eq!(certified().reward_ppm(&reduced_cost_of(1_000, 5_000)), 0);
        // Halfway, (0.5 % + 10 %) / 2 = 5.25 %, is point 32 of the table.
        assert_eq!(certified().reward_ppm(&reduced_cost_of(10_000, 525)), 164_931);
    }

    #[test]
    fn pay_between_two_points_is_interpolated_and_floored() {
        // Points are 95,000 / 64 = 1484.375 ppm apart; halfway to the first, 742.1875 ppm past
        // 5,000, pays halfway between 1,000,000 and 952,920.
        let achievement = Achievement {
            cost: Money::from_units(10_000),
            reduced_cost: Money::from_micros(57_421_875), // 5,742.1875 ppm
            orders: 1,
            ..Achievement::default()
        };
        assert_eq!(certified().reward_ppm(&achievement), 976_460);
        // One micro-unit worse costs a fraction of a ppm, which is floored away from the miner.
        let worse = Achievement { reduced_cost: Money::from_micros(57_421_876), ..achievement };
        assert_eq!(certified().reward_ppm(&worse), 976_459);
    }

    #[test]
    fn a_free_block_without_reduced_cost_is_paid_and_one_with_reduced_cost_is_not() {
        assert_eq!(certified().reward_ppm(&reduced_cost_of(0, 0)), 1_000_000);
        assert_eq!(certified().reward_ppm(&reduced_cost_of(0, 1)), 0);
    }

    #[test]
    fn paper_pay_rises_from_the_margin_below_the_reference() {
        let of = |orders, cost| Schedule::paper().reward_ppm(&against_reference(orders, cost));
        // 24 % and 35 % below at a hundred orders; halfway, 29.5 %, is point 32 of the table.
        assert_eq!([of(100, 760_000_000), of(100, 759_999_999)], [0, 0]);
        assert_eq!([of(100, 1_000_000_000), of(100, 2_000_000_000)], [0, 0]);
        assert_eq!([of(100, 705_000_000), of(100, 650_000_000), of(100, 0)], [164_931, 1_000_000, 1_000_000]);
        // A micro-unit above what earns everything.
        assert_eq!(of(100, 650_000_001), 999_999);
    }

    #[test]
    fn the_margin_of_a_block_falls_with_the_root_of_its_orders() {
        let of = |orders, cost| Schedule::paper().reward_ppm(&against_reference(orders, cost));
        // 12 % and 17.5 % at four hundred orders.
        assert_eq!(
            [of(400, 880_000_000), of(400, 852_500_000), of(400, 825_000_000)],
            [0, 164_931, 1_000_000]
        );
        // sqrt(45 / 100) = 0.67082: 24 / 0.67082 = 35.78 %, for all smaller blocks alike.
        for orders in [1, 44, 45] {
            assert_eq!(of(orders, 642_300_000), 0);
            assert!(of(orders, 642_100_000) > 0);
        }
        assert!(of(46, 642_300_000) > 0);
    }

    #[test]
    fn what_is_near_the_optimum_is_paid_by_that() {
        let of = |reduced_cost| {
            let reduced_cost = Money::from_units(reduced_cost);
            let achievement = Achievement { reduced_cost, ..against_reference(10, 10_000_000_000) };
            Schedule::paper().reward_near_optimum_ppm(&achievement)
        };
        assert_eq!([of(0), of(50), of(525), of(1_000)], [1_000_000, 1_000_000, 164_931, 0]);
    }

    #[test]
    fn where_everything_is_free_a_free_block_is_paid_and_no_other() {
        let of = |cost| {
            let achievement = Achievement { reference: Money::ZERO, ..against_reference(100, cost) };
            Schedule::paper().reward_ppm(&achievement)
        };
        assert_eq!([of(0), of(1)], [1_000_000, 0]);
    }

    #[test]
    fn the_largest_amounts_stay_within_the_range_of_numbers() {
        let (cost, reference) = (Money::from_micros(i64::MAX), Money::from_micros(i64::MAX));
        let free = Achievement { orders: u64::MAX, reference, ..Achievement::default() };
        assert_eq!(Schedule::paper().reward_ppm(&free), 1_000_000);
        assert_eq!(Schedule::paper().reward_ppm(&Achievement { cost, ..free }), 0);
        assert_eq!(Schedule::paper().reward_ppm(&Achievement { reference: Money::ZERO, cost, ..free }), 0);
    }

    #[test]
    fn each_rule_of_a_schedule_has_its_error() {
        let mut short = certified();
        short.curve.pop();
        assert_eq!(short.validate(), Err(ScheduleError::PointCount { got: 64 }));
        let mut above = certified();
        above.curve[0] = 1_000_001;
        assert_eq!(above.validate(), Err(ScheduleError::AboveWhole { point: 0, got: 1_000_001 }));
        let mut rising = certified();
        rising.curve[64] = 2_815;
        assert_eq!(rising.validate(), Err(ScheduleError::Rising { point: 64, got: 2_815, expected: 2_814 }));
        let mut empty = certified();
        empty.measure = Measure::Certified { gap_full_ppm: 7, gap_max_ppm: 7 };
        assert_eq!(empty.validate(), Err(ScheduleError::Ends { full: 7, none: 7 }));
        let mut wide = certified();
        wide.measure = Measure::Certified { gap_full_ppm: 7, gap_max_ppm: 1_000_000_001 };
        let (field, got) = ("schedule.gap_max_ppm", 1_000_000_001);
        assert_eq!(
            wide.validate(),
            Err(ScheduleError::Range { field, got, lowest: 0, highest: 1_000_000_000 })
        );
        let paper = |reference_margin_ppm, full_at_ppm, block_orders_min| {
            Schedule::from(Measure::Paper { reference_margin_ppm, full_at_ppm, block_orders_min }).validate()
        };
        assert_eq!(paper(9, 5, 1), Err(ScheduleError::Ends { full: -5, none: -9 }));
        let (field, got) = ("schedule.full_at_ppm", 10_000_001);
        let (lowest, highest) = (0, 10_000_000);
        assert_eq!(paper(5, 10_000_001, 1), Err(ScheduleError::Range { field, got, lowest, highest }));
        let (field, got) = ("schedule.block_orders_min", 0);
        let (lowest, highest) = (1, u32::MAX.into());
        assert_eq!(paper(5, 9, 0), Err(ScheduleError::Range { field, got, lowest, highest }));
        assert_eq!(certified().validate(), Ok(()));
        assert_eq!(Schedule::paper().validate(), Ok(()));
    }

    #[test]
    fn text_names_the_curve_only_where_it_is_another() {
        let text = serde_json::to_string(&certified()).unwrap();
        assert_eq!(text, r#"{"kind":"certified","gap_full_ppm":5000,"gap_max_ppm":100000}"#);
        let mut flat = Schedule::paper();
        flat.curve = vec![7; POINTS];
        for schedule in [certified(), flat] {
            let text = serde_json::to_string(&schedule).unwrap();
            assert_eq!(serde_json::from_str::<Schedule>(&text).unwrap(), schedule);
        }
    }

    proptest! {
        #[test]
        fn more_reduced_cost_never_pays_more(cost in 0..i64::MAX, reduced_cost in 0..i64::MAX / 2, more in 0..i64::MAX / 2) {
            let of = |reduced_cost| certified().reward_ppm(&Achievement {
                cost: Money::from_micros(cost), reduced_cost: Money::from_micros(reduced_cost), orders: 1, ..Achievement::default()
            });
            prop_assert!(of(reduced_cost + more) <= of(reduced_cost));
            prop_assert!(of(reduced_cost) <= PPM);
        }
    }
}
