//! Looking for amendments: which composed demands to take up again together, and when to stop looking.
//!
//! A network that amends is a large-neighbourhood search carried out by many: each miner frees a few
//! demands, composes them again with everything they leave free, and proposes what became cheaper. Kinds of
//! neighbourhoods that paid are tried more often, and neighbourhoods grow while nothing is found.

use std::collections::{BTreeMap, BTreeSet};

use chain::DemandId;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use scenarios::{DualPrices, Minutes, Site, Slot};
use serde::{Deserialize, Serialize};

/// How a miner looks for amendments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AmendPolicy {
    /// Whether it looks at all.
    pub enabled: bool,
    /// Demands in the first neighbourhood.
    pub first_size: usize,
    /// Generations a neighbourhood is searched for; more after looks in vain.
    pub generations: u32,
    /// Looks in a row that find nothing before it rests until the market changes.
    pub rest_after: u32,
}

impl Default for AmendPolicy {
    fn default() -> Self {
        Self { enabled: true, first_size: 12, generations: 12, rest_after: 24 }
    }
}

/// A demand that may be composed again, as the choice of a neighbourhood sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct AmendableDemand {
    pub id: DemandId,
    pub site: Site,
    /// Minutes its composition takes of each slot; none if it is open.
    pub minutes: BTreeMap<Slot, Minutes>,
}

/// What the demands of a neighbourhood have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NeighbourhoodKind {
    /// They are near each other: across the borders of the cells they were composed in.
    Near,
    /// They use the same scarce slot, drawn by what its minutes are worth.
    Scarce,
    /// Nothing: drawn at random.
    Scattered,
}

impl NeighbourhoodKind {
    const ALL: [Self; 3] = [Self::Near, Self::Scarce, Self::Scattered];

    /// One word for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Near => "near",
            Self::Scarce => "scarce",
            Self::Scattered => "scattered",
        }
    }
}

/// A neighbourhood to search.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct Neighbourhood {
    /// How it was chosen.
    pub kind: NeighbourhoodKind,
    pub demands: BTreeSet<DemandId>,
    /// For how many generations to search it.
    pub generations: u32,
}

/// Chooses neighbourhoods and learns from what came of them. Its draws follow from its seed.
#[derive(Clone, Debug)]
pub struct Explorer {
    policy: AmendPolicy,
    draws: ChaCha8Rng,
    size: usize,
    /// How often each kind is tried, relative to the others.
    weights: [u32; 3],
    fruitless: u32,
}

/// A kind that never pays is still tried now and then, one that always does at most this much more often.
const WEIGHT_MAX: u32 = 8;

/// After as many looks in vain, neighbourhoods are searched as long again as the first: what is easily found has been.
const LOOKS_PER_DEPTH: u32 = 4;

impl Explorer {
    /// One that has not looked yet.
    pub fn new(policy: AmendPolicy, rng_seed: u64) -> Self {
        let draws = ChaCha8Rng::seed_from_u64(rng_seed);
        Self { policy, draws, size: policy.first_size.max(2), weights: [2; 3], fruitless: 0 }
    }

    /// Whether it has looked in vain often enough.
    pub const fn is_resting(&self) -> bool {
        !self.policy.enabled || self.fruitless >= self.policy.rest_after
    }

    /// The next neighbourhood among these demands; `None` while it rests or has too few.
    pub fn choose(&mut self, demands: &[AmendableDemand], prices: &DualPrices) -> Option<Neighbourhood> {
        if self.is_resting() || demands.is_empty() {
            return None;
        }
        let kind = self.draw_kind();
        let size = self.size.min(demands.len());
        let mut order: Vec<usize> = (0..demands.len()).collect();
        self.shuffle(&mut order);
        match kind {
            NeighbourhoodKind::Near => {
                let centre = demands[order[0]].site;
                order.sort_by_key(|&position| squared_distance(centre, demands[position].site));
            }
            NeighbourhoodKind::Scarce => {
                if let Some(slot) = self.draw_slot(demands, prices) {
                    order.sort_by_key(|&position| !demands[position].minutes.contains_key(&slot));
                }
            }
            NeighbourhoodKind::Scattered => {}
        }
        let demands = order[..size].iter().map(|&position| demands[position].id).collect();
        let depth = 1 + self.fruitless / LOOKS_PER_DEPTH;
        Some(Neighbourhood { kind, demands, generations: self.policy.generations.saturating_mul(depth) })
    }

    /// A neighbourhood of this kind gave a saving.
    pub fn on_found(&mut self, kind: NeighbourhoodKind) {
        self.fruitless = 0;
        let weight = &mut self.weights[kind as usize];
        *weight = (*weight + 2).min(WEIGHT_MAX);
    }

    /// A neighbourhood of this kind gave nothing: the next ones are larger.
    pub fn on_nothing(&mut self, kind: NeighbourhoodKind) {
        self.fruitless += 1;
        self.size = self.size.saturating_add(self.size / 2);
        let weight = &mut self.weights[kind as usize];
        *weight = weight.saturating_sub(1).max(1);
    }

    /// The market is another than the one it looked at in vain.
    pub fn on_change(&mut self) {
        if self.fruitless >= self.policy.rest_after {
            self.size = self.policy.first_size.max(2);
        }
        self.fruitless = 0;
    }

    fn draw_kind(&mut self) -> NeighbourhoodKind {
        let total = u64::from(self.weights.iter().sum::<u32>());
        let mut drawn = self.below(total);
        for (kind, weight) in NeighbourhoodKind::ALL.into_iter().zip(self.weights) {
            match drawn.checked_sub(u64::from(weight)) {
                Some(rest) => drawn = rest,
                None => return kind,
            }
        }
        NeighbourhoodKind::Scattered
    }

    /// A slot in use, with a probability in proportion to price x minutes used.
    fn draw_slot(&mut self, demands: &[AmendableDemand], prices: &DualPrices) -> Option<Slot> {
        let mut worth: BTreeMap<Slot, u64> = BTreeMap::new();
        for (&slot, &minutes) in demands.iter().flat_map(|demand| &demand.minutes) {
            let charge = u64::try_from(prices.charge(slot, minutes).micros()).unwrap_or(0);
            *worth.entry(slot).or_default() += charge;
        }
        let total: u64 = worth.values().sum();
        if total == 0 {
            return None;
        }
        let mut drawn = self.below(total);
        for (provider, worth) in worth {
            match drawn.checked_sub(worth) {
                Some(rest) => drawn = rest,
                None => return Some(provider),
            }
        }
        None
    }

    fn shuffle(&mut self, order: &mut [usize]) {
        for last in (1..order.len()).rev() {
            let other = usize::try_from(self.below(last as u64 + 1)).unwrap_or(0);
            order.swap(last, other);
        }
    }

    /// Below `limit`, which is at least 1; the bias of less than 2^-20 for limits here does no harm.
    fn below(&mut self, limit: u64) -> u64 {
        self.draws.next_u64() % limit.max(1)
    }
}

fn squared_distance(one: Site, other: Site) -> i128 {
    match (one, other) {
        (Site::Point { x_m: ax, y_m: ay }, Site::Point { x_m: bx, y_m: by }) => {
            let (dx, dy) = (i128::from(ax) - i128::from(bx), i128::from(ay) - i128::from(by));
            dx * dx + dy * dy
        }
        (Site::Place(one), Site::Place(other)) => i128::from(one.abs_diff(other)),
        _ => i128::MAX,
    }
}

#[cfg(test)]
mod tests {
    use chain::{Hash, RecordId};
    use scenarios::{Money, ProviderId};

    use super::*;

    fn demand(number: u8, x_m: i64, provider: u32) -> AmendableDemand {
        AmendableDemand {
            id: RecordId(Hash([number; 32])),
            site: Site::point(x_m, 0),
            minutes: [(Slot::single(ProviderId(provider)), 10)].into(),
        }
    }

    /// Two villages of four demands, each village with a provider of its own.
    fn villages() -> Vec<AmendableDemand> {
        (0..8).map(|n| demand(n, i64::from(n / 4) * 100_000 + i64::from(n), u32::from(n / 4))).collect()
    }

    fn only(kind: NeighbourhoodKind) -> Explorer {
        let policy = AmendPolicy { first_size: 4, ..AmendPolicy::default() };
        let mut explorer = Explorer::new(policy, 1);
        explorer.weights = [0; 3];
        explorer.weights[kind as usize] = 1;
        explorer
    }

    fn numbers(neighbourhood: &Neighbourhood) -> Vec<u8> {
        neighbourhood.demands.iter().map(|id| id.0.0[0]).collect()
    }

    #[test]
    fn near_demands_are_of_one_village() {
        let mut explorer = only(NeighbourhoodKind::Near);
        for _ in 0..10 {
            let chosen = numbers(&explorer.choose(&villages(), &DualPrices::zero()).unwrap());
            assert!(chosen == [0, 1, 2, 3] || chosen == [4, 5, 6, 7], "{chosen:?}");
        }
    }

    #[test]
    fn demands_on_scarce_capacity_share_the_provider_that_has_a_price() {
        let prices = DualPrices::single(vec![Money::ZERO, Money::from_units(1)]);
        let mut explorer = only(NeighbourhoodKind::Scarce);
        assert_eq!(numbers(&explorer.choose(&villages(), &prices).unwrap()), [4, 5, 6, 7]);
    }

    #[test]
    fn neighbourhoods_grow_and_take_longer_while_nothing_is_found_until_the_explorer_rests() {
        let mut explorer = only(NeighbourhoodKind::Scattered);
        let (mut sizes, mut depths) = (Vec::new(), Vec::new());
        while let Some(chosen) = explorer.choose(&villages(), &DualPrices::zero()) {
            sizes.push(chosen.demands.len());
            depths.push(chosen.generations / AmendPolicy::default().generations);
            explorer.on_nothing(chosen.kind);
        }
        assert_eq!((&depths[..6], depths.last()), (&[1, 1, 1, 1, 2, 2][..], Some(&6)));
        assert_eq!(sizes[..4], [4, 6, 8, 8]);
        assert_eq!(sizes.len(), 24, "as often as the policy says");
        explorer.on_change();
        assert_eq!(explorer.choose(&villages(), &DualPrices::zero()).unwrap().demands.len(), 4);
    }

    #[test]
    fn what_paid_is_tried_more_often() {
        let mut explorer = Explorer::new(AmendPolicy::default(), 3);
        for _ in 0..5 {
            explorer.on_found(NeighbourhoodKind::Scarce);
            explorer.on_nothing(NeighbourhoodKind::Near);
        }
        assert_eq!(explorer.weights, [1, 8, 2]);
    }

    #[test]
    fn one_seed_gives_one_sequence_of_neighbourhoods() {
        let policy = AmendPolicy { first_size: 3, ..AmendPolicy::default() };
        let sequence = |seed| {
            let mut explorer = Explorer::new(policy, seed);
            let choose = |_| explorer.choose(&villages(), &DualPrices::zero()).unwrap();
            (0..6).map(choose).collect::<Vec<_>>()
        };
        assert_eq!(sequence(1), sequence(1));
        assert_ne!(sequence(1), sequence(2));
    }
}
