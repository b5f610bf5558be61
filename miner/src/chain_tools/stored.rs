//! Walking through a stored chain, every batch verified on the way.

use std::sync::Arc;

use chain::ledger::{DemandEntry, DemandStatus};
use chain::store::{ReplayError, replay_with};
use chain::{FinalBatch, Hash, Ledger};
use scenarios::Money;
use serde::Serialize;

use super::NodeChain;

/// What verifying a chain from genesis found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct Verified {
    pub network: chain::NetworkId,
    pub name: String,
    /// Batches, all verified; the head's height.
    pub height: u64,
    pub head: chain::BatchHash,
    /// When the head was made, in milliseconds since the Unix epoch.
    pub timestamp_ms: u64,
    /// State root after it.
    pub state_root: Hash,
    pub records: u64,
    /// Demands by where they stand.
    pub demands: DemandCounts,
    /// All money wherever it lies, in micro-units; it has been compared with genesis.
    pub money_micros: i128,
    /// What of it lies where.
    pub accounts: Accounts,
}

/// Demands by where they stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DemandCounts {
    /// Waiting to be composed.
    pub open: u64,
    /// Composed, not settled.
    pub composed: u64,
    /// Settled.
    pub frozen: u64,
    /// Taken back.
    pub cancelled: u64,
    /// Still open when their time had come.
    pub expired: u64,
}

impl DemandCounts {
    fn add(&mut self, entry: &DemandEntry) {
        *match entry.status {
            DemandStatus::Open => &mut self.open,
            DemandStatus::Composed(_) => &mut self.composed,
            DemandStatus::Frozen { .. } => &mut self.frozen,
            DemandStatus::Cancelled { .. } => &mut self.cancelled,
            DemandStatus::Expired { .. } => &mut self.expired,
        } += 1;
    }
}

/// Where the money lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Accounts {
    /// In balances, all together.
    pub balances: Money,
    /// In escrow for demands.
    pub escrow: Money,
    /// In clearing accounts.
    pub clearing: Money,
    /// Locked for offers.
    pub deposits: Money,
    /// In the carrier account.
    pub carrier: Money,
    /// Paid for bytes, and forfeited.
    pub burned: Money,
}

/// Why a chain does not stand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum ChainError {
    /// A batch breaks a rule, is missing or is not final; the chain stands up to the one before.
    #[error("the chain does not stand: {0}")]
    Replay(#[from] ReplayError),
    /// Money appeared or vanished, although every batch kept the rules.
    #[error("money is not conserved: {got} micro-units at height {height}, {expected} at genesis")]
    Money {
        height: u64,
        got: i128,
        /// The sum at genesis.
        expected: i128,
    },
}

impl NodeChain {
    /// Verifies the whole chain from genesis, showing each batch to `observe` as it is found to stand;
    /// returns the ledger at the head.
    ///
    /// # Errors
    /// The first height at which it does not stand.
    pub fn walk(&self, mut observe: impl FnMut(&FinalBatch)) -> Result<Ledger, ChainError> {
        let expected = Ledger::new(Arc::clone(&self.network)).total_money();
        let mut leak = None;
        let ledger = replay_with(&self.store, Arc::clone(&self.network), |done| {
            let got = done.ledger().total_money();
            if got != expected && leak.is_none() {
                leak = Some(ChainError::Money { height: done.ledger().head().height, got, expected });
            }
            observe(done);
        })?;
        leak.map_or(Ok(ledger), Err)
    }

    /// Verifies the whole chain from genesis.
    ///
    /// # Errors
    /// The first height at which it does not stand.
    pub fn verify(&self, mut observe: impl FnMut(&FinalBatch)) -> Result<Verified, ChainError> {
        let (mut records, mut demands) = (0, DemandCounts::default());
        let ledger = self.walk(|done| {
            records += u64::from(done.report().records);
            for (_, entry) in &done.report().departed {
                demands.add(entry);
            }
            observe(done);
        })?;
        for (_, entry) in ledger.demands() {
            demands.add(entry);
        }
        let head = ledger.head();
        Ok(Verified {
            network: self.network.id(),
            name: self.network.genesis().name.clone(),
            height: head.height,
            head: head.hash,
            timestamp_ms: head.timestamp_ms,
            state_root: ledger.state_root(),
            records,
            demands,
            money_micros: ledger.total_money(),
            accounts: accounts(&ledger),
        })
    }
}

fn accounts(ledger: &Ledger) -> Accounts {
    let mut accounts =
        Accounts { carrier: ledger.carrier_account(), burned: ledger.burned(), ..Accounts::default() };
    for (_, entry) in ledger.demands() {
        accounts.escrow += entry.escrow;
        accounts.clearing += entry.clearing;
    }
    accounts.deposits = ledger.supply().provider_ids().map(|id| ledger.deposit(id)).sum();
    let elsewhere =
        [accounts.escrow, accounts.clearing, accounts.deposits, accounts.carrier, accounts.burned];
    let elsewhere: i128 = elsewhere.iter().map(|amount| i128::from(amount.micros())).sum();
    // Genesis bounds all money together by 2^61.
    let balances = i64::try_from(ledger.total_money() - elsewhere).unwrap_or(i64::MAX);
    accounts.balances = Money::from_micros(balances);
    accounts
}
