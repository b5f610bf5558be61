//! Answers: pure functions of a snapshot, and of the history where the ledger no longer knows.
//!
//! Each file has one answer's type and the function that makes it. Answers are facts at the snapshot's head and in
//! its pool; what history knows of later batches is not told before the snapshot has come to them.

mod account;
mod demand;
mod market;
mod market_status;
mod record;
mod unserved;

pub use account::{AccountReport, AnnouncedOffer, OfferReport, OfferedOperation, PendingRecord, account};
pub use demand::{
    CompositionReport, DemandReport, DemandStanding, OrderReport, WantedReport, demand, demands, explain,
};
pub use market::{CalendarFacts, MarketFacts, market_facts};
pub use market_status::{Earnings, MarketStatus, ScarceProvider};
pub use record::{RecordStanding, Refusal, record, records};
pub use unserved::{UnservedDemand, unserved, why_unserved};

use chain::ledger::RecordOutlook;
use chain::{Ledger, Record};
use scenarios::OperationId;

/// Why the next batch cannot bring a record of the pool, if so.
fn waits_for(ledger: &Ledger, record: &Record) -> Option<String> {
    match ledger.check_record_now(record) {
        RecordOutlook::Now => None,
        RecordOutlook::Later(error) | RecordOutlook::Never(error) => Some(error.to_string()),
    }
}

/// For people; its number where the genesis gives it no name.
fn operation_name(ledger: &Ledger, operation: OperationId) -> String {
    let names = &ledger.network().genesis().operations;
    names.get(operation.index()).cloned().unwrap_or_else(|| operation.to_string())
}
