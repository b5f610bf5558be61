//! The room of commitments. The commitments of one batch form a **cohort**; their blocks are brought by later batches, as they
//! come. A cohort takes effect as a whole, the oldest first and one a batch at most, with the first batch by which
//! validators with more power than may lie have had a turn. Each says itself which batch is its turn for which cohorts
//! ([`BatchHeader::turn`](crate::batch::BatchHeader)), and an honest one only when their blocks had `reveal_ms` to reach it,
//! by its own clock; it brings every block that it has. So no proposer leaves out what it has seen and would rather have
//! itself, however it dates its batches. What is not revealed by then expires.
//!
//! **What is committed to has room.** Commitments state how large their blocks are, and together those that are not revealed
//! yet state no more than one batch holds: whoever has a turn can bring them all. All that wait, revealed or not, are no more
//! than four batches hold. Room is paid for, by bytes or by compositions, of whichever more of a batch is taken.
//! Blocks that one batch has no time to check take effect with the next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use scenarios::Money;
use scenarios::parameters::{Limits, Parameters};

use super::defect::Defect;
use super::root::StateKey;
use super::state::{Moment, State};
use crate::batch::{BatchHash, OVERHEAD_BYTES};
use crate::block::{Block, BlockHash};
use crate::codec::{encode, encoded_len};
use crate::commitment::{Commitment, SignedCommitment};
use crate::consensus::ValidatorSet;
use crate::genesis::Network;
use crate::hash::{Domain, Hash};
use crate::key::{Address, KeyError, PublicKey};
use crate::record::{Height, NetworkId};

/// How many batches could hold all blocks that are committed to and have not taken effect.
const WAITING_BATCHES: u64 = 4;
/// The fewest bytes that a composition has.
const COMPOSITION_BYTES: u32 = 36;

/// Why a commitment is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum CommitmentError {
    /// The network takes blocks in clear.
    #[error("in this network blocks come in clear, and nothing is committed to")]
    InClear,
    /// Another version of the protocol.
    #[error("version {got}, expected {expected}")]
    WrongVersion {
        got: u16,
        /// The version this program reads.
        expected: u16,
    },
    /// Another network's commitment.
    #[error("of network {got:?}, this is {expected:?}")]
    WrongNetwork {
        got: NetworkId,
        /// This network.
        expected: NetworkId,
    },
    /// Its miner's key is malformed or weak, or did not sign it.
    #[error("signed by {miner:?}: {error}")]
    Signature {
        /// Who should have signed.
        miner: PublicKey,
        error: KeyError,
    },
    /// Its anchor is no batch of the chain, or one that is too old.
    #[error(
        "anchored on batch {got}, which is none of the chain's of the last {window_ms} ms before the parent"
    )]
    NoAnchor {
        got: BatchHash,
        /// `anchor_window_ms`.
        window_ms: u64,
    },
    /// A batch has brought it before.
    #[error("an earlier batch has brought it")]
    BroughtBefore,
    /// Its miner has a commitment in the batch already.
    #[error("the second one of its miner in the batch, expected one at most")]
    SecondOfMiner,
    /// No block has the size that it states.
    #[error("it states a block of {bytes} bytes and {compositions} compositions, which no block has")]
    Size { bytes: u32, compositions: u32 },
    /// Blocks that wait would be too large together.
    #[error("blocks that wait would have {got} {what} together, expected at most {expected}")]
    NoRoom {
        /// Bytes, compositions, or entries: of all, or of those that are not revealed.
        what: &'static str,
        got: u64,
        expected: u64,
    },
    /// Its miner cannot pay for it.
    #[error("{} can spend {got}, the bytes of commitment and block cost {expected}", .miner.short())]
    Fee {
        miner: Address,
        /// What its account has above `account_min`.
        got: Money,
        expected: Money,
    },
}

impl CommitmentError {
    /// The rule's name, for logs and tables.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::InClear => "commitments-off",
            Self::WrongVersion { .. } => "commitment-version",
            Self::WrongNetwork { .. } => "commitment-network",
            Self::Signature { .. } => "commitment-signature",
            Self::NoAnchor { .. } => "anchor",
            Self::BroughtBefore => "commitment-once",
            Self::SecondOfMiner => "commitment-of-miner",
            Self::Size { .. } => "commitment-size",
            Self::NoRoom { .. } => "commitment-room",
            Self::Fee { .. } => "commitment-fee",
        }
    }
}

/// Why a block is not one that may be revealed now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum RevealError {
    /// No commitment that waits for its block names it.
    #[error("none of its miner's commitments that wait for a block is to this one")]
    NotCommitted,
    /// A batch has brought it.
    #[error("an earlier batch has revealed it")]
    RevealedBefore,
    /// It is larger than its commitment says.
    #[error("{got} {what}, expected at most {expected}, as committed to")]
    LargerThanCommitted {
        /// Bytes or compositions.
        what: &'static str,
        got: u64,
        expected: u64,
    },
    /// Its anchor is not its commitment's.
    #[error("anchored on batch {got}, committed to on {expected}")]
    OtherAnchor { got: BatchHash, expected: BatchHash },
}

impl RevealError {
    /// The rule's name, for logs and tables.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::NotCommitted => "block-committed",
            Self::RevealedBefore => "block-once",
            Self::LargerThanCommitted { .. } => "committed-size",
            Self::OtherAnchor { .. } => "committed-anchor",
        }
    }
}

/// The commitments of one batch, and what of them is revealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cohort {
    /// Validators that had a turn to bring its blocks, by position.
    turns: BTreeSet<u16>,
    /// By miner.
    pledges: BTreeMap<PublicKey, Pledge>,
}

/// A commitment, and its block once that is revealed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pledge {
    commitment: Commitment,
    block: Option<Arc<Block>>,
}

impl Cohort {
    /// The commitments, by miner.
    pub fn commitments(&self) -> impl Iterator<Item = &Commitment> {
        self.pledges.values().map(|pledge| &pledge.commitment)
    }

    /// The blocks that are revealed, by miner.
    pub fn revealed(&self) -> impl Iterator<Item = &Arc<Block>> {
        self.pledges.values().filter_map(|pledge| pledge.block.as_ref())
    }

    /// The commitments whose blocks are not, by miner.
    pub fn unrevealed(&self) -> impl Iterator<Item = &Commitment> {
        self.pledges.values().filter(|pledge| pledge.block.is_none()).map(|pledge| &pledge.commitment)
    }

    /// What decides between compositions that are equally good: all nonces together, which nobody knew when they were chosen.
    pub(crate) fn lot(&self) -> Hash {
        let nonces: Vec<u64> = self.revealed().map(|block| block.header().nonce).collect();
        Domain::Order.hash(&[&encode(&nonces)])
    }
}

/// How much of a batch blocks take.
#[derive(Clone, Copy, Debug, Default)]
struct Room {
    entries: u64,
    bytes: u64,
    compositions: u64,
}

impl Room {
    fn of<'c>(commitments: impl Iterator<Item = &'c Commitment>) -> Self {
        commitments.fold(Self::default(), |room, one| Self {
            entries: room.entries.saturating_add(1),
            bytes: room.bytes.saturating_add(one.bytes.into()),
            compositions: room.compositions.saturating_add(one.compositions.into()),
        })
    }

    /// So many batches hold this.
    fn validate(self, limits: &Limits, batches: u64) -> Result<(), CommitmentError> {
        let bytes: u64 = limits.batch_bytes.saturating_sub(OVERHEAD_BYTES.into()).into();
        let most = u64::from(limits.compositions_per_batch).saturating_mul(batches);
        let sizes = [
            ("bytes", self.bytes, bytes.saturating_mul(batches)),
            ("compositions", self.compositions, most),
            ("entries", self.entries, most),
        ];
        match sizes.into_iter().find(|(_, got, expected)| got > expected) {
            Some((what, got, expected)) => Err(CommitmentError::NoRoom { what, got, expected }),
            None => Ok(()),
        }
    }
}

/// A commitment states a size that a block can have, which is all that can be said of it without the state.
pub(crate) fn validate_stated_size(commitment: &Commitment, limits: &Limits) -> Result<(), CommitmentError> {
    let Commitment { bytes, compositions, .. } = *commitment;
    let is_possible = bytes > 0
        && compositions.saturating_mul(COMPOSITION_BYTES) <= bytes
        && Room::of(std::iter::once(commitment)).validate(limits, 1).is_ok();
    if is_possible { Ok(()) } else { Err(CommitmentError::Size { bytes, compositions }) }
}

/// Cohorts that have not taken effect, by the height of their commitments.
#[derive(Clone, Debug, Default)]
pub(super) struct Cohorts {
    waiting: BTreeMap<Height, Arc<Cohort>>,
    /// What changed since the state tree was last brought up to date.
    touched: BTreeSet<StateKey>,
}

impl Cohorts {
    pub(super) fn iter(&self) -> impl Iterator<Item = (Height, &Arc<Cohort>)> {
        self.waiting.iter().map(|(&height, cohort)| (height, cohort))
    }

    /// There is room for a block of this size beside those that are not revealed yet.
    pub(super) fn validate_room(
        &self,
        commitment: &Commitment,
        limits: &Limits,
    ) -> Result<(), CommitmentError> {
        let unrevealed = self.waiting.values().flat_map(|cohort| cohort.unrevealed());
        Room::of(unrevealed.chain([commitment])).validate(limits, 1)?;
        let waiting = self.waiting.values().flat_map(|cohort| cohort.commitments());
        Room::of(waiting.chain([commitment])).validate(limits, WAITING_BATCHES)
    }

    /// Whether a miner's commitment to this block waits.
    fn is_pledged(&self, miner: PublicKey, block: BlockHash) -> bool {
        let mut pledges = self.waiting.values().filter_map(|cohort| cohort.pledges.get(&miner));
        pledges.any(|pledge| pledge.commitment.block == block)
    }

    /// A commitment of the batch of this height.
    pub(super) fn commit(&mut self, height: Height, commitment: Commitment) {
        let none = Cohort { turns: BTreeSet::new(), pledges: BTreeMap::new() };
        let cohort = Arc::make_mut(self.waiting.entry(height).or_insert_with(|| Arc::new(none)));
        cohort.pledges.insert(commitment.miner, Pledge { commitment, block: None });
        self.touched.extend([StateKey::Cohort(height), StateKey::Pledge(height, commitment.miner)]);
    }

    /// The cohort that a block may be revealed in.
    pub(super) fn validate_reveal(&self, block: &Block) -> Result<Height, RevealError> {
        let (miner, name) = (block.miner(), block.hash());
        let mut pledges = self.waiting.iter().filter_map(|(&height, cohort)| {
            let pledge = cohort.pledges.get(&miner)?;
            (pledge.commitment.block == name).then_some((height, pledge))
        });
        let (height, Pledge { commitment, block: revealed }) =
            pledges.next().ok_or(RevealError::NotCommitted)?;
        if revealed.is_some() {
            return Err(RevealError::RevealedBefore);
        }
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let sizes = [
            ("bytes", count(encoded_len(block)), commitment.bytes.into()),
            ("compositions", count(block.body.composed().count()), commitment.compositions.into()),
        ];
        if let Some((what, got, expected)) = sizes.into_iter().find(|(_, got, expected)| got > expected) {
            return Err(RevealError::LargerThanCommitted { what, got, expected });
        }
        let (got, expected) = (block.header().anchor, commitment.anchor);
        if got == expected { Ok(height) } else { Err(RevealError::OtherAnchor { got, expected }) }
    }

    /// A block is revealed.
    pub(super) fn reveal(&mut self, height: Height, block: Block) -> Result<(), Defect> {
        let miner = block.miner();
        let cohort = self.waiting.get_mut(&height).ok_or(Defect::Cohort)?;
        let pledge = Arc::make_mut(cohort).pledges.get_mut(&miner).ok_or(Defect::Cohort)?;
        pledge.block = Some(Arc::new(block));
        self.touched.insert(StateKey::Pledge(height, miner));
        Ok(())
    }

    /// A validator has its turn for all cohorts up to this one.
    pub(super) fn take_turn(&mut self, validator: u16, turn: Height) {
        for (&height, cohort) in self.waiting.range_mut(..=turn) {
            if !cohort.turns.contains(&validator) {
                Arc::make_mut(cohort).turns.insert(validator);
                self.touched.insert(StateKey::Cohort(height));
            }
        }
    }

    /// Takes out the oldest cohort, if enough validators had a turn.
    pub(super) fn take_due(&mut self, validators: &ValidatorSet) -> Option<(Height, Arc<Cohort>)> {
        let (height, cohort) = self.waiting.first_key_value()?;
        let turns = cohort.turns.iter().map(|&validator| validators.power_of(validator));
        if turns.fold(0_u64, u64::saturating_add) <= validators.tolerated_power() {
            return None;
        }
        let height = *height;
        let cohort = self.waiting.remove(&height)?;
        self.touched.insert(StateKey::Cohort(height));
        self.touched.extend(cohort.pledges.keys().map(|&miner| StateKey::Pledge(height, miner)));
        Some((height, cohort))
    }

    /// What these miners revealed waits for the next batch: this one has no time to check it.
    pub(super) fn put_back(&mut self, height: Height, cohort: &Cohort, miners: &[PublicKey]) {
        let pledges = cohort.pledges.iter().filter(|(miner, _)| miners.contains(miner));
        let pledges = pledges.map(|(&miner, pledge)| (miner, pledge.clone())).collect();
        self.waiting.insert(height, Arc::new(Cohort { turns: cohort.turns.clone(), pledges }));
        self.touched.insert(StateKey::Cohort(height));
        self.touched.extend(miners.iter().map(|&miner| StateKey::Pledge(height, miner)));
    }

    /// Who had a turn for a cohort, in canonical bytes.
    pub(super) fn entry(&self, height: Height) -> Option<Vec<u8>> {
        self.waiting.get(&height).map(|cohort| encode(&cohort.turns))
    }

    /// A commitment and its block, in canonical bytes.
    pub(super) fn pledge(&self, height: Height, miner: PublicKey) -> Option<Vec<u8>> {
        let pledge = self.waiting.get(&height)?.pledges.get(&miner)?;
        Some(encode(&(pledge.commitment, pledge.block.as_deref())))
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = StateKey> {
        self.waiting.iter().flat_map(|(&height, cohort)| {
            let pledges = cohort.pledges.keys().map(move |&miner| StateKey::Pledge(height, miner));
            pledges.chain([StateKey::Cohort(height)])
        })
    }

    pub(super) fn take_touched(&mut self) -> BTreeSet<StateKey> {
        std::mem::take(&mut self.touched)
    }
}

impl State {
    /// Whether a commitment, right by itself, may be brought now.
    pub(super) fn validate_commitment(
        &self,
        network: &Network,
        signed: &SignedCommitment,
    ) -> Result<(), CommitmentError> {
        let (parameters, commitment) = (network.parameters(), &signed.commitment);
        parameters.commit_reveal.ok_or(CommitmentError::InClear)?;
        let is_pledged = self.cohorts.is_pledged(commitment.miner, commitment.block);
        if is_pledged || self.anchors.brought(signed.id().0).is_some() {
            return Err(CommitmentError::BroughtBefore);
        }
        let miner = commitment.miner.address();
        let (got, expected) = (self.accounts.spendable(miner), fee_of(signed, parameters));
        let expected = expected.unwrap_or(Money::from_micros(i64::MAX));
        if got < expected {
            return Err(CommitmentError::Fee { miner, got, expected });
        }
        self.cohorts.validate_room(commitment, &parameters.limits)
    }

    /// A commitment on an anchor of this time takes effect: its miner pays, and its block may be revealed.
    pub(super) fn commit_to(
        &mut self,
        network: &Network,
        at: Moment,
        signed: &SignedCommitment,
        anchor_ms: u64,
    ) -> Result<(), Defect> {
        let commitment = signed.commitment;
        let fee = fee_of(signed, network.parameters()).ok_or(Defect::Balance)?;
        self.accounts.burn(commitment.miner.address(), fee)?;
        self.anchors.bring(signed.id().0, anchor_ms);
        self.cohorts.commit(at.height, commitment);
        Ok(())
    }
}

/// What a commitment costs its miner; `None` beyond the range of money. A composition is paid like as many bytes as a batch
/// has for each that it may hold, and at least one is paid for: whatever is committed to takes batches to take effect.
fn fee_of(signed: &SignedCommitment, parameters: &Parameters) -> Option<Money> {
    let limits = &parameters.limits;
    let Commitment { bytes, compositions, .. } = signed.commitment;
    let each = u64::from(limits.batch_bytes).checked_div(limits.compositions_per_batch.into())?;
    let block = u64::from(bytes).max(u64::from(compositions.max(1)).checked_mul(each)?);
    let own = u64::try_from(encoded_len(signed)).ok()?;
    parameters.fee_per_byte.checked_mul(i64::try_from(own.checked_add(block)?).ok()?)
}
