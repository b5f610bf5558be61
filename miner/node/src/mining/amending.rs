//! Amendments: with nothing left to compose, a miner looks for composed demands that together can be had for
//! less (docs/design.md section 7), one neighbourhood after the other, and sends what it found in turn.

use std::collections::BTreeMap;

use chain::ledger::Ledger;
use chain::{BatchKind, Drafted};
use scenarios::parameters::Allocation;
use scenarios::settings::{HybridGaSettings, Profile};
use scenarios::work::{Goal, Incumbent, Termination, Work};
use scenarios::{Slot, Solution};

use super::{
    Action, DemandId, Effect, Mining, NodeEvent, Positions, ProposedComposition, View, WorkId, WorkKind,
    sub_problem,
};
use crate::strategy::{AmendableDemand, Explorer, NeighbourhoodKind};

/// Where this miner stands in looking for amendments.
#[derive(Debug)]
pub(super) struct Amending {
    explorer: Explorer,
    looking: Option<Looking>,
    /// Amendments to send, each for itself.
    pub(super) found: Vec<Vec<ProposedComposition>>,
}

/// A neighbourhood that is being searched.
#[derive(Debug)]
struct Looking {
    work: WorkId,
    kind: NeighbourhoodKind,
    positions: Positions,
    /// The version and providers of each of its demands; version 0 is an open one.
    standing: BTreeMap<DemandId, (u32, Vec<Slot>)>,
}

impl Amending {
    pub(super) const fn new(explorer: Explorer) -> Self {
        Self { explorer, looking: None, found: Vec::new() }
    }

    /// Nothing is looked at and nothing waits to be sent.
    pub(super) const fn is_idle(&self) -> bool {
        self.looking.is_none() && self.found.is_empty()
    }

    /// Ends the search; the work to cancel.
    pub(super) fn stop(&mut self) -> Option<WorkId> {
        self.found.clear();
        self.looking.take().map(|looking| looking.work)
    }

    /// Whether this is the work that searches the neighbourhood.
    pub(super) fn is_about(&self, work: WorkId) -> bool {
        self.looking.as_ref().is_some_and(|looking| looking.work == work)
    }

    /// The search failed: its neighbourhood counts as looked at in vain, so that a lasting trouble ends in a rest.
    pub(super) fn on_failed(&mut self) {
        if let Some(looking) = self.looking.take() {
            self.explorer.on_nothing(looking.kind);
        }
    }
}

impl Mining {
    /// Searches the next neighbourhood, unless there is something more urgent to do or nothing to look at.
    pub(super) fn consider_amending(&mut self, view: &View<'_>, actions: &mut Vec<Action>) {
        let is_free =
            self.search.is_none() && self.amending.looking.is_none() && !self.setbacks.rests(WorkKind::Amend);
        let may_amend = view.ledger.network().parameters().allocation == Allocation::Partial
            && self.settings.profile == Profile::Hybrid;
        if !is_free || !may_amend || self.amending.explorer.is_resting() {
            return;
        }
        let demands = amendable(view);
        if demands.iter().all(|demand| demand.minutes.is_empty()) {
            return;
        }
        let Some(chosen) = self.amending.explorer.choose(&demands, view.ledger.prices()) else { return };
        let ids: Vec<DemandId> = chosen.demands.into_iter().collect();
        let market = view.ledger.amendable_market(&ids, view.batch_time_ms());
        let standing: BTreeMap<_, _> = ids.iter().map(|&id| (id, standing(view.ledger, id))).collect();
        let composed = |id: &DemandId| standing.get(id).filter(|(version, _)| *version > 0);
        let incumbent = market.demands.iter().map(|demand| Some(composed(&demand.id)?.1.clone())).collect();
        let (positions, mut problem) = sub_problem(market, None, |_| true);
        problem.incumbent = Solution { compositions: incumbent };
        let generations = Some(u64::from(chosen.generations));
        let id = self.next_work();
        let work = Work {
            goal: Goal::Amend { settings: HybridGaSettings { islands: 1, ..self.settings.search.hybrid } },
            problem,
            termination: Termination { generations, ..Termination::default() },
            rng_seed: self.settings.rng_seed.wrapping_add(id.0),
        };
        actions.push(Action::Effect(Effect::StartWork { id, work: Box::new(work) }));
        self.amending.looking = Some(Looking { work: id, kind: chosen.kind, positions, standing });
    }

    /// A neighbourhood has been searched: what changed is an amendment, if the ledger takes it.
    pub(super) fn on_amended(
        &mut self,
        work: WorkId,
        incumbent: &Incumbent,
        view: &View<'_>,
        actions: &mut Vec<Action>,
    ) {
        let Some(looking) = self.amending.looking.take_if(|looking| looking.work == work) else { return };
        let mut amendment: Vec<ProposedComposition> =
            looking.positions.compositions(&incumbent.solution, |_| true).collect();
        amendment.retain(|(id, providers)| looking.standing.get(id).is_none_or(|(_, old)| old != providers));
        amendment.sort();
        let changed = amendment.len();
        let mut proposals = std::mem::take(&mut self.amending.found);
        let ours = proposals.len();
        if changed > 0 {
            proposals.push(amendment);
        }
        let admissible = view.ledger.admissible_amendments(&view.own, view.batch_time_ms(), &[], &proposals);
        self.amending.found = admissible.kept;
        let is_found = changed > 0 && admissible.refused.iter().all(|&(index, _)| index != ours);
        if is_found {
            self.amending.explorer.on_found(looking.kind);
        } else {
            self.amending.explorer.on_nothing(looking.kind);
        }
        actions.push(Action::Effect(Effect::Event(NodeEvent::Amending {
            work,
            kind: looking.kind,
            demands: looking.standing.len(),
            changed: if is_found { changed } else { 0 },
            cpu_micros: incumbent.cpu_micros,
        })));
    }

    /// The block of what was found, if a batch may bring it now.
    pub(super) fn next_amending_block(&mut self, view: &View<'_>) -> Option<Drafted> {
        let is_due = view.now.wall_ms >= view.ledger.soonest_ms(BatchKind::Amending);
        if self.amending.found.is_empty() || !is_due {
            return None;
        }
        let found = std::mem::take(&mut self.amending.found);
        let mut kept = view.ledger.admissible_amendments(&view.own, view.batch_time_ms(), &[], &found).kept;
        let mut paid_for = view.affordable;
        kept.retain(|set| {
            let left = paid_for.checked_sub(set.len());
            paid_for = left.unwrap_or(paid_for);
            left.is_some()
        });
        while !kept.is_empty() {
            if let Ok(drafted) = Self::draft_all(view, None, Vec::new(), kept.clone()) {
                return Some(drafted);
            }
            kept.truncate(kept.len() / 2); // too much for one block: the rest is found again
        }
        None
    }

    /// The head moved on: what no longer fits is dropped, and a search of demands that others amended ends.
    pub(super) fn repair_amending(&mut self, view: &View<'_>, is_changed: bool, actions: &mut Vec<Action>) {
        if !is_changed {
            return;
        }
        self.amending.explorer.on_change();
        let found = std::mem::take(&mut self.amending.found);
        self.amending.found =
            view.ledger.admissible_amendments(&view.own, view.batch_time_ms(), &[], &found).kept;
        let is_stale = self.amending.looking.as_ref().is_some_and(|looking| {
            looking.standing.iter().any(|(&id, old)| standing(view.ledger, id) != *old)
        });
        if is_stale {
            let work = self.amending.looking.take().map(|looking| looking.work);
            actions.extend(work.map(|work| Action::Effect(Effect::CancelWork(work))));
        }
    }
}

/// The demands that may be composed again, and the open ones they could make room for.
fn amendable(view: &View<'_>) -> Vec<AmendableDemand> {
    let (ledger, timestamp_ms) = (view.ledger, view.batch_time_ms());
    let market = ledger.demands().filter(|(_, entry)| ledger.is_amendable(entry, timestamp_ms));
    market
        .map(|(id, entry)| AmendableDemand {
            id,
            site: entry.demand.site,
            minutes: entry.composition().map(|standing| standing.minutes.clone()).unwrap_or_default(),
        })
        .collect()
}

/// Version and slots of what stands for a demand; version 0 if nothing does.
fn standing(ledger: &Ledger, demand: DemandId) -> (u32, Vec<Slot>) {
    let composition = ledger.demand(demand).and_then(|entry| entry.composition());
    composition.map(|standing| (standing.version, standing.slots.clone())).unwrap_or_default()
}
