//! Making blocks: what a miner wants to put into one, judged by the very code that will validate the batch that brings it.

use scenarios::{DualPrices, Slot};

use super::form::validate_contents;
use super::rejection::Rejection;
use super::stateful::{ValidBatch, bring_records};
use crate::batch::{BATCH_VERSION, Batch, BatchHeader, BatchKind, Contents};
use crate::block::{Amendment, Block, Body, Composition, Header, Replacement, SignedHeader};
use crate::codec::encode;
use crate::commitment::{Commitment, SignedCommitment};
use crate::hash::{Domain, Hash};
use crate::key::{PublicKey, SecretKey, Signature};
use crate::ledger::market::amending::{ProposedPart, StagedAmendment};
use crate::ledger::market::staging::{Appraised, ProposedComposition, Staged};
use crate::ledger::transition::{BatchReport, BlockOutcome, By, Transition};
use crate::ledger::{DemandEntry, Ledger, MarketError};
use crate::merkle::merkle_root;
use crate::record::{DemandId, Height, Record};

/// What a miner wants to put into the next batch.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct Draft {
    pub miner: PublicKey,
    /// Milliseconds since the Unix epoch, above the head's.
    pub timestamp_ms: u64,
    /// Records, right by themselves ([`crate::validate::check_record`]).
    pub records: Vec<Record>,
    /// New prices; what they gain is claimed with care.
    pub prices: Option<DualPrices>,
    /// The provider of each order of each demand.
    pub compositions: Vec<Serving>,
    /// What is re-composed together, and open demands for which that makes room: see [`Amendment`]. Order
    /// within a set does not matter; the versions replaced are those that stand.
    pub amendments: Vec<Vec<Serving>>,
}

/// A batch that breaks no rule, not signed yet; a block by itself is drafted as the only one of its batch.
#[derive(Clone, Debug)]
pub struct Drafted {
    /// Without root and number of items, which depend on signatures.
    header: BatchHeader,
    contents: Contents,
    own: Option<UnsignedBlock>,
    report: BatchReport,
}

#[derive(Clone, Debug)]
pub(super) struct UnsignedBlock {
    header: Header,
    body: Body,
}

impl Drafted {
    /// What it brings and earns; of a batch in which committed blocks take effect, only what it brings.
    pub const fn report(&self) -> &BatchReport {
        &self.report
    }

    /// Signs it and its own block, if it has one, with the key of whom it was drafted for.
    pub fn sign(self, key: &SecretKey) -> (Batch, BatchReport) {
        let report = self.report.clone();
        let block = |header: &Header| key.sign(Domain::BlockHeader, &[&encode(header)]);
        let batch = |header: &BatchHeader| key.sign(Domain::Header, &[&encode(header)]);
        (self.complete(block, batch), report)
    }

    /// Signs it and its own block, if it has one: it has been judged already. `ledger` is the one it was drafted on.
    pub fn sign_valid(self, ledger: &Ledger, key: &SecretKey) -> ValidBatch {
        let (batch, _) = self.sign(key);
        ValidBatch::of_assembled(batch, ledger)
    }

    /// Signs its own block alone, if it has one: for somebody else to put into a batch.
    pub fn sign_block(self, key: &SecretKey) -> Option<(Block, BatchReport)> {
        let UnsignedBlock { header, body } = self.own?;
        let signature = key.sign(Domain::BlockHeader, &[&encode(&header)]);
        Some((Block { signed: SignedHeader { header, signature }, body }, self.report))
    }

    /// Signs its own block alone, if it has one, and a commitment to it. A nonce that nobody can guess without the key
    /// keeps the commitment from telling what is in the block.
    pub fn seal(self, key: &SecretKey) -> Option<(Block, SignedCommitment, BatchReport)> {
        let UnsignedBlock { header, body } = self.own?;
        let Signature(secret) = key.sign(Domain::BlockHeader, &[&encode(&header)]);
        let Hash(nonce) = Domain::Order.hash(&[&secret]);
        let nonce = nonce.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let block = Block::sign(header.network, header.anchor, nonce, body, key);
        let mut report = self.report;
        for outcome in &mut report.blocks {
            outcome.block = block.hash();
        }
        let commitment = Commitment::to_block(&block).sign(key);
        Some((block, commitment, report))
    }

    fn complete(
        self,
        sign_block: impl FnOnce(&Header) -> Signature,
        sign: impl FnOnce(&BatchHeader) -> Signature,
    ) -> Batch {
        let Self { mut header, mut contents, own, report: _ } = self;
        contents.blocks.extend(own.map(|UnsignedBlock { header, body }| {
            let signature = sign_block(&header);
            Block { signed: SignedHeader { header, signature }, body }
        }));
        let items = contents.items();
        header.contents_root = merkle_root(&items);
        header.item_count = u32::try_from(items.len()).unwrap_or(u32::MAX);
        let signature = sign(&header);
        Batch { header, signature, contents }
    }
}

/// A demand and the provider of each of its orders.
pub type Serving = (DemandId, Vec<Slot>);

/// Compositions that the next batch can bring together, and why not the others.
#[derive(Clone, Debug, Default)]
pub struct Admissible {
    /// Those that fit, in order.
    pub kept: Vec<Serving>,
    /// Those that would earn less than their demands ask for now, though not for ever; they take nothing from others.
    pub early: Vec<Early>,
    /// Those that don't fit, each with the rule it would break.
    pub refused: Vec<(DemandId, Rejection)>,
}

/// A composition that earns too little yet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct Early {
    pub serving: Serving,
    /// From when on it earns enough at these offers and prices: milliseconds since the Unix epoch, if no halt comes between.
    pub from_ms: u64,
    /// What it lacks now.
    pub rejection: Rejection,
}

impl Admissible {
    /// All that fit, whether or not they would earn enough now.
    pub fn into_fitting(self) -> Vec<Serving> {
        self.kept.into_iter().chain(self.early.into_iter().map(|early| early.serving)).collect()
    }
}

/// Amendments that the next batch can bring together, and why not the others.
#[derive(Clone, Debug, Default)]
pub struct AdmissibleAmendments {
    /// Those that fit, in order.
    pub kept: Vec<Vec<Serving>>,
    /// Positions of those that don't, each with the rule it would break.
    pub refused: Vec<(usize, Rejection)>,
}

impl Ledger {
    /// Works out the next batch with these records and one block of a miner's, who puts it together.
    ///
    /// # Errors
    /// The first rule that anything of it would break.
    pub fn draft(&self, draft: Draft) -> Result<Drafted, Rejection> {
        let (got, expected) = (draft.timestamp_ms, self.head().timestamp_ms);
        if got <= expected {
            return Err(Rejection::TimestampNotAboveParent { got, expected });
        }
        let kind = self.kind_of(&draft);
        let empty = kind == BatchKind::Quiet && draft.records.is_empty() && draft.prices.is_none();
        self.validate_interval(draft.timestamp_ms, kind, empty)?;

        let mut transition = Transition::begin(self, draft.timestamp_ms)?;
        bring_records(&mut transition, &draft.records)?;
        let composed = draft.compositions.iter().chain(draft.amendments.iter().flatten());
        let work = transition.work_of(composed.map(|(demand, _)| *demand));
        transition.spend(work)?;
        let by = By { block: 0, miner: draft.miner.address() };
        stage_all(&mut transition, by, &draft.compositions, draft.timestamp_ms)?;
        for (index, set) in draft.amendments.iter().enumerate() {
            propose_amendment(&mut transition, by, index, set, draft.timestamp_ms)?;
        }
        transition.judge_whole(by.block)?;
        transition.close()?;
        let price_update = draft.prices.map(|prices| transition.claim_prices(prices)).transpose()?;
        if let Some(update) = &price_update {
            transition.reprice(by.miner, update)?;
        }
        let body = Body {
            compositions: transition.staged().iter().map(composition_of).collect(),
            amendments: transition.amended().iter().map(amendment_of).collect(),
            price_update,
        };
        let own = if body.is_empty() {
            transition.end(Vec::new())?;
            None
        } else {
            let (network, anchor) = (self.network().id(), self.head().hash);
            let header = Header::of(network, anchor, draft.timestamp_ms, &body, draft.miner);
            transition.bring_block(header.hash(), self.head().timestamp_ms);
            transition.end(vec![BlockOutcome::of_whole(&header)])?;
            Some(UnsignedBlock { header, body })
        };
        let contents = Contents { records: draft.records, ..Contents::default() };
        self.drafted(transition, (draft.miner, 0), contents, own)
    }

    pub(super) fn drafted(
        &self,
        transition: Transition<'_>,
        (proposer, turn): (PublicKey, Height),
        contents: Contents,
        own: Option<UnsignedBlock>,
    ) -> Result<Drafted, Rejection> {
        let header = BatchHeader {
            version: BATCH_VERSION,
            network: self.network().id(),
            height: transition.height(),
            parent: self.head().hash,
            timestamp_ms: transition.timestamp_ms(),
            proposer,
            turn,
            contents_root: Hash::ZERO,
            item_count: 0,
            outcomes_root: self.head().outcomes_root,
            state_root: self.state_root(),
        };
        let (_, report) = transition.into_parts();
        let drafted = Drafted { header, contents, own, report };
        // Not signed yet; a signature changes nothing about what is judged here.
        let unsigned = drafted.clone().complete(|_| Signature([0; 64]), |_| Signature([0; 64]));
        validate_contents(self.network(), &unsigned, None)?;
        Ok(drafted)
    }

    /// Which of these compositions the next batch of `miner` can bring together at this time, the better ones first: for
    /// what is left of a block, and to explain a refusal. Instead of one that is not near the best of what is left, the best is
    /// kept. What blocks earn as a whole is not judged.
    pub fn admissible(&self, miner: &PublicKey, timestamp_ms: u64, compositions: &[Serving]) -> Admissible {
        let mut admissible = Admissible::default();
        let mut transition = match Transition::begin(self, timestamp_ms) {
            Ok(transition) => transition,
            Err(error) => {
                let refused = compositions.iter().map(|(demand, _)| (*demand, error.into()));
                admissible.refused = refused.collect();
                return admissible;
            }
        };
        let by = By { block: 0, miner: miner.address() };
        let proposed: Vec<ProposedComposition<'_>> =
            compositions.iter().map(|serving| propose(by, serving, timestamp_ms)).collect();
        for ((demand, slots), outcome) in compositions.iter().zip(transition.stage_ranked(&proposed)) {
            match outcome {
                Ok(slots) => admissible.kept.push((*demand, slots)),
                Err(error @ MarketError::RewardBelowThreshold { fee, got, .. }) => {
                    let from_ms = self.accepts_from(*demand, fee, got).unwrap_or(u64::MAX);
                    let serving = (*demand, slots.clone());
                    admissible.early.push(Early { serving, from_ms, rejection: error.into() });
                }
                Err(error) => admissible.refused.push((*demand, error.into())),
            }
        }
        admissible
    }

    /// Which of these sets the next batch of `miner` can bring as amendments together at this time, taken greedily in
    /// order, after those of `compositions` that it can bring, as [`Ledger::admissible`].
    pub fn admissible_amendments(
        &self,
        miner: &PublicKey,
        timestamp_ms: u64,
        compositions: &[Serving],
        sets: &[Vec<Serving>],
    ) -> AdmissibleAmendments {
        let mut admissible = AdmissibleAmendments::default();
        let mut transition = match Transition::begin(self, timestamp_ms) {
            Ok(transition) => transition,
            Err(error) => {
                admissible.refused = (0..sets.len()).map(|index| (index, error.into())).collect();
                return admissible;
            }
        };
        let by = By { block: 0, miner: miner.address() };
        let proposed: Vec<ProposedComposition<'_>> =
            compositions.iter().map(|serving| propose(by, serving, timestamp_ms)).collect();
        let _ = transition.stage_ranked(&proposed); // what does not fit takes nothing
        for (index, set) in sets.iter().enumerate() {
            match propose_amendment(&mut transition, by, index, set, timestamp_ms) {
                Ok(()) => admissible.kept.push(set.clone()),
                Err(error) => admissible.refused.push((index, error.into())),
            }
        }
        admissible
    }

    /// What a draft's batch is for: see [`Contents::kind`].
    fn kind_of(&self, draft: &Draft) -> BatchKind {
        // A demand that comes with this very batch's records is not known yet, and open.
        let is_first = |(demand, _): &Serving| self.demand(*demand).map_or(0, DemandEntry::version) == 0;
        let firsts = draft.amendments.iter().flatten().any(is_first);
        match (draft.compositions.is_empty() && !firsts, draft.amendments.is_empty()) {
            (false, _) => BatchKind::Composing,
            (true, false) => BatchKind::Amending,
            (true, true) => BatchKind::Quiet,
        }
    }
}

fn propose(by: By, (demand, slots): &Serving, timestamp_ms: u64) -> ProposedComposition<'_> {
    ProposedComposition { by, demand: *demand, slots, timestamp_ms, claim: None }
}

/// Stages compositions as a batch that brings them alone would: whole blocks in their order, items that stand alone by what
/// they are worth.
fn stage_all(
    transition: &mut Transition<'_>,
    by: By,
    compositions: &[Serving],
    timestamp_ms: u64,
) -> Result<(), MarketError> {
    let mut appraised = Vec::with_capacity(compositions.len());
    let is_whole = transition.takes_effect_whole();
    for serving in compositions {
        let proposed = propose(by, serving, timestamp_ms);
        if is_whole {
            transition.stage(&proposed)?;
        } else {
            appraised.push(transition.appraise(&proposed)?);
        }
    }
    appraised.sort_by_key(Appraised::rank);
    for found in appraised {
        transition.place(found)?;
    }
    Ok(())
}

/// Stages a set as an amendment of the versions that stand.
fn propose_amendment(
    transition: &mut Transition<'_>,
    by: By,
    index: usize,
    set: &[Serving],
    timestamp_ms: u64,
) -> Result<(), MarketError> {
    let parts = set.iter().map(|(demand, slots)| ProposedPart {
        replaces: transition.standing_version(*demand),
        demand: *demand,
        slots,
        timestamp_ms,
        claim: None,
    });
    let mut parts: Vec<ProposedPart<'_>> = parts.collect();
    parts.sort_by_key(|part| part.demand);
    transition.stage_amendment(by, index, &parts)?;
    Ok(())
}

fn composition_of(staged: &Staged) -> Composition {
    Composition {
        demand: staged.demand,
        slots: staged.slots.clone(),
        cost: staged.evaluation.cost(),
        minutes: staged.minutes(),
        timestamp_ms: staged.timestamp_ms,
    }
}

fn amendment_of(staged: &StagedAmendment) -> Amendment {
    let parts = staged
        .parts
        .iter()
        .map(|part| Replacement { replaces: part.entry.version(), composition: composition_of(part) });
    Amendment { parts: parts.collect() }
}
