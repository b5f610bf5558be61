//! A market to be checked by hand.
//!
//! Transport costs 1 $ a kilometre; every demand is operation 0, then operation 1, with a budget of 100 $
//! and a fee of 0.4 % of what its cheapest way costs: 0.076 $ without prices, and 0.4 $ at most.
//!
//! | provider | at            | operation 0   | operation 1   | capacity  |
//! |----------|---------------|---------------|---------------|-----------|
//! | 0        | (0, 0)        | 10 $, 10 min  | 9 $, 10 min   | 40 min    |
//! | 1        | (3 km, 4 km)  | 12 $, 5 min   | 11 $, 20 min  | unlimited |
//! | 2        | (0, 1 km)     | -             | 30 $, 5 min   | 100 min   |
//!
//! Compositions: `[0, 0]` costs 19 $ and 20 min of provider 0's 40, so two fit; `[1, 1]` costs 23 $;
//! `[0, 1]` costs 10 + 5 + 11 = 26 $; `[0, 2]` costs 10 + 1 + 30 = 41 $. Without prices the bound of three
//! demands is 3 x 19 = 57 $. At 0.2 $ a minute of provider 0, `[0, 0]` is worth 19 + 4 = 23 $ as is
//! `[1, 1]`, and the bound is 3 x 23 - 40 x 0.2 = 61 $: the optimum, 2 x 19 + 23.

use std::collections::BTreeMap;
use std::sync::Arc;

use chain::consensus::{CommitCertificate, Vote, VoteKind};
use chain::genesis::scenario::{demander_key, provider_key, scenario_demand_records};
use chain::ledger::{BatchReport, BlockOutcome, DemandEntry};
use chain::record::{DemandStatement, OfferStatement};
use chain::state_tree::StateTree;
use chain::validate::{Assembled, Assembly, Serving};
use chain::{
    Batch, Block, Contents, DemandId, Draft, Drafted, ExecutedBatch, Genesis, Height, Ledger, Network,
    Record, RecordContent, Rejection, SecretKey, Statement, WellFormed, merkle_root,
};
use scenarios::{
    CostRules, Demand, DualPrices, Geometry, Horizon, Instance, Money, Offer, OperationId, Provider,
    ProviderId, Scenario, Site, Slot, Supply, TimeWindow,
};

pub(crate) const RNG_SEED: u64 = 7;
pub(crate) const START_MS: u64 = 1_000_000;

pub(crate) fn units(units: i64) -> Money {
    Money::from_units(units)
}

pub(crate) fn micros(micros: i64) -> Money {
    Money::from_micros(micros)
}

pub(crate) fn providers<const N: usize>(ids: [u32; N]) -> Vec<Slot> {
    ids.map(|id| Slot::single(ProviderId(id))).to_vec()
}

pub(crate) fn provider(
    name: &str,
    site: Site,
    offers: &[(u16, i64, i64)],
    capacity: Option<i64>,
) -> Provider {
    let offers = offers
        .iter()
        .map(|&(operation, cost, minutes)| (OperationId(operation), Offer { cost: units(cost), minutes }));
    Provider { name: name.into(), site, offers: offers.collect(), capacity: capacity.map(Into::into) }
}

pub(crate) fn instance() -> Instance {
    let rules = CostRules {
        rate_per_km: units(1),
        value_of_minute: Money::ZERO,
        metres_per_minute: 1_000,
        deliver: false,
    };
    let providers = vec![
        provider("near", Site::point(0, 0), &[(0, 10, 10), (1, 9, 10)], Some(40)),
        provider("far", Site::point(3_000, 4_000), &[(0, 12, 5), (1, 11, 20)], None),
        provider("dear", Site::point(0, 1_000), &[(1, 30, 5)], Some(100)),
    ];
    let demand = |name: &str| Demand {
        name: name.into(),
        site: Site::point(10, 10),
        orders: vec![OperationId(0), OperationId(1)],
        budget: units(100),
        window: TimeWindow::ANY,
    };
    Instance {
        supply: Supply { providers, rules, geometry: Geometry::Euclidean, horizon: Horizon::SINGLE },
        demands: vec![demand("alice"), demand("bob"), demand("carol")],
    }
}

pub(crate) fn validator_keys() -> Vec<SecretKey> {
    let mut keys: Vec<_> =
        (0..4).map(|index| SecretKey::for_scenario(RNG_SEED, "validator", index)).collect();
    keys.sort_by_key(SecretKey::public);
    keys
}

pub(crate) fn miner(index: u64) -> SecretKey {
    SecretKey::for_scenario(RNG_SEED, "miner", index)
}

pub(crate) fn demander(index: u64) -> SecretKey {
    demander_key(RNG_SEED, index)
}

pub(crate) fn provider_of(index: u64) -> SecretKey {
    provider_key(RNG_SEED, index)
}

/// Somebody with 1,000 $.
pub(crate) fn treasurer() -> SecretKey {
    SecretKey::for_scenario(RNG_SEED, "treasurer", 0)
}

pub(crate) fn genesis() -> Genesis {
    let validators: Vec<_> = validator_keys().iter().map(SecretKey::public).collect();
    let mut scenario = Scenario::of_instance("by hand", instance());
    // Batches come a second apart.
    scenario.network.relax_after_ms = 4_000;
    scenario.network.relax_over_ms = 12_000;
    scenario.network.freeze_after_ms = 32_000;
    // What a place in the state costs is nothing here, but for the tests about it.
    scenario.network.account_min = Money::ZERO;
    scenario.network.min_budget = micros(1);
    scenario.network.offer_deposit = Money::ZERO;
    scenario.network.minute_deposit = Money::ZERO;
    scenario.network.fee_per_byte = Money::ZERO;
    scenario.network.price_bond = Money::ZERO;
    // What is stated is so at once, but in the tests about notice.
    scenario.network.notice_ms = 0;
    // Nor does anything have to be near the best of what is left, but in the tests about that.
    scenario.network.near_best_ppm = 1_000_000_000;
    scenario.network.solver_fee_ppm = 4_000;
    let (profile, miners) = (scenario.search.profile, validators.len());
    let mut genesis = Genesis::of_scenario(&scenario, profile, miners, validators, RNG_SEED, START_MS);
    genesis.balances.insert(treasurer().public().address(), units(1_000));
    genesis
}

/// A chain under test: its ledger, the batches that led there, and shorthand for making more.
pub(crate) struct Market {
    pub(crate) ledger: Ledger,
    pub(crate) batches: Vec<Batch>,
    /// Demands that left the market, as they left.
    pub(crate) departed: BTreeMap<DemandId, Arc<DemandEntry>>,
}

impl Market {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// With a genesis changed by `change`.
    pub(crate) fn with(change: impl FnOnce(&mut Genesis)) -> Self {
        let mut genesis = genesis();
        change(&mut genesis);
        let network = Network::new(genesis).expect("a valid genesis");
        Self { ledger: Ledger::new(Arc::new(network)), batches: Vec::new(), departed: BTreeMap::new() }
    }

    /// With the three demands on chain, at height 1.
    pub(crate) fn open() -> Self {
        Self::open_with(|_| {})
    }

    pub(crate) fn open_with(change: impl FnOnce(&mut Genesis)) -> Self {
        let mut market = Self::with(change);
        let records = market.demand_records();
        market.accept(ProposedBatch { records, ..ProposedBatch::default() });
        market
    }

    pub(crate) fn network(&self) -> &Network {
        self.ledger.network()
    }

    pub(crate) fn demand_records(&self) -> Vec<Record> {
        let fee = self.network().parameters().solver_fee_ppm;
        scenario_demand_records(
            &instance(),
            self.network().id(),
            RNG_SEED,
            fee,
            self.network().genesis().first_expiry_ms(),
        )
    }

    /// Ids of the demands of alice, bob and carol.
    pub(crate) fn demand(&self, index: usize) -> DemandId {
        self.demand_records()[index].id()
    }

    /// A record with the author's next sequence number, valid always.
    pub(crate) fn record(&self, author: &SecretKey, statement: Statement) -> Record {
        self.content(author, statement).sign(author)
    }

    /// An offer that says nothing of its deposit has the least.
    pub(crate) fn content(&self, author: &SecretKey, mut statement: Statement) -> RecordContent {
        if let Statement::Offer(offer) = &mut statement {
            offer.deposit = offer.deposit.max(self.network().parameters().offer_deposit);
        }
        RecordContent {
            network: self.network().id(),
            author: author.public(),
            sequence: self.ledger.next_sequence(author.public().address()),
            valid_until_ms: u64::MAX,
            statement,
        }
    }

    /// When the next batch comes: a second after the head.
    pub(crate) fn next_time(&self) -> u64 {
        self.ledger.head().timestamp_ms + 1_000
    }

    /// What `miner(0)` drafts from this, one second after the head.
    pub(crate) fn draft(&self, proposed: ProposedBatch) -> Result<Drafted, Rejection> {
        self.ledger.draft(Draft {
            miner: miner(proposed.miner).public(),
            timestamp_ms: self.next_time(),
            records: proposed.records,
            prices: proposed.prices.map(|prices| DualPrices::in_order(self.ledger.supply().horizon, prices)),
            compositions: proposed.compositions,
            amendments: proposed.amendments,
        })
    }

    /// The valid batch drafted from this.
    pub(crate) fn batch(&self, proposed: ProposedBatch) -> Batch {
        let key = miner(proposed.miner);
        self.draft(proposed).expect("a draft that keeps the rules").sign(&key).0
    }

    /// Executes a batch if it may come next and, in clear, something of every block takes effect.
    pub(crate) fn check(&self, batch: Batch) -> Result<ExecutedBatch, Rejection> {
        let well_formed = WellFormed::new(self.network(), batch.clone())?;
        self.ledger.validate_clock(&batch.header, self.next_time(), 0)?;
        let executed = self.ledger.validate(well_formed)?.execute()?;
        let is_in_clear = self.network().parameters().commit_reveal.is_none();
        let is_useless = |block: &BlockOutcome| is_in_clear && block.dropped.len() == block.items as usize;
        if executed.report().blocks.iter().any(is_useless) {
            return Err(self.assembled(batch).refused.remove(0).1);
        }
        Ok(executed)
    }

    /// Why an item of a batch's blocks does not take effect: of the first that does not.
    pub(crate) fn first_dropped(&self, batch: Batch) -> String {
        let executed = self.check(batch).expect("a batch of which something takes effect");
        let mut dropped = executed.report().blocks.iter().flat_map(|block| &block.dropped);
        dropped.next().expect("an item that is dropped").reason.clone()
    }

    /// What somebody makes of a batch's records and blocks who leaves out what has no effect.
    fn assembled(&self, batch: Batch) -> Assembled {
        let (proposer, timestamp_ms) = (batch.header.proposer, batch.header.timestamp_ms);
        let Contents { records, blocks, .. } = batch.contents;
        self.ledger.assemble(Assembly {
            proposer,
            timestamp_ms,
            turn: 0,
            evidence: Vec::new(),
            records,
            commitments: Vec::new(),
            blocks,
        })
    }

    /// Adds a batch to the chain and reports on it.
    pub(crate) fn accept(&mut self, proposed: ProposedBatch) -> BatchReport {
        let valid = self.check(self.batch(proposed)).expect("what was drafted is valid");
        let (batch, ledger, report) = valid.into_parts();
        self.ledger = ledger;
        self.batches.push(batch);
        self.departed.extend(report.departed.iter().cloned());
        self.assert_root_follows_from_the_entries();
        report
    }

    /// The tree that batches changed bit by bit is the one over all entries as they are.
    fn assert_root_follows_from_the_entries(&self) {
        let entries = self.ledger.state_entries().into_iter().map(|entry| (entry.key, Some(entry.value)));
        assert_eq!(self.ledger.state_root(), StateTree::default().with(entries).root());
    }

    /// A demand as it left the market.
    pub(crate) fn departed(&self, index: usize) -> &DemandEntry {
        self.departed.get(&self.demand(index)).expect("a demand that left the market")
    }

    /// Adds a batch that composes these.
    pub(crate) fn compose(&mut self, compositions: &[(usize, Vec<Slot>)]) -> BatchReport {
        self.accept(self.composing(0, compositions))
    }

    /// A proposal of `miner` to compose these, by number of demand.
    pub(crate) fn composing(&self, miner: u64, compositions: &[(usize, Vec<Slot>)]) -> ProposedBatch {
        let named = compositions.iter().map(|(index, providers)| (self.demand(*index), providers.clone()));
        ProposedBatch { miner, compositions: named.collect(), ..ProposedBatch::default() }
    }

    /// A proposal of `miner` to amend these sets, by number of demand.
    pub(crate) fn amending(&self, miner: u64, sets: &[&[(usize, Vec<Slot>)]]) -> ProposedBatch {
        let set = |set: &&[(usize, Vec<Slot>)]| {
            set.iter().map(|(index, providers)| (self.demand(*index), providers.clone())).collect()
        };
        ProposedBatch { miner, amendments: sets.iter().map(set).collect(), ..ProposedBatch::default() }
    }

    /// Adds a batch of `miner` that amends these.
    pub(crate) fn amend(&mut self, miner: u64, sets: &[&[(usize, Vec<Slot>)]]) -> BatchReport {
        self.accept(self.amending(miner, sets))
    }

    /// Adds batches that each bring a transfer of 1 $, until the chain has this height.
    pub(crate) fn advance_to(&mut self, height: Height) {
        while self.ledger.head().height < height {
            let record = self.record(&treasurer(), transfer(&miner(9), units(1)));
            self.accept(ProposedBatch { records: vec![record], ..ProposedBatch::default() });
        }
    }

    pub(crate) fn balance(&self, key: &SecretKey) -> Money {
        self.ledger.balance(key.public().address())
    }
}

/// What a batch is drafted from.
#[derive(Clone, Default)]
pub(crate) struct ProposedBatch {
    pub(crate) miner: u64,
    pub(crate) records: Vec<Record>,
    /// Of slots, in order.
    pub(crate) prices: Option<Vec<Money>>,
    pub(crate) compositions: Vec<Serving>,
    pub(crate) amendments: Vec<Vec<Serving>>,
}

impl ProposedBatch {
    /// With the update that prices provider 0's minutes at 0.2 $.
    pub(crate) fn at_right_prices(self) -> Self {
        Self { prices: Some(vec![micros(200_000)]), ..self }
    }
}

/// The batch with its header, and its blocks' on its parent, put right for whatever was done to them, and signed again. `key` is the
/// proposer's and the miner's.
pub(crate) fn resign(mut batch: Batch, key: &SecretKey) -> Batch {
    for block in &mut batch.contents.blocks {
        let header = block.header();
        *block = Block::sign(header.network, batch.header.parent, header.nonce, block.body.clone(), key);
    }
    let items = batch.contents.items();
    batch.header.item_count = u32::try_from(items.len()).expect("a few items");
    batch.header.contents_root = merkle_root(&items);
    Batch::sign(batch.header, batch.contents, key)
}

pub(crate) fn certificate(network: &Network, batch: &Batch) -> CommitCertificate {
    let vote = Vote {
        network: network.id(),
        height: batch.header.height,
        round: 0,
        kind: VoteKind::Precommit,
        batch: Some(batch.hash()),
    };
    let signed = (0..).zip(validator_keys()).map(|(index, key)| (index, vote.sign(index, &key).signature));
    CommitCertificate { height: vote.height, round: 0, batch: batch.hash(), signatures: signed.collect() }
}

pub(crate) fn transfer(to: &SecretKey, amount: Money) -> Statement {
    Statement::Transfer { to: to.public().address(), amount }
}

pub(crate) fn offer(provider: &Provider) -> Statement {
    Statement::Offer(OfferStatement {
        name: provider.name.clone(),
        site: provider.site,
        offers: provider.offers.clone(),
        capacity: provider.capacity.clone(),
        deposit: Money::ZERO,
    })
}

pub(crate) fn demand_statement(budget: Money, solver_fee: Money) -> DemandStatement {
    let demand = instance().demands.remove(0);
    let expires_ms = genesis().first_expiry_ms();
    DemandStatement {
        name: demand.name,
        site: demand.site,
        orders: demand.orders,
        budget,
        solver_fee,
        window: TimeWindow::ANY,
        expires_ms,
    }
}
