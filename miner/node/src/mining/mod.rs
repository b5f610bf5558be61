//! What this node does as a miner: which work it starts, and when it sends a block.
//!
//! One function, [`Mining::consider`], looks at everything the miner knows and decides on the next thing
//! to do; it is called after every change and by a timer. In order of urgency a miner sends what it has
//! ready (`drafting`), raises the bound with better prices (`pricing`), composes its cell (`searching`), and with nothing
//! left to compose looks for amendments (`amending`).

mod amending;
mod drafting;
mod pricing;
mod searching;

use std::collections::BTreeSet;

use chain::ledger::{DemandStatus, Departed, Dropped, Ledger, Market, MarketDemand};
use chain::{
    Batch, BatchReport, Block, BlockHash, BlockOutcome, Composition, DemandId, Drafted, PublicKey, Record,
};
use scenarios::work::{Failure, Report, Resources, SubProblem};
use scenarios::{DualPrices, ProviderId, Slot};

use super::event::NodeEvent;
use super::io::Effect;
use super::now::Now;
use super::settings::{MiningSettings, Timing};
use super::work::{Positions, Setbacks, WorkId, WorkKind};
use crate::strategy::{Cell, Explorer, Strategy};

use amending::Amending;
use pricing::Pricing;
use searching::Search;

/// A demand and the provider of each of its orders.
type ProposedComposition = (DemandId, Vec<Slot>);

/// What a miner sees of the rest of the node when it decides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub now: Now,
    /// The state at the head; where blocks are committed to, once everything that is known to be on its way has taken
    /// effect.
    pub ledger: &'a Ledger,
    /// Pool records that the next batch may bring, in order.
    pub pending: &'a [Record],
    /// Keys of the live miners that share out the market, ascending.
    pub cell_takers: &'a [PublicKey],
    /// This node.
    pub own: PublicKey,
    /// Demands that waiting blocks of others would compose.
    pub in_flight: &'a BTreeSet<DemandId>,
    /// Own blocks that were sent, and of which it is not known yet what becomes of them.
    pub waiting: &'a BTreeSet<BlockHash>,
    /// Whether another block may be sent now.
    pub may_announce: bool,
    /// How many compositions the miner has money for in one block.
    pub affordable: usize,
    /// Whether others have committed to blocks that nobody has revealed.
    pub is_any_hidden: bool,
    /// Counts up with every change of what is known to be on its way.
    pub outlook: u64,
    /// Others have batches we lack: what we would decide now would be stale.
    pub is_behind: bool,
}

impl View<'_> {
    /// Whether the miner goes on while blocks of its own wait.
    fn goes_on(&self) -> bool {
        self.ledger.network().parameters().commit_reveal.is_some()
    }

    /// How long blocks travel after their commitments have come on chain, in milliseconds.
    fn reveal_ms(&self) -> u64 {
        self.ledger.network().parameters().commit_reveal.map_or(0, |rules| rules.reveal_ms)
    }

    /// How long a block takes from its commitment to its effect beyond what it takes in clear, in milliseconds, about.
    fn effect_ms(&self, height_ms: u64) -> u64 {
        if !self.goes_on() {
            return 0;
        }
        let turns = self.ledger.network().validators().len() / 3 + 1;
        self.reveal_ms().saturating_add(height_ms.saturating_mul(u64::try_from(turns).unwrap_or(u64::MAX)))
    }

    /// What a block made now is dated, in milliseconds since the Unix epoch.
    fn batch_time_ms(&self) -> u64 {
        self.now.wall_ms.max(self.ledger.head().timestamp_ms + 1)
    }
}

/// The miner's state between decisions.
#[derive(Debug)]
pub(crate) struct Mining {
    settings: MiningSettings,
    timing: Timing,
    started_ms: Option<u64>,
    last_work: u64,
    cell: Option<Cell>,
    search: Option<Search>,
    ready: Vec<ProposedComposition>,
    /// In the order they were sent.
    announced: Vec<Announced>,
    held: Vec<Held>,
    pricing: Pricing,
    amending: Amending,
    /// Open demands it found no way to compose, and searches for no more until there may be one.
    given_up: BTreeSet<DemandId>,
    setbacks: Setbacks,
    /// The outlook, and when the market had last changed, as a search last found nothing that is valid.
    nothing_valid_at: Option<(u64, u64)>,
    overtaken: u32,
    pending_since_ms: Option<u64>,
    /// When a batch last changed the market, by the monotonic clock.
    market_since_ms: u64,
    /// Since when nothing is left in the own cell, by the monotonic clock.
    rested_since_ms: Option<u64>,
}

/// What the market does not accept yet.
#[derive(Debug)]
struct Held {
    proposal: ProposedComposition,
    /// When it may, by the time of batches.
    until_ms: u64,
}

/// An own block that no batch has brought yet.
#[derive(Debug)]
struct Announced {
    block: BlockHash,
    prices: Option<DualPrices>,
    compositions: Vec<ProposedComposition>,
    amendments: Vec<Vec<ProposedComposition>>,
}

/// What a decision asks the node to do.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a few at a time, for the length of one call")]
pub(crate) enum Action {
    /// Carry this effect out.
    Effect(Effect),
    /// Sign the block of this and send it.
    Announce(Drafted),
}

impl Mining {
    /// A miner that has done nothing yet.
    pub(crate) fn new(settings: MiningSettings, timing: Timing) -> Self {
        Self {
            settings,
            timing,
            started_ms: None,
            last_work: 0,
            cell: None,
            search: None,
            ready: Vec::new(),
            announced: Vec::new(),
            held: Vec::new(),
            pricing: Pricing::default(),
            amending: Amending::new(Explorer::new(settings.amend, settings.rng_seed)),
            given_up: BTreeSet::new(),
            setbacks: Setbacks::default(),
            nothing_valid_at: None,
            overtaken: 0,
            pending_since_ms: None,
            market_since_ms: 0,
            rested_since_ms: None,
        }
    }

    /// Whether this miner takes a cell when the market is split.
    pub(crate) fn takes_cell(&self) -> bool {
        self.settings.strategy != Strategy::Roaming
    }

    /// Begins to mine.
    pub(crate) fn start(&mut self, now_ms: u64) {
        self.started_ms.get_or_insert(now_ms);
        self.market_since_ms = self.market_since_ms.max(now_ms);
    }

    /// Whether it has begun.
    pub(crate) fn is_running(&self) -> bool {
        self.started_ms.is_some()
    }

    /// Nothing is searched, ready, held back or announced, and nothing that failed waits to be tried again.
    pub(crate) fn is_idle(&self) -> bool {
        if !self.is_running() {
            return self.announced.is_empty();
        }
        self.is_resting() && self.held.is_empty()
    }

    /// Nothing is left to do, but for what the market may accept later.
    fn is_resting(&self) -> bool {
        self.search.is_none()
            && self.ready.is_empty()
            && self.announced.is_empty()
            && self.amending.is_idle()
            && self.pricing.is_idle()
            && self.setbacks.is_empty()
    }

    /// Open demands it found no way to compose.
    pub(crate) const fn given_up(&self) -> &BTreeSet<DemandId> {
        &self.given_up
    }

    /// Ends all work.
    pub(crate) fn stop(&mut self, actions: &mut Vec<Action>) {
        self.started_ms = None;
        self.setbacks.clear();
        let search = self.search.take().map(|search| search.work);
        let works = search.into_iter().chain(self.pricing.work.take()).chain(self.amending.stop());
        actions.extend(works.map(|work| Action::Effect(Effect::CancelWork(work))));
    }

    /// Looks at everything and does the next thing.
    pub(crate) fn consider(&mut self, view: &View<'_>, actions: &mut Vec<Action>) {
        let lost = self.take_outcomes(&[], view, actions);
        if !lost.is_empty() {
            self.ready.extend(view.ledger.admissible(&view.own, view.batch_time_ms(), &lost).into_fitting());
        }
        if !self.is_running() || view.is_behind || !(view.may_announce || view.goes_on()) {
            return;
        }
        self.note_pending(view);
        self.setbacks.pass(view.now.monotonic_ms);
        if view.may_announce
            && let Some(drafted) = self.next_block(view, actions)
        {
            actions.push(Action::Announce(drafted));
            return;
        }
        if self.is_pricing_due(view) {
            self.consider_pricing(view, actions);
            if self.is_awaiting_prices(view) {
                return;
            }
        } else {
            self.pricing.rest();
        }
        self.consider_search(view, actions);
        self.consider_amending(view, actions);
    }

    /// Takes in what a piece of work reports.
    pub(crate) fn on_report(
        &mut self,
        work: WorkId,
        report: Report,
        view: &View<'_>,
        actions: &mut Vec<Action>,
    ) {
        match report {
            Report::Searching(incumbent) => self.on_search_report(work, &incumbent, false, view, actions),
            Report::Finished(incumbent) if self.amending.is_about(work) => {
                self.on_amended(work, &incumbent, view, actions);
            }
            Report::Finished(incumbent) => self.on_search_report(work, &incumbent, true, view, actions),
            Report::Prices { prices, bound, cpu_micros } if self.pricing.work == Some(work) => {
                let event = NodeEvent::Priced { work, bound, cpu_micros };
                actions.push(Action::Effect(Effect::Event(event)));
                self.pricing.work = None;
                self.pricing.found = Some(prices);
            }
            Report::Prices { .. } => {} // of work that was cancelled
            Report::Failed { reason } => self.on_failed(work, reason, view, actions),
        }
        self.consider(view, actions);
    }

    /// Goes on without a piece of work that came to nothing.
    fn on_failed(&mut self, work: WorkId, reason: Failure, view: &View<'_>, actions: &mut Vec<Action>) {
        let kind = if self.search.take_if(|search| search.work == work).is_some() {
            WorkKind::Compose
        } else if self.pricing.work.take_if(|pricing| *pricing == work).is_some() {
            WorkKind::Prices
        } else if self.amending.is_about(work) {
            self.amending.on_failed();
            WorkKind::Amend
        } else {
            return; // it was cancelled
        };
        self.note_failure(work, kind, reason, view, actions);
    }

    /// Leaves this kind of work alone for a while, and tells the operator.
    fn note_failure(
        &mut self,
        work: WorkId,
        kind: WorkKind,
        reason: Failure,
        view: &View<'_>,
        actions: &mut Vec<Action>,
    ) {
        self.setbacks.note(kind, view.now.monotonic_ms);
        actions.push(Action::Effect(Effect::Event(NodeEvent::WorkFailed { work, kind, reason })));
    }

    /// The blocks that were sent and of which it is not known what became of them.
    pub(crate) fn announced(&self) -> impl Iterator<Item = BlockHash> + '_ {
        self.announced.iter().map(|announced| announced.block)
    }

    /// An own block was sent: it waits for a batch. A miner that `goes_on` meanwhile takes what it composes for composed.
    pub(crate) fn on_announced(&mut self, block: &Block, goes_on: bool) {
        if let Some(cell) = self.cell.as_mut().filter(|_| goes_on) {
            for composition in block.body.composed() {
                cell.demands.remove(&composition.demand);
            }
        }
        let proposal = |c: &Composition| (c.demand, c.slots.clone());
        let amendments = block.body.amendments.iter();
        self.announced.push(Announced {
            block: block.hash(),
            prices: block.body.price_update.as_ref().map(|update| update.prices.clone()),
            compositions: block.body.compositions.iter().map(proposal).collect(),
            amendments: amendments
                .map(|amendment| amendment.parts.iter().map(|part| proposal(&part.composition)).collect())
                .collect(),
        });
    }

    /// The network's head moved on; `view` is of the new head.
    pub(crate) fn on_final(
        &mut self,
        batch: &Batch,
        report: &BatchReport,
        view: &View<'_>,
        actions: &mut Vec<Action>,
    ) {
        // Commitments alone change nothing: whoever makes one after another and reveals none does not keep its cell by that.
        let has_effect = report.compositions > 0 || report.replaced > 0 || report.bound_after.is_some();
        if has_effect || report.changed_offers > 0 || !batch.contents.records.is_empty() {
            self.market_since_ms = view.now.monotonic_ms;
            self.setbacks.clear(); // another problem
        }
        let brings_offers = opens_ways(report);
        if brings_offers {
            self.given_up.clear();
        }
        let is_repriced = report.bound_after.is_some();
        if is_repriced {
            self.settle_prices(view, actions);
        }
        let open = open_ids(view.ledger);
        self.given_up.retain(|demand| open.contains(demand));
        let is_own = |outcome: &&BlockOutcome| self.announced().any(|block| block == outcome.block);
        let brings_own = report.blocks.iter().any(|outcome| is_own(&outcome));
        let lost = self.cell.as_mut().map_or(0, |cell| {
            let before = cell.demands.len();
            cell.demands.retain(|demand| open.contains(demand));
            before - cell.demands.len()
        });
        if !brings_own && lost > 0 {
            self.overtaken += 1;
        }
        let mut standing = std::mem::take(&mut self.ready);
        self.held.retain(|held| open.contains(&held.proposal.0));
        if brings_offers || is_repriced {
            // Worth something else now.
            standing.extend(self.held.drain(..).map(|held| held.proposal));
        }
        standing.extend(self.take_outcomes(&report.blocks, view, actions));
        self.ready = view.ledger.admissible(&view.own, view.batch_time_ms(), &standing).into_fitting();
        self.repair_search(&open, view, actions);
        let is_changed = brings_offers || !batch.contents.is_quiet() || !report.blocks.is_empty();
        self.repair_amending(view, is_changed, actions);
        self.consider(view, actions);
    }

    /// What became of the blocks that were sent, where anything did. Of what did not take effect comes back what may be
    /// sent again: compositions here, amendments to those found.
    fn take_outcomes(
        &mut self,
        outcomes: &[BlockOutcome],
        view: &View<'_>,
        actions: &mut Vec<Action>,
    ) -> Vec<ProposedComposition> {
        let mut lost = Vec::new();
        for announced in std::mem::take(&mut self.announced) {
            let own = outcomes.iter().find(|outcome| outcome.block == announced.block);
            if own.is_none() && view.waiting.contains(&announced.block) {
                self.announced.push(announced);
            } else {
                lost.extend(self.take_outcome(announced, own, view, actions));
            }
        }
        lost
    }

    fn take_outcome(
        &mut self,
        announced: Announced,
        own: Option<&BlockOutcome>,
        view: &View<'_>,
        actions: &mut Vec<Action>,
    ) -> Vec<ProposedComposition> {
        let Announced { prices, compositions, amendments, .. } = announced;
        // A block that waits no longer, and that no batch has brought, has lost everything.
        let is_dropped = |item: usize| {
            own.is_none_or(|own| own.dropped.iter().any(|dropped| usize::try_from(dropped.item) == Ok(item)))
        };
        let items = usize::from(prices.is_some()) + compositions.len() + amendments.len();
        let first = usize::from(prices.is_some());
        let dropped = (0..items).filter(|&item| is_dropped(item)).count();
        if let Some(own) = own {
            actions.push(Action::Effect(Effect::Event(NodeEvent::BlockBrought {
                block: own.block,
                height: view.ledger.head().height,
                kept: items - dropped,
                dropped,
                reason: own.dropped.first().map(|dropped| dropped.reason.clone()),
            })));
        }
        // Prices that were not even tried, for others' were, may be as good as before.
        let is_untried = |dropped: &Dropped| {
            dropped.item == 0 && matches!(dropped.rule.as_str(), "one-price-update" | "verification-work")
        };
        if prices.is_some() && own.is_none_or(|own| own.dropped.iter().any(is_untried)) {
            self.pricing.found = prices;
        }
        let lost_amendments = (first + compositions.len()..).zip(amendments);
        let lost_amendments = lost_amendments.filter(|(item, _)| is_dropped(*item)).map(|(_, lost)| lost);
        self.amending.found.extend(lost_amendments);
        let lost = (first..).zip(compositions).filter(|(item, _)| is_dropped(*item));
        lost.map(|(_, composition)| composition).collect()
    }

    /// This miner's place among those that share out the market.
    fn rank(view: &View<'_>) -> usize {
        view.cell_takers.iter().position(|&taker| taker == view.own).unwrap_or(view.cell_takers.len())
    }

    fn note_pending(&mut self, view: &View<'_>) {
        let anything = !view.pending.is_empty();
        self.pending_since_ms = anything.then(|| self.pending_since_ms.unwrap_or(view.now.monotonic_ms));
    }

    /// A round begins when every record we know is on chain: all miners then split the same demands.
    fn is_waiting_for_records(&self, view: &View<'_>) -> bool {
        let patience_ms = 20 * self.timing.turn_ms;
        self.pending_since_ms.is_some_and(|since| view.now.monotonic_ms < since + patience_ms)
    }

    fn next_work(&mut self) -> WorkId {
        self.last_work += 1;
        WorkId(self.last_work)
    }
}

fn open_ids(ledger: &Ledger) -> BTreeSet<DemandId> {
    ledger.demands().filter(|(_, entry)| entry.is_open()).map(|(id, _)| id).collect()
}

/// Whether there may now be a way to serve demands that had none.
fn opens_ways(report: &BatchReport) -> bool {
    let is_cancelled = |(_, entry): &Departed| matches!(entry.status, DemandStatus::Cancelled { .. });
    report.changed_offers > 0 || report.periods_over > 0 || report.departed.iter().any(is_cancelled)
}

/// The part of a market that `wanted` picks, as a search takes it, and whose demands its positions are.
fn sub_problem(
    market: Market,
    allowed: Option<BTreeSet<ProviderId>>,
    wanted: impl Fn(DemandId) -> bool,
) -> (Positions, SubProblem) {
    let (resources, demands) = resources(market, allowed);
    let chosen = demands.into_iter().filter(|demand| wanted(demand.id));
    let (ids, demands) = chosen.map(|demand| (demand.id, demand.entry.demand.clone())).unzip();
    (Positions::new(ids), SubProblem::new(demands, resources))
}

/// What a market's demands may be served with, and the demands.
fn resources(market: Market, allowed: Option<BTreeSet<ProviderId>>) -> (Resources, Vec<MarketDemand>) {
    let Market { supply, capacities, prices, demands, height: _ } = market;
    (Resources { supply, capacities, prices, allowed }, demands)
}
