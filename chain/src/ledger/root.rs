//! The state root: a sparse Merkle tree ([`crate::state_tree`]) over key/value pairs, so that a part of the state can be
//! proved to somebody who knows a header only, or that there is no such part.
//!
//! A key is a byte for its kind and the canonical bytes of what it names; a value is canonical bytes. Each
//! demand of the market has exactly one entry, so proving its entry proves that the composition in it is current.

use scenarios::ProviderId;
use serde::{Deserialize, Serialize};

use super::Ledger;
use super::market::Subject;
use crate::batch::BatchHash;
use crate::hash::Hash;
use crate::key::{Address, PublicKey};
use crate::record::{DemandId, Height};
use crate::state_tree::{TreeError, TreeProof};

/// One key/value pair of the state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateEntry {
    /// A byte for its kind ([`StateKey`]) and what it names.
    pub key: Vec<u8>,
    /// Canonical bytes.
    pub value: Vec<u8>,
}

/// What a state entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum StateKey {
    /// Somebody's balance.
    Balance(Address),
    /// The author's next sequence number.
    Sequence(Address),
    /// A provider: address, live offer, minutes taken, holder, price of a minute, deposit.
    Provider(ProviderId),
    /// A demand of the market and the composition that is current.
    Demand(DemandId),
    /// How often prices were updated, and whose they are.
    PriceTotals,
    /// The carrier account.
    Carrier,
    /// How many demands came and left.
    DemandTotals,
    /// How long the network was halted since genesis.
    Halted,
    /// A batch that blocks may be anchored on, and its time.
    Anchor(BatchHash),
    /// A block or a commitment that has had its turn, and the time of its anchor.
    Brought(Hash),
    /// What was paid for bytes.
    Burned,
    /// The cohort of a height: since when it waits, and who had a turn to bring its blocks.
    Cohort(Height),
    /// A commitment of the cohort of a height, and its block once that is revealed.
    Pledge(Height, PublicKey),
    /// What was announced about an offer or a demand.
    Notice(Subject),
    /// A validator, by position, who voted twice, and the height of the batch that brought the evidence.
    Accused(u16),
}

/// What the state with a certain root says of a key: its value, or that it has none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateProof {
    /// The key, as [`StateKey::to_bytes`] gives it.
    pub key: Vec<u8>,
    /// Its value in canonical bytes; `None` if the state has no such entry.
    pub value: Option<Vec<u8>>,
    /// That the state says so.
    pub proof: TreeProof,
}

impl StateKey {
    /// A byte for the kind, then what is named: ids as big-endian numbers, hashes as bytes.
    pub fn to_bytes(self) -> Vec<u8> {
        let tagged = |tag: u8, name: &[u8]| [&[tag], name].concat();
        match self {
            Self::Balance(address) => tagged(0, &address.0.0),
            Self::Sequence(address) => tagged(1, &address.0.0),
            Self::Provider(id) => tagged(2, &id.0.to_be_bytes()),
            Self::Demand(id) => tagged(3, &id.0.0),
            Self::PriceTotals => tagged(4, &[]),
            Self::Carrier => tagged(5, &[]),
            Self::DemandTotals => tagged(6, &[]),
            Self::Halted => tagged(7, &[]),
            Self::Anchor(batch) => tagged(8, &batch.0.0),
            Self::Brought(block) => tagged(9, &block.0),
            Self::Burned => tagged(10, &[]),
            Self::Cohort(height) => tagged(11, &height.to_be_bytes()),
            Self::Notice(Subject::Offer(author)) => tagged(14, &[&[0], &author.0.0[..]].concat()),
            Self::Notice(Subject::Demand(demand)) => tagged(14, &[&[1], &demand.0.0[..]].concat()),
            Self::Accused(validator) => tagged(13, &validator.to_be_bytes()),
            Self::Pledge(height, miner) => {
                tagged(12, &[&height.to_be_bytes()[..], miner.as_bytes()].concat())
            }
        }
    }
}

impl StateProof {
    /// The key of the entry, as [`StateKey::to_bytes`] gives it.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The value of the entry in canonical bytes; `None` if there is no such entry.
    pub fn value(&self) -> Option<&[u8]> {
        self.value.as_deref()
    }

    /// Checks that the state with this root says of the key what this proof says, be it that there is no entry.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn verify(&self, state_root: Hash) -> Result<(), TreeError> {
        self.proof.verify(state_root, &self.key, self.value.as_deref())
    }
}

impl Ledger {
    /// Every part of the state as key/value pairs, ascending by key. Reads the whole state: for tools and tests.
    pub fn state_entries(&self) -> Vec<StateEntry> {
        let entry = |key: StateKey| Some(StateEntry { key: key.to_bytes(), value: self.state.value(key)? });
        let mut entries: Vec<StateEntry> = self.state.keys().filter_map(entry).collect();
        entries.sort_by(|one, other| one.key.cmp(&other.key));
        entries
    }

    /// The proof of what the state says of a key, be it that there is no such entry.
    pub fn prove_state(&self, key: StateKey) -> StateProof {
        let bytes = key.to_bytes();
        StateProof { value: self.state.value(key), proof: self.state.tree().prove(&bytes), key: bytes }
    }
}
