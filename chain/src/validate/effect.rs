//! What becomes of the blocks that take effect with a batch: those that it brings, or, where miners commit to blocks, those
//! of a cohort. Items stand alone, and the better one wins: all compositions are judged first,
//! at the offers and prices the batch begins with, then take effect in order of what they are worth, whichever block they
//! are in and wherever that stands; then amendments, then one price update at most. An item that breaks a rule is
//! dropped under the rule's name. In dedicated allocation, and by the measures of paper A, a block takes effect whole or
//! not at all.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::rejection::{BlockError, Rejection};
use crate::batch::BatchHash;
use crate::block::{Amendment, Block, BlockHash, Composition};
use crate::codec::encode;
use crate::hash::{Domain, Hash};
use crate::key::PublicKey;
use crate::ledger::market::amending::ProposedPart;
use crate::ledger::market::staging::{Claim, ProposedComposition};
use crate::ledger::transition::{By, Transition};
use crate::ledger::{BlockOutcome, Cohort, Defect, Dropped, MarketError};
use crate::record::{DemandId, Height};
use crate::schedule::PPM;

/// The greater its saving the sooner an amendment comes, in ppm of what was paid in.
type AmendmentRank = (Reverse<i128>, Hash);

/// What becomes of one block.
#[derive(Debug)]
pub(super) struct Fate<'b> {
    block: &'b Block,
    hash: BlockHash,
    /// It was committed to, and has had its turn with that.
    is_committed: bool,
    by: By,
    /// Why its items do not take effect, in order; `None` for those that do.
    dropped: Vec<Option<Rejection>>,
}

impl<'b> Fate<'b> {
    fn new(position: usize, block: &'b Block, is_committed: bool) -> Self {
        let by = By { block: position, miner: block.miner().address() };
        Self { block, hash: block.hash(), is_committed, by, dropped: vec![None; block.body.item_count()] }
    }

    fn drop_item(&mut self, item: usize, why: Rejection) {
        if let Some(place) = self.dropped.get_mut(item) {
            *place = Some(why);
        }
    }

    /// Everything that is not dropped yet.
    fn drop_all(&mut self, why: &Rejection) {
        for place in self.dropped.iter_mut().filter(|place| place.is_none()) {
            *place = Some(why.clone());
        }
    }

    /// Whether something of it may still take effect.
    fn is_of_use(&self) -> bool {
        self.dropped.iter().any(Option::is_none)
    }

    /// The position of its first composition among its items.
    fn first_composition(&self) -> usize {
        usize::from(self.block.body.price_update.is_some())
    }

    fn first_amendment(&self) -> usize {
        self.first_composition().saturating_add(self.block.body.compositions.len())
    }

    fn propose<'p>(&self, composition: &'p Composition) -> ProposedComposition<'p> {
        ProposedComposition {
            by: self.by,
            demand: composition.demand,
            slots: &composition.slots,
            timestamp_ms: composition.timestamp_ms,
            claim: Some(Claim::from(composition)),
        }
    }

    /// The rule that its first item breaks, if none of them takes effect.
    pub(super) fn refusal(&self) -> Option<&Rejection> {
        if self.is_of_use() { None } else { self.dropped.iter().flatten().next() }
    }

    fn outcome(&self, transition: &Transition<'_>) -> BlockOutcome {
        let dropped = (0_u32..).zip(&self.dropped).filter_map(|(item, why)| {
            let why = why.as_ref()?;
            Some(Dropped { item, rule: why.rule().to_owned(), reason: transition.explain(why) })
        });
        BlockOutcome { dropped: dropped.collect(), ..BlockOutcome::of_whole(self.block.header()) }
    }
}

/// The blocks that take effect with a batch, and what decides between those of their items that are equally good.
#[derive(Clone, Debug)]
pub(super) enum Turn<'b> {
    /// Those that it brings itself.
    InClear { blocks: &'b [Block], parent: BatchHash },
    /// Those that are revealed of the cohort of a height.
    Cohort { height: Height, cohort: Arc<Cohort> },
    /// Those that are expected to be a cohort's.
    Foreseen { blocks: &'b [Block], seed: Hash },
    /// No cohort is due.
    Nobodys,
}

impl Turn<'_> {
    fn seed(&self) -> Hash {
        match self {
            Self::InClear { parent, .. } => parent.0,
            Self::Cohort { cohort, .. } => cohort.lot(),
            Self::Foreseen { seed, .. } => *seed,
            Self::Nobodys => Hash::ZERO,
        }
    }

    /// In the order in which they have their turn.
    fn blocks(&self) -> Vec<&Block> {
        match self {
            Self::InClear { blocks, .. } | Self::Foreseen { blocks, .. } => blocks.iter().collect(),
            Self::Cohort { cohort, .. } => {
                let mut blocks: Vec<&Block> = cohort.revealed().map(Arc::as_ref).collect();
                let seed = self.seed();
                blocks.sort_by_key(|block| lot(seed, block, None));
                blocks
            }
            Self::Nobodys => Vec::new(),
        }
    }
}

/// Lets the blocks whose turn it is take effect after a batch's records, and ends the batch.
pub(super) fn take_effect<'b>(
    transition: &mut Transition<'_>,
    turn: &'b Turn<'_>,
) -> Result<Vec<Fate<'b>>, Defect> {
    let (seed, is_committed) = (turn.seed(), !matches!(turn, Turn::InClear { .. }));
    let (mut fates, mut carried): (Vec<Fate<'_>>, Vec<PublicKey>) = (Vec::new(), Vec::new());
    for block in turn.blocks() {
        let mut fate = Fate::new(fates.len(), block, is_committed);
        match admit(transition, &fate) {
            Ok(()) => fates.push(fate),
            // What this batch has no time for is the next one's, but for what none has time for.
            Err(Rejection::Market(MarketError::TooMuchWork { .. }))
                if is_committed && !fates.is_empty() && transition.has_time_for(block) =>
            {
                carried.push(block.miner());
            }
            Err(why) => {
                internal(&why)?;
                fate.drop_all(&why);
                fates.push(fate);
            }
        }
    }
    if let Turn::Cohort { height, cohort } = turn
        && !carried.is_empty()
    {
        transition.put_back(*height, cohort, &carried);
    }
    if transition.takes_effect_whole() {
        take_whole(transition, seed, &mut fates)?;
    } else {
        compose(transition, seed, &mut fates)?;
        amend(transition, seed, &mut fates)?;
    }
    transition.close()?;
    reprice(transition, seed, &mut fates)?;
    let outcomes = fates.iter().map(|fate| fate.outcome(transition)).collect();
    transition.end(outcomes)?;
    Ok(fates)
}

/// Ends a batch that was decided and in which blocks cannot take effect, for the state then contradicts itself: every item of theirs is
/// dropped, the same at every node that runs this program, and the chain goes on.
pub(super) fn take_no_effect(
    transition: &mut Transition<'_>,
    turn: &Turn<'_>,
    defect: Defect,
) -> Result<(), Defect> {
    let mut outcomes = Vec::new();
    for block in turn.blocks() {
        let mut fate = Fate::new(outcomes.len(), block, !matches!(turn, Turn::InClear { .. }));
        if !fate.is_committed
            && let Ok(anchor_ms) = validate_admission(transition, block)
        {
            transition.bring_block(fate.hash, anchor_ms);
        }
        fate.drop_all(&defect.into());
        outcomes.push(fate.outcome(transition));
    }
    transition.close()?;
    transition.end(outcomes)
}

/// A mistake of this program is nothing about a block.
const fn internal(why: &Rejection) -> Result<(), Defect> {
    if let Rejection::Internal(defect) | Rejection::Market(MarketError::Internal(defect)) = why {
        return Err(*defect);
    }
    Ok(())
}

/// A block has its turn, if this is the time for it and there is time to check it.
fn admit(transition: &mut Transition<'_>, fate: &Fate<'_>) -> Result<(), Rejection> {
    let demands = fate.block.body.composed().map(|composition| composition.demand);
    let work = transition.work_of(demands);
    if fate.is_committed {
        return Ok(transition.spend(work)?);
    }
    let anchor_ms = validate_admission(transition, fate.block)?;
    transition.spend(work)?;
    transition.bring_block(fate.hash, anchor_ms);
    Ok(())
}

/// Whether a block in clear may come with this batch; the time of its anchor, in milliseconds since the Unix epoch.
pub(super) fn validate_admission(transition: &Transition<'_>, block: &Block) -> Result<u64, Rejection> {
    let name = block.hash();
    let anchor_ms = validate_anchor(transition, block).and_then(|anchor_ms| {
        if transition.was_brought(name) { Err(BlockError::BroughtBefore) } else { Ok(anchor_ms) }
    });
    anchor_ms.map_err(|error| Rejection::Block { block: name, error: Box::new(error) })
}

fn validate_anchor(transition: &Transition<'_>, block: &Block) -> Result<u64, BlockError> {
    let got = block.header().anchor;
    let window_ms = transition.network().parameters().anchor_window_ms;
    transition.anchor_ms(got).ok_or(BlockError::NoAnchor { got, window_ms })
}

/// What decides between items that are equally good. A miner cannot choose it, but by another key.
fn lot(seed: Hash, block: &Block, demand: Option<DemandId>) -> Hash {
    Domain::Order.hash(&[&encode(&(seed, block.miner(), demand))])
}

fn compose(transition: &mut Transition<'_>, seed: Hash, fates: &mut [Fate<'_>]) -> Result<(), Defect> {
    let mut appraised = Vec::new();
    for (position, fate) in fates.iter_mut().enumerate().filter(|(_, fate)| fate.is_of_use()) {
        let first = fate.first_composition();
        for (item, composition) in (first..).zip(&fate.block.body.compositions) {
            let dated = validate_date(transition, fate, composition);
            match dated.and_then(|()| Ok(transition.appraise(&fate.propose(composition))?)) {
                Ok(found) => {
                    let key = (found.rank(), lot(seed, fate.block, Some(composition.demand)));
                    appraised.push((key, position, item, found));
                }
                Err(why) => {
                    internal(&why)?;
                    fate.drop_item(item, why);
                }
            }
        }
    }
    appraised.sort_by_key(|(key, position, ..)| (*key, *position));
    for (_, position, item, found) in appraised {
        if let Err(why) = transition.place(found) {
            let why = why.into();
            internal(&why)?;
            if let Some(fate) = fates.get_mut(position) {
                fate.drop_item(item, why);
            }
        }
    }
    Ok(())
}

/// The better one first, but those of one block in its order: a later one may use what an earlier one frees.
fn amend(transition: &mut Transition<'_>, seed: Hash, fates: &mut [Fate<'_>]) -> Result<(), Defect> {
    let mut queues: BTreeMap<(AmendmentRank, usize), usize> = BTreeMap::new();
    let rank_of = |transition: &Transition<'_>, fate: &Fate<'_>, index: usize| {
        let amendment = fate.block.body.amendments.get(index)?;
        let demand = amendment.parts.first().map(|part| part.composition.demand);
        Some((Reverse(saving_ppm(transition, amendment)), lot(seed, fate.block, demand)))
    };
    for (position, fate) in fates.iter().enumerate().filter(|(_, fate)| fate.is_of_use()) {
        if let Some(rank) = rank_of(transition, fate, 0) {
            queues.insert((rank, position), 0);
        }
    }
    while let Some(((_, position), index)) = queues.pop_first() {
        let Some(fate) = fates.get_mut(position) else { continue };
        let Some(amendment) = fate.block.body.amendments.get(index) else { continue };
        if let Err(why) = stage_amendment(transition, fate, index, amendment) {
            internal(&why)?;
            fate.drop_item(fate.first_amendment().saturating_add(index), why);
        }
        let next = index.saturating_add(1);
        if let Some(rank) = rank_of(transition, fate, next) {
            queues.insert((rank, position), next);
        }
    }
    Ok(())
}

/// What an amendment claims to save of what its demanders paid in; negative if it makes things dearer.
fn saving_ppm(transition: &Transition<'_>, amendment: &Amendment) -> i128 {
    let (mut saving, mut price) = (0_i128, 0_i128);
    for part in &amendment.parts {
        if let Some(standing) = transition.standing(part.composition.demand) {
            let saved =
                i128::from(standing.cost.micros()).saturating_sub(i128::from(part.composition.cost.micros()));
            saving = saving.saturating_add(saved);
            price = price.saturating_add(i128::from(standing.price.micros()));
        }
    }
    saving.saturating_mul(i128::from(PPM)).checked_div(price.max(1)).unwrap_or(0)
}

/// A block that was committed to is not brought any later for what it says of its date; nobody dates it far ahead all the same.
fn validate_date(
    transition: &Transition<'_>,
    fate: &Fate<'_>,
    composition: &Composition,
) -> Result<(), Rejection> {
    let lead_ms = transition.network().parameters().limits.clock_lead_ms;
    let (got, expected) = (composition.timestamp_ms, transition.timestamp_ms().saturating_add(lead_ms));
    if !fate.is_committed || got <= expected {
        return Ok(());
    }
    Err(Rejection::CompositionTimestamp { demand: composition.demand, got, expected })
}

fn stage_amendment(
    transition: &mut Transition<'_>,
    fate: &Fate<'_>,
    index: usize,
    amendment: &Amendment,
) -> Result<(), Rejection> {
    for part in &amendment.parts {
        validate_date(transition, fate, &part.composition)?;
    }
    let proposed: Vec<ProposedPart<'_>> = amendment.parts.iter().map(ProposedPart::from).collect();
    transition.stage_amendment(fate.by, index, &proposed)?;
    Ok(())
}

/// Whole blocks, in an order that nobody chooses.
fn take_whole(transition: &mut Transition<'_>, seed: Hash, fates: &mut [Fate<'_>]) -> Result<(), Defect> {
    let mut order: Vec<(Hash, usize)> =
        fates.iter().enumerate().map(|(position, fate)| (lot(seed, fate.block, None), position)).collect();
    order.sort_unstable();
    for (_, position) in order {
        let Some(fate) = fates.get_mut(position).filter(|fate| fate.is_of_use()) else { continue };
        let checkpoint = transition.checkpoint();
        if let Err(why) = stage_whole(transition, fate) {
            internal(&why)?;
            transition.restore(checkpoint);
            for item in fate.first_composition()..fate.dropped.len() {
                fate.drop_item(item, why.clone());
            }
        }
    }
    Ok(())
}

fn stage_whole(transition: &mut Transition<'_>, fate: &Fate<'_>) -> Result<(), Rejection> {
    for composition in &fate.block.body.compositions {
        validate_date(transition, fate, composition)?;
        transition.stage(&fate.propose(composition))?;
    }
    for (index, amendment) in fate.block.body.amendments.iter().enumerate() {
        stage_amendment(transition, fate, index, amendment)?;
    }
    transition.judge_whole(fate.by.block)?;
    Ok(())
}

/// On what the batch leaves otherwise, that of the greatest claim first.
fn reprice(transition: &mut Transition<'_>, seed: Hash, fates: &mut [Fate<'_>]) -> Result<(), Defect> {
    let mut order = Vec::new();
    for (position, fate) in fates.iter().enumerate() {
        if let Some(update) = &fate.block.body.price_update {
            order.push((Reverse(update.gain), lot(seed, fate.block, None), position));
        }
    }
    order.sort_unstable();
    let mut is_done = false;
    for (_, _, position) in order {
        let Some(fate) = fates.get_mut(position) else { continue };
        let Some(update) = &fate.block.body.price_update else { continue };
        if fate.dropped.first().is_some_and(Option::is_some) {
            continue; // the whole block is
        }
        let got = if is_done {
            Err(MarketError::OnePriceUpdate)
        } else {
            transition.reprice(fate.by.miner, update)
        };
        match got {
            Ok(()) => is_done = true,
            Err(why) => {
                let why = why.into();
                internal(&why)?;
                fate.drop_item(0, why);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use scenarios::{
        CostRules, Demand, Geometry, Horizon, Instance, Money, Offer, OperationId, Provider, ProviderId,
        Scenario, Site, Slot, Supply, TimeWindow,
    };

    use super::*;
    use crate::genesis::scenario_demand_records;
    use crate::key::SecretKey;
    use crate::ledger::Ledger;
    use crate::validate::{Draft, WellFormed};
    use crate::{Genesis, Network};

    /// A ledger with one open demand, and a block that composes it.
    fn market() -> (Ledger, Block) {
        let offer = Offer { cost: Money::from_units(5), minutes: 10 };
        let provider = Provider {
            name: "only".into(),
            site: Site::point(0, 0),
            offers: BTreeMap::from([(OperationId(0), offer)]),
            capacity: None,
        };
        let rules = CostRules {
            rate_per_km: Money::ZERO,
            value_of_minute: Money::ZERO,
            metres_per_minute: 500,
            deliver: false,
        };
        let supply = Supply {
            providers: vec![provider],
            rules,
            geometry: Geometry::Euclidean,
            horizon: Horizon::SINGLE,
        };
        let demand = Demand {
            name: "one".into(),
            site: Site::point(0, 0),
            orders: vec![OperationId(0)],
            budget: Money::from_units(50),
            window: TimeWindow::ANY,
        };
        let scenario = Scenario::of_instance("one", Instance { supply, demands: vec![demand] });
        let key = SecretKey::for_scenario(1, "miner", 0);
        let profile = scenario.search.profile;
        let genesis = Genesis::of_scenario(&scenario, profile, 1, vec![key.public()], 1, 1_000);
        let network = Arc::new(Network::new(genesis).unwrap());
        let (fee_ppm, expires_ms) =
            (network.parameters().solver_fee_ppm, network.genesis().first_expiry_ms());
        let records = scenario_demand_records(&scenario.instance, network.id(), 1, fee_ppm, expires_ms);
        let demand = records[0].id();
        let draft = |ledger: &Ledger, records, compositions| {
            let timestamp_ms = ledger.head().timestamp_ms + 1_000;
            let (prices, amendments) = (None, Vec::new());
            let miner = key.public();
            ledger.draft(Draft { miner, timestamp_ms, records, prices, compositions, amendments })
        };
        let ledger = Ledger::new(Arc::clone(&network));
        let (batch, _) = draft(&ledger, records, Vec::new()).unwrap().sign(&key);
        let valid = ledger.validate(WellFormed::new(&network, batch).unwrap()).unwrap();
        let ledger = valid.execute().unwrap().next().clone();
        let composing =
            draft(&ledger, Vec::new(), vec![(demand, vec![Slot::single(ProviderId(0))])]).unwrap();
        (ledger, composing.sign_block(&key).unwrap().0)
    }

    #[test]
    fn blocks_that_would_contradict_the_state_are_dropped_whole_and_the_chain_goes_on() {
        let (ledger, block) = market();
        let (blocks, parent) = ([block.clone()], ledger.head().hash);
        let turn = Turn::InClear { blocks: &blocks, parent };
        let mut transition = Transition::begin(&ledger, ledger.head().timestamp_ms + 1_000).unwrap();
        take_no_effect(&mut transition, &turn, Defect::Totals).unwrap();
        assert!(transition.was_brought(block.hash()), "it has had its turn");
        let (state, report) = transition.into_parts();
        let rules: Vec<&str> = report.blocks[0].dropped.iter().map(|dropped| dropped.rule.as_str()).collect();
        assert_eq!((report.compositions, rules), (0, vec!["internal"]));
        let after = Ledger { network: Arc::clone(ledger.network()), head: *ledger.head(), state };
        assert_eq!(after.total_money(), ledger.total_money());
        assert!(after.demands().all(|(_, entry)| entry.is_open()));
    }
}
