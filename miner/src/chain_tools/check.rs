//! Checking a proof with nothing but the file and, at most, the network's id.

use chain::codec::decode;
use chain::ledger::{DemandEntry, DemandStatus, StateKey, StateProof};
use chain::validate::verify_certificate;
use chain::{Amendment, Domain, Genesis, Network, NetworkId, codec};

use super::proof::{
    DemandProof, PROOF_FORMAT, PROOF_VERSION, Place, ProofError, Proven, SignedHeader, leaf_of,
};

impl DemandProof {
    /// Checks everything the proof says. `trusted` is the network its reader means; without it the proof
    /// holds for whatever network it names.
    ///
    /// # Errors
    /// The first link of the chain of reasons that does not hold.
    pub fn verify(&self, trusted: Option<NetworkId>) -> Result<Proven, ProofError> {
        if self.format != PROOF_FORMAT || self.version != PROOF_VERSION {
            return Err(ProofError::Format { got: self.format.clone(), version: self.version });
        }
        let network = self.verify_genesis(trusted)?;
        self.verify_header(&network, Place::Block, &self.block)?;
        self.verify_included()?;
        self.verify_header(&network, Place::Head, &self.head)?;
        self.validate_order()?;
        let entry = self.verify_entry()?;
        self.validate_current(&entry)?;
        let freezes_after = network.parameters().freeze_after_heights;
        let first_composed = entry.composition().map_or(self.block.header.height, |standing| standing.since);
        let validators = network.validators();
        let (block, head) = (&self.block.header, &self.head.header);
        Ok(Proven {
            network: network.id(),
            network_name: network.genesis().name.clone(),
            demand: self.demand,
            block: block.hash(),
            height: block.height,
            miner: block.miner,
            votes: (self.block.certificate.signatures.len(), validators.len(), validators.quorum()),
            composition: self.composition.clone(),
            head: head.hash(),
            head_height: head.height,
            head_timestamp_ms: head.timestamp_ms,
            settled_at: first_composed.saturating_add(freezes_after),
            entry,
        })
    }

    /// The genesis is that of the trusted network: from here on its validators can be believed.
    fn verify_genesis(&self, trusted: Option<NetworkId>) -> Result<Network, ProofError> {
        if let Some(expected) = trusted.filter(|trusted| *trusted != self.network) {
            return Err(ProofError::WrongNetwork { got: self.network, expected });
        }
        let bytes = from_hex("the genesis", &self.genesis)?;
        let got = NetworkId(Domain::Genesis.hash(&[&bytes]));
        if got != self.network {
            return Err(ProofError::GenesisMismatch { got, expected: self.network });
        }
        let genesis = Genesis::from_bytes(&bytes);
        let genesis = genesis.map_err(|error| malformed("the genesis", &error))?;
        Ok(Network::new(genesis)?)
    }

    fn verify_header(
        &self,
        network: &Network,
        place: Place,
        signed: &SignedHeader,
    ) -> Result<(), ProofError> {
        let header = &signed.header;
        if header.network != self.network {
            return Err(ProofError::HeaderNetwork { place, got: header.network, expected: self.network });
        }
        let bytes = codec::encode(header);
        let signature = header.miner.verify(Domain::Header, &[&bytes], &signed.signature);
        signature.map_err(|error| ProofError::Miner { place, error })?;
        verify_certificate(network, header.height, header.hash(), &signed.certificate)
            .map_err(|error| ProofError::NotFinal { place, error })
    }

    fn verify_included(&self) -> Result<(), ProofError> {
        let (got, expected) = (self.composition.demand, self.demand);
        if got != expected {
            return Err(ProofError::WrongDemand { got, expected });
        }
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

    fn verify_entry(&self) -> Result<DemandEntry, ProofError> {
        let key = from_hex("the state entry's key", &self.state.key)?;
        let value = from_hex("the state entry's value", &self.state.value)?;
        let expected = StateKey::Demand(self.demand).to_bytes();
        if key != expected {
            return Err(ProofError::WrongEntry {
                got: self.state.key.clone(),
                expected: hex::encode(expected),
            });
        }
        let decoded = decode(&value, value.len());
        let proof = StateProof { key, value: Some(value), proof: self.state.proof.clone() };
        proof.verify(self.head.header.state_root).map_err(ProofError::NotInState)?;
        decoded.map_err(|error| malformed("the state entry's value", &error))
    }

    /// What the state holds is the very composition of the block.
    fn validate_current(&self, entry: &DemandEntry) -> Result<(), ProofError> {
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
        Ok(())
    }
}

fn from_hex(what: &'static str, text: &str) -> Result<Vec<u8>, ProofError> {
    hex::decode(text).map_err(|error| malformed(what, &error))
}

fn malformed(what: &'static str, error: &impl ToString) -> ProofError {
    ProofError::Malformed { what, error: error.to_string() }
}
