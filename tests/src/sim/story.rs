//! Whole stories, each drawn from a seed: who takes part, what befalls them, and what must have come of it in the end.

use chain::SecretKey;
use miner_node::strategy::{AmendPolicy, AnnouncePolicy, Strategy};
use miner_node::{MiningSettings, Timing};
use scenarios::parameters::CommitReveal;

use super::attack::Attack;
use super::draws::Draws;
use super::faults::Storm;
use super::host::{Behaviour, HostId, HostSettings};
use super::lie::Lie;
use super::links::LinkQuality;
use super::market::{Market, MarketKind};
use super::report::{Failure, Report};
use super::world::World;

/// How long the network may take once it is good: peer records of nodes that were gone must expire (30 s),
/// and miners wait in turn to search for prices (up to 5 s each).
const PATIENCE_MS: u64 = 180_000;
/// With a third of the validators silent it may take this many times [`PATIENCE_MS`]: all others are needed at each height
/// then, and a third of the rounds have no proposer. With attackers it may take this many times what it takes without
/// (validators that lie are missing then, for no network is faster than one whose liars say nothing), and this much more.
const SLOWER: u64 = 3;
const SLOWER_BY_MS: u64 = 10_000;
/// Nodes that mine at most; the others relay and vote.
const MINERS: u64 = 8;
/// How many times slower machines are that are flooded: as if the chain, whose batches are few and small here, had as much
/// on it as a real one.
const FLOODED_SLOWNESS: u32 = 100;

/// What kind of market a story is about, and how its miners share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// The paper's market in strips.
    Strips,
    /// Capacities that bind, in cells, with one miner that roams.
    Cells,
    /// Everybody after everything.
    Racers,
}

/// What goes wrong in a story.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Hazard {
    /// Nothing.
    Calm,
    /// Bad links, crashes, cuts.
    Storm,
    /// Links that differ by direction, fall silent or are narrow, and hosts that never reach each other.
    Links,
    /// Clocks that are off, drift and are set; machines that are suspended.
    Clocks,
    /// Many crashes, most of them in the middle of something.
    Crashes,
    /// Disks that fail in the middle of something, forget, rot and are deleted, and crashes; in the end operators say truly
    /// what their validators have signed.
    Disks,
    /// Validators that lie, as many as are tolerated.
    Byzantine,
    /// Strangers that ask for more than anybody can answer.
    Flood,
    /// Strangers that invent keys, names, heights, records and batches.
    Sybil,
    /// Bad clocks, lopsided links, crashes and bad disks, lying validators and strangers.
    All,
}

impl Hazard {
    /// What strangers may do in it.
    pub const fn attacks(self) -> &'static [Attack] {
        let (floods, others) = Attack::OF_STRANGERS.split_at(Attack::FLOODS);
        match self {
            Self::Flood => floods,
            Self::Sybil => others,
            Self::All => &Attack::OF_STRANGERS,
            Self::Calm
            | Self::Storm
            | Self::Links
            | Self::Clocks
            | Self::Crashes
            | Self::Disks
            | Self::Byzantine => &[],
        }
    }
}

/// A story to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct Story {
    pub rng_seed: u64,
    pub theme: Theme,
    pub hazard: Hazard,
    /// How many nodes there are, all of them validators; drawn from 4 to 7 if not said.
    pub nodes: Option<u32>,
    /// The one attack that strangers play; drawn if not said.
    pub attack: Option<Attack>,
    /// See [`World::use_one_queue`].
    pub has_one_queue: bool,
    /// Validators have from one to four votes each, those that lie one each, so that they stay below a third.
    pub has_unequal_votes: bool,
    /// Miners commit to blocks before they show them.
    pub has_commitments: bool,
}

/// A miner of this market that starts at once.
pub fn a_miner(market: &Market, strategy: Strategy, rng_seed: u64) -> MiningSettings {
    MiningSettings {
        strategy,
        profile: market.profile,
        search: market.search_settings(),
        region: None,
        window: market.window,
        rng_seed,
        announce: AnnouncePolicy::default(),
        amend: AmendPolicy { first_size: 4, generations: 1, rest_after: 2, ..AmendPolicy::default() },
        wait_for_start: false,
    }
}

impl Theme {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Strips, Self::Cells, Self::Racers];

    fn strategy(self, is_last: bool) -> Strategy {
        match self {
            Self::Strips => Strategy::Strips,
            Self::Cells if is_last => Strategy::Roaming,
            Self::Cells => Strategy::Cells,
            Self::Racers => Strategy::Everything,
        }
    }
}

impl Story {
    /// A story of this seed, its theme in turn.
    pub fn new(rng_seed: u64, hazard: Hazard) -> Self {
        let theme = Theme::ALL[usize::try_from(rng_seed % 3).unwrap_or(0)];
        Self {
            rng_seed,
            theme,
            hazard,
            nodes: None,
            attack: None,
            has_one_queue: false,
            has_unequal_votes: false,
            has_commitments: false,
        }
    }

    /// Sets the scene: miners with clocks that differ, all of them validators, and strangers.
    ///
    /// # Panics
    /// If the market drawn makes no genesis: a mistake of the generator.
    pub fn scene(&self) -> World {
        self.scene_with(self.cast())
    }

    /// Sets the scene with one validator that behaves like this.
    ///
    /// # Panics
    /// As [`Self::scene`].
    pub fn scene_of(&self, third: Behaviour) -> World {
        self.scene_with(vec![(2, third)])
    }

    /// Tells it: faults while demands come in, then calm until all is done.
    ///
    /// # Errors
    /// At the first violation.
    pub fn tell(&self) -> Result<Report, Failure> {
        let cast = self.cast();
        let patience_ms = if cast.is_empty() {
            PATIENCE_MS
        } else {
            let missing = cast.iter().filter(|(number, _)| *number < self.nodes());
            let missing = missing.map(|&(number, _)| (number, Behaviour::Puppet)).collect();
            let quiet = self.tell_with(missing, PATIENCE_MS * SLOWER)?;
            quiet.at_ms * SLOWER + SLOWER_BY_MS
        };
        self.tell_with(cast, patience_ms)
    }

    /// What it was told about, in a few words.
    pub fn title(&self) -> String {
        let foul: Vec<String> = self.cast().iter().map(|(_, behaviour)| format!("{behaviour:?}")).collect();
        let foul = if foul.is_empty() { String::new() } else { format!(", {}", foul.join(", ")) };
        format!("seed {}, {:?}, {:?}{foul}", self.rng_seed, self.hazard, self.theme)
    }

    fn tell_with(&self, cast: Vec<(u64, Behaviour)>, patience_ms: u64) -> Result<Report, Failure> {
        let is_attacked = cast.iter().any(|(_, behaviour)| *behaviour != Behaviour::Puppet);
        let mut world = self.scene_with(cast);
        if self.has_one_queue {
            world.use_one_queue();
        }
        let mut draws = Draws::new(self.rng_seed, 3);
        let length_ms = draws.between(3_000, 15_000);
        let storm = self.storm(&mut draws, length_ms);
        world.storm(storm);
        world.submit_all(*draws.pick(&[100, 3_000, 10_000]));
        let ordinary = self.ordinary_links(&mut draws);
        world.links_mut().set_quality(ordinary);
        world.run_for(length_ms)?;
        world.calm()?;
        world.links_mut().set_quality(ordinary);
        if self.has_bad_disks() {
            world.let_all_vote()?;
        }
        if is_attacked { world.run_until_served(patience_ms) } else { world.run_until_settled(patience_ms) }
    }

    /// What links are like when nothing is wrong: with attackers about they lose something now and then, for what is
    /// never lost need not be fetched.
    fn ordinary_links(&self, draws: &mut Draws) -> LinkQuality {
        let is_lossy = matches!(self.hazard, Hazard::Byzantine | Hazard::Sybil | Hazard::All);
        let loss_percent = if is_lossy { *draws.pick(&[0, 5, 20]) } else { 0 };
        LinkQuality { loss_percent, ..LinkQuality::GOOD }
    }

    /// With everything else, every second time.
    fn has_bad_disks(&self) -> bool {
        self.hazard == Hazard::Disks || (self.hazard == Hazard::All && self.rng_seed.is_multiple_of(2))
    }

    fn nodes(&self) -> u64 {
        // The first draw of the scene.
        self.nodes.map_or_else(|| Draws::new(self.rng_seed, 0).between(4, 7), u64::from)
    }

    /// Who plays foul: the number of a validator, or of a host beyond them for a stranger.
    fn cast(&self) -> Vec<(u64, Behaviour)> {
        let (nodes, mut draws) = (self.nodes(), Draws::new(self.rng_seed, 4));
        let mut cast = Vec::new();
        if matches!(self.hazard, Hazard::Byzantine | Hazard::All) {
            let lies = Lie::ALL.map(Behaviour::Liar);
            let all = [&lies[..], &Attack::OF_VALIDATORS.map(Behaviour::Insider)[..]].concat();
            // The bootstrap nodes, which have the smallest numbers, stay honest as long as there are others.
            // One that has forgotten what it signed may be missed as much as one that lies.
            let tolerated = ((nodes - 1) / 3).saturating_sub(u64::from(self.has_bad_disks()));
            cast.extend((0..tolerated).map(|number| (nodes - 1 - number, *draws.pick(&all))));
        }
        let strangers = self.hazard.attacks();
        if strangers.is_empty() {
            return cast;
        }
        let attack = self.attack.unwrap_or(*draws.pick(strangers));
        let count = draws.between(1, 3);
        cast.extend((0..count).map(|number| (nodes + number, Behaviour::Stranger(attack))));
        cast
    }

    fn storm(&self, draws: &mut Draws, length_ms: u64) -> Storm {
        let hosts = u32::try_from(self.nodes()).unwrap_or(u32::MAX);
        let mut storm = Storm::none(length_ms);
        match self.hazard {
            Hazard::Storm => storm = Storm::draw(draws, hosts, length_ms),
            Hazard::Links => storm.add_lopsided_links(draws, hosts),
            Hazard::Clocks => storm.add_bad_clocks(draws, hosts),
            Hazard::Crashes => storm.add_crashes(draws, hosts, 12, 40),
            Hazard::Disks => storm.add_crashes(draws, hosts, 3, 40),
            Hazard::All => {
                storm.add_lopsided_links(draws, hosts);
                storm.add_crashes(draws, hosts, 2, 16);
            }
            // Somebody must fetch what it missed.
            Hazard::Sybil | Hazard::Byzantine => storm.add_crashes(draws, hosts, 1, 16),
            Hazard::Calm | Hazard::Flood => {}
        }
        if self.has_bad_disks() {
            storm.add_bad_disks(&mut Draws::new(self.rng_seed, 7), hosts);
        }
        storm
    }

    fn scene_with(&self, cast: Vec<(u64, Behaviour)>) -> World {
        let mut draws = Draws::new(self.rng_seed, 0);
        let few = draws.between(4, 7);
        let count = self.nodes.map_or(few, u64::from);
        let mut keys: Vec<SecretKey> =
            (0..count).map(|index| SecretKey::for_scenario(self.rng_seed, "host", index)).collect();
        keys.sort_by_key(SecretKey::public);
        let mut market = self.market(&keys, &mut draws);
        if self.has_unequal_votes {
            let mut draws = Draws::new(self.rng_seed, 8);
            let mut votes = |number| if number < count - (count - 1) / 3 { draws.between(1, 4) } else { 1 };
            market = market
                .with_powers((0..count).map(&mut votes), self.rng_seed)
                .expect("any votes make a market");
        }
        if self.has_commitments {
            market = market
                .with_commitments(CommitReveal::default(), self.rng_seed)
                .expect("any market may have commitments");
        }
        let mut hosts = Vec::new();
        for (number, key) in (0_u64..).zip(keys) {
            let strategy = self.theme.strategy(number + 1 == count.min(MINERS));
            let rng_seed = self.rng_seed.wrapping_add(number * 1_000_000);
            let mut host = HostSettings::voter(key);
            host.mining = (number < MINERS).then(|| a_miner(&market, strategy, rng_seed));
            host.timing = Timing { pricing_turn_ms: 1_000, ..Timing::default() };
            host.clock_lead_ms = i64::try_from(draws.below(300)).unwrap_or(0);
            host.starts_at_ms = draws.below(500);
            hosts.push(host);
        }
        self.trouble(&mut hosts);
        for (number, behaviour) in cast {
            let host = usize::try_from(number).ok().and_then(|number| hosts.get_mut(number));
            if let Some(host) = host {
                host.behaviour = behaviour;
            } else {
                let key = SecretKey::for_scenario(self.rng_seed, "stranger", number);
                hosts.push(HostSettings { behaviour, ..HostSettings::voter(key) });
            }
        }
        let mut world = World::new(market, hosts, self.rng_seed);
        if matches!(self.hazard, Hazard::Links) {
            self.thin_out(&mut world, count);
        }
        world
    }

    fn market(&self, keys: &[SecretKey], draws: &mut Draws) -> Market {
        let validators: Vec<_> = keys.iter().map(SecretKey::public).collect();
        let capacity_ppm = *draws.pick(&[900_000, 1_200_000, 2_000_000]);
        let kind = match self.theme {
            Theme::Strips => MarketKind::Paper,
            Theme::Cells | Theme::Racers => MarketKind::Capacitated { capacity_ppm },
        };
        let mut few = |least, most| u32::try_from(draws.between(least, most)).unwrap_or(u32::MAX);
        let (providers, demands) = (few(6, 10), few(8, 16));
        Market::generated(kind, providers, demands, &validators, self.rng_seed)
            .expect("the numbers drawn make a market")
    }

    /// What is wrong with the machines themselves.
    fn trouble(&self, hosts: &mut [HostSettings]) {
        let mut draws = Draws::new(self.rng_seed, 5);
        for host in hosts {
            if matches!(self.hazard, Hazard::Clocks | Hazard::All) {
                host.clock_lead_ms = i64::try_from(draws.below(2_000)).unwrap_or(0) - 1_000;
                host.clock_drift_ppm = i32::try_from(draws.below(1_000)).unwrap_or(0) - 500;
            }
            if self.hazard == Hazard::Flood {
                host.slowness = FLOODED_SLOWNESS;
            }
        }
    }

    /// A mesh in which a ring holds everybody together, and of the other pairs a third never meets.
    fn thin_out(&self, world: &mut World, count: u64) {
        let mut draws = Draws::new(self.rng_seed, 6);
        let hosts = u32::try_from(count).unwrap_or(u32::MAX);
        for one in 0..hosts {
            for other in one + 1..hosts {
                let is_on_ring = other == one + 1 || (one == 0 && other + 1 == hosts);
                if !is_on_ring && draws.percent(33) {
                    world.links_mut().separate(HostId(one), HostId(other));
                }
            }
        }
    }
}
