//! Minutes and the ids of things; with [`Money`], the integer units everything else is written in.

use std::fmt;

use serde::{Deserialize, Serialize};

pub use crate::money::Money;

/// Minutes of processing or of travel.
pub type Minutes = i64;

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
