//! The state: what the rooms hold, and the tree over it. No rules are checked here.
//!
//! Money is in balances, in each demand's escrow and clearing account, in providers' deposits and
//! in the carrier account, and nowhere else; what was burned is counted too. A provider's minutes are taken by standing
//! (composed, not yet frozen) and by frozen compositions.

use super::accounts::Accounts;
use super::accused::Accused;
use super::anchors::Anchors;
use super::cohorts::Cohorts;
use super::market::MarketWork;
use super::market::demands::Demands;
use super::market::notices::Notices;
use super::market::price_authors::PriceAuthors;
use super::market::providers::Providers;
use super::root::StateKey;
use crate::codec::encode;
use crate::genesis::Genesis;
use crate::hash::Hash;
use crate::record::Height;
use crate::state_tree::StateTree;

/// When a batch takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) height: Height,
    /// Milliseconds since the Unix epoch.
    pub(super) timestamp_ms: u64,
    /// What of that the network was halted for, in milliseconds, since genesis.
    pub(super) halted_ms: u64,
}

impl Moment {
    /// Market time, which all waits are measured in: the time of batches less what was halted, in milliseconds.
    pub(super) const fn market_ms(&self) -> u64 {
        self.timestamp_ms.saturating_sub(self.halted_ms)
    }
}

/// Everything but the head. Cloning shares what is large, and what a batch does to a clone costs what it touches.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(super) accounts: Accounts,
    pub(super) providers: Providers,
    pub(super) demands: Demands,
    /// How much there is to check.
    pub(super) work: MarketWork,
    pub(super) notices: Notices,
    pub(super) price_authors: PriceAuthors,
    pub(super) anchors: Anchors,
    pub(super) cohorts: Cohorts,
    pub(super) accused: Accused,
    /// How long the network was halted since genesis, in milliseconds: see [`Moment`].
    pub(crate) halted_ms: u64,
    /// As of the last [`State::commit`].
    tree: StateTree,
}

impl State {
    pub(super) fn new(genesis: &Genesis) -> Self {
        let mut state = Self {
            accounts: Accounts::new(genesis),
            providers: Providers::new(genesis),
            demands: Demands::new(genesis),
            work: MarketWork::new(genesis),
            notices: Notices::default(),
            price_authors: PriceAuthors::default(),
            anchors: Anchors::new(),
            cohorts: Cohorts::default(),
            accused: Accused::default(),
            halted_ms: 0,
            tree: StateTree::default(),
        };
        state.tree = state.tree_over(state.keys());
        state
    }

    /// Brings the tree up to date with what the rooms touched.
    pub(super) fn commit(&mut self) {
        let mut touched = self.accounts.take_touched();
        touched.append(&mut self.providers.take_touched());
        touched.append(&mut self.demands.take_touched());
        touched.append(&mut self.notices.take_touched());
        touched.append(&mut self.anchors.take_touched());
        touched.append(&mut self.cohorts.take_touched());
        touched.append(&mut self.accused.take_touched());
        touched.extend(self.price_authors.take_touched().then_some(StateKey::PriceTotals));
        touched.insert(StateKey::Halted);
        self.tree = self.tree_over(touched.into_iter());
    }

    /// The tree with what the rooms now say of these keys.
    fn tree_over(&self, keys: impl Iterator<Item = StateKey>) -> StateTree {
        self.tree.with(keys.map(|key| (key.to_bytes(), self.value(key))))
    }

    pub(super) const fn tree(&self) -> &StateTree {
        &self.tree
    }

    /// The root of the tree.
    pub(super) fn root(&self) -> Hash {
        self.tree.root()
    }

    /// The keys of all entries.
    pub(super) fn keys(&self) -> impl Iterator<Item = StateKey> {
        let rooms = self.accounts.keys().chain(self.providers.keys()).chain(self.demands.keys());
        rooms
            .chain(self.notices.keys())
            .chain(self.anchors.keys())
            .chain(self.cohorts.keys())
            .chain(self.accused.keys())
            .chain([StateKey::PriceTotals, StateKey::Halted])
    }

    /// The value of an entry; `None` if there is no such entry.
    pub(super) fn value(&self, key: StateKey) -> Option<Vec<u8>> {
        match key {
            StateKey::Balance(address) => self.accounts.stored_balance(address).map(|value| encode(&value)),
            StateKey::Sequence(author) => self.accounts.stored_sequence(author).map(|value| encode(&value)),
            StateKey::Provider(id) => self.providers.entry(id),
            StateKey::Demand(id) => self.demands.get(id).map(|entry| encode(entry.as_ref())),
            StateKey::PriceTotals => Some(encode(self.price_authors.totals())),
            StateKey::Carrier => Some(encode(&self.accounts.carrier())),
            StateKey::DemandTotals => Some(encode(&self.demands.totals())),
            StateKey::Halted => Some(encode(&self.halted_ms)),
            StateKey::Anchor(batch) => self.anchors.time_of(batch).map(|time_ms| encode(&time_ms)),
            StateKey::Brought(name) => self.anchors.brought(name).map(|time_ms| encode(&time_ms)),
            StateKey::Burned => Some(encode(&self.accounts.burned())),
            StateKey::Cohort(height) => self.cohorts.entry(height),
            StateKey::Pledge(height, miner) => self.cohorts.pledge(height, miner),
            StateKey::Notice(subject) => self.notices.entry(subject),
            StateKey::Accused(validator) => self.accused.since(validator).map(|height| encode(&height)),
        }
    }

    /// All money, wherever it lies, in micro-units. Sums up the whole state: for audits and tests.
    pub(super) fn total_money(&self) -> i128 {
        let market = self.demands.total_money().saturating_add(self.providers.total_money());
        self.accounts.total_money().saturating_add(market)
    }
}
