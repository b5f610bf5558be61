//! Searches: which cell, when to start, when to stop, and what to do when a final batch changes the problem.

use std::collections::BTreeSet;

use chain::ledger::{BatchReport, MarketDemand};
use scenarios::reference::Area;
use scenarios::settings::Profile;
use scenarios::work::{
    Adaptation, Algorithm, Failure, Goal, Incumbent, Objective, Resources, Termination, Work,
};
use scenarios::{Money, ProviderId, why_unserved};

use super::{
    Action, DemandId, Effect, Mining, NodeEvent, Positions, ProposedComposition, View, WorkId, WorkKind,
    resources, sub_problem,
};
use crate::strategy::{Cell, CellDemand, Decision, SearchTrace, choose_area, choose_cell, group_of};

/// Demands that are looked into when a search finds none of its own a way: that takes milliseconds for each, and
/// meanwhile the node does not vote. Readers are told of each without that.
const EXPLAINED: usize = 10;

/// A search that is running for this node.
#[derive(Debug)]
pub(super) struct Search {
    pub(super) work: WorkId,
    positions: Positions,
    /// What is left of its demands.
    demands: BTreeSet<DemandId>,
    /// What it serves them with.
    resources: Resources,
    trace: SearchTrace,
    /// The best cost so far, and since when nothing better was found.
    best: Option<(Money, u64)>,
}

impl Search {
    fn new(work: WorkId, positions: Positions, demands: BTreeSet<DemandId>, resources: Resources) -> Self {
        Self { work, positions, demands, resources, trace: SearchTrace::default(), best: None }
    }

    /// What an incumbent composes of the demands that are left.
    fn compositions(&self, incumbent: &Incumbent) -> Vec<ProposedComposition> {
        self.positions.compositions(&incumbent.solution, |demand| self.demands.contains(demand)).collect()
    }

    /// For how long the incumbent has not become cheaper.
    pub(super) fn stalled_ms(&mut self, incumbent: &Incumbent, now_ms: u64) -> u64 {
        let (cost, since_ms) = *self.best.get_or_insert((incumbent.cost, now_ms));
        if incumbent.cost < cost {
            self.best = Some((incumbent.cost, now_ms));
            return 0;
        }
        now_ms.saturating_sub(since_ms)
    }
}

impl Mining {
    pub(super) fn consider_search(&mut self, view: &View<'_>, actions: &mut Vec<Action>) {
        let rests = self.setbacks.rests(WorkKind::Compose);
        if self.search.is_some() || rests || self.is_waiting_for_records(view) {
            return;
        }
        if self.left_in_cell().next().is_none() {
            if self.is_awaiting_others(view) {
                return;
            }
            self.choose_cell(view, actions);
        }
        self.rested_since_ms = None;
        let demands: BTreeSet<DemandId> = self.left_in_cell().collect();
        if demands.is_empty() {
            return;
        }
        let id = self.next_work();
        let market = view.ledger.open_market_for(&view.own);
        let (positions, problem) =
            sub_problem(market, self.allowed_providers(), |demand| demands.contains(&demand));
        let algorithm = Algorithm::of(self.settings.profile, &self.settings.search);
        self.search = Some(Search::new(id, positions, demands, problem.resources.clone()));
        let work = Work {
            goal: Goal::Compose { algorithm, objective: Objective::PricedCost },
            problem,
            termination: Termination::of(&algorithm),
            rng_seed: self.settings.rng_seed.wrapping_add(id.0),
        };
        actions.push(Action::Effect(Effect::StartWork { id, work: Box::new(work) }));
    }

    /// Others' blocks are on their way: see them first. Where blocks are committed to that is known, and whoever always has one
    /// on its way is not waited for.
    fn is_awaiting_others(&mut self, view: &View<'_>) -> bool {
        let (now_ms, patience_ms) = (view.now.monotonic_ms, 2 * self.timing.turn_ms + view.reveal_ms());
        if view.goes_on() {
            let since_ms = *self.rested_since_ms.get_or_insert(now_ms);
            return view.is_any_hidden && now_ms < since_ms + patience_ms;
        }
        now_ms < self.market_since_ms + patience_ms
    }

    /// The providers that may serve the own cell; `None` is all.
    fn allowed_providers(&self) -> Option<BTreeSet<ProviderId>> {
        self.cell.as_ref().and_then(|cell| cell.providers.clone())
    }

    /// Demands of the own cell that are open, not held back, and not known to be hopeless.
    pub(super) fn left_in_cell(&self) -> impl Iterator<Item = DemandId> + '_ {
        let demands = self.cell.iter().flat_map(|cell| cell.demands.iter().copied());
        demands.filter(|demand| self.is_worth_searching(demand))
    }

    pub(super) fn is_worth_searching(&self, demand: &DemandId) -> bool {
        !self.given_up.contains(demand) && !self.held.iter().any(|held| held.proposal.0 == *demand)
    }

    pub(super) fn choose_cell(&mut self, view: &View<'_>, actions: &mut Vec<Action>) {
        let supply = view.ledger.supply();
        let (rank, miners) = (self.rank_to_serve(view), view.cell_takers.len());
        let (strategy, window) = (self.settings.strategy, self.settings.window);
        let (oracle, prices) = (supply.oracle(), view.ledger.prices());
        let mut open = view.ledger.open_market().demands;
        open.retain(|demand| self.is_worth_searching(&demand.id) && !view.in_flight.contains(&demand.id));
        let is_of_region = self.keep_own_region(&mut open);
        if let Some(references) = view.ledger.network().references() {
            // What genesis does not offer is composed by nobody.
            let area = |demand: &MarketDemand| Some((demand.id, references.area_of(&demand.entry.demand)?));
            let open: Vec<(DemandId, Area)> = open.iter().filter_map(area).collect();
            let cell = choose_area(&open, supply, references, rank, miners);
            self.take_cell(cell, supply.providers.len(), actions);
            return;
        }
        let open: Vec<CellDemand> = open
            .iter()
            .map(|MarketDemand { id, entry }| {
                let group = group_of(strategy, &entry.demand, &oracle, prices);
                CellDemand { id: *id, site: entry.demand.site, group }
            })
            .collect();
        if open.is_empty() {
            self.cell = None;
            return;
        }
        if is_of_region {
            let demands = open.iter().map(|demand| demand.id).collect();
            let cell = Cell { label: "own region".into(), demands, providers: None };
            self.take_cell(cell, supply.providers.len(), actions);
            return;
        }
        let cell = choose_cell(strategy, &open, supply, window, rank, miners);
        self.take_cell(cell, supply.providers.len(), actions);
    }

    /// Of these demands those of the region that the miner has chosen, if any of them lie in it; whether they do.
    fn keep_own_region(&self, open: &mut Vec<MarketDemand>) -> bool {
        let Some(region) = self.settings.region else { return false };
        let is_inside = |demand: &MarketDemand| region.contains(demand.entry.demand.site);
        let is_any_inside = open.iter().any(is_inside);
        if is_any_inside {
            open.retain(is_inside);
        }
        is_any_inside
    }

    fn take_cell(&mut self, cell: Cell, providers: usize, actions: &mut Vec<Action>) {
        if !cell.demands.is_empty() {
            actions.push(Action::Effect(Effect::Event(NodeEvent::CellChosen {
                cell: cell.label.clone(),
                demands: cell.demands.len(),
                providers: cell.providers.as_ref().map_or(providers, BTreeSet::len),
                profile: self.settings.profile,
            })));
        }
        self.cell = Some(cell);
    }

    /// The own rank; once the market has rested for a while, the next one, and so on. A node that takes a
    /// cell and does not compose it (it hangs, or was never told to mine) must not starve its demands.
    fn rank_to_serve(&self, view: &View<'_>) -> usize {
        let rested_ms = view.now.monotonic_ms.saturating_sub(self.market_since_ms);
        let turns = rested_ms.checked_div(self.timing.takeover_ms).unwrap_or(0);
        Self::rank(view).saturating_add(usize::try_from(turns).unwrap_or(0))
    }

    pub(super) fn on_search_report(
        &mut self,
        work: WorkId,
        incumbent: &Incumbent,
        finished: bool,
        view: &View<'_>,
        actions: &mut Vec<Action>,
    ) {
        let Some(mut search) = self.search.take_if(|search| search.work == work) else { return };
        actions.push(Action::Effect(Effect::Event(NodeEvent::Searching {
            work,
            generation: incumbent.generation,
            evaluations: incumbent.evaluations,
            cost: incumbent.cost,
            cpu_micros: incumbent.cpu_micros,
            finished,
        })));
        let compositions = search.compositions(incumbent);
        if finished {
            self.end_search(&search, compositions, view, actions);
            return;
        }
        let stalled_ms = search.stalled_ms(incumbent, view.now.monotonic_ms);
        let stops_early =
            self.settings.profile == Profile::Hybrid || !self.settings.announce.published_runs_out;
        if stops_early && stalled_ms >= self.settings.announce.stall_ms {
            actions.push(Action::Effect(Effect::CancelWork(work)));
            self.end_search(&search, compositions, view, actions);
            return;
        }
        // A search that has found nothing yet has nothing that could pay.
        let may_stop = stops_early && view.may_announce && !compositions.is_empty();
        let decision = self.decide(&mut search, compositions.clone(), view);
        if may_stop && decision == Decision::Announce {
            actions.push(Action::Effect(Effect::CancelWork(work)));
            self.ready = compositions;
        } else {
            self.search = Some(search);
        }
    }

    /// Whether what a search has found is worth announcing now.
    fn decide(
        &self,
        search: &mut Search,
        compositions: Vec<ProposedComposition>,
        view: &View<'_>,
    ) -> Decision {
        let Ok(drafted) = Self::draft(view, None, compositions) else { return Decision::Continue };
        let BatchReport { reward, fees, .. } = *drafted.report();
        search.trace.observe(view.now.monotonic_ms, reward);
        let mining_ms =
            view.now.monotonic_ms.saturating_sub(self.started_ms.unwrap_or(view.now.monotonic_ms));
        let hazard = self.settings.announce.hazard(self.overtaken, mining_ms);
        self.settings.announce.decide(&search.trace, reward, fees, hazard)
    }

    /// A search has ended: what it found is ready to send; if it found nothing, its demands are hopeless
    /// on the capacity that is left.
    fn end_search(
        &mut self,
        search: &Search,
        compositions: Vec<ProposedComposition>,
        view: &View<'_>,
        actions: &mut Vec<Action>,
    ) {
        if !compositions.is_empty() {
            self.take_found(search.work, compositions, view, actions);
            return;
        }
        let market = view.ledger.open_market();
        let oracle = market.supply.oracle();
        let operations = &view.ledger.network().genesis().operations;
        let hopeless = market.demands.iter().filter(|demand| search.demands.contains(&demand.id));
        for (nth, MarketDemand { id, entry }) in hopeless.enumerate() {
            let reason = if nth < EXPLAINED {
                why_unserved(&oracle, &entry.demand, &market.capacities).describe(operations)
            } else {
                "its search found no way, nor for so many others that not each is looked into".to_owned()
            };
            let event = NodeEvent::Unserved { demand: *id, name: entry.demand.name.clone(), reason };
            actions.push(Action::Effect(Effect::Event(event)));
            self.given_up.insert(*id);
        }
    }

    /// What a search found is ready to send, unless nothing of it is valid. Then a batch or block may have come between the
    /// question and the answer; if nothing has since the last time, it is the solver.
    fn take_found(
        &mut self,
        work: WorkId,
        compositions: Vec<ProposedComposition>,
        view: &View<'_>,
        actions: &mut Vec<Action>,
    ) {
        let judged = view.ledger.admissible(&view.own, view.batch_time_ms(), &compositions);
        let is_any_valid = !(judged.kept.is_empty() && judged.early.is_empty());
        let rejection = judged.refused.first().filter(|_| !is_any_valid);
        let Some((_, rejection)) = rejection else {
            self.ready = compositions;
            return;
        };
        let market = (view.outlook, self.market_since_ms);
        if self.nothing_valid_at.replace(market) == Some(market) {
            let reason = Failure::Panicked(format!("nothing it found is valid: {rejection}"));
            self.note_failure(work, WorkKind::Compose, reason, view, actions);
        }
    }

    /// Goes on with a search on what a final batch left of its problem.
    pub(super) fn repair_search(
        &mut self,
        open: &BTreeSet<DemandId>,
        view: &View<'_>,
        actions: &mut Vec<Action>,
    ) {
        let Some(mut search) = self.search.take() else { return };
        let before = search.demands.len();
        search.demands.retain(|demand| open.contains(demand));
        let (lost, left) = (before - search.demands.len(), search.demands.len());
        if left == 0 {
            actions.push(Action::Effect(Effect::CancelWork(search.work)));
            return;
        }
        let (resources, _) = resources(view.ledger.open_market_for(&view.own), self.allowed_providers());
        if lost == 0 && are_same(&search.resources, &resources) {
            self.search = Some(search); // the batch was about something else
            return;
        }
        let left_positions = search.positions.of(&search.demands);
        let adaptation = Box::new(Adaptation { left: left_positions, resources: resources.clone() });
        actions.push(Action::Effect(Effect::AdaptWork { id: search.work, adaptation }));
        if lost > 0 {
            actions.push(Action::Effect(Effect::Event(NodeEvent::Repaired { lost, left })));
        }
        self.search = Some(Search::new(search.work, search.positions, search.demands, resources));
    }
}

/// Whether a search is offered the same: what others did to providers that it may not use does not matter.
fn are_same(one: &Resources, other: &Resources) -> bool {
    let is_unchanged = |id: ProviderId| {
        let slots = one.supply.horizon.positions(id);
        one.capacities.get(slots.clone()) == other.capacities.get(slots)
            && one.supply.provider(id) == other.supply.provider(id)
    };
    one.prices == other.prices
        && one.supply.horizon == other.supply.horizon
        && one.allowed == other.allowed
        && one.supply.providers.len() == other.supply.providers.len()
        && one.supply.provider_ids().filter(|&id| one.allows(id)).all(is_unchanged)
}
