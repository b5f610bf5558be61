//! What can go wrong between a client and its node.

use std::path::PathBuf;

use crate::control::ControlError;

/// Why a node could not be asked, or nothing could be submitted to it.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum ClientError {
    /// Nothing that is named belongs to a node.
    #[error(
        "{path} is no node: name its configuration file, the directory that holds its node.toml, or its data directory"
    )]
    NoNode { path: PathBuf },
    /// The node's configuration cannot be read.
    #[error("{0}")]
    Configuration(String),
    /// The control socket.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The pool holds as many records of this author as it may, and none left in time.
    #[error(
        "the node's pool holds {got} records of this key, at most {expected} are allowed: wait until some are on chain"
    )]
    PoolFull {
        /// The author's records in the pool.
        got: usize,
        expected: usize,
    },
}
