//! What this node does as a miner: which work it starts, and when it sends a block.
//!
//! One function, [`Mining::consider`], looks at everything the miner knows and decides on the next thing
//! to do; it is called after every change and by a timer. In order of urgency a miner sends what it has
//! ready, brings pending records on chain, raises the bound with better prices, and composes its cell.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chain::ledger::{BlockReport, Ledger, Market, MarketDemand};
use chain::validate::draft::Admissible;
use chain::{
    Block, BlockHash, Body, DemandId, Draft, Header, PriceUpdate, PublicKey, Record, Rejection, Statement,
};
use scenarios::bound::{demand_bound, regret};
use scenarios::settings::Profile;
use scenarios::{CapacityPrices, Money, Oracle, ProviderId, evaluate_composition};

use super::event::NodeEvent;
use super::io::{Effect, UnservedDemand};
use super::settings::{MiningSettings, Pace};
use super::work::{SearchReport, SubProblem, Task, WorkId, WorkReport};
use crate::strategy::{Cell, CellDemand, Decision, SearchTrace, Strategy, choose_cell, why_unserved};

/// A demand and the provider of each of its orders.
type Proposal = (DemandId, Vec<ProviderId>);

/// A block that breaks no rule, not signed yet.
#[derive(Debug)]
pub(super) struct Drafted {
    pub(super) header: Header,
    pub(super) body: Body,
    pub(super) report: BlockReport,
}

/// What a miner sees of the rest of the node when it decides.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    /// Milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// The state at the head.
    pub ledger: &'a Ledger,
    /// Pool records that the next block may bring, in order.
    pub pending: &'a [Record],
    /// Keys of the live miners that share out the market, ascending.
    pub cell_takers: &'a [PublicKey],
    /// This node.
    pub own: PublicKey,
    /// Demands that valid blocks of others, not final yet, would compose.
    pub in_flight: &'a BTreeSet<DemandId>,
    /// A peer says that it has blocks we lack: what we would decide now would be stale.
    pub is_behind: bool,
}

/// The miner's state between decisions.
#[derive(Debug)]
pub(super) struct Mining {
    settings: MiningSettings,
    pace: Pace,
    started_ms: Option<u64>,
    last_work: u64,
    cell: Option<Cell>,
    search: Option<Search>,
    ready: Vec<Proposal>,
    announced: Option<Announced>,
    held: Vec<Proposal>,
    pricing: Pricing,
    stuck: BTreeMap<DemandId, UnservedDemand>,
    overtaken: u32,
    pending_since_ms: Option<u64>,
    head_since_ms: u64,
}

/// A search that is running for this node.
#[derive(Debug)]
struct Search {
    work: WorkId,
    demands: BTreeSet<DemandId>,
    trace: SearchTrace,
    /// The best cost so far, and since when nothing better was found.
    best: Option<(Money, u64)>,
}

impl Search {
    fn new(work: WorkId, demands: BTreeSet<DemandId>) -> Self {
        Self { work, demands, trace: SearchTrace::default(), best: None }
    }

    /// For how long the incumbent has not become cheaper.
    fn stalled_ms(&mut self, report: &SearchReport, now_ms: u64) -> u64 {
        let (cost, since_ms) = *self.best.get_or_insert((report.cost, now_ms));
        if report.cost < cost {
            self.best = Some((report.cost, now_ms));
            return 0;
        }
        now_ms.saturating_sub(since_ms)
    }
}

/// An own block that is not final yet.
#[derive(Debug)]
struct Announced {
    block: BlockHash,
    compositions: Vec<Proposal>,
}

/// Where this miner stands in finding prices.
#[derive(Debug, Default)]
struct Pricing {
    /// How many demands the market had seen when its prices were last found good.
    settled_for: u64,
    work: Option<WorkId>,
    found: Option<CapacityPrices>,
    due_since_ms: Option<u64>,
}

/// What a decision asks the node to do.
#[derive(Debug)]
pub(super) enum Action {
    /// Carry this effect out.
    Effect(Effect),
    /// Sign this and send it.
    Propose(Drafted),
}

impl Mining {
    /// A miner that has done nothing yet.
    pub(super) fn new(settings: MiningSettings, pace: Pace) -> Self {
        Self {
            settings,
            pace,
            started_ms: None,
            last_work: 0,
            cell: None,
            search: None,
            ready: Vec::new(),
            announced: None,
            held: Vec::new(),
            pricing: Pricing::default(),
            stuck: BTreeMap::new(),
            overtaken: 0,
            pending_since_ms: None,
            head_since_ms: 0,
        }
    }

    /// Whether this miner takes a cell when the market is split.
    pub(super) fn takes_cell(&self) -> bool {
        self.settings.strategy != Strategy::Roaming
    }

    /// Begins to mine.
    pub(super) fn start(&mut self, now_ms: u64) {
        self.started_ms.get_or_insert(now_ms);
    }

    /// Whether it has begun.
    pub(super) fn is_running(&self) -> bool {
        self.started_ms.is_some()
    }

    /// Nothing is searched, ready or announced.
    pub(super) fn is_idle(&self) -> bool {
        self.search.is_none()
            && self.ready.is_empty()
            && self.announced.is_none()
            && self.pricing.work.is_none()
            && self.pricing.found.is_none()
            && self.pricing.due_since_ms.is_none()
            && self.held.is_empty()
    }

    /// Open demands it found no way to compose.
    pub(super) fn unserved(&self) -> impl Iterator<Item = &UnservedDemand> {
        self.stuck.values()
    }

    /// Ends all work.
    pub(super) fn stop(&mut self, actions: &mut Vec<Action>) {
        self.started_ms = None;
        let works = self.search.take().map(|search| search.work).into_iter().chain(self.pricing.work.take());
        actions.extend(works.map(|work| Action::Effect(Effect::CancelWork(work))));
    }

    /// Looks at everything and does the next thing.
    pub(super) fn consider(&mut self, view: &View<'_>, actions: &mut Vec<Action>) {
        if !self.is_running() || self.announced.is_some() || view.is_behind {
            return;
        }
        self.note_pending(view);
        if let Some(drafted) = self.next_block(view, actions) {
            actions.push(Action::Propose(drafted));
            return;
        }
        if self.is_pricing_due(view) {
            self.consider_pricing(view, actions);
        } else {
            self.pricing.due_since_ms = None;
            self.consider_search(view, actions);
        }
    }

    /// Takes in what a piece of work reports.
    pub(super) fn on_report(
        &mut self,
        work: WorkId,
        report: WorkReport,
        view: &View<'_>,
        actions: &mut Vec<Action>,
    ) {
        match report {
            WorkReport::Composed(report) => self.on_search_report(work, report, view, actions),
            WorkReport::Priced { prices, bound, cpu_micros } if self.pricing.work == Some(work) => {
                let event = NodeEvent::Priced { work, bound, cpu_micros };
                actions.push(Action::Effect(Effect::Event(event)));
                self.pricing.work = None;
                self.pricing.found = Some(prices);
            }
            WorkReport::Priced { .. } => {} // of work that was cancelled
        }
        self.consider(view, actions);
    }

    /// An own block was sent: it is in the race for the next height.
    pub(super) fn on_announced(&mut self, block: &Block) {
        let compositions = block.body.compositions.iter();
        self.announced = Some(Announced {
            block: block.hash(),
            compositions: compositions.map(|c| (c.demand, c.providers.clone())).collect(),
        });
    }

    /// The network's head moved on; `view` is of the new head.
    pub(super) fn on_final(&mut self, block: &Block, view: &View<'_>, actions: &mut Vec<Action>) {
        self.head_since_ms = view.now_ms;
        let brings_offers = block.body.records.iter().any(|record| {
            matches!(record.content.statement, Statement::Offer(_) | Statement::DemandCancellation { .. })
        });
        if brings_offers {
            self.stuck.clear(); // there may be a way now
        }
        if block.body.price_update.is_some() {
            self.settle_prices(view, actions);
        }
        let open = open_ids(view.ledger);
        self.stuck.retain(|demand, _| open.contains(demand));
        let lost = self.cell.as_mut().map_or(0, |cell| {
            let before = cell.demands.len();
            cell.demands.retain(|demand| open.contains(demand));
            before - cell.demands.len()
        });
        if block.header.miner != view.own && lost > 0 {
            self.overtaken += 1;
        }
        let mut standing = std::mem::take(&mut self.ready);
        standing.append(&mut self.held); // a height older: the market may accept them now
        let lost_race = self.announced.take().filter(|announced| announced.block != block.hash());
        self.ready = match lost_race {
            Some(announced) => {
                standing.extend(announced.compositions);
                Self::reanchor(&standing, view, actions)
            }
            None => view.ledger.admissible(&view.own, &standing).kept,
        };
        self.repair_search(&open, view, actions);
        self.consider(view, actions);
    }

    // ---- blocks ----

    /// The next block to send, if anything is ready and it is our turn.
    fn next_block(&mut self, view: &View<'_>, actions: &mut Vec<Action>) -> Option<Drafted> {
        if let Some(prices) = self.pricing.found.clone() {
            if !self.is_quiet_block_due(view, 0) {
                return None;
            }
            self.settle_prices(view, actions);
            if let Ok(drafted) = Self::draft(view, Some(trimmed(prices)), Vec::new()) {
                return Some(drafted);
            }
            // No better than the prices in force: nothing to send, and no reason to look again.
        }
        if !self.ready.is_empty() {
            let ready = std::mem::take(&mut self.ready);
            if let Some(drafted) = self.draft_acceptable(&ready, view, actions) {
                return Some(drafted);
            }
        }
        let is_anything_to_do = !view.pending.is_empty() || !self.held.is_empty();
        if is_anything_to_do && self.is_quiet_block_due(view, Self::turn(view)) {
            return Self::draft(view, None, Vec::new()).ok();
        }
        None
    }

    /// A block on the present head with these contents and every record that waits.
    fn draft(
        view: &View<'_>,
        prices: Option<CapacityPrices>,
        compositions: Vec<Proposal>,
    ) -> Result<Drafted, Rejection> {
        let draft = Draft {
            records: view.pending.to_vec(),
            price_update: prices.map(|prices| PriceUpdate { prices }),
            compositions,
            miner: view.own,
            timestamp_ms: view.now_ms.max(view.ledger.head().timestamp_ms + 1),
        };
        let (header, body, report) = view.ledger.draft(draft)?;
        Ok(Drafted { header, body, report })
    }

    /// A block of those `proposals` that the market accepts now. What would be paid too little is held
    /// back until the market accepts more (docs/design.md section 6: acceptance relaxes with age); what no longer
    /// fits is left to the next search.
    fn draft_acceptable(
        &mut self,
        proposals: &[Proposal],
        view: &View<'_>,
        actions: &mut Vec<Action>,
    ) -> Option<Drafted> {
        let mut proposals = view.ledger.admissible(&view.own, proposals).kept;
        if proposals.is_empty() {
            return None;
        }
        let rejection = match Self::draft(view, None, proposals.clone()) {
            Ok(drafted) => return Some(drafted),
            Err(rejection) => rejection,
        };
        sort_by_regret_share(&mut proposals, view.ledger);
        // The more of the worst are left out, the better the rest is paid, and the smaller the block:
        // bisect for the longest prefix that is accepted.
        let (mut accepted, mut best) = (0, None);
        let mut refused = proposals.len();
        while refused - accepted > 1 {
            let middle = accepted.midpoint(refused);
            match Self::draft(view, None, proposals[..middle].to_vec()) {
                Ok(drafted) => (accepted, best) = (middle, Some(drafted)),
                Err(_) => refused = middle,
            }
        }
        let rest = proposals.split_off(accepted);
        if matches!(rejection, Rejection::RewardBelowThreshold { .. }) {
            let (demands, reason) = (rest.len(), rejection.to_string());
            actions.push(Action::Effect(Effect::Event(NodeEvent::HeldBack { demands, reason })));
            self.held = rest;
        } else {
            self.ready = rest; // too much for one block: the next one takes it
        }
        best
    }

    /// Whether a block that composes nothing may follow the head now, `turns` later than the first could.
    fn is_quiet_block_due(&self, view: &View<'_>, turns: u64) -> bool {
        let earliest =
            view.ledger.head().timestamp_ms + view.ledger.network().parameters().quiet_block_interval_ms;
        let ours = earliest.max(self.pending_since_ms.unwrap_or(0)) + turns * self.pace.turn_ms;
        view.now_ms >= ours
    }

    /// How many miners come before this one in sending what any of them could; turns rotate with the height.
    fn turn(view: &View<'_>) -> u64 {
        let count = view.cell_takers.len().max(1) as u64;
        let rank = Self::rank(view) as u64;
        (rank + count - view.ledger.head().height % count) % count
    }

    fn rank(view: &View<'_>) -> usize {
        view.cell_takers.iter().position(|&taker| taker == view.own).unwrap_or(view.cell_takers.len())
    }

    fn note_pending(&mut self, view: &View<'_>) {
        let anything = !view.pending.is_empty();
        self.pending_since_ms = anything.then(|| self.pending_since_ms.unwrap_or(view.now_ms));
    }

    // ---- prices ----

    /// Prices are due when the market has limited capacity and has grown noticeably since they were found.
    fn is_pricing_due(&self, view: &View<'_>) -> bool {
        let seen = demands_seen(view.ledger);
        let grown = seen.saturating_sub(self.pricing.settled_for);
        let limited = view.ledger.supply().providers.iter().any(|provider| provider.capacity.is_some());
        let is_due = limited && grown > self.pricing.settled_for / 10 && !open_ids(view.ledger).is_empty();
        is_due && self.settings.profile == Profile::Hybrid
    }

    /// Searches for prices when it is our turn; those before us may make it unnecessary.
    fn consider_pricing(&mut self, view: &View<'_>, actions: &mut Vec<Action>) {
        let has_looked = self.pricing.work.is_some() || self.pricing.found.is_some();
        if has_looked || self.is_waiting_for_records(view) {
            return;
        }
        let since = *self.pricing.due_since_ms.get_or_insert(view.now_ms);
        if view.now_ms < since + Self::rank(view) as u64 * self.pace.pricing_turn_ms {
            return;
        }
        let problem = sub_problem(view.ledger.market(), None, |_| true);
        let steps = self.settings.search.hybrid.subgradient_steps;
        let work = self.next_work();
        self.pricing.work = Some(work);
        let task = Box::new(Task::Prices { market: problem, steps });
        actions.push(Action::Effect(Effect::StartWork { work, task }));
    }

    /// The prices in force are as good as we know how to make them.
    fn settle_prices(&mut self, view: &View<'_>, actions: &mut Vec<Action>) {
        let work = self.pricing.work.take();
        actions.extend(work.map(|work| Action::Effect(Effect::CancelWork(work))));
        self.pricing =
            Pricing { settled_for: demands_seen(view.ledger), work: None, found: None, due_since_ms: None };
    }

    // ---- searching ----

    fn consider_search(&mut self, view: &View<'_>, actions: &mut Vec<Action>) {
        if self.search.is_some() || self.is_waiting_for_records(view) {
            return;
        }
        if self.left_in_cell().next().is_none() {
            // Blocks that lost the race for the last height are on their way again: see them first.
            if view.now_ms < self.head_since_ms + 2 * self.pace.turn_ms {
                return;
            }
            self.choose_cell(view, actions);
        }
        let demands: BTreeSet<DemandId> = self.left_in_cell().collect();
        if demands.is_empty() {
            return;
        }
        let work = self.next_work();
        let task = Box::new(self.compose_task(work, &demands, view));
        actions.push(Action::Effect(Effect::StartWork { work, task }));
        self.search = Some(Search::new(work, demands));
    }

    /// A round begins when every record we know is on chain: all miners then split the same demands.
    fn is_waiting_for_records(&self, view: &View<'_>) -> bool {
        let patience_ms = 20 * self.pace.turn_ms;
        self.pending_since_ms.is_some_and(|since| view.now_ms < since + patience_ms)
    }

    /// Demands of the own cell that are open, not held back, and not known to be hopeless.
    fn left_in_cell(&self) -> impl Iterator<Item = DemandId> + '_ {
        let demands = self.cell.iter().flat_map(|cell| cell.demands.iter().copied());
        demands.filter(|demand| self.is_worth_searching(demand))
    }

    fn is_worth_searching(&self, demand: &DemandId) -> bool {
        !self.stuck.contains_key(demand) && !self.held.iter().any(|(held, _)| held == demand)
    }

    fn choose_cell(&mut self, view: &View<'_>, actions: &mut Vec<Action>) {
        let open: Vec<CellDemand> = view
            .ledger
            .open_market()
            .demands
            .iter()
            .filter(|demand| self.is_worth_searching(&demand.id) && !view.in_flight.contains(&demand.id))
            .map(|demand| CellDemand { id: demand.id, site: demand.entry.demand.site })
            .collect();
        if open.is_empty() {
            self.cell = None;
            return;
        }
        let supply = view.ledger.supply();
        let (strategy, window) = (self.settings.strategy, self.settings.window);
        let cell = choose_cell(strategy, &open, supply, window, Self::rank(view), view.cell_takers.len());
        if !cell.demands.is_empty() {
            actions.push(Action::Effect(Effect::Event(NodeEvent::CellChosen {
                cell: cell.label.clone(),
                demands: cell.demands.len(),
                providers: cell.providers.as_ref().map_or(supply.providers.len(), BTreeSet::len),
                profile: self.settings.profile,
            })));
        }
        self.cell = Some(cell);
    }

    fn compose_task(&self, work: WorkId, demands: &BTreeSet<DemandId>, view: &View<'_>) -> Task {
        let allowed = self.cell.as_ref().and_then(|cell| cell.providers.clone());
        let market = view.ledger.open_market_for(&view.own);
        let problem = sub_problem(market, allowed, |id| demands.contains(&id));
        Task::Compose {
            problem,
            profile: self.settings.profile,
            settings: self.settings.search,
            rng_seed: self.settings.rng_seed.wrapping_add(work.0),
        }
    }

    fn on_search_report(
        &mut self,
        work: WorkId,
        report: SearchReport,
        view: &View<'_>,
        actions: &mut Vec<Action>,
    ) {
        let Some(mut search) = self.search.take_if(|search| search.work == work) else { return };
        actions.push(Action::Effect(Effect::Event(NodeEvent::Searching {
            work,
            generation: report.generation,
            evaluations: report.evaluations,
            cost: report.cost,
            cpu_micros: report.cpu_micros,
            finished: report.finished,
        })));
        if report.finished {
            self.end_search(&report, view, actions);
            return;
        }
        let stalled_ms = search.stalled_ms(&report, view.now_ms);
        if self.settings.profile == Profile::Hybrid && stalled_ms >= self.settings.announce.stall_ms {
            actions.push(Action::Effect(Effect::CancelWork(work)));
            self.end_search(&report, view, actions);
            return;
        }
        let drafted = Self::draft(view, None, report.compositions.clone());
        let decision = drafted.map_or(Decision::Continue, |drafted| {
            let BlockReport { reward, fees, .. } = drafted.report;
            search.trace.observe(view.now_ms, reward);
            let mining_ms = view.now_ms.saturating_sub(self.started_ms.unwrap_or(view.now_ms));
            let hazard = self.settings.announce.hazard(self.overtaken, mining_ms);
            self.settings.announce.decide(&search.trace, reward, fees, hazard)
        });
        // The published algorithm runs its fixed generations; only the hybrid is stopped when it pays, and a
        // search that has found nothing yet has nothing that could.
        let may_stop = self.settings.profile == Profile::Hybrid
            && self.announced.is_none()
            && !report.compositions.is_empty();
        if may_stop && decision == Decision::Announce {
            actions.push(Action::Effect(Effect::CancelWork(work)));
            self.ready = report.compositions;
        } else {
            self.search = Some(search);
        }
    }

    /// A search has ended: what it found is ready to send; if it found nothing, its demands are hopeless
    /// on the capacity that is left.
    fn end_search(&mut self, report: &SearchReport, view: &View<'_>, actions: &mut Vec<Action>) {
        self.ready.clone_from(&report.compositions);
        if !report.compositions.is_empty() {
            return;
        }
        let market = view.ledger.open_market();
        let oracle = Oracle::new(&market.supply);
        for MarketDemand { id, entry } in &market.demands {
            if !report.unserved.contains(id) {
                continue;
            }
            let reason = why_unserved(&oracle, &entry.demand, &market.capacities).to_string();
            let (demand, name) = (*id, entry.demand.name.clone());
            let event = NodeEvent::Unserved { demand, name: name.clone(), reason: reason.clone() };
            actions.push(Action::Effect(Effect::Event(event)));
            self.stuck.insert(demand, UnservedDemand { demand, name, reason });
        }
    }

    /// Goes on with a search on what a final block left of its problem.
    fn repair_search(&mut self, open: &BTreeSet<DemandId>, view: &View<'_>, actions: &mut Vec<Action>) {
        let Some(mut search) = self.search.take() else { return };
        let before = search.demands.len();
        search.demands.retain(|demand| open.contains(demand));
        let (lost, left) = (before - search.demands.len(), search.demands.len());
        if left == 0 {
            actions.push(Action::Effect(Effect::CancelWork(search.work)));
            return;
        }
        let work = search.work;
        let task = Box::new(self.compose_task(work, &search.demands, view));
        actions.push(Action::Effect(Effect::AdaptWork { work, task }));
        if lost > 0 {
            actions.push(Action::Effect(Effect::Event(NodeEvent::Repaired { lost, left })));
        }
        self.search = Some(Search::new(work, search.demands));
    }

    /// An own block lost the race: what still stands is to be sent on the new head.
    fn reanchor(compositions: &[Proposal], view: &View<'_>, actions: &mut Vec<Action>) -> Vec<Proposal> {
        let Admissible { kept, refused } = view.ledger.admissible(&view.own, compositions);
        if !compositions.is_empty() {
            let reason = refused.first().map(|(_, rejection)| rejection.to_string());
            let event = NodeEvent::BlockReanchored { kept: kept.len(), dropped: refused.len(), reason };
            actions.push(Action::Effect(Effect::Event(event)));
        }
        kept
    }

    fn next_work(&mut self) -> WorkId {
        self.last_work += 1;
        WorkId(self.last_work)
    }
}

fn open_ids(ledger: &Ledger) -> BTreeSet<DemandId> {
    ledger.demands().filter(|(_, entry)| entry.is_open()).map(|(id, _)| id).collect()
}

/// How many demands ever came on chain: grows with the market, and never falls.
fn demands_seen(ledger: &Ledger) -> u64 {
    ledger.demands().count() as u64
}

/// The canonical form of prices has no zeros at its end.
fn trimmed(CapacityPrices(mut prices): CapacityPrices) -> CapacityPrices {
    while prices.last().is_some_and(|price| *price == Money::ZERO) {
        prices.pop();
    }
    CapacityPrices(prices)
}

/// The part of a market that `wanted` picks, as a search takes it.
fn sub_problem(
    market: Market,
    allowed: Option<BTreeSet<ProviderId>>,
    wanted: impl Fn(DemandId) -> bool,
) -> SubProblem {
    let demands = market.demands.into_iter().filter(|demand| wanted(demand.id));
    SubProblem {
        supply: market.supply,
        demands: demands.map(|demand| (demand.id, demand.entry.demand.clone())).collect(),
        capacities: market.capacities,
        prices: market.prices,
        allowed,
    }
}

/// Sorts by regret over cost, the best first: the order in which proposals are worth sending.
fn sort_by_regret_share(proposals: &mut [Proposal], ledger: &Ledger) {
    let supply = Arc::clone(ledger.supply());
    let oracle = Oracle::new(&supply);
    let prices = ledger.prices();
    proposals.sort_by_cached_key(|(id, providers)| {
        let share = ledger.demand(*id).and_then(|entry| {
            let evaluation = evaluate_composition(&supply, &entry.demand, 0, providers).ok()?;
            let regret = regret(&evaluation, demand_bound(&oracle, &entry.demand, prices), prices);
            Some(i128::from(regret.micros()) * 1_000_000 / i128::from(evaluation.cost().micros().max(1)))
        });
        (share.unwrap_or(i128::MAX), *id)
    });
}
