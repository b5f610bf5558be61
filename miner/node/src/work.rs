//! Work a node gives away: searches that take seconds. The core only describes them; a driver runs them
//! and feeds the results back as inputs.

use std::collections::BTreeSet;

use chain::DemandId;
use scenarios::settings::{HybridGaSettings, Profile, SearchSettings};
use scenarios::{Demand, DualPrices, Minutes, Money, ProviderId, SharedSupply};
use serde::{Deserialize, Serialize};

/// Names one piece of work of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkId(pub u64);

/// Demands, and what is left to serve them.
#[derive(Clone, Debug, PartialEq)]
pub struct SubProblem {
    /// Every provider of the market; ids are positions.
    pub supply: SharedSupply,
    /// The demands to compose.
    pub demands: Vec<(DemandId, Demand)>,
    /// Minutes left at each provider, in order of id.
    pub capacities: Vec<Option<Minutes>>,
    /// Dual prices in force.
    pub prices: DualPrices,
    /// The providers that may be used; `None` is all of them.
    pub allowed: Option<BTreeSet<ProviderId>>,
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Task {
    /// Compose the demands as cheaply as possible at cost + price * minutes.
    Compose {
        /// The sub-problem.
        problem: SubProblem,
        /// The algorithm.
        profile: Profile,
        /// Its parameters.
        settings: SearchSettings,
        /// Fixes every random choice.
        rng_seed: u64,
    },
    /// Compose demands anew that are composed already, to cost less together. Prices only guide the search.
    Amend {
        /// The demands, on what all others leave.
        problem: SubProblem,
        /// What stands: where the search begins. Demands that are not here are open.
        standing: Vec<(DemandId, Vec<ProviderId>)>,
        /// Parameters of the hybrid search.
        settings: HybridGaSettings,
        /// Generations to search for.
        generations: u32,
        /// Fixes every random choice.
        rng_seed: u64,
    },
    /// Find dual prices that raise the bound of this market.
    Prices {
        /// The whole market: all demands not frozen, capacities that frozen compositions leave, and the
        /// prices to start from.
        market: SubProblem,
        /// Steps of the price method.
        steps: u32,
    },
}

/// What came of it so far.
#[derive(Clone, Debug, PartialEq)]
pub enum WorkReport {
    /// Of [`Task::Compose`].
    Composed(SearchReport),
    /// Of [`Task::Amend`], at its end.
    Amended(SearchReport),
    /// Of [`Task::Prices`], at its end.
    Priced {
        /// The best prices found.
        prices: DualPrices,
        /// The bound they certify.
        bound: Money,
        /// CPU time of the searching thread, in microseconds; 0 where a driver cannot measure it.
        cpu_micros: u64,
    },
}

/// The incumbent of a running or finished search.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchReport {
    /// Composed demands and the provider of each of their orders.
    pub compositions: Vec<(DemandId, Vec<ProviderId>)>,
    /// Demands the incumbent leaves out.
    pub unserved: Vec<DemandId>,
    /// Cost of the compositions plus the budgets of the unserved.
    pub cost: Money,
    /// Generations so far.
    pub generation: u64,
    /// Individuals evaluated so far.
    pub evaluations: u64,
    /// CPU time of the searching thread so far, in microseconds; 0 where a driver cannot measure it.
    pub cpu_micros: u64,
    /// The search has ended by itself.
    pub finished: bool,
}
