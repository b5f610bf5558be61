//! A node's configuration as commented text: every option with its meaning; those that are as by default
//! stand there as comments, so that the file shows what can be changed and says no more than it must.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;

use scenarios::Window;
use scenarios::settings::{Profile, SearchSettings};
use toml::{Table, Value};

use crate::driver::NodeFile;
use miner_node::strategy::{AmendPolicy, AnnouncePolicy, Strategy};
use miner_node::{MiningSettings, Timing};

/// A table of the file.
struct Section {
    /// Its name; the empty one is the top of the file.
    path: &'static str,
    /// What it is about.
    about: &'static str,
    options: &'static [Choice],
}

/// An option.
struct Choice {
    key: &'static str,
    about: &'static str,
    otherwise: Otherwise,
}

/// What holds where an option is not given.
enum Otherwise {
    /// A configuration without it is refused.
    Required,
    /// Its default.
    Default,
    /// Nothing; this shows how it would be written.
    Nothing(&'static str),
}

const fn option(key: &'static str, about: &'static str) -> Choice {
    Choice { key, about, otherwise: Otherwise::Default }
}

const fn required(key: &'static str, about: &'static str) -> Choice {
    Choice { key, about, otherwise: Otherwise::Required }
}

const SECTIONS: [Section; 8] = [
    Section {
        path: "",
        about: "A node's configuration, for `miner run --config FILE`. Relative paths start at this file.\n\
                A line that begins with # and a name shows the default (or an example): remove the # to change it.",
        options: &[
            required(
                "key_file",
                "The node's secret key, 64 hexadecimal digits (`miner key new`). Keep it to yourself, and never\nrun two nodes with the same one.",
            ),
            required("genesis_file", "The network's genesis: the same bytes on every node."),
            required(
                "data_dir",
                "Where the node keeps its chain, and the socket through which commands reach it.",
            ),
            required(
                "listen",
                "The address and UDP port to listen on; IPv6 in brackets: \"[::]:7400\". Port 0 picks a free one.",
            ),
            option(
                "advertise",
                "Addresses under which others can reach this node, if not the one it listens on: necessary where it\nlistens on all addresses (0.0.0.0, [::]) or stands behind a router.",
            ),
            option(
                "bootstrap_peers",
                "Nodes to connect to first, as \"KEY@ADDRESS:PORT\" or \"ADDRESS:PORT\"; they tell of all others. Where a key is\ngiven, nobody else is talked to at that address.",
            ),
            Choice {
                key: "allow_list",
                about: "Private mode: the only node keys to talk to. Without it anyone may connect (public mode).",
                otherwise: Otherwise::Nothing(
                    "[\"0000000000000000000000000000000000000000000000000000000000000000\"]",
                ),
            },
            option("threads", "Threads of each search."),
        ],
    },
    Section {
        path: "timing",
        about: "How often and how long, in milliseconds. What suits one machine suits most networks.",
        options: &[
            option("gossip_ms", "Between two rounds of anti-entropy."),
            option("membership_ms", "Between two statements of where this node can be reached."),
            option("mining_ms", "Between two looks at what to mine."),
            option(
                "gather_ms",
                "How long blocks are gathered after a batch before the next one is put together.",
            ),
            option("propose_ms", "How long a round of voting waits for its proposal."),
            option("vote_ms", "How long it waits for more votes."),
            option("round_growth_ms", "What each further round of a height adds to both waits."),
            option("fetch_ms", "How long a fetch from a peer may take before another peer is asked."),
            option(
                "turn_ms",
                "How long miners wait for what others have sent, and, at least, between the turns of two of them to look for\nprices.",
            ),
            option(
                "pricing_turn_ms",
                "How long a miner leaves the search for dual prices to those before it.",
            ),
            option(
                "takeover_ms",
                "How long the market may rest before a miner without work takes over the cell of the next rank.",
            ),
            option(
                "heartbeat_ms",
                "How long the head may rest, while compositions wait to be paid, before a batch without contents.",
            ),
        ],
    },
    Section {
        path: "mining",
        about: "How the node mines. Without this table and those below it only relays, and votes if the genesis\nlists it.",
        options: &[
            required(
                "strategy",
                "How it picks its sub-problem: \"cells\" (balanced geographic cells), \"strips\" (equal strips of the\nwindow, each with its own providers), \"operations\" or \"scarce_providers\" (equal shares, grouped by\nwhat the demands need), \"roaming\" (around the border of two cells) or \"everything\".",
            ),
            required(
                "profile",
                "The algorithm: \"hybrid\" (island-parallel genetic search with local search) or \"paper\" (the published\ngenetic algorithm).",
            ),
            Choice {
                key: "region",
                about: "What it composes first, before what its strategy gives it, in metres: a circle, or a rectangle\n\
                        (shape = \"rectangle\", west_m, south_m, east_m, north_m).",
                otherwise: Otherwise::Nothing("{ shape = \"circle\", x_m = 0, y_m = 0, radius_m = 20000 }"),
            },
            required("rng_seed", "Fixes every random choice of its searches; give each node its own."),
            required("window", "The rectangle of the market, in metres; only strips depend on it."),
            option("wait_for_start", "Wait for a command before mining (experiments do)."),
        ],
    },
    Section {
        path: "mining.announce",
        about: "When to announce what was found rather than search on.",
        options: &[
            option(
                "prior_hazard",
                "Assumed probability per second that somebody else takes the same demands first.",
            ),
            option("prior_seconds", "How many seconds of experience that assumption is worth."),
            option(
                "stall_ms",
                "A search that has found nothing cheaper for so long has ended, in milliseconds.",
            ),
            option(
                "published_runs_out",
                "Whether searches of profile \"paper\" run all their generations all the same.",
            ),
        ],
    },
    Section {
        path: "mining.amend",
        about: "How to look for amendments: composed demands that together can be had for less.",
        options: &[
            option("enabled", "Whether to look at all."),
            option("first_size", "Demands in the first neighbourhood; they grow while nothing is found."),
            option("generations", "Generations a neighbourhood is searched for; more after looks in vain."),
            option(
                "rest_after",
                "Looks in a row that find nothing before it rests until the market changes.",
            ),
        ],
    },
    Section {
        path: "mining.search",
        about: "",
        options: &[option(
            "profile",
            "The algorithm of tools that are not told one; the node uses `profile` above.",
        )],
    },
    Section {
        path: "mining.search.paper",
        about: "The published genetic algorithm.",
        options: &[
            option("population", "Individuals in a generation."),
            option("generations", "Generations, the same in every run."),
            option(
                "selection",
                "How parents are chosen: the best of `size` drawn at random, or { kind = \"roulette\" }.",
            ),
            option(
                "crossover_probability",
                "Probability that two parents are crossed rather than copied, 0 to 1.",
            ),
            option("resets_per_child", "Expected number of genes of a child that are reset at random."),
            option("elites", "Best individuals that survive unchanged."),
        ],
    },
    Section {
        path: "mining.search.hybrid",
        about: "The island-parallel hybrid.",
        options: &[
            option("islands", "Islands; more than threads is fine."),
            option("population", "Individuals on an island."),
            option("moves_per_generation", "Local-search moves on each island in a generation."),
            option("removed_max", "The most demands re-routed in one move."),
            option("migration_interval", "Generations between migrations."),
            option(
                "generations",
                "Generations after which a search ends, unless time or the target gap ends it earlier.",
            ),
            option("seconds", "Wall time after which a search ends."),
            option(
                "target_gap_ppm",
                "A search ends when it is certified this close to the bound, in parts per million.",
            ),
            option("subgradient_steps", "Steps of the search for dual prices."),
        ],
    },
];

/// The configuration as commented text.
///
/// # Panics
/// Never: a configuration holds nothing that TOML cannot say.
pub fn render(file: &NodeFile) -> String {
    let (values, defaults) = (table(file), table(&defaults()));
    let mut text = String::new();
    for section in &SECTIONS {
        let (value, default) = (sub_table(&values, section.path), sub_table(&defaults, section.path));
        if !text.is_empty() {
            text.push('\n');
        }
        write_prose(&mut text, section.about);
        if !section.path.is_empty() {
            let off = if value.is_some() { "" } else { "#" };
            let _ = writeln!(text, "{off}[{}]", section.path);
        }
        for choice in section.options {
            let value = value.and_then(|value| value.get(choice.key));
            let default = default.and_then(|default| default.get(choice.key));
            write_choice(&mut text, choice, value, default);
        }
    }
    text
}

fn write_choice(text: &mut String, choice: &Choice, value: Option<&Value>, default: Option<&Value>) {
    text.push('\n');
    write_prose(text, choice.about);
    let Choice { key, otherwise, .. } = choice;
    let shown = match otherwise {
        Otherwise::Nothing(example) => Some((*example).to_owned()),
        Otherwise::Required | Otherwise::Default => default.map(Value::to_string),
    };
    let is_default = matches!(otherwise, Otherwise::Default) && value == default;
    let _ = match value {
        Some(value) if !is_default => writeln!(text, "{key} = {value}"),
        Some(_) | None => writeln!(text, "#{key} = {}", shown.unwrap_or_default()),
    };
}

fn write_prose(text: &mut String, prose: &str) {
    for line in prose.lines() {
        let _ = writeln!(text, "# {line}");
    }
}

fn table(file: &NodeFile) -> Table {
    Table::try_from(file).expect("a configuration holds nothing that TOML cannot say")
}

/// The sub-table of this path; `None` if the file has none.
fn sub_table<'a>(table: &'a Table, path: &str) -> Option<&'a Table> {
    let mut names = path.split('.').filter(|name| !name.is_empty());
    names.try_fold(table, |table, name| table.get(name).and_then(Value::as_table))
}

/// All defaults, and an example of everything that has none but must be given.
pub(super) fn defaults() -> NodeFile {
    NodeFile {
        key_file: "node.key".into(),
        genesis_file: "genesis.bin".into(),
        data_dir: "data".into(),
        listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 7_400)),
        advertise: Vec::new(),
        bootstrap_peers: Vec::new(),
        allow_list: None,
        threads: NonZeroUsize::MIN,
        timing: Timing::default(),
        mining: Some(MiningSettings {
            strategy: Strategy::Cells,
            profile: Profile::Hybrid,
            search: SearchSettings::default(),
            region: None,
            window: Window::centred(100_000),
            rng_seed: 1,
            announce: AnnouncePolicy::default(),
            amend: AmendPolicy::default(),
            wait_for_start: false,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use miner_node::strategy::Region;
    use std::collections::BTreeSet;

    fn miner() -> NodeFile {
        let mut file = defaults();
        file.bootstrap_peers = vec!["[::1]:7401".parse().unwrap()];
        file.timing.turn_ms = 99;
        file
    }

    /// The text with every option that is commented out switched on.
    fn switched_on(text: &str) -> String {
        let is_option = |rest: &str| rest.starts_with(|c: char| c == '[' || c.is_ascii_lowercase());
        let lines =
            text.lines().map(|line| line.strip_prefix('#').filter(|rest| is_option(rest)).unwrap_or(line));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The paths of everything in a table; what is not a table of options itself counts as one.
    fn paths(table: &Table, above: &str, found: &mut BTreeSet<String>) {
        for (key, value) in table {
            let path = format!("{above}{key}");
            let inner =
                value.as_table().filter(|_| !["window", "selection", "region"].contains(&key.as_str()));
            match inner {
                Some(inner) => paths(inner, &format!("{path}."), found),
                None => drop(found.insert(path)),
            }
        }
    }

    fn all_paths(file: &NodeFile) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        paths(&table(file), "", &mut found);
        found
    }

    #[test]
    fn the_text_says_what_the_configuration_says() {
        let relay = NodeFile { mining: None, ..miner() };
        for file in [miner(), relay] {
            let read: NodeFile = toml::from_str(&render(&file)).unwrap();
            assert_eq!(format!("{read:?}"), format!("{file:?}"));
        }
    }

    #[test]
    fn every_option_is_named_and_explained() {
        let text = render(&miner());
        let read: NodeFile = toml::from_str(&switched_on(&text)).unwrap();
        // Whoever adds an option to `NodeFile` and does not name it here is told so by this list.
        let mut every = NodeFile { allow_list: Some(BTreeSet::new()), ..defaults() };
        let region = Region::Circle { x_m: 0, y_m: 0, radius_m: 20_000 };
        every.mining = every.mining.map(|mining| MiningSettings { region: Some(region), ..mining });
        assert_eq!(all_paths(&read), all_paths(&every));
        for section in &SECTIONS {
            for choice in section.options {
                assert!(choice.about.ends_with('.'), "{} is not explained", choice.key);
            }
        }
    }

    #[test]
    fn what_is_commented_out_is_the_default() {
        let text = render(&NodeFile { mining: None, ..miner() });
        let read: NodeFile = toml::from_str(&switched_on(&text)).unwrap();
        assert_eq!(read.timing, Timing { turn_ms: 99, ..Timing::default() });
        assert_eq!(read.mining.map(|mining| MiningSettings { region: None, ..mining }), defaults().mining);
        assert_eq!(read.threads, NonZeroUsize::MIN);
    }

    #[test]
    fn lines_fit_a_terminal() {
        let text = render(&miner());
        assert_eq!(text.lines().find(|line| line.len() > 110), None);
    }
}
