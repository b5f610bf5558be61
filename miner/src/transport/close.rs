//! How connections end: the codes and words that QUIC carries, and what is made of them.

use quinn::{ConnectionError, TransportErrorCode, VarInt};

use crate::transport::error::DialError;
use crate::transport::event::DisconnectReason;

/// The node asked for it, or refused the peer; the words say why.
pub(super) const BY_NODE: VarInt = VarInt::from_u32(1);
/// There is another connection between the two.
pub(super) const DUPLICATE: VarInt = VarInt::from_u32(2);
/// The peer broke a rule of the transport.
pub(super) const VIOLATION: VarInt = VarInt::from_u32(3);
/// The node is shutting down.
pub(super) const SHUTDOWN: VarInt = VarInt::from_u32(4);
/// TLS alert `no_application_protocol` (RFC 7301, section 3.2).
const NO_APPLICATION_PROTOCOL: u8 = 120;
/// The longest reason sent or kept, in characters.
const WORDS_MAX: usize = 256;

/// A peer's words, fit for a log or a terminal: no control characters, not too long.
pub(super) fn printable(words: &[u8]) -> String {
    if words.is_empty() {
        return "no reason given".into();
    }
    let text = String::from_utf8_lossy(words);
    text.chars().take(WORDS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// What the peer is told when this node closes a connection.
pub(super) fn spoken(reason: &DisconnectReason) -> (VarInt, String) {
    match reason {
        DisconnectReason::Local(words) => (BY_NODE, printable(words.as_bytes())),
        DisconnectReason::Violation(violation) => (VIOLATION, violation.to_string()),
        DisconnectReason::Replaced => (DUPLICATE, reason.to_string()),
        DisconnectReason::MadeRoom => (BY_NODE, reason.to_string()),
        DisconnectReason::ShuttingDown => (SHUTDOWN, "the node is shutting down".into()),
        DisconnectReason::Remote(_)
        | DisconnectReason::PeerRestarted
        | DisconnectReason::TimedOut
        | DisconnectReason::Failed(_) => (BY_NODE, String::new()),
    }
}

/// Why an established connection is gone that this node did not close.
pub(super) fn heard(error: ConnectionError) -> DisconnectReason {
    match error {
        ConnectionError::ApplicationClosed(close) => DisconnectReason::Remote(printable(&close.reason)),
        ConnectionError::Reset => DisconnectReason::PeerRestarted,
        ConnectionError::TimedOut => DisconnectReason::TimedOut,
        ConnectionError::LocallyClosed => DisconnectReason::ShuttingDown,
        error @ (ConnectionError::VersionMismatch
        | ConnectionError::TransportError(_)
        | ConnectionError::ConnectionClosed(_)
        | ConnectionError::CidsExhausted) => {
            DisconnectReason::Failed(printable(error.to_string().as_bytes()))
        }
    }
}

/// Why a connection failed before both ends agreed on it.
pub(super) fn dial_error(error: ConnectionError) -> DialError {
    let other_network = TransportErrorCode::crypto(NO_APPLICATION_PROTOCOL);
    match error {
        ConnectionError::ApplicationClosed(close) => DialError::Refused { reason: printable(&close.reason) },
        ConnectionError::ConnectionClosed(close) if close.error_code == other_network => {
            DialError::OtherNetwork
        }
        ConnectionError::TransportError(ref close) if close.code == other_network => DialError::OtherNetwork,
        ConnectionError::ConnectionClosed(close)
            if close.error_code == TransportErrorCode::CONNECTION_REFUSED =>
        {
            DialError::Busy
        }
        ConnectionError::TimedOut => DialError::TimedOut,
        ConnectionError::LocallyClosed => DialError::ShuttingDown,
        error @ (ConnectionError::VersionMismatch
        | ConnectionError::TransportError(_)
        | ConnectionError::ConnectionClosed(_)
        | ConnectionError::Reset
        | ConnectionError::CidsExhausted) => DialError::Failed(printable(error.to_string().as_bytes())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peers_words_are_cut_and_freed_of_control_characters() {
        assert_eq!(printable(b"bad\x1b[31m\nbatch"), "bad [31m batch");
        assert_eq!(printable(b""), "no reason given");
        assert_eq!(printable(&[0xff, b'a']), "\u{fffd}a");
        assert_eq!(printable("é".repeat(1000).as_bytes()).chars().count(), 256);
    }
}
