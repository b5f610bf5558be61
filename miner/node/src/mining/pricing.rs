//! Dual prices: when they are due, whose turn it is to search for them, and how long composing waits for them.

use std::collections::{BTreeMap, BTreeSet};

use chain::ledger::Market;
use scenarios::settings::Profile;
use scenarios::work::{Goal, Termination, Work};
use scenarios::{DualPrices, Minutes, ProviderId, Slot};

use super::{Action, Effect, Mining, View, WorkId, WorkKind, open_ids, sub_problem};

/// Edge relaxations that a price search is sure to do in a millisecond, whatever else its core is doing: a seventh
/// of what one does alone.
const RELAXATIONS_PER_MS: u64 = 200_000;
/// Edge relaxations that may be spent on finding out at once that nothing is scarce: some ten milliseconds.
const GLANCE_WORK: u64 = 20_000_000;
/// Composing waits for prices for so many turns: for those of the first miner, and of one that steps in for it.
const AWAITED_TURNS: u64 = 2;

/// Where this miner stands in finding prices.
#[derive(Debug, Default)]
pub(super) struct Pricing {
    /// How many demands the market had seen when its prices were last found good.
    pub(super) settled_for: u64,
    /// Whose offers nobody had priced then.
    settled_without: BTreeSet<ProviderId>,
    pub(super) work: Option<WorkId>,
    pub(super) found: Option<DualPrices>,
    due: Option<Due>,
}

/// Since when prices are due.
#[derive(Clone, Copy, Debug)]
struct Due {
    since_ms: u64,
    /// How long each miner leaves the search to those before it.
    turn_ms: u64,
}

impl Pricing {
    /// Nothing is searched, sent or waited for.
    pub(super) const fn is_idle(&self) -> bool {
        self.work.is_none() && self.found.is_none() && self.due.is_none()
    }

    /// No prices are due.
    pub(super) const fn rest(&mut self) {
        self.due = None;
    }
}

impl Mining {
    /// Prices are due when the market has limited capacity and has grown noticeably since they were found, or has offers that
    /// nobody has priced, and there is something that they could help to compose.
    pub(super) fn is_pricing_due(&self, view: &View<'_>) -> bool {
        let seen = view.ledger.demands_seen();
        let grown = seen.saturating_sub(self.pricing.settled_for);
        let limited = view.ledger.supply().providers.iter().any(|provider| provider.capacity.is_some());
        let is_new = |id| !self.pricing.settled_without.contains(&id);
        let is_due = limited && (grown > self.pricing.settled_for / 10 || view.ledger.unvalued().any(is_new));
        is_due
            && self.settings.profile == Profile::Hybrid
            && !self.setbacks.rests(WorkKind::Prices)
            && open_ids(view.ledger).iter().any(|demand| !self.given_up.contains(demand))
    }

    /// Searches for prices when it is our turn; those before us may make it unnecessary, and so may a market in
    /// which nothing is scarce.
    pub(super) fn consider_pricing(&mut self, view: &View<'_>, actions: &mut Vec<Action>) {
        let has_looked = self.pricing.work.is_some() || self.pricing.found.is_some();
        if has_looked || self.search.is_some() || self.is_waiting_for_records(view) {
            return;
        }
        let Some(Due { since_ms, turn_ms }) = self.pricing.due.or_else(|| self.newly_due(view)) else {
            self.settle_prices(view, actions);
            return;
        };
        self.pricing.due = Some(Due { since_ms, turn_ms });
        if view.now.monotonic_ms < since_ms + Self::rank(view) as u64 * turn_ms {
            return;
        }
        let (_, problem) = sub_problem(view.ledger.market(), None, |_| true);
        let steps = u64::from(self.settings.search.hybrid.subgradient_steps);
        let termination = Termination { generations: Some(steps), ..Termination::default() };
        let id = self.next_work();
        self.pricing.work = Some(id);
        let work = Box::new(Work { goal: Goal::FindPrices, problem, termination, rng_seed: 0 });
        actions.push(Action::Effect(Effect::StartWork { id, work }));
    }

    /// Whether composing is better left until there are prices: until our own search for them has ended and been
    /// sent, and for the turns of the first miners, not until everybody has had a turn in vain.
    pub(super) fn is_awaiting_prices(&self, view: &View<'_>) -> bool {
        let is_searched = self.pricing.work.is_some() || self.pricing.found.is_some();
        let is_awaited = |due: Due| view.now.monotonic_ms < due.since_ms + AWAITED_TURNS * due.turn_ms;
        is_searched || self.is_waiting_for_records(view) || self.pricing.due.is_some_and(is_awaited)
    }

    /// Prices have become due now, unless a glance shows that nothing is scarce. A turn is the time in which a search
    /// for them is sure to end and its batch to be final, as far as miners are ready to wait for it.
    fn newly_due(&self, view: &View<'_>) -> Option<Due> {
        let market = view.ledger.market();
        let work = work(&market);
        if work <= GLANCE_WORK && is_nothing_scarce(&market) {
            return None;
        }
        let steps = u64::from(self.settings.search.hybrid.subgradient_steps);
        let search_ms = work.saturating_mul(steps) / RELAXATIONS_PER_MS;
        let interval_ms = view.ledger.network().parameters().quiet_batch_interval_ms;
        let batch_ms = interval_ms.saturating_add(2 * self.timing.turn_ms);
        let effect_ms = view.effect_ms(interval_ms.saturating_add(self.timing.turn_ms));
        let turn_ms =
            batch_ms.saturating_add(effect_ms).saturating_add(search_ms).min(self.timing.pricing_turn_ms);
        Some(Due { since_ms: view.now.monotonic_ms, turn_ms })
    }

    /// The prices in force are as good as we know how to make them.
    pub(super) fn settle_prices(&mut self, view: &View<'_>, actions: &mut Vec<Action>) {
        let work = self.pricing.work.take();
        actions.extend(work.map(|work| Action::Effect(Effect::CancelWork(work))));
        let settled_without = view.ledger.unvalued().collect();
        self.pricing =
            Pricing { settled_for: view.ledger.demands_seen(), settled_without, ..Pricing::default() };
    }
}

/// Edge relaxations of one pass over the market.
fn work(market: &Market) -> u64 {
    let oracle = market.supply.oracle();
    market.demands.iter().map(|demand| oracle.work(&demand.entry.demand)).fold(0, u64::saturating_add)
}

/// Whether minutes have no price and need none: the cheapest ways of all demands together fit the capacities, so
/// the bound is attained and no prices raise it.
fn is_nothing_scarce(market: &Market) -> bool {
    if !market.prices.is_zero() {
        return false;
    }
    let oracle = market.supply.oracle();
    let mut taken: BTreeMap<Slot, Minutes> = BTreeMap::new();
    for demand in market.demands.iter().map(|demand| &demand.entry.demand) {
        let Some(best) = oracle.cheapest(demand, &market.prices) else { continue };
        if best.priced_cost > demand.budget {
            continue; // nobody serves it
        }
        for (slot, operation) in best.slots.into_iter().zip(&demand.orders) {
            let offer =
                market.supply.provider(slot.provider).and_then(|provider| provider.offers.get(operation));
            *taken.entry(slot).or_default() += offer.map_or(0, |offer| offer.minutes);
        }
    }
    let place = |slot| market.supply.horizon.position(slot);
    let capacity = |slot| place(slot).and_then(|position| market.capacities.get(position).copied().flatten());
    taken.iter().all(|(&slot, &minutes)| capacity(slot).is_none_or(|capacity| minutes <= capacity))
}
