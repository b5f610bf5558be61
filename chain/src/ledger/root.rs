//! The state root: a Merkle root over hashes of sorted key/value pairs, so that a part of the state can be
//! proved to somebody who knows a header only.
//!
//! A key is a byte for its kind and the canonical bytes of what it names; a value is canonical bytes. Each
//! demand has exactly one entry, so proving its entry proves that the composition in it is current.

use scenarios::{Money, Provider, ProviderId};
use serde::{Deserialize, Serialize};

use super::Ledger;
use super::state::{Holder, State, Usage};
use crate::codec::encode;
use crate::hash::{Domain, Hash};
use crate::key::Address;
use crate::merkle::{Merkle, MerkleError, MerkleProof};
use crate::record::DemandId;

/// One key/value pair of the state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateEntry {
    /// A byte for its kind ([`StateKey`]) and what it names.
    pub key: Vec<u8>,
    /// Canonical bytes.
    pub value: Vec<u8>,
}

/// What a state entry is about. The order of the kinds is the order of the leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StateKey {
    /// Somebody's balance.
    Balance(Address),
    /// The author's next sequence number.
    Sequence(Address),
    /// A provider: address, live offer, minutes taken, holder, price of a minute.
    Provider(ProviderId),
    /// A demand and the composition that is current.
    Demand(DemandId),
    /// The bounty account.
    Bounty,
    /// The carrier account.
    Carrier,
}

/// What the state says of a provider.
#[derive(Serialize)]
struct ProviderEntry<'a> {
    address: Address,
    provider: &'a Provider,
    usage: Usage,
    holder: Option<Holder>,
    price: Money,
}

/// That an entry is part of the state with a certain root. The number of entries is not signed in a
/// header; it is hashed into the root instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateProof {
    /// The entry.
    pub entry: StateEntry,
    /// Its place among all entries.
    pub proof: MerkleProof,
}

impl StateKey {
    /// Sorts by kind, then by what is named: ids as big-endian numbers, hashes as bytes.
    pub fn to_bytes(self) -> Vec<u8> {
        let tagged = |tag: u8, name: &[u8]| [&[tag], name].concat();
        match self {
            Self::Balance(address) => tagged(0, &address.0.0),
            Self::Sequence(address) => tagged(1, &address.0.0),
            Self::Provider(id) => tagged(2, &id.0.to_be_bytes()),
            Self::Demand(id) => tagged(3, &id.0.0),
            Self::Bounty => tagged(4, &[]),
            Self::Carrier => tagged(5, &[]),
        }
    }
}

impl StateEntry {
    fn new<V: Serialize>(key: StateKey, value: &V) -> Self {
        Self { key: key.to_bytes(), value: encode(value) }
    }

    /// The hash that is a leaf of the state tree.
    pub fn hash(&self) -> Hash {
        Domain::StateEntry.hash(&[&encode(&self.key), &encode(&self.value)])
    }
}

impl StateProof {
    /// The key of the entry, as [`StateKey::to_bytes`] gives it.
    pub fn key(&self) -> &[u8] {
        &self.entry.key
    }

    /// The value of the entry in canonical bytes; `None` if there is no such entry.
    pub fn value(&self) -> Option<&[u8]> {
        Some(&self.entry.value)
    }

    /// Checks that the entry is part of the state with this root.
    ///
    /// # Errors
    /// What is wrong with the Merkle proof.
    pub fn verify(&self, state_root: Hash) -> Result<(), MerkleError> {
        let got = bind_count(self.proof.root_of(&self.entry.hash().0)?, self.proof.total);
        if got == state_root { Ok(()) } else { Err(MerkleError::Root { got, expected: state_root }) }
    }
}

/// The state root: the tree's root and its number of leaves, so that a proof cannot lie about either.
fn bind_count(tree_root: Hash, count: u32) -> Hash {
    Domain::StateRoot.hash(&[&count.to_be_bytes(), &tree_root.0])
}

impl State {
    /// Every part of the state, ascending by key.
    pub(super) fn entries(&self) -> Vec<StateEntry> {
        let balances = self.balances.iter().map(|(&a, v)| StateEntry::new(StateKey::Balance(a), v));
        let sequences = self.sequences.iter().map(|(&a, v)| StateEntry::new(StateKey::Sequence(a), v));
        let providers = self.supply.provider_ids().zip(&self.supply.providers);
        let providers = providers.zip(self.provider_addresses.iter().zip(&self.usage));
        let providers = providers.map(|((id, provider), (&address, &usage))| {
            let holder = self.holders.get(&id).copied();
            let entry = ProviderEntry { address, provider, usage, holder, price: self.prices.of(id) };
            StateEntry::new(StateKey::Provider(id), &entry)
        });
        let demands =
            self.demands.iter().map(|(&id, entry)| StateEntry::new(StateKey::Demand(id), entry.as_ref()));
        let accounts = [
            StateEntry::new(StateKey::Bounty, &self.bounty),
            StateEntry::new(StateKey::Carrier, &self.carrier),
        ];
        balances.chain(sequences).chain(providers).chain(demands).chain(accounts).collect()
    }

    pub(crate) fn root(&self) -> Hash {
        let hashes: Vec<[u8; 32]> = self.entries().iter().map(|entry| entry.hash().0).collect();
        bind_count(Merkle::new(&hashes).root(), u32::try_from(hashes.len()).unwrap_or(u32::MAX))
    }
}

impl Ledger {
    /// Every part of the state as key/value pairs, ascending by key.
    pub fn state_entries(&self) -> Vec<StateEntry> {
        self.state.entries()
    }

    /// The proof that a part of the state is what it is; `None` if there is no such part.
    pub fn prove_state(&self, key: StateKey) -> Option<StateProof> {
        let (key, entries) = (key.to_bytes(), self.state.entries());
        let index = entries.binary_search_by(|entry| entry.key.cmp(&key)).ok()?;
        let hashes: Vec<[u8; 32]> = entries.iter().map(|entry| entry.hash().0).collect();
        let proof = Merkle::new(&hashes).prove(u32::try_from(index).ok()?)?;
        Some(StateProof { entry: entries.get(index)?.clone(), proof })
    }
}
