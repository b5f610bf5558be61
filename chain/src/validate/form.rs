//! The form of a block: what can be judged without any state, its records' own form included. First that signature and
//! body are those the header names, for only then does anything said about the block hold for all that bear its name.

use std::collections::BTreeSet;

use super::record::check_record;
use super::rejection::Rejection;
use crate::block::{Amendment, BLOCK_VERSION, Block};
use crate::codec::{decode, encode};
use crate::genesis::Network;
use crate::key::KeyError;
use crate::ledger::MarketError;
use crate::merkle::merkle_root;

/// A block whose signature and body are those that its header names: what is true of it is true of every authentic
/// block of that name. A name by itself covers the header alone, and anybody can put another body under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authentic(Block);

/// A block that is right by itself: authentic, canonical, within limits, no item twice, each record right by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WellFormed(Block);

impl Authentic {
    /// Checks that a block is what its header names.
    ///
    /// # Errors
    /// If it is not, which says nothing about the block of that name, only about whoever sent this one.
    pub fn new(block: Block) -> Result<Self, Rejection> {
        // What a signature and a root cover is a matter of the version.
        validate_version(&block)?;
        verify_signature(&block)?;
        verify_items(&block)?;
        Ok(Self(block))
    }

    /// The block.
    pub const fn block(&self) -> &Block {
        &self.0
    }

    /// The block, no longer known to be authentic.
    pub fn into_block(self) -> Block {
        self.0
    }

    /// Checks the block's form.
    ///
    /// # Errors
    /// The first rule broken, by every authentic block of this name.
    pub fn well_formed(self, network: &Network) -> Result<WellFormed, Rejection> {
        WellFormed::check(network, self, None)
    }
}

impl WellFormed {
    /// Reads a block from bytes and checks its form.
    ///
    /// # Errors
    /// The first rule broken.
    pub fn decode(network: &Network, bytes: &[u8]) -> Result<Self, Rejection> {
        let block: Block = decode(bytes, block_bytes(network))?;
        Self::check(network, Authentic::new(block)?, Some(bytes.len()))
    }

    /// Checks the form of a block, and first of all that it is authentic.
    ///
    /// # Errors
    /// The first rule broken.
    pub fn new(network: &Network, block: Block) -> Result<Self, Rejection> {
        Authentic::new(block)?.well_formed(network)
    }

    fn check(network: &Network, block: Authentic, bytes: Option<usize>) -> Result<Self, Rejection> {
        let Authentic(block) = block;
        validate_network(network, &block)?;
        validate_contents(network, &block, bytes)?;
        validate_no_duplicates(&block)?;
        verify_records(network, &block)?;
        Ok(Self(block))
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
    block: &Block,
    bytes: Option<usize>,
) -> Result<(), Rejection> {
    validate_counts(network, block)?;
    validate_price_form(block)?;
    validate_amendment_form(block)?;
    validate_composition_timestamps(block)?;
    validate_size(network, block, bytes)
}

fn block_bytes(network: &Network) -> usize {
    usize::try_from(network.parameters().limits.block_bytes).unwrap_or(usize::MAX)
}

fn validate_version(block: &Block) -> Result<(), Rejection> {
    let got = block.header.version;
    if got == BLOCK_VERSION { Ok(()) } else { Err(Rejection::WrongVersion { got, expected: BLOCK_VERSION }) }
}

fn validate_network(network: &Network, block: &Block) -> Result<(), Rejection> {
    let (got, expected) = (block.header.network, network.id());
    if got == expected { Ok(()) } else { Err(Rejection::WrongNetwork { got, expected }) }
}

fn validate_counts(network: &Network, block: &Block) -> Result<(), Rejection> {
    let limits = &network.parameters().limits;
    let expected = usize::try_from(limits.records_per_block).unwrap_or(usize::MAX);
    let got = block.body.records.len();
    if got > expected {
        return Err(Rejection::TooManyRecords { got, expected });
    }
    let expected = usize::try_from(limits.compositions_per_block).unwrap_or(usize::MAX);
    let got = block.body.composed().count();
    if got > expected { Err(Rejection::TooManyCompositions { got, expected }) } else { Ok(()) }
}

fn validate_price_form(block: &Block) -> Result<(), Rejection> {
    let last = block.body.price_update.as_ref().and_then(|update| update.prices.0.last());
    if last.is_some_and(|price| price.micros() == 0) { Err(Rejection::TrailingZeroPrice) } else { Ok(()) }
}

fn validate_amendment_form(block: &Block) -> Result<(), Rejection> {
    for (amendment, Amendment { parts }) in block.body.amendments.iter().enumerate() {
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

fn validate_composition_timestamps(block: &Block) -> Result<(), Rejection> {
    let expected = block.header.timestamp_ms;
    match block.body.composed().find(|composition| composition.timestamp_ms > expected) {
        Some(late) => {
            let (demand, got) = (late.demand, late.timestamp_ms);
            Err(Rejection::CompositionTimestamp { demand, got, expected })
        }
        None => Ok(()),
    }
}

fn validate_size(network: &Network, block: &Block, bytes: Option<usize>) -> Result<(), Rejection> {
    let (got, expected) = (bytes.unwrap_or_else(|| encode(block).len()), block_bytes(network));
    if got > expected { Err(Rejection::TooLarge { got, expected }) } else { Ok(()) }
}

fn verify_signature(block: &Block) -> Result<(), Rejection> {
    let miner = block.header.miner;
    block.verify_signature().map_err(|error| match error {
        KeyError::BadSignature => Rejection::BadSignature { miner },
        KeyError::Malformed | KeyError::Weak => Rejection::MinerKey { miner, error },
    })
}

fn verify_items(block: &Block) -> Result<(), Rejection> {
    let items = block.body.items();
    let (got, expected) = (block.header.item_count, u32::try_from(items.len()).unwrap_or(u32::MAX));
    if got != expected {
        return Err(Rejection::WrongItemCount { got, expected });
    }
    let (got, expected) = (block.header.merkle_root, merkle_root(&items));
    if got == expected { Ok(()) } else { Err(Rejection::WrongMerkleRoot { got, expected }) }
}

fn validate_no_duplicates(block: &Block) -> Result<(), Rejection> {
    let mut records = BTreeSet::new();
    for record in &block.body.records {
        let record = record.id();
        if !records.insert(record) {
            return Err(Rejection::DuplicateRecord { record });
        }
    }
    let mut demands = BTreeSet::new();
    for composition in block.body.composed() {
        let demand = composition.demand;
        if !demands.insert(demand) {
            return Err(MarketError::DuplicateComposition { demand }.into());
        }
    }
    Ok(())
}

fn verify_records(network: &Network, block: &Block) -> Result<(), Rejection> {
    for (index, record) in block.body.records.iter().enumerate() {
        check_record(network, record).map_err(|error| Rejection::Record {
            index,
            id: record.id(),
            error: Box::new(error),
        })?;
    }
    Ok(())
}
