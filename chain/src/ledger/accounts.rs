//! The room of accounts: who has how much, the market's own two accounts, and the sequence numbers by which an author's
//! records are told apart. Money held for a demand is the market's ([`super::market`]).
//!
//! **An account pays for its place.** An author's sequence number can never leave the state, or its old records could be
//! brought again. So whoever states anything has `account_min` in its account, no statement takes that out again, and a
//! transfer leaves its recipient with no less: entries are as many as somebody has put money away for.

use std::collections::BTreeSet;

use rpds::RedBlackTreeMapSync;
use scenarios::Money;

use super::defect::Defect;
use super::root::StateKey;
use crate::genesis::Genesis;
use crate::key::Address;
use crate::record_rule::RecordRule;

/// Why a record is refused over its author's account.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum AccountError {
    /// Its author has already used this sequence number: the record is replayed, or competes with another.
    #[error("sequence {got} of {} is used, the next is {expected}", .author.short())]
    SequenceUsed { author: Address, got: u64, expected: u64 },
    /// An earlier record of the author is missing.
    #[error("sequence {got} of {} leaves a gap, the next is {expected}", .author.short())]
    SequenceGap { author: Address, got: u64, expected: u64 },
    /// Its author has less than an account must have.
    #[error("the balance of {} is {got}, expected at least {expected} of whoever states anything", .author.short())]
    BelowMinimum {
        author: Address,
        got: Money,
        /// `account_min`.
        expected: Money,
    },
    /// Its author cannot pay for the record's bytes.
    #[error("{} can spend {got}, {expected} is the fee for the record's bytes", .author.short())]
    Fee {
        author: Address,
        /// What its account has above `account_min`.
        got: Money,
        /// Its canonical bytes at `fee_per_byte`.
        expected: Money,
    },
    /// A transfer of more than its author can spend.
    #[error("{} can spend {got}, {expected} is given away", .author.short())]
    Overdraft {
        author: Address,
        /// What its account has above `account_min`.
        got: Money,
        expected: Money,
    },
    /// A transfer that would leave its recipient with less than an account must have.
    #[error("the transfer leaves {} with {got}, expected at least {expected}", .recipient.short())]
    RecipientBelowMinimum {
        recipient: Address,
        got: Money,
        /// `account_min`.
        expected: Money,
    },
}

impl AccountError {
    /// The rule's name, for logs and tables.
    pub const fn rule(&self) -> RecordRule {
        match self {
            Self::SequenceUsed { .. } => RecordRule::Replayed,
            Self::SequenceGap { .. } => RecordRule::SequenceGap,
            Self::BelowMinimum { .. } => RecordRule::AccountMin,
            Self::Fee { .. } => RecordRule::Fee,
            Self::Overdraft { .. } => RecordRule::Overdraft,
            Self::RecipientBelowMinimum { .. } => RecordRule::RecipientMin,
        }
    }
}

/// Balances, sequence numbers, and the market's account of carriers. Cloning shares what is large.
#[derive(Clone, Debug)]
pub(crate) struct Accounts {
    balances: RedBlackTreeMapSync<Address, Money>,
    sequences: RedBlackTreeMapSync<Address, u64>,
    /// What an account keeps as long as it stands.
    account_min: Money,
    /// What the carriers have been paid.
    carrier: Money,
    /// What was paid for bytes, and forfeited: nobody has it.
    burned: Money,
    /// What changed since the state tree was last brought up to date.
    touched: BTreeSet<StateKey>,
}

impl Accounts {
    pub(super) fn new(genesis: &Genesis) -> Self {
        let balances = genesis.balances.iter().map(|(&address, &balance)| (address, balance));
        Self {
            balances: balances.collect(),
            sequences: RedBlackTreeMapSync::new_sync(),
            account_min: genesis.parameters.account_min,
            carrier: Money::ZERO,
            burned: Money::ZERO,
            touched: BTreeSet::new(),
        }
    }

    pub(super) fn balance(&self, address: Address) -> Money {
        self.stored_balance(address).unwrap_or(Money::ZERO)
    }

    /// A balance that has an entry in the state.
    pub(super) fn stored_balance(&self, address: Address) -> Option<Money> {
        self.balances.get(&address).copied()
    }

    pub(super) fn next_sequence(&self, author: Address) -> u64 {
        self.stored_sequence(author).unwrap_or(0)
    }

    /// A sequence number that has an entry in the state.
    pub(super) fn stored_sequence(&self, author: Address) -> Option<u64> {
        self.sequences.get(&author).copied()
    }

    pub(super) const fn carrier(&self) -> Money {
        self.carrier
    }

    pub(super) const fn burned(&self) -> Money {
        self.burned
    }

    /// Gives money to somebody. A recipient of nothing gets no account.
    pub(super) fn credit(&mut self, address: Address, amount: Money) -> Result<(), Defect> {
        if amount == Money::ZERO {
            return Ok(());
        }
        let balance = raised(self.balance(address), amount).ok_or(Defect::Balance)?;
        self.balances.insert_mut(address, balance);
        self.touched.insert(StateKey::Balance(address));
        Ok(())
    }

    /// Takes money from somebody who has it. An account with nothing left is closed.
    pub(super) fn debit(&mut self, address: Address, amount: Money) -> Result<(), Defect> {
        let left = self.balance(address).checked_sub(amount);
        let left = left.filter(|left| *left >= Money::ZERO && amount >= Money::ZERO);
        let balance = left.ok_or(Defect::Balance)?;
        if balance == Money::ZERO {
            self.balances.remove_mut(&address);
        } else {
            self.balances.insert_mut(address, balance);
        }
        self.touched.insert(StateKey::Balance(address));
        Ok(())
    }

    pub(super) fn credit_carrier(&mut self, amount: Money) -> Result<(), Defect> {
        self.carrier = raised(self.carrier, amount).ok_or(Defect::MarketAccount)?;
        self.touched.insert(StateKey::Carrier);
        Ok(())
    }

    /// Takes money from somebody who has it, for nobody.
    pub(super) fn burn(&mut self, address: Address, amount: Money) -> Result<(), Defect> {
        if amount == Money::ZERO {
            return Ok(());
        }
        self.debit(address, amount)?;
        self.burned = raised(self.burned, amount).ok_or(Defect::MarketAccount)?;
        self.touched.insert(StateKey::Burned);
        Ok(())
    }

    /// A record must have its author's next number.
    pub(super) fn validate_sequence(&self, author: Address, got: u64) -> Result<(), AccountError> {
        let expected = self.next_sequence(author);
        match got.cmp(&expected) {
            std::cmp::Ordering::Less => Err(AccountError::SequenceUsed { author, got, expected }),
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Greater => Err(AccountError::SequenceGap { author, got, expected }),
        }
    }

    /// Uses up an author's number.
    pub(super) fn use_sequence(&mut self, author: Address, sequence: u64) -> Result<(), Defect> {
        let next = sequence.checked_add(1).ok_or(Defect::Sequence)?;
        self.sequences.insert_mut(author, next);
        self.touched.insert(StateKey::Sequence(author));
        Ok(())
    }

    /// What a statement of this author may take from its account; nothing, if it has less than it must keep.
    pub(super) fn spendable(&self, author: Address) -> Money {
        self.balance(author).checked_sub(self.account_min).unwrap_or(Money::ZERO).max(Money::ZERO)
    }

    /// Whoever states anything has what an account must have.
    pub(super) fn validate_author(&self, author: Address) -> Result<(), AccountError> {
        let (got, expected) = (self.balance(author), self.account_min);
        if got < expected { Err(AccountError::BelowMinimum { author, got, expected }) } else { Ok(()) }
    }

    /// Whoever states something can pay for its bytes.
    pub(super) fn validate_fee(&self, author: Address, fee: Money) -> Result<(), AccountError> {
        let (got, expected) = (self.spendable(author), fee);
        if got < expected { Err(AccountError::Fee { author, got, expected }) } else { Ok(()) }
    }

    pub(super) fn validate_transfer(
        &self,
        author: Address,
        to: Address,
        amount: Money,
    ) -> Result<(), AccountError> {
        let got = self.spendable(author);
        if got < amount {
            return Err(AccountError::Overdraft { author, got, expected: amount });
        }
        // All money there is fits, so that this cannot.
        let left = self.balance(to).checked_add(amount).unwrap_or(amount);
        if left < self.account_min {
            let (got, expected) = (left, self.account_min);
            return Err(AccountError::RecipientBelowMinimum { recipient: to, got, expected });
        }
        Ok(())
    }

    pub(super) fn transfer(&mut self, from: Address, to: Address, amount: Money) -> Result<(), Defect> {
        self.debit(from, amount)?;
        self.credit(to, amount)
    }

    /// All money in accounts, what was burned included, in micro-units.
    pub(super) fn total_money(&self) -> i128 {
        let accounts = self.balances.values().chain([&self.carrier, &self.burned]);
        accounts.map(|amount| i128::from(amount.micros())).sum()
    }

    /// The keys of all its entries of the state.
    pub(super) fn keys(&self) -> impl Iterator<Item = StateKey> {
        let balances = self.balances.keys().copied().map(StateKey::Balance);
        let sequences = self.sequences.keys().copied().map(StateKey::Sequence);
        balances.chain(sequences).chain([StateKey::Carrier, StateKey::Burned])
    }

    pub(super) fn take_touched(&mut self) -> BTreeSet<StateKey> {
        std::mem::take(&mut self.touched)
    }
}

/// An account with this much more in it. Never with less: whatever a statement says, it takes nothing out.
fn raised(account: Money, amount: Money) -> Option<Money> {
    account.checked_add(amount).filter(|_| amount >= Money::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Hash;

    #[test]
    fn no_account_is_credited_or_debited_less_than_nothing() {
        let owner = Address(Hash([1; 32]));
        let mut accounts = Accounts {
            balances: [(owner, Money::from_units(3))].into_iter().collect(),
            sequences: RedBlackTreeMapSync::new_sync(),
            account_min: Money::ZERO,
            carrier: Money::from_units(3),
            burned: Money::ZERO,
            touched: BTreeSet::new(),
        };
        let less = Money::from_micros(-1);
        assert_eq!(accounts.credit(owner, less), Err(Defect::Balance));
        assert_eq!(accounts.debit(owner, less), Err(Defect::Balance));
        assert_eq!(accounts.credit_carrier(less), Err(Defect::MarketAccount));
        assert_eq!((accounts.balance(owner), accounts.total_money()), (Money::from_units(3), 6_000_000));
    }
}
