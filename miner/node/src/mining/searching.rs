//! Searches: which cell, when to start, when to stop, and what to do when a final block changes the problem.

use std::collections::BTreeSet;

use chain::ledger::{BlockReport, MarketDemand};
use scenarios::settings::Profile;
use scenarios::{Money, ProviderId, why_unserved};

use super::{Action, DemandId, Effect, Mining, NodeEvent, View, WorkId, sub_problem};
use crate::strategy::{CellDemand, Decision, SearchTrace, choose_cell, group_of};
use crate::work::{SearchReport, SubProblem, Task};

/// A search that is running for this node.
#[derive(Debug)]
pub(super) struct Search {
    pub(super) work: WorkId,
    demands: BTreeSet<DemandId>,
    /// What it works on.
    task: Task,
    trace: SearchTrace,
    /// The best cost so far, and since when nothing better was found.
    best: Option<(Money, u64)>,
}

impl Search {
    pub(super) fn new(work: WorkId, demands: BTreeSet<DemandId>, task: Task) -> Self {
        Self { work, demands, task, trace: SearchTrace::default(), best: None }
    }

    /// For how long the incumbent has not become cheaper.
    pub(super) fn stalled_ms(&mut self, report: &SearchReport, now_ms: u64) -> u64 {
        let (cost, since_ms) = *self.best.get_or_insert((report.cost, now_ms));
        if report.cost < cost {
            self.best = Some((report.cost, now_ms));
            return 0;
        }
        now_ms.saturating_sub(since_ms)
    }
}

impl Mining {
    pub(super) fn consider_search(&mut self, view: &View<'_>, actions: &mut Vec<Action>) {
        if self.search.is_some() || self.is_waiting_for_records(view) {
            return;
        }
        if self.left_in_cell().next().is_none() {
            // Blocks that lost the race for the last height are on their way again: see them first.
            if view.now_ms < self.head_since_ms + 2 * self.timing.turn_ms {
                return;
            }
            self.choose_cell(view, actions);
        }
        let demands: BTreeSet<DemandId> = self.left_in_cell().collect();
        if demands.is_empty() {
            return;
        }
        let work = self.next_work();
        let task = self.compose_task(work, &demands, view);
        let effect = Effect::StartWork { work, task: Box::new(task.clone()) };
        actions.push(Action::Effect(effect));
        self.search = Some(Search::new(work, demands, task));
    }

    /// Demands of the own cell that are open, not held back, and not known to be hopeless.
    pub(super) fn left_in_cell(&self) -> impl Iterator<Item = DemandId> + '_ {
        let demands = self.cell.iter().flat_map(|cell| cell.demands.iter().copied());
        demands.filter(|demand| self.is_worth_searching(demand))
    }

    pub(super) fn is_worth_searching(&self, demand: &DemandId) -> bool {
        !self.given_up.contains(demand) && !self.held.iter().any(|(held, _)| held == demand)
    }

    pub(super) fn choose_cell(&mut self, view: &View<'_>, actions: &mut Vec<Action>) {
        let supply = view.ledger.supply();
        let (strategy, window) = (self.settings.strategy, self.settings.window);
        let (oracle, prices) = (supply.oracle(), view.ledger.prices());
        let open: Vec<CellDemand> = view
            .ledger
            .open_market()
            .demands
            .iter()
            .filter(|demand| self.is_worth_searching(&demand.id) && !view.in_flight.contains(&demand.id))
            .map(|MarketDemand { id, entry }| {
                let group = group_of(strategy, &entry.demand, &oracle, prices);
                CellDemand { id: *id, site: entry.demand.site, group }
            })
            .collect();
        if open.is_empty() {
            self.cell = None;
            return;
        }
        let cell =
            choose_cell(strategy, &open, supply, window, self.rank_to_serve(view), view.cell_takers.len());
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

    /// The own rank; once the head has rested for a while, the next one, and so on. A node that takes a
    /// cell and does not compose it (it hangs, or was never told to mine) must not starve its demands.
    fn rank_to_serve(&self, view: &View<'_>) -> usize {
        let rested_ms = view.now_ms.saturating_sub(self.head_since_ms);
        let turns = rested_ms.checked_div(self.timing.takeover_ms).unwrap_or(0);
        Self::rank(view).saturating_add(usize::try_from(turns).unwrap_or(0))
    }

    pub(super) fn compose_task(&self, work: WorkId, demands: &BTreeSet<DemandId>, view: &View<'_>) -> Task {
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

    pub(super) fn on_search_report(
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
    pub(super) fn end_search(&mut self, report: &SearchReport, view: &View<'_>, actions: &mut Vec<Action>) {
        self.ready.clone_from(&report.compositions);
        if !report.compositions.is_empty() {
            return;
        }
        let market = view.ledger.open_market();
        let oracle = market.supply.oracle();
        let operations = &view.ledger.network().genesis().operations;
        for MarketDemand { id, entry } in &market.demands {
            if !report.unserved.contains(id) {
                continue;
            }
            let reason = why_unserved(&oracle, &entry.demand, &market.capacities).describe(operations);
            let event = NodeEvent::Unserved { demand: *id, name: entry.demand.name.clone(), reason };
            actions.push(Action::Effect(Effect::Event(event)));
            self.given_up.insert(*id);
        }
    }

    /// Goes on with a search on what a final block left of its problem.
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
        let work = search.work;
        let task = self.compose_task(work, &search.demands, view);
        if is_same_problem(&search.task, &task) {
            self.search = Some(search); // the block was about something else
            return;
        }
        let effect = Effect::AdaptWork { work, task: Box::new(task.clone()) };
        actions.push(Action::Effect(effect));
        if lost > 0 {
            actions.push(Action::Effect(Effect::Event(NodeEvent::Repaired { lost, left })));
        }
        self.search = Some(Search::new(work, search.demands, task));
    }
}

/// Whether two tasks ask for the same: what others did to providers that it may not use does not matter.
fn is_same_problem(one: &Task, other: &Task) -> bool {
    let (Task::Compose { problem: one, .. }, Task::Compose { problem: other, .. }) = (one, other) else {
        return false;
    };
    let is_usable = |id: &ProviderId| one.allowed.as_ref().is_none_or(|allowed| allowed.contains(id));
    let is_unchanged = |id: ProviderId| {
        let capacity = |problem: &SubProblem| problem.capacities.get(id.index()).copied();
        capacity(one) == capacity(other) && one.supply.provider(id) == other.supply.provider(id)
    };
    one.demands == other.demands
        && one.prices == other.prices
        && one.allowed == other.allowed
        && one.supply.providers.len() == other.supply.providers.len()
        && one.supply.provider_ids().filter(is_usable).all(is_unchanged)
}
