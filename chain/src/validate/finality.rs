//! The last step of a batch's progress: more than two thirds of the validators precommitted it.

use super::form::WellFormed;
use super::rejection::Rejection;
use super::stateful::{ExecutedBatch, ValidBatch};
use crate::batch::{Batch, BatchHash};
use crate::consensus::{CertificateError, CommitCertificate};
use crate::genesis::Network;
use crate::ledger::{BatchReport, Defect, Ledger};
use crate::record::Height;

/// A valid batch with the certificate that makes it final; what it does is not known yet. Made by [`ValidBatch::decide`] and
/// [`Ledger::validate_decided`] alone.
#[derive(Clone, Debug)]
pub struct DecidedBatch {
    valid: ValidBatch,
    certificate: CommitCertificate,
}

/// The same, executed: with the ledger it leads to. Made by [`DecidedBatch::execute`] alone.
#[derive(Clone, Debug)]
pub struct FinalBatch {
    executed: ExecutedBatch,
    certificate: CommitCertificate,
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
    /// What it does cannot be found out.
    #[error(
        "the batch cannot be executed: {0}; this program is at fault, please report it: the store is sound, leave it as it is"
    )]
    Defect(#[from] Defect),
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
    pub fn decide(self, certificate: CommitCertificate) -> Result<DecidedBatch, FinalityError> {
        let batch = self.batch();
        verify_certificate(self.parent().network(), batch.header.height, batch.hash(), &certificate)?;
        Ok(DecidedBatch { valid: self, certificate })
    }
}

impl Ledger {
    /// Checks a batch that somebody calls final against this ledger, its parent's: the votes first, then every
    /// rule but the clock's. What is final was on time.
    ///
    /// # Errors
    /// If the certificate is not this batch's or proves nothing, or the first rule that the batch breaks.
    pub fn validate_decided(
        &self,
        batch: Batch,
        certificate: CommitCertificate,
    ) -> Result<DecidedBatch, FinalityError> {
        verify_certificate(self.network(), batch.header.height, batch.hash(), &certificate)?;
        let valid = self.validate(WellFormed::new(self.network(), batch)?)?;
        Ok(DecidedBatch { valid, certificate })
    }
}

/// Names and votes tell them apart.
impl PartialEq for DecidedBatch {
    fn eq(&self, other: &Self) -> bool {
        self.batch() == other.batch() && self.certificate == other.certificate
    }
}

/// What a batch does follows from it.
impl PartialEq for FinalBatch {
    fn eq(&self, other: &Self) -> bool {
        self.batch() == other.batch() && self.certificate == other.certificate
    }
}

impl DecidedBatch {
    /// The batch.
    pub const fn batch(&self) -> &Batch {
        self.valid.batch()
    }

    /// Its votes.
    pub const fn certificate(&self) -> &CommitCertificate {
        &self.certificate
    }

    /// Whether blocks take effect with it: see [`ValidBatch::composes`].
    pub fn composes(&self) -> bool {
        self.valid.composes()
    }

    /// Finds out what it does.
    ///
    /// # Errors
    /// If the state contradicts itself: a mistake of this program.
    pub fn execute(self) -> Result<FinalBatch, Defect> {
        Ok(FinalBatch { executed: self.valid.execute()?, certificate: self.certificate })
    }
}

impl FinalBatch {
    /// The batch.
    pub const fn batch(&self) -> &Batch {
        self.executed.batch()
    }

    /// Its votes.
    pub const fn certificate(&self) -> &CommitCertificate {
        &self.certificate
    }

    /// The ledger after it.
    pub const fn ledger(&self) -> &Ledger {
        self.executed.next()
    }

    /// What it brought and earned.
    pub const fn report(&self) -> &BatchReport {
        self.executed.report()
    }

    /// Batch, votes, ledger after it, report.
    pub fn into_parts(self) -> (Batch, CommitCertificate, Ledger, BatchReport) {
        let (batch, ledger, report) = self.executed.into_parts();
        (batch, self.certificate, ledger, report)
    }
}
