//! Peer records: a node's signed statement of where it can be reached and whether it mines, and what is wrong with one
//! whoever shows it. Which of them a node keeps, and what it makes of them, is in `known_nodes`.

use std::net::SocketAddr;

use chain::codec::encode;
use chain::{Domain, KeyError, NetworkId, PublicKey, SecretKey, Signature};
use serde::{Deserialize, Serialize};

/// The most addresses a peer record may name.
pub(super) const PEER_ADDRESSES: usize = 8;

/// A node's signed statement of where it can be reached and whether it mines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct PeerRecord {
    pub content: PeerContent,
    /// By `content.node`, in [`Domain::PeerRecord`].
    pub signature: Signature,
}

/// A peer record before it is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct PeerContent {
    /// The network it is meant for.
    pub network: NetworkId,
    pub node: PublicKey,
    /// Where it listens; at most `PEER_ADDRESSES`.
    pub addresses: Vec<SocketAddr>,
    /// Whether it takes a cell of its own when the market is split.
    pub takes_cell: bool,
    /// Milliseconds since the Unix epoch by the author's clock, whatever that shows. It orders the statements of this
    /// author, a later one replacing an earlier one, and is compared with nobody else's clock.
    pub issued_ms: u64,
}

/// Why a peer record is refused. No honest node passes such a record on, so whoever shows it is to blame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum PeerRecordError {
    /// It is meant for another network.
    #[error("the peer record is of network {got}, expected {expected}")]
    WrongNetwork {
        got: NetworkId,
        /// Ours.
        expected: NetworkId,
    },
    /// It names too many addresses.
    #[error("the peer record names {got} addresses, at most {PEER_ADDRESSES} allowed")]
    TooManyAddresses {
        /// Addresses named.
        got: usize,
    },
    /// Its signature does not verify.
    #[error(transparent)]
    Signature(#[from] KeyError),
}

impl PeerContent {
    /// Signs it; `key` must be the node's.
    pub fn sign(self, key: &SecretKey) -> PeerRecord {
        let signature = key.sign(Domain::PeerRecord, &[&encode(&self)]);
        PeerRecord { content: self, signature }
    }
}

impl PeerRecord {
    /// What is checked of every record, before it is known whether it says anything new.
    pub(super) fn validate_form(&self, expected: NetworkId) -> Result<(), PeerRecordError> {
        let got = self.content.network;
        if got != expected {
            return Err(PeerRecordError::WrongNetwork { got, expected });
        }
        let got = self.content.addresses.len();
        if got > PEER_ADDRESSES { Err(PeerRecordError::TooManyAddresses { got }) } else { Ok(()) }
    }

    /// The dear part, for records that are news.
    pub(super) fn verify_signature(&self) -> Result<(), PeerRecordError> {
        let content = encode(&self.content);
        Ok(self.content.node.verify(Domain::PeerRecord, &[&content], &self.signature)?)
    }
}
