//! Amendments that pass, and where every unit of the money goes.
//!
//! Of the demands, `[0, 0]` costs 19 $ and 20 minutes of provider 0's 40, `[1, 1]` 23 $, `[0, 1]` 26 $ and 10 of
//! those minutes, `[0, 2]` 41 $ and 10.

use scenarios::Money;

use crate::market::{Market, micros, miner, providers, units};

#[test]
fn a_cheaper_composition_replaces_a_dear_one_and_the_saving_stays_with_the_demand() {
    let mut market = Market::open();
    market.advance_to(20);
    market.compose(&[(0, providers([0, 1]))]);
    let total = market.ledger.total_money();
    let report = market.amend(1, &[&[(0, providers([0, 0]))]]);
    assert_eq!((report.amendments, report.replaced, report.compositions), (1, 1, 0));
    assert_eq!((report.saving, report.displacement), (units(7), Money::ZERO));
    // What the block adds to cost and regret: from 26 to 19 $, and from 7 $ of regret to none.
    assert_eq!((report.cost, report.regret), (units(-7), units(-7)));
    let entry = market.ledger.demand(market.demand(0)).unwrap();
    let standing = entry.composition().unwrap();
    assert_eq!((standing.version, standing.since, standing.height), (2, 21, 22));
    assert_eq!(standing.amended_by, Some(miner(1).public().address()));
    assert_eq!(standing.miner, miner(0).public().address());
    assert_eq!((standing.first_cost, standing.price, standing.cost), (units(26), units(26), units(19)));
    // A tenth of 7 $ would be 0.7 $; the fee is 0.4 $, and solvers never get more.
    assert_eq!(standing.dues.get(&miner(1).public().address()), Some(&micros(400_000)));
    assert_eq!(entry.clearing, units(26));
    assert_eq!(market.ledger.total_money(), total);
}
