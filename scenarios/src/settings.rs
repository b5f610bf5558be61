//! Settings that travel in a scenario file beside the instance: how the market accepts and pays, how
//! searches are run, how an experiment splits the work. Shares and gaps are in parts per million.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Money;

/// How blocks may share providers (docs/design.md section 6, rule 3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Allocation {
    /// A block may use whatever capacity earlier blocks left.
    #[default]
    Partial,
    /// A provider belongs to the first miner whose block uses it until those compositions freeze (paper A).
    Dedicated,
}

/// Whether a smaller or a larger objective is better (paper A, figure 3, has both).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sense {
    /// Smaller is better.
    #[default]
    Minimise,
    /// Larger is better.
    Maximise,
}

/// What a block's reward depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ScheduleSettings {
    /// Reduced cost over cost: full pay up to `gap_full_ppm`, nothing from `gap_max_ppm`.
    Certified {
        /// Full pay up to this reduced cost/cost.
        gap_full_ppm: u64,
        /// No pay from this reduced cost/cost.
        gap_max_ppm: u64,
    },
    /// Cost per order (paper A, table 6): full pay up to `best_per_order`, nothing from `min_utility_per_order`.
    Paper {
        /// Full pay up to this cost per order.
        best_per_order: Money,
        /// No pay from this cost per order.
        min_utility_per_order: Money,
        /// Whether a smaller objective is better.
        sense: Sense,
    },
}

impl Default for ScheduleSettings {
    fn default() -> Self {
        Self::Certified { gap_full_ppm: 5_000, gap_max_ppm: 100_000 }
    }
}

impl ScheduleSettings {
    /// Paper A's schedule: best 51.7 $ per order (58,205 / 1,125 orders, table 6), worthless at 1.25 times that
    /// of its random start.
    pub const fn paper() -> Self {
        Self::Paper {
            best_per_order: Money::from_micros(51_700_000),
            min_utility_per_order: Money::from_micros(90_000_000),
            sense: Sense::Minimise,
        }
    }
}

/// What a network accepts, pays and waits for; becomes genesis parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkSettings {
    /// How blocks may share providers.
    pub allocation: Allocation,
    /// In dedicated allocation, the most providers one miner may hold; absent: ceil(providers / miners).
    pub held_providers_max: Option<u32>,
    /// What a block's reward depends on.
    pub schedule: ScheduleSettings,
    /// The solver fee escrowed with each demand, as a share of its budget.
    pub solver_fee_ppm: u64,
    /// A block must earn at least this share of its demands' fees.
    pub min_reward_ppm: u64,
    /// Heights a demand waits on chain before acceptance starts to relax for it.
    pub relax_after_heights: u64,
    /// Heights over which acceptance then relaxes to "any feasible composition".
    pub relax_over_heights: u64,
    /// A price update must raise the certified bound by at least this share.
    pub min_bound_gain_ppm: u64,
    /// Share of every earned reward that tops up the account from which price updates are paid.
    pub bounty_share_ppm: u64,
    /// Share of the bounty account paid for a valid price update.
    pub bounty_pay_ppm: u64,
    /// An amendment that composes no open demand must save at least this share of what it re-composes.
    pub min_saving_ppm: u64,
    /// The amender's share of the saving.
    pub amender_share_ppm: u64,
    /// Heights after its first composition at which a demand freezes: it is settled and nothing may re-compose it.
    pub freeze_after_heights: u64,
    /// The least time between a block and one that composes nothing after it, in milliseconds.
    pub quiet_block_interval_ms: u64,
    /// The least time between a block and one after it that only re-composes, in milliseconds.
    pub amendment_interval_ms: u64,
}

impl Default for NetworkSettings {
    fn default() -> Self {
        Self {
            allocation: Allocation::default(),
            held_providers_max: None,
            schedule: ScheduleSettings::default(),
            solver_fee_ppm: 4_000,
            min_reward_ppm: 100_000,
            relax_after_heights: 4,
            relax_over_heights: 12,
            min_bound_gain_ppm: 100,
            bounty_share_ppm: 20_000,
            bounty_pay_ppm: 50_000,
            min_saving_ppm: 500,
            amender_share_ppm: 100_000,
            freeze_after_heights: 128,
            quiet_block_interval_ms: 100,
            amendment_interval_ms: 250,
        }
    }
}

/// How parents are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Selection {
    /// The best of `size` individuals drawn at random.
    Tournament {
        /// Individuals drawn.
        size: u32,
    },
    /// With probability falling linearly from the best to the worst cost.
    Roulette,
}

/// Parameters of the published genetic algorithm (paper A, figures 7-9).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PaperGaSettings {
    /// Individuals in a generation.
    pub population: u32,
    /// Generations, the same in every run.
    pub generations: u32,
    /// How parents are chosen.
    pub selection: Selection,
    /// Probability that two parents are crossed at two points rather than copied, 0 to 1.
    pub crossover_probability: f64,
    /// Expected number of genes of a child that are reset at random.
    pub resets_per_child: f64,
    /// Best individuals that survive unchanged.
    pub elites: u32,
}

impl Default for PaperGaSettings {
    fn default() -> Self {
        Self {
            population: 100,
            generations: 50,
            selection: Selection::Tournament { size: 2 },
            crossover_probability: 0.8,
            resets_per_child: 1.0,
            elites: 1,
        }
    }
}

/// Parameters of the island-parallel hybrid genetic search.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HybridGaSettings {
    /// Islands; more than the threads at work is fine.
    pub islands: u32,
    /// Individuals on an island.
    pub population: u32,
    /// Local-search moves (remove a few demands, re-route each exactly) on each island in a generation. One child
    /// after another is annealed by them, each for longer than those before.
    pub moves_per_generation: u32,
    /// The most demands removed in one move.
    pub removed_max: u32,
    /// Generations between migrations.
    pub migration_interval: u32,
    /// Generations after which the search ends, unless time or the target gap ends it earlier.
    pub generations: u32,
    /// Wall time after which the search ends, in seconds.
    pub seconds: f64,
    /// The search ends when the incumbent is certified this close to the bound.
    pub target_gap_ppm: u64,
    /// Steps of the subgradient method that finds dual prices.
    pub subgradient_steps: u32,
}

impl Default for HybridGaSettings {
    fn default() -> Self {
        Self {
            islands: 4,
            population: 16,
            moves_per_generation: 240,
            removed_max: 5,
            migration_interval: 20,
            generations: 4_000,
            seconds: 10.0,
            target_gap_ppm: 500,
            subgradient_steps: 400,
        }
    }
}

/// Which search composes a scenario's demands unless a command says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// The published genetic algorithm.
    Paper,
    /// The island-parallel hybrid genetic search.
    #[default]
    Hybrid,
}

/// How searches of this scenario are run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SearchSettings {
    /// The search used unless a command says otherwise.
    pub profile: Profile,
    /// Profile `paper`.
    pub paper: PaperGaSettings,
    /// Profile `hybrid`.
    pub hybrid: HybridGaSettings,
}

/// How an experiment splits the demands among solvers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// North-south strips of equal width across the window, each with its own demands and providers (paper A).
    Strips,
    /// Balanced geographic cells of the open demands, all offers open to each (docs/design.md section 9).
    #[default]
    Cells,
}

/// A result that paper A's table 8 reports.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishedResult {
    /// Solvers at work; 1 is the centralised search.
    pub solvers: u32,
    /// Total cost.
    pub cost: Money,
    /// Solving time of the slowest solver.
    pub seconds: f64,
}

/// How an experiment on this scenario is run, and what others found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ExperimentSettings {
    /// How the demands are split among solvers.
    pub split: Split,
    /// Published results on a problem of this size, at most one per number of solvers.
    pub published: Vec<PublishedResult>,
}

impl ExperimentSettings {
    /// The published result with this number of solvers, if there is one.
    pub fn published(&self, solvers: u32) -> Option<&PublishedResult> {
        self.published.iter().find(|result| result.solvers == solvers)
    }
}
