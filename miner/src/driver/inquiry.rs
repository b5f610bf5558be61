//! What clients ask a running node about the market, accounts, records and demands, and the answers.
//!
//! Answers are facts at the node's head and in its pool. Nothing here changes anything.

use anyhow::Result;
use chain::ledger::{DemandEntry, DemandStatus, RecordOutlook, Standing};
use chain::record::DemandStatement;
use chain::{
    Address, BlockHash, DemandId, Height, Ledger, NetworkId, PublicKey, Record, RecordId, Statement,
};
use scenarios::{Geometry, Minutes, Money, OperationId, ProviderId, Site};
use serde::{Deserialize, Serialize};

use super::Driver;

/// What a client must know to write records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarketFacts {
    /// The network's name, for people.
    pub name: String,
    /// The hash of its genesis, which every record carries.
    pub network: NetworkId,
    /// The height of the node's head.
    pub height: Height,
    /// Names of the operations; an operation's number is its position.
    pub operations: Vec<String>,
    /// Providers with an offer.
    pub providers: usize,
    /// The least solver fee, as a share of the budget in parts per million.
    pub solver_fee_ppm: u64,
    /// With a distance matrix, how many places it has; otherwise sites are points in metres.
    pub places: Option<usize>,
    /// Records that one author may have in this node's pool.
    pub records_per_author: usize,
    /// Who votes.
    pub validators: Vec<PublicKey>,
}

/// What an address has and may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountReport {
    /// Whose.
    pub address: Address,
    /// The height of the node's head.
    pub height: Height,
    /// What can be spent.
    pub balance: Money,
    /// What is held for the address's demands: escrow, and the price of what is composed and not settled.
    pub held: Money,
    /// The sequence number of its next record on chain.
    pub next_on_chain: u64,
    /// The smallest sequence number that neither the chain nor a record of the pool has taken: the one to
    /// sign with.
    pub next_sequence: u64,
    /// Its records in the pool, by sequence number.
    pub pending: Vec<PendingRecord>,
    /// If it is a provider: what it offers. Withdrawn offers have no operations.
    pub offer: Option<OfferReport>,
}

/// A record that waits in the pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingRecord {
    /// Its id.
    pub record: RecordId,
    /// Its sequence number.
    pub sequence: u64,
    /// What kind of statement it makes.
    pub kind: String,
    /// Why the next block cannot bring it, if so.
    pub waits_for: Option<String>,
}

/// What a provider offers now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferReport {
    /// Its number.
    pub provider: ProviderId,
    /// Its name.
    pub name: String,
    /// Where the work is done.
    pub site: Site,
    /// Minutes it offers in all; `None` is unlimited.
    pub capacity: Option<Minutes>,
    /// Minutes that compositions take.
    pub used: Minutes,
    /// What it can do.
    pub operations: Vec<OfferedOperation>,
}

/// An operation a provider offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedOperation {
    /// Its name.
    pub operation: String,
    /// Cost of one order.
    pub cost: Money,
    /// Minutes of one order.
    pub minutes: Minutes,
}

/// A record that did not enter the pool, or left it without coming on chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Which.
    pub record: RecordId,
    /// The rule, as one word: `insufficient-escrow`.
    pub rule: String,
    /// The rule, got and expected, in words.
    pub reason: String,
}

/// Where a record stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "standing", rename_all = "snake_case")]
pub enum RecordStanding {
    /// In the pool.
    Pending {
        /// Why the next block cannot bring it, if so.
        waits_for: Option<String>,
    },
    /// In a final block.
    Final {
        /// The block's height.
        height: Height,
        /// The block.
        block: BlockHash,
    },
    /// Refused or dropped since this node started.
    Refused(Refusal),
    /// This node knows nothing of it.
    Unknown,
}

/// A demand and where it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DemandReport {
    /// Its id.
    pub demand: DemandId,
    /// What is wanted, if this node has seen it.
    pub wanted: Option<WantedReport>,
    /// Where it stands.
    pub standing: DemandStanding,
}

/// What a demander wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedReport {
    /// Its name.
    pub name: String,
    /// Who wants it and pays.
    pub author: Address,
    /// Where the product goes, if the market delivers.
    pub site: Site,
    /// Names of the operations in order.
    pub orders: Vec<String>,
    /// The most the demander pays for the composition.
    pub budget: Money,
    /// Paid to solvers on top, by the schedule.
    pub solver_fee: Money,
}

/// Where a demand stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "standing", rename_all = "snake_case")]
pub enum DemandStanding {
    /// No block has brought it yet.
    InPool {
        /// Why the next block cannot bring it, if so.
        waits_for: Option<String>,
    },
    /// On chain, not composed.
    Open {
        /// The height that brought it.
        since: Height,
        /// Why this node's miner cannot compose it, if it found no way.
        unserved: Option<String>,
    },
    /// Composed, not settled.
    Composed(Box<CompositionReport>),
    /// Composed and settled.
    Frozen {
        /// The height of the settlement.
        height: Height,
        /// What was settled.
        composition: Box<CompositionReport>,
    },
    /// Taken back while open.
    Cancelled {
        /// The height that cancelled it.
        height: Height,
    },
    /// Refused or dropped since this node started.
    Refused(Refusal),
    /// This node knows nothing of it.
    Unknown,
}

/// Who composed a demand, how, and at what cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompositionReport {
    /// The height of its block.
    pub height: Height,
    /// The block.
    pub block: BlockHash,
    /// Who found it.
    pub miner: Address,
    /// 1 for the first composition; one more with each amendment.
    pub version: u32,
    /// The provider of each order.
    pub steps: Vec<OrderReport>,
    /// Processing + transport + value of time.
    pub cost: Money,
    /// Transport alone.
    pub transport: Money,
    /// The most the demander pays: the cost of the first composition, and the room it was charged for.
    pub price: Money,
    /// What this choice adds to the market's gap.
    pub reduced_cost: Money,
}

/// One order of a composition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderReport {
    /// The operation's name.
    pub operation: String,
    /// The provider's number.
    pub provider: ProviderId,
    /// The provider's name.
    pub name: String,
}

impl Driver {
    pub(super) fn market_facts(&self) -> MarketFacts {
        let ledger = self.node.ledger();
        let network = ledger.network();
        let genesis = network.genesis();
        let offering = ledger.supply().providers.iter().filter(|provider| !provider.offers.is_empty());
        MarketFacts {
            name: genesis.name.clone(),
            network: network.id(),
            height: ledger.head().height,
            operations: genesis.operations.clone(),
            providers: offering.count(),
            solver_fee_ppm: genesis.parameters.solver_fee_ppm,
            places: match &genesis.geometry {
                Geometry::Euclidean => None,
                Geometry::Matrix(matrix) => Some(matrix.places()),
            },
            records_per_author: self.node.pool().limits().per_author,
            validators: genesis.validators.clone(),
        }
    }

    pub(super) fn account(&self, address: Address) -> AccountReport {
        let ledger = self.node.ledger();
        let pending = self.node.pool().records_of(address);
        let pending: Vec<PendingRecord> = pending
            .map(|(sequence, record)| PendingRecord {
                record: record.id(),
                sequence,
                kind: record.content.statement.kind().to_owned(),
                waits_for: waits_for(ledger, record),
            })
            .collect();
        let next_on_chain = ledger.next_sequence(address);
        let taken = pending.iter().map(|record| record.sequence);
        let own = ledger.demands().filter(|(_, entry)| entry.author == address);
        AccountReport {
            address,
            height: ledger.head().height,
            balance: ledger.balance(address),
            held: own.map(|(_, entry)| entry.escrow + entry.clearing).sum(),
            next_on_chain,
            next_sequence: first_free(next_on_chain, taken),
            pending,
            offer: offer_of(ledger, address),
        }
    }

    pub(super) fn record_standing(&mut self, id: RecordId) -> Result<RecordStanding> {
        let ledger = self.node.ledger();
        if let Some(record) = self.node.pool().get(&id) {
            return Ok(RecordStanding::Pending { waits_for: waits_for(ledger, record) });
        }
        let store = &self.store;
        let height = tokio::task::block_in_place(|| self.records.height_of(id, store))?;
        if let Some(height) = height {
            return Ok(RecordStanding::Final { height, block: self.block_at(height)? });
        }
        let refusal = self.records.refusal(id).cloned();
        Ok(refusal.map_or(RecordStanding::Unknown, RecordStanding::Refused))
    }

    pub(super) fn demand(&mut self, id: DemandId) -> Result<DemandReport> {
        let ledger = self.node.ledger();
        if let Some(entry) = ledger.demand(id) {
            let wanted = Some(wanted(ledger, entry));
            return Ok(DemandReport { demand: id, wanted, standing: self.demand_standing(id, entry)? });
        }
        let wanted = self.node.pool().get(&id).and_then(|record| match &record.content.statement {
            Statement::Demand(demand) => Some(wanted_by_statement(ledger, record.author(), demand)),
            Statement::Offer(_)
            | Statement::OfferWithdrawal
            | Statement::DemandCancellation { .. }
            | Statement::Transfer { .. } => None,
        });
        let standing = match self.record_standing(id)? {
            RecordStanding::Pending { waits_for } if wanted.is_some() => DemandStanding::InPool { waits_for },
            RecordStanding::Refused(refusal) => DemandStanding::Refused(refusal),
            // A record that is no demand, or nothing at all.
            RecordStanding::Pending { .. } | RecordStanding::Final { .. } | RecordStanding::Unknown => {
                DemandStanding::Unknown
            }
        };
        Ok(DemandReport { demand: id, wanted, standing })
    }

    fn demand_standing(&self, id: DemandId, entry: &DemandEntry) -> Result<DemandStanding> {
        Ok(match &entry.status {
            DemandStatus::Open => {
                let mut unserved = self.node.unserved();
                let unserved = unserved.find(|unserved| unserved.demand == id);
                let unserved = unserved.map(|unserved| unserved.reason.clone());
                DemandStanding::Open { since: entry.since, unserved }
            }
            DemandStatus::Composed(standing) => {
                DemandStanding::Composed(Box::new(self.composition(entry, standing)?))
            }
            DemandStatus::Frozen { composition, height } => DemandStanding::Frozen {
                height: *height,
                composition: Box::new(self.composition(entry, composition)?),
            },
            DemandStatus::Cancelled { height } => DemandStanding::Cancelled { height: *height },
        })
    }

    fn composition(&self, entry: &DemandEntry, standing: &Standing) -> Result<CompositionReport> {
        let ledger = self.node.ledger();
        let steps = entry.demand.orders.iter().zip(&standing.providers).map(|(&operation, &provider)| {
            let name = ledger.supply().provider(provider).map(|provider| provider.name.clone());
            let name = name.unwrap_or_default();
            OrderReport { operation: operation_name(ledger, operation), provider, name }
        });
        Ok(CompositionReport {
            height: standing.height,
            block: self.block_at(standing.height)?,
            miner: standing.author(),
            version: standing.version,
            steps: steps.collect(),
            cost: standing.cost,
            transport: standing.transport,
            price: standing.price,
            reduced_cost: standing.reduced_cost,
        })
    }

    fn block_at(&self, height: Height) -> Result<BlockHash> {
        let header = self.store.header(height)?;
        let found = header.map(|signed| signed.certificate.block);
        found.ok_or_else(|| anyhow::anyhow!("block {height} is not in the store"))
    }
}

/// Why the next block cannot bring a record of the pool, if so.
fn waits_for(ledger: &Ledger, record: &Record) -> Option<String> {
    match ledger.check_record_now(record) {
        RecordOutlook::Now => None,
        RecordOutlook::Later(error) | RecordOutlook::Never(error) => Some(error.to_string()),
    }
}

/// The smallest number from `next` on that is not among the ascending `taken`.
fn first_free(next: u64, taken: impl IntoIterator<Item = u64>) -> u64 {
    taken.into_iter().fold(next, |free, number| if number == free { free + 1 } else { free })
}

fn offer_of(ledger: &Ledger, address: Address) -> Option<OfferReport> {
    let id = ledger.provider_id(address)?;
    let provider = ledger.supply().provider(id)?;
    let operations = provider.offers.iter().map(|(&operation, offer)| OfferedOperation {
        operation: operation_name(ledger, operation),
        cost: offer.cost,
        minutes: offer.minutes,
    });
    Some(OfferReport {
        provider: id,
        name: provider.name.clone(),
        site: provider.site,
        capacity: provider.capacity,
        used: ledger.usage(id).total(),
        operations: operations.collect(),
    })
}

fn wanted(ledger: &Ledger, entry: &DemandEntry) -> WantedReport {
    let demand = &entry.demand;
    WantedReport {
        name: demand.name.clone(),
        author: entry.author,
        site: demand.site,
        orders: demand.orders.iter().map(|&operation| operation_name(ledger, operation)).collect(),
        budget: demand.budget,
        solver_fee: entry.solver_fee,
    }
}

fn wanted_by_statement(ledger: &Ledger, author: Address, demand: &DemandStatement) -> WantedReport {
    WantedReport {
        name: demand.name.clone(),
        author,
        site: demand.site,
        orders: demand.orders.iter().map(|&operation| operation_name(ledger, operation)).collect(),
        budget: demand.budget,
        solver_fee: demand.solver_fee,
    }
}

fn operation_name(ledger: &Ledger, operation: OperationId) -> String {
    let names = &ledger.network().genesis().operations;
    names.get(operation.index()).cloned().unwrap_or_else(|| operation.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_free_number_comes_after_what_follows_on_without_a_gap() {
        assert_eq!(first_free(3, []), 3);
        assert_eq!(first_free(3, [3, 4]), 5);
        assert_eq!(first_free(3, [3, 5, 6]), 4);
        assert_eq!(first_free(3, [4, 5]), 3);
    }
}
