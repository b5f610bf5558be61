//! `miner economics`: people who gain by what the rules do not say, played on a scenario's market under its own law and under the
//! law without the rule that stops them. Each attack was carried out on real blocks of an early version; here each is carried out on
//! real batches again, by the code that validates everybody's.

mod composing;
mod pricing;
mod stage;
mod supplying;

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use chain::Genesis;
use clap::Args;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use scenarios::settings::Profile;
use scenarios::{Demand, DualPrices, Horizon, Money, OperationId, Scenario, Slot, evaluate_composition};
use serde::Serialize;

use crate::cli::{OutputArguments, Progress, ScenarioArgument, print, print_json, solve_for};
use crate::files::load_scenario;
use stage::{Role, Stage};

const READING: &str = "\
Taken: what the robber gets beyond what composing well earns, or what others lose; the description of each attack says which. \
Burned: what it paid for bytes. Locked: what it must have in its offers and demands meanwhile, and gets back. Without: the same under the \
scenario's law without the rule that stops it, where that is a parameter.

Exit code: 0 if no attack takes more than its limit (`near_best_ppm` of what is composed or earned for the slack, \
`price_share_ppm` of the fees for prices, nothing else), 1 if one \
does, 2 on wrong usage or input.";

/// Arguments of `miner economics`.
#[derive(Debug, Args)]
#[command(after_long_help = READING, after_help = "--help tells what the columns mean and what the exit code says.")]
pub struct EconomicsArguments {
    #[command(flatten)]
    scenario: ScenarioArgument,
    /// Wall time for the honest plan that robbers rob, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 3.0)]
    time: f64,
    /// Threads of that search; all cores if absent.
    #[arg(long)]
    threads: Option<NonZeroUsize>,
    #[command(flatten)]
    output: OutputArguments,
}

/// The market that is robbed, and how it is composed by who does it well.
struct Ground<'a> {
    scenario: &'a Scenario,
    /// By whom the orders of each demand that is served are done, by its number.
    plan: Vec<(usize, Vec<Slot>)>,
    /// What that costs, by number.
    costs: Vec<Option<Money>>,
    prices: DualPrices,
    /// What an honest miner earns with the plan, for each demand, with the share of the prices' authors, and in all.
    earned: Vec<Money>,
    fees: Money,
}

/// What came of an attack.
#[derive(Clone, Debug, Default)]
struct Outcome {
    taken: Money,
    burned: Money,
    locked: Money,
    /// The rule that refused the first thing that was refused.
    rule: Option<String>,
    /// How many things were done of those that were tried.
    done: usize,
}

/// How an attack is carried out under a law.
type Play = fn(&Ground<'_>, fn(&mut Genesis)) -> Result<Outcome>;

struct Attack {
    name: &'static str,
    about: &'static str,
    play: Play,
    /// The law without the rule that stops it.
    without: Option<fn(&mut Genesis)>,
    /// What it may take.
    limit: Limit,
}

#[derive(Clone, Copy)]
enum Limit {
    Nothing,
    /// `near_best_ppm` of what is composed.
    Slack,
    /// `near_best_ppm` of what is earned: what somebody really offers changes what is best, and that takes another search.
    SlackOfFees,
    /// `price_share_ppm` of what is earned.
    PriceShare,
}

const ATTACKS: &[Attack] = &[
    Attack {
        name: "crony after waiting",
        about: "everything composed with a friend near the budgets, once demands have waited; taken: what is paid above the plan's cost",
        play: composing::crony_after_waiting,
        without: Some(|genesis| genesis.parameters.near_best_ppm = 1_000_000_000),
        limit: Limit::Nothing,
    },
    Attack {
        name: "crony on the slack",
        about: "a friend asks what is left of the 2 % above the best; taken: what is paid above the plan's cost",
        play: composing::crony_on_the_slack,
        without: None,
        limit: Limit::Slack,
    },
    Attack {
        name: "crony at own prices",
        about: "the first to update prices raises them as far as the bound still rises, and composes with a friend that asks what that makes \
                of others' costs; others amend; taken: what is paid in the end above the costs with minutes at good prices",
        play: composing::crony_at_own_prices,
        without: None,
        limit: Limit::Slack,
    },
    Attack {
        name: "badly, then better",
        about: "composed as badly as may be and amended under another key; taken: what both earn above what composing well earns",
        play: composing::badly_then_better,
        without: None,
        limit: Limit::Nothing,
    },
    Attack {
        name: "tight budget",
        about: "a budget of 1.1 times the cost beside a large one; taken: the difference of the fees",
        play: composing::a_tight_budget,
        without: None,
        limit: Limit::Nothing,
    },
    Attack {
        name: "one minute for nothing",
        about: "an offer of everything for nothing with one minute in all; taken: what the plan earns less",
        play: supplying::one_minute,
        without: None,
        limit: Limit::SlackOfFees,
    },
    Attack {
        name: "room for four orders",
        about: "an offer of everything for nothing with room for four orders; taken: what the plan earns less",
        play: supplying::room_for_four,
        without: None,
        limit: Limit::SlackOfFees,
    },
    Attack {
        name: "illness",
        about: "the busiest provider withdraws when it sees the block that uses it; taken: what the plan earns less",
        play: supplying::illness,
        without: Some(|genesis| genesis.parameters.notice_ms = 0),
        limit: Limit::Nothing,
    },
    Attack {
        name: "cancellation",
        about: "a customer cancels when it sees the block that serves it; taken: what the plan earns less",
        play: supplying::cancellation,
        without: Some(|genesis| genesis.parameters.notice_ms = 0),
        limit: Limit::Nothing,
    },
    Attack {
        name: "pushing out",
        about: "larger deposits for all places of one operation; taken: the budgets of whom no honest offer is left for",
        play: supplying::pushing_out,
        without: Some(|genesis| genesis.parameters.idle_after_ms = 0),
        limit: Limit::Nothing,
    },
    Attack {
        name: "free offers",
        about: "a flood of free offers where a batch has time for 16 passes; taken: all fees, if prices or compositions cannot be checked",
        play: supplying::free_offers,
        without: Some(|genesis| {
            let limits = &mut genesis.parameters.limits;
            (limits.market_work, limits.offers_per_operation) = (u64::MAX, 20_000);
        }),
        limit: Limit::Nothing,
    },
    Attack {
        name: "dust demands",
        about: "the same with demands of the least budget",
        play: supplying::dust_demands,
        without: Some(|genesis| genesis.parameters.limits.market_work = u64::MAX),
        limit: Limit::Nothing,
    },
    Attack {
        name: "fifty price updates",
        about: "half of the way to good prices in fifty steps; taken: what that brings more than one",
        play: pricing::fifty_slices,
        without: None,
        limit: Limit::Nothing,
    },
    Attack {
        name: "least price gains",
        about: "somebody else's prices put forward by as little as is taken, again and again; taken: what that brings more than one update",
        play: pricing::least_gains,
        without: None,
        limit: Limit::Nothing,
    },
    Attack {
        name: "market of one's own",
        about: "prices for a provider and customers of one's own, who are gone then; taken: what of the authors' share that brings",
        play: pricing::market_of_ones_own,
        without: None,
        limit: Limit::PriceShare,
    },
];

/// One attack, as played.
#[derive(Clone, Debug, Serialize)]
struct Row {
    attack: &'static str,
    about: &'static str,
    /// Under the law without the rule that stops it; `None` where that is no parameter.
    without: Option<Money>,
    taken: Money,
    /// The most that it may take.
    limit: Money,
    burned: Money,
    locked: Money,
    /// The rule that refused the first thing that was refused.
    rule: Option<String>,
    /// How many records, compositions or updates were taken.
    done: usize,
}

#[derive(Debug, Serialize)]
struct Report {
    scenario: String,
    demands: usize,
    /// Of these, how many the honest plan serves, and what it costs and earns.
    served: usize,
    cost: Money,
    fees: Money,
    attacks: Vec<Row>,
    /// Whether no attack takes more than it may.
    holds: bool,
}

/// Plays all attacks and prints what each takes.
///
/// # Errors
/// If the scenario cannot be read or founds no network, or the law contradicts itself.
pub fn run(arguments: &EconomicsArguments) -> Result<ExitCode> {
    let scenario = load_scenario(&arguments.scenario.scenario)?;
    let time = Duration::try_from_secs_f64(arguments.time).ok().context("--time takes seconds, 0 or more")?;
    let threads = arguments.threads.map_or(0, NonZeroUsize::get);
    let pool =
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().context("no threads to search on")?;
    let progress = Progress::start("economics");
    progress.now("the honest plan".into());
    let ground = Ground::of(&scenario, time, &pool)?;
    let mut attacks = Vec::with_capacity(ATTACKS.len());
    for attack in ATTACKS {
        progress.now(attack.name.into());
        attacks.push(attack.row(&ground).with_context(|| format!("the attack \"{}\"", attack.name))?);
    }
    drop(progress);
    let holds = attacks.iter().all(|row| row.taken <= row.limit);
    let report = Report {
        scenario: scenario.name.clone(),
        demands: scenario.instance.demands.len(),
        served: ground.plan.len(),
        cost: ground.cost(),
        fees: ground.fees,
        attacks,
        holds,
    };
    if arguments.output.json {
        print_json(&report)?;
    } else {
        print(&text(&report))?;
    }
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Attack {
    fn row(&self, ground: &Ground<'_>) -> Result<Row> {
        let keep: fn(&mut Genesis) = |_| {};
        let now = (self.play)(ground, keep)?;
        let without = self.without.map(|law| (self.play)(ground, law)).transpose()?;
        let parameters = &ground.scenario.network;
        let limit = match self.limit {
            Limit::Nothing => Money::ZERO,
            Limit::Slack => ground.cost().checked_ppm(parameters.near_best_ppm).unwrap_or(Money::ZERO),
            Limit::SlackOfFees => ground.fees.checked_ppm(parameters.near_best_ppm).unwrap_or(Money::ZERO),
            Limit::PriceShare => ground.fees.checked_ppm(parameters.price_share_ppm).unwrap_or(Money::ZERO),
        };
        Ok(Row {
            attack: self.name,
            about: self.about,
            without: without.map(|outcome| outcome.taken),
            taken: now.taken,
            limit,
            burned: now.burned,
            locked: now.locked,
            rule: now.rule,
            done: now.done,
        })
    }
}

impl<'a> Ground<'a> {
    fn of(scenario: &'a Scenario, time: Duration, pool: &rayon::ThreadPool) -> Result<Self> {
        let has_calendar = scenario.instance.supply.horizon != Horizon::SINGLE;
        ensure!(
            !has_calendar,
            "the attacks are played on a market without a calendar: leave `calendar` out of the scenario"
        );
        let mut searched = scenario.clone();
        searched.search.profile = Profile::Hybrid;
        let (solution, end) = solve_for(&searched, time, pool)?;
        let supply = &scenario.instance.supply;
        let mut costs = vec![None; scenario.instance.demands.len()];
        let mut plan = Vec::new();
        for (index, (demand, way)) in scenario.instance.demands.iter().zip(solution.compositions).enumerate()
        {
            let Some(way) = way else { continue };
            let evaluation = evaluate_composition(supply, demand, index, &way);
            costs[index] = evaluation.ok().map(|evaluation| evaluation.cost());
            plan.push((index, way));
        }
        ensure!(!plan.is_empty(), "the scenario has no demand that can be served: there is nothing to rob");
        let earned = vec![Money::ZERO; costs.len()];
        let mut ground = Self { scenario, plan, costs, prices: end.prices, earned, fees: Money::ZERO };
        ground.compose_honestly()?;
        Ok(ground)
    }

    /// Composes the plan on a market without robbers, for what it earns.
    fn compose_honestly(&mut self) -> Result<()> {
        let mut stage = Stage::open(self.scenario, 0, |_| {})?;
        if self.has_prices() {
            stage.reprice(Role::Honest, &self.prices)?;
        }
        let servings: Vec<_> =
            self.plan.iter().map(|(index, way)| stage.serving(*index, way.clone())).collect();
        let (report, _) = stage.compose_exactly(Role::Honest, &servings)?;
        self.fees = report.reward + report.price_share;
        for (index, id) in stage.demands.iter().enumerate() {
            let standing = stage.ledger.demand(*id).and_then(|entry| entry.composition());
            self.earned[index] = standing.map_or(Money::ZERO, |standing| standing.earned);
        }
        // What an early composition refuses is not part of what robbers are compared with.
        let earned = &self.earned;
        self.plan.retain(|(index, _)| earned[*index] > Money::ZERO);
        ensure!(!self.plan.is_empty(), "the honest plan earns nothing here: search for longer with --time");
        Ok(())
    }

    fn demands(&self) -> &[Demand] {
        &self.scenario.instance.demands
    }

    fn cost(&self) -> Money {
        self.plan.iter().filter_map(|(index, _)| self.costs[*index]).sum()
    }

    /// Whether anything is scarce.
    fn has_prices(&self) -> bool {
        !self.prices.is_zero()
    }

    /// All operations of the market.
    fn operations(&self) -> Vec<OperationId> {
        (0..=u16::MAX).take(self.scenario.operations.len()).map(OperationId).collect()
    }

    /// Steps of a shortest path for every demand.
    fn pass_work(&self) -> u64 {
        let oracle = scenarios::Oracle::new(&self.scenario.instance.supply);
        self.demands().iter().map(|demand| oracle.work(demand)).sum::<u64>().max(1)
    }
}

fn text(report: &Report) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header([
        "attack",
        "without the rule, $",
        "taken, $",
        "may take, $",
        "burned, $",
        "locked, $",
        "refused by",
    ]);
    let money = |amount: Money| format!("{:.2}", amount.as_f64());
    for row in &report.attacks {
        table.add_row([
            row.attack.to_owned(),
            row.without.map_or_else(|| "-".to_owned(), money),
            money(row.taken),
            money(row.limit),
            money(row.burned),
            money(row.locked),
            row.rule.clone().unwrap_or_default(),
        ]);
    }
    for column in table.column_iter_mut().skip(1).take(5) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let Report { scenario, demands, served, cost, fees, .. } = report;
    let verdict =
        if report.holds { "no attack takes more than it may" } else { "AN ATTACK TAKES MORE THAN IT MAY" };
    let about = report
        .attacks
        .iter()
        .map(|row| format!("{}: {}", row.attack, row.about))
        .collect::<Vec<_>>()
        .join("\n");
    format!(
        "{scenario}: {served} of {demands} demands served for {:.2} $, which earns {:.2} $\n{table}\n{about}\n\n{verdict}",
        cost.as_f64(),
        fees.as_f64()
    )
}
