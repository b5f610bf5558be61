//! What can only go wrong if this program is wrong.

/// A sum that left its range although every part was within its own, or a part of the state that is not where it must
/// be: a mistake in this program, never a peer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// The height is the last there is.
    #[error("internal: the height left its range")]
    Height,
    /// Somebody's balance.
    #[error("internal: a balance left its range")]
    Balance,
    /// An author's next sequence number.
    #[error("internal: a sequence number left its range")]
    Sequence,
    /// The carrier account, or what was burned.
    #[error("internal: an account of the market left its range")]
    MarketAccount,
    /// A demand's escrow.
    #[error("internal: an escrow left its range")]
    Escrow,
    /// A provider's deposit.
    #[error("internal: a deposit left its range")]
    Deposit,
    /// What is left of a budget.
    #[error("internal: a budget left its range")]
    Budget,
    /// A clearing account does not cover what is owed.
    #[error("internal: a clearing account left its range")]
    Clearing,
    /// How a demand's money is divided at the freeze.
    #[error("internal: a settlement left its range")]
    Settlement,
    /// No provider has this number.
    #[error("internal: a provider id left its range")]
    ProviderId,
    /// A cohort that was found a moment ago is not in the state.
    #[error("internal: a cohort is not where it was found")]
    Cohort,
    /// A batch that was found valid is not.
    #[error("internal: a batch that was valid cannot be executed")]
    Validity,
    /// Minutes taken from a provider.
    #[error("internal: a provider's minutes left their range")]
    Minutes,
    /// A demand that was found a moment ago is not in the market.
    #[error("internal: a demand is missing from the market")]
    Demand,
    /// The evaluator contradicts itself.
    #[error("internal: an evaluation left its range")]
    Evaluation,
    /// What is staged of a batch.
    #[error("internal: a batch's totals left their range")]
    Totals,
    /// The costs of an amendment.
    #[error("internal: an amendment's costs left their range")]
    Amendment,
    /// The reduced cost of a batch.
    #[error("internal: the reduced cost left its range")]
    ReducedCost,
    /// What a batch earns.
    #[error("internal: the reward left its range")]
    Reward,
}

impl Defect {
    /// The name of the rule that every refusal by a mistake of this program carries.
    pub const RULE: &'static str = "internal";
}
