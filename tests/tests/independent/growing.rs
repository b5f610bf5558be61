//! A chain that grows batch by batch in this process, with its certificates.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use chain::consensus::{CommitCertificate, Vote, VoteKind};
use chain::ledger::{BatchReport, DemandEntry};
use chain::store::{MemoryBackend, Store, Write};
use chain::validate::Assembly;
use chain::{
    Batch, Block, DemandId, Draft, FinalBatch, Genesis, Ledger, Network, Record, RecordContent, SecretKey,
    Statement, WellFormed,
};
use ga::prices::find_prices;
use miner::chain_tools::{ChainExport, DemandHistory, NodeChain};
use scenarios::{DualPrices, Oracle, Slot};

pub(crate) const RNG_SEED: u64 = 11;

/// A test key with a role of its own.
pub(crate) fn key(role: &str, index: u64) -> SecretKey {
    SecretKey::for_scenario(RNG_SEED, role, index)
}

/// Four validators, ascending; three make a quorum.
pub(crate) fn validators() -> Vec<SecretKey> {
    let mut keys: Vec<_> = (0..4).map(|index| key("validator", index)).collect();
    keys.sort_by_key(SecretKey::public);
    keys
}

/// A chain in the making.
pub(crate) struct Growing {
    pub(crate) ledger: Ledger,
    pub(crate) batches: Vec<(Batch, CommitCertificate)>,
    pub(crate) reports: Vec<BatchReport>,
    history: DemandHistory,
}

/// What the next batch brings.
#[derive(Clone, Default)]
pub(crate) struct Next {
    pub(crate) miner: u64,
    pub(crate) records: Vec<Record>,
    pub(crate) prices: Option<DualPrices>,
    pub(crate) compositions: Vec<(DemandId, Vec<Slot>)>,
    pub(crate) amendments: Vec<Vec<(DemandId, Vec<Slot>)>>,
}

impl Growing {
    pub(crate) fn from(genesis: Genesis) -> Self {
        let network = Arc::new(Network::new(genesis).expect("a valid genesis"));
        Self {
            ledger: Ledger::new(network),
            batches: Vec::new(),
            reports: Vec::new(),
            history: DemandHistory::default(),
        }
    }

    pub(crate) fn network(&self) -> &Arc<Network> {
        self.ledger.network()
    }

    /// A record with the author's next sequence number, `earlier` of them being on their way.
    pub(crate) fn record(&self, author: &SecretKey, earlier: u64, statement: Statement) -> Record {
        let content = RecordContent {
            network: self.network().id(),
            author: author.public(),
            sequence: self.ledger.next_sequence(author.public().address()) + earlier,
            valid_until_ms: self.ledger.head().timestamp_ms + 600_000,
            statement,
        };
        content.sign(author)
    }

    /// The next batch, two seconds after the last.
    pub(crate) fn draft(&self, next: Next) -> Batch {
        let miner = key("miner", next.miner);
        let draft = Draft {
            miner: miner.public(),
            timestamp_ms: self.ledger.head().timestamp_ms + 2_000,
            records: next.records,
            prices: next.prices,
            compositions: next.compositions,
            amendments: next.amendments,
        };
        self.ledger.draft(draft).expect("a draft that keeps the rules").sign(&miner).0
    }

    /// Adds a batch, fully validated and certified.
    pub(crate) fn add(&mut self, next: Next) -> BatchReport {
        let batch = self.draft(next);
        self.push(batch)
    }

    /// Adds an empty batch, whose header says what the last one led to.
    pub(crate) fn seal(&mut self) {
        self.add(Next::default());
    }

    pub(crate) fn push(&mut self, batch: Batch) -> BatchReport {
        let formed = WellFormed::new(self.network(), batch).expect("what was drafted is well-formed");
        let valid = self.ledger.validate(formed).expect("what was drafted is valid");
        let certificate = self.certificate(valid.batch());
        let decided = valid.decide(certificate).expect("three of four make a batch final");
        let done: FinalBatch = decided.execute().expect("a sound state");
        let (batch, certificate, ledger, report) = done.into_parts();
        self.ledger = ledger;
        self.history.note(&report.departed);
        self.batches.push((batch, certificate));
        self.reports.push(report.clone());
        report
    }

    /// Adds a batch that a validator puts together of these records and blocks, but for blocks that have no effect; `None` if
    /// nothing is left.
    pub(crate) fn add_blocks(&mut self, records: Vec<Record>, blocks: Vec<Block>) -> Option<BatchReport> {
        let (key, timestamp_ms) = (key("validator", 0), self.ledger.head().timestamp_ms + 2_000);
        let assembly = Assembly {
            proposer: key.public(),
            timestamp_ms,
            turn: 0,
            evidence: Vec::new(),
            records,
            commitments: Vec::new(),
            blocks,
        };
        let drafted = self.ledger.assemble(assembly).drafted.ok()?;
        Some(self.push(drafted.sign(&key).0))
    }

    pub(crate) fn add_records(&mut self, records: Vec<Record>) -> BatchReport {
        self.add(Next { records, ..Next::default() })
    }

    /// Adds empty batches up to a height.
    pub(crate) fn wait_until(&mut self, height: u64) {
        while self.ledger.head().height < height {
            self.add(Next::default());
        }
    }

    /// The precommits of three of the four validators, not always the same three.
    pub(crate) fn certificate(&self, batch: &Batch) -> CommitCertificate {
        let height = batch.header.height;
        let round = u32::try_from(height % 3).expect("a small round");
        let (network, hash) = (self.network().id(), batch.hash());
        let vote = Vote { network, height, round, kind: VoteKind::Precommit, batch: Some(hash) };
        let absent = u16::try_from(height % 4).expect("a small position");
        let signed = (0_u16..).zip(validators()).filter(|(index, _)| *index != absent);
        let signatures = signed.map(|(index, key)| (index, vote.sign(index, &key).signature)).collect();
        CommitCertificate { height, round, batch: hash, signatures }
    }

    /// Up to `most` open demands, each composed at the prices in force as well as what is left allows, but
    /// none that would cost more than `worst` percent over its cheapest composition.
    pub(crate) fn cheapest(&self, miner: u64, most: usize, worst: i64) -> Vec<(DemandId, Vec<Slot>)> {
        let miner = key("miner", miner).public();
        let market = self.ledger.open_market_for(&miner);
        let (oracle, everywhere) = (Oracle::new(&market.supply), self.ledger.market());
        let everywhere = Oracle::new(&everywhere.supply);
        let mut left = market.capacities.clone();
        let mut found = Vec::new();
        for demand in &market.demands {
            let wanted = &demand.entry.demand;
            // Room for a few orders each, so that hardly a composition overuses a provider.
            let place =
                |slot: Slot| market.supply.horizon.position(slot).expect("a slot that can be planned");
            let fits = |slot: Slot, minutes: i64| left[place(slot)].is_none_or(|left| left >= 4 * minutes);
            let best = oracle.cheapest_among(wanted, &market.prices, fits);
            let least = everywhere.cheapest(wanted, &market.prices);
            let (Some(best), Some(least)) = (best, least) else { continue };
            if best.priced_cost.micros() * 100 > least.priced_cost.micros() * (100 + worst) {
                continue;
            }
            for (&slot, operation) in best.slots.iter().zip(&wanted.orders) {
                let minutes = market.supply.providers[slot.provider.index()].offers[operation].minutes;
                left[place(slot)] = left[place(slot)].map(|left| left - minutes);
            }
            found.push((demand.id, best.slots));
        }
        let mut admissible =
            self.ledger.admissible(&miner, self.ledger.head().timestamp_ms + 2_000, &found).kept;
        admissible.truncate(most);
        admissible
    }

    /// Prices that raise the bound of the market as it is.
    pub(crate) fn better_prices(&self) -> DualPrices {
        let market = self.ledger.market();
        let demands: Vec<_> = market.demands.iter().map(|demand| demand.entry.demand.clone()).collect();
        let (start, cancel) = (DualPrices::zero(), AtomicBool::new(false));
        let found = find_prices(&market.supply, &demands, &market.capacities, &start, 200, &cancel);
        found.expect("prices that suit the capacities").prices
    }

    /// A demand that is or was on chain.
    pub(crate) fn demand(&self, id: DemandId) -> &DemandEntry {
        self.history.demand(&self.ledger, id).expect("a demand on chain")
    }

    /// All demands that ever came on chain.
    pub(crate) fn demands(&self) -> impl Iterator<Item = (DemandId, &DemandEntry)> {
        self.history.demands(&self.ledger)
    }

    /// How many demands stand where.
    pub(crate) fn statuses(&self) -> BTreeMap<&'static str, usize> {
        let mut statuses = BTreeMap::new();
        for (_, entry) in self.demands() {
            *statuses.entry(entry.status.name()).or_default() += 1;
        }
        statuses
    }

    /// The chain as a JSON document.
    pub(crate) fn export(&self) -> serde_json::Value {
        let mut export = ChainExport::new(self.network());
        for (batch, certificate) in &self.batches {
            export.push(batch.clone(), certificate.clone());
        }
        serde_json::to_value(&export).expect("an export is JSON")
    }

    /// The chain in a store, as a stopped node leaves it.
    pub(crate) fn stored(&self) -> NodeChain {
        let backend = Box::new(MemoryBackend::default());
        let mut store = Store::open(backend, self.network().id()).expect("an empty store opens");
        store.write(&self.writes()).expect("a chain in order is stored");
        NodeChain { network: Arc::clone(self.network()), store, directory: "in memory".into() }
    }

    pub(crate) fn writes(&self) -> Vec<Write> {
        let batches = self.batches.iter().cloned();
        batches.map(|(batch, certificate)| Write::Batch(Box::new(batch), Box::new(certificate))).collect()
    }
}
