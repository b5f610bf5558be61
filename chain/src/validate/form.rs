//! The form of a batch: what can be judged without any state, its records' own form included. First that signature and
//! body are those the header names, for only then does anything said about the batch hold for all that bear its name.

use std::collections::BTreeSet;

use super::record::check_record;
use super::rejection::{BlockError, Rejection};
use crate::batch::{BATCH_VERSION, Batch, Contents, OVERHEAD_BYTES};
use crate::block::{Amendment, BLOCK_VERSION, Block, Header};
use crate::codec::{decode, encode, encoded_len};
use crate::commitment::{COMMITMENT_VERSION, Commitment, SignedCommitment};
use crate::consensus::EvidenceError;
use crate::genesis::Network;
use crate::key::KeyError;
use crate::ledger::cohorts::validate_stated_size;
use crate::ledger::{CommitmentError, MarketError};
use crate::merkle::merkle_root;

/// A batch whose signature and body are those that its header names: what is true of it is true of every authentic
/// batch of that name. A name by itself covers the header alone, and anybody can put another body under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authentic(Batch);

/// A batch that is right by itself: authentic, canonical, within limits, no item twice, each record right by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WellFormed(Batch);

impl Authentic {
    /// Checks that a batch is what its header names.
    ///
    /// # Errors
    /// If it is not, which says nothing about the batch of that name, only about whoever sent this one.
    pub fn new(batch: Batch) -> Result<Self, Rejection> {
        // What a signature and a root cover is a matter of the version.
        validate_version(&batch)?;
        verify_signature(&batch)?;
        verify_items(&batch)?;
        Ok(Self(batch))
    }

    /// The batch.
    pub const fn batch(&self) -> &Batch {
        &self.0
    }

    /// The batch, no longer known to be authentic.
    pub fn into_batch(self) -> Batch {
        self.0
    }

    /// Checks the batch's form.
    ///
    /// # Errors
    /// The first rule broken, by every authentic batch of this name.
    pub fn well_formed(self, network: &Network) -> Result<WellFormed, Rejection> {
        WellFormed::check(network, self, None)
    }
}

impl WellFormed {
    /// Reads a batch from bytes and checks its form.
    ///
    /// # Errors
    /// The first rule broken.
    pub fn decode(network: &Network, bytes: &[u8]) -> Result<Self, Rejection> {
        let batch: Batch = decode(bytes, batch_bytes(network))?;
        Self::check(network, Authentic::new(batch)?, Some(bytes.len()))
    }

    /// Checks the form of a batch, and first of all that it is authentic.
    ///
    /// # Errors
    /// The first rule broken.
    pub fn new(network: &Network, batch: Batch) -> Result<Self, Rejection> {
        Authentic::new(batch)?.well_formed(network)
    }

    fn check(network: &Network, batch: Authentic, bytes: Option<usize>) -> Result<Self, Rejection> {
        let Authentic(batch) = batch;
        validate_network(network, &batch)?;
        validate_contents(network, &batch, bytes)?;
        validate_no_duplicates(&batch.contents)?;
        verify_evidence(network, &batch)?;
        verify_commitments(network, &batch)?;
        verify_blocks(network, &batch)?;
        verify_records(network, &batch)?;
        Ok(Self(batch))
    }

    /// The batch.
    pub const fn batch(&self) -> &Batch {
        &self.0
    }

    /// The batch, no longer known to be well-formed.
    pub fn into_batch(self) -> Batch {
        self.0
    }
}

/// A block that is right by itself: its miner's, this network's, what its header names, and small enough for a batch of
/// its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WellFormedBlock(Block);

impl WellFormedBlock {
    /// Checks the form of a block.
    ///
    /// # Errors
    /// The first rule broken.
    pub fn new(network: &Network, block: Block) -> Result<Self, Rejection> {
        verify_block(network, &block)
            .map_err(|error| Rejection::Block { block: block.hash(), error: Box::new(error) })?;
        let contents = Contents { blocks: vec![block], ..Contents::default() };
        validate_counts(network, &contents)?;
        validate_amendment_form(&contents)?;
        validate_no_duplicates(&contents)?;
        let (got, expected) =
            (encoded_len(&contents).saturating_add(OVERHEAD_BYTES.into()), batch_bytes(network));
        if got > expected {
            return Err(Rejection::TooLarge { got, expected });
        }
        contents.blocks.into_iter().next().map(Self).ok_or(Rejection::EmptyBatch)
    }

    /// The block.
    pub const fn block(&self) -> &Block {
        &self.0
    }

    /// The block, no longer known to be well-formed.
    pub fn into_block(self) -> Block {
        self.0
    }
}

/// The rules of form that do not depend on a signature: a draft keeps to them before it is signed. `bytes` is the
/// length of the canonical form, if it is known.
pub(super) fn validate_contents(
    network: &Network,
    batch: &Batch,
    bytes: Option<usize>,
) -> Result<(), Rejection> {
    validate_counts(network, &batch.contents)?;
    validate_amendment_form(&batch.contents)?;
    if network.parameters().commit_reveal.is_none() {
        validate_composition_timestamps(batch)?;
    }
    validate_size(network, batch, bytes)
}

fn batch_bytes(network: &Network) -> usize {
    usize::try_from(network.parameters().limits.batch_bytes).unwrap_or(usize::MAX)
}

fn validate_version(batch: &Batch) -> Result<(), Rejection> {
    let got = batch.header.version;
    if got == BATCH_VERSION { Ok(()) } else { Err(Rejection::WrongVersion { got, expected: BATCH_VERSION }) }
}

fn validate_network(network: &Network, batch: &Batch) -> Result<(), Rejection> {
    let (got, expected) = (batch.header.network, network.id());
    if got == expected { Ok(()) } else { Err(Rejection::WrongNetwork { got, expected }) }
}

fn validate_counts(network: &Network, contents: &Contents) -> Result<(), Rejection> {
    let limits = &network.parameters().limits;
    let expected = usize::try_from(limits.records_per_batch).unwrap_or(usize::MAX);
    let got = contents.records.len();
    if got > expected {
        return Err(Rejection::TooManyRecords { got, expected });
    }
    let expected_blocks = usize::try_from(limits.compositions_per_batch).unwrap_or(usize::MAX);
    let got = contents.commitments.len();
    if got > expected_blocks {
        return Err(Rejection::TooManyCommitments { got, expected: expected_blocks });
    }
    let expected = usize::try_from(limits.compositions_per_batch).unwrap_or(usize::MAX);
    // A block of use composes something or raises the bound: there need be no more blocks than compositions.
    let got = contents.blocks.len();
    if got > expected {
        return Err(Rejection::TooManyBlocks { got, expected });
    }
    let got = contents.composed().count();
    if got > expected { Err(Rejection::TooManyCompositions { got, expected }) } else { Ok(()) }
}

fn validate_amendment_form(contents: &Contents) -> Result<(), Rejection> {
    for (amendment, Amendment { parts }) in contents.amendments().enumerate() {
        if parts.is_empty() {
            return Err(Rejection::EmptyAmendment { amendment });
        }
        // That no demand occurs twice is a rule of the whole block.
        let demands = || parts.iter().map(|part| part.composition.demand);
        if let Some((_, demand)) = demands().zip(demands().skip(1)).find(|(before, demand)| demand < before) {
            return Err(Rejection::AmendmentOrder { amendment, demand });
        }
    }
    Ok(())
}

fn validate_composition_timestamps(batch: &Batch) -> Result<(), Rejection> {
    let expected = batch.header.timestamp_ms;
    match batch.contents.composed().find(|composition| composition.timestamp_ms > expected) {
        Some(late) => {
            let (demand, got) = (late.demand, late.timestamp_ms);
            Err(Rejection::CompositionTimestamp { demand, got, expected })
        }
        None => Ok(()),
    }
}

fn validate_size(network: &Network, batch: &Batch, bytes: Option<usize>) -> Result<(), Rejection> {
    let (got, expected) = (bytes.unwrap_or_else(|| encode(batch).len()), batch_bytes(network));
    if got > expected { Err(Rejection::TooLarge { got, expected }) } else { Ok(()) }
}

fn verify_signature(batch: &Batch) -> Result<(), Rejection> {
    let proposer = batch.header.proposer;
    batch.verify_signature().map_err(|error| match error {
        KeyError::BadSignature => Rejection::BadSignature { proposer },
        KeyError::Malformed | KeyError::Weak => Rejection::ProposerKey { proposer, error },
    })
}

fn verify_items(batch: &Batch) -> Result<(), Rejection> {
    let items = batch.contents.items();
    let (got, expected) = (batch.header.item_count, u32::try_from(items.len()).unwrap_or(u32::MAX));
    if got != expected {
        return Err(Rejection::WrongItemCount { got, expected });
    }
    let (got, expected) = (batch.header.contents_root, merkle_root(&items));
    if got == expected { Ok(()) } else { Err(Rejection::WrongContentsRoot { got, expected }) }
}

fn validate_no_duplicates(contents: &Contents) -> Result<(), Rejection> {
    let mut records = BTreeSet::new();
    for record in &contents.records {
        let record = record.id();
        if !records.insert(record) {
            return Err(Rejection::DuplicateRecord { record });
        }
    }
    let mut blocks = BTreeSet::new();
    for block in &contents.blocks {
        if !blocks.insert(block.hash()) {
            return Err(Rejection::DuplicateBlock { block: block.hash() });
        }
        let mut demands = BTreeSet::new();
        for composition in block.body.composed() {
            let demand = composition.demand;
            if !demands.insert(demand) {
                return Err(MarketError::DuplicateComposition { demand }.into());
            }
        }
    }
    Ok(())
}

fn verify_evidence(network: &Network, batch: &Batch) -> Result<(), Rejection> {
    let mut accused = BTreeSet::new();
    for (index, evidence) in batch.contents.evidence.iter().enumerate() {
        let validator = evidence.validator;
        let is_first = accused.insert(validator).then_some(());
        let judged = is_first.ok_or(EvidenceError::KnownBefore { validator });
        let judged = judged.and_then(|()| evidence.verify(network.validators(), network.id()));
        judged.map_err(|error| Rejection::Evidence { index, error })?;
    }
    Ok(())
}

/// That commitments are this network's and their miners', of each one at most.
fn verify_commitments(network: &Network, batch: &Batch) -> Result<(), Rejection> {
    let mut miners = BTreeSet::new();
    for signed in &batch.contents.commitments {
        let is_first = miners.insert(signed.commitment.miner);
        let judged = verify_commitment(network, signed);
        let judged = judged.and_then(|()| is_first.then_some(()).ok_or(CommitmentError::SecondOfMiner));
        judged.map_err(|error| Rejection::Commitment { commitment: signed.id(), error: Box::new(error) })?;
    }
    Ok(())
}

/// Checks a commitment by itself.
///
/// # Errors
/// The first rule broken.
pub fn verify_commitment(network: &Network, signed: &SignedCommitment) -> Result<(), CommitmentError> {
    let Commitment { version, network: of_network, miner, .. } = signed.commitment;
    if network.parameters().commit_reveal.is_none() {
        return Err(CommitmentError::InClear);
    }
    if version != COMMITMENT_VERSION {
        return Err(CommitmentError::WrongVersion { got: version, expected: COMMITMENT_VERSION });
    }
    let (got, expected) = (of_network, network.id());
    if got != expected {
        return Err(CommitmentError::WrongNetwork { got, expected });
    }
    validate_stated_size(&signed.commitment, &network.parameters().limits)?;
    signed.verify_signature().map_err(|error| CommitmentError::Signature { miner, error })
}

fn verify_blocks(network: &Network, batch: &Batch) -> Result<(), Rejection> {
    for block in &batch.contents.blocks {
        verify_block(network, block)
            .map_err(|error| Rejection::Block { block: block.hash(), error: Box::new(error) })?;
    }
    Ok(())
}

/// That a block is this network's and what its header names.
fn verify_block(network: &Network, block: &Block) -> Result<(), BlockError> {
    let Header { version, network: of_network, miner, merkle_root: root, item_count, .. } = *block.header();
    if version != BLOCK_VERSION {
        return Err(BlockError::WrongVersion { got: version, expected: BLOCK_VERSION });
    }
    let (got, expected) = (of_network, network.id());
    if got != expected {
        return Err(BlockError::WrongNetwork { got, expected });
    }
    let items = block.body.items();
    if items.is_empty() {
        return Err(BlockError::Empty);
    }
    let (got, expected) = (item_count, u32::try_from(items.len()).unwrap_or(u32::MAX));
    if got != expected {
        return Err(BlockError::WrongItemCount { got, expected });
    }
    let (got, expected) = (root, merkle_root(&items));
    if got != expected {
        return Err(BlockError::WrongMerkleRoot { got, expected });
    }
    block.signed.verify_signature().map_err(|error| match error {
        KeyError::BadSignature => BlockError::BadSignature { miner },
        KeyError::Malformed | KeyError::Weak => BlockError::MinerKey { miner, error },
    })
}

fn verify_records(network: &Network, batch: &Batch) -> Result<(), Rejection> {
    for (index, record) in batch.contents.records.iter().enumerate() {
        check_record(network, record).map_err(|error| Rejection::Record {
            index,
            id: record.id(),
            error: Box::new(error),
        })?;
    }
    Ok(())
}
