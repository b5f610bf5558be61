//! What can go wrong with binding, dialling and sending, and what to do about it.

use std::io;
use std::net::SocketAddr;

use chain::PublicKey;

use crate::transport::PROTOCOL_VERSION;
use crate::transport::identity::IdentityError;

/// Why a transport could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// Somebody else has the port.
    #[error(
        "{address} is already in use: stop the program that listens there or choose another port (0 picks a free one)"
    )]
    AddressInUse {
        /// The address asked for.
        address: SocketAddr,
    },
    /// The address is not one of this machine's.
    #[error("{address} is not an address of this machine: listen on 0.0.0.0, [::] or one of its own")]
    AddressNotLocal {
        /// The address asked for.
        address: SocketAddr,
    },
    /// The system forbids it.
    #[error("listening on {address} is not permitted: choose a port of 1024 or above")]
    NotPermitted {
        /// The address asked for.
        address: SocketAddr,
    },
    /// The socket fails in some other way.
    #[error("cannot listen on {address}: {source}")]
    Socket {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The limits contradict each other.
    #[error("inconsistent transport limits: {0}")]
    Limits(&'static str),
    /// rustls refuses the configuration or the key.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// The cryptography provider lacks the cipher that QUIC starts with.
    #[error("TLS cannot be set up: no cipher suite for QUIC's first packets")]
    NoInitialCipher,
    /// The system gives no randomness.
    #[error("the operating system gives no randomness: {0}")]
    Randomness(String),
    /// Called outside a tokio runtime.
    #[error("the transport needs a tokio runtime")]
    NoRuntime,
}

impl TransportError {
    /// From what the system said when asked to listen.
    pub(super) fn from_bind(address: SocketAddr, source: io::Error) -> Self {
        let kind = source.kind();
        if kind == io::ErrorKind::AddrInUse {
            Self::AddressInUse { address }
        } else if kind == io::ErrorKind::AddrNotAvailable {
            Self::AddressNotLocal { address }
        } else if kind == io::ErrorKind::PermissionDenied {
            Self::NotPermitted { address }
        } else {
            Self::Socket { address, source }
        }
    }
}

/// Why a dial led to no new connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum DialError {
    /// The address or the key is this node's own, or somebody runs a copy of this node's key.
    #[error(
        "this is the node's own key: it does not connect to itself (if this is another machine, give each node its own key)"
    )]
    Myself,
    /// There is a connection with this peer already; it stays.
    #[error("already connected with {peer:?}")]
    AlreadyConnected { peer: PublicKey },
    /// As many connections are open or being opened as the limits allow.
    #[error("{limit} outgoing connections are open or being opened, which is the limit")]
    TooManyConnections { limit: usize },
    /// As many connections with nodes on this host are open or being opened as the limits allow.
    #[error(
        "{limit} outgoing connections with the host of {address} are open or being opened, which is the limit"
    )]
    TooManyToHost { address: SocketAddr, limit: usize },
    /// Two connections with this peer are being opened already.
    #[error("{peer:?} is being dialled already")]
    BeingDialled { peer: PublicKey },
    /// The transport is being shut down.
    #[error("this node is shutting down")]
    ShuttingDown,
    /// The address cannot be dialled from the socket this node listens on.
    #[error(
        "{address} cannot be dialled: it needs a port other than 0 and the address family (IPv4, IPv6) that this node listens on"
    )]
    BadAddress { address: SocketAddr },
    /// Somebody else answered.
    #[error("expected the node {expected}, but {got} answered: correct the address or the key")]
    WrongKey {
        /// The key asked for.
        expected: PublicKey,
        got: PublicKey,
    },
    /// The peer's key is not on this node's allow-list.
    #[error("the node {key} is not on this node's allow-list")]
    NotAllowed { key: PublicKey },
    /// The peer did not present a proper node key.
    #[error("the peer's identity is refused: {0}")]
    BadIdentity(#[from] IdentityError),
    /// The peer is of another network or speaks another version.
    #[error(
        "the peer is of another network or protocol version (here: version {PROTOCOL_VERSION}): start both from the same genesis with the same program"
    )]
    OtherNetwork,
    /// The peer has too much to do at the moment.
    #[error("the peer takes no connections at the moment: try again later")]
    Busy,
    /// The peer refuses this node, in its own words.
    #[error("the peer refuses: {reason}")]
    Refused {
        /// What it said, made printable.
        reason: String,
    },
    /// Nobody answered, or not in time.
    #[error("no answer: is a node running there, and is UDP let through?")]
    TimedOut,
    /// The connection failed in some other way.
    #[error("the connection failed: {0}")]
    Failed(String),
}

/// Why a message was not queued for a peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum SendError {
    /// There is no connection with this peer.
    #[error("not connected with {peer:?}")]
    NotConnected { peer: PublicKey },
    /// No message may be this long.
    #[error("a message of {got} bytes, at most {limit} allowed")]
    TooLong {
        /// Bytes of the message.
        got: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The peer's queue for large messages is full. It may have room once the peer has read some.
    #[error("the queue of large messages for {peer:?} is full")]
    QueueFull { peer: PublicKey },
}
