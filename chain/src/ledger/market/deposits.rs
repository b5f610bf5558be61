//! What an offer costs its provider as long as it stands: a deposit for each operation offered, and for each minute beyond those of
//! genesis.
//!
//! The deposit of an offer is locked when a record brings it. Where an offer is replaced by a larger one, what is missing
//! is locked, too; what is locked beyond the terms in force returns at the end of the first batch after which nothing
//! standing rests on the provider. A provider keeps its place among the providers for ever, withdrawn or not, so the deposit of one
//! operation stays with that place. Offers of genesis have none.

use std::collections::BTreeSet;

use scenarios::{Money, ProviderId};

use super::notices::{Change, Subject};
use super::providers::Locking;
use super::statements::MarketStatementError;
use crate::key::Address;
use crate::ledger::defect::Defect;
use crate::ledger::state::State;
use crate::record::OfferStatement;

impl State {
    /// The provider can lock what is missing of the deposit for an offer, whose minutes have a limit if anything is locked for them.
    pub(super) fn validate_deposit(
        &self,
        author: Address,
        offer: &OfferStatement,
    ) -> Result<(), MarketStatementError> {
        let id = self.providers.id_of(author);
        if offer.capacity.is_none() && !self.providers.may_be_unlimited(id) {
            return Err(MarketStatementError::UnlimitedCapacity { author });
        }
        let locked = id.map_or(Money::ZERO, |id| self.providers.deposit(id));
        let required = self.providers.deposit_for(id, &self.locking(offer));
        let got = self.accounts.spendable(author);
        // What cannot be said in money cannot be paid either.
        match required.and_then(|required| required.checked_sub(locked)) {
            Some(missing) if missing <= got.max(Money::ZERO) => Ok(()),
            missing => {
                let expected = missing.unwrap_or(Money::from_micros(i64::MAX));
                Err(MarketStatementError::InsufficientDeposit { author, got, expected })
            }
        }
    }

    /// Locks what is missing of the deposit for a provider's terms. What is too much returns at the end of the batch.
    pub(super) fn lock_deposit(&mut self, id: ProviderId) -> Result<(), Defect> {
        let required = self.required_deposit(id)?;
        let missing = required.checked_sub(self.providers.deposit(id)).ok_or(Defect::Deposit)?;
        if missing <= Money::ZERO {
            return Ok(());
        }
        let author = self.providers.address_of(id).ok_or(Defect::ProviderId)?;
        self.accounts.debit(author, missing)?;
        self.providers.set_deposit(id, required)
    }

    /// Gives back what is locked beyond the terms in force, unless something standing rests on the provider.
    pub(in crate::ledger) fn release_deposit(&mut self, id: ProviderId) -> Result<(), Defect> {
        let required = self.required_deposit(id)?;
        let excess = self.providers.deposit(id).checked_sub(required).ok_or(Defect::Deposit)?;
        if excess <= Money::ZERO || self.providers.is_rested_on(id) {
            return Ok(());
        }
        let author = self.providers.address_of(id).ok_or(Defect::ProviderId)?;
        self.accounts.credit(author, excess)?;
        self.providers.set_deposit(id, required)
    }

    /// The same for several, in order of id.
    pub(in crate::ledger) fn release_deposits(&mut self, ids: &BTreeSet<ProviderId>) -> Result<(), Defect> {
        ids.iter().try_for_each(|&id| self.release_deposit(id))
    }

    /// What an offer states of its minutes and of what it locks.
    fn locking(&self, offer: &OfferStatement) -> Locking {
        let OfferStatement { offers, capacity, deposit, .. } = offer;
        let periods = self.providers.supply().horizon.periods;
        let minutes = capacity.as_ref().map(|calendar| calendar.most_total(periods));
        Locking { operations: offers.len(), minutes, per_operation: *deposit }
    }

    fn required_deposit(&self, id: ProviderId) -> Result<Money, Defect> {
        let author = self.providers.address_of(id).ok_or(Defect::ProviderId)?;
        let announced = match self.notices.get(Subject::Offer(author)).map(|notice| &notice.change) {
            Some(Change::Offer(offer)) => Some(self.locking(offer)),
            Some(Change::Withdrawal | Change::Cancellation) | None => None,
        };
        let in_force = self.providers.locking(id).ok_or(Defect::ProviderId)?;
        let required = |terms: &Locking| self.providers.deposit_for(Some(id), terms).ok_or(Defect::Deposit);
        let announced = announced.as_ref().map_or(Ok(Money::ZERO), required)?;
        Ok(required(&in_force)?.max(announced))
    }
}
