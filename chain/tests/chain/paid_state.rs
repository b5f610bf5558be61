//! What stands in the state is paid for: by what an account keeps.

use chain::ledger::{AccountError, RecordOutlook, StatementError};
use chain::{RecordError, RecordRule, SecretKey, Statement};
use scenarios::Money;

use crate::market::{
    Market, ProposedBlock, demand_statement, demander, micros, miner, transfer, treasurer, units,
};

/// The small market where an account keeps 5 $.
fn market() -> Market {
    Market::open_with(|genesis| {
        genesis.parameters.account_min = units(5);
        for balance in genesis.balances.values_mut() {
            *balance = *balance + units(5);
        }
    })
}

/// Why the record that states this is refused, now and by itself.
fn refusal(market: &Market, author: &SecretKey, statement: Statement) -> StatementError {
    let record = market.record(author, statement);
    assert_eq!(chain::check_record(market.network(), &record), Ok(()));
    let records = vec![record.clone()];
    assert!(market.draft(ProposedBlock { records, ..ProposedBlock::default() }).is_err());
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
    market.accept(ProposedBlock { records: vec![all], ..ProposedBlock::default() });
    assert_eq!((market.balance(&treasurer()), market.balance(&miner(1))), (units(5), units(1_000)));
}

#[test]
fn whose_money_is_all_in_escrow_can_still_cancel() {
    let mut market = market();
    assert_eq!(market.ledger.spendable(demander(0).public().address()), Money::ZERO);
    let cancel = Statement::DemandCancellation { demand: market.demand(0) };
    let records = vec![market.record(&demander(0), cancel)];
    market.accept(ProposedBlock { records, ..ProposedBlock::default() });
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
        market.accept(ProposedBlock { records: vec![record], ..ProposedBlock::default() });
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
        market.accept(ProposedBlock { records: vec![record], ..ProposedBlock::default() });
    }
    assert_eq!((10..19).map(|index| market.balance(&miner(index))).collect::<Vec<_>>(), vec![units(5); 9]);
    assert_eq!(market.balance(&miner(19)), units(1_000 - 9 * 5));
}
