//! The last step of a batch's progress: more than two thirds of the validators precommitted it.

use super::form::WellFormed;
use super::rejection::Rejection;
use super::stateful::ValidBatch;
use crate::batch::{Batch, BatchHash};
use crate::consensus::{CertificateError, CommitCertificate};
use crate::genesis::Network;
use crate::ledger::{BatchReport, Ledger};
use crate::record::Height;

/// A valid batch with the certificate that makes it final, and the ledger it leads to. Made by
/// [`ValidBatch::finalise`] and [`Ledger::validate_final`] alone.
#[derive(Clone, Debug)]
pub struct FinalBatch {
    batch: Batch,
    certificate: CommitCertificate,
    ledger: Ledger,
    report: BatchReport,
}

/// Why a batch is not final.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum FinalityError {
    /// It is for another height.
    #[error("the certificate is for height {got}, expected {expected}")]
    WrongHeight {
        /// The certificate's height.
        got: Height,
        expected: Height,
    },
    /// It is for another batch.
    #[error("the certificate is for batch {got}, expected {expected}")]
    WrongBatch { got: BatchHash, expected: BatchHash },
    /// Its signatures prove nothing.
    #[error("the certificate: {0}")]
    Certificate(#[from] CertificateError),
    /// The batch breaks a rule, whoever signed it.
    #[error("the batch breaks a rule: {0}")]
    Invalid(#[from] Rejection),
}

/// Checks that `certificate` makes the batch of this height and hash final. Cheaper than validating the
/// batch: the certificate alone says that two thirds found it valid.
///
/// # Errors
/// The first rule broken.
pub fn verify_certificate(
    network: &Network,
    height: Height,
    batch: BatchHash,
    certificate: &CommitCertificate,
) -> Result<(), FinalityError> {
    if certificate.height != height {
        return Err(FinalityError::WrongHeight { got: certificate.height, expected: height });
    }
    if certificate.batch != batch {
        return Err(FinalityError::WrongBatch { got: certificate.batch, expected: batch });
    }
    certificate.verify(network.validators(), network.id())?;
    Ok(())
}

impl ValidBatch {
    /// Makes the batch final.
    ///
    /// # Errors
    /// If the certificate is not this batch's or proves nothing.
    pub fn finalise(self, certificate: CommitCertificate) -> Result<FinalBatch, FinalityError> {
        let head = self.next().head();
        verify_certificate(self.next().network(), head.height, head.hash, &certificate)?;
        Ok(FinalBatch::new(self, certificate))
    }
}

impl Ledger {
    /// Checks a batch that somebody calls final against this ledger, its parent's: the votes first, then every
    /// rule but the clock's. What is final was on time.
    ///
    /// # Errors
    /// If the certificate is not this batch's or proves nothing, or the first rule that the batch breaks.
    pub fn validate_final(
        &self,
        batch: Batch,
        certificate: CommitCertificate,
    ) -> Result<FinalBatch, FinalityError> {
        verify_certificate(self.network(), batch.header.height, batch.hash(), &certificate)?;
        let valid = self.validate(WellFormed::new(self.network(), batch)?, None)?;
        Ok(FinalBatch::new(valid, certificate))
    }
}

impl FinalBatch {
    /// `certificate` has been verified.
    fn new(valid: ValidBatch, certificate: CommitCertificate) -> Self {
        let (batch, ledger, report) = valid.into_parts();
        Self { batch, certificate, ledger, report }
    }

    /// The batch.
    pub const fn batch(&self) -> &Batch {
        &self.batch
    }

    /// Its votes.
    pub const fn certificate(&self) -> &CommitCertificate {
        &self.certificate
    }

    /// The ledger after it.
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What it brought and earned.
    pub const fn report(&self) -> &BatchReport {
        &self.report
    }

    /// Batch, votes, ledger after it, report.
    pub fn into_parts(self) -> (Batch, CommitCertificate, Ledger, BatchReport) {
        (self.batch, self.certificate, self.ledger, self.report)
    }
}
