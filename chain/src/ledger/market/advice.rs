//! What a refusal tells people beside its rule and numbers: the names of what it is about, and what would be accepted instead.

use std::fmt::Write as _;

use scenarios::{ProviderId, Slot};

use super::MarketError;
use crate::ledger::Ledger;
use crate::ledger::state::State;
use crate::record::DemandId;
use crate::validate::Rejection;

/// How many providers are named.
const NAMED: usize = 4;

impl MarketError {
    /// The demand it is about, if it is about one.
    pub const fn demand(&self) -> Option<DemandId> {
        match self {
            Self::DuplicateComposition { demand }
            | Self::UnknownDemand { demand }
            | Self::DemandExpired { demand, .. }
            | Self::DemandFrozen { demand, .. }
            | Self::AlreadyComposed { demand, .. }
            | Self::OrderCount { demand, .. }
            | Self::UnknownProvider { demand, .. }
            | Self::NotOffered { demand, .. }
            | Self::OfferWithdrawn { demand, .. }
            | Self::OutsideWindow { demand, .. }
            | Self::PeriodsDecrease { demand, .. }
            | Self::PeriodTooShort { demand, .. }
            | Self::NoDistance { demand, .. }
            | Self::OverBudget { demand, .. }
            | Self::OverCapacity { demand, .. }
            | Self::ProviderHeld { demand, .. }
            | Self::TooManyProvidersHeld { demand, .. }
            | Self::StaleAmendment { demand, .. }
            | Self::WrongCost { demand, .. }
            | Self::WrongMinutes { demand, .. }
            | Self::NotNearBest { demand, .. }
            | Self::NothingToCompare { demand, .. }
            | Self::DearerPart { demand, .. }
            | Self::RoomNotNeeded { demand, .. }
            | Self::RewardBelowThreshold { demand, .. }
            | Self::NoReference { demand }
            | Self::OtherArea { demand, .. }
            | Self::ProviderOutside { demand, .. } => Some(*demand),
            Self::TooMuchWork { .. }
            | Self::AmendmentsOff
            | Self::NothingReplaced { .. }
            | Self::NothingChanged { .. }
            | Self::SavingTooSmall { .. }
            | Self::RoomNotPaid { .. }
            | Self::OnePriceUpdate
            | Self::StalePrices { .. }
            | Self::PriceBond { .. }
            | Self::FalseGain { .. }
            | Self::Price(_)
            | Self::BoundNotRaised { .. }
            | Self::AboveReference { .. }
            | Self::Internal(_) => None,
        }
    }

    /// The providers it names.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most name none")]
    fn providers(&self) -> Vec<ProviderId> {
        match self {
            Self::UnknownProvider { got: provider, .. }
            | Self::NotOffered { got: provider, .. }
            | Self::OfferWithdrawn { got: provider, .. }
            | Self::OverCapacity { slot: Slot { provider, .. }, .. }
            | Self::ProviderHeld { provider, .. }
            | Self::ProviderOutside { got: provider, .. } => vec![*provider],
            Self::NotNearBest { best, .. } => best.iter().map(|slot| slot.provider).collect(),
            _ => Vec::new(),
        }
    }

    /// What its miner can do about it; `None` where the rule and its numbers say it already, or nothing can be done.
    #[expect(clippy::wildcard_enum_match_arm, reason = "of most there is nothing to say")]
    pub const fn remedy(&self) -> Option<&'static str> {
        Some(match self {
            Self::NotNearBest { .. } => "compose it that way",
            Self::NothingToCompare { .. } => "send it again when the demand has waited that long",
            Self::RewardBelowThreshold { .. } => {
                "compose it for less, wait until less is required of it, or update prices if they are old"
            }
            Self::OverCapacity { .. } => {
                "use another provider, or re-compose what takes its minutes in one amendment with this"
            }
            Self::OutsideWindow { .. } | Self::PeriodsDecrease { .. } | Self::PeriodTooShort { .. } => {
                "search again on the periods that can be planned with the newest batch"
            }
            Self::OverBudget { .. } => "find a cheaper way, or leave it until offers are cheaper",
            Self::OfferWithdrawn { .. } | Self::NotOffered { .. } | Self::UnknownProvider { .. } => {
                "search again on the offers of the newest batch"
            }
            Self::AlreadyComposed { .. } => "amend it if you find a better way",
            Self::StaleAmendment { .. } => {
                "amend the version that stands, or compose the demand if it is open"
            }
            Self::SavingTooSmall { .. } => "save more, or put it together with other improvements",
            Self::RoomNotNeeded { .. } => "compose that demand by itself",
            Self::RoomNotPaid { .. } => "make room for less, or for demands with larger budgets",
            Self::DearerPart { .. } => "leave that part as it stands",
            Self::TooMuchWork { .. } => "send fewer compositions in one block",
            Self::ProviderHeld { .. } | Self::TooManyProvidersHeld { .. } => {
                "use providers that are free or your own until those compositions freeze"
            }
            Self::StalePrices { .. } | Self::OnePriceUpdate => "search prices again from those in force",
            Self::BoundNotRaised { .. } | Self::FalseGain { .. } => {
                "claim less than the update raises the bound by on this market"
            }
            Self::PriceBond { .. } => "have money transferred to the miner's address",
            Self::OtherArea { .. } | Self::ProviderOutside { .. } => {
                "compose each strip in a block of its own, from its own providers"
            }
            Self::AboveReference { .. } => "search for longer, or for more demands together",
            _ => return None,
        })
    }
}

impl Ledger {
    /// Why a batch, or something in it, is refused: the rule, got and expected, the names of what it is about, and what would be
    /// accepted instead.
    pub fn explain(&self, why: &Rejection) -> String {
        self.state.explain_rejection(why)
    }
}

impl State {
    pub(in crate::ledger) fn explain_rejection(&self, why: &Rejection) -> String {
        if let Rejection::Market(error) = why { self.explain(error) } else { why.to_string() }
    }

    /// A refusal with the names of what it is about and what can be done about it.
    fn explain(&self, error: &MarketError) -> String {
        let mut text = error.to_string();
        let demand = error.demand().and_then(|id| self.demands.get(id));
        let mut named: Vec<ProviderId> = Vec::new();
        for id in error.providers() {
            if !named.contains(&id) && named.len() < NAMED {
                named.push(id);
            }
        }
        // Names are strangers' words, and may hold anything: quoted, they move no cursor and end no line of a log.
        let provider = |id: &ProviderId| {
            let provider = self.providers.supply().provider(*id)?;
            Some(format!("{id} is {:?}", provider.name))
        };
        let demand = demand.map(|entry| format!("the demand is {:?}", entry.demand.name));
        let people: Vec<String> = demand.into_iter().chain(named.iter().filter_map(provider)).collect();
        // Writing to a string does not fail.
        if !people.is_empty() {
            let _ = write!(text, " ({})", people.join(", "));
        }
        if let Some(remedy) = error.remedy() {
            let _ = write!(text, "; {remedy}");
        }
        text
    }
}
