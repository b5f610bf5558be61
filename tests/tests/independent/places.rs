//! A market where places are few: who is idle gives way to whoever locks more, and the independent program finds the same.

use chain::Statement;
use chain::record::OfferStatement;
use scenarios::{Money, ProviderId, Site, Slot};

use crate::export::assert_stands;
use crate::growing::{Growing, Next, key};
use crate::markets::{demand_records, offers, open_market_genesis, treasurer};

fn offer(cost: i64, deposit: Money) -> Statement {
    Statement::Offer(OfferStatement {
        name: "newcomer".into(),
        site: Site::point(9, 9),
        offers: offers(&[(0, cost, 7), (1, cost, 7)]),
        capacity: Some(50.into()),
        deposit,
    })
}

#[test]
fn an_idle_offer_gives_way_to_a_larger_deposit_at_once_and_after_notice() {
    for notice_ms in [0, 2_000] {
        let (mut genesis, instance) = open_market_genesis();
        genesis.parameters.limits.offers_per_operation = 3;
        genesis.parameters.idle_after_ms = 8_000;
        genesis.parameters.minute_deposit = Money::from_micros(20_000);
        genesis.parameters.notice_ms = notice_ms;
        for name in ["one", "two"] {
            genesis.balances.insert(key(name, 0).public().address(), Money::from_units(50));
        }
        let mut market = Growing::from(genesis);
        let records = demand_records(&market, &instance);
        let first = records[0].id();
        market.add(Next { records, ..Next::default() });
        market.add(Next {
            compositions: vec![(first, vec![Slot::single(ProviderId(0)); 2])],
            ..Next::default()
        });
        // There is a third place for operation 0, and none for operation 1 until somebody has been idle.
        let idle = |market: &mut Growing| {
            for number in 0..4 {
                let gift = Statement::Transfer {
                    to: key("miner", number).public().address(),
                    amount: Money::from_micros(1),
                };
                let gift = market.record(&treasurer(), 0, gift);
                market.add(Next { records: vec![gift], ..Next::default() });
            }
        };
        idle(&mut market);
        for (name, micros) in [("one", 2_000_000), ("two", 2_000_001)] {
            let record = market.record(&key(name, 0), 0, offer(30, Money::from_micros(micros)));
            market.add(Next { records: vec![record], ..Next::default() });
            idle(&mut market);
        }
        let offered =
            |id: u32| market.ledger.supply().provider(ProviderId(id)).expect("a provider").offers.len();
        // Who worked keeps all it offers; of who did not, one place after another is gone.
        assert_eq!([0, 1, 2, 3, 4].map(offered), [3, 1, 1, 2, 2], "{notice_ms}");
        market.seal();
        assert_stands(&market);
    }
}
