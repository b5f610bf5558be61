//! The ledger: everything the network knows after a batch. It changes in one way only, by a validated
//! batch ([`crate::validate`]), and never in place: validation builds the next one aside.
//!
//! Its rooms are [`accounts`] and [`market`]: each holds its part of the state, checks the statements about it and carries
//! them out, says why it refuses, and gives its entries of the state tree. What a batch does, room by room, is in
//! `transition`; which room a record is for, in `records`; the state root in [`root`].

pub mod accounts;
mod accused;
mod anchors;
pub mod cohorts;
mod defect;
pub mod market;
pub(crate) mod records;
pub mod root;
pub(crate) mod state;
pub(crate) mod transition;

use std::collections::BTreeMap;
use std::sync::Arc;

use scenarios::{DualPrices, Minutes, Money, Period, ProviderId, SharedSupply, Slot};

use crate::batch::BatchHash;
use crate::block::{Block, BlockHash};
use crate::commitment::SignedCommitment;
use crate::consensus::{DoubleVote, EvidenceError};
use crate::genesis::Network;
use crate::hash::Hash;
use crate::key::{Address, PublicKey};
use crate::merkle::merkle_root;
use crate::record::{DemandId, Height, Record, RecordId};

pub use accounts::AccountError;
pub use cohorts::{Cohort, CommitmentError, RevealError};
pub use defect::Defect;
pub use market::{
    Change, DemandEntry, DemandStatus, DemandTotals, Departed, Holder, Market, MarketDemand, MarketError,
    MarketStatementError, Notice, PriceTotals, Standing, Subject, Usage,
};
pub use records::{BringError, RecordOutlook, RecordTrial, StatementError};
pub use root::{StateEntry, StateKey, StateProof};
pub use transition::{BatchReport, BlockOutcome, Dropped};

use state::{Moment, State};

/// The last batch, or genesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its height; genesis is 0.
    pub height: Height,
    /// Its hash; genesis is named by the network id.
    pub hash: BatchHash,
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: u64,
    /// Merkle root of what became of the blocks that took effect with it; the next header says it.
    pub outcomes_root: Hash,
    /// It did something that somebody may want to prove, which takes the state root in the next header.
    pub awaits_seal: bool,
}

/// The state of the network after a batch. Cloning shares what is large.
#[derive(Clone, Debug)]
pub struct Ledger {
    pub(crate) network: Arc<Network>,
    pub(crate) head: Head,
    pub(crate) state: State,
}

impl Ledger {
    /// The state before the first batch.
    pub fn new(network: Arc<Network>) -> Self {
        let head = Head {
            height: 0,
            hash: network.genesis_batch(),
            timestamp_ms: network.genesis().timestamp_ms,
            outcomes_root: merkle_root::<Vec<u8>>(&[]),
            awaits_seal: false,
        };
        Self { state: State::new(network.genesis()), network, head }
    }

    /// The rules it keeps to.
    pub const fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// The last batch.
    pub const fn head(&self) -> &Head {
        &self.head
    }

    /// Whether a block on this anchor may be in the next batch.
    pub(crate) fn is_anchor(&self, anchor: BatchHash) -> bool {
        let window_ms = self.network.parameters().anchor_window_ms;
        let oldest_ms = self.head.timestamp_ms.saturating_sub(window_ms);
        anchor == self.head.hash
            || self.state.anchors.time_of(anchor).is_some_and(|time_ms| time_ms >= oldest_ms)
    }

    /// Whether a batch of the last while has brought a block.
    pub(crate) fn was_brought(&self, block: BlockHash) -> bool {
        self.state.anchors.brought(block.0).is_some()
    }

    /// Whether the next batch may bring a commitment, right by itself
    /// ([`crate::validate::verify_commitment`]), as the only one.
    ///
    /// # Errors
    /// The first rule broken.
    pub fn validate_commitment(&self, signed: &SignedCommitment) -> Result<(), CommitmentError> {
        let got = signed.commitment.anchor;
        if !self.is_anchor(got) {
            let window_ms = self.network.parameters().anchor_window_ms;
            return Err(CommitmentError::NoAnchor { got, window_ms });
        }
        self.state.validate_commitment(&self.network, signed)
    }

    /// Whether the next batch may reveal a block.
    ///
    /// # Errors
    /// The first rule broken.
    pub fn validate_reveal(&self, block: &Block) -> Result<(), RevealError> {
        self.state.cohorts.validate_reveal(block).map(|_| ())
    }

    /// The cohorts that have not taken effect, with the heights that brought their commitments; the oldest first.
    pub fn cohorts(&self) -> impl Iterator<Item = (Height, &Cohort)> {
        self.state.cohorts.iter().map(|(height, cohort)| (height, cohort.as_ref()))
    }

    /// Whether the next batch may bring evidence, right by itself ([`DoubleVote::verify`]).
    ///
    /// # Errors
    /// The first rule broken.
    pub fn validate_evidence(&self, evidence: &DoubleVote) -> Result<(), EvidenceError> {
        self.state.accused.validate(evidence, self.head.height.saturating_add(1))
    }

    /// The height of the batch that brought evidence against a validator, by position.
    pub fn accused_since(&self, validator: u16) -> Option<Height> {
        self.state.accused.since(validator)
    }

    /// Whether anything that is committed to has not taken effect.
    pub fn awaits_turns(&self) -> bool {
        self.state.cohorts.iter().next().is_some()
    }

    /// Whether a cohort takes effect with the next batch, if it has this proposer and is its turn for cohorts up to `turn`.
    pub(crate) fn is_turn_due(&self, proposer: &PublicKey, turn: Height) -> bool {
        let (mut cohorts, validators) = (self.state.cohorts.clone(), self.network.validators());
        if let Some(validator) = validators.index_of(proposer) {
            cohorts.take_turn(validator, turn);
        }
        cohorts.take_due(validators).is_some()
    }

    /// What was paid for bytes, and forfeited.
    pub const fn burned(&self) -> Money {
        self.state.accounts.burned()
    }

    /// Whether a demand is on the market and not composed.
    pub(crate) fn validate_open(&self, demand: DemandId) -> Result<(), MarketError> {
        self.state.demands.open(demand).map(|_| ())
    }

    /// What is in somebody's account.
    pub fn balance(&self, address: Address) -> Money {
        self.state.accounts.balance(address)
    }

    /// What of it a statement may take: all but what an account must keep.
    pub fn spendable(&self, address: Address) -> Money {
        self.state.accounts.spendable(address)
    }

    /// The sequence number the author's next record must have.
    pub fn next_sequence(&self, author: Address) -> u64 {
        self.state.accounts.next_sequence(author)
    }

    /// A demand of the market, open or composed. One that was settled, cancelled or expired has left it: see
    /// [`BatchReport::departed`].
    pub fn demand(&self, id: DemandId) -> Option<&DemandEntry> {
        self.state.demands.get(id).map(Arc::as_ref)
    }

    /// All demands of the market, by id.
    pub fn demands(&self) -> impl Iterator<Item = (DemandId, &DemandEntry)> {
        self.state.demands.iter().map(|(id, entry)| (id, entry.as_ref()))
    }

    /// How many demands ever came on chain, those that left the market included; it never falls.
    pub const fn demands_seen(&self) -> u64 {
        self.state.demands.totals().seen
    }

    /// How many demands came and left.
    pub const fn demand_totals(&self) -> DemandTotals {
        self.state.demands.totals()
    }

    /// The next batch's moment, if it has this time. What the time since the head exceeds `halt_after_ms` by was a halt.
    fn moment(&self, timestamp_ms: u64) -> Result<Moment, Defect> {
        let height = self.head.height.checked_add(1).ok_or(Defect::Height)?;
        let passed_ms = timestamp_ms.saturating_sub(self.head.timestamp_ms);
        let halt_ms = passed_ms.saturating_sub(self.network.parameters().halt_after_ms);
        let halted_ms = self.state.halted_ms.checked_add(halt_ms).ok_or(Defect::Height)?;
        Ok(Moment { height, timestamp_ms, halted_ms })
    }

    /// The head's market time, which all waits are measured in: the time of batches less what was halted, in milliseconds.
    pub const fn market_ms(&self) -> u64 {
        self.head.timestamp_ms.saturating_sub(self.state.halted_ms)
    }

    /// Whether the next batch, at this time, may be empty: something waits for market time to pass, or leaves with it, or no
    /// header says yet what the last batch led to.
    pub fn is_waiting(&self, timestamp_ms: u64) -> bool {
        self.head.awaits_seal
            || self.awaits_turns()
            || self.awaits_relaxation(timestamp_ms)
            || self.awaits_settlement()
            || self.first_departure().is_some_and(|due_ms| due_ms <= timestamp_ms)
    }

    /// Whether acceptance of an open demand is not fully relaxed in the next batch, if it has this time.
    pub fn awaits_relaxation(&self, timestamp_ms: u64) -> bool {
        let Ok(at) = self.moment(timestamp_ms) else { return false };
        if self.network.references().is_some() {
            return false; // by the measure of paper A nothing relaxes
        }
        // The youngest is the last to be relaxed.
        let youngest = self.state.demands.youngest_open();
        let age_ms = |since_ms| at.market_ms().saturating_sub(since_ms);
        youngest.is_some_and(|since_ms| !self.network.parameters().is_relaxed(age_ms(since_ms)))
    }

    /// From when on an open demand asks a composition for no more than this; milliseconds since the Unix epoch, if no halt
    /// comes between, if there is this much to earn. `None` if there is no such demand.
    pub fn accepts_from(&self, demand: DemandId, fee: Money, earned: Money) -> Option<u64> {
        let (entry, parameters) = (self.demand(demand)?, self.network.parameters());
        let asks_more = |age_ms| {
            let required = fee.checked_ppm(parameters.required_ppm(age_ms));
            required.is_some_and(|required| required > earned)
        };
        // What is asked for never rises with age.
        let (mut too_young, mut old_enough) = (0, parameters.relaxed_from_ms());
        while asks_more(too_young) && too_young.saturating_add(1) < old_enough {
            let age_ms = too_young.midpoint(old_enough);
            if asks_more(age_ms) { too_young = age_ms } else { old_enough = age_ms }
        }
        let age_ms = if asks_more(too_young) { old_enough } else { too_young };
        entry.since_ms.checked_add(age_ms)?.checked_add(self.state.halted_ms)
    }

    /// From when on the next batch takes a demand off the market, because it expires or freezes, or lets take effect what was announced; milliseconds since the
    /// Unix epoch. `None` also if the next freeze is too far off for the next batch, however late that is, for market
    /// time stands still during a halt: other batches have to come before.
    pub fn first_departure(&self) -> Option<u64> {
        let (demands, notices) = (&self.state.demands, &self.state.notices);
        let fixed = demands.first_expiry().into_iter().chain(self.next_period_ms());
        let freeze = demands.first_freeze();
        self.departure(fixed, freeze, notices.first_due())
    }

    /// The same of demands for which the time after this one is to come.
    pub fn next_departure_after(&self, timestamp_ms: u64) -> Option<u64> {
        let demands = &self.state.demands;
        let at = self.moment(timestamp_ms).ok()?;
        let notice = self.state.notices.next_due_after(at.market_ms());
        let freeze = demands.next_freeze_after(demands.freezing_clock(at));
        let fixed = demands.next_expiry_after(timestamp_ms).into_iter().chain(self.next_period_ms());
        self.departure(fixed.filter(|time_ms| *time_ms > timestamp_ms), freeze, notice)
    }

    /// When the first period that can be planned now cannot be planned any more, if anybody waits to be composed.
    fn next_period_ms(&self) -> Option<u64> {
        let is_awaited = self.state.demands.youngest_open().is_some();
        let until_ms = self.network.plannable_until(self.supply().horizon.first);
        (is_awaited && until_ms < u64::MAX).then_some(until_ms)
    }

    /// The earliest of times, of a freeze, and of a notice, which is in market time, as a time that the next batch can have.
    fn departure(
        &self,
        fixed_ms: impl Iterator<Item = u64>,
        freeze_ms: Option<u64>,
        notice_ms: Option<u64>,
    ) -> Option<u64> {
        let latest_ms = self.head.timestamp_ms.saturating_add(self.network.parameters().halt_after_ms);
        let market = |market_ms: u64| market_ms.saturating_add(self.state.halted_ms);
        let (freeze, frozen) =
            if self.state.demands.has_calendar() { (None, freeze_ms) } else { (freeze_ms, None) };
        let waits = freeze.into_iter().chain(notice_ms).map(market).filter(|time_ms| *time_ms <= latest_ms);
        fixed_ms.chain(frozen).chain(waits).min()
    }

    /// Whether a composition is yet to be frozen and paid.
    pub fn awaits_settlement(&self) -> bool {
        self.state.demands.has_composed()
    }

    /// All live offers; stated capacities, not what is left of them. See [`Ledger::market`].
    pub const fn supply(&self) -> &SharedSupply {
        self.state.providers.supply()
    }

    /// The offers that compositions are valued by: all live ones but those of limited capacity that became better since prices were last
    /// updated, and so are priced by nobody yet; for `freeze_after_ms` at most.
    pub const fn valued_supply(&self) -> &SharedSupply {
        self.state.providers.valued()
    }

    /// The providers whose offers are not in [`Self::valued_supply`].
    pub fn unvalued(&self) -> impl Iterator<Item = ProviderId> {
        self.state.providers.unvalued()
    }

    /// What was announced about an offer or a demand and is not so yet.
    pub fn notice(&self, subject: Subject) -> Option<&Notice> {
        self.state.notices.get(subject)
    }

    /// The provider with this address.
    pub fn provider_id(&self, address: Address) -> Option<ProviderId> {
        self.state.providers.id_of(address)
    }

    /// Who is paid for this provider's work.
    pub fn provider_address(&self, id: ProviderId) -> Option<Address> {
        self.state.providers.address_of(id)
    }

    /// What is locked of a provider's money for its offer.
    pub fn deposit(&self, id: ProviderId) -> Money {
        self.state.providers.deposit(id)
    }

    /// How many minutes a provider, or somebody who is none yet, may offer without locking anything for them; `None` is unlimited.
    pub fn vouched_minutes(&self, id: Option<ProviderId>) -> Option<Minutes> {
        self.state.providers.vouched(id)
    }

    /// The minutes compositions take of a slot.
    pub fn usage(&self, slot: Slot) -> Usage {
        self.state.providers.usage(slot)
    }

    /// The minutes compositions take of a provider, by period; of periods that are not listed none.
    pub fn usage_of(&self, id: ProviderId) -> BTreeMap<Period, Usage> {
        self.state.providers.usage_of(id)
    }

    /// In dedicated allocation: who holds a provider.
    pub fn holder(&self, id: ProviderId) -> Option<&Holder> {
        self.state.providers.holder(id)
    }

    /// The dual prices in force.
    pub fn prices(&self) -> &DualPrices {
        self.state.providers.prices()
    }

    /// How often the prices were updated, and whose they are.
    pub const fn price_totals(&self) -> &PriceTotals {
        self.state.price_authors.totals()
    }

    /// What the carriers have been paid.
    pub const fn carrier_account(&self) -> Money {
        self.state.accounts.carrier()
    }

    /// All money, wherever it lies; the same after every batch. In micro-units.
    pub fn total_money(&self) -> i128 {
        self.state.total_money()
    }

    /// Root of the tree over the whole state ([`root`]).
    pub fn state_root(&self) -> Hash {
        self.state.root()
    }

    /// Whether a record, right by itself, could be in the next batch, in a later one, or in none.
    pub fn check_record_now(&self, record: &Record) -> RecordOutlook {
        records::outlook(self, record)
    }

    /// Whether the next batch may bring a record, should that batch come at once, as far as it goes how far off a demand
    /// expires.
    pub fn is_within_reach(&self, record: &Record) -> bool {
        records::is_within_reach(self, &record.content)
    }

    /// To find out one by one what the next batch can bring if it has this time (or the earliest it may have, if that is
    /// later), so that what it cannot need not be counted.
    ///
    /// # Errors
    /// If the state contradicts itself.
    pub fn try_records(&self, timestamp_ms: u64) -> Result<RecordTrial<'_>, Defect> {
        RecordTrial::begin(self, timestamp_ms)
    }

    /// Of `candidates`, in order, those that the next batch can bring together if it has this time (or the earliest it
    /// may have, if that is later), and why not the others. Each must have passed
    /// [`crate::validate::record::check_record`].
    pub fn admissible_records(
        &self,
        candidates: &[Record],
        timestamp_ms: u64,
    ) -> (Vec<Record>, Vec<(RecordId, StatementError)>) {
        records::admissible(self, candidates, timestamp_ms)
    }
}
