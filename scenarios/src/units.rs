//! Money, minutes and the ids of things: the integer units everything else is written in.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Minutes of processing or of travel.
pub type Minutes = i64;

/// An amount of money in micro-units (1 $ = 1,000,000), possibly negative.
///
/// The operators panic on overflow; within [`crate::limits`] no cost, price or bound of one demand can
/// reach it. Code that handles what a peer sent uses the `checked_*` methods.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Money(i64);

impl Money {
    /// No money.
    pub const ZERO: Self = Self(0);
    /// Micro-units in one whole unit.
    pub const MICROS_PER_UNIT: i64 = 1_000_000;

    /// From micro-units.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From whole units (dollars).
    pub const fn from_units(units: i64) -> Self {
        Self(units * Self::MICROS_PER_UNIT)
    }

    /// In micro-units.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// In whole units, for display and statistics only.
    #[expect(clippy::cast_precision_loss, reason = "for display")]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// The sum, or `None` on overflow.
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(micros) => Some(Self(micros)),
            None => None,
        }
    }

    /// The difference, or `None` on overflow.
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(micros) => Some(Self(micros)),
            None => None,
        }
    }

    /// `self` times a whole number, or `None` on overflow.
    pub const fn checked_mul(self, factor: i64) -> Option<Self> {
        match self.0.checked_mul(factor) {
            Some(micros) => Some(Self(micros)),
            None => None,
        }
    }

    /// `floor(self * ppm / 1,000,000)`, or `None` on overflow of the result.
    pub fn checked_ppm(self, ppm: u64) -> Option<Self> {
        let product = i128::from(self.0) * i128::from(ppm);
        i64::try_from(product.div_euclid(1_000_000)).ok().map(Self)
    }
}

impl Add for Money {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        self.checked_add(other).expect("money overflows i64 micro-units")
    }
}

impl Sub for Money {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self.checked_sub(other).expect("money overflows i64 micro-units")
    }
}

impl Neg for Money {
    type Output = Self;
    fn neg(self) -> Self {
        Self::ZERO - self
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Money {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

/// Whole units with thousands separators, the fraction without trailing zeros: `1,234.5`.
/// A precision (`{:.2}`) rounds half away from zero to that many digits, at most six.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(6).min(6);
        let step = 10_u64.pow(6 - u32::try_from(digits).unwrap_or(6));
        let rounded = self.0.unsigned_abs().saturating_add(step / 2) / step * step;
        let (units, fraction) = (rounded / 1_000_000, rounded % 1_000_000);
        let sign = if self.0 < 0 && rounded > 0 { "-" } else { "" };
        let plain = units.to_string();
        let mut text = String::from(sign);
        for (position, digit) in plain.chars().enumerate() {
            if position > 0 && (plain.len() - position).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        let fraction = format!("{fraction:06}");
        match f.precision() {
            Some(0) => {}
            Some(_) => text.extend([".", &fraction[..digits]]),
            None if fraction == "000000" => {}
            None => text.extend([".", fraction.trim_end_matches('0')]),
        }
        f.pad_integral(true, "", &text)
    }
}

/// A provider: its position in [`crate::Supply::providers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProviderId(pub u32);

impl ProviderId {
    /// The provider's position as an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The id of the provider at `index`. Panics above `u32::MAX`, far beyond [`crate::limits`].
    pub fn from_index(index: usize) -> Self {
        Self(u32::try_from(index).expect("a provider index fits u32"))
    }
}

impl fmt::Display for ProviderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "provider #{}", self.0)
    }
}

/// An operation: a kind of work, numbered from 0 in a market.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperationId(pub u16);

impl OperationId {
    /// The operation's number as an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "operation #{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_prints_thousands_and_only_the_digits_it_has() {
        assert_eq!(Money::from_micros(1_234_500_000).to_string(), "1,234.5");
        assert_eq!(Money::from_units(121_672).to_string(), "121,672");
        assert_eq!(Money::from_micros(-1).to_string(), "-0.000001");
    }

    #[test]
    fn money_rounds_to_the_precision_asked_for() {
        assert_eq!(format!("{:.2}", Money::from_micros(1_999_995_000)), "2,000.00");
        assert_eq!(format!("{:.0}", Money::from_micros(-1_500_000)), "-2");
        assert_eq!(format!("{:.0}", Money::from_micros(-400_000)), "0");
    }

    #[test]
    fn ppm_floors_towards_minus_infinity() {
        assert_eq!(Money::from_micros(999).checked_ppm(500_000), Some(Money::from_micros(499)));
        assert_eq!(Money::from_micros(-999).checked_ppm(500_000), Some(Money::from_micros(-500)));
    }

    #[test]
    fn checked_arithmetic_refuses_what_does_not_fit() {
        assert_eq!(Money::from_micros(i64::MAX).checked_add(Money::from_micros(1)), None);
        assert_eq!(Money::from_micros(i64::MIN).checked_sub(Money::from_micros(1)), None);
        assert_eq!(Money::from_micros(i64::MAX).checked_mul(2), None);
    }
}
