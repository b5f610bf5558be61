//! Validation: a batch's progress is a type.
//!
//! [`Batch`] (as received) -> [`Authentic`] (what its header names) -> [`WellFormed`] (right by itself) ->
//! [`ValidBatch`] (right after its parent) -> [`DecidedBatch`] (voted final) -> [`FinalBatch`] (executed, with the ledger
//! it leads to). One
//! function and one error variant per rule, cheapest first, signatures before anything expensive. An `Err` leaves
//! everything unchanged.

mod assembly;
pub mod draft;
mod effect;
mod fault;
mod finality;
mod foresight;
mod form;
pub mod record;
pub mod rejection;
mod stateful;

pub use crate::batch::Batch;
pub use assembly::{Assembled, Assembly};
pub use draft::{Admissible, AdmissibleAmendments, Draft, Drafted, Early, Serving};
pub use fault::Fault;
pub use finality::{DecidedBatch, FinalBatch, FinalityError, verify_certificate};
pub use form::{Authentic, WellFormed, WellFormedBlock, verify_commitment};
pub use record::{OfferError, RecordError, check_record};
pub use rejection::{BlockError, Rejection};
pub use stateful::{ExecutedBatch, ValidBatch};
