//! Blocks in the making: what goes out next, and how much of it the market accepts now.

use chain::ledger::{Ledger, MarketError};
use chain::validate::{Admissible, Early};
use chain::{BatchKind, Draft, Drafted, Rejection};
use scenarios::bound::{demand_bound, reduced_cost};
use scenarios::{DualPrices, evaluate_composition};

use super::{Action, Effect, Held, Mining, NodeEvent, ProposedComposition, View, WorkKind};

/// How long what would be paid too little is left alone at least, in milliseconds: market time may stand still.
const HELD_MS: u64 = 250;

impl Mining {
    /// The next block to send, if anything is ready.
    pub(super) fn next_block(&mut self, view: &View<'_>, actions: &mut Vec<Action>) -> Option<Drafted> {
        if let Some(prices) = self.pricing.found.clone() {
            self.settle_prices(view, actions);
            if let Ok(drafted) = Self::draft(view, Some(prices), Vec::new()) {
                return Some(drafted);
            }
            // No better than the prices in force: nothing to send, and no reason to look again.
        }
        let time_ms = view.batch_time_ms();
        self.ready
            .extend(self.held.extract_if(.., |held| held.until_ms <= time_ms).map(|held| held.proposal));
        if !self.ready.is_empty() {
            let ready = std::mem::take(&mut self.ready);
            if let Some(drafted) = self.draft_acceptable(&ready, view, actions) {
                return Some(drafted);
            }
        }
        self.next_amending_block(view)
    }

    /// A block on the present head with these contents, as the only one of its batch.
    pub(super) fn draft(
        view: &View<'_>,
        prices: Option<DualPrices>,
        compositions: Vec<ProposedComposition>,
    ) -> Result<Drafted, Rejection> {
        Self::draft_all(view, prices, compositions, Vec::new())
    }

    /// The same, with amendments.
    pub(super) fn draft_all(
        view: &View<'_>,
        prices: Option<DualPrices>,
        compositions: Vec<ProposedComposition>,
        amendments: Vec<Vec<ProposedComposition>>,
    ) -> Result<Drafted, Rejection> {
        // What it composes is dated now; without, it is judged as of when a batch may bring it.
        let soonest_ms = if compositions.is_empty() && amendments.is_empty() {
            view.ledger.soonest_ms(BatchKind::Quiet)
        } else {
            0
        };
        let draft = Draft {
            records: Vec::new(),
            prices,
            compositions,
            amendments,
            miner: view.own,
            timestamp_ms: view.batch_time_ms().max(soonest_ms),
        };
        view.ledger.draft(draft)
    }

    /// A block of those `proposals` that the market accepts now. What would be paid too little is held
    /// back until the market accepts more (docs/design.md section 6: acceptance relaxes with age); what no longer
    /// fits is left to the next search. Most compositions stand or fall alone, and there is only so much room in one block; by
    /// paper A's measure a block is of one area and judged as a whole, and what is not good enough is searched for anew.
    pub(super) fn draft_acceptable(
        &mut self,
        proposals: &[ProposedComposition],
        view: &View<'_>,
        actions: &mut Vec<Action>,
    ) -> Option<Drafted> {
        let Admissible { kept: mut proposals, early, .. } =
            view.ledger.admissible(&view.own, view.batch_time_ms(), proposals);
        if let Some(Early { rejection, .. }) = early.first() {
            let reason = view.ledger.explain(rejection);
            let least_ms = view.batch_time_ms() + HELD_MS;
            let held = early.into_iter().map(|Early { serving, from_ms, .. }| Held {
                proposal: serving,
                until_ms: from_ms.max(least_ms),
            });
            self.hold_back(held.collect(), reason, actions);
        }
        let elsewhere = split_by_area(&mut proposals, view.ledger);
        // What there is no money for now waits for the next block.
        let unpaid = proposals.split_off(proposals.len().min(view.affordable));
        self.ready = [unpaid, elsewhere].concat();
        if proposals.is_empty() {
            return None;
        }
        let rejection = match Self::draft(view, None, proposals.clone()) {
            Ok(drafted) => return Some(drafted),
            Err(rejection) => rejection,
        };
        if matches!(rejection, Rejection::Market(MarketError::AboveReference { .. })) {
            self.search_anew(&proposals, &rejection, view, actions);
            return None;
        }
        sort_by_reduced_cost_share(&mut proposals, view.ledger);
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
        if best.is_none() && view.ledger.network().references().is_some() {
            self.search_anew(&proposals, &rejection, view, actions);
            return None;
        }
        self.ready.extend(proposals.split_off(accepted)); // too much for one batch: the next one takes it
        best
    }

    /// Gives up what paper A's measure refuses as a whole: that relaxes for nobody, and a part of it would have to be better still.
    /// After a rest its demands are searched again, with another seed.
    fn search_anew(
        &mut self,
        proposals: &[ProposedComposition],
        rejection: &Rejection,
        view: &View<'_>,
        actions: &mut Vec<Action>,
    ) {
        self.setbacks.note(WorkKind::Compose, view.now.monotonic_ms);
        let (demands, reason) = (proposals.len(), view.ledger.explain(rejection));
        actions.push(Action::Effect(Effect::Event(NodeEvent::HeldBack { demands, reason })));
    }

    /// Keeps for later what would be paid too little now.
    fn hold_back(&mut self, held: Vec<Held>, reason: String, actions: &mut Vec<Action>) {
        let demands = held.len();
        actions.push(Action::Effect(Effect::Event(NodeEvent::HeldBack { demands, reason })));
        self.held.extend(held);
    }
}

/// By paper A's measure, leaves the proposals that lie in the area of the first, and returns the others.
fn split_by_area(proposals: &mut Vec<ProposedComposition>, ledger: &Ledger) -> Vec<ProposedComposition> {
    let Some(references) = ledger.network().references() else { return Vec::new() };
    let area = |(demand, _): &ProposedComposition| references.area_of(&ledger.demand(*demand)?.demand);
    let first = proposals.first().and_then(area);
    proposals.extract_if(.., |proposal| area(proposal) != first).collect()
}

/// Sorts by reduced cost over cost, the best first: the order in which proposals are worth sending.
fn sort_by_reduced_cost_share(proposals: &mut [ProposedComposition], ledger: &Ledger) {
    let supply = ledger.supply();
    let oracle = supply.oracle();
    let prices = ledger.prices();
    proposals.sort_by_cached_key(|(id, slots)| {
        let share = ledger.demand(*id).and_then(|entry| {
            let evaluation = evaluate_composition(supply, &entry.demand, 0, slots).ok()?;
            let reduced_cost =
                reduced_cost(&evaluation, demand_bound(&oracle, &entry.demand, prices), prices);
            Some(
                i128::from(reduced_cost.micros()) * 1_000_000 / i128::from(evaluation.cost().micros().max(1)),
            )
        });
        (share.unwrap_or(i128::MAX), *id)
    });
}
