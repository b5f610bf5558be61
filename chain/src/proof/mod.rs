//! A self-contained proof that a demand is composed, by whom, at what cost, and that nothing has replaced
//! the composition up to a named head. Checking it needs no node and no store, only the network's id.
//!
//! The chain of reasons: the network's id is the hash of the genesis, which names the validators; more
//! than two thirds of them signed the batch's header hash; the header's root holds the signed header of a block, whose
//! Merkle root holds the composition;
//! they also signed the hash of a later header, the head's, whose state root is that of the state after the height before
//! it; it holds the demand's one entry, and that entry holds this composition.
//!
//! A settled demand has left the state. It is proved in the last state that held it, that of the height before its
//! settlement, together with its absence from the very next one, whose root the header after the settlement says: a composed demand leaves in one way only, by being settled
//! first of all that a batch does, so that nothing re-composed it between the two. Absence from any later state would not
//! do: the composition may have been amended between.
//!
//! Here is what a proof consists of and how it is made; how it is checked is in `verify`. Files that carry proofs
//! are not here.

mod error;
mod verify;

use serde::{Deserialize, Serialize};

use crate::batch::{BatchHash, BatchHeader, Contents};
use crate::block::{self, Amendment, Block, BlockHash, Body, Composition};
use crate::codec::{CodecError, decode, encode};
use crate::consensus::{CommitCertificate, Power};
use crate::genesis::{GENESIS_BYTES, Genesis, Network};
use crate::key::{PublicKey, Signature};
use crate::ledger::{DemandEntry, Ledger, Standing, StateKey, StateProof};
use crate::merkle::{Merkle, MerkleProof};
use crate::record::{DemandId, Height, NetworkId};
use crate::store::Store;

pub use error::{Place, ProofError, ProveError};

/// The most canonical bytes of a proof: a genesis is nearly all of one.
pub const PROOF_BYTES: usize = GENESIS_BYTES + (32 << 20);

/// That a composition stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompositionProof {
    /// What the network starts from; it names the validators, and its hash is the one thing to be known from
    /// elsewhere.
    pub genesis: Genesis,
    /// The batch that brought the block with the composition that stands.
    pub batch: SignedHeader,
    /// That block.
    pub block: block::SignedHeader,
    /// That it is an item of the batch.
    pub block_inclusion: MerkleProof,
    /// The composition: an item of that block, or part of one.
    pub composition: Composition,
    /// The amendment that it is part of, if it came with one.
    pub amendment: Option<Amendment>,
    /// That composition or amendment is an item of the block.
    pub inclusion: MerkleProof,
    /// The batch before which the composition is current: it says the state root of the height before its own.
    pub head: SignedHeader,
    /// The demand's entry of that state.
    pub state: StateProof,
    /// That the head settled it, if that is to be proved.
    pub settlement: Option<Settlement>,
}

/// That a demand was settled, by a head, as it stood before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// The batch after the head, which says the state root after the head.
    pub batch: SignedHeader,
    /// That this state has no entry of the demand.
    pub absence: StateProof,
}

/// A batch's header, its proposer's signature, and the votes that made it final.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct SignedHeader {
    pub header: BatchHeader,
    pub signature: Signature,
    /// More than two thirds of the precommits.
    pub certificate: CommitCertificate,
}

/// What a proof that holds proves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct Proven {
    pub network: NetworkId,
    pub network_name: String,
    pub demand: DemandId,
    /// The batch that brought the composition.
    pub batch: BatchHash,
    /// Its height.
    pub height: Height,
    /// The block with the composition.
    pub block: BlockHash,
    pub miner: PublicKey,
    /// The votes that are shown for it, of how many, and how many it takes.
    pub votes: (Power, Power, Power),
    /// The composition.
    pub composition: Composition,
    /// The batch that says the root of the state in which the composition is current.
    pub head: BatchHash,
    /// Its height.
    pub head_height: Height,
    /// When it was made, in milliseconds since the Unix epoch.
    pub head_timestamp_ms: u64,
    /// The height after which the composition is current: the one before the head.
    pub current_after: Height,
    /// The height that settled it as it stood, the head's, if that is proved: nothing can re-compose the demand any more.
    pub settled_at: Option<Height>,
    /// What the state says of the demand there.
    pub entry: DemandEntry,
}

impl CompositionProof {
    /// The proof that a demand is composed, as of the batch that `ledger` is the state after, and settled by the next one
    /// if `after`, the state after that, is given and has no such demand. `store` holds the chain that leads there, and
    /// the batch after the last of these, which says the root of its state.
    ///
    /// # Errors
    /// If the ledger knows no such demand or no composition of it, or the store does not hold its batches, or not yet the one
    /// after.
    pub fn of_demand(
        store: &Store,
        ledger: &Ledger,
        after: Option<&Ledger>,
        demand: DemandId,
    ) -> Result<Self, ProveError> {
        let entry = ledger.demand(demand).ok_or(ProveError::Unknown(demand))?;
        let status = entry.status.name();
        let standing = entry.composition().ok_or(ProveError::NotComposed { demand, status })?;
        let height = standing.height;
        let missing = |what: &'static str| ProveError::Missing { what, height };
        let mut brought = None;
        for height in heights_that_may_have_brought(ledger.network(), height) {
            let (batch, certificate) = store.batch(height)?.ok_or_else(|| missing("the batch"))?;
            if find_composition(&batch.contents, standing, demand).is_some() {
                brought = Some((batch, certificate));
                break;
            }
        }
        let (batch, certificate) = brought.ok_or_else(|| missing("the composition"))?;
        let found = find_composition(&batch.contents, standing, demand);
        let (block, composition, amendment) = found.ok_or_else(|| missing("the composition"))?;
        let proof_of = |items: &[Vec<u8>], index: Option<usize>| {
            let index = index.and_then(|index| u32::try_from(index).ok())?;
            Merkle::new(items).prove(index)
        };
        let block_inclusion = proof_of(&batch.contents.items(), batch.contents.position_of(&block.hash()));
        let (items, leaf) = (block.body.items(), leaf_of(&composition, amendment.as_ref()));
        let inclusion = proof_of(&items, items.iter().position(|item| *item == leaf));
        let block = block.signed.clone();
        // The root of a state is in the header after it.
        let sealing = |height: Height| {
            let height = height.saturating_add(1);
            store.header(height)?.ok_or(ProveError::NotSealed { height })
        };
        let settled = after.filter(|after| after.demand(demand).is_none());
        let settlement = settled.map(|after| {
            let absence = after.prove_state(StateKey::Demand(demand));
            Ok::<_, ProveError>(Settlement { batch: sealing(after.head().height)?, absence })
        });
        Ok(Self {
            genesis: ledger.network().genesis().clone(),
            batch: SignedHeader { header: batch.header, signature: batch.signature, certificate },
            block,
            block_inclusion: block_inclusion.ok_or_else(|| missing("the block"))?,
            composition,
            amendment,
            inclusion: inclusion.ok_or_else(|| missing("the composition"))?,
            head: sealing(ledger.head().height)?,
            state: ledger.prove_state(StateKey::Demand(demand)),
            settlement: settlement.transpose()?,
        })
    }

    /// The demand it is about.
    pub const fn demand(&self) -> DemandId {
        self.composition.demand
    }

    /// The network it says it is about: the hash of its genesis.
    pub fn network(&self) -> NetworkId {
        self.genesis.network_id()
    }

    /// Its canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// The proof these canonical bytes are; [`CompositionProof::verify`] checks what it says.
    ///
    /// # Errors
    /// If there are more than [`PROOF_BYTES`], they are malformed, or they are not canonical.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        decode(bytes, PROOF_BYTES)
    }
}

/// The Merkle leaf of the amendment, or else of the composition alone.
fn leaf_of(composition: &Composition, amendment: Option<&Amendment>) -> Vec<u8> {
    let body = match amendment {
        None => Body { compositions: vec![composition.clone()], ..Body::default() },
        Some(amendment) => Body { amendments: vec![amendment.clone()], ..Body::default() },
    };
    body.items().concat()
}

/// The heights whose batch may have brought the block that took effect at this one, the likeliest first: the very height,
/// or, where miners commit to blocks before, one of those before it.
fn heights_that_may_have_brought(network: &Network, height: Height) -> impl Iterator<Item = Height> {
    let is_in_clear = network.parameters().commit_reveal.is_none();
    let earliest = if is_in_clear { height } else { 1 };
    (earliest..=height).rev()
}

/// Where a batch brings what stands of a demand: the block, the composition, and the amendment it is part of, if it is.
/// What a block brings need not have taken effect, so it must be the very slots that stand.
fn find_composition<'b>(
    contents: &'b Contents,
    standing: &Standing,
    demand: DemandId,
) -> Option<(&'b Block, Composition, Option<Amendment>)> {
    let stands = |found: &Composition| found.demand == demand && found.slots == standing.slots;
    let author = standing.author();
    contents.blocks.iter().filter(|block| block.miner().address() == author).find_map(|block| {
        if let Some(found) = block.body.compositions.iter().find(|found| stands(found)) {
            return Some((block, found.clone(), None));
        }
        block.body.amendments.iter().find_map(|amendment| {
            let part = amendment.parts.iter().find(|part| stands(&part.composition))?;
            Some((block, part.composition.clone(), Some(amendment.clone())))
        })
    })
}
