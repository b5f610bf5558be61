//! A self-contained proof that a demand is composed, by whom, at what cost, and that nothing has replaced
//! the composition up to a named head. Checking it needs no node and no store.
//!
//! The chain of reasons: the network's id is the hash of the genesis, which names the validators; more
//! than two thirds of them signed the block's header hash; the header's Merkle root holds the composition;
//! they also signed the head's header hash; the head's state root holds the demand's one entry, and that
//! entry holds this composition.
//!
//! A settled demand has left the state. It is proved in the last state that held it, that of the height before its
//! settlement: the settlement comes first of all that the next block does, at a height that follows from the entry and
//! genesis, so that nothing can re-compose the demand between that state and its settlement. Inclusion of a composition in
//! its block and absence of the demand from a later state would not do: the composition may have been amended between.

use std::collections::BTreeMap;
use std::sync::Arc;

use chain::consensus::CommitCertificate;
use chain::genesis::GenesisError;
use chain::ledger::{DemandEntry, StateKey};
use chain::merkle::{Merkle, MerkleError};
use chain::state_tree::{TreeError, TreeProof};
use chain::validate::FinalityError;
use chain::{
    Amendment, BlockHash, Body, Composition, DemandId, FinalBlock, Header, Height, KeyError, Ledger,
    MerkleProof, NetworkId, Signature,
};
use serde::{Deserialize, Serialize};

use super::NodeChain;
use super::stored::ChainError;

/// What [`DemandProof::format`] says.
pub const PROOF_FORMAT: &str = "mizan composition proof";
/// The version of the file's layout.
pub const PROOF_VERSION: u16 = 2;
/// The largest proof file that is read, in bytes: a genesis in hexadecimal is nearly all of one.
pub const PROOF_FILE_BYTES: u64 = 2 * (chain::genesis::GENESIS_BYTES as u64) + (64 << 20);

/// What a proof file holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DemandProof {
    /// [`PROOF_FORMAT`].
    pub format: String,
    /// [`PROOF_VERSION`].
    pub version: u16,
    /// The hash of the genesis: the one thing to be known from elsewhere.
    pub network: NetworkId,
    /// The genesis in canonical bytes, hexadecimal; it names the validators.
    pub genesis: String,
    /// The demand.
    pub demand: DemandId,
    /// The block that brought the composition that stands.
    pub block: SignedHeader,
    /// The composition: an item of that block, or part of one.
    pub composition: Composition,
    /// The amendment that it is part of, if it came with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amendment: Option<Amendment>,
    /// That composition or amendment is an item of the block.
    pub inclusion: MerkleProof,
    /// The block at whose height the composition is current: the last one, or for a settled demand the one before it was
    /// settled.
    pub head: SignedHeader,
    /// The demand's entry of the state after the head, and that it is one.
    pub state: ProvenEntry,
}

/// A header, its miner's signature, and the votes that made it final.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedHeader {
    /// The header.
    pub header: Header,
    /// Its miner's signature.
    pub signature: Signature,
    /// More than two thirds of the precommits.
    pub certificate: CommitCertificate,
}

/// An entry of the state, in hexadecimal, with its Merkle proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvenEntry {
    /// The entry's key.
    pub key: String,
    /// The entry's value.
    pub value: String,
    /// That the state says so.
    pub proof: TreeProof,
}

/// What a proof that holds proves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proven {
    /// The network.
    pub network: NetworkId,
    /// Its name.
    pub network_name: String,
    /// The demand.
    pub demand: DemandId,
    /// The block that brought the composition.
    pub block: BlockHash,
    /// Its height.
    pub height: Height,
    /// Who mined it.
    pub miner: chain::PublicKey,
    /// Validators whose votes are shown for it, of how many, and how many it takes.
    pub votes: (usize, usize, usize),
    /// The composition.
    pub composition: Composition,
    /// The block at whose height the composition is current.
    pub head: BlockHash,
    /// Its height.
    pub head_height: Height,
    /// When it was made, in milliseconds since the Unix epoch.
    pub head_timestamp_ms: u64,
    /// The height with which the demand is settled, first of all that its block does. If it is the one after the head,
    /// nothing can re-compose the demand any more.
    pub settled_at: Height,
    /// What the state says of the demand there.
    pub entry: DemandEntry,
}

/// Which of the two headers of a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// That of the block that composed the demand.
    Block,
    /// That of the head.
    Head,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Block => "the block",
            Self::Head => "the head",
        })
    }
}

/// Why a proof proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The file is of another kind.
    #[error(
        "the file is a {got:?} of version {version}, expected a {PROOF_FORMAT:?} of version {PROOF_VERSION}"
    )]
    Format {
        /// What it says it is.
        got: String,
        /// And its version.
        version: u16,
    },
    /// Hexadecimal or canonical bytes that are none.
    #[error("{what}: {error}")]
    Malformed {
        /// Which part.
        what: &'static str,
        /// What is wrong with it.
        error: String,
    },
    /// The genesis in the file is not that of the network it names.
    #[error("the genesis in the proof is of network {got}, the proof says {expected}")]
    GenesisMismatch {
        /// The hash of the genesis.
        got: NetworkId,
        /// The network named.
        expected: NetworkId,
    },
    /// The proof is about another network than the one that is trusted.
    #[error("the proof is about network {got}, expected {expected}")]
    WrongNetwork {
        /// The proof's.
        got: NetworkId,
        /// The trusted one.
        expected: NetworkId,
    },
    /// The genesis breaks a rule.
    #[error("the genesis in the proof: {0}")]
    Genesis(#[from] GenesisError),
    /// A header is of another network.
    #[error("the header of {place} is of network {got}, expected {expected}")]
    HeaderNetwork {
        /// Which header.
        place: Place,
        /// Its network.
        got: NetworkId,
        /// The proof's.
        expected: NetworkId,
    },
    /// A miner did not sign its header.
    #[error("the miner's signature of {place}: {error}")]
    Miner {
        /// Which header.
        place: Place,
        /// What is wrong.
        error: KeyError,
    },
    /// A header is not final.
    #[error("{place} is not final: {error}")]
    NotFinal {
        /// Which header.
        place: Place,
        /// Why.
        error: FinalityError,
    },
    /// The composition is of another demand.
    #[error("the composition is of demand {got}, the proof is about {expected}")]
    WrongDemand {
        /// The composition's.
        got: DemandId,
        /// The proof's.
        expected: DemandId,
    },
    /// The amendment has no such part.
    #[error("the composition is no part of the amendment in the proof")]
    NotAPart,
    /// The composition is not an item of the block.
    #[error("the composition is not in the block: {0}")]
    NotIncluded(MerkleError),
    /// The head comes before the block.
    #[error("the head has height {got}, expected at least the block's, {expected}")]
    HeadBelowBlock {
        /// The head's height.
        got: Height,
        /// The block's.
        expected: Height,
    },
    /// Two different headers of one height.
    #[error("block and head have the same height but are different: {got} and {expected}")]
    TwoBlocks {
        /// The head.
        got: BlockHash,
        /// The block.
        expected: BlockHash,
    },
    /// The state entry is about something else.
    #[error("the state entry has the key {got}, expected that of the demand, {expected}")]
    WrongEntry {
        /// Its key.
        got: String,
        /// The demand's key.
        expected: String,
    },
    /// The entry is not part of the head's state.
    #[error("the entry is not part of the head's state: {0}")]
    NotInState(TreeError),
    /// The demand has no composition at the head, or another one.
    #[error("the composition is not current: {what} is {got} in the state, {expected} in the block")]
    NotCurrent {
        /// What differs.
        what: &'static str,
        /// In the state.
        got: String,
        /// In the block.
        expected: String,
    },
}

/// Why no proof can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProveError {
    /// The chain itself does not stand.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// No demand has this id or name.
    #[error("no demand on this chain has the id or name {0:?}")]
    Unknown(String),
    /// Several demands have this name, or ids that begin so.
    #[error("{name:?} could be any of {} demands; name one by its id: {}", .ids.len(), ids_text(.ids))]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// Those it fits.
        ids: Vec<DemandId>,
    },
    /// There is nothing to prove.
    #[error("demand {demand} is {status}: there is no composition to prove")]
    NotComposed {
        /// The demand.
        demand: DemandId,
        /// Where it stands.
        status: &'static str,
    },
    /// The store lost something it had a moment ago.
    #[error("the store no longer holds {0}")]
    Store(String),
}

fn ids_text(ids: &[DemandId]) -> String {
    ids.iter().take(8).map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Whether a demand is meant by its id, the first digits of it (at least 8), or its name.
fn is_meant(name: &str, id: DemandId, entry: &DemandEntry) -> bool {
    let by_id = name.len() >= 8 && id.to_string().starts_with(&name.to_lowercase());
    by_id || entry.demand.name == name
}

/// A demand, and the last ledger that had it in the market.
struct Found {
    demand: DemandId,
    entry: Arc<DemandEntry>,
    ledger: Ledger,
}

/// The Merkle leaf of the amendment, or else of the composition alone.
pub(super) fn leaf_of(composition: &Composition, amendment: Option<&Amendment>) -> Vec<u8> {
    let body = match amendment {
        None => Body { compositions: vec![composition.clone()], ..Body::default() },
        Some(amendment) => Body { amendments: vec![amendment.clone()], ..Body::default() },
    };
    body.items().concat()
}

/// Where a body composes a demand: the composition, and the amendment it is part of, if it is.
fn find_composition(body: &Body, demand: DemandId) -> Option<(Composition, Option<Amendment>)> {
    if let Some(found) = body.compositions.iter().find(|found| found.demand == demand) {
        return Some((found.clone(), None));
    }
    body.amendments.iter().find_map(|amendment| {
        let part = amendment.parts.iter().find(|part| part.composition.demand == demand)?;
        Some((part.composition.clone(), Some(amendment.clone())))
    })
}

impl NodeChain {
    /// The one demand of this id or name, after verifying the whole chain.
    fn find(&self, name: &str, mut observe: impl FnMut(&FinalBlock)) -> Result<Found, ProveError> {
        let mut found: BTreeMap<DemandId, Found> = BTreeMap::new();
        let mut before = Ledger::new(Arc::clone(&self.network));
        let head = self.walk(|done| {
            for (demand, entry) in &done.report.departed {
                if is_meant(name, *demand, entry) {
                    let (demand, entry) = (*demand, Arc::clone(entry));
                    found.insert(demand, Found { demand, entry, ledger: before.clone() });
                }
            }
            before = done.ledger.clone();
            observe(done);
        })?;
        for (demand, entry) in head.demands().filter(|(id, entry)| is_meant(name, *id, entry)) {
            found.insert(demand, Found { demand, entry: Arc::new(entry.clone()), ledger: head.clone() });
        }
        let ids: Vec<DemandId> = found.keys().copied().collect();
        match (found.into_values().next(), ids.len()) {
            (Some(only), 1) => Ok(only),
            (None, _) => Err(ProveError::Unknown(name.to_owned())),
            (Some(_), _) => Err(ProveError::Ambiguous { name: name.to_owned(), ids }),
        }
    }

    /// The proof that the demand of this id (or its first 8 digits or more) or name is composed, after verifying the whole
    /// chain and showing each block to `observe`.
    ///
    /// # Errors
    /// If the chain does not stand, or there is no such demand or no composition of it.
    pub fn prove(&self, name: &str, observe: impl FnMut(&FinalBlock)) -> Result<DemandProof, ProveError> {
        let Found { demand, entry, ledger } = self.find(name, observe)?;
        let status = entry.status.name();
        let standing = entry.composition().ok_or(ProveError::NotComposed { demand, status })?;
        let at = |height: Height| {
            let found = self.store.block(height).map_err(|error| ProveError::Store(error.to_string()))?;
            found.ok_or_else(|| ProveError::Store(format!("block {height}")))
        };
        let (block, certificate) = at(standing.height)?;
        let (head, head_certificate) = at(ledger.head().height)?;
        let lost = || ProveError::Store(format!("the composition of {demand}"));
        let (composition, amendment) = find_composition(&block.body, demand).ok_or_else(lost)?;
        let (items, leaf) = (block.body.items(), leaf_of(&composition, amendment.as_ref()));
        let index = items.iter().position(|item| *item == leaf).ok_or_else(lost)?;
        let index = u32::try_from(index).ok().ok_or_else(lost)?;
        let inclusion = Merkle::new(&items).prove(index).ok_or_else(lost)?;
        let state = ledger.prove_state(StateKey::Demand(demand));
        let value = state.value.ok_or_else(lost)?;
        Ok(DemandProof {
            format: PROOF_FORMAT.to_owned(),
            version: PROOF_VERSION,
            network: self.network.id(),
            genesis: hex::encode(self.network.genesis().to_bytes()),
            demand,
            block: SignedHeader { header: block.header, signature: block.signature, certificate },
            composition,
            amendment,
            inclusion,
            head: SignedHeader {
                header: head.header,
                signature: head.signature,
                certificate: head_certificate,
            },
            state: ProvenEntry {
                key: hex::encode(&state.key),
                value: hex::encode(&value),
                proof: state.proof,
            },
        })
    }
}
