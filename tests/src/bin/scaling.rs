//! How composing scales with the number of miners, on virtual time: every miner has a processor of its own, and all links
//! take equally long. `scaling scenarios/tehran/problem-4-capacitated.json`; with `--thief`, also what is stolen.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use chain::{Address, PublicKey, SecretKey};
use clap::{Parser, ValueEnum};
use miner::files::load_scenario;
use miner_node::NodeEvent;
use miner_node::strategy::Strategy;
use mizan_tests::sim::{Attack, Behaviour, HostId, HostSettings, LinkQuality, Market, World, a_miner};
use scenarios::parameters::CommitReveal;
use scenarios::settings::Split;
use scenarios::{Money, Scenario};

/// How long nodes have to find each other before demands come, and how long the market may take, in milliseconds.
const SETUP_MS: u64 = 3_000;
const PATIENCE_MS: u64 = 600_000;

/// Lets networks of several sizes compose a scenario in the simulator, and compares heights and times.
#[derive(Debug, Parser)]
#[command(name = "scaling")]
struct Arguments {
    /// A scenario file.
    scenario: PathBuf,
    /// Numbers of miners, all of them validators.
    #[arg(long, value_delimiter = ',', default_value = "2,4,8,16")]
    miners: Vec<u32>,
    /// How long every message takes, in milliseconds.
    #[arg(long, default_value_t = 20)]
    delay_ms: u64,
    /// Adds somebody on the best links who signs a copy of every block it sees.
    #[arg(long, value_enum)]
    thief: Option<Thief>,
    /// Lets blocks come in clear.
    #[arg(long)]
    in_clear: bool,
    /// Fixes every random choice.
    #[arg(long, default_value_t = 1)]
    rng_seed: u64,
}

/// Who steals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Thief {
    /// Somebody with a key that costs nothing.
    Stranger,
    /// A validator that does not mine; what it makes of its turns to propose is honest.
    Validator,
    /// A validator that does not mine, and leaves out whatever others reveal when it is its turn to propose.
    Censor,
    /// As many such validators, of one mind and each a thief, as the network is to tolerate.
    Censors,
}

impl Thief {
    /// How many validators steal, beside so many who mine.
    const fn validators(self, miners: u32) -> u32 {
        match self {
            Self::Stranger => 0,
            Self::Validator | Self::Censor => 1,
            // The most that are less than a third of all.
            Self::Censors => {
                if miners < 3 {
                    1
                } else {
                    (miners - 1) / 2
                }
            }
        }
    }
}

/// What one network came to.
#[derive(Debug)]
struct Row {
    miners: u32,
    /// From the height after the one that brought the last demand to the one that composed the last.
    heights: u64,
    /// From handing in until nine tenths are composed, in virtual milliseconds.
    most_ms: u64,
    /// From handing in until all are.
    composed_ms: u64,
    /// Blocks with compositions that batches brought.
    blocks: usize,
    /// The most of them in one batch.
    together: usize,
    /// Items of them that were dropped.
    dropped: usize,
    /// Blocks with compositions that no batch brought, for nothing of them would have taken effect.
    refused: usize,
    /// Bytes that left hosts, for each height.
    bytes_per_height: u64,
    /// Messages, likewise.
    messages_per_height: u64,
    /// Of what all blocks earned, what those did that no miner made, in percent.
    stolen_percent: f64,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let mut scenario = load_scenario(&arguments.scenario)?;
    scenario.network.commit_reveal = (!arguments.in_clear).then(CommitReveal::default);
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{}, {} demands, every message takes {} ms\n\
         miners  heights  90 % composed ms  all ms  blocks  together  dropped  refused  KiB/height  messages/height  stolen %",
        scenario.name,
        scenario.instance.demands.len(),
        arguments.delay_ms
    )?;
    for &miners in &arguments.miners {
        let row = arguments.run(&scenario, miners)?;
        writeln!(
            out,
            "{:>6}  {:>7}  {:>16}  {:>6}  {:>6}  {:>8}  {:>7}  {:>7}  {:>10}  {:>15}  {:>8.2}",
            row.miners,
            row.heights,
            row.most_ms,
            row.composed_ms,
            row.blocks,
            row.together,
            row.dropped,
            row.refused,
            row.bytes_per_height / 1_024,
            row.messages_per_height,
            row.stolen_percent
        )?;
        out.flush()?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Arguments {
    fn run(&self, scenario: &Scenario, miners: u32) -> Result<Row> {
        let mut world = self.scene(scenario, miners)?;
        let demands = scenario.instance.demands.len();
        let what = || format!("{miners} miners");
        world.run_for(SETUP_MS).with_context(what)?;
        let begun_ms = world.now_ms();
        world.submit_all(50);
        let is_on_chain = |world: &World| {
            world.node(HostId(0)).ledger().demands_seen() == u64::try_from(demands).unwrap_or(0)
        };
        ensure!(
            world.run_until(PATIENCE_MS, is_on_chain).with_context(what)?,
            "the demands do not come on chain"
        );
        let from = world.checkers().height();
        let (bytes, messages) = (world.report().bytes, world.report().messages);
        let composed = |world: &World| world.checkers().solution().compositions.iter().flatten().count();
        let mut reach = |count: usize| -> Result<u64> {
            let is_reached =
                world.run_until(PATIENCE_MS, |world| composed(world) >= count).with_context(what)?;
            ensure!(is_reached, "{} of {demands} are composed by {miners} miners", composed(&world));
            Ok(world.now_ms() - begun_ms)
        };
        let (most_ms, composed_ms) = (reach(demands - demands / 10)?, reach(demands)?);
        let heights = world.checkers().height() - from;
        let report = world.report();
        let (mut brought, mut refused) = (BTreeMap::new(), BTreeSet::new());
        for told in world.told() {
            if let NodeEvent::BatchFinal { batch, .. } = &told.event {
                brought.insert(batch.height, batch.blocks.clone());
            } else if let NodeEvent::BlockRefused { block, demands: 1.., .. } = &told.event {
                refused.insert(*block);
            }
        }
        let composing = brought
            .values()
            .map(|blocks| blocks.iter().filter(|outcome| outcome.compositions > 0).collect::<Vec<_>>());
        let composing: Vec<_> = composing.collect();
        Ok(Row {
            miners,
            heights,
            most_ms,
            composed_ms,
            blocks: composing.iter().map(Vec::len).sum(),
            together: composing.iter().map(Vec::len).max().unwrap_or(0),
            dropped: composing.iter().flatten().map(|outcome| outcome.dropped.len()).sum(),
            refused: refused.len(),
            bytes_per_height: (report.bytes - bytes) / heights.max(1),
            messages_per_height: (report.messages - messages) / heights.max(1),
            stolen_percent: stolen_percent(&world, miners),
        })
    }

    fn scene(&self, scenario: &Scenario, miners: u32) -> Result<World> {
        let validators = miners + self.thief.map_or(0, |thief| thief.validators(miners));
        let keys =
            (0..validators).map(|number| SecretKey::for_scenario(self.rng_seed, "host", number.into()));
        let mut keys: Vec<SecretKey> = keys.collect();
        keys.sort_by_key(SecretKey::public);
        let public: Vec<PublicKey> = keys.iter().map(SecretKey::public).collect();
        let profile = scenario.search.profile;
        let market =
            Market::new(scenario.instance.clone(), &scenario.network, profile, &public, self.rng_seed)?;
        let thief = SecretKey::for_scenario(self.rng_seed, "thief", 0);
        let market = market.with_money(thief.public(), Money::from_units(101), self.rng_seed)?;
        let strategy = match scenario.experiment.split {
            Split::Strips => Strategy::Strips,
            Split::Cells => Strategy::Cells,
        };
        let is_censor = matches!(self.thief, Some(Thief::Censor | Thief::Censors));
        let stolen = if is_censor { Attack::Censor } else { Attack::StealContents };
        let hosts = (0_u64..).zip(keys).map(|(number, key)| {
            if number >= u64::from(miners) {
                return HostSettings { behaviour: Behaviour::Insider(stolen), ..HostSettings::voter(key) };
            }
            HostSettings::miner(key, a_miner(&market, strategy, self.rng_seed + number * 1_000))
        });
        let mut hosts: Vec<HostSettings> = hosts.collect();
        if self.thief == Some(Thief::Stranger) {
            hosts.push(HostSettings { behaviour: Behaviour::Stranger(stolen), ..HostSettings::voter(thief) });
        }
        let mut world = World::new(market, hosts, self.rng_seed);
        let quality =
            LinkQuality { delay_min_ms: self.delay_ms, delay_max_ms: self.delay_ms, ..LinkQuality::GOOD };
        world.links_mut().set_quality(quality);
        Ok(world)
    }
}

/// The share of all rewards that is not earned by the first so many hosts, which mine.
fn stolen_percent(world: &World, miners: u32) -> f64 {
    let honest: BTreeSet<Address> =
        (0..miners).map(|number| world.host(HostId(number)).key().address()).collect();
    let standing = world.node(HostId(0)).ledger().demands().filter_map(|(_, entry)| entry.composition());
    let (mut all, mut kept) = (Money::ZERO, Money::ZERO);
    for composition in standing {
        all += composition.earned;
        kept += if honest.contains(&composition.miner) { composition.earned } else { Money::ZERO };
    }
    (all - kept).as_f64() / all.as_f64().max(f64::MIN_POSITIVE) * 100.0
}
