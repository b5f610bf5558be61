//! Dual prices: when they are due, and whose turn it is to search for them.

use scenarios::DualPrices;
use scenarios::settings::Profile;

use super::{Action, Effect, Mining, View, WorkId, open_ids, sub_problem};
use crate::work::Task;

/// Where this miner stands in finding prices.
#[derive(Debug, Default)]
pub(super) struct Pricing {
    /// How many demands the market had seen when its prices were last found good.
    pub(super) settled_for: u64,
    pub(super) work: Option<WorkId>,
    pub(super) found: Option<DualPrices>,
    pub(super) due_since_ms: Option<u64>,
}

impl Mining {
    /// Prices are due when the market has limited capacity and has grown noticeably since they were found.
    pub(super) fn is_pricing_due(&self, view: &View<'_>) -> bool {
        let seen = view.ledger.demands_seen();
        let grown = seen.saturating_sub(self.pricing.settled_for);
        let limited = view.ledger.supply().providers.iter().any(|provider| provider.capacity.is_some());
        let is_due = limited && grown > self.pricing.settled_for / 10 && !open_ids(view.ledger).is_empty();
        is_due && self.settings.profile == Profile::Hybrid
    }

    /// Searches for prices when it is our turn; those before us may make it unnecessary.
    pub(super) fn consider_pricing(&mut self, view: &View<'_>, actions: &mut Vec<Action>) {
        let has_looked = self.pricing.work.is_some() || self.pricing.found.is_some();
        if has_looked || self.is_waiting_for_records(view) {
            return;
        }
        let since = *self.pricing.due_since_ms.get_or_insert(view.now_ms);
        if view.now_ms < since + Self::rank(view) as u64 * self.timing.pricing_turn_ms {
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
    pub(super) fn settle_prices(&mut self, view: &View<'_>, actions: &mut Vec<Action>) {
        let work = self.pricing.work.take();
        actions.extend(work.map(|work| Action::Effect(Effect::CancelWork(work))));
        self.pricing =
            Pricing { settled_for: view.ledger.demands_seen(), work: None, found: None, due_since_ms: None };
    }
}
