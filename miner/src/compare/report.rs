//! What a comparison finds, as data: printed as a table by the module `table`, or as JSON as it stands.

use chain::consensus::Power;
use chain::{BatchHash, BlockHash};
use miner_api::BatchRow;
use scenarios::bound::gap_percent;
use scenarios::settings::{Profile, PublishedResult};
use scenarios::{Money, Unserved};
use serde::Serialize;

use miner_node::strategy::Strategy;

/// One scenario under one profile.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct Comparison {
    pub scenario: String,
    /// The algorithm, the same for the central search and every miner.
    pub profile: Profile,
    /// Providers, demands, orders.
    pub size: (usize, usize, usize),
    /// Random assignment.
    pub random: RandomRun,
    /// What every cost is read against.
    pub bound: Bound,
    pub central: CentralRun,
    /// The networks, by number of miners.
    pub networks: Vec<NetworkRun>,
    /// Paper A's results on a problem of this size.
    pub published: Vec<PublishedResult>,
}

/// A lower bound on every cost.
#[derive(Clone, Copy, Debug, Serialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct Bound {
    pub value: Money,
    /// It is attained: the exact optimum.
    pub is_exact: bool,
}

impl Bound {
    /// The words for a cost with budgets that lies below it: one of the two is wrong.
    pub fn contradiction(&self, name: &str, penalised_cost: Money) -> Option<String> {
        let Self { value, .. } = self;
        let text =
            || format!("{name} costs {penalised_cost:.2} $ with budgets, below the bound of {value:.2} $");
        (penalised_cost < *value).then(text)
    }

    /// How far a cost, with the budgets of the unserved, lies above it, in percent.
    pub fn gap_percent(&self, cost: Money) -> f64 {
        gap_percent(cost, self.value)
    }
}

/// What random assignment costs on average; it keeps to no budget and no capacity.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct RandomRun {
    /// The mean cost of what some plan can serve, and the budgets of the rest.
    pub penalised_cost: Money,
    /// Demands that no plan can serve: an operation is offered by nobody, or the budget is below any cost.
    pub unservable: usize,
    /// How far the cost lies above the bound, in percent; `None` where it undercuts every plan, for want of capacity.
    pub gap_percent: Option<f64>,
}

/// What a search had found at some time, and what that had taken since the search, prices included, began.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Incumbent {
    /// Cost, with the budgets of the unserved.
    pub penalised_cost: Money,
    /// Wall time, seconds.
    pub wall_seconds: f64,
    /// CPU time of all its threads, seconds.
    pub cpu_seconds: f64,
}

/// The centralised search.
#[derive(Clone, Debug, Serialize)]
pub struct CentralRun {
    /// Cost of what it serves, as the independent evaluator finds.
    pub cost: Money,
    /// The same with the budgets of the unserved: what the bound bounds.
    pub penalised_cost: Money,
    /// How far that lies above the bound, in percent.
    pub gap_percent: f64,
    /// Demands it leaves unserved, and why.
    pub unserved: Vec<Unserved>,
    /// Every incumbent that was cheaper than the one before, in order.
    pub incumbents: Vec<Incumbent>,
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
    /// The same with the budgets of the unserved: what the bound bounds.
    pub penalised_cost: Money,
    /// How far that lies above the bound, in percent.
    pub gap_percent: f64,
    /// How much less that is than the centre's, in percent.
    pub improvement_percent: f64,
    /// What everything cost, with the budgets of the unserved, when the last demand had been composed: the price of
    /// splitting the market, which amendments go on to win back.
    pub first_penalised_cost: Money,
    /// How far that lies above the bound, in percent.
    pub first_gap_percent: f64,
    /// When the centre first was as near the bound as that; `None` if it never was.
    pub centre_at_first_gap: Option<Incumbent>,
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
    /// Final batches, in order.
    pub batches: Vec<FinalRow>,
    /// Every refusal of a block, once, but for those that compose no open demand.
    pub refusals: Vec<RefusalRow>,
    /// How many of those were refused: others' were better.
    pub refused_amendments: usize,
    /// Dropped items and repaired searches.
    pub repairs: Repairs,
    /// What was verified after the run.
    pub audit: Audit,
}

/// A final batch, and whose blocks it brought.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct FinalRow {
    #[serde(flatten)]
    pub batch: BatchRow,
    /// The number of the node that put it together, from 1.
    pub proposer_number: usize,
    /// Whose each of its blocks is.
    pub mined: Vec<Mined>,
    /// The votes in its certificate.
    pub votes: Power,
    /// The votes there are.
    pub all_votes: Power,
    /// The round that decided it.
    pub round: u32,
}

/// Whose a block is.
#[derive(Clone, Debug, Serialize)]
pub struct Mined {
    /// The miner's number, from 1.
    pub miner_number: usize,
    /// The miner's cell then.
    pub cell: String,
}

/// A block that was refused.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct RefusalRow {
    pub block: BlockHash,
    /// The miner's number, from 1.
    pub miner_number: usize,
    /// Demands it would have composed.
    pub demands: usize,
    pub rule: String,
    /// The rule, got and expected, in words.
    pub reason: String,
}

/// How often miners had to adapt.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Repairs {
    /// Items of blocks that took no effect, for another was better or took what they needed.
    pub dropped: usize,
    /// Running searches that went on with a changed problem.
    pub searches: usize,
}

/// What was verified after the nodes had stopped, each from its own store.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Audit {
    /// Nodes whose chain was verified from genesis: signatures, votes, roots, costs, reduced costs, rewards.
    pub chains: usize,
    /// Batches verified, in all.
    pub batches: u64,
    /// The head all agree on.
    pub head: Option<BatchHash>,
    /// What everything cost, with the budgets of the scenario's unserved, when the last demand had been composed; zero
    /// without a scenario.
    pub first_penalised_cost: Money,
    /// What does not hold; empty if all is well.
    pub failures: Vec<String>,
}

impl CentralRun {
    /// Its first incumbent that costs no more than this with budgets, if there was one.
    pub fn reached(&self, penalised_cost: Money) -> Option<Incumbent> {
        self.incumbents.iter().copied().find(|incumbent| incumbent.penalised_cost <= penalised_cost)
    }
}

impl Comparison {
    /// Everything that does not hold: what the audits found, and costs below the bound, which no plan can have.
    pub fn failures(&self) -> Vec<String> {
        let audits = self.networks.iter().flat_map(|network| network.audit.failures.iter().cloned());
        let networks = self.networks.iter().flat_map(|network| {
            let name = format!("the network of {} miners", network.miners);
            [(name.clone(), network.penalised_cost), (name + ", at first,", network.first_penalised_cost)]
        });
        let costs = networks.chain([("the centre".to_owned(), self.central.penalised_cost)]);
        let failures = costs.filter_map(|(name, cost)| self.bound.contradiction(&name, cost));
        audits.chain(failures).collect()
    }
}

/// How much smaller `value` is than `reference`, in percent.
pub fn improvement_percent(value: f64, reference: f64) -> f64 {
    if reference == 0.0 { 0.0 } else { (reference - value) / reference * 100.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_below_the_bound_is_a_failure_and_one_on_it_is_not() {
        let bound = Bound { value: Money::from_units(100), is_exact: false };
        assert_eq!(bound.contradiction("the centre", Money::from_units(100)), None);
        let said = "the centre costs 99.00 $ with budgets, below the bound of 100.00 $";
        assert_eq!(bound.contradiction("the centre", Money::from_units(99)).as_deref(), Some(said));
    }

    #[test]
    fn the_centre_reaches_a_cost_with_its_first_incumbent_that_is_no_dearer() {
        let incumbent = |dollars, seconds| Incumbent {
            penalised_cost: Money::from_units(dollars),
            wall_seconds: seconds,
            cpu_seconds: 2.0 * seconds,
        };
        let central = CentralRun {
            cost: Money::from_units(90),
            penalised_cost: Money::from_units(90),
            gap_percent: 0.0,
            unserved: Vec::new(),
            incumbents: vec![incumbent(120, 0.1), incumbent(100, 0.4), incumbent(90, 3.0)],
            cpu_seconds: 20.0,
            wall_seconds: 10.0,
            evaluations: 1,
        };
        assert_eq!(central.reached(Money::from_units(105)), Some(incumbent(100, 0.4)));
        assert_eq!(central.reached(Money::from_units(90)), Some(incumbent(90, 3.0)));
        assert_eq!(central.reached(Money::from_units(89)), None);
    }
}
