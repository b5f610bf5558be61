//! Who votes on a height, and with how much power.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::turns::Turns;
use super::{MAX_VALIDATORS, Round};
use crate::key::{KeyError, PublicKey};
use crate::record::Height;

/// How many votes a validator has; at least 1.
pub type Power = u64;

/// The most that all validators of a set may have together: 2^61 votes.
pub const POWER_TOTAL: Power = 1 << 61;

/// The validators of a height in order of their keys. Votes and certificates name them by their position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidatorSet {
    keys: Vec<PublicKey>,
    seats: Seats,
}

/// The power of each validator: all that the algorithm knows of them, who go by their positions there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Seats {
    powers: Arc<[Power]>,
    turns: Turns,
    total: Power,
    /// The least power that decides.
    pub(super) quorum: Power,
    /// The greatest power that may crash or lie without harm.
    pub(super) tolerated: Power,
}

/// Why keys do not make a validator set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum ValidatorSetError {
    /// Nobody could decide anything.
    #[error("no validators, expected at least 1")]
    Empty,
    /// More than certificates have room for.
    #[error("{got} validators, expected at most {expected}")]
    TooMany {
        /// Keys given.
        got: usize,
        /// [`MAX_VALIDATORS`].
        expected: usize,
    },
    /// A validator without votes would be none.
    #[error("validator {0} has no votes, expected at least 1")]
    NoPower(PublicKey),
    /// More than can be counted.
    #[error("the validators have {got} votes together, expected at most {expected}")]
    TooMuchPower {
        /// Their sum.
        got: u128,
        /// [`POWER_TOTAL`].
        expected: Power,
    },
    /// A key under which nothing can be proven.
    #[error("validator {key}: {reason}")]
    UnusableKey { key: PublicKey, reason: KeyError },
}

impl ValidatorSet {
    /// The set of these keys with this power each.
    ///
    /// # Errors
    /// If there are none, too many, one without power or that is malformed or weak, or too much power in all.
    pub fn new(powers: &BTreeMap<PublicKey, Power>) -> Result<Self, ValidatorSetError> {
        if powers.is_empty() {
            return Err(ValidatorSetError::Empty);
        }
        if powers.len() > MAX_VALIDATORS {
            return Err(ValidatorSetError::TooMany { got: powers.len(), expected: MAX_VALIDATORS });
        }
        if let Some((&key, _)) = powers.iter().find(|(_, power)| **power == 0) {
            return Err(ValidatorSetError::NoPower(key));
        }
        let got: u128 = powers.values().copied().map(u128::from).sum();
        if got > u128::from(POWER_TOTAL) {
            return Err(ValidatorSetError::TooMuchPower { got, expected: POWER_TOTAL });
        }
        for &key in powers.keys() {
            key.validate().map_err(|reason| ValidatorSetError::UnusableKey { key, reason })?;
        }
        Ok(Self { keys: powers.keys().copied().collect(), seats: Seats::new(powers.values().copied()) })
    }

    /// The number of validators, n; at least 1.
    #[expect(clippy::len_without_is_empty, reason = "a validator set is never empty")]
    pub const fn len(&self) -> usize {
        self.keys.len()
    }

    /// The keys in order of position.
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// The key at a position.
    pub fn key(&self, index: u16) -> Option<PublicKey> {
        self.keys.get(usize::from(index)).copied()
    }

    /// The position of a key.
    pub fn index_of(&self, key: &PublicKey) -> Option<u16> {
        self.keys.binary_search(key).ok().and_then(|index| u16::try_from(index).ok())
    }

    /// The votes of the validator at a position; none where there is none.
    pub fn power_of(&self, index: u16) -> Power {
        self.seats.power_of(index)
    }

    /// All votes together, at least 1.
    pub const fn total_power(&self) -> Power {
        self.seats.total
    }

    /// Votes that decide: the least number that is more than two thirds of all.
    pub const fn quorum(&self) -> Power {
        self.seats.quorum
    }

    /// The most votes whose validators may crash or lie without harm: less than a third of all.
    pub const fn tolerated_power(&self) -> Power {
        self.seats.tolerated
    }

    /// The position of the validator who may propose in a round: each in turn, as often as its power says.
    pub fn proposer(&self, height: Height, round: Round) -> u16 {
        self.seats.proposer(height, round)
    }

    pub(super) const fn seats(&self) -> &Seats {
        &self.seats
    }
}

impl Seats {
    /// The same with another quorum, to see what goes wrong then.
    #[cfg(test)]
    pub(super) fn with_quorum(self, quorum: Power) -> Self {
        Self { quorum, ..self }
    }

    /// Of validators with these powers, by position: at least one, none of them 0, at most [`POWER_TOTAL`] in all.
    pub(super) fn new(powers: impl IntoIterator<Item = Power>) -> Self {
        let powers: Arc<[Power]> = powers.into_iter().collect();
        let total = powers.iter().copied().fold(0, Power::saturating_add);
        // At most 2^61, so that twice as much is no overflow.
        let quorum = (total.saturating_mul(2) / 3).saturating_add(1);
        let tolerated = total.saturating_sub(1) / 3;
        Self { turns: Turns::new(&powers), powers, total, quorum, tolerated }
    }

    pub(super) fn power_of(&self, index: u16) -> Power {
        self.powers.get(usize::from(index)).copied().unwrap_or(0)
    }

    /// The power of several together, each of whom is named once.
    pub(super) fn power_of_all(&self, indices: impl IntoIterator<Item = u16>) -> Power {
        indices.into_iter().fold(0, |sum, index| sum.saturating_add(self.power_of(index)))
    }

    pub(super) fn proposer(&self, height: Height, round: Round) -> u16 {
        self.turns.at(height, round)
    }

    /// How many turns a validator had in the rounds before this one, about.
    pub(super) fn turns_before(&self, index: u16, round: Round) -> u64 {
        let turns = u128::from(round).saturating_mul(u128::from(self.power_of(index)));
        u64::try_from(turns.checked_div(u128::from(self.total)).unwrap_or(0)).unwrap_or(u64::MAX)
    }
}
