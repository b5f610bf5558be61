//! Which keys have standing, that is, something to lose: what a ledger says about a key, by which nodes tell one that was
//! dear to come by from one that was drawn a millisecond ago. Keys are free, so everything that is shared out among
//! nodes (cells of the market, places in tables, dials, work done on request) is shared out by this first.

use std::collections::BTreeSet;

use chain::{Address, Ledger, PublicKey};
use scenarios::Money;

/// An account has standing from this part of all money on: there can never be more than a hundred such keys, however
/// they are funded, and whoever holds a tenth of all money has ten. A share needs no tuning as an amount would.
const MONEY_PARTS: i128 = 100;

/// How dear a key was to come by; a greater one comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// None: a newcomer, or one of a thousand keys of somebody's.
    #[default]
    Stranger,
    /// It holds a hundredth of all money, or a composition of its making stands on chain and is not settled yet.
    Established,
    /// Genesis names it as a validator.
    Validator,
}

/// What of a ledger makes standing: looked up once per head, for the ledger may be large.
#[derive(Debug)]
pub(super) struct Standings {
    /// Who composed, first or anew, what stands unsettled.
    composers: BTreeSet<Address>,
    /// The least balance that makes standing.
    money: Money,
}

impl Standings {
    /// Of a ledger. Money is conserved, so the threshold is that of every later head.
    pub(super) fn of(ledger: &Ledger) -> Self {
        let part = i64::try_from(ledger.total_money() / MONEY_PARTS).unwrap_or(i64::MAX);
        Self { composers: composers(ledger), money: Money::from_micros(part.max(1)) }
    }

    /// The head has moved on to that of `ledger`.
    pub(super) fn on_head(&mut self, ledger: &Ledger) {
        self.composers = composers(ledger);
    }

    /// The standing of a key at the head of `ledger`, which must be the one last seen.
    pub(super) fn of_key(&self, key: &PublicKey, ledger: &Ledger) -> Standing {
        if ledger.network().validators().index_of(key).is_some() {
            return Standing::Validator;
        }
        let address = key.address();
        let is_established = self.composers.contains(&address) || ledger.balance(address) >= self.money;
        if is_established { Standing::Established } else { Standing::Stranger }
    }
}

fn composers(ledger: &Ledger) -> BTreeSet<Address> {
    let standing = ledger.demands().filter_map(|(_, entry)| entry.composition());
    standing.flat_map(|composition| [composition.miner, composition.author()]).collect()
}
