//! What must hold whatever happens, judged apart from the system: from batches on disk, messages on the wire
//! and what ledgers say, with the independent evaluator.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chain::consensus::{ConsensusMessage, Proposal, Round, SignedProposal, Vote, VoteKind};
use chain::store::{Store, Write, replay};
use chain::{
    Batch, BatchHash, Block, BlockHash, Composition, DemandId, Hash, Height, Ledger, Network, RecordId,
    Rejection, Replacement, WellFormed,
};
use miner_node::{Message, NodeEvent};
use scenarios::{Instance, Money, Solution, evaluate};

use super::host::HostId;
use super::market::Market;

/// Something that must never happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum Violation {
    /// Two hosts hold different final batches for one height.
    #[error("{host} made batch {got} final at height {height}, others {expected}")]
    Disagreement {
        host: HostId,
        height: Height,
        got: BatchHash,
        /// Everybody else's.
        expected: BatchHash,
    },
    /// A batch is final that breaks a rule.
    #[error("the final batch of height {height} breaks a rule: {error}")]
    Invalid { height: Height, error: Rejection },
    /// A block took effect that no batch has brought.
    #[error("block {block} takes effect at height {height}, and no batch has brought it")]
    UnknownBlock { block: BlockHash, height: Height },
    /// A demand was composed in two batches, or is none of this market.
    #[error("demand {demand} is composed at height {height} although {why}")]
    WronglyComposed {
        demand: DemandId,
        /// The second batch.
        height: Height,
        why: String,
    },
    /// The evaluator finds fault with what the chain composed.
    #[error("after height {height} the evaluator says: {finding}")]
    Infeasible {
        /// After which batch.
        height: Height,
        finding: String,
    },
    /// Money appeared or vanished.
    #[error("{host} has {got} micro-units of money at height {height}, there were {expected}")]
    MoneyNotConserved {
        host: HostId,
        /// At which height.
        height: Height,
        got: i128,
        /// What there was at genesis.
        expected: i128,
    },
    /// Equal heights, different states.
    #[error("{host} has state root {got} at height {height}, the batch is {expected}")]
    StateDiffers {
        host: HostId,
        /// At which height.
        height: Height,
        got: Hash,
        expected: Hash,
    },
    /// An honest validator contradicted itself.
    #[error("honest validator {validator} said two things at height {height}, round {round}: {said}")]
    Contradiction {
        /// Its position.
        validator: u16,
        /// The height.
        height: Height,
        /// The round.
        round: Round,
        said: String,
    },
    /// An honest host hung up on an honest one.
    #[error("{host} hung up on honest {peer}: {reason}")]
    HonestDropped {
        host: HostId,
        /// On whom.
        peer: HostId,
        reason: String,
    },
    /// A node says that something is wrong with itself.
    #[error("{host} reports a local fault: {detail}")]
    LocalFault { host: HostId, detail: String },
    /// A host's disk or solver refused what its node asked for.
    #[error("{host} could not {what}: {error}")]
    Broken {
        host: HostId,
        /// What its node asked for.
        what: &'static str,
        error: String,
    },
    /// A stored chain does not verify, or is not the others'.
    #[error("the chain of {host} does not stand: {error}")]
    ChainDoesNotStand { host: HostId, error: String },
    /// A node holds more than any honest network gives it reason to.
    #[error("{host} has {got} {what}, at most {limit} expected")]
    TooMuch { host: HostId, what: &'static str, got: usize, limit: usize },
    /// The network did not finish although it was good.
    #[error("not settled {after_ms} ms after the network became good: {standing}")]
    NotLive {
        /// Time since.
        after_ms: u64,
        standing: String,
    },
}

/// Watches everything; forgets nothing.
#[derive(Debug)]
pub struct Checkers {
    network: Arc<Network>,
    instance: Instance,
    /// The instance's demands by their records.
    positions: BTreeMap<RecordId, usize>,
    /// What batches brought.
    blocks: BTreeMap<BlockHash, Block>,
    /// After the highest final batch.
    ledger: Ledger,
    money: i128,
    liars: BTreeSet<u16>,
    chain: BTreeMap<Height, (BatchHash, Hash)>,
    solution: Solution,
    cost: Money,
    /// Of what stands of each demand.
    costs: BTreeMap<DemandId, Money>,
    votes: BTreeMap<(u16, Height, Round, VoteKind), Option<BatchHash>>,
    proposals: BTreeMap<(Height, Round), (BatchHash, Option<Round>)>,
    last_round: Round,
}

impl Checkers {
    /// For this market; validators in `liars` may contradict themselves.
    pub fn new(market: &Market, liars: BTreeSet<u16>) -> Self {
        let positions =
            market.records.iter().enumerate().map(|(position, record)| (record.id(), position)).collect();
        Self {
            network: Arc::clone(&market.network),
            instance: market.instance.clone(),
            positions,
            blocks: BTreeMap::new(),
            ledger: Ledger::new(Arc::clone(&market.network)),
            money: Ledger::new(Arc::clone(&market.network)).total_money(),
            liars,
            chain: BTreeMap::new(),
            solution: Solution::unserved(market.instance.demands.len()),
            cost: Money::ZERO,
            costs: BTreeMap::new(),
            votes: BTreeMap::new(),
            proposals: BTreeMap::new(),
            last_round: 0,
        }
    }

    /// This validator may contradict itself from now on: its disk was put back in time, or its operator was wrong about
    /// its past. It is to notice that, which may be after it has signed.
    pub fn excuse(&mut self, validator: u16) {
        self.liars.insert(validator);
    }

    /// The highest final batch anywhere.
    pub fn height(&self) -> Height {
        self.chain.last_key_value().map_or(0, |(&height, _)| height)
    }

    /// What the chain composed, by position in the instance.
    pub const fn solution(&self) -> &Solution {
        &self.solution
    }

    /// The highest round in which a final batch was decided.
    pub const fn last_round(&self) -> Round {
        self.last_round
    }

    /// A host writes something to its disk. True if a batch of a new height became final with it.
    ///
    /// # Errors
    /// If a final batch differs from another host's, or composes what must not be composed.
    pub fn on_write(&mut self, host: HostId, write: &Write) -> Result<bool, Violation> {
        let Write::Batch(batch, certificate) = write else { return Ok(false) };
        let (height, got) = (batch.header.height, batch.hash());
        match self.chain.get(&height) {
            Some(&(expected, _)) if got != expected => {
                Err(Violation::Disagreement { host, height, got, expected })
            }
            Some(_) => Ok(false),
            None => {
                self.last_round = self.last_round.max(certificate.round);
                self.compose(batch)?;
                self.chain.insert(height, (got, self.ledger.state_root()));
                Ok(true)
            }
        }
    }

    /// What of a batch took effect, compositions first: on a ledger of the checkers' own, which those of hosts are compared
    /// with.
    fn effective(&mut self, batch: &Batch) -> Result<Vec<(Composition, bool)>, Violation> {
        let invalid = |error: Rejection| Violation::Invalid { height: batch.header.height, error };
        let well_formed = WellFormed::new(&self.network, batch.clone()).map_err(invalid)?;
        let valid = self.ledger.validate(well_formed).map_err(invalid)?;
        let executed = valid.execute().map_err(|defect| invalid(defect.into()))?;
        let (_, next, report) = executed.into_parts();
        self.ledger = next;
        let (mut compositions, mut parts) = (Vec::new(), Vec::new());
        self.blocks.extend(batch.contents.blocks.iter().map(|block| (block.hash(), block.clone())));
        for outcome in &report.blocks {
            let block = self
                .blocks
                .get(&outcome.block)
                .ok_or(Violation::UnknownBlock { block: outcome.block, height: batch.header.height })?;
            let dropped: BTreeSet<u32> = outcome.dropped.iter().map(|dropped| dropped.item).collect();
            let mut items = u32::from(block.body.price_update.is_some())..;
            for composition in &block.body.compositions {
                let is_effective = items.next().is_some_and(|item| !dropped.contains(&item));
                compositions.extend(is_effective.then(|| (composition.clone(), true)));
            }
            for amendment in &block.body.amendments {
                if items.next().is_some_and(|item| !dropped.contains(&item)) {
                    let of = |part: &Replacement| (part.composition.clone(), part.is_first());
                    parts.extend(amendment.parts.iter().map(of));
                }
            }
        }
        compositions.extend(parts);
        Ok(compositions)
    }

    /// The first time a batch is final anywhere: its compositions join the chain's, and all of them are judged.
    fn compose(&mut self, batch: &Batch) -> Result<(), Violation> {
        let height = batch.header.height;
        for (composition, is_first) in self.effective(batch)? {
            let demand = composition.demand;
            let wrong = |why: &str| Violation::WronglyComposed { demand, height, why: why.to_owned() };
            let position = self.positions.get(&demand).ok_or_else(|| wrong("nobody demanded it"))?;
            let slot = self.solution.compositions.get_mut(*position);
            let slot = slot.ok_or_else(|| wrong("it is not in the instance"))?;
            if slot.replace(composition.slots.clone()).is_none() != is_first {
                let why = if is_first { "it was composed before" } else { "nothing stood to be replaced" };
                return Err(wrong(why));
            }
            let replaced = self.costs.insert(demand, composition.cost);
            self.cost += composition.cost - replaced.unwrap_or(Money::ZERO);
        }
        let evaluation = evaluate(&self.instance, &self.solution);
        let finding = match evaluation.violations.first() {
            Some(violation) => Some(violation.to_string()),
            None if evaluation.cost != self.cost => {
                Some(format!("batches claim a cost of {}, it is {}", self.cost, evaluation.cost))
            }
            None => None,
        };
        finding.map_or(Ok(()), |finding| Err(Violation::Infeasible { height, finding }))
    }

    /// A host's head is new.
    ///
    /// # Errors
    /// If its state is not that of the chain, or money is not conserved.
    pub fn on_head(&self, host: HostId, ledger: &Ledger) -> Result<(), Violation> {
        let height = ledger.head().height;
        let (got, expected) = (ledger.total_money(), self.money);
        if got != expected {
            return Err(Violation::MoneyNotConserved { host, height, got, expected });
        }
        let got = ledger.state_root();
        match self.chain.get(&height) {
            Some(&(_, expected)) if got != expected => {
                Err(Violation::StateDiffers { host, height, got, expected })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// An honest host sends a message; what it passes on counts as said by whoever signed it.
    ///
    /// # Errors
    /// If an honest validator contradicts itself.
    pub fn on_said(&mut self, message: &Message) -> Result<(), Violation> {
        let Message::Consensus(message) = message else { return Ok(()) };
        match message {
            ConsensusMessage::Vote(signed) => self.on_vote(signed.validator, signed.vote),
            ConsensusMessage::Proposal(signed) => self.on_proposal(signed),
            ConsensusMessage::Polka(polka) => {
                let vote = self.certified(VoteKind::Prevote, polka.height, polka.round, polka.batch);
                polka.signatures.iter().try_for_each(|&(validator, _)| self.on_vote(validator, vote))
            }
            ConsensusMessage::Commit(commit) => {
                let vote = self.certified(VoteKind::Precommit, commit.height, commit.round, commit.batch);
                commit.signatures.iter().try_for_each(|&(validator, _)| self.on_vote(validator, vote))
            }
        }
    }

    fn certified(&self, kind: VoteKind, height: Height, round: Round, batch: BatchHash) -> Vote {
        Vote { network: self.network.id(), height, round, kind, batch: Some(batch) }
    }

    fn on_vote(&mut self, validator: u16, vote: Vote) -> Result<(), Violation> {
        if self.liars.contains(&validator) {
            return Ok(());
        }
        let Vote { height, round, kind, batch, .. } = vote;
        let first = *self.votes.entry((validator, height, round, kind)).or_insert(batch);
        if first == batch {
            return Ok(());
        }
        let said = format!("{kind:?} for {first:?} and for {batch:?}");
        Err(Violation::Contradiction { validator, height, round, said })
    }

    fn on_proposal(&mut self, signed: &SignedProposal) -> Result<(), Violation> {
        let Proposal { height, round, batch, valid_round, .. } = signed.proposal;
        let validator = self.network.validators().proposer(height, round);
        if self.liars.contains(&validator) {
            return Ok(());
        }
        let first = *self.proposals.entry((height, round)).or_insert((batch, valid_round));
        if first == (batch, valid_round) {
            return Ok(());
        }
        let said = format!("proposals of {first:?} and of {:?}", (batch, valid_round));
        Err(Violation::Contradiction { validator, height, round, said })
    }

    /// The last height of which an honest validator said anything; 0 if it never did.
    pub fn last_signed(&self, validator: u16) -> Height {
        let voted =
            self.votes.keys().filter(|(voter, ..)| *voter == validator).map(|&(_, height, ..)| height);
        let proposed = self
            .proposals
            .keys()
            .filter(|&&(height, round)| self.network.validators().proposer(height, round) == validator);
        voted.chain(proposed.map(|&(height, _)| height)).max().unwrap_or(0)
    }

    /// Of how many heights a validator voted.
    pub fn heights_signed(&self, validator: u16) -> u64 {
        let voted = self.votes.keys().filter(|(voter, ..)| *voter == validator);
        let heights: BTreeSet<Height> = voted.map(|&(_, height, ..)| height).collect();
        u64::try_from(heights.len()).unwrap_or(u64::MAX)
    }

    /// A node tells people something.
    ///
    /// # Errors
    /// If it is that it is broken.
    pub fn on_event(host: HostId, event: &NodeEvent) -> Result<(), Violation> {
        if let NodeEvent::LocalFault { detail } = event {
            return Err(Violation::LocalFault { host, detail: detail.clone() });
        }
        if let NodeEvent::ForgottenVote { height, round } = event {
            let detail = format!("it does not remember its vote of height {height}, round {round}");
            return Err(Violation::LocalFault { host, detail });
        }
        if let NodeEvent::WorkFailed { kind, reason, .. } = event {
            return Err(Violation::LocalFault { host, detail: format!("{kind:?}: {reason}") });
        }
        Ok(())
    }

    /// Verifies a host's chain from genesis out of its store.
    ///
    /// # Errors
    /// If it does not verify or does not end like everybody's.
    pub fn verify_chain(&self, host: HostId, store: &Store) -> Result<(), Violation> {
        let wrong = |error: String| Violation::ChainDoesNotStand { host, error };
        let ledger = replay(store, Arc::clone(&self.network)).map_err(|error| wrong(error.to_string()))?;
        self.on_head(host, &ledger)?;
        let (height, hash) = (ledger.head().height, ledger.head().hash);
        match self.chain.get(&height) {
            Some(&(expected, _)) if expected == hash && height == self.height() => Ok(()),
            _ => Err(wrong(format!(
                "it ends at height {height} with {hash}, the network's at {}",
                self.height()
            ))),
        }
    }
}
