//! Checking a proof with nothing but the proof and the network's id.

use super::error::{Place, ProofError};
use super::{CompositionProof, Proven, SignedHeader, leaf_of};
use crate::block::Amendment;
use crate::codec::{decode, encode};
use crate::genesis::Network;
use crate::hash::Domain;
use crate::ledger::{DemandEntry, DemandStatus, StateKey};
use crate::record::{Height, NetworkId};
use crate::validate::verify_certificate;

impl CompositionProof {
    /// Checks everything the proof says. `network_id` is the network its reader means.
    ///
    /// # Errors
    /// The first link of the chain of reasons that does not hold.
    pub fn verify(&self, network_id: NetworkId) -> Result<Proven, ProofError> {
        let network = self.verify_genesis(network_id)?;
        verify_header(&network, Place::Block, &self.block)?;
        self.verify_included()?;
        verify_header(&network, Place::Head, &self.head)?;
        self.validate_order()?;
        let entry = self.verify_entry()?;
        let since = self.validate_current(&entry)?;
        let validators = network.validators();
        let (block, head) = (&self.block.header, &self.head.header);
        Ok(Proven {
            network: network.id(),
            network_name: network.genesis().name.clone(),
            demand: self.demand(),
            block: block.hash(),
            height: block.height,
            miner: block.miner,
            votes: (self.block.certificate.signatures.len(), validators.len(), validators.quorum()),
            composition: self.composition.clone(),
            head: head.hash(),
            head_height: head.height,
            head_timestamp_ms: head.timestamp_ms,
            settled_at: since.saturating_add(network.parameters().freeze_after_heights),
            entry,
        })
    }

    /// The genesis is that of the trusted network: from here on its validators can be believed.
    fn verify_genesis(&self, expected: NetworkId) -> Result<Network, ProofError> {
        let got = self.network();
        if got != expected {
            return Err(ProofError::WrongNetwork { got, expected });
        }
        Ok(Network::new(self.genesis.clone())?)
    }

    fn verify_included(&self) -> Result<(), ProofError> {
        let is_part =
            |amendment: &Amendment| amendment.parts.iter().any(|part| part.composition == self.composition);
        if !self.amendment.as_ref().is_none_or(is_part) {
            return Err(ProofError::NotAPart);
        }
        let (header, leaf) = (&self.block.header, leaf_of(&self.composition, self.amendment.as_ref()));
        self.inclusion.verify(header.merkle_root, &leaf, header.item_count).map_err(ProofError::NotIncluded)
    }

    fn validate_order(&self) -> Result<(), ProofError> {
        let (got, expected) = (self.head.header.height, self.block.header.height);
        if got < expected {
            return Err(ProofError::HeadBelowBlock { got, expected });
        }
        let (head, block) = (self.head.header.hash(), self.block.header.hash());
        if got == expected && head != block {
            return Err(ProofError::TwoBlocks { got: head, expected: block });
        }
        Ok(())
    }

    /// What the head's state says of the demand.
    fn verify_entry(&self) -> Result<DemandEntry, ProofError> {
        let expected = StateKey::Demand(self.demand()).to_bytes();
        if self.state.key() != expected {
            let got = hex::encode(self.state.key());
            return Err(ProofError::WrongEntry { got, expected: hex::encode(expected) });
        }
        self.state.verify(self.head.header.state_root).map_err(ProofError::NotInState)?;
        let value = self.state.value().unwrap_or_default();
        decode(value, value.len()).map_err(ProofError::Entry)
    }

    /// What the state holds is the very composition of the block; the height at which the demand was first composed.
    fn validate_current(&self, entry: &DemandEntry) -> Result<Height, ProofError> {
        let not_current =
            |what, got: String, expected: String| Err(ProofError::NotCurrent { what, got, expected });
        let DemandStatus::Composed(standing) = &entry.status else {
            return not_current("the demand", entry.status.name().into(), "composed".into());
        };
        let (header, composition) = (&self.block.header, &self.composition);
        if standing.height != header.height {
            return not_current("the height", standing.height.to_string(), header.height.to_string());
        }
        if standing.author() != header.miner.address() {
            let (got, expected) = (standing.author().to_string(), header.miner.address().to_string());
            return not_current("the miner", got, expected);
        }
        if standing.providers != composition.providers {
            let (got, expected) = (&standing.providers, &composition.providers);
            return not_current("the list of providers", format!("{got:?}"), format!("{expected:?}"));
        }
        if standing.cost != composition.cost {
            return not_current("the cost", standing.cost.to_string(), composition.cost.to_string());
        }
        Ok(standing.since)
    }
}

/// The header is the network's, its miner's, and final.
fn verify_header(network: &Network, place: Place, signed: &SignedHeader) -> Result<(), ProofError> {
    let (header, expected) = (&signed.header, network.id());
    if header.network != expected {
        return Err(ProofError::HeaderNetwork { place, got: header.network, expected });
    }
    let signature = header.miner.verify(Domain::Header, &[&encode(header)], &signed.signature);
    signature.map_err(|error| ProofError::Miner { place, error })?;
    verify_certificate(network, header.height, header.hash(), &signed.certificate)
        .map_err(|error| ProofError::NotFinal { place, error })
}
