//! A market to be checked by hand, with its history.
//!
//! One provider does operation 0 for 10 $ and operation 1 for 9 $, 10 minutes each; the three demands of alice, bob
//! and carol want both, with budgets of 100 $ and fees of 0.4 $. A composition costs 19 $, leaves no room for doubt,
//! and so earns its whole fee. Four seconds after it was composed a demand is settled.

use std::sync::Arc;

use chain::consensus::SafetyLog;
use chain::genesis::scenario::demander_key;
use chain::genesis::scenario_demand_records;
use chain::store::MemoryBackend;
use chain::{
    Batch, BatchReport, DemandId, Draft, Genesis, Ledger, Network, Record, RecordContent, SecretKey,
    Statement, WellFormed,
};
use coordinator_free_pool::PoolLimits;
use miner_api::{History, Snapshot};
use miner_node::{Command, Effect, Input, Node, NodeConfig, Now, Recovered, SubmissionId, Timing};
use scenarios::{
    CostRules, Demand, Geometry, Horizon, Instance, Money, Offer, OperationId, Provider, ProviderId,
    Scenario, Site, Slot, Supply, TimeWindow,
};

pub(crate) const RNG_SEED: u64 = 7;
pub(crate) const START_MS: u64 = 1_000_000;

pub(crate) fn units(units: i64) -> Money {
    Money::from_units(units)
}

pub(crate) fn miner() -> SecretKey {
    SecretKey::for_scenario(RNG_SEED, "miner", 0)
}

/// Somebody with 1,000 $.
pub(crate) fn treasurer() -> SecretKey {
    SecretKey::for_scenario(RNG_SEED, "treasurer", 0)
}

pub(crate) fn instance() -> Instance {
    let rules = CostRules {
        rate_per_km: units(1),
        value_of_minute: Money::ZERO,
        metres_per_minute: 1_000,
        deliver: false,
    };
    let offers = [(0, 10), (1, 9)]
        .map(|(operation, cost)| (OperationId(operation), Offer { cost: units(cost), minutes: 10 }));
    let offers = offers.into_iter().collect();
    let provider = Provider { name: "near".into(), site: Site::point(0, 0), offers, capacity: None };
    let demand = |name: &str| Demand {
        name: name.into(),
        site: Site::point(10, 10),
        orders: vec![OperationId(0), OperationId(1)],
        budget: units(100),
        window: TimeWindow::ANY,
    };
    Instance {
        supply: Supply {
            providers: vec![provider],
            rules,
            geometry: Geometry::Euclidean,
            horizon: Horizon::SINGLE,
        },
        demands: vec![demand("alice"), demand("bob"), demand("carol")],
    }
}

/// A chain as it grows, with what readers look at.
pub(crate) struct Market {
    pub(crate) ledger: Ledger,
    pub(crate) batches: Vec<(Batch, BatchReport)>,
    pub(crate) history: History,
}

impl Market {
    /// Before the first batch.
    pub(crate) fn new() -> Self {
        let mut scenario = Scenario::of_instance("by hand", instance());
        scenario.network.freeze_after_ms = 4_000;
        scenario.network.fee_per_byte = Money::ZERO; // amounts are round
        scenario.network.notice_ms = 0;
        let (profile, validators) = (scenario.search.profile, vec![miner().public()]);
        let mut genesis = Genesis::of_scenario(&scenario, profile, 1, validators, RNG_SEED, START_MS);
        genesis.balances.insert(treasurer().public().address(), units(1_000));
        let network = Network::new(genesis).unwrap();
        let history = History::open(Box::new(MemoryBackend::default()), network.id()).unwrap();
        Self { ledger: Ledger::new(Arc::new(network)), batches: Vec::new(), history }
    }

    /// With the three demands on chain, at height 1.
    pub(crate) fn open() -> Self {
        let mut market = Self::new();
        market.accept(market.demand_records(), Vec::new());
        market
    }

    /// With alice's and bob's composed, at height 2.
    pub(crate) fn composed() -> Self {
        let mut market = Self::open();
        let compositions = [0, 1].map(|index| {
            (market.demand(index), vec![Slot::single(ProviderId(0)), Slot::single(ProviderId(0))])
        });
        market.accept(Vec::new(), compositions.to_vec());
        market
    }

    /// With carol's cancelled and the others settled, at height 6.
    pub(crate) fn settled() -> Self {
        let mut market = Self::composed();
        let cancellation = Statement::DemandCancellation { demand: market.demand(2) };
        let record = market.record(&demander_key(RNG_SEED, 2), cancellation);
        market.accept(vec![record], Vec::new());
        while market.ledger.head().height < 6 {
            let transfer = Statement::Transfer { to: miner().public().address(), amount: units(1) };
            let record = market.record(&treasurer(), transfer);
            market.accept(vec![record], Vec::new());
        }
        market
    }

    pub(crate) fn demand_records(&self) -> Vec<Record> {
        let network = self.ledger.network();
        let fee_ppm = network.parameters().solver_fee_ppm;
        scenario_demand_records(
            &instance(),
            network.id(),
            RNG_SEED,
            fee_ppm,
            network.genesis().first_expiry_ms(),
        )
    }

    /// The demand of alice, bob or carol.
    pub(crate) fn demand(&self, index: usize) -> DemandId {
        self.demand_records()[index].id()
    }

    /// A record with the author's next sequence number, valid always.
    pub(crate) fn record(&self, author: &SecretKey, statement: Statement) -> Record {
        let content = RecordContent {
            network: self.ledger.network().id(),
            author: author.public(),
            sequence: self.ledger.next_sequence(author.public().address()),
            valid_until_ms: u64::MAX,
            statement,
        };
        content.sign(author)
    }

    /// Adds a batch of the miner, one second after the head, to chain and history.
    pub(crate) fn accept(
        &mut self,
        records: Vec<Record>,
        compositions: Vec<(DemandId, Vec<Slot>)>,
    ) -> BatchReport {
        let timestamp_ms = self.ledger.head().timestamp_ms + 1_000;
        let draft = Draft {
            miner: miner().public(),
            timestamp_ms,
            records,
            prices: None,
            compositions,
            amendments: Vec::new(),
        };
        let (batch, _) = self.ledger.draft(draft).unwrap().sign(&miner());
        let batch = WellFormed::new(self.ledger.network(), batch).unwrap();
        let (batch, next, report) = self.ledger.validate(batch).unwrap().execute().unwrap().into_parts();
        self.history.apply([(&batch, &report)]).unwrap();
        self.ledger = next;
        self.batches.push((batch, report.clone()));
        report
    }

    /// A node at the head that does not mine, and is no validator.
    pub(crate) fn node(&self) -> Node {
        let config = NodeConfig {
            key: treasurer(),
            mining: None,
            timing: Timing::default(),
            pool: PoolLimits::default(),
        };
        let recovered = Recovered {
            ledger: self.ledger.clone(),
            safety: Some(SafetyLog::new(0)),
            candidates: Vec::new(),
            records: Vec::new(),
            sealed: Vec::new(),
        };
        Node::new(config, recovered, Now::at(self.ledger.head().timestamp_ms)).0
    }

    /// What readers see of such a node.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.snapshot_with(Vec::new())
    }

    /// The same, with these records in its pool.
    pub(crate) fn snapshot_with(&self, records: Vec<Record>) -> Snapshot {
        let (mut node, now_ms) = (self.node(), self.ledger.head().timestamp_ms + 500);
        let reply_to = SubmissionId(1);
        let mut effects = Vec::new();
        node.handle(Now::at(now_ms), Input::Command(Command::Submit { records, reply_to }), &mut effects);
        let refused = effects.iter().find_map(|effect| {
            let Effect::Submitted { outcomes, .. } = effect else { return None };
            outcomes.iter().find_map(|outcome| outcome.clone().err())
        });
        assert_eq!(refused, None);
        Snapshot::take(&node, now_ms, None)
    }
}
