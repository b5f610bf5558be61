//! The market at a node's head as its operator sees it: how much is composed, how good that provably is,
//! where capacity is scarce, who earned what.

use std::collections::BTreeMap;

use chain::ledger::{DemandStatus, Ledger};
use chain::{Address, Height};
use scenarios::{Minutes, Money, Period, ProviderId};
use serde::{Deserialize, Serialize};

use super::unserved::{UnservedDemand, unserved};
use crate::Totals;

/// The most providers that are listed as scarce.
const SCARCE_PROVIDERS: usize = 8;

/// How the market stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MarketStatus {
    /// The height it is of.
    pub height: Height,
    /// Demands that wait to be composed.
    pub open: usize,
    /// Demands composed and not settled yet.
    pub composed: usize,
    /// Demands composed and settled, ever.
    pub frozen: u64,
    /// Demands taken back by their authors, ever.
    pub cancelled: u64,
    /// Demands that were still open when their time had come, ever.
    pub expired: u64,
    /// Cost of what is composed and not settled, and budgets of what is open; `None` beyond the range of
    /// money.
    pub cost: Option<Money>,
    /// What no plan of the same demands can cost less than, at the prices in force.
    pub bound: Option<Money>,
    /// What everything composed so far costs, what is settled included; `None` beyond the range of money.
    pub composed_cost: Option<Money>,
    /// Providers whose minutes have a price, and when they have, the dearest first.
    pub scarce: Vec<ScarceProvider>,
    /// How many of them there are in all.
    pub priced_providers: usize,
    /// What the chain owes or has paid to miners, by address.
    pub earnings: Vec<Earnings>,
    /// Open demands that nobody can compose as things stand, by id.
    pub unserved: Vec<UnservedDemand>,
}

/// A provider that does not suffice for everything it would be used for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct ScarceProvider {
    pub provider: ProviderId,
    pub name: String,
    /// When it does not suffice, if the market has a calendar.
    #[serde(default)]
    pub period: Option<Period>,
    /// The price of one of its minutes.
    pub price: Money,
    /// Minutes that compositions take.
    pub used: Minutes,
    /// Minutes it can work, in this period.
    pub capacity: Minutes,
}

/// What one miner's compositions and amendments earn it, vested or not, settled or not. What authors of prices get
/// is not in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct Earnings {
    pub miner: Address,
    /// Blocks of its with first compositions that took effect.
    pub blocks: u64,
    /// Demands it was the first to compose.
    pub demands: u64,
    pub earned: Money,
}

impl MarketStatus {
    /// The market after the head of this ledger; `totals` is what left it up to that height. Takes a shortest path
    /// per demand.
    pub fn of(ledger: &Ledger, totals: &Totals) -> Self {
        let market = ledger.market();
        let (scarce, priced_providers) = scarce_providers(ledger);
        let (mut open, mut composed, mut standing_cost) = (0, 0, 0_i128);
        for (_, entry) in ledger.demands() {
            match &entry.status {
                DemandStatus::Open => open += 1,
                DemandStatus::Composed(standing) => {
                    composed += 1;
                    standing_cost += i128::from(standing.cost.micros());
                }
                DemandStatus::Frozen { .. }
                | DemandStatus::Cancelled { .. }
                | DemandStatus::Expired { .. } => {
                    // In the totals.
                }
            }
        }
        Self {
            height: market.height,
            open,
            composed,
            frozen: totals.frozen,
            cancelled: totals.cancelled,
            expired: totals.expired,
            cost: money(market.cost()),
            bound: market.bound().ok(),
            composed_cost: money(totals.frozen_cost_micros.saturating_add(standing_cost)),
            scarce,
            priced_providers,
            earnings: earnings(ledger, totals),
            unserved: unserved(ledger),
        }
    }

    /// How far the market's cost lies above its bound, in percent.
    pub fn gap_percent(&self) -> Option<f64> {
        Some(scenarios::bound::gap_percent(self.cost?, self.bound?))
    }
}

impl ScarceProvider {
    /// Minutes used, in percent of its capacity.
    #[expect(clippy::cast_precision_loss, reason = "for display")]
    pub fn used_percent(&self) -> f64 {
        if self.capacity <= 0 { 100.0 } else { self.used as f64 / self.capacity as f64 * 100.0 }
    }
}

fn scarce_providers(ledger: &Ledger) -> (Vec<ScarceProvider>, usize) {
    let (supply, prices) = (ledger.supply(), ledger.prices());
    let has_calendar = supply.horizon.period_minutes.is_some();
    let scarce = prices.iter().filter_map(|(slot, price)| {
        Some(ScarceProvider {
            provider: slot.provider,
            name: supply.provider(slot.provider)?.name.clone(),
            period: Some(slot.period).filter(|_| has_calendar),
            price,
            used: ledger.usage(slot).total(),
            capacity: supply.capacity_of(slot)?,
        })
    });
    let mut scarce: Vec<ScarceProvider> = scarce.collect();
    let count = scarce.len();
    scarce.sort_by_key(|provider| (std::cmp::Reverse(provider.price), provider.provider, provider.period));
    scarce.truncate(SCARCE_PROVIDERS);
    (scarce, count)
}

/// What was paid at settlements, and what stands.
fn earnings(ledger: &Ledger, totals: &Totals) -> Vec<Earnings> {
    let mut miners: BTreeMap<Address, Earnings> = BTreeMap::new();
    for (&miner, done) in &totals.miners {
        let (blocks, demands, earned) = (done.blocks, done.demands, done.earned);
        miners.insert(miner, Earnings { miner, blocks, demands, earned });
    }
    for (_, entry) in ledger.demands() {
        let DemandStatus::Composed(standing) = &entry.status else { continue };
        let dues = standing.dues.iter().map(|(&amender, &due)| (amender, due));
        for (miner, amount) in dues.chain([(standing.miner, standing.earned)]) {
            let none = Earnings { miner, blocks: 0, demands: 0, earned: Money::ZERO };
            miners.entry(miner).or_insert(none).earned += amount;
        }
    }
    miners.into_values().collect()
}

fn money(micros: i128) -> Option<Money> {
    i64::try_from(micros).ok().map(Money::from_micros)
}
