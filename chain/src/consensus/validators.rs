//! Who votes on a height.

use serde::{Deserialize, Serialize};

use super::{MAX_VALIDATORS, Round};
use crate::key::{KeyError, PublicKey};
use crate::record::Height;

/// The validators of a height in order of their keys, all of equal power. Votes and certificates name
/// them by their position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<PublicKey>", into = "Vec<PublicKey>")]
pub struct ValidatorSet(Vec<PublicKey>);

/// How many validators there are: all that the algorithm knows of them, who go by their positions there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Seats {
    pub(super) count: usize,
    pub(super) quorum: usize,
    pub(super) faults_tolerated: usize,
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
    /// A key stands twice; it would vote twice.
    #[error("validator {0} is listed twice")]
    Duplicate(PublicKey),
    /// A key under which nothing can be proven.
    #[error("validator {key}: {reason}")]
    UnusableKey { key: PublicKey, reason: KeyError },
}

impl ValidatorSet {
    /// The set of these keys, in whatever order they are given.
    ///
    /// # Errors
    /// If there are none, too many, the same one twice, or one that is malformed or weak.
    pub fn new(keys: impl IntoIterator<Item = PublicKey>) -> Result<Self, ValidatorSetError> {
        let mut keys: Vec<_> = keys.into_iter().collect();
        if keys.is_empty() {
            return Err(ValidatorSetError::Empty);
        }
        if keys.len() > MAX_VALIDATORS {
            return Err(ValidatorSetError::TooMany { got: keys.len(), expected: MAX_VALIDATORS });
        }
        keys.sort_unstable();
        if let Some((key, _)) = keys.iter().zip(keys.iter().skip(1)).find(|(key, next)| key == next) {
            return Err(ValidatorSetError::Duplicate(*key));
        }
        for &key in &keys {
            key.validate().map_err(|reason| ValidatorSetError::UnusableKey { key, reason })?;
        }
        Ok(Self(keys))
    }

    /// The number of validators, n; at least 1.
    #[expect(clippy::len_without_is_empty, reason = "a validator set is never empty")]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// The keys in order of position.
    pub fn keys(&self) -> &[PublicKey] {
        &self.0
    }

    /// The key at a position.
    pub fn key(&self, index: u16) -> Option<PublicKey> {
        self.0.get(usize::from(index)).copied()
    }

    /// The position of a key.
    pub fn index_of(&self, key: &PublicKey) -> Option<u16> {
        self.0.binary_search(key).ok().and_then(|index| u16::try_from(index).ok())
    }

    /// Votes that decide: more than two thirds, floor(2n/3) + 1.
    pub const fn quorum(&self) -> usize {
        self.seats().quorum
    }

    /// Validators that may crash or lie without harm: floor((n-1)/3).
    pub const fn faults_tolerated(&self) -> usize {
        self.seats().faults_tolerated
    }

    /// The position of the validator who may propose in a round: each in turn.
    pub fn proposer(&self, height: Height, round: Round) -> u16 {
        self.seats().proposer(height, round)
    }

    pub(super) const fn seats(&self) -> Seats {
        Seats::new(self.0.len())
    }
}

impl Seats {
    pub(super) const fn new(count: usize) -> Self {
        let quorum = (count.saturating_mul(2) / 3).saturating_add(1);
        Self { count, quorum, faults_tolerated: count.saturating_sub(1) / 3 }
    }

    pub(super) fn proposer(&self, height: Height, round: Round) -> u16 {
        let count = u64::try_from(self.count).unwrap_or(u64::MAX).max(1);
        // Both terms are below 256, so their sum does not overflow.
        let turn = height.rem_euclid(count).saturating_add(u64::from(round).rem_euclid(count));
        u16::try_from(turn.rem_euclid(count)).unwrap_or_default()
    }
}

impl TryFrom<Vec<PublicKey>> for ValidatorSet {
    type Error = ValidatorSetError;

    fn try_from(keys: Vec<PublicKey>) -> Result<Self, Self::Error> {
        Self::new(keys)
    }
}

impl From<ValidatorSet> for Vec<PublicKey> {
    fn from(validators: ValidatorSet) -> Self {
        validators.0
    }
}
