//! The network's parameters: what blocks must keep to. Shares are in parts per million (ppm).

use scenarios::settings::{Allocation, NetworkSettings};
use serde::{Deserialize, Serialize};

use crate::schedule::Schedule;

/// What a network accepts, pays and waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameters {
    /// How blocks may share providers.
    pub allocation: Allocation,
    /// In dedicated allocation, the most providers one miner may hold; absent: ceil(providers / miners).
    pub held_providers_max: Option<u32>,
    /// What a block's reward depends on.
    pub schedule: Schedule,
    /// The least solver fee, as a share of the budget.
    pub solver_fee_ppm: u64,
    /// A block must earn at least this share of its demands' fees.
    pub min_reward_ppm: u64,
    /// Heights a demand waits on chain before acceptance starts to relax for it.
    pub relax_after_heights: u64,
    /// Heights over which acceptance then relaxes to "any feasible composition".
    pub relax_over_heights: u64,
    /// A price update must raise the certified bound by at least this share.
    pub min_bound_gain_ppm: u64,
    /// Share of every earned reward that tops up the bounty account.
    pub bounty_share_ppm: u64,
    /// Share of the bounty account paid for a valid price update.
    pub bounty_pay_ppm: u64,
    /// The least saving of an amendment that composes no open demand, as a share of what it re-composes.
    pub min_saving_ppm: u64,
    /// The amender's share of a saving.
    pub amender_share_ppm: u64,
    /// Heights after its first composition at which a demand freezes, at least 1: it is settled and nothing may
    /// re-compose it.
    pub freeze_after_heights: u64,
    /// The least time between a block and one that composes nothing after it, in milliseconds.
    pub quiet_block_interval_ms: u64,
    /// The least time between a block and one that only re-composes after it, in milliseconds.
    pub amendment_interval_ms: u64,
    /// How large things may be.
    pub limits: Limits,
}

/// How large a block and what it asks of its verifiers may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Canonical bytes of a block.
    pub block_bytes: u32,
    /// Canonical bytes of a record.
    pub record_bytes: u32,
    /// Records in a block.
    pub records_per_block: u32,
    /// Compositions in a block.
    pub compositions_per_block: u32,
    /// Shortest-path edge relaxations ([`scenarios::Oracle::work`]) to check a block. A price update counts
    /// the whole market twice (before and after).
    pub verification_work: u64,
    /// Demands of the market at one time, open or composed.
    pub market_demands: u32,
    /// How far a block's timestamp may be ahead of a node's clock, in milliseconds.
    pub clock_lead_ms: u64,
}

impl Default for Limits {
    /// Room for two thousand demands a block; 10^9 relaxations take about a second on one core.
    fn default() -> Self {
        Self {
            block_bytes: 4 << 20,
            record_bytes: 64 << 10,
            records_per_block: 2_000,
            compositions_per_block: 2_000,
            verification_work: 1_000_000_000,
            market_demands: 100_000,
            clock_lead_ms: 2_000,
        }
    }
}

impl Parameters {
    /// A scenario's settings as parameters.
    pub fn from_settings(settings: &NetworkSettings) -> Self {
        Self {
            allocation: settings.allocation,
            held_providers_max: settings.held_providers_max,
            schedule: Schedule::from_settings(&settings.schedule),
            solver_fee_ppm: settings.solver_fee_ppm,
            min_reward_ppm: settings.min_reward_ppm,
            relax_after_heights: settings.relax_after_heights,
            relax_over_heights: settings.relax_over_heights,
            min_bound_gain_ppm: settings.min_bound_gain_ppm,
            bounty_share_ppm: settings.bounty_share_ppm,
            bounty_pay_ppm: settings.bounty_pay_ppm,
            min_saving_ppm: settings.min_saving_ppm,
            amender_share_ppm: settings.amender_share_ppm,
            freeze_after_heights: settings.freeze_after_heights,
            quiet_block_interval_ms: settings.quiet_block_interval_ms,
            amendment_interval_ms: settings.amendment_interval_ms,
            limits: Limits::default(),
        }
    }

    /// The share of its fee, in ppm, that a demand must earn its solver after waiting `age` heights on
    /// chain: the whole floor up to `relax_after_heights`, then falling linearly to nothing.
    pub fn required_ppm(&self, age: u64) -> u64 {
        let relaxing = age.saturating_sub(self.relax_after_heights);
        let left = self.relax_over_heights.saturating_sub(relaxing);
        if relaxing == 0 {
            return self.min_reward_ppm;
        }
        let scaled = u128::from(self.min_reward_ppm).saturating_mul(u128::from(left));
        let share = scaled.checked_div(u128::from(self.relax_over_heights)).unwrap_or(0);
        u64::try_from(share).unwrap_or(u64::MAX)
    }

    /// Whether a demand of this age is composed by any feasible composition.
    pub const fn is_relaxed(&self, age: u64) -> bool {
        age >= self.relax_after_heights.saturating_add(self.relax_over_heights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_holds_for_four_heights_and_then_falls_over_twelve() {
        let parameters = Parameters::from_settings(&NetworkSettings::default());
        let required: Vec<u64> = (0..18).map(|age| parameters.required_ppm(age)).collect();
        assert_eq!(required[..6], [100_000, 100_000, 100_000, 100_000, 100_000, 91_666]);
        assert_eq!(required[15..], [8_333, 0, 0]);
        assert!(!parameters.is_relaxed(15));
        assert!(parameters.is_relaxed(16));
    }

    #[test]
    fn a_floor_that_relaxes_over_no_heights_drops_at_once() {
        let settings = NetworkSettings { relax_over_heights: 0, ..NetworkSettings::default() };
        let parameters = Parameters::from_settings(&settings);
        assert_eq!([parameters.required_ppm(4), parameters.required_ppm(5)], [100_000, 0]);
    }
}
