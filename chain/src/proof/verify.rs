//! Checking a proof with nothing but the proof and the network's id.

use super::error::{Place, ProofError};
use super::{CompositionProof, Proven, Settlement, SignedHeader, leaf_of};
use crate::block::{Amendment, tag, tagged};
use crate::codec::{decode, encode};
use crate::genesis::Network;
use crate::hash::{Domain, Hash};
use crate::ledger::{DemandEntry, DemandStatus, StateKey, StateProof};
use crate::record::{Height, NetworkId};
use crate::validate::verify_certificate;

impl CompositionProof {
    /// Checks everything the proof says. `network_id` is the network its reader means.
    ///
    /// # Errors
    /// The first link of the chain of reasons that does not hold.
    pub fn verify(&self, network_id: NetworkId) -> Result<Proven, ProofError> {
        let network = self.verify_genesis(network_id)?;
        verify_header(&network, Place::Batch, &self.batch)?;
        self.verify_included()?;
        verify_header(&network, Place::Head, &self.head)?;
        self.validate_order()?;
        let entry = self.verify_entry()?;
        self.validate_current(&network, &entry)?;
        let settled_at = self.verify_settlement(&network)?;
        let validators = network.validators();
        let (batch, head) = (&self.batch.header, &self.head.header);
        Ok(Proven {
            network: network.id(),
            network_name: network.genesis().name.clone(),
            demand: self.demand(),
            batch: batch.hash(),
            height: batch.height,
            block: self.block.header.hash(),
            miner: self.block.header.miner,
            votes: (self.batch.certificate.votes(validators), validators.total_power(), validators.quorum()),
            composition: self.composition.clone(),
            head: head.hash(),
            head_height: head.height,
            head_timestamp_ms: head.timestamp_ms,
            current_after: head.height.saturating_sub(1),
            settled_at,
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
        let (header, leaf) = (&self.batch.header, tagged(tag::BLOCK, &self.block));
        let included = self.block_inclusion.verify(header.contents_root, &leaf, header.item_count);
        included.map_err(ProofError::BlockNotIncluded)?;
        let (header, leaf) = (&self.block.header, leaf_of(&self.composition, self.amendment.as_ref()));
        self.inclusion.verify(header.merkle_root, &leaf, header.item_count).map_err(ProofError::NotIncluded)
    }

    fn validate_order(&self) -> Result<(), ProofError> {
        let (got, expected) = (self.head.header.height, self.batch.header.height.saturating_add(1));
        if got < expected { Err(ProofError::HeadTooEarly { got, expected }) } else { Ok(()) }
    }

    /// What the state before the head says of the demand.
    fn verify_entry(&self) -> Result<DemandEntry, ProofError> {
        self.verify_said(Place::Head, &self.state, self.head.header.state_root)?;
        let value = self.state.value().unwrap_or_default();
        decode(value, value.len()).map_err(ProofError::Entry)
    }

    /// The state with this root says of the demand what this proof says.
    fn verify_said(&self, place: Place, said: &StateProof, state_root: Hash) -> Result<(), ProofError> {
        let expected = StateKey::Demand(self.demand()).to_bytes();
        if said.key() != expected {
            let (got, expected) = (hex::encode(said.key()), hex::encode(expected));
            return Err(ProofError::WrongEntry { got, expected });
        }
        said.verify(state_root).map_err(|error| ProofError::NotInState { place, error })
    }

    /// The demand is gone with the head, whose height this is; `None` if that is not claimed.
    fn verify_settlement(&self, network: &Network) -> Result<Option<Height>, ProofError> {
        let Some(Settlement { batch, absence }) = &self.settlement else { return Ok(None) };
        verify_header(network, Place::Settlement, batch)?;
        let (got, expected) = (batch.header.parent, self.head.header.hash());
        if got != expected {
            return Err(ProofError::SettlementElsewhere { got, expected });
        }
        if absence.value().is_some() {
            return Err(ProofError::NotSettled);
        }
        self.verify_said(Place::Settlement, absence, batch.header.state_root)?;
        Ok(Some(self.head.header.height))
    }

    /// What the state holds is the very composition of the batch.
    fn validate_current(&self, network: &Network, entry: &DemandEntry) -> Result<(), ProofError> {
        let not_current =
            |what, got: String, expected: String| Err(ProofError::NotCurrent { what, got, expected });
        let DemandStatus::Composed(standing) = &entry.status else {
            return not_current("the demand", entry.status.name().into(), "composed".into());
        };
        let (header, miner) = (&self.batch.header, self.block.header.miner.address());
        let composition = &self.composition;
        // A block that is committed to takes effect at the height that reveals it or a later one.
        let is_committed = network.parameters().commit_reveal.is_some();
        if standing.height != header.height && !(is_committed && standing.height > header.height) {
            return not_current("the height", standing.height.to_string(), header.height.to_string());
        }
        if standing.author() != miner {
            let (got, expected) = (standing.author().to_string(), miner.to_string());
            return not_current("the miner", got, expected);
        }
        if standing.slots != composition.slots {
            let (got, expected) = (&standing.slots, &composition.slots);
            return not_current("the list of slots", format!("{got:?}"), format!("{expected:?}"));
        }
        if standing.cost != composition.cost {
            return not_current("the cost", standing.cost.to_string(), composition.cost.to_string());
        }
        Ok(())
    }
}

/// The header is the network's, its proposer's, and final.
fn verify_header(network: &Network, place: Place, signed: &SignedHeader) -> Result<(), ProofError> {
    let (header, expected) = (&signed.header, network.id());
    if header.network != expected {
        return Err(ProofError::HeaderNetwork { place, got: header.network, expected });
    }
    let signature = header.proposer.verify(Domain::Header, &[&encode(header)], &signed.signature);
    signature.map_err(|error| ProofError::Proposer { place, error })?;
    verify_certificate(network, header.height, header.hash(), &signed.certificate)
        .map_err(|error| ProofError::NotFinal { place, error })
}
