//! Settings that travel in a scenario file beside the instance and the network's parameters: how searches are run,
//! how an experiment splits the work. Gaps are in parts per million.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Money;

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
