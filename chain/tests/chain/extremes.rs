//! Amounts at the ends of their ranges, put together by somebody who gains by it.

use std::collections::BTreeMap;

use chain::record::{DemandStatement, OfferStatement};
use chain::{SecretKey, Statement};
use scenarios::{Money, Offer, OperationId, ProviderId, Site, Slot, TimeWindow};

use crate::market::{Market, ProposedBatch, micros, treasurer, units};

const PROVIDERS: u64 = 13;
const DEMANDS: u64 = 39;
/// Orders of a demand, minutes of an order and price of a minute: the most there may be of each.
const ORDERS: usize = 256;
const MINUTES: i64 = 1_000_000;
const PRICE: Money = Money::from_units(1_000);

fn provider(number: u64) -> SecretKey {
    SecretKey::for_scenario(1, "extreme", number)
}

fn offer(number: u64, capacity: i64) -> Statement {
    let offer = Offer { cost: Money::ZERO, minutes: MINUTES };
    Statement::Offer(OfferStatement {
        name: format!("extreme {number}"),
        site: Site::point(0, 0),
        offers: BTreeMap::from([(OperationId(0), offer)]),
        capacity: Some(capacity.into()),
        deposit: Money::ZERO,
    })
}

#[test]
fn minutes_that_nobody_has_cannot_be_priced_to_make_compositions_of_them_look_absurd_later() {
    let mut market = Market::with(|genesis| {
        // Somebody who owns some money.
        for number in 0..PROVIDERS {
            genesis.balances.insert(provider(number).public().address(), units(1));
        }
    });
    let first = u32::try_from(market.ledger.supply().providers.len()).unwrap();
    let expires_ms = market.network().genesis().first_expiry_ms();
    let mut records: Vec<_> =
        (0..PROVIDERS).map(|number| market.record(&provider(number), offer(number, 0))).collect();
    let sequence = market.ledger.next_sequence(treasurer().public().address());
    let mut demands = Vec::new();
    for number in 0..DEMANDS {
        let statement = Statement::Demand(DemandStatement {
            name: format!("extreme {number}"),
            site: Site::point(0, 0),
            orders: vec![OperationId(0); ORDERS],
            budget: units(1),
            solver_fee: micros(4_000),
            expires_ms,
            window: TimeWindow::ANY,
        });
        let mut content = market.content(&treasurer(), statement);
        content.sequence = sequence + number;
        let record = content.sign(&treasurer());
        demands.push(record.id());
        records.push(record);
    }
    market.accept(ProposedBatch { records, ..ProposedBatch::default() });
    // Were orders that no capacity has time for ways to serve demands, the highest price of such minutes would cost the bound nothing, raise it by the
    // demands' budgets, and stand when the capacity comes: 39 compositions of 256 orders would add 10^19 micro-units of reduced cost.
    let mut prices = vec![Money::ZERO; usize::try_from(first).unwrap()];
    prices.extend((0..PROVIDERS).map(|_| PRICE));
    let useless = ProposedBatch { prices: Some(prices), ..ProposedBatch::default() };
    assert_eq!(market.draft(useless).unwrap_err().rule(), "bound-gain");
    let records: Vec<_> =
        (0..PROVIDERS).map(|number| market.record(&provider(number), offer(number, 1_000_000_000))).collect();
    market.accept(ProposedBatch { records, ..ProposedBatch::default() });
    market.advance_to(25); // anything feasible will do
    let serving = |number: usize| {
        let provider = first + u32::try_from(number).unwrap() / 3;
        (demands[number], vec![Slot::single(ProviderId(provider)); ORDERS])
    };
    let compositions = (0..demands.len()).map(serving).collect();
    let report = market.accept(ProposedBatch { compositions, ..ProposedBatch::default() });
    assert_eq!((report.compositions, report.cost, report.reduced_cost), (39, Money::ZERO, Money::ZERO));
    market.advance_to(30);
}
