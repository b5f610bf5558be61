//! Money: whole micro-units, never a float. How it is added, printed, and written in files.

use std::borrow::Cow;
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An amount of money in micro-units (1 $ = 1,000,000), possibly negative.
///
/// The operators panic on overflow; within [`crate::limits`] no cost, price or bound of one demand can
/// reach it. Code that handles what a peer sent uses the `checked_*` methods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// Below this many whole units a fraction survives the way through a 64-bit float exactly: the float nearest
/// to `micros / 1e6`, multiplied by 1e6, is off by at most `2^31 * 1e6 * 2^-52` < 0.48.
const FLOAT_UNITS: i64 = 1 << 31;

/// What a file may hold where money is expected.
const EXPECTED: &str = "an amount in dollars with at most six decimals, such as 23.41";

impl Money {
    /// The amount a float stands for, if it is one of at most six decimals and below [`FLOAT_UNITS`].
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked first")]
    fn from_f64_exact(dollars: f64) -> Option<Self> {
        let range = -(2.0_f64.powi(31))..=2.0_f64.powi(31);
        let micros = range.contains(&dollars).then(|| (dollars * 1e6).round() as i64)?;
        #[expect(clippy::float_cmp, reason = "both are the float nearest to the same decimal, or not")]
        let exact = Self(micros).as_f64() == dollars;
        exact.then_some(Self(micros))
    }

    /// The amount written in plain decimals: a sign, digits, at most six decimals, nothing else.
    fn from_decimal(text: &str) -> Option<Self> {
        let (sign, plain) = text.strip_prefix('-').map_or((1, text), |plain| (-1, plain));
        let (units, fraction) = plain.split_once('.').unwrap_or((plain, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(units) || !digits(fraction) || fraction.len() > 6 {
            return None;
        }
        let micros = format!("{units}{fraction:0<6}").parse::<i128>().ok()?;
        i64::try_from(sign * micros).ok().map(Self)
    }
}

/// In human-readable formats a number of dollars (`23.41`; whole amounts without a fraction), in others the
/// `i64` micro-units. Fractional amounts of more than two thousand million dollars, which a JSON number
/// cannot carry exactly everywhere, become decimal strings.
impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (units, micros) = (self.0 / Self::MICROS_PER_UNIT, self.0 % Self::MICROS_PER_UNIT);
        if !serializer.is_human_readable() {
            serializer.serialize_i64(self.0)
        } else if micros == 0 {
            serializer.serialize_i64(units)
        } else if units.abs() < FLOAT_UNITS {
            serializer.serialize_f64(self.as_f64())
        } else {
            let sign = if self.0 < 0 { "-" } else { "" };
            serializer.serialize_str(&format!("{sign}{}.{:06}", units.abs(), micros.abs()))
        }
    }
}

/// The reverse of serialising; refuses more than six decimals, what is not a number, and what does not fit.
impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(DollarVisitor)
        } else {
            i64::deserialize(deserializer).map(Self)
        }
    }
}

struct DollarVisitor;

impl Visitor<'_> for DollarVisitor {
    type Value = Money;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_i64<E: de::Error>(self, units: i64) -> Result<Money, E> {
        let micros = units.checked_mul(Money::MICROS_PER_UNIT).map(Money);
        micros.ok_or_else(|| E::invalid_value(Unexpected::Signed(units), &self))
    }

    fn visit_u64<E: de::Error>(self, units: u64) -> Result<Money, E> {
        let units = i64::try_from(units).or(Err(E::invalid_value(Unexpected::Unsigned(units), &self)))?;
        self.visit_i64(units)
    }

    fn visit_f64<E: de::Error>(self, dollars: f64) -> Result<Money, E> {
        Money::from_f64_exact(dollars).ok_or_else(|| E::invalid_value(Unexpected::Float(dollars), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Money, E> {
        Money::from_decimal(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

impl JsonSchema for Money {
    fn schema_name() -> Cow<'static, str> {
        "Money".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An amount in dollars with at most six decimals. A decimal string is read too.",
            "type": ["number", "string"],
            "pattern": "^-?[0-9]+(\\.[0-9]{1,6})?$"
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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

    fn json(text: &str) -> Result<Money, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn money_in_json_is_a_plain_number_of_dollars() {
        let written = |micros| serde_json::to_string(&Money::from_micros(micros)).unwrap();
        assert_eq!(written(23_410_000), "23.41");
        assert_eq!(written(2_700_000_000), "2700");
        assert_eq!(written(-1), "-1e-6");
        assert_eq!(written(-500_000), "-0.5");
        assert_eq!(written(i64::MAX), "\"9223372036854.775807\"");
        assert_eq!(json("23.41"), Ok(Money::from_micros(23_410_000)));
        assert_eq!(json("-0.000001"), Ok(Money::from_micros(-1)));
        assert_eq!(json("\"23.41\""), Ok(Money::from_micros(23_410_000)));
        assert_eq!(json("1e3"), Ok(Money::from_units(1000)));
    }

    #[test]
    fn money_in_json_is_refused_when_it_cannot_be_kept_exactly() {
        let expected = "expected an amount in dollars with at most six decimals, such as 23.41";
        for text in ["0.1234567", "1e-7", "1e300", "3000000000.5", "9300000000000", "-9300000000000"] {
            assert!(json(text).unwrap_err().contains(expected), "{text}");
        }
        for text in ["true", "null", "[]", "\"\"", "\"1.\"", "\".5\"", "\"+1\"", "\"1.1234567\"", "\"--1\""] {
            assert!(json(text).unwrap_err().contains(expected), "{text}");
        }
    }

    proptest! {
        #[test]
        fn money_comes_back_from_json_as_it_went(
            micros in prop_oneof![any::<i64>(), -10_000_000_000_i64..10_000_000_000, -3_000_000_000_000_000_i64..3_000_000_000_000_000]
        ) {
            let money = Money::from_micros(micros);
            let written = serde_json::to_string(&money).unwrap();
            prop_assert_eq!(json(&written), Ok(money));
        }
    }
}
