//! One case per rule of a record, by itself and against the state; a batch that brings it is refused too.

use chain::key::{KeyError, PublicKey};
use chain::ledger::{AccountError, MarketStatementError, StatementError};
use chain::validate::OfferError;
use chain::{
    Address, Fault, GenesisProvider, Hash, NetworkId, Record, RecordError, RecordId, Rejection, Statement,
    check_record,
};
use scenarios::{Money, OperationId, Site, limits};

use crate::market::{
    Market, ProposedBatch, demand_statement, demander, instance, micros, miner, offer, provider_of, resign,
    transfer, treasurer, units,
};

/// The record is refused by itself, by the sender's fault, and so is a batch that brings it.
fn refuse_form(market: &Market, record: Record, expected: RecordError) {
    assert_eq!(check_record(market.network(), &record), Err(expected.clone()));
    assert_eq!(expected.fault(), Fault::Peer);
    refuse_in_batch(market, record, expected);
}

/// The record is right by itself but refused by the state.
fn refuse_now(market: &Market, record: Record, expected: impl Into<StatementError>) {
    let expected = RecordError::from(expected.into());
    assert_eq!(check_record(market.network(), &record), Ok(()));
    assert_eq!(expected.fault(), Fault::Transient);
    refuse_in_batch(market, record, expected);
}

fn refuse_in_batch(market: &Market, record: Record, expected: RecordError) {
    let good = market.record(&treasurer(), transfer(&miner(1), units(1)));
    let mut batch = market.batch(ProposedBatch { records: vec![good], ..ProposedBatch::default() });
    let id = record.id();
    batch.contents.records = vec![record];
    let before = market.ledger.state_root();
    let got = market.check(resign(batch, &miner(0))).map(|_| "accepted").expect_err("a refusal");
    let expected = Rejection::Record { index: 0, id, error: Box::new(expected) };
    assert_eq!((&got, got.fault()), (&expected, Fault::Peer));
    assert_eq!(market.ledger.state_root(), before);
}

#[test]
fn of_another_network() {
    let market = Market::open();
    let mut content = market.content(&treasurer(), transfer(&miner(1), units(1)));
    let (got, expected) = (NetworkId(Hash([1; 32])), market.network().id());
    content.network = got;
    refuse_form(&market, content.sign(&treasurer()), RecordError::WrongNetwork { got, expected });
}

#[test]
fn signed_by_somebody_else() {
    let market = Market::open();
    let content = market.content(&treasurer(), transfer(&miner(1), units(1)));
    let author = treasurer().public().address();
    let forged = RecordError::Signature { author, error: KeyError::BadSignature };
    refuse_form(&market, content.sign(&miner(1)), forged);
}

#[test]
fn signed_under_a_weak_key() {
    let market = Market::open();
    // The neutral element: of order one, under it anything verifies loosely.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut content = market.content(&treasurer(), transfer(&miner(1), units(1)));
    content.author = PublicKey::from_bytes(neutral);
    let weak = RecordError::Signature { author: content.author.address(), error: KeyError::Weak };
    refuse_form(&market, content.sign(&treasurer()), weak);
}

#[test]
fn a_transfer_of_nothing_or_less() {
    let market = Market::open();
    for got in [Money::ZERO, micros(-5)] {
        let record = market.record(&treasurer(), transfer(&miner(1), got));
        refuse_form(&market, record, RecordError::TransferAmount { got });
    }
}

#[test]
fn a_demand_of_the_wrong_form() {
    let market = Market::open();
    let refuse = |change: &dyn Fn(&mut chain::record::DemandStatement), expected: RecordError| {
        let mut demand = demand_statement(units(100), units(1));
        change(&mut demand);
        refuse_form(&market, market.record(&treasurer(), Statement::Demand(demand)), expected);
    };
    refuse(&|d| d.name = "x".repeat(65), RecordError::DemandName { got: 65, expected: 64 });
    let nowhere = Site::Place(3);
    refuse(&|d| d.site = nowhere, RecordError::DemandSite { got: nowhere });
    refuse(&|d| d.orders.clear(), RecordError::OrderCount { got: 0, expected: 256 });
    refuse(&|d| d.orders = vec![OperationId(0); 257], RecordError::OrderCount { got: 257, expected: 256 });
    let got = OperationId(2);
    refuse(&|d| d.orders[1] = got, RecordError::UnknownOperation { order: 1, got, expected: 2 });
    // For two orders.
    let (lowest, highest) = (micros(2), limits::BUDGET);
    for got in [Money::ZERO, units(1_000_001)] {
        refuse(&|d| d.budget = got, RecordError::Budget { got, lowest, highest });
    }
    let got = micros(399_999);
    refuse(&|d| d.solver_fee = got, RecordError::FeeTooSmall { got, expected: micros(400_000) });
    let got = units(1_000_001);
    refuse(&|d| d.solver_fee = got, RecordError::FeeTooLarge { got, expected: limits::BUDGET });
}

#[test]
fn an_offer_of_the_wrong_form() {
    let market = Market::open();
    let refuse = |change: &dyn Fn(&mut scenarios::Provider), expected: OfferError| {
        let mut provider = instance().supply.providers.remove(0);
        change(&mut provider);
        refuse_form(&market, market.record(&provider_of(0), offer(&provider)), expected.into());
    };
    let operation = OperationId(0);
    refuse(&|p| p.name = "x".repeat(65), OfferError::Name { got: 65, expected: 64 });
    let nowhere = Site::point(limits::COORDINATE_METRES, 0);
    refuse(&|p| p.site = nowhere, OfferError::Site { got: nowhere });
    refuse(&|p| p.offers.clear(), OfferError::NoOperation);
    let offered = instance().supply.providers[0].offers[&operation];
    let unknown = OfferError::UnknownOperation { got: OperationId(2), expected: 2 };
    let add = |p: &mut scenarios::Provider| p.offers.extend([(OperationId(2), offered)]);
    refuse(&add, unknown);
    let (got, expected) = (units(1_000_001), limits::OFFER_COST);
    let set_cost = |p: &mut scenarios::Provider| p.offers.get_mut(&operation).unwrap().cost = got;
    refuse(&set_cost, OfferError::Cost { operation, got, expected });
    let set_minutes = |p: &mut scenarios::Provider| p.offers.get_mut(&operation).unwrap().minutes = -1;
    refuse(&set_minutes, OfferError::Minutes { operation, got: -1, expected: limits::OFFER_MINUTES });
    let expected = limits::CAPACITY_MINUTES;
    refuse(&|p| p.capacity = Some((-1).into()), OfferError::Capacity { got: -1, expected });
    let Statement::Offer(mut dear) = offer(&instance().supply.providers.remove(0)) else {
        panic!("an offer")
    };
    dear.deposit = units(1_001);
    let expected = OfferError::Deposit { got: units(1_001), lowest: Money::ZERO, highest: units(1_000) };
    refuse_form(&market, market.record(&provider_of(0), Statement::Offer(dear)), expected.into());
}

#[test]
fn too_large() {
    let market = Market::open_with(|genesis| genesis.parameters.limits.record_bytes = 256);
    let mut demand = demand_statement(units(100), units(1));
    demand.orders = vec![OperationId(0); 200];
    let record = market.record(&treasurer(), Statement::Demand(demand));
    let got = chain::codec::encode(&record).len();
    refuse_form(&market, record, RecordError::TooLarge { got, expected: 256 });
}

#[test]
fn too_late() {
    let market = Market::open();
    let mut content = market.content(&treasurer(), transfer(&miner(1), units(1)));
    let got = market.next_time();
    content.valid_until_ms = got;
    refuse_now(&market, content.clone().sign(&treasurer()), StatementError::Expired { got, expected: got });
    content.valid_until_ms = got + 1;
    let in_time = content.sign(&treasurer());
    assert_eq!(
        market.ledger.admissible_records(std::slice::from_ref(&in_time), got),
        (vec![in_time], vec![])
    );
}

#[test]
fn replayed_or_out_of_order() {
    let mut market = Market::open();
    let record = market.record(&treasurer(), transfer(&miner(1), units(1)));
    market.accept(ProposedBatch { records: vec![record.clone()], ..ProposedBatch::default() });
    let author = treasurer().public().address();
    refuse_now(&market, record, AccountError::SequenceUsed { author, got: 0, expected: 1 });
    let mut content = market.content(&treasurer(), transfer(&miner(1), units(1)));
    content.sequence = 2;
    let gap = AccountError::SequenceGap { author, got: 2, expected: 1 };
    refuse_now(&market, content.sign(&treasurer()), gap);
}

#[test]
fn a_demand_that_left_the_market_and_comes_again() {
    let mut market = Market::open();
    let (settled, cancelled) = (market.demand_records().remove(0), market.demand_records().remove(1));
    market.compose(&[(0, crate::market::providers([0, 0]))]);
    let cancel = Statement::DemandCancellation { demand: cancelled.id() };
    let records = vec![market.record(&demander(1), cancel)];
    market.accept(ProposedBatch { records, ..ProposedBatch::default() });
    market.advance_to(34);
    for (record, expected) in [(settled, 1), (cancelled, 2)] {
        assert_eq!(market.ledger.demand(record.id()), None);
        let author = record.author();
        refuse_now(&market, record, AccountError::SequenceUsed { author, got: 0, expected });
    }
}

#[test]
fn two_of_one_sequence_number_in_one_batch() {
    let market = Market::open();
    let first = market.record(&treasurer(), transfer(&miner(1), units(1)));
    let second = market.record(&treasurer(), transfer(&miner(2), units(1)));
    let mut batch = market.batch(ProposedBatch { records: vec![first], ..ProposedBatch::default() });
    batch.contents.records.push(second.clone());
    let got = market.check(resign(batch, &miner(0))).map(|_| "accepted").unwrap_err();
    let author = treasurer().public().address();
    let error = StatementError::from(AccountError::SequenceUsed { author, got: 0, expected: 1 });
    let error = Box::new(error.into());
    assert_eq!(got, Rejection::Record { index: 1, id: second.id(), error });
}

#[test]
fn what_its_author_cannot_pay() {
    let market = Market::open();
    let author = treasurer().public().address();
    let (got, expected) = (units(1_000), micros(1_000_000_001));
    let record = market.record(&treasurer(), transfer(&miner(1), expected));
    refuse_now(&market, record, AccountError::Overdraft { author, got, expected });
    let record = market.record(&treasurer(), Statement::Demand(demand_statement(units(997), units(4))));
    let expected = units(1_001);
    refuse_now(&market, record, MarketStatementError::InsufficientEscrow { author, got, expected });
}

#[test]
fn the_same_money_twice_in_one_batch() {
    let market = Market::open();
    let first = market.record(&treasurer(), transfer(&miner(1), units(600)));
    let mut content = market.content(&treasurer(), transfer(&miner(2), units(600)));
    content.sequence = 1;
    let second = content.sign(&treasurer());
    let mut batch = market.batch(ProposedBatch { records: vec![first], ..ProposedBatch::default() });
    batch.contents.records.push(second.clone());
    let got = market.check(resign(batch, &miner(0))).map(|_| "accepted").unwrap_err();
    let author = treasurer().public().address();
    let error = AccountError::Overdraft { author, got: units(400), expected: units(600) };
    let error = Box::new(StatementError::from(error).into());
    assert_eq!(got, Rejection::Record { index: 1, id: second.id(), error });
}

#[test]
fn cancellations_that_cannot_be() {
    let mut market = Market::open();
    let cancel = |market: &Market, index, demand| {
        market.record(&demander(index), Statement::DemandCancellation { demand })
    };
    let unknown = RecordId(Hash([9; 32]));
    let record = cancel(&market, 0, unknown);
    refuse_now(&market, record, MarketStatementError::UnknownDemand { demand: unknown });

    let demand = market.demand(0);
    let record = cancel(&market, 1, demand);
    let (got, expected) = (demander(1).public().address(), demander(0).public().address());
    refuse_now(&market, record, MarketStatementError::NotDemandAuthor { demand, got, expected });

    market.compose(&[(0, crate::market::providers([0, 0]))]);
    let record = cancel(&market, 0, demand);
    refuse_now(&market, record, MarketStatementError::DemandNotOpen { demand, got: "composed" });

    market.advance_to(34);
    let record = cancel(&market, 0, demand);
    refuse_now(&market, record, MarketStatementError::UnknownDemand { demand });
}

#[test]
fn a_withdrawal_of_nothing() {
    let mut market = Market::open();
    let author = miner(1).public().address();
    let record = market.record(&miner(1), Statement::OfferWithdrawal);
    refuse_now(&market, record, MarketStatementError::NothingOffered { author });
    let record = market.record(&provider_of(0), Statement::OfferWithdrawal);
    market.accept(ProposedBatch { records: vec![record], ..ProposedBatch::default() });
    let author = provider_of(0).public().address();
    let record = market.record(&provider_of(0), Statement::OfferWithdrawal);
    refuse_now(&market, record, MarketStatementError::NothingOffered { author });
}

#[test]
fn a_demand_too_many() {
    let market = Market::open_with(|genesis| genesis.parameters.limits.market_demands = 3);
    let record = market.record(&treasurer(), Statement::Demand(demand_statement(units(10), units(1))));
    refuse_now(&market, record, MarketStatementError::MarketFull { got: 3, expected: 3 });
}

#[test]
fn a_provider_too_many() {
    let market = Market::with(|genesis| {
        let known = genesis.providers[0].clone();
        let addresses = (genesis.providers.len()..limits::PROVIDERS).map(|number| {
            let digest = blake3::hash(&number.to_le_bytes());
            Address(Hash(*digest.as_bytes()))
        });
        genesis.providers.extend(addresses.map(|address| GenesisProvider { address, ..known.clone() }));
    });
    let provider = instance().supply.providers.remove(0);
    let record = market.record(&miner(7), offer(&provider));
    let full = MarketStatementError::TooManyProviders { got: limits::PROVIDERS, expected: limits::PROVIDERS };
    refuse_now(&market, record, full);
}
