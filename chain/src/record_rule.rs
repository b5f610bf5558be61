//! The rules of records by name: what programs that hand records in act on, and what logs and tables show.
//! Which error breaks which rule is told by [`RecordError::rule`](crate::RecordError::rule).

use std::fmt;

use serde::{Deserialize, Serialize};

/// Rules and their names; each name is written once, and is what the rule is serialised as.
macro_rules! named_rules {
    ($($(#[$about:meta])* $rule:ident = $name:literal,)*) => {
        /// A rule of records. Serialised as its name, which does not change while the rule exists.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum RecordRule {
            $($(#[$about])* #[serde(rename = $name)] $rule,)*
        }

        impl RecordRule {
            /// Its name: `record-expired`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$rule => $name,)*
                }
            }
        }
    };
}

named_rules! {
    /// It fits the bytes a record may have.
    Size = "record-size",
    /// It is meant for this network.
    Network = "record-network",
    /// Its author's signature holds.
    Signature = "record-signature",
    /// Its author's key can prove something.
    Key = "record-key",
    /// An offer's terms are within the market's.
    Offer = "record-offer",
    /// A demand's name is short enough.
    DemandName = "demand-name",
    /// A demand's site is one of the market's.
    DemandSite = "demand-site",
    /// A demand has orders, and not too many.
    DemandOrders = "demand-orders",
    /// A demand orders operations of the market.
    DemandOperation = "demand-operation",
    /// A demand's budget is within range.
    DemandBudget = "demand-budget",
    /// A demand's solver fee is within range.
    DemandFee = "demand-fee",
    /// A demand expires after the batch that brings it.
    DemandExpired = "demand-expired",
    /// A demand may be served in periods that there are, and that can still be planned.
    DemandWindow = "demand-window",
    /// A demand expires soon enough after the batch that brings it.
    DemandLifetime = "demand-lifetime",
    /// A transfer gives something.
    TransferAmount = "transfer-amount",
    /// The batch that brings it comes in time.
    Expired = "record-expired",
    /// Its sequence number is not used.
    Replayed = "record-replayed",
    /// Its sequence number follows its author's last.
    SequenceGap = "record-sequence-gap",
    /// Its author has what an account must have.
    AccountMin = "account-min",
    /// Its author can pay for its bytes.
    Fee = "fee",
    /// A demander can pay budget and fee.
    InsufficientEscrow = "insufficient-escrow",
    /// A provider can lock the deposit of its offer.
    InsufficientDeposit = "insufficient-deposit",
    /// Where minutes are locked for, an offer says how many it has.
    UnlimitedCapacity = "unlimited-capacity",
    /// There is room for another offer of an operation.
    OffersMax = "offers-max",
    /// There is time to check another demand.
    MarketWork = "market-work",
    /// A giver has what is given.
    Overdraft = "overdraft",
    /// A transfer leaves its recipient with what an account must have.
    RecipientMin = "transfer-recipient-min",
    /// A cancelled demand is on chain.
    CancellationUnknownDemand = "cancellation-unknown-demand",
    /// A demand is cancelled by its author.
    CancellationAuthor = "cancellation-author",
    /// A demand is cancelled while it is open.
    CancellationTooLate = "cancellation-too-late",
    /// Only what is offered is withdrawn.
    WithdrawalWithoutOffer = "withdrawal-without-offer",
    /// The market has room for another provider.
    ProvidersMax = "providers-max",
    /// The market has room for another demand.
    MarketDemandsMax = "market-demands-max",
}

impl RecordRule {
    /// Whether what is missing is the author's money.
    pub const fn is_about_money(self) -> bool {
        matches!(
            self,
            Self::AccountMin
                | Self::Fee
                | Self::InsufficientEscrow
                | Self::InsufficientDeposit
                | Self::Overdraft
        )
    }
}

impl fmt::Display for RecordRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_serialised_as_its_name() {
        let json = serde_json::to_string(&RecordRule::Replayed).unwrap();
        assert_eq!(json, "\"record-replayed\"");
        assert_eq!(serde_json::from_str::<RecordRule>(&json).unwrap(), RecordRule::Replayed);
    }
}
