//! How one node behaves. Nothing here is agreed on with others; what is agreed on stands in the genesis.

use scenarios::Window;
use scenarios::settings::{Profile, SearchSettings};
use serde::{Deserialize, Serialize};

use crate::strategy::{AmendPolicy, AnnouncePolicy, Region, Strategy};

/// How a node mines.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct MiningSettings {
    /// How it picks its sub-problem.
    pub strategy: Strategy,
    pub profile: Profile,
    #[serde(default)]
    pub search: SearchSettings,
    /// What it composes first, whatever its strategy; nothing in particular if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
    /// The rectangle the market plays in; strips divide it.
    pub window: Window,
    /// Fixes every random choice of its searches.
    pub rng_seed: u64,
    #[serde(default)]
    pub announce: AnnouncePolicy,
    /// How to look for amendments.
    #[serde(default)]
    pub amend: AmendPolicy,
    /// Wait for the command to start.
    #[serde(default)]
    pub wait_for_start: bool,
}

/// How often a node does what it does regularly, and how long it waits, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timing {
    /// Between two rounds of anti-entropy.
    pub gossip_ms: u64,
    /// Between two statements of where this node can be reached.
    pub membership_ms: u64,
    /// Between two looks at what to mine and at what to bring.
    pub mining_ms: u64,
    /// How long a validator gathers blocks after a batch before it is ready for the next: what comes meanwhile comes
    /// together.
    pub gather_ms: u64,
    /// How long a round waits for its proposal; grows by `round_growth_ms` each round.
    pub propose_ms: u64,
    /// How long a round waits for more prevotes or precommits; grows likewise.
    pub vote_ms: u64,
    /// What each further round of a height adds to its waits.
    pub round_growth_ms: u64,
    /// How long a fetch from a peer may take before another peer is asked.
    pub fetch_ms: u64,
    /// How long miners wait for what others have sent, and between the turns of two of them to look for prices, at least.
    pub turn_ms: u64,
    /// How long a miner leaves a price search to each of those before it, at most: on small markets it knows sooner.
    pub pricing_turn_ms: u64,
    /// How long the market may rest before a miner without work takes over the cell of the next rank.
    pub takeover_ms: u64,
    /// How long the head may rest before validators make a batch that brings nothing, so that market time passes while
    /// something waits for it; well below the network's `halt_after_ms`, or waits take longer.
    pub heartbeat_ms: u64,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            gossip_ms: 250,
            membership_ms: 2_000,
            mining_ms: 100,
            gather_ms: 200,
            propose_ms: 1_000,
            vote_ms: 500,
            round_growth_ms: 500,
            fetch_ms: 1_000,
            turn_ms: 150,
            pricing_turn_ms: 5_000,
            takeover_ms: 10_000,
            heartbeat_ms: 15_000,
        }
    }
}
