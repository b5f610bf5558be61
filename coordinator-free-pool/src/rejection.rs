//! Why a record does not enter the pool, or leaves it.

use std::fmt;

use chain::validate::RecordError;
use chain::{Address, Fault, RecordId, RecordRule};
use serde::{Deserialize, Serialize};

/// The rule that keeps a record out of the pool or takes it out of there. Serialised as its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Rule {
    /// Of records, whoever holds them.
    Record(RecordRule),
    /// Of pools.
    Pool(PoolRule),
}

/// A rule of pools alone. Serialised as its name, which does not change while the rule exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PoolRule {
    /// A record is held once.
    #[serde(rename = "pool-duplicate")]
    Duplicate,
    /// A record's number is near its author's next.
    #[serde(rename = "pool-sequence-gap")]
    SequenceGap,
    /// Of two records with one number the smaller id is held: this one came later.
    #[serde(rename = "pool-sequence-taken")]
    SequenceTaken,
    /// An author has only so many records here.
    #[serde(rename = "pool-author-quota")]
    AuthorQuota,
    /// An author has only so many records here that no batch could bring now.
    #[serde(rename = "pool-waiting-quota")]
    WaitingQuota,
    /// What no batch could bring now has only so many bytes here.
    #[serde(rename = "pool-waiting-max")]
    WaitingMax,
    /// The pool has only so many records.
    #[serde(rename = "pool-records-max")]
    RecordsMax,
    /// The pool has only so many bytes.
    #[serde(rename = "pool-bytes-max")]
    BytesMax,
    /// Of two records with one number the smaller id is held: this one was here first.
    #[serde(rename = "pool-replaced")]
    Replaced,
    /// Of a full room, whoever holds most gives way.
    #[serde(rename = "pool-gave-way")]
    GaveWay,
}

impl Rule {
    /// Its name: `pool-duplicate`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Record(rule) => rule.name(),
            Self::Pool(PoolRule::Duplicate) => "pool-duplicate",
            Self::Pool(PoolRule::SequenceGap) => "pool-sequence-gap",
            Self::Pool(PoolRule::SequenceTaken) => "pool-sequence-taken",
            Self::Pool(PoolRule::AuthorQuota) => "pool-author-quota",
            Self::Pool(PoolRule::WaitingQuota) => "pool-waiting-quota",
            Self::Pool(PoolRule::WaitingMax) => "pool-waiting-max",
            Self::Pool(PoolRule::RecordsMax) => "pool-records-max",
            Self::Pool(PoolRule::BytesMax) => "pool-bytes-max",
            Self::Pool(PoolRule::Replaced) => "pool-replaced",
            Self::Pool(PoolRule::GaveWay) => "pool-gave-way",
        }
    }

    /// Whether the author's number went to another record of the same author: signed with the next free one,
    /// the statement may be handed in again.
    pub const fn is_number_taken(self) -> bool {
        matches!(self, Self::Pool(PoolRule::SequenceTaken) | Self::Record(RecordRule::Replayed))
    }

    /// Whether what is missing is the author's money.
    pub const fn is_about_money(self) -> bool {
        matches!(self, Self::Record(rule) if rule.is_about_money())
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a record is refused; the pool is unchanged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum PoolRejection {
    /// It is in the pool.
    #[error("record {0:?} is in the pool already")]
    Duplicate(RecordId),
    /// It is wrong by itself, or no batch can bring it as the chain stands.
    #[error("{0}")]
    Record(#[from] RecordError),
    /// It leaves too wide a gap behind its author's records on chain.
    #[error("sequence {got} of {}, expected at most {expected} for now", .author.short())]
    GapTooWide {
        author: Address,
        got: u64,
        /// The largest accepted now.
        expected: u64,
    },
    /// Another record with its author and sequence number is in the pool, and has the smaller id.
    #[error("sequence {sequence} of {} is taken by record {kept:?}, which has the smaller id", .author.short())]
    SequenceTaken {
        author: Address,
        sequence: u64,
        /// The record that stays.
        kept: RecordId,
    },
    /// Its author has as many records here as one may.
    #[error("{} has {got} records in the pool, expected fewer than {expected} for another", .author.short())]
    AuthorQuota { author: Address, got: usize, expected: usize },
    /// Its author has as many records here that no batch could bring now as one may.
    #[error(
        "{} has {got} records in the pool that no batch could bring now, expected fewer than {expected} for another",
        .author.short()
    )]
    WaitingQuota { author: Address, got: usize, expected: usize },
    /// No batch could bring it now, and there is no room for more of that kind, nor anybody who holds more of it.
    #[error("what no batch could bring now would take {got} bytes of the pool, expected at most {expected}")]
    TooMuchWaiting {
        /// Bytes with this record.
        got: usize,
        expected: usize,
    },
    /// The pool holds as many records as it may.
    #[error("the pool has {got} records, expected fewer than {expected} for another")]
    TooManyRecords { got: usize, expected: usize },
    /// The pool holds as many bytes as it may.
    #[error("the pool would have {got} bytes, expected at most {expected}")]
    TooManyBytes {
        /// Bytes with this record.
        got: usize,
        expected: usize,
    },
}

impl PoolRejection {
    /// Whose fault it is. Quotas and sizes are this node's own limits; another may have room.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Record(error) => error.fault(),
            Self::Duplicate(_) | Self::GapTooWide { .. } | Self::SequenceTaken { .. } => Fault::Transient,
            Self::AuthorQuota { .. }
            | Self::WaitingQuota { .. }
            | Self::TooMuchWaiting { .. }
            | Self::TooManyRecords { .. }
            | Self::TooManyBytes { .. } => Fault::Local,
        }
    }

    /// The rule that keeps it out.
    pub const fn rule(&self) -> Rule {
        Rule::Pool(match self {
            Self::Record(error) => return Rule::Record(error.rule()),
            Self::Duplicate(_) => PoolRule::Duplicate,
            Self::GapTooWide { .. } => PoolRule::SequenceGap,
            Self::SequenceTaken { .. } => PoolRule::SequenceTaken,
            Self::AuthorQuota { .. } => PoolRule::AuthorQuota,
            Self::WaitingQuota { .. } => PoolRule::WaitingQuota,
            Self::TooMuchWaiting { .. } => PoolRule::WaitingMax,
            Self::TooManyRecords { .. } => PoolRule::RecordsMax,
            Self::TooManyBytes { .. } => PoolRule::BytesMax,
        })
    }
}

/// Why a record left the pool without coming on chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DropReason {
    /// No batch can bring it any more.
    #[error("{0}")]
    Record(#[from] RecordError),
    /// A record of the same author and sequence number with a smaller id took its place.
    #[error("replaced by record {0:?} of the same sequence number, which has the smaller id")]
    Replaced(RecordId),
    /// The pool, or its room for what no batch could bring now, was full.
    #[error("gave way to others: the pool has no room for it, and no author held more of it")]
    GaveWay,
}

impl DropReason {
    /// The rule that takes it out.
    pub const fn rule(&self) -> Rule {
        match self {
            Self::Record(error) => Rule::Record(error.rule()),
            Self::Replaced(_) => Rule::Pool(PoolRule::Replaced),
            Self::GaveWay => Rule::Pool(PoolRule::GaveWay),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_of_pools_is_serialised_as_its_name() {
        let rules = [
            PoolRule::Duplicate,
            PoolRule::SequenceGap,
            PoolRule::SequenceTaken,
            PoolRule::AuthorQuota,
            PoolRule::WaitingQuota,
            PoolRule::WaitingMax,
            PoolRule::RecordsMax,
            PoolRule::BytesMax,
            PoolRule::Replaced,
            PoolRule::GaveWay,
        ];
        let rules = rules.map(Rule::Pool).into_iter().chain([Rule::Record(RecordRule::Overdraft)]);
        for rule in rules {
            let json = serde_json::to_value(rule).unwrap();
            assert_eq!(json, rule.name());
            assert_eq!(serde_json::from_value::<Rule>(json).unwrap(), rule);
        }
    }
}
