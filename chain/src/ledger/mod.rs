//! The ledger: everything the network knows after a block. It changes in one way only, by a validated
//! block ([`crate::validate`]), and never in place: validation builds the next one aside.
//!
//! What a block does is in `transition`, the effects of records in `records`, everything about demands, offers and
//! compositions in [`market`], and the state root in [`root`].

pub mod market;
mod records;
pub mod root;
pub mod state;
pub(crate) mod transition;

use std::sync::Arc;

use scenarios::{DualPrices, Money, ProviderId, Supply};

use crate::block::BlockHash;
use crate::genesis::Network;
use crate::hash::Hash;
use crate::key::Address;
use crate::record::{DemandId, Height, Record, RecordId};
use crate::validate::record::RecordError;

pub use market::{Market, MarketDemand};
pub use records::RecordOutlook;
pub use root::{StateEntry, StateProof};
pub use state::{DemandEntry, DemandStatus, Holder, Standing, Usage};
pub use transition::BlockReport;

use state::State;

/// The last block, or genesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its height; genesis is 0.
    pub height: Height,
    /// Its hash; genesis is named by the network id.
    pub hash: BlockHash,
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: u64,
}

/// The state of the network after a block. Cloning shares what is large.
#[derive(Clone, Debug)]
pub struct Ledger {
    pub(crate) network: Arc<Network>,
    pub(crate) head: Head,
    pub(crate) state: State,
}

impl Ledger {
    /// The state before the first block.
    pub fn new(network: Arc<Network>) -> Self {
        let head =
            Head { height: 0, hash: network.genesis_block(), timestamp_ms: network.genesis().timestamp_ms };
        Self { state: State::new(network.genesis()), network, head }
    }

    /// The rules it keeps to.
    pub const fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// The last block.
    pub const fn head(&self) -> &Head {
        &self.head
    }

    /// What somebody can spend.
    pub fn balance(&self, address: Address) -> Money {
        self.state.balance(address)
    }

    /// The sequence number the author's next record must have.
    pub fn next_sequence(&self, author: Address) -> u64 {
        self.state.next_sequence(author)
    }

    /// A demand that is or was on chain.
    pub fn demand(&self, id: DemandId) -> Option<&DemandEntry> {
        self.state.demands.get(&id).map(Arc::as_ref)
    }

    /// All demands that ever came on chain, by id.
    pub fn demands(&self) -> impl Iterator<Item = (DemandId, &DemandEntry)> {
        self.state.demands.iter().map(|(&id, entry)| (id, entry.as_ref()))
    }

    /// All live offers; stated capacities, not what is left of them. See [`Ledger::market`].
    pub const fn supply(&self) -> &Arc<Supply> {
        &self.state.supply
    }

    /// The provider with this address.
    pub fn provider_id(&self, address: Address) -> Option<ProviderId> {
        self.state.provider_ids.get(&address).copied()
    }

    /// Who is paid for this provider's work.
    pub fn provider_address(&self, id: ProviderId) -> Option<Address> {
        self.state.provider_addresses.get(id.index()).copied()
    }

    /// The minutes compositions take from a provider.
    pub fn usage(&self, id: ProviderId) -> Usage {
        self.state.usage.get(id.index()).copied().unwrap_or_default()
    }

    /// In dedicated allocation: who holds a provider.
    pub fn holder(&self, id: ProviderId) -> Option<&Holder> {
        self.state.holders.get(&id)
    }

    /// The dual prices in force.
    pub const fn prices(&self) -> &DualPrices {
        &self.state.prices
    }

    /// The account from which price updates are paid.
    pub const fn bounty_account(&self) -> Money {
        self.state.bounty
    }

    /// What the carriers have been paid.
    pub const fn carrier_account(&self) -> Money {
        self.state.carrier
    }

    /// All money, wherever it lies; the same after every block. In micro-units.
    pub fn total_money(&self) -> i128 {
        self.state.total_money()
    }

    /// Merkle root over the whole state.
    pub fn state_root(&self) -> Hash {
        self.state.root()
    }

    /// Whether a record, right by itself, could be in the next block, in a later one, or in none.
    pub fn check_record_now(&self, record: &Record) -> RecordOutlook {
        records::outlook(self, record)
    }

    /// Of `candidates`, in order, those that the next block can bring together, and why not the others.
    /// Each must have passed [`crate::validate::record::check_record`].
    pub fn admissible_records(&self, candidates: &[Record]) -> (Vec<Record>, Vec<(RecordId, RecordError)>) {
        records::admissible(self, candidates)
    }
}
