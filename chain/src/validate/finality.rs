//! The last step of a block's progress: two thirds of the validators precommitted it.

use super::stateful::ValidBlock;
use crate::block::{Block, BlockHash};
use crate::consensus::{CertificateError, CommitCertificate};
use crate::genesis::Network;
use crate::ledger::{BlockReport, Ledger};
use crate::record::Height;

/// A valid block with the certificate that makes it final, and the ledger it leads to.
#[derive(Clone, Debug)]
pub struct FinalBlock {
    /// The block.
    pub block: Block,
    /// Its votes.
    pub certificate: CommitCertificate,
    /// The ledger after it.
    pub ledger: Ledger,
    /// What it brought and earned.
    pub report: BlockReport,
}

/// Why a certificate does not make a block final.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FinalityError {
    /// It is for another height.
    #[error("the certificate is for height {got}, expected {expected}")]
    WrongHeight {
        /// The certificate's height.
        got: Height,
        /// The block's.
        expected: Height,
    },
    /// It is for another block.
    #[error("the certificate is for block {got}, expected {expected}")]
    WrongBlock {
        /// The certificate's block.
        got: BlockHash,
        /// The block.
        expected: BlockHash,
    },
    /// Its signatures prove nothing.
    #[error("the certificate: {0}")]
    Certificate(#[from] CertificateError),
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
        let (block, ledger, report) = self.into_parts();
        Ok(FinalBlock { block, certificate, ledger, report })
    }
}
