//! A market played through in one process: the law of `chain` on a ledger in memory, batches of one validator, everybody's keys at hand.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use chain::genesis::scenario::scenario_demand_records;
use chain::ledger::DemandEntry;
use chain::record::{DemandStatement, OfferStatement};
use chain::validate::Serving;
use chain::{
    Assembly, Batch, BatchReport, Block, DemandId, Draft, Genesis, Ledger, Network, Record, RecordContent,
    Rejection, SecretKey, Statement, WellFormed,
};
use scenarios::settings::Profile;
use scenarios::{
    DualPrices, Minutes, Money, Offer, OperationId, ProviderId, Scenario, Site, Slot, TimeWindow,
};

/// Whose keys these are is known to all; it is a play.
const RNG_SEED: u64 = 1;
const START_MS: u64 = 1_000_000;
/// Between two batches, in milliseconds.
const STEP_MS: u64 = 1_000;
/// What each robber has: more than any of the attacks takes.
const PURSE: Money = Money::from_units(2_000_000);

/// Somebody on the stage.
#[derive(Clone, Copy, Debug)]
pub(super) enum Role {
    /// A miner who composes as well as it can.
    Honest,
    /// A miner who robs, and another one of the same people.
    Robber,
    Accomplice,
    /// Providers and customers of the robber's, by number.
    Crony(u64),
    /// A provider of the scenario, by number.
    Provider(ProviderId),
    /// A customer of the scenario, by number.
    Customer(usize),
}

impl Role {
    pub(super) fn key(self) -> SecretKey {
        let (role, index) = match self {
            Self::Honest => ("honest miner", 0),
            Self::Robber => ("robber", 0),
            Self::Accomplice => ("accomplice", 0),
            Self::Crony(index) => ("crony", index),
            Self::Provider(id) => ("provider", u64::from(id.0)),
            Self::Customer(index) => ("demander", index as u64),
        };
        SecretKey::for_scenario(RNG_SEED, role, index)
    }
}

/// What a provider of the robber's offers: all of these operations on the same terms.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) site: Site,
    pub(super) operations: Vec<OperationId>,
    pub(super) offer: Offer,
    pub(super) capacity: Minutes,
    /// For each operation; the least if nothing.
    pub(super) deposit: Money,
}

pub(super) struct Stage {
    pub(super) ledger: Ledger,
    /// The scenario's demands, in order.
    pub(super) demands: Vec<DemandId>,
}

impl Stage {
    /// The scenario's market under its own parameters, certified schedule and blocks in clear, as `law` changes them; so many cronies
    /// have money. All demands are on chain, at prices of zero.
    pub(super) fn open(scenario: &Scenario, cronies: u64, law: impl FnOnce(&mut Genesis)) -> Result<Self> {
        let validator = validator().public();
        let mut genesis =
            Genesis::of_scenario(scenario, Profile::Hybrid, 1, vec![validator], RNG_SEED, START_MS);
        genesis.parameters.commit_reveal = None;
        for role in
            [Role::Honest, Role::Robber, Role::Accomplice].into_iter().chain((0..cronies).map(Role::Crony))
        {
            genesis.balances.insert(role.key().public().address(), PURSE);
        }
        genesis.balances.insert(validator.address(), PURSE);
        for provider in 0..genesis.providers.len() {
            let address = Role::Provider(ProviderId::from_index(provider)).key().public().address();
            genesis.balances.insert(address, PURSE);
        }
        law(&mut genesis);
        let (fee, expires_ms) = (genesis.parameters.solver_fee_ppm, genesis.first_expiry_ms());
        let network = Network::new(genesis).context("the scenario founds no network")?;
        let records = scenario_demand_records(&scenario.instance, network.id(), RNG_SEED, fee, expires_ms);
        let demands = records.iter().map(Record::id).collect();
        let mut stage = Self { ledger: Ledger::new(Arc::new(network)), demands };
        let most = stage.ledger.network().parameters().limits.records_per_batch as usize;
        for records in records.chunks(most) {
            stage.bring(records.to_vec())?;
        }
        Ok(stage)
    }

    pub(super) fn parameters(&self) -> &chain::Parameters {
        self.ledger.network().parameters()
    }

    fn next_ms(&self) -> u64 {
        self.ledger.head().timestamp_ms + STEP_MS
    }

    /// A record with its author's next number, `earlier` of whose records come with the same batch.
    pub(super) fn record(&self, author: Role, earlier: u64, statement: Statement) -> Record {
        let key = author.key();
        let content = RecordContent {
            network: self.ledger.network().id(),
            author: key.public(),
            sequence: self.ledger.next_sequence(key.public().address()) + earlier,
            valid_until_ms: u64::MAX,
            statement,
        };
        content.sign(&key)
    }

    pub(super) fn offer(&self, author: Role, terms: &Terms) -> Record {
        let offers = terms.operations.iter().map(|&operation| (operation, terms.offer));
        let offer = OfferStatement {
            name: "robber's".into(),
            site: terms.site,
            offers: offers.collect(),
            capacity: Some(terms.capacity.into()),
            deposit: terms.deposit.max(self.parameters().offer_deposit),
        };
        self.record(author, 0, Statement::Offer(offer))
    }

    /// What somebody wants, and pays the least fee for.
    pub(super) fn demand(&self, site: Site, orders: Vec<OperationId>, budget: Money) -> Statement {
        let least = budget.checked_ppm(self.parameters().solver_fee_ppm).unwrap_or(budget);
        Statement::Demand(DemandStatement {
            name: "robber's".into(),
            site,
            orders,
            budget,
            solver_fee: least,
            window: TimeWindow::ANY,
            expires_ms: self.ledger.network().genesis().first_expiry_ms(),
        })
    }

    /// Lets a batch of these records come.
    pub(super) fn bring(&mut self, records: Vec<Record>) -> Result<BatchReport> {
        self.bring_all(records, Vec::new(), self.next_ms())
    }

    /// Of these records, those that may come do: how many, and why the first of the others may not.
    pub(super) fn bring_admissible(&mut self, records: &[Record]) -> Result<(usize, Option<String>)> {
        let (kept, refused) = self.ledger.admissible_records(records, self.next_ms());
        let count = kept.len();
        if count > 0 {
            self.bring(kept)?;
        }
        Ok((count, refused.first().map(|(_, why)| why.rule().name().to_owned())))
    }

    /// Lets a batch of one block come.
    pub(super) fn bring_block(&mut self, block: Block) -> Result<BatchReport> {
        self.bring_all(Vec::new(), vec![block], self.next_ms())
    }

    fn bring_all(
        &mut self,
        records: Vec<Record>,
        blocks: Vec<Block>,
        timestamp_ms: u64,
    ) -> Result<BatchReport> {
        let assembly = Assembly {
            proposer: validator().public(),
            timestamp_ms,
            turn: 0,
            evidence: Vec::new(),
            records,
            commitments: Vec::new(),
            blocks,
        };
        let assembled = self.ledger.assemble(assembly);
        if let Some((_, why)) = assembled.refused.first() {
            bail!("a block has no effect: {why}");
        }
        self.push(assembled.drafted?.sign(&validator()).0)
    }

    fn push(&mut self, batch: Batch) -> Result<BatchReport> {
        let formed = WellFormed::new(self.ledger.network(), batch)?;
        let executed = self.ledger.validate(formed)?.execute()?;
        let (_, ledger, report) = executed.into_parts();
        self.ledger = ledger;
        Ok(report)
    }

    /// A block of these, if nothing of it breaks a rule on the present head.
    pub(super) fn draft(
        &self,
        miner: Role,
        servings: Vec<Serving>,
        sets: Vec<Vec<Serving>>,
    ) -> Result<Block, Rejection> {
        self.drafted(miner, servings, sets, None)
    }

    fn drafted(
        &self,
        miner: Role,
        compositions: Vec<Serving>,
        amendments: Vec<Vec<Serving>>,
        prices: Option<DualPrices>,
    ) -> Result<Block, Rejection> {
        let key = miner.key();
        let draft = Draft {
            miner: key.public(),
            timestamp_ms: self.next_ms(),
            records: Vec::new(),
            prices,
            compositions,
            amendments,
        };
        let drafted = self.ledger.draft(draft)?;
        Ok(drafted.sign_block(&key).expect("a draft with an item has a block").0)
    }

    /// Somebody puts prices in force.
    pub(super) fn reprice(&mut self, miner: Role, prices: &DualPrices) -> Result<BatchReport> {
        let block = self.drafted(miner, Vec::new(), Vec::new(), Some(prices.clone()))?;
        self.bring_block(block)
    }

    /// Somebody amends what of these sets it may.
    pub(super) fn amend(&mut self, miner: Role, sets: &[Vec<Serving>]) -> Result<BatchReport> {
        // Not too soon after the last batch.
        self.wait(self.parameters().amendment_interval_ms.max(1))?;
        let kept = self.ledger.admissible_amendments(&miner.key().public(), self.next_ms(), &[], sets).kept;
        if kept.is_empty() {
            return Ok(BatchReport::default());
        }
        let block = self.draft(miner, Vec::new(), kept)?;
        self.bring_block(block)
    }

    /// Whether somebody could put prices in force; the rule, if not.
    pub(super) fn could_reprice(&self, miner: Role, prices: &DualPrices) -> Result<(), Rejection> {
        self.drafted(miner, Vec::new(), Vec::new(), Some(prices.clone())).map(|_| ())
    }

    /// Somebody composes what of these it may, exactly as they are, as many of them together as fit: what came of it, and the rule that
    /// the first of the others breaks.
    pub(super) fn compose_exactly(
        &mut self,
        miner: Role,
        servings: &[Serving],
    ) -> Result<(BatchReport, Option<&'static str>)> {
        let mut rule = None;
        let mut kept: Vec<Serving> = Vec::new();
        for serving in servings {
            match self.draft(miner, vec![serving.clone()], Vec::new()) {
                Ok(_) => kept.push(serving.clone()),
                Err(why) => rule = rule.or(Some(why.rule())),
            }
        }
        let admissible = self.ledger.admissible(&miner.key().public(), self.next_ms(), &kept);
        let are_as_meant: Vec<Serving> =
            admissible.kept.into_iter().filter(|one| kept.contains(one)).collect();
        rule = rule.or(admissible.refused.first().map(|(_, why)| why.rule()));
        if are_as_meant.is_empty() {
            return Ok((BatchReport::default(), rule));
        }
        match self.draft(miner, are_as_meant, Vec::new()) {
            Ok(block) => Ok((self.bring_block(block)?, rule)),
            Err(why) => Ok((BatchReport::default(), Some(why.rule()))),
        }
    }

    /// Somebody composes these as miners do, in as many batches as it takes: of what is not near the best of what is left, the best
    /// instead. How many were composed, and what that earns with the share of the prices' authors.
    pub(super) fn compose(&mut self, miner: Role, servings: &[Serving]) -> Result<(usize, Money)> {
        let (mut composed, mut earned, mut has_waited) = (0, Money::ZERO, false);
        let mut left = servings.to_vec();
        loop {
            left.retain(|(demand, _)| self.ledger.demand(*demand).is_some_and(DemandEntry::is_open));
            let report = self.compose_some(miner, left.clone())?;
            if report.compositions == 0 && (has_waited || left.is_empty()) {
                return Ok((composed, earned));
            }
            if report.compositions == 0 {
                // What is paid too little to be accepted is accepted later.
                self.wait_until_relaxed()?;
                has_waited = true;
                left = self.best_left(&left);
            }
            composed += report.compositions as usize;
            earned += report.reward + report.price_share;
        }
    }

    /// These demands with the best that is left for each, as they are without that.
    fn best_left(&self, servings: &[Serving]) -> Vec<Serving> {
        let market = self.ledger.open_market();
        let oracle = market.supply.oracle();
        let best = |(id, way): &Serving| {
            let demand = &self.ledger.demand(*id)?.demand;
            let found = oracle.carried(demand, &market.prices, &market.capacities)?;
            (found.slots != *way).then_some((*id, found.slots))
        };
        servings.iter().map(|serving| best(serving).unwrap_or_else(|| serving.clone())).collect()
    }

    fn compose_some(&mut self, miner: Role, mut kept: Vec<Serving>) -> Result<BatchReport> {
        // What takes the place of one composition may take another's rank and minutes.
        for _ in 0..8 {
            let better = self.ledger.admissible(&miner.key().public(), self.next_ms(), &kept).kept;
            if better == kept {
                break;
            }
            kept = better;
        }
        while !kept.is_empty() {
            match self.draft(miner, kept.clone(), Vec::new()) {
                Ok(block) => return self.bring_block(block),
                Err(_) => kept.truncate(kept.len() / 2),
            }
        }
        Ok(BatchReport::default())
    }

    /// Lets so much market time pass, with a batch each while.
    pub(super) fn wait(&mut self, ms: u64) -> Result<()> {
        let until_ms = self.ledger.market_ms() + ms;
        let longest_ms = self.parameters().halt_after_ms.max(1);
        while self.ledger.market_ms() < until_ms {
            let step_ms =
                (until_ms - self.ledger.market_ms()).clamp(1, longest_ms).max(STEP_MS.min(longest_ms));
            let to = Role::Honest.key().public().address();
            let gift = Statement::Transfer { to, amount: Money::from_micros(1) };
            let timestamp_ms = self.ledger.head().timestamp_ms + step_ms;
            let key = validator();
            let content = RecordContent {
                network: self.ledger.network().id(),
                author: key.public(),
                sequence: self.ledger.next_sequence(key.public().address()),
                valid_until_ms: u64::MAX,
                statement: gift,
            };
            self.bring_all(vec![content.sign(&key)], Vec::new(), timestamp_ms)?;
        }
        Ok(())
    }

    /// Lets a batch come that changes nothing.
    pub(super) fn pass_a_batch(&mut self) -> Result<()> {
        self.wait(STEP_MS)
    }

    /// Until what is announced is so.
    pub(super) fn wait_for_notice(&mut self) -> Result<()> {
        self.wait(self.parameters().notice_ms + 2 * STEP_MS)
    }

    /// Until nothing but what is feasible is asked of a demand.
    pub(super) fn wait_until_relaxed(&mut self) -> Result<()> {
        let parameters = self.parameters();
        self.wait(parameters.relax_after_ms + parameters.relax_over_ms + 2 * STEP_MS)
    }

    /// Until everything composed is settled.
    pub(super) fn settle(&mut self) -> Result<()> {
        self.wait(self.parameters().freeze_after_ms + 2 * STEP_MS)
    }

    /// What somebody owns, locked for offers or not.
    pub(super) fn wealth(&self, of: Role) -> Money {
        let address = of.key().public().address();
        let locked = self.ledger.provider_id(address).map_or(Money::ZERO, |id| self.ledger.deposit(id));
        self.ledger.balance(address) + locked
    }

    /// The scenario's demand of this number, served like this.
    pub(super) fn serving(&self, demand: usize, slots: Vec<Slot>) -> Serving {
        (self.demands[demand], slots)
    }
}

fn validator() -> SecretKey {
    SecretKey::for_scenario(RNG_SEED, "validator", 0)
}
