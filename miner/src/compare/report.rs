//! What a comparison finds, as data: printed as a table by the module `table`, or as JSON as it stands.

use chain::{BlockHash, Height};
use miner_api::BlockRow;
use scenarios::Money;
use scenarios::bound::gap_percent;
use scenarios::settings::{Profile, PublishedResult};
use serde::Serialize;

use miner_node::strategy::Strategy;

/// One scenario under one profile.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The scenario's name.
    pub scenario: String,
    /// The algorithm, the same for the central search and every miner.
    pub profile: Profile,
    /// Providers, demands, orders.
    pub size: (usize, usize, usize),
    /// What a random assignment costs on average.
    pub random: Money,
    /// What every cost is read against.
    pub bound: Bound,
    /// The centralised search.
    pub central: CentralRun,
    /// The networks, by number of miners.
    pub networks: Vec<NetworkRun>,
    /// Paper A's results on a problem of this size.
    pub published: Vec<PublishedResult>,
}

/// A lower bound on every cost.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Bound {
    /// The bound.
    pub value: Money,
    /// It is attained: the exact optimum.
    pub is_exact: bool,
}

impl Bound {
    /// How far a cost lies above it, in percent.
    pub fn gap_percent(&self, cost: Money) -> f64 {
        gap_percent(cost, self.value)
    }
}

/// The centralised search.
#[derive(Clone, Debug, Serialize)]
pub struct CentralRun {
    /// Cost, as the independent evaluator finds.
    pub cost: Money,
    /// Demands it leaves unserved.
    pub unserved: usize,
    /// CPU time of its threads together, seconds; the search for prices included.
    pub cpu_seconds: f64,
    /// Wall time, seconds.
    pub wall_seconds: f64,
    /// Individuals evaluated.
    pub evaluations: u64,
}

/// A network of miner processes.
#[derive(Clone, Debug, Serialize)]
pub struct NetworkRun {
    /// Miners that share out the market.
    pub miners: usize,
    /// Miners that roam over the cells of others.
    pub roaming: usize,
    /// How the demands were shared out, if not as the scenario says.
    pub strategy: Option<Strategy>,
    /// Cost of all compositions on chain at the end, as the independent evaluator finds.
    pub cost: Money,
    /// What all compositions cost when the last demand had been composed: the price of splitting the market, which
    /// amendments go on to win back.
    pub first_cost: Money,
    /// Demands that amendments composed anew, each time counted.
    pub amended: u64,
    /// Demands left unserved, and why.
    pub unserved: Vec<Unserved>,
    /// CPU time for first compositions of the miner that searched longest, seconds: paper A's solving time,
    /// adapted.
    pub slowest_cpu_seconds: f64,
    /// Wall time from the start signal to the finality of the last first composition, seconds.
    pub wall_seconds: f64,
    /// The exact cost when each strip serves its own demands with its own providers; `None` where the
    /// market is not split that way or capacities bind.
    pub split_optimum: Option<Money>,
    /// Final blocks that composed demands or raised the bound.
    pub blocks: Vec<FinalRow>,
    /// Every refusal, once, but for blocks of nothing but amendments.
    pub refusals: Vec<RefusalRow>,
    /// How many of those were refused: mostly overtaken by others, and sent again.
    pub refused_amendments: usize,
    /// Re-anchored blocks and repaired searches.
    pub repairs: Repairs,
    /// What was verified after the run.
    pub audit: Audit,
}

/// A demand nobody composed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Unserved {
    /// Its name.
    pub demand: String,
    /// Why.
    pub reason: String,
}

/// A final block, and whose it is.
#[derive(Clone, Debug, Serialize)]
pub struct FinalRow {
    /// What it is.
    #[serde(flatten)]
    pub block: BlockRow,
    /// The miner's number, from 1.
    pub miner_number: usize,
    /// The miner's cell then.
    pub cell: String,
    /// Validators that signed its certificate.
    pub votes: usize,
    /// The round that decided it.
    pub round: u32,
}

/// A block that was refused.
#[derive(Clone, Debug, Serialize)]
pub struct RefusalRow {
    /// The height it was mined for.
    pub height: Height,
    /// Its name.
    pub block: BlockHash,
    /// The miner's number, from 1.
    pub miner_number: usize,
    /// Demands it would have composed.
    pub demands: usize,
    /// The rule.
    pub rule: String,
    /// The rule, got and expected, in words.
    pub reason: String,
}

/// How often miners had to adapt.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Repairs {
    /// Blocks sent again on a new head.
    pub reanchored: usize,
    /// Compositions that fell out then.
    pub dropped: usize,
    /// Running searches that went on with a changed problem.
    pub searches: usize,
}

/// What was verified after the nodes had stopped, each from its own store.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Audit {
    /// Nodes whose chain was verified from genesis: signatures, votes, roots, costs, reduced costs, rewards.
    pub chains: usize,
    /// Blocks verified, in all.
    pub blocks: u64,
    /// The head all agree on.
    pub head: Option<BlockHash>,
    /// What all compositions cost when the last demand had been composed.
    pub first_cost: Money,
    /// What does not hold; empty if all is well.
    pub failures: Vec<String>,
}

impl Comparison {
    /// Everything that does not hold.
    pub fn failures(&self) -> impl Iterator<Item = &String> {
        self.networks.iter().flat_map(|network| &network.audit.failures)
    }
}
