//! What can go wrong on the control socket, and what to do about it.

use std::io;
use std::path::PathBuf;

use miner_api::RequestError;

use crate::control::CONTROL_VERSION;

/// Why a control socket could not be opened, or a request got no response.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum ControlError {
    /// Nobody listens.
    #[error(
        "no node is running here ({path} does not answer): start it with `miner run`, or name the data directory of one that runs"
    )]
    NotRunning { path: PathBuf },
    /// Another node uses this data directory.
    #[error(
        "a node is already running here ({path} is in use): stop it, or give this one a data directory of its own"
    )]
    AlreadyRunning { path: PathBuf },
    /// Something else has the socket's name; it is left alone.
    #[error("{path} is in the way: it is no socket; move it elsewhere")]
    NotASocket { path: PathBuf },
    /// The socket is somebody else's.
    #[error("{path} may not be used: only the user who runs the node may control it")]
    NotPermitted { path: PathBuf },
    /// The system cannot name the socket.
    #[error(
        "{path} is too long for a socket ({got} bytes, at most {limit}): choose a shorter data directory"
    )]
    PathTooLong {
        path: PathBuf,
        /// Its bytes.
        got: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The file system or the socket fails.
    #[error("cannot {action} {path}: {source}")]
    Io {
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A request or response is longer than allowed.
    #[error("the {what} has more than the {limit} bytes allowed")]
    TooLong {
        what: &'static str,
        /// Bytes allowed.
        limit: usize,
    },
    /// A response makes no sense, or a request cannot be written as JSON.
    #[error("the {what} is malformed: {message}")]
    Malformed {
        what: &'static str,
        /// What JSON says.
        message: String,
    },
    /// The node is of another version.
    #[error(
        "the node speaks control version {theirs}, this program {CONTROL_VERSION}: use the program the node was started from"
    )]
    OtherVersion { theirs: u32 },
    /// The node does not accept the request.
    #[error("the node refuses the request: {0}")]
    Refused(#[source] RequestError),
    /// The node closed the connection first.
    #[error("the node went away without an answer: it may be shutting down")]
    NoAnswer,
}
