//! The market at a node's head as its operator sees it: how much is composed, how good that provably is,
//! where capacity is scarce, who earned what. All of it computed from the ledger.

use std::collections::{BTreeMap, BTreeSet};

use chain::ledger::{Ledger, Standing};
use chain::{Address, Height};
use scenarios::{Minutes, Money, ProviderId};
use serde::{Deserialize, Serialize};

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
    /// Demands composed and settled.
    pub frozen: usize,
    /// Demands taken back by their authors.
    pub cancelled: usize,
    /// Cost of what is composed and not settled, and budgets of what is open; `None` beyond the range of
    /// money.
    pub cost: Option<Money>,
    /// What no plan of the same demands can cost less than, at the prices in force.
    pub bound: Option<Money>,
    /// Providers whose minutes have a price, the dearest first.
    pub scarce: Vec<ScarceProvider>,
    /// Providers whose minutes have a price, in all.
    pub priced_providers: usize,
    /// What the chain owes to miners for what is not settled yet, by address.
    pub earnings: Vec<Earnings>,
}

/// A provider that does not suffice for everything it would be used for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScarceProvider {
    /// Its number.
    pub provider: ProviderId,
    /// Its name.
    pub name: String,
    /// The price of one of its minutes.
    pub price: Money,
    /// Minutes that compositions take.
    pub used: Minutes,
    /// Minutes it can work in all.
    pub capacity: Minutes,
}

/// What one miner's compositions and amendments that are not settled yet earn it, vested or not, the bounty account's share
/// included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earnings {
    /// The miner.
    pub miner: Address,
    /// Blocks with its compositions.
    pub blocks: usize,
    /// Its compositions.
    pub demands: usize,
    /// What they earn.
    pub earned: Money,
}

impl MarketStatus {
    /// The market after the head of this ledger.
    pub fn of(ledger: &Ledger) -> Self {
        let market = ledger.market();
        let (scarce, priced_providers) = scarce_providers(ledger);
        let totals = ledger.demand_totals();
        let mut status = Self {
            height: market.height,
            open: 0,
            composed: 0,
            frozen: usize::try_from(totals.settled).unwrap_or(usize::MAX),
            cancelled: usize::try_from(totals.cancelled).unwrap_or(usize::MAX),
            cost: i64::try_from(market.cost()).ok().map(Money::from_micros),
            bound: market.bound().ok(),
            scarce,
            priced_providers,
            earnings: earnings(ledger.demands().filter_map(|(_, entry)| entry.composition())),
        };
        for (_, entry) in ledger.demands() {
            let count = if entry.is_open() { &mut status.open } else { &mut status.composed };
            *count += 1;
        }
        status
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
    let mut scarce: Vec<ScarceProvider> = supply
        .provider_ids()
        .zip(&supply.providers)
        .filter(|(id, _)| prices.of(*id) > Money::ZERO)
        .filter_map(|(id, provider)| {
            Some(ScarceProvider {
                provider: id,
                name: provider.name.clone(),
                price: prices.of(id),
                used: ledger.usage(id).total(),
                capacity: provider.capacity?,
            })
        })
        .collect();
    let count = scarce.len();
    scarce.sort_by_key(|provider| (std::cmp::Reverse(provider.price), provider.provider));
    scarce.truncate(SCARCE_PROVIDERS);
    (scarce, count)
}

fn earnings<'l>(compositions: impl Iterator<Item = &'l Standing>) -> Vec<Earnings> {
    let mut miners: BTreeMap<Address, (BTreeSet<Height>, usize, Money)> = BTreeMap::new();
    for composition in compositions {
        let (blocks, demands, earned) = miners.entry(composition.miner).or_default();
        blocks.insert(composition.since);
        *demands += 1;
        *earned += composition.earned;
        for (&amender, &due) in &composition.dues {
            miners.entry(amender).or_default().2 += due;
        }
    }
    let earnings = miners.into_iter();
    earnings
        .map(|(miner, (blocks, demands, earned))| Earnings { miner, blocks: blocks.len(), demands, earned })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chain::genesis::scenario_demand_records;
    use chain::{Block, DemandId, Draft, Record, SecretKey, WellFormed};
    use scenarios::Oracle;
    use scenarios::generate::{GenerateParameters, SiteParameters, generate};

    use super::*;

    fn parameters() -> GenerateParameters {
        GenerateParameters {
            name: "small".into(),
            paper_problem: None,
            providers: 4,
            demands: 3,
            operations: 3,
            orders_per_demand: 3,
            sites: SiteParameters::Uniform,
            ..GenerateParameters::tehran(1, false).unwrap()
        }
    }

    fn after_block(
        ledger: &Ledger,
        records: &[Record],
        compositions: Vec<(DemandId, Vec<ProviderId>)>,
        key: &SecretKey,
    ) -> Ledger {
        let draft = Draft {
            records: records.to_vec(),
            price_update: None,
            compositions,
            amendments: Vec::new(),
            miner: key.public(),
            timestamp_ms: ledger.head().timestamp_ms + 1_000,
        };
        let (header, body, _) = ledger.draft(draft).unwrap();
        let block = WellFormed::new(ledger.network(), Block::sign(header, body, key)).unwrap();
        ledger.validate(block, None).unwrap().next().clone()
    }

    #[test]
    fn a_market_composed_at_its_cheapest_has_no_gap() {
        let scenario = generate(&parameters()).unwrap();
        let key = SecretKey::for_scenario(1, "miner", 0);
        let (profile, validators) = (scenario.search.profile, vec![key.public()]);
        let network = crate::compare::setup::network(&scenario, profile, 1, validators, 1).unwrap();
        let records = scenario_demand_records(&scenario.instance, network.id(), 1, 4_000);
        let genesis = Ledger::new(Arc::new(network));
        let empty = MarketStatus::of(&genesis);
        assert_eq!((empty.open, empty.cost, empty.bound), (0, Some(Money::ZERO), Some(Money::ZERO)));
        assert_eq!(empty.gap_percent(), Some(0.0));

        let waiting = after_block(&genesis, &records, Vec::new(), &key);
        let budgets: Money = scenario.instance.demands.iter().map(|demand| demand.budget).sum();
        let status = MarketStatus::of(&waiting);
        assert_eq!((status.open, status.composed, status.cost), (3, 0, Some(budgets)));

        let oracle = Oracle::new(waiting.supply());
        let best = scenario.instance.demands.iter().map(|demand| {
            let best = oracle.cheapest(demand, waiting.prices()).unwrap();
            (best.providers, best.priced_cost)
        });
        let (cheapest, costs): (Vec<_>, Vec<Money>) = best.unzip();
        let compositions = records.iter().map(Record::id).zip(cheapest).collect();
        let status = MarketStatus::of(&after_block(&waiting, &[], compositions, &key));
        let total: Money = costs.into_iter().sum();
        assert_eq!((status.open, status.composed, status.cost), (0, 3, Some(total)));
        assert_eq!((status.bound, status.gap_percent()), (Some(total), Some(0.0)));
        // Without reduced cost it earns every fee: 4,000 ppm of the budgets, which are whole dollars.
        let fees = budgets.checked_ppm(4_000).unwrap();
        let earnings = Earnings { miner: key.public().address(), blocks: 1, demands: 3, earned: fees };
        assert_eq!((status.earnings, status.scarce), (vec![earnings], Vec::new()));
    }
}
