//! The room of evidence: which validators were shown to have voted twice. It costs them nothing yet, and is not forgotten.

use std::collections::{BTreeMap, BTreeSet};

use super::root::StateKey;
use crate::consensus::{DoubleVote, EvidenceError};
use crate::record::Height;

/// Validators by position, with the height of the batch that brought the evidence.
#[derive(Clone, Debug, Default)]
pub(super) struct Accused {
    heights: BTreeMap<u16, Height>,
    /// What changed since the state tree was last brought up to date.
    touched: BTreeSet<StateKey>,
}

impl Accused {
    /// Evidence, right by itself, may come with a batch of this height.
    pub(super) fn validate(&self, evidence: &DoubleVote, height: Height) -> Result<(), EvidenceError> {
        let validator = evidence.validator;
        if evidence.height > height {
            return Err(EvidenceError::FromTheFuture { got: evidence.height, expected: height });
        }
        if self.heights.contains_key(&validator) {
            return Err(EvidenceError::KnownBefore { validator });
        }
        Ok(())
    }

    /// Notes it.
    pub(super) fn accuse(&mut self, evidence: &DoubleVote, height: Height) {
        self.heights.insert(evidence.validator, height);
        self.touched.insert(StateKey::Accused(evidence.validator));
    }

    pub(super) fn since(&self, validator: u16) -> Option<Height> {
        self.heights.get(&validator).copied()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = StateKey> {
        self.heights.keys().map(|&validator| StateKey::Accused(validator))
    }

    pub(super) fn take_touched(&mut self) -> BTreeSet<StateKey> {
        std::mem::take(&mut self.touched)
    }
}
