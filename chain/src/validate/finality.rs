//! The last step of a block's progress: more than two thirds of the validators precommitted it.

use super::form::WellFormed;
use super::rejection::Rejection;
use super::stateful::ValidBlock;
use crate::block::{Block, BlockHash};
use crate::consensus::{CertificateError, CommitCertificate};
use crate::genesis::Network;
use crate::ledger::{BlockReport, Ledger};
use crate::record::Height;

/// A valid block with the certificate that makes it final, and the ledger it leads to. Made by
/// [`ValidBlock::finalise`] and [`Ledger::validate_final`] alone.
#[derive(Clone, Debug)]
pub struct FinalBlock {
    block: Block,
    certificate: CommitCertificate,
    ledger: Ledger,
    report: BlockReport,
}

/// Why a block is not final.
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
    /// It is for another block.
    #[error("the certificate is for block {got}, expected {expected}")]
    WrongBlock { got: BlockHash, expected: BlockHash },
    /// Its signatures prove nothing.
    #[error("the certificate: {0}")]
    Certificate(#[from] CertificateError),
    /// The block breaks a rule, whoever signed it.
    #[error("the block breaks a rule: {0}")]
    Invalid(#[from] Rejection),
}

/// Checks that `certificate` makes the block of this height and hash final. Cheaper than validating the
/// block: the certificate alone says that two thirds found it valid.
///
/// # Errors
/// The first rule broken.
pub fn verify_certificate(
    network: &Network,
    height: Height,
    block: BlockHash,
    certificate: &CommitCertificate,
) -> Result<(), FinalityError> {
    if certificate.height != height {
        return Err(FinalityError::WrongHeight { got: certificate.height, expected: height });
    }
    if certificate.block != block {
        return Err(FinalityError::WrongBlock { got: certificate.block, expected: block });
    }
    certificate.verify(network.validators(), network.id())?;
    Ok(())
}

impl ValidBlock {
    /// Makes the block final.
    ///
    /// # Errors
    /// If the certificate is not this block's or proves nothing.
    pub fn finalise(self, certificate: CommitCertificate) -> Result<FinalBlock, FinalityError> {
        let head = self.next().head();
        verify_certificate(self.next().network(), head.height, head.hash, &certificate)?;
        Ok(FinalBlock::new(self, certificate))
    }
}

impl Ledger {
    /// Checks a block that somebody calls final against this ledger, its parent's: the votes first, then every
    /// rule but the clock's. What is final was on time.
    ///
    /// # Errors
    /// If the certificate is not this block's or proves nothing, or the first rule that the block breaks.
    pub fn validate_final(
        &self,
        block: Block,
        certificate: CommitCertificate,
    ) -> Result<FinalBlock, FinalityError> {
        verify_certificate(self.network(), block.header.height, block.hash(), &certificate)?;
        let valid = self.validate(WellFormed::new(self.network(), block)?, None)?;
        Ok(FinalBlock::new(valid, certificate))
    }
}

impl FinalBlock {
    /// `certificate` has been verified.
    fn new(valid: ValidBlock, certificate: CommitCertificate) -> Self {
        let (block, ledger, report) = valid.into_parts();
        Self { block, certificate, ledger, report }
    }

    /// The block.
    pub const fn block(&self) -> &Block {
        &self.block
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
    pub const fn report(&self) -> &BlockReport {
        &self.report
    }

    /// Block, votes, ledger after it, report.
    pub fn into_parts(self) -> (Block, CommitCertificate, Ledger, BlockReport) {
        (self.block, self.certificate, self.ledger, self.report)
    }
}
