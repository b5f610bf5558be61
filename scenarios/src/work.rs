//! The contract between a market and whoever solves it: a piece of [`Work`] goes to a solver, which answers with
//! [`Report`]s until the work is over. No search, clock or thread is here, and no identity but positions: whose
//! demands these are, the market keeps to itself.
//!
//! # For solvers in any language
//!
//! Everything is data (serde). Providers and operations are numbered by their position; money is an integer of
//! micro-units, capacity an integer of minutes, time an integer of milliseconds; a capacity of `null` is unlimited.
//!
//! 1. The market sends one [`Work`]. Its demands are known by their position in [`SubProblem::demands`] for as long
//!    as the work lasts, whatever happens to it. [`Work::validate`] says what can be relied on.
//! 2. The solver searches by [`Goal`]. To compose, it sends [`Report::Searching`] with the best solution it has,
//!    every quarter of a second or so, better or not: the market decides by them when to stop. An amendment or
//!    prices are of use only when done, so of these no such reports are needed.
//! 3. The market may send an [`Adaptation`]: some demands have been taken by others, and capacities, prices or offers
//!    are other than before. The solver goes on with what still fits, and its limits begin anew.
//! 4. The solver ends with one [`Report::Finished`], [`Report::Prices`] or [`Report::Failed`] and sends nothing
//!    after it. The market may end the work at any time by cancelling it, and then listens no more.
//!
//! Nothing a solver says is believed: [`crate::evaluate()`] judges each composition and the bound is recomputed from
//! the prices. A solution is one entry per demand *of the work as it was started*: the provider and period of each of its
//! orders, or nothing where it is unserved or no longer wanted. Composing the demands of the same work with the same
//! seed should give the same answer again, deadlines aside; nothing breaks if it does not.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::instance::{Demand, Solution};
use crate::money::Money;
use crate::oracle::{DualPrices, PriceError, SharedSupply, validate_prices};
use crate::settings::{HybridGaSettings, PaperGaSettings, Profile, SearchSettings};
use crate::units::{Minutes, ProviderId};

/// What demands may be served with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// Every provider of the market; ids are positions. The capacities in it are as offered.
    pub supply: SharedSupply,
    /// Minutes left of each slot, provider by provider and period by period; `None` is unlimited, less than nothing is nothing.
    pub capacities: Vec<Option<Minutes>>,
    /// Dual prices in force; those of limited providers only, missing ones at the end are zero.
    pub prices: DualPrices,
    /// The providers that may be used; `None` is all of them.
    pub allowed: Option<BTreeSet<ProviderId>>,
}

/// A part of a market, by position.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct SubProblem {
    pub demands: Vec<Demand>,
    /// What it may be served with.
    pub resources: Resources,
    /// What stands or was found before, one entry per demand: where a search begins. What does not fit is dropped.
    pub incumbent: Solution,
}

/// What is minimised over the served demands; an unserved one always adds its budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// Cost. Right for a whole market: capacities are limits, nothing else wants them.
    #[default]
    Cost,
    /// Cost + price * minutes. Right for a part of a market: what is left of a scarce provider is worth its
    /// price to the rest. The distance to the bound is then exactly the sum of reduced costs. A demand whose
    /// cheapest priced composition exceeds its budget is better left unserved.
    PricedCost,
}

/// Which algorithm searches, with its parameters. A solver that has only one of its own may take this as a hint.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// The published genetic algorithm (paper A, figures 7-9), single-threaded.
    Paper(PaperGaSettings),
    /// The island-parallel hybrid.
    Hybrid(HybridGaSettings),
}

impl Algorithm {
    /// The named profile with a scenario's settings for it.
    pub const fn of(name: Profile, settings: &SearchSettings) -> Self {
        match name {
            Profile::Paper => Self::Paper(settings.paper),
            Profile::Hybrid => Self::Hybrid(settings.hybrid),
        }
    }
}

/// When work ends: at the first limit it reaches. No limit at all is work that only cancelling ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Termination {
    /// Generations since a search began or adapted; of the price method, steps.
    pub generations: Option<u64>,
    /// Solutions whose cost was computed.
    pub evaluations: Option<u64>,
    /// Wall time since the work began or adapted, in milliseconds; kept by whoever carries the work out, who has
    /// the clock.
    pub time_ms: Option<u64>,
    /// The incumbent is certified this close to the bound, in parts per million.
    pub target_gap_ppm: Option<u64>,
}

impl Termination {
    /// What an algorithm's own settings say.
    pub fn of(algorithm: &Algorithm) -> Self {
        match algorithm {
            Algorithm::Paper(settings) => Self::paper(settings),
            Algorithm::Hybrid(settings) => Self::hybrid(settings),
        }
    }

    /// After exactly the generations of the paper's algorithm.
    pub fn paper(settings: &PaperGaSettings) -> Self {
        Self { generations: Some(u64::from(settings.generations)), ..Self::default() }
    }

    /// After the generations, the time or at the gap of the hybrid's settings.
    pub fn hybrid(settings: &HybridGaSettings) -> Self {
        let time = std::time::Duration::try_from_secs_f64(settings.seconds).ok();
        Self {
            generations: Some(u64::from(settings.generations)),
            evaluations: None,
            time_ms: time.and_then(|time| u64::try_from(time.as_millis()).ok()),
            target_gap_ppm: Some(settings.target_gap_ppm),
        }
    }
}

/// What is to be found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum Goal {
    /// Compose the demands as cheaply as possible.
    Compose { algorithm: Algorithm, objective: Objective },
    /// Compose demands anew that are composed already (the incumbent), to cost less together; prices only guide the
    /// search. Only its end is of interest.
    Amend {
        /// Parameters of the hybrid search.
        settings: HybridGaSettings,
    },
    /// Find dual prices, from those in force, that raise the certified bound of the demands as a market of their
    /// own ([`crate::bound::dual_bound`]). Only its end is of interest.
    FindPrices,
}

/// A piece of work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct Work {
    /// What is to be found.
    pub goal: Goal,
    /// For whom, and with what.
    pub problem: SubProblem,
    pub termination: Termination,
    /// Fixes every random choice.
    pub rng_seed: u64,
}

/// What became of the problem of running work. Only composing can adapt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adaptation {
    /// Positions, in the work as it was started, of the demands that are still wanted.
    pub left: BTreeSet<usize>,
    /// What they may be served with now.
    pub resources: Resources,
}

/// The best that a search has found so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Incumbent {
    /// One entry per demand of the work as it was started.
    pub solution: Solution,
    /// Its objective, budgets of unserved demands that are still wanted included.
    pub cost: Money,
    /// No solution has a smaller objective; `None` where that is not known.
    pub bound: Option<Money>,
    /// Generations since the search began or adapted.
    pub generation: u64,
    /// Solutions whose cost was computed since the search began.
    pub evaluations: u64,
    /// CPU time of all threads since the work began, in microseconds; 0 where it cannot be measured.
    pub cpu_micros: u64,
}

/// What comes of a piece of work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum Report {
    /// The search goes on; this is the best so far.
    Searching(Incumbent),
    /// The search has ended by itself with this.
    Finished(Incumbent),
    /// The best prices found; the work has ended.
    Prices {
        prices: DualPrices,
        /// The bound they certify.
        bound: Money,
        /// CPU time of all threads, in microseconds; 0 where it cannot be measured.
        cpu_micros: u64,
    },
    /// The work has ended and nothing came of it.
    Failed { reason: Failure },
}

/// Why nothing came of a piece of work. It is the solver's trouble or that of whoever gave the work, never a peer's
/// doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum Failure {
    /// One capacity per slot is needed.
    #[error("{got} capacities for {expected} slots")]
    CapacityCount {
        /// Capacities given.
        got: usize,
        /// Slots of the supply.
        expected: usize,
    },
    /// One entry per demand is needed.
    #[error("an incumbent of {got} entries for {expected} demands")]
    IncumbentCount {
        /// Entries given.
        got: usize,
        expected: usize,
    },
    /// The prices do not suit the capacities, or no bound at them is within the range of money.
    #[error("prices that cannot be: {0}")]
    Prices(#[from] PriceError),
    /// A demand is said to be left that was never there.
    #[error("demand {got} is said to be left, expected one of the first {expected}")]
    UnknownDemand {
        /// The position given.
        got: usize,
        /// Demands of the work as it was started.
        expected: usize,
    },
    /// Only composing can go on with a changed problem.
    #[error("only work that composes can adapt to a changed problem")]
    CannotAdapt,
    /// The machine grants no threads.
    #[error("no threads to search on: {0}")]
    NoThreads(String),
    /// The solver broke down.
    #[error("the solver broke down: {0}")]
    Panicked(String),
}

impl Resources {
    /// Checks what searches rely on.
    ///
    /// # Errors
    /// If there is not one capacity per slot, or the prices do not suit the capacities.
    pub fn validate(&self) -> Result<(), Failure> {
        let (got, expected) = (self.capacities.len(), self.supply.slot_count());
        if got != expected {
            return Err(Failure::CapacityCount { got, expected });
        }
        Ok(validate_prices(&self.prices, self.supply.horizon, &self.capacities)?)
    }

    /// Whether a provider may be used.
    pub fn allows(&self, provider: ProviderId) -> bool {
        self.allowed.as_ref().is_none_or(|allowed| allowed.contains(&provider))
    }
}

impl SubProblem {
    /// These demands, with nothing composed yet.
    pub fn new(demands: Vec<Demand>, resources: Resources) -> Self {
        Self { incumbent: Solution::unserved(demands.len()), demands, resources }
    }
}

impl Work {
    /// Checks what searches rely on.
    ///
    /// # Errors
    /// If capacities, prices or the incumbent do not suit providers and demands.
    pub fn validate(&self) -> Result<(), Failure> {
        let SubProblem { demands, resources, incumbent } = &self.problem;
        resources.validate()?;
        let (got, expected) = (incumbent.compositions.len(), demands.len());
        if got == expected { Ok(()) } else { Err(Failure::IncumbentCount { got, expected }) }
    }
}

impl Report {
    /// The same report with the CPU time that only whoever runs the threads can measure, in microseconds.
    #[must_use]
    pub fn with_cpu_micros(mut self, micros: u64) -> Self {
        match &mut self {
            Self::Searching(incumbent) | Self::Finished(incumbent) => incumbent.cpu_micros = micros,
            Self::Prices { cpu_micros, .. } => *cpu_micros = micros,
            Self::Failed { .. } => {}
        }
        self
    }
}
