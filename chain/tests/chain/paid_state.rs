//! What stands in the state is paid for: by what an account keeps, and by what an offer locks.

use chain::codec::encode;
use chain::ledger::{
    AccountError, BatchReport, MarketStatementError, RecordOutlook, StateEntry, StatementError,
};
use chain::{Record, RecordError, RecordRule, SecretKey, Statement};
use scenarios::{Money, Provider, ProviderId, Site};

use crate::market::{
    Market, ProposedBatch, demand_statement, demander, micros, miner, offer, provider, provider_of,
    providers, transfer, treasurer, units,
};

/// The small market where an account keeps 5 $.
fn market() -> Market {
    Market::open_with(|genesis| {
        genesis.parameters.account_min = units(5);
        for balance in genesis.balances.values_mut() {
            *balance += units(5);
        }
    })
}

/// Why the record that states this is refused, now and by itself.
fn refusal(market: &Market, author: &SecretKey, statement: Statement) -> StatementError {
    let record = market.record(author, statement);
    assert_eq!(chain::check_record(market.network(), &record), Ok(()));
    let records = vec![record.clone()];
    assert!(market.draft(ProposedBatch { records, ..ProposedBatch::default() }).is_err());
    match market.ledger.check_record_now(&record) {
        RecordOutlook::Never(error) => error,
        outlook @ (RecordOutlook::Now | RecordOutlook::Later(_)) => panic!("{outlook:?}"),
    }
}

#[test]
fn whoever_owns_less_than_an_account_keeps_may_state_nothing() {
    let market = market();
    let author = miner(3).public().address();
    let below =
        StatementError::from(AccountError::BelowMinimum { author, got: Money::ZERO, expected: units(5) });
    assert_eq!(refusal(&market, &miner(3), Statement::OfferWithdrawal), below);
    // However far it is from coming on chain.
    let mut content = market.content(&miner(3), Statement::OfferWithdrawal);
    content.sequence = 7;
    assert_eq!(market.ledger.check_record_now(&content.sign(&miner(3))), RecordOutlook::Never(below.clone()));
    assert_eq!(RecordError::from(below).rule(), RecordRule::AccountMin);
}

#[test]
fn no_statement_takes_what_an_account_keeps() {
    let mut market = market();
    let author = treasurer().public().address();
    // 1,005 $, of which 5 $ stay.
    assert_eq!(market.ledger.spendable(author), units(1_000));
    let overdraft = AccountError::Overdraft { author, got: units(1_000), expected: micros(1_000_000_001) };
    let all_and_more = transfer(&miner(1), micros(1_000_000_001));
    assert_eq!(refusal(&market, &treasurer(), all_and_more), overdraft.into());
    let escrow = Statement::Demand(demand_statement(units(997), units(4)));
    assert_eq!(
        RecordError::from(refusal(&market, &treasurer(), escrow)).rule(),
        RecordRule::InsufficientEscrow
    );

    let all = market.record(&treasurer(), transfer(&miner(1), units(1_000)));
    market.accept(ProposedBatch { records: vec![all], ..ProposedBatch::default() });
    assert_eq!((market.balance(&treasurer()), market.balance(&miner(1))), (units(5), units(1_000)));
}

#[test]
fn whose_money_is_all_in_escrow_can_still_cancel() {
    let mut market = market();
    assert_eq!(market.ledger.spendable(demander(0).public().address()), Money::ZERO);
    let cancel = Statement::DemandCancellation { demand: market.demand(0) };
    let records = vec![market.record(&demander(0), cancel)];
    market.accept(ProposedBatch { records, ..ProposedBatch::default() });
    assert_eq!(market.balance(&demander(0)), micros(105_400_000));
}

#[test]
fn no_account_is_made_with_less_than_it_keeps() {
    let mut market = market();
    let recipient = miner(1).public().address();
    let dust = AccountError::RecipientBelowMinimum { recipient, got: micros(4_999_999), expected: units(5) };
    let refused = refusal(&market, &treasurer(), transfer(&miner(1), micros(4_999_999)));
    assert_eq!(refused, dust.into());
    for amount in [units(5), micros(1)] {
        let record = market.record(&treasurer(), transfer(&miner(1), amount));
        market.accept(ProposedBatch { records: vec![record], ..ProposedBatch::default() });
    }
    assert_eq!(market.balance(&miner(1)), micros(5_000_001));
}

#[test]
fn what_money_is_passed_on_through_leaves_an_account_behind_that_keeps_its_own() {
    // However long the chain of keys, each entry of the state holds 5 $ of whoever made it.
    let mut market = market();
    for index in 0..10 {
        let (from, to) =
            if index == 0 { (treasurer(), miner(10)) } else { (miner(9 + index), miner(10 + index)) };
        let all = market.ledger.spendable(from.public().address());
        let record = market.record(&from, transfer(&to, all));
        market.accept(ProposedBatch { records: vec![record], ..ProposedBatch::default() });
    }
    assert_eq!((10..19).map(|index| market.balance(&miner(index))).collect::<Vec<_>>(), vec![units(5); 9]);
    assert_eq!(market.balance(&miner(19)), units(1_000 - 9 * 5));
}

#[test]
fn a_demand_that_is_taken_back_leaves_nothing_but_its_authors_number() {
    let mut market = market();
    let names = |market: &Market| -> Vec<Vec<u8>> {
        let keys = market.ledger.state_entries().into_iter().map(|StateEntry { key, .. }| key);
        // But for anchors, which come with each batch and go after a while.
        keys.filter(|key| key[0] != 8).collect()
    };
    let (before, balance) = (names(&market), market.balance(&treasurer()));
    for _ in 0..5 {
        let order = market.record(&treasurer(), Statement::Demand(demand_statement(units(100), units(1))));
        let cancel = Statement::DemandCancellation { demand: order.id() };
        market.accept(ProposedBatch { records: vec![order], ..ProposedBatch::default() });
        // The demand, and the number.
        assert_eq!(names(&market).len(), before.len() + 2);
        let cancel = market.record(&treasurer(), cancel);
        market.accept(ProposedBatch { records: vec![cancel], ..ProposedBatch::default() });
    }
    let after = names(&market);
    let more: Vec<_> = after.iter().filter(|key| !before.contains(key)).collect();
    // Byte 1: a sequence number.
    assert_eq!(more, [&[&[1][..], &treasurer().public().address().0.0].concat()]);
    assert_eq!(after.len(), before.len() + 1);
    assert_eq!(market.balance(&treasurer()), balance);
}

/// The small market where each operation offered locks 2 $, and a newcomer with 10 $.
fn market_with_deposits() -> (Market, SecretKey) {
    let mut market = Market::open_with(|genesis| genesis.parameters.offer_deposit = units(2));
    let newcomer = miner(5);
    let gift = market.record(&treasurer(), transfer(&newcomer, units(10)));
    market.accept(ProposedBatch { records: vec![gift], ..ProposedBatch::default() });
    (market, newcomer)
}

fn state(market: &mut Market, author: &SecretKey, statement: Statement) -> BatchReport {
    let records = vec![market.record(author, statement)];
    market.accept(ProposedBatch { records, ..ProposedBatch::default() })
}

/// Offers operation 0 or both, each for 1 $ in a minute.
fn cheap(operations: u16) -> Provider {
    let terms = [(0, 1, 1), (1, 1, 1)];
    provider("new", Site::point(0, 0), &terms[..usize::from(operations)], None)
}

/// What the newcomer has, and what is locked for its offer.
fn purse(market: &Market, newcomer: &SecretKey) -> (Money, Money) {
    let id = market.ledger.provider_id(newcomer.public().address()).expect("a provider");
    assert_eq!(id, ProviderId(3));
    (market.balance(newcomer), market.ledger.deposit(id))
}

#[test]
fn an_offer_of_somebody_who_owns_nothing_is_refused() {
    let (market, _) = market_with_deposits();
    let author = miner(6).public().address();
    let short = MarketStatementError::InsufficientDeposit { author, got: Money::ZERO, expected: units(4) };
    let refused = refusal(&market, &miner(6), offer(&cheap(2)));
    assert_eq!(refused, short.into());
    let rule = RecordError::from(refused).rule();
    assert_eq!((rule, rule.is_about_money()), (RecordRule::InsufficientDeposit, true));
}

#[test]
fn an_offer_locks_a_deposit_for_each_operation_until_it_is_withdrawn() {
    let (mut market, newcomer) = market_with_deposits();
    let total = market.ledger.total_money();
    let stated = [
        (offer(&cheap(2)), (units(6), units(4))),
        (offer(&cheap(1)), (units(8), units(2))),
        (offer(&cheap(2)), (units(6), units(4))),
        // The place among the providers stays, and with it the deposit of one operation.
        (Statement::OfferWithdrawal, (units(8), units(2))),
        (offer(&cheap(1)), (units(8), units(2))),
    ];
    for (statement, expected) in stated {
        state(&mut market, &newcomer, statement);
        assert_eq!(purse(&market, &newcomer), expected);
        assert_eq!(market.ledger.total_money(), total);
    }
}

#[test]
fn what_is_locked_stays_until_what_stands_on_the_offer_is_settled() {
    let (mut market, newcomer) = market_with_deposits();
    state(&mut market, &newcomer, offer(&cheap(2)));
    market.compose(&[(0, providers([3, 3]))]);
    let composed_at = market.ledger.head().height;
    state(&mut market, &newcomer, Statement::OfferWithdrawal);
    assert_eq!(purse(&market, &newcomer), (units(6), units(4)));
    market.advance_to(composed_at + 31);
    assert_eq!(purse(&market, &newcomer), (units(6), units(4)));
    market.advance_to(composed_at + 32);
    // 2 $ of the deposit, and 2 $ for its work.
    assert_eq!(purse(&market, &newcomer), (units(10), units(2)));
}

#[test]
fn what_is_locked_returns_with_the_amendment_that_takes_the_last_work_away() {
    let (mut market, newcomer) = market_with_deposits();
    // At 30 $ an operation it is dearer than provider 0.
    let dear = provider("new", Site::point(0, 0), &[(0, 30, 1), (1, 30, 1)], None);
    state(&mut market, &newcomer, offer(&dear));
    market.advance_to(20);
    market.compose(&[(0, providers([3, 3]))]);
    state(&mut market, &newcomer, Statement::OfferWithdrawal);
    assert_eq!(purse(&market, &newcomer), (units(6), units(4)));
    market.amend(1, &[&[(0, providers([0, 0]))]]);
    assert_eq!(purse(&market, &newcomer), (units(8), units(2)));
}

#[test]
fn offers_of_genesis_are_free_until_a_record_replaces_them() {
    let (mut market, _) = market_with_deposits();
    let (near, author) = (provider_of(0), provider_of(0).public().address());
    assert_eq!(market.ledger.deposit(ProviderId(0)), Money::ZERO);
    let short = MarketStatementError::InsufficientDeposit { author, got: Money::ZERO, expected: units(4) };
    assert_eq!(refusal(&market, &near, offer(&cheap(2))), short.into());
    state(&mut market, &near, Statement::OfferWithdrawal);
    assert_eq!((market.balance(&near), market.ledger.deposit(ProviderId(0))), (Money::ZERO, Money::ZERO));
}

#[test]
fn each_byte_of_a_record_is_paid_for_and_burned_before_the_statement_takes_what_is_left() {
    let fee_per_byte = micros(1_000);
    let mut market = Market::with(|genesis| {
        genesis.parameters.fee_per_byte = fee_per_byte;
        genesis.balances.insert(miner(5).public().address(), units(1));
    });
    let price = |record: &Record| {
        let bytes = i64::try_from(encode(record).len()).unwrap();
        fee_per_byte.checked_mul(bytes).unwrap()
    };
    let all = market.ledger.total_money();
    let small = market.record(&treasurer(), transfer(&miner(1), units(1)));
    let fee = price(&small);
    market.accept(ProposedBatch { records: vec![small], ..ProposedBatch::default() });
    assert_eq!(market.balance(&treasurer()), units(999) - fee);
    assert_eq!((market.ledger.burned(), market.ledger.total_money()), (fee, all));
    // Everything that is left but for the fee, and one micro-unit more.
    let fee = price(&market.record(&miner(5), transfer(&miner(1), micros(800_000))));
    let rest = units(1) - fee;
    for (amount, expected) in [(rest, None), (rest + micros(1), Some("overdraft"))] {
        let record = market.record(&miner(5), transfer(&miner(1), amount));
        assert_eq!(price(&record), fee);
        let outlook = market.ledger.check_record_now(&record);
        let rule = match &outlook {
            RecordOutlook::Never(error) => Some(error.rule().name()),
            RecordOutlook::Now | RecordOutlook::Later(_) => None,
        };
        assert_eq!(rule, expected);
        let drafted = market.draft(ProposedBatch { records: vec![record], ..ProposedBatch::default() });
        assert_eq!(drafted.is_ok(), expected.is_none());
    }
    let last = market.record(&miner(5), transfer(&miner(1), rest));
    market.accept(ProposedBatch { records: vec![last], ..ProposedBatch::default() });
    assert_eq!(market.balance(&miner(5)), Money::ZERO);
}

#[test]
fn who_cannot_pay_for_a_records_bytes_states_nothing() {
    let market = Market::with(|genesis| {
        genesis.parameters.fee_per_byte = micros(1_000);
        genesis.balances.insert(miner(5).public().address(), micros(100_000));
    });
    let record = market.record(&miner(5), transfer(&miner(1), micros(1)));
    let author = miner(5).public().address();
    let bytes = i64::try_from(encode(&record).len()).unwrap();
    let expected = micros(1_000 * bytes);
    let fee = StatementError::from(AccountError::Fee { author, got: micros(100_000), expected });
    assert_eq!((fee.rule(), fee.rule().is_about_money()), (RecordRule::Fee, true));
    assert_eq!(market.ledger.check_record_now(&record), RecordOutlook::Never(fee.clone()));
    let (kept, refused) = market.ledger.admissible_records(std::slice::from_ref(&record), market.next_time());
    assert_eq!((kept, refused), (vec![], vec![(record.id(), fee)]));
}

#[test]
fn taking_back_what_was_paid_for_is_free() {
    let mut market = Market::with(|genesis| {
        genesis.parameters.fee_per_byte = micros(1_000);
        for balance in genesis.balances.values_mut() {
            *balance += units(1);
        }
    });
    let records = market.demand_records();
    market.accept(ProposedBatch { records, ..ProposedBatch::default() });
    // All that is left, but for the fee of giving it away.
    let gift = |amount| market.record(&demander(0), transfer(&miner(1), amount));
    let balance = market.balance(&demander(0));
    let fee = micros(1_000 * i64::try_from(encode(&gift(balance)).len()).unwrap());
    let gift = gift(balance - fee);
    market.accept(ProposedBatch { records: vec![gift], ..ProposedBatch::default() });
    assert_eq!(market.balance(&demander(0)), Money::ZERO);
    let burned = market.ledger.burned();
    let back = market.record(&demander(0), Statement::DemandCancellation { demand: market.demand(0) });
    let withdrawal = market.record(&provider_of(0), Statement::OfferWithdrawal);
    market.accept(ProposedBatch { records: vec![back, withdrawal], ..ProposedBatch::default() });
    assert_eq!(market.ledger.burned(), burned);
}
