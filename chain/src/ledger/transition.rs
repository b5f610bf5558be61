//! What a block does to a ledger, step by step: the one code path by which blocks are validated, drafted
//! and explained. Claims of a header are compared elsewhere ([`crate::validate`]).
//!
//! Order of effects: freezes due at this height, records, compositions staged against what is left, price
//! update, regrets and reward at the prices then in force, compositions entered. A transition works on a
//! state of its own; dropping it leaves no trace.

use std::collections::BTreeSet;
use std::sync::Arc;

use scenarios::bound::{demand_bound, dual_bound, regret};
use scenarios::evaluate_composition;
use scenarios::settings::Allocation;
use scenarios::{CapacityPrices, CompositionEvaluation, Minutes, Money, Oracle, ProviderId, Violation};
use serde::{Deserialize, Serialize};

use super::Ledger;
use super::market::WorkMeter;
use super::records::BringError;
use super::state::{DemandEntry, DemandStatus, Standing, State};
use crate::block::PriceUpdate;
use crate::genesis::Network;
use crate::hash::Hash;
use crate::key::{Address, PublicKey};
use crate::record::{DemandId, Height, Record};
use crate::schedule::Achievement;
use crate::validate::Rejection;

/// What a block brought and earned, for logs, tables and its miner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockReport {
    /// Records brought.
    pub records: u32,
    /// Demands composed.
    pub compositions: u32,
    /// Their orders.
    pub orders: u64,
    /// Earlier compositions frozen and settled.
    pub frozen: u32,
    /// Total cost of its compositions.
    pub cost: Money,
    /// Total regret of its compositions.
    pub regret: Money,
    /// Fees of its demands.
    pub fees: Money,
    /// The share of the fees it earns, in ppm; 0 if it composes nothing.
    pub reward_ppm: u64,
    /// What it earns for its compositions, paid as they freeze.
    pub reward: Money,
    /// The least its demands asked for.
    pub required: Money,
    /// With a price update: the market's bound before.
    pub bound_before: Option<Money>,
    /// With a price update: the market's bound after.
    pub bound_after: Option<Money>,
    /// With a price update: what the bounty account paid for it.
    pub bounty: Money,
    /// Shortest-path steps it took to check.
    pub work: u64,
}

/// A composition that fits, its minutes reserved.
#[derive(Clone, Debug)]
pub(crate) struct Staged {
    pub(crate) demand: DemandId,
    pub(crate) entry: Arc<DemandEntry>,
    pub(crate) providers: Vec<ProviderId>,
    pub(crate) evaluation: CompositionEvaluation,
    pub(crate) timestamp_ms: u64,
    regret: Money,
    earned: Money,
}

impl Staged {
    pub(crate) fn minutes(&self) -> Minutes {
        self.evaluation.total_minutes()
    }
}

/// A block in the making or under scrutiny.
pub(crate) struct Transition<'a> {
    network: &'a Network,
    state: State,
    height: Height,
    miner: Address,
    staged: Vec<Staged>,
    staged_ids: BTreeSet<DemandId>,
    report: BlockReport,
}

impl<'a> Transition<'a> {
    /// The next height: freezes what is due.
    pub(crate) fn begin(ledger: &'a Ledger, miner: &PublicKey) -> Result<Self, Rejection> {
        let height = ledger.head.height.checked_add(1).ok_or(Rejection::Arithmetic("the height"))?;
        let mut state = ledger.state.clone();
        let frozen = state.settle_due(&ledger.network, height)?;
        let report = BlockReport { frozen, ..BlockReport::default() };
        Ok(Self {
            network: &ledger.network,
            state,
            height,
            miner: miner.address(),
            staged: Vec::new(),
            staged_ids: BTreeSet::new(),
            report,
        })
    }

    /// Lets records take effect, in order.
    pub(crate) fn bring(&mut self, records: &[Record]) -> Result<(), Rejection> {
        for (index, record) in records.iter().enumerate() {
            let id = record.id();
            match self.state.bring(self.network, self.height, record, id) {
                Ok(()) => self.report.records = self.report.records.saturating_add(1),
                Err(BringError::Refused(error)) => {
                    return Err(Rejection::Record { index, id, error: Box::new(error) });
                }
                Err(BringError::Internal(rejection)) => return Err(rejection),
            }
        }
        Ok(())
    }

    /// Refuses the block if checking it takes too much work: a shortest path per composed demand, and with
    /// a price update two per demand of the market.
    pub(crate) fn meter(
        &mut self,
        composed: impl Iterator<Item = DemandId>,
        reprices: bool,
    ) -> Result<(), Rejection> {
        let meter = WorkMeter::new(&self.state.supply);
        let entries = composed.filter_map(|id| self.state.demands.get(&id));
        let mut got = entries.fold(0_u64, |sum, entry| sum.saturating_add(meter.work(&entry.demand)));
        if reprices {
            let market = self.state.market_demands();
            let pass = market.fold(0_u64, |sum, demand| sum.saturating_add(meter.work(demand)));
            got = got.saturating_add(pass.saturating_mul(2));
        }
        self.report.work = got;
        let expected = self.network.parameters().limits.verification_work;
        if got > expected { Err(Rejection::TooMuchWork { got, expected }) } else { Ok(()) }
    }

    /// Checks that a composition is feasible for an open demand within what is left, and reserves it. On
    /// an error nothing has changed.
    pub(crate) fn stage(
        &mut self,
        demand: DemandId,
        providers: &[ProviderId],
        timestamp_ms: u64,
    ) -> Result<&Staged, Rejection> {
        if self.staged_ids.contains(&demand) {
            return Err(Rejection::DuplicateComposition { demand });
        }
        let entry = self.validate_open(demand)?;
        let evaluation = self.validate_feasible(demand, &entry, providers)?;
        self.validate_capacity(demand, &evaluation)?;
        let dedicated = self.network.parameters().allocation == Allocation::Dedicated;
        if dedicated {
            self.validate_held(demand, &evaluation)?;
        }
        let staged = Staged {
            demand,
            entry,
            providers: providers.to_vec(),
            evaluation,
            timestamp_ms,
            regret: Money::ZERO,
            earned: Money::ZERO,
        };
        self.state.reserve(&self.standing(&staged), dedicated)?;
        self.count(&staged)?;
        self.staged_ids.insert(demand);
        self.staged.push(staged);
        self.staged.last().ok_or(Rejection::Arithmetic("the staged compositions"))
    }

    fn count(&mut self, staged: &Staged) -> Result<(), Rejection> {
        const WHAT: Rejection = Rejection::Arithmetic("a block's totals");
        let report = &mut self.report;
        report.compositions = report.compositions.saturating_add(1);
        report.orders = report.orders.saturating_add(u64::try_from(staged.providers.len()).or(Err(WHAT))?);
        report.cost = report.cost.checked_add(staged.evaluation.cost()).ok_or(WHAT)?;
        report.fees = report.fees.checked_add(staged.entry.solver_fee).ok_or(WHAT)?;
        Ok(())
    }

    fn validate_open(&self, demand: DemandId) -> Result<Arc<DemandEntry>, Rejection> {
        let entry = self.state.demands.get(&demand).ok_or(Rejection::UnknownDemand { demand })?;
        match &entry.status {
            DemandStatus::Open => Ok(Arc::clone(entry)),
            DemandStatus::Composed(standing) | DemandStatus::Frozen { composition: standing, .. } => {
                let (height, miner) = (standing.since, standing.miner);
                Err(Rejection::AlreadyComposed { demand, height, miner })
            }
            DemandStatus::Cancelled { height } => Err(Rejection::DemandCancelled { demand, height: *height }),
        }
    }

    fn validate_feasible(
        &self,
        demand: DemandId,
        entry: &DemandEntry,
        providers: &[ProviderId],
    ) -> Result<CompositionEvaluation, Rejection> {
        let supply = &self.state.supply;
        let withdrawn = |id: &ProviderId| supply.provider(*id).is_some_and(|found| found.offers.is_empty());
        evaluate_composition(supply, &entry.demand, 0, providers).map_err(|violations| {
            match violations.into_iter().next() {
                Some(Violation::NotOffered { order, provider: got, .. }) if withdrawn(&got) => {
                    Rejection::OfferWithdrawn { demand, order, got }
                }
                Some(violation) => of_violation(demand, &violation),
                None => Rejection::Arithmetic("an evaluation"),
            }
        })
    }

    fn validate_capacity(
        &self,
        demand: DemandId,
        evaluation: &CompositionEvaluation,
    ) -> Result<(), Rejection> {
        for (&provider, &minutes) in &evaluation.minutes {
            let capacity = self.state.supply.provider(provider).and_then(|found| found.capacity);
            let used = self.state.usage.get(provider.index()).copied().unwrap_or_default().total();
            let got = used.saturating_add(minutes);
            // A provider whose offer shrank below what stands is full, but an order of no minutes fits.
            if let Some(expected) = capacity
                && got > expected.max(used)
            {
                return Err(Rejection::OverCapacity { demand, provider, got, expected });
            }
        }
        Ok(())
    }

    /// Paper A's rule: no other miner holds the providers, and no miner holds too many.
    fn validate_held(&self, demand: DemandId, evaluation: &CompositionEvaluation) -> Result<(), Rejection> {
        let mut held = self.state.held_by(self.miner);
        for &provider in evaluation.minutes.keys() {
            match self.state.holders.get(&provider) {
                Some(holder) if holder.miner != self.miner => {
                    let (got, expected) = (self.miner, holder.miner);
                    return Err(Rejection::ProviderHeld { demand, provider, got, expected });
                }
                Some(_) => {}
                None => held = held.saturating_add(1),
            }
        }
        let expected = self.state.held_providers_max(self.network);
        if held > expected {
            return Err(Rejection::TooManyProvidersHeld { demand, miner: self.miner, got: held, expected });
        }
        Ok(())
    }

    /// Puts new prices in force if they raise the market's bound, pays the bounty, and finds regret and
    /// reward of what is staged.
    pub(crate) fn judge(&mut self, update: Option<&PriceUpdate>) -> Result<(), Rejection> {
        if self.staged.is_empty() && update.is_none() {
            return Ok(());
        }
        let supply = Arc::clone(&self.state.supply);
        let oracle = Oracle::new(&supply);
        if let Some(update) = update {
            self.reprice(&oracle, &update.prices)?;
        }
        self.find_regrets(&oracle)?;
        if !self.staged.is_empty() {
            self.find_reward()?;
        }
        Ok(())
    }

    fn reprice(&mut self, oracle: &Oracle<'_>, prices: &CapacityPrices) -> Result<(), Rejection> {
        const WHAT: Rejection = Rejection::Arithmetic("the bounty account");
        let capacities = self.state.market_capacities();
        let bound =
            |prices: &CapacityPrices| dual_bound(oracle, self.state.market_demands(), &capacities, prices);
        let got = bound(prices)?;
        // Prices in force always suit the capacities, but an offer of more capacity may have pushed their
        // bound out of range: then any bound is better.
        let before = bound(&self.state.prices).unwrap_or(Money::from_micros(i64::MIN));
        let expected = least_bound(before, self.network.parameters().min_bound_gain_ppm);
        if got < expected {
            return Err(Rejection::BoundNotRaised { got, expected });
        }
        let bounty = self.state.bounty.checked_ppm(self.network.parameters().bounty_pay_ppm).ok_or(WHAT)?;
        self.state.bounty = self.state.bounty.checked_sub(bounty).ok_or(WHAT)?;
        self.state.credit(self.miner, bounty)?;
        self.state.prices = prices.clone();
        self.report.bound_before = Some(before);
        self.report.bound_after = Some(got);
        self.report.bounty = bounty;
        Ok(())
    }

    fn find_regrets(&mut self, oracle: &Oracle<'_>) -> Result<(), Rejection> {
        let mut total = Money::ZERO;
        for staged in &mut self.staged {
            let least = demand_bound(oracle, &staged.entry.demand, &self.state.prices);
            staged.regret = regret(&staged.evaluation, least, &self.state.prices);
            total = total.checked_add(staged.regret).ok_or(Rejection::Arithmetic("the regret"))?;
        }
        self.report.regret = total;
        Ok(())
    }

    fn find_reward(&mut self) -> Result<(), Rejection> {
        const WHAT: Rejection = Rejection::Arithmetic("the reward");
        let (parameters, report) = (self.network.parameters(), &mut self.report);
        let achievement = Achievement { cost: report.cost, regret: report.regret, orders: report.orders };
        report.reward_ppm = parameters.schedule.reward_ppm(&achievement);
        for staged in &mut self.staged {
            let fee = staged.entry.solver_fee;
            let required = parameters.required_ppm(self.height.saturating_sub(staged.entry.since));
            staged.earned = fee.checked_ppm(report.reward_ppm).ok_or(WHAT)?;
            report.reward = report.reward.checked_add(staged.earned).ok_or(WHAT)?;
            let required = fee.checked_ppm(required).ok_or(WHAT)?;
            report.required = report.required.checked_add(required).ok_or(WHAT)?;
        }
        let (got, expected) = (report.reward, report.required);
        if got < expected { Err(Rejection::RewardBelowThreshold { got, expected }) } else { Ok(()) }
    }

    /// Enters the staged compositions.
    pub(crate) fn enter(&mut self) -> Result<(), Rejection> {
        for staged in &self.staged {
            let standing = self.standing(staged);
            self.state.compose(staged.demand, standing)?;
        }
        Ok(())
    }

    fn standing(&self, staged: &Staged) -> Standing {
        let evaluation = &staged.evaluation;
        Standing {
            version: 1,
            providers: staged.providers.clone(),
            miner: self.miner,
            since: self.height,
            timestamp_ms: staged.timestamp_ms,
            minutes: evaluation.minutes.clone(),
            owed: evaluation.owed.clone(),
            transport: evaluation.transport,
            time_value: evaluation.time_value,
            cost: evaluation.cost(),
            price: evaluation.cost(),
            regret: staged.regret,
            earned: staged.earned,
        }
    }

    pub(crate) const fn height(&self) -> Height {
        self.height
    }

    pub(crate) const fn report(&self) -> &BlockReport {
        &self.report
    }

    pub(crate) fn staged(&self) -> &[Staged] {
        &self.staged
    }

    pub(crate) fn state_root(&self) -> Hash {
        self.state.root()
    }

    pub(crate) fn into_parts(self) -> (State, BlockReport) {
        (self.state, self.report)
    }
}

/// The least bound that raises `before` enough: by at least `gain_ppm` of its size and one micro-unit.
fn least_bound(before: Money, gain_ppm: u64) -> Money {
    let size = i128::from(before.micros()).saturating_abs();
    let gain = size.saturating_mul(i128::from(gain_ppm)).saturating_add(999_999);
    let gain = gain.checked_div(1_000_000).unwrap_or(0).max(1);
    let least = i128::from(before.micros()).saturating_add(gain);
    Money::from_micros(i64::try_from(least).unwrap_or(i64::MAX))
}

/// A violation the evaluator found, as the rule it breaks.
fn of_violation(demand: DemandId, violation: &Violation) -> Rejection {
    match *violation {
        Violation::OrderCount { got, expected, .. } => Rejection::OrderCount { demand, got, expected },
        Violation::UnknownProvider { order, provider: got, expected, .. } => {
            Rejection::UnknownProvider { demand, order, got, expected }
        }
        Violation::NotOffered { order, provider: got, expected, .. } => {
            Rejection::NotOffered { demand, order, got, expected }
        }
        Violation::NoDistance { order, .. } => Rejection::NoDistance { demand, order },
        Violation::OverBudget { got, expected, .. } => Rejection::OverBudget { demand, got, expected },
        Violation::OverCapacity { provider, got, expected } => {
            Rejection::OverCapacity { demand, provider, got, expected }
        }
        Violation::DemandCount { .. } => Rejection::Arithmetic("an evaluation"),
    }
}
