//! Making batches: what a miner wants to put into one, judged by the very code that will validate it.

use scenarios::ProviderId;

use super::form::validate_contents;
use super::rejection::Rejection;
use super::stateful::bring;
use crate::batch::{
    Amendment, BATCH_VERSION, Batch, BatchKind, Body, Composition, Header, PriceUpdate, Replacement,
};
use crate::key::{PublicKey, Signature};
use crate::ledger::market::amending::{ProposedPart, StagedAmendment};
use crate::ledger::market::staging::Staged;
use crate::ledger::transition::{BatchReport, Transition};
use crate::ledger::{DemandEntry, Ledger, MarketError};
use crate::merkle::merkle_root;
use crate::record::{DemandId, Record};

/// What a miner wants to put into the next batch.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct Draft {
    pub miner: PublicKey,
    /// Milliseconds since the Unix epoch, above the head's.
    pub timestamp_ms: u64,
    /// Records, right by themselves ([`crate::validate::check_record`]).
    pub records: Vec<Record>,
    /// New prices.
    pub price_update: Option<PriceUpdate>,
    /// The provider of each order of each demand.
    pub compositions: Vec<Serving>,
    /// What is re-composed together, and open demands for which that makes room: see [`Amendment`]. Order
    /// within a set does not matter; the versions replaced are those that stand.
    pub amendments: Vec<Vec<Serving>>,
}

/// A demand and the provider of each of its orders.
pub type Serving = (DemandId, Vec<ProviderId>);

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
    /// Works out the header of the next batch and its body. [`crate::Batch::sign`] makes it a batch, which this
    /// ledger then validates.
    ///
    /// # Errors
    /// The first rule the batch would break.
    pub fn draft(&self, draft: Draft) -> Result<(Header, Body, BatchReport), Rejection> {
        let (got, expected) = (draft.timestamp_ms, self.head().timestamp_ms);
        if got <= expected {
            return Err(Rejection::TimestampNotAboveParent { got, expected });
        }
        let kind = self.kind_of(&draft);
        let empty = kind == BatchKind::Quiet && draft.records.is_empty() && draft.price_update.is_none();
        self.validate_interval(draft.timestamp_ms, kind, empty)?;

        let mut transition = Transition::begin(self, &draft.miner, draft.timestamp_ms)?;
        bring(&mut transition, &draft.records)?;
        let composed = draft.compositions.iter().chain(draft.amendments.iter().flatten());
        let demands = composed.map(|(demand, _)| *demand);
        transition.meter(demands, draft.price_update.is_some())?;
        for (demand, providers) in &draft.compositions {
            transition.stage(*demand, providers, draft.timestamp_ms)?;
        }
        for set in &draft.amendments {
            propose(&mut transition, set, draft.timestamp_ms)?;
        }
        transition.end(draft.price_update.as_ref())?;
        let body = Body {
            compositions: transition.staged().iter().map(composition_of).collect(),
            amendments: transition.amended().iter().map(amendment_of).collect(),
            records: draft.records,
            price_update: draft.price_update,
            commitments: Vec::new(),
        };
        let header = header_of(self, &transition, &body, draft.miner, draft.timestamp_ms);
        // Not signed yet; a signature changes nothing about what is judged here.
        let batch = Batch { header, signature: Signature([0; 64]), body };
        validate_contents(self.network(), &batch, None)?;
        let (_, report) = transition.into_parts();
        Ok((batch.header, batch.body, report))
    }

    /// Which of these compositions the next batch of `miner` can bring together at this time, taken greedily in order:
    /// for re-anchoring a batch mined on an older head, and to explain a refusal. What batches earn as a whole is not
    /// judged.
    pub fn admissible(&self, miner: &PublicKey, timestamp_ms: u64, compositions: &[Serving]) -> Admissible {
        let mut admissible = Admissible::default();
        let mut transition = match Transition::begin(self, miner, timestamp_ms) {
            Ok(transition) => transition,
            Err(error) => {
                let refused = compositions.iter().map(|(demand, _)| (*demand, error.into()));
                admissible.refused = refused.collect();
                return admissible;
            }
        };
        for (demand, providers) in compositions {
            match transition.stage(*demand, providers, timestamp_ms) {
                Ok(_) => admissible.kept.push((*demand, providers.clone())),
                Err(error @ MarketError::RewardBelowThreshold { got, .. }) => {
                    let from_ms = self.accepts_from(*demand, got).unwrap_or(u64::MAX);
                    let serving = (*demand, providers.clone());
                    admissible.early.push(Early { serving, from_ms, rejection: error.into() });
                }
                Err(error) => admissible.refused.push((*demand, error.into())),
            }
        }
        admissible
    }

    /// Which of these sets the next batch of `miner` can bring as amendments together at this time, taken greedily in
    /// order, after those of `compositions` that it can bring: for re-anchoring, as [`Ledger::admissible`].
    pub fn admissible_amendments(
        &self,
        miner: &PublicKey,
        timestamp_ms: u64,
        compositions: &[Serving],
        sets: &[Vec<Serving>],
    ) -> AdmissibleAmendments {
        let mut admissible = AdmissibleAmendments::default();
        let mut transition = match Transition::begin(self, miner, timestamp_ms) {
            Ok(transition) => transition,
            Err(error) => {
                admissible.refused = (0..sets.len()).map(|index| (index, error.into())).collect();
                return admissible;
            }
        };
        for (demand, providers) in compositions {
            // What does not fit takes nothing.
            let _ = transition.stage(*demand, providers, timestamp_ms);
        }
        for (index, set) in sets.iter().enumerate() {
            match propose(&mut transition, set, timestamp_ms) {
                Ok(()) => admissible.kept.push(set.clone()),
                Err(error) => admissible.refused.push((index, error.into())),
            }
        }
        admissible
    }

    /// What a draft's batch is for: see [`Body::kind`].
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

/// Stages a set as an amendment of the versions that stand.
fn propose(transition: &mut Transition<'_>, set: &[Serving], timestamp_ms: u64) -> Result<(), MarketError> {
    let parts = set.iter().map(|(demand, providers)| ProposedPart {
        replaces: transition.standing_version(*demand),
        demand: *demand,
        providers,
        timestamp_ms,
    });
    let mut parts: Vec<ProposedPart<'_>> = parts.collect();
    parts.sort_by_key(|part| part.demand);
    transition.stage_amendment(&parts)?;
    Ok(())
}

fn composition_of(staged: &Staged) -> Composition {
    Composition {
        demand: staged.demand,
        providers: staged.providers.clone(),
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

fn header_of(
    ledger: &Ledger,
    transition: &Transition<'_>,
    body: &Body,
    miner: PublicKey,
    timestamp_ms: u64,
) -> Header {
    let items = body.items();
    Header {
        version: BATCH_VERSION,
        network: ledger.network().id(),
        height: transition.height(),
        parent: ledger.head().hash,
        timestamp_ms,
        miner,
        merkle_root: merkle_root(&items),
        item_count: u32::try_from(items.len()).unwrap_or(u32::MAX),
        state_root: transition.state_root(),
        cost: transition.report().cost,
        reduced_cost: transition.report().reduced_cost,
    }
}
