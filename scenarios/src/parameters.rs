//! A network's parameters: what blocks must keep to. A scenario file proposes them, a genesis fixes them; this is
//! their one home, and [`Parameters::validate`] their one range. Shares are in parts per million (ppm).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::limits;
use crate::schedule::{Measure, PPM, Schedule, ScheduleDocument, ScheduleError};
use crate::units::Money;

/// The longest time a parameter may name, in milliseconds: 30 days.
pub const INTERVAL_MS: u64 = 30 * 24 * 60 * 60 * 1_000;

/// The most that one account, or one operation offered, may have to put away: whatever a market may hold, all of that
/// together stays far below the money there may be.
pub const DEPOSIT: Money = Money::from_units(1_000);

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

/// What a network accepts, pays and waits for. Shares are at most 1,000,000 ppm (`near_best_ppm`: a thousand times that), times at most 30 days. Waits are in
/// milliseconds of market time: the time of batches, less what the network was halted ([`Self::halt_after_ms`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// How blocks may share providers.
    pub allocation: Allocation,
    /// In dedicated allocation, the most providers one miner may hold; at least 1; absent:
    /// ceil(providers / miners).
    pub held_providers_max: Option<u32>,
    /// What a block's reward depends on.
    #[schemars(with = "ScheduleDocument")]
    pub schedule: Schedule,
    /// The solver fee escrowed with each demand, as a share of its budget. What solvers share is as much of it as the demand's
    /// cheapest way at the dual prices is of its budget.
    pub solver_fee_ppm: u64,
    /// A block must earn at least this share of its demands' fees. Under schedule `paper` that never relaxes, and a block that
    /// earns nothing is refused whatever this is.
    pub min_reward_ppm: u64,
    /// How long a demand waits on chain before acceptance starts to relax for it, in milliseconds; best longer than
    /// `limits.clock_lead_ms`, by which a miner may date its batch ahead to shorten the wait.
    pub relax_after_ms: u64,
    /// The time over which acceptance then relaxes to "any feasible composition", in milliseconds.
    pub relax_over_ms: u64,
    /// How much dearer a composition may be, at the dual prices, than the best that is left of the market for its demand
    /// ([`crate::Oracle::carried`]), however long that has waited.
    pub near_best_ppm: u64,
    /// A price update must raise the certified bound by at least this share.
    pub min_bound_gain_ppm: u64,
    /// The share of what compositions earn that goes to the authors of the prices they were judged at.
    pub price_share_ppm: u64,
    /// What the author of a price update forfeits if it does not raise the bound by as much as it claims; at most 1,000 $.
    pub price_bond: Money,
    /// An amendment that composes no open demand must save at least this share of what it re-composes.
    pub min_saving_ppm: u64,
    /// The amender's share of the saving.
    pub amender_share_ppm: u64,
    /// How long after its first composition a demand freezes, in milliseconds, at least 1: it is settled and nothing
    /// may re-compose it.
    pub freeze_after_ms: u64,
    /// How long a period of the calendar lasts, in milliseconds, at least 1; means nothing where there is no calendar.
    pub period_ms: u64,
    /// How long before its first period begins a composition freezes, in milliseconds, and from when on nothing else may be planned for
    /// that period; means nothing where there is no calendar.
    pub frozen_zone_ms: u64,
    /// What the time between two batches exceeds this by was a halt, in milliseconds, at least 1: nobody's wait is
    /// shorter for it. Twice the heartbeat of nodes, which keeps an idle network below it.
    pub halt_after_ms: u64,
    /// How much older than a batch's parent the anchor of a block in it may be at most, in milliseconds of batch time. A block
    /// that no batch brings within this is lost.
    pub anchor_window_ms: u64,
    /// The least time between a batch and one that composes nothing after it, in milliseconds.
    pub quiet_batch_interval_ms: u64,
    /// The least time between a batch and one after it that only re-composes, in milliseconds.
    pub amendment_interval_ms: u64,
    /// What an account keeps as long as it stands, at most 1,000 $: nobody with less may state anything, no
    /// statement takes an account below it, and a transfer leaves its recipient with no less.
    pub account_min: Money,
    /// The least budget of a demand for each of its orders, above 0, at most the largest budget.
    pub min_budget: Money,
    /// The least that is locked of a provider's money for each operation that its offer has, and for one at least, from the record
    /// that brings the offer on; at most 1,000 $. Offers of genesis are free.
    pub offer_deposit: Money,
    /// What is locked for each minute of a provider's capacity beyond that of genesis, at most 1 $. Above 0, whoever had no unlimited
    /// capacity at genesis has none.
    pub minute_deposit: Money,
    /// How long nothing may have rested on an offer before one with a larger deposit takes its place, where an operation is offered
    /// as often as it may be, in milliseconds.
    pub idle_after_ms: u64,
    /// How long after it is on chain a change of an offer, a withdrawal or a cancellation takes effect at the earliest, in milliseconds.
    pub notice_ms: u64,
    /// What each canonical byte costs its author of a record that puts something into the market or gives money away, and its miner of
    /// a commitment and of the block that this announces; at most 1 $. It is burned.
    pub fee_per_byte: Money,
    /// The longest that a demand may stay open, in milliseconds after the batch that brings it; at least 1.
    pub demand_lifetime_max_ms: u64,
    /// How miners commit to their blocks before they show them; absent: blocks come in clear, as among those who trust
    /// each other, for whoever sees a block can copy it.
    pub commit_reveal: Option<CommitReveal>,
    /// How large things may be.
    pub limits: Limits,
}

/// How miners commit to blocks and reveal them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CommitReveal {
    /// How long after the batch with their commitments blocks may travel before validators' turns to bring them count, in
    /// milliseconds of batch time.
    pub reveal_ms: u64,
}

impl Default for CommitReveal {
    fn default() -> Self {
        Self { reveal_ms: 250 }
    }
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            allocation: Allocation::default(),
            held_providers_max: None,
            schedule: Schedule::default(),
            solver_fee_ppm: 25_000,
            min_reward_ppm: 100_000,
            relax_after_ms: 2_500,
            relax_over_ms: 2_500,
            near_best_ppm: 20_000,
            min_bound_gain_ppm: 100,
            price_share_ppm: 50_000,
            price_bond: Money::from_units(1),
            min_saving_ppm: 500,
            amender_share_ppm: 100_000,
            freeze_after_ms: 60_000,
            period_ms: 24 * 60 * 60 * 1_000,
            frozen_zone_ms: 0,
            halt_after_ms: 30_000,
            anchor_window_ms: 30_000,
            quiet_batch_interval_ms: 100,
            amendment_interval_ms: 250,
            account_min: Money::from_units(1),
            min_budget: Money::from_units(1),
            offer_deposit: Money::from_units(1),
            minute_deposit: Money::from_micros(10_000),
            idle_after_ms: 3_600_000,
            notice_ms: 2_000,
            fee_per_byte: Money::from_micros(1),
            demand_lifetime_max_ms: INTERVAL_MS,
            commit_reveal: None,
            limits: Limits::default(),
        }
    }
}

/// How large a batch and what it asks of its verifiers may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Canonical bytes of a batch, 1 KiB to 256 MiB.
    pub batch_bytes: u32,
    /// Canonical bytes of a record, 256 to those of a batch.
    pub record_bytes: u32,
    /// Records in a batch, 1 to a million.
    pub records_per_batch: u32,
    /// Compositions in a batch, 1 to a million.
    pub compositions_per_batch: u32,
    /// Shortest-path edge relaxations (`Oracle::work`) to check a batch. A price update counts
    /// the whole market twice (before and after). At least 1.
    pub verification_work: u64,
    /// Edge relaxations that a shortest path for every demand of the market may take together, at least 1. An eighth
    /// of `verification_work` leaves time for all that a batch checks: a price update takes two passes, a composition six through its demand.
    pub market_work: u64,
    /// Demands of the market at one time, open or composed, 1 to a million.
    pub market_demands: u32,
    /// Offers of one operation, 1 to as many as there may be providers; genesis may have more.
    pub offers_per_operation: u32,
    /// How far a batch's timestamp may be ahead of a node's clock, in milliseconds, at most 30 days.
    pub clock_lead_ms: u64,
}

impl Limits {
    /// The same, or larger ones with room for a market whose demands take so many edge relaxations together, and time for all that a batch
    /// checks of it.
    #[must_use]
    pub fn with_room_for(self, pass: u64) -> Self {
        Self {
            market_work: self.market_work.max(pass),
            verification_work: self.verification_work.max(pass.saturating_mul(8)),
            ..self
        }
    }
}

impl Default for Limits {
    /// Room for two thousand demands a batch; 10^9 relaxations take about a second on one core.
    fn default() -> Self {
        Self {
            batch_bytes: 4 << 20,
            record_bytes: 64 << 10,
            records_per_batch: 2_000,
            compositions_per_batch: 2_000,
            verification_work: 1_000_000_000,
            market_work: 125_000_000,
            market_demands: 100_000,
            offers_per_operation: 128,
            clock_lead_ms: 2_000,
        }
    }
}

/// Why parameters are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum ParameterError {
    /// A number is outside its range.
    #[error("{}: {}", self.field(), self.reason())]
    Range {
        /// Which number, as a scenario file names it.
        field: &'static str,
        got: u64,
        lowest: u64,
        highest: u64,
    },
    /// An amount of money is outside its range.
    #[error("{}: {}", self.field(), self.reason())]
    Amount {
        /// Which amount, as a scenario file names it.
        field: &'static str,
        got: Money,
        lowest: Money,
        highest: Money,
    },
    /// The reward schedule is refused.
    #[error("{}: {}", self.field(), self.reason())]
    Schedule(#[from] ScheduleError),
}

impl ParameterError {
    /// The field that is wrong, as a scenario file names it.
    pub const fn field(&self) -> &'static str {
        match self {
            Self::Range { field, .. } | Self::Amount { field, .. } => field,
            Self::Schedule(error) => error.field(),
        }
    }

    /// What is wrong with it.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Range { got, lowest, highest, .. } => {
                format!("got {got}, expected {lowest} to {highest}")
            }
            Self::Amount { got, lowest, highest, .. } => {
                format!("got {got} $, expected {lowest} to {highest} $")
            }
            Self::Schedule(error) => error.to_string(),
        }
    }
}

impl Parameters {
    /// Checks every rule.
    ///
    /// # Errors
    /// The first of [`Self::broken_rules`].
    pub fn validate(&self) -> Result<(), ParameterError> {
        self.broken_rules().next().map_or(Ok(()), Err)
    }

    /// Every rule that is broken, one for each field at most: the schedule's, then numbers, then amounts of money, each
    /// in order of the fields.
    pub fn broken_rules(&self) -> impl Iterator<Item = ParameterError> {
        // Taken apart in full, so that a new parameter is missed here.
        let Self {
            allocation: _,
            held_providers_max,
            ref schedule,
            solver_fee_ppm,
            min_reward_ppm,
            relax_after_ms,
            relax_over_ms,
            near_best_ppm,
            min_bound_gain_ppm,
            price_share_ppm,
            price_bond,
            min_saving_ppm,
            amender_share_ppm,
            freeze_after_ms,
            period_ms,
            frozen_zone_ms,
            halt_after_ms,
            anchor_window_ms,
            quiet_batch_interval_ms,
            amendment_interval_ms,
            account_min,
            min_budget,
            offer_deposit,
            minute_deposit,
            idle_after_ms,
            notice_ms,
            fee_per_byte,
            demand_lifetime_max_ms,
            commit_reveal,
            limits: size,
        } = *self;
        let CommitReveal { reveal_ms } = commit_reveal.unwrap_or_default();
        let Limits {
            batch_bytes,
            record_bytes,
            records_per_batch,
            compositions_per_batch,
            verification_work,
            market_work,
            market_demands,
            offers_per_operation,
            clock_lead_ms,
        } = size;
        let ranges = [
            ("held_providers_max", held_providers_max.unwrap_or(1).into(), 1, u32::MAX.into()),
            ("solver_fee_ppm", solver_fee_ppm, 0, PPM),
            ("min_reward_ppm", min_reward_ppm, 0, PPM),
            ("relax_after_ms", relax_after_ms, 0, INTERVAL_MS),
            ("relax_over_ms", relax_over_ms, 0, INTERVAL_MS),
            ("near_best_ppm", near_best_ppm, 0, 1_000 * PPM),
            ("min_bound_gain_ppm", min_bound_gain_ppm, 0, PPM),
            ("price_share_ppm", price_share_ppm, 0, PPM),
            ("min_saving_ppm", min_saving_ppm, 0, PPM),
            ("amender_share_ppm", amender_share_ppm, 0, PPM),
            ("freeze_after_ms", freeze_after_ms, 1, INTERVAL_MS),
            ("period_ms", period_ms, 1, INTERVAL_MS),
            ("frozen_zone_ms", frozen_zone_ms, 0, INTERVAL_MS),
            ("halt_after_ms", halt_after_ms, 1, INTERVAL_MS),
            ("anchor_window_ms", anchor_window_ms, 0, INTERVAL_MS),
            ("quiet_batch_interval_ms", quiet_batch_interval_ms, 0, INTERVAL_MS),
            ("amendment_interval_ms", amendment_interval_ms, 0, INTERVAL_MS),
            ("idle_after_ms", idle_after_ms, 0, INTERVAL_MS),
            ("notice_ms", notice_ms, 0, INTERVAL_MS),
            ("demand_lifetime_max_ms", demand_lifetime_max_ms, 1, INTERVAL_MS),
            ("commit_reveal.reveal_ms", reveal_ms, 0, INTERVAL_MS),
            ("limits.batch_bytes", batch_bytes.into(), 1 << 10, 256 << 20),
            ("limits.record_bytes", record_bytes.into(), 256, batch_bytes.into()),
            ("limits.records_per_batch", records_per_batch.into(), 1, 1_000_000),
            ("limits.compositions_per_batch", compositions_per_batch.into(), 1, 1_000_000),
            ("limits.verification_work", verification_work, 1, u64::MAX),
            ("limits.market_work", market_work, 1, u64::MAX),
            ("limits.market_demands", market_demands.into(), 1, limits::DEMANDS as u64),
            ("limits.offers_per_operation", offers_per_operation.into(), 1, limits::PROVIDERS as u64),
            ("limits.clock_lead_ms", clock_lead_ms, 0, INTERVAL_MS),
        ];
        let broken = |(field, got, lowest, highest): (_, u64, u64, u64)| {
            let is_within = (lowest..=highest).contains(&got);
            (!is_within).then_some(ParameterError::Range { field, got, lowest, highest })
        };
        let amounts = [
            ("account_min", account_min, Money::ZERO, DEPOSIT),
            ("min_budget", min_budget, Money::from_micros(1), limits::BUDGET),
            ("offer_deposit", offer_deposit, Money::ZERO, DEPOSIT),
            ("minute_deposit", minute_deposit, Money::ZERO, Money::from_units(1)),
            ("price_bond", price_bond, Money::ZERO, DEPOSIT),
            ("fee_per_byte", fee_per_byte, Money::ZERO, Money::from_units(1)),
        ];
        let out_of_range = |(field, got, lowest, highest): (_, Money, Money, Money)| {
            let is_within = (lowest..=highest).contains(&got);
            (!is_within).then_some(ParameterError::Amount { field, got, lowest, highest })
        };
        let schedule = schedule.validate().err().map(ParameterError::Schedule);
        let numbers = ranges.into_iter().filter_map(broken);
        schedule.into_iter().chain(numbers).chain(amounts.into_iter().filter_map(out_of_range))
    }

    /// The share of its fee, in ppm, that a demand must earn its solver after waiting `age_ms` on chain: the whole floor
    /// up to `relax_after_ms`, then falling linearly to nothing.
    /// By the measure of paper A it never falls, and is above nothing: random compositions stay refused however long demands
    /// have waited.
    pub fn required_ppm(&self, age_ms: u64) -> u64 {
        if let Measure::Paper { .. } = self.schedule.measure {
            return self.min_reward_ppm.max(1);
        }
        let relaxing = age_ms.saturating_sub(self.relax_after_ms);
        let left = self.relax_over_ms.saturating_sub(relaxing);
        if relaxing == 0 {
            return self.min_reward_ppm;
        }
        let scaled = u128::from(self.min_reward_ppm).saturating_mul(u128::from(left));
        let share = scaled.checked_div(u128::from(self.relax_over_ms)).unwrap_or(0);
        u64::try_from(share).unwrap_or(u64::MAX)
    }

    /// Whether a demand of this age is composed by any feasible composition. At `relax_after_ms` the whole floor still
    /// holds, so that it takes another millisecond even where it relaxes over none.
    pub fn is_relaxed(&self, age_ms: u64) -> bool {
        age_ms >= self.relaxed_from_ms()
    }

    /// The age from which on a demand is composed by any feasible composition, in milliseconds.
    pub fn relaxed_from_ms(&self) -> u64 {
        self.relax_after_ms.saturating_add(self.relax_over_ms.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_holds_for_some_time_and_then_falls_for_as_long() {
        let parameters = Parameters::default();
        let required = |age_ms: &[u64]| -> Vec<u64> {
            age_ms.iter().map(|&age_ms| parameters.required_ppm(age_ms)).collect()
        };
        assert_eq!(required(&[0, 2_500, 2_501, 3_750, 4_999]), [100_000, 100_000, 99_960, 50_000, 40]);
        assert_eq!(required(&[5_000, 5_001, u64::MAX]), [0, 0, 0]);
        assert!(!parameters.is_relaxed(4_999));
        assert!(parameters.is_relaxed(5_000));
    }

    #[test]
    fn a_demand_is_relaxed_from_the_age_at_which_nothing_is_required_of_it() {
        for (relax_after_ms, relax_over_ms) in [(4, 12), (4, 1), (4, 0), (0, 3), (0, 0)] {
            let parameters = Parameters { relax_after_ms, relax_over_ms, ..Parameters::default() };
            for age in 0..20 {
                assert_eq!(
                    parameters.is_relaxed(age),
                    parameters.required_ppm(age) == 0,
                    "{parameters:?} {age}"
                );
            }
        }
    }

    #[test]
    fn by_the_measure_of_paper_a_the_floor_never_falls_and_is_never_nothing() {
        let schedule = Schedule::paper();
        let parameters = Parameters { schedule, ..Parameters::default() };
        assert_eq!([0, 5_000, u64::MAX].map(|age_ms| parameters.required_ppm(age_ms)), [100_000; 3]);
        assert_eq!(Parameters { min_reward_ppm: 0, ..parameters }.required_ppm(5_000), 1);
    }

    #[test]
    fn a_floor_that_relaxes_over_no_time_drops_at_once() {
        let parameters = Parameters { relax_over_ms: 0, ..Parameters::default() };
        assert_eq!([parameters.required_ppm(2_500), parameters.required_ppm(2_501)], [100_000, 0]);
    }
}
