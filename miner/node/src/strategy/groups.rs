//! Groups of demands by what they need rather than by where they are (paper A, future work): by their rarest
//! operation, or by the scarcest provider they would like to use.

use scenarios::{Demand, DualPrices, OperationId, Oracle, ProviderId, Slot};

use super::Strategy;

/// The group of a demand under this strategy, from public facts alone; 0 for strategies that do not group.
/// `oracle` is of all live offers, `prices` are those in force.
pub fn group_of(strategy: Strategy, demand: &Demand, oracle: &Oracle<'_>, prices: &DualPrices) -> u64 {
    match strategy {
        Strategy::Operations => rarest_operation(demand, oracle),
        Strategy::ScarceProviders => scarcest_provider(demand, oracle, prices),
        Strategy::Strips | Strategy::Cells | Strategy::Roaming | Strategy::Everything => 0,
    }
}

/// Which of its operations the fewest providers offer; of equals the one with the smallest id.
fn rarest_operation(demand: &Demand, oracle: &Oracle<'_>) -> u64 {
    let rarest = demand.orders.iter().min_by_key(|&&id| (oracle.offering(id).len(), id));
    rarest.map_or(0, |operation| operation.index() as u64)
}

/// The provider whose minutes weigh most in the demand's cheapest composition at these prices, plus one; 0 if
/// none has a price.
fn scarcest_provider(demand: &Demand, oracle: &Oracle<'_>, prices: &DualPrices) -> u64 {
    let Some(best) = oracle.cheapest(demand, prices) else { return 0 };
    let charge = |(&slot, operation): (&Slot, &OperationId)| {
        let provider = oracle.supply().provider(slot.provider);
        let offer = provider.and_then(|provider| provider.offers.get(operation));
        (offer.map_or(0, |offer| prices.charge(slot, offer.minutes).micros()), slot.provider)
    };
    let mut charges: Vec<(i64, ProviderId)> = best.slots.iter().zip(&demand.orders).map(charge).collect();
    charges.sort_by_key(|&(micros, provider)| (provider, micros));
    let mut totals: Vec<(i64, ProviderId)> = Vec::new();
    for (micros, provider) in charges {
        match totals.last_mut() {
            Some((total, last)) if *last == provider => *total += micros,
            _ => totals.push((micros, provider)),
        }
    }
    let scarcest = totals.into_iter().filter(|(total, _)| *total > 0).max();
    scarcest.map_or(0, |(_, provider)| provider.index() as u64 + 1)
}

#[cfg(test)]
mod tests {
    use scenarios::{CostRules, Geometry, Horizon, Money, Offer, Provider, Site, Supply, TimeWindow};

    use super::*;

    /// Operation 0 at providers 0 and 1, operation 1 at provider 1 alone.
    fn supply() -> Supply {
        let provider = |offers: &[(u16, i64)]| Provider {
            name: "p".into(),
            site: Site::point(0, 0),
            offers: offers
                .iter()
                .map(|&(id, cost)| (OperationId(id), Offer { cost: Money::from_units(cost), minutes: 10 }))
                .collect(),
            capacity: Some(100.into()),
        };
        let rules = CostRules {
            rate_per_km: Money::ZERO,
            value_of_minute: Money::ZERO,
            metres_per_minute: 1,
            deliver: false,
        };
        let providers = vec![provider(&[(0, 5)]), provider(&[(0, 6), (1, 7)])];
        Supply { providers, rules, geometry: Geometry::Euclidean, horizon: Horizon::SINGLE }
    }

    fn demand(orders: &[u16]) -> Demand {
        Demand {
            name: "d".into(),
            site: Site::point(0, 0),
            orders: orders.iter().map(|&id| OperationId(id)).collect(),
            budget: Money::from_units(100),
            window: TimeWindow::ANY,
        }
    }

    #[test]
    fn a_demand_belongs_to_its_rarest_operation() {
        let (supply, free) = (supply(), DualPrices::zero());
        let oracle = Oracle::new(&supply);
        let group = |orders: &[u16]| group_of(Strategy::Operations, &demand(orders), &oracle, &free);
        assert_eq!([group(&[0, 0]), group(&[0, 1, 0])], [0, 1]);
    }

    #[test]
    fn a_demand_belongs_to_the_provider_it_pays_most_for() {
        let supply = supply();
        let oracle = Oracle::new(&supply);
        let group = |orders: &[u16], prices: &[i64]| {
            let prices = DualPrices::single(prices.iter().map(|&price| Money::from_micros(price)));
            group_of(Strategy::ScarceProviders, &demand(orders), &oracle, &prices)
        };
        assert_eq!(group(&[0, 1], &[]), 0, "nothing is scarce");
        assert_eq!(group(&[0, 1], &[0, 1_000]), 2);
        // Two orders at provider 0 weigh more than one at provider 1, which has the higher price.
        assert_eq!(group(&[0, 0, 1], &[2_000, 3_000]), 1);
    }
}
