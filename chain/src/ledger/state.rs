//! The parts of the state and its invariants. No rules are checked here.
//!
//! Money is in balances, in each demand's escrow and clearing account, in the bounty account and in the
//! carrier account, and nowhere else. A provider's minutes are taken by standing (composed, not yet
//! frozen) and by frozen compositions.

use std::collections::BTreeMap;
use std::sync::Arc;

use scenarios::{Demand, DualPrices, Minutes, Money, ProviderId, SharedSupply};
use serde::{Deserialize, Serialize};

use crate::genesis::Genesis;
use crate::key::Address;
use crate::record::{DemandId, Height};
use crate::validate::Rejection;

/// Everything but the head. Equal states have equal roots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) balances: BTreeMap<Address, Money>,
    pub(crate) sequences: BTreeMap<Address, u64>,
    pub(crate) supply: SharedSupply,
    pub(crate) provider_addresses: Vec<Address>,
    pub(crate) provider_ids: BTreeMap<Address, ProviderId>,
    pub(crate) usage: Vec<Usage>,
    pub(crate) holders: BTreeMap<ProviderId, Holder>,
    pub(crate) demands: BTreeMap<DemandId, Arc<DemandEntry>>,
    /// The number of `demands` that are open or composed.
    pub(crate) market_size: usize,
    pub(crate) prices: DualPrices,
    pub(crate) bounty: Money,
    pub(crate) carrier: Money,
}

/// Minutes taken from a provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// By compositions that are not frozen yet.
    pub standing: Minutes,
    /// By frozen compositions.
    pub frozen: Minutes,
}

impl Usage {
    /// Minutes taken in all.
    pub const fn total(self) -> Minutes {
        self.standing.saturating_add(self.frozen)
    }
}

/// In dedicated allocation: the miner whose blocks alone may use a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Who holds it.
    pub miner: Address,
    /// The miner's standing compositions that use it; it is free again at none.
    pub compositions: u32,
}

/// A demand on chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DemandEntry {
    /// Who wants it and pays.
    pub author: Address,
    /// What is wanted.
    pub demand: Demand,
    /// What solvers may earn.
    pub solver_fee: Money,
    /// The height that brought it: acceptance relaxes with the heights since.
    pub since: Height,
    /// Held for it: budget + fee while open, the fee while composed.
    pub escrow: Money,
    /// Its clearing account until the freeze: at least the cost of what stands. What lies above that is the
    /// demand's share of what amendments saved.
    pub clearing: Money,
    /// Where it stands.
    pub status: DemandStatus,
}

/// Where a demand stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DemandStatus {
    /// Waiting to be composed.
    Open,
    /// Composed, not yet settled. Amendments replace the composition and raise its version here.
    Composed(Standing),
    /// Settled for good.
    Frozen {
        /// What was settled.
        composition: Standing,
        /// When.
        height: Height,
    },
    /// Taken back by its author while open.
    Cancelled {
        /// When.
        height: Height,
    },
}

/// A composition that a block brought, with the terms it was made at: later offers do not change them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// 1 for the first composition; one more with each amendment.
    pub version: u32,
    /// The provider of each order.
    pub providers: Vec<ProviderId>,
    /// Who composed the demand first and earns its fee.
    pub miner: Address,
    /// The height at which the demand was first composed: the freeze is counted from here.
    pub since: Height,
    /// The height of the block that brought this version.
    pub height: Height,
    /// Whose amendment brought this version; `None` for the first.
    pub amended_by: Option<Address>,
    /// When it was found, by its miner, in milliseconds since the Unix epoch.
    pub timestamp_ms: u64,
    /// Minutes it takes from each provider.
    pub minutes: BTreeMap<ProviderId, Minutes>,
    /// Processing cost it owes each provider.
    pub owed: BTreeMap<ProviderId, Money>,
    /// What it owes the carrier.
    pub transport: Money,
    /// What its time is worth; nobody is paid for that.
    pub time_value: Money,
    /// Processing + transport + value of time.
    pub cost: Money,
    /// What the first composition cost.
    pub first_cost: Money,
    /// What the demander paid in: the cost of the first composition and what was charged to it for room that
    /// others made. No demander ever pays more.
    pub price: Money,
    /// Its reduced cost at the prices of its block.
    pub reduced_cost: Money,
    /// What the first composer earns of the fee, the bounty account's share included: what the first block
    /// earned, and from the freeze on what was paid.
    pub earned: Money,
    /// What amenders are paid at the freeze. Together with `earned` paid, never more than the fee.
    pub dues: BTreeMap<Address, Money>,
}

impl Standing {
    /// Who brought this version: its amender, or who composed it first.
    pub fn author(&self) -> Address {
        self.amended_by.unwrap_or(self.miner)
    }
}

impl DemandEntry {
    /// The composition that stands, frozen or not.
    pub const fn composition(&self) -> Option<&Standing> {
        match &self.status {
            DemandStatus::Composed(composition) | DemandStatus::Frozen { composition, .. } => {
                Some(composition)
            }
            DemandStatus::Open | DemandStatus::Cancelled { .. } => None,
        }
    }

    /// The version of the composition that stands; 0 if there is none.
    pub fn version(&self) -> u32 {
        self.composition().map_or(0, |composition| composition.version)
    }

    /// Whether it may still be composed for the first time, or cancelled.
    pub const fn is_open(&self) -> bool {
        matches!(self.status, DemandStatus::Open)
    }

    /// Whether it belongs to the market: open, or composed and not frozen.
    pub const fn is_in_market(&self) -> bool {
        matches!(self.status, DemandStatus::Open | DemandStatus::Composed(_))
    }
}

impl DemandStatus {
    /// One word for people and errors.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Composed(_) => "composed",
            Self::Frozen { .. } => "frozen",
            Self::Cancelled { .. } => "cancelled",
        }
    }
}

impl State {
    pub(crate) fn new(genesis: &Genesis) -> Self {
        let addresses: Vec<Address> = genesis.providers.iter().map(|genesis| genesis.address).collect();
        Self {
            balances: genesis.balances.clone(),
            sequences: BTreeMap::new(),
            supply: SharedSupply::new(genesis.supply()),
            provider_ids: addresses
                .iter()
                .enumerate()
                .map(|(i, &a)| (a, ProviderId::from_index(i)))
                .collect(),
            usage: vec![Usage::default(); addresses.len()],
            provider_addresses: addresses,
            holders: BTreeMap::new(),
            demands: BTreeMap::new(),
            market_size: 0,
            prices: DualPrices::zero(),
            bounty: genesis.bounty,
            carrier: Money::ZERO,
        }
    }

    pub(crate) fn balance(&self, address: Address) -> Money {
        self.balances.get(&address).copied().unwrap_or(Money::ZERO)
    }

    pub(crate) fn next_sequence(&self, author: Address) -> u64 {
        self.sequences.get(&author).copied().unwrap_or(0)
    }

    /// Gives money to somebody. A recipient of nothing gets no account.
    pub(crate) fn credit(&mut self, address: Address, amount: Money) -> Result<(), Rejection> {
        if amount == Money::ZERO {
            return Ok(());
        }
        let balance = self.balance(address).checked_add(amount).ok_or(Rejection::Arithmetic("a balance"))?;
        self.balances.insert(address, balance);
        Ok(())
    }

    /// Takes money from somebody who has it.
    pub(crate) fn debit(&mut self, address: Address, amount: Money) -> Result<(), Rejection> {
        let balance = self.balance(address).checked_sub(amount).filter(|balance| *balance >= Money::ZERO);
        let balance = balance.ok_or(Rejection::Arithmetic("a balance"))?;
        if balance == Money::ZERO {
            self.balances.remove(&address);
        } else {
            self.balances.insert(address, balance);
        }
        Ok(())
    }

    pub(crate) fn usage_mut(&mut self, id: ProviderId) -> Result<&mut Usage, Rejection> {
        self.usage.get_mut(id.index()).ok_or(Rejection::Arithmetic("a provider id"))
    }

    pub(crate) fn demand_mut(&mut self, id: DemandId) -> Result<&mut DemandEntry, Rejection> {
        self.demands.get_mut(&id).map(Arc::make_mut).ok_or(Rejection::UnknownDemand { demand: id })
    }

    pub(crate) fn total_money(&self) -> i128 {
        let held = self.demands.values().flat_map(|entry| [&entry.escrow, &entry.clearing]);
        let accounts = self.balances.values().chain(held).chain([&self.bounty, &self.carrier]);
        accounts.map(|amount| i128::from(amount.micros())).sum()
    }
}
