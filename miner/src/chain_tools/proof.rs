//! Proofs of single compositions as files, and finding the demand that somebody means. What a proof says, and how
//! it is checked, is in [`chain::proof`].

use std::collections::BTreeMap;
use std::sync::Arc;

use chain::codec::CodecError;
use chain::genesis::GENESIS_BYTES;
use chain::ledger::{DemandEntry, StateProof};
use chain::proof::{CompositionProof, Settlement, SignedHeader};
use chain::{
    Amendment, Composition, DemandId, FinalBatch, Genesis, Ledger, MerkleProof, NetworkId, codec, proof,
};
use serde::{Deserialize, Serialize};

use super::NodeChain;
use super::stored::ChainError;

/// What [`ProofFile::format`] says.
pub const PROOF_FORMAT: &str = "mizan composition proof";
/// The version of the file's layout.
pub const PROOF_VERSION: u16 = 5;
/// The largest proof file that is read, in bytes: a genesis in hexadecimal is nearly all of one.
pub const PROOF_FILE_BYTES: u64 = 2 * (GENESIS_BYTES as u64) + (64 << 20);

/// What a proof file holds: a [`CompositionProof`], readable, but for the parts that only programs read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct ProofFile {
    /// [`PROOF_FORMAT`].
    pub format: String,
    /// [`PROOF_VERSION`].
    pub version: u16,
    /// The hash of the genesis.
    pub network: NetworkId,
    /// The genesis in canonical bytes, hexadecimal.
    pub genesis: String,
    pub demand: DemandId,
    /// The batch that brought the block with the composition that stands.
    pub batch: SignedHeader,
    /// That block.
    pub block: chain::block::SignedHeader,
    /// That it is an item of the batch.
    pub block_inclusion: MerkleProof,
    /// The composition.
    pub composition: Composition,
    /// The amendment that it is part of, if it came with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amendment: Option<Amendment>,
    /// That composition or amendment is an item of the block.
    pub inclusion: MerkleProof,
    /// The batch at whose height the composition is current.
    pub head: SignedHeader,
    /// The proof of the demand's state entry in canonical bytes, hexadecimal.
    pub state: String,
    /// That the next batch settled it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settlement: Option<SettlementFile>,
}

/// That a demand was settled as it stood at the head: a [`Settlement`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettlementFile {
    /// The batch after the head.
    pub batch: SignedHeader,
    /// The proof that the state after it has no entry of the demand in canonical bytes, hexadecimal.
    pub absence: String,
}

/// Why a file holds no proof.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum ProofFileError {
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
    /// Not hexadecimal.
    #[error("{what}: {error}")]
    Hex { what: &'static str, error: hex::FromHexError },
    /// Hexadecimal of no canonical bytes.
    #[error("{what}: {error}")]
    Bytes { what: &'static str, error: CodecError },
    /// The genesis in the file is not that of the network it names.
    #[error("the genesis in the proof is of network {got}, the proof says {expected}")]
    GenesisMismatch {
        /// The hash of the genesis.
        got: NetworkId,
        expected: NetworkId,
    },
    /// The composition is of another demand.
    #[error("the composition is of demand {got}, the proof is about {expected}")]
    WrongDemand {
        /// The composition's.
        got: DemandId,
        expected: DemandId,
    },
}

impl From<&CompositionProof> for ProofFile {
    fn from(proof: &CompositionProof) -> Self {
        Self {
            format: PROOF_FORMAT.to_owned(),
            version: PROOF_VERSION,
            network: proof.network(),
            genesis: hex::encode(proof.genesis.to_bytes()),
            demand: proof.demand(),
            batch: proof.batch.clone(),
            block: proof.block.clone(),
            block_inclusion: proof.block_inclusion.clone(),
            composition: proof.composition.clone(),
            amendment: proof.amendment.clone(),
            inclusion: proof.inclusion.clone(),
            head: proof.head.clone(),
            state: hex::encode(codec::encode(&proof.state)),
            settlement: proof.settlement.as_ref().map(|settlement| SettlementFile {
                batch: settlement.batch.clone(),
                absence: hex::encode(codec::encode(&settlement.absence)),
            }),
        }
    }
}

impl ProofFile {
    /// The proof it holds, not yet checked.
    ///
    /// # Errors
    /// If it is another kind of file, or says two things of one.
    pub fn into_proof(self) -> Result<CompositionProof, ProofFileError> {
        if self.format != PROOF_FORMAT || self.version != PROOF_VERSION {
            return Err(ProofFileError::Format { got: self.format, version: self.version });
        }
        let genesis = from_hex("the genesis", &self.genesis)?;
        let (got, expected) = (NetworkId::of_genesis(&genesis), self.network);
        if got != expected {
            return Err(ProofFileError::GenesisMismatch { got, expected });
        }
        let (got, expected) = (self.composition.demand, self.demand);
        if got != expected {
            return Err(ProofFileError::WrongDemand { got, expected });
        }
        let settlement = self.settlement.map(|SettlementFile { batch, absence }| {
            let absence = state_proof("the proof of absence", &absence)?;
            Ok::<_, ProofFileError>(Settlement { batch, absence })
        });
        Ok(CompositionProof {
            genesis: Genesis::from_bytes(&genesis)
                .map_err(|error| ProofFileError::Bytes { what: "the genesis", error })?,
            batch: self.batch,
            block: self.block,
            block_inclusion: self.block_inclusion,
            composition: self.composition,
            amendment: self.amendment,
            inclusion: self.inclusion,
            head: self.head,
            state: state_proof("the state entry", &self.state)?,
            settlement: settlement.transpose()?,
        })
    }
}

fn state_proof(what: &'static str, text: &str) -> Result<StateProof, ProofFileError> {
    let bytes = from_hex(what, text)?;
    codec::decode(&bytes, bytes.len()).map_err(|error| ProofFileError::Bytes { what, error })
}

fn from_hex(what: &'static str, text: &str) -> Result<Vec<u8>, ProofFileError> {
    hex::decode(text).map_err(|error| ProofFileError::Hex { what, error })
}

/// Why no proof can be made of what somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProveError {
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
    /// The chain does not stand.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// There is no composition to prove.
    #[error(transparent)]
    Proof(#[from] proof::ProveError),
}

fn ids_text(ids: &[DemandId]) -> String {
    ids.iter().take(8).map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Whether a demand is meant by its id, the first digits of it (at least 8), or its name.
fn is_meant(name: &str, id: DemandId, entry: &DemandEntry) -> bool {
    let by_id = name.len() >= 8 && id.to_string().starts_with(&name.to_lowercase());
    by_id || entry.demand.name == name
}

/// The last ledger that holds a demand and whose root a header says, and the one after it if the demand left with that.
struct Held {
    last: Ledger,
    after: Option<Ledger>,
}

impl NodeChain {
    /// The proof that the demand of this id (or its first 8 digits or more) or name is composed, after verifying the whole
    /// chain and showing each batch to `observe`. Of a settled demand it is that of the last state that held it.
    ///
    /// # Errors
    /// If the chain does not stand, or there is no such demand or no composition of it.
    pub fn prove(
        &self,
        name: &str,
        observe: impl FnMut(&FinalBatch),
    ) -> Result<CompositionProof, ProveError> {
        let (demand, held) = self.find(name, observe)?;
        Ok(CompositionProof::of_demand(&self.store, &held.last, held.after.as_ref(), demand)?)
    }

    /// The one demand of this id or name and who held it last, after verifying the whole chain.
    fn find(&self, name: &str, mut observe: impl FnMut(&FinalBatch)) -> Result<(DemandId, Held), ProveError> {
        let mut found: BTreeMap<DemandId, Held> = BTreeMap::new();
        let mut never_composed = None;
        let mut before = Ledger::new(Arc::clone(&self.network));
        let mut sealed = before.clone();
        let head = self.walk(|done| {
            for (demand, entry) in &done.report().departed {
                if is_meant(name, *demand, entry) {
                    if entry.composition().is_none() {
                        never_composed = Some((*demand, entry.status.name()));
                    }
                    let held = Held { last: before.clone(), after: Some(done.ledger().clone()) };
                    found.insert(*demand, held);
                }
            }
            sealed = std::mem::replace(&mut before, done.ledger().clone());
            observe(done);
        })?;
        // Nobody has said yet what the head led to: what left with it is proved as of the state before.
        for held in found.values_mut() {
            held.after.take_if(|after| after.head().hash == head.head().hash);
        }
        // What it changed itself waits for the next header.
        let version = |ledger: &Ledger, demand| ledger.demand(demand).map(DemandEntry::version);
        let standing = head.demands().filter(|(id, entry)| is_meant(name, *id, entry));
        found.extend(standing.map(|(demand, _)| {
            let is_sealed = version(&sealed, demand) == version(&head, demand);
            (demand, Held { last: if is_sealed { &sealed } else { &head }.clone(), after: None })
        }));
        let ids: Vec<DemandId> = found.keys().copied().collect();
        let only = match (found.pop_first(), ids.len()) {
            (Some(only), 1) => only,
            (None, _) => return Err(ProveError::Unknown(name.to_owned())),
            (Some(_), _) => return Err(ProveError::Ambiguous { name: name.to_owned(), ids }),
        };
        match never_composed.filter(|(demand, _)| *demand == only.0) {
            Some((demand, status)) => Err(proof::ProveError::NotComposed { demand, status }.into()),
            None => Ok(only),
        }
    }
}
