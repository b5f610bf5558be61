//! How much a transport accepts, keeps and waits for. Every queue and every loop has its limit here.

use std::time::Duration;

use crate::transport::error::TransportError;

/// What a queued message is charged beyond its own bytes, so that a queue of empty messages is bounded too.
pub(super) const MESSAGE_OVERHEAD_BYTES: usize = 64;

/// One of the two ways a message travels. Messages of one lane arrive in the order they were sent; between
/// the lanes there is no order, so that a large block never holds up a vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Small messages, sent ahead of everything else.
    Urgent,
    /// Everything larger.
    Bulk,
}

impl std::fmt::Display for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Urgent => "urgent",
            Self::Bulk => "bulk",
        })
    }
}

/// The limits of one lane of one connection, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct LaneLimits {
    pub message_bytes: usize,
    /// Messages waiting to be sent, each charged its length and 64 bytes.
    pub send_queue_bytes: usize,
    /// Messages received but not yet taken by the node, charged likewise. Once they fill this, the peer is
    /// not read from until some are taken.
    pub receive_queue_bytes: usize,
}

/// The limits of a transport. The defaults bound what one connection can take to about 22 MiB, QUIC's
/// windows included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct TransportLimits {
    /// The urgent lane: any message that fits it takes it.
    pub urgent: LaneLimits,
    pub bulk: LaneLimits,
    /// Connections that peers opened.
    pub inbound_connections: usize,
    /// Connections that this node opened, dials in progress included.
    pub outbound_connections: usize,
    /// Incoming handshakes in progress. From half of it on, a caller must first prove its address.
    pub handshakes_at_once: usize,
    /// Incoming handshakes begun in a second, on average; as many may come at once.
    pub handshakes_per_second: u32,
    /// Longest time from the first packet to an established connection.
    pub handshake_timeout: Duration,
    /// Time of silence after which a keep-alive is sent.
    pub keep_alive: Duration,
    /// Time of silence after which a connection is lost.
    pub idle_timeout: Duration,
}

impl Default for TransportLimits {
    fn default() -> Self {
        Self {
            urgent: LaneLimits {
                message_bytes: 16 << 10,
                send_queue_bytes: 2 << 20,
                receive_queue_bytes: 512 << 10,
            },
            bulk: LaneLimits {
                message_bytes: 4 << 20,
                send_queue_bytes: 9 << 20,
                receive_queue_bytes: 5 << 20,
            },
            inbound_connections: 48,
            outbound_connections: 24,
            handshakes_at_once: 32,
            handshakes_per_second: 64,
            handshake_timeout: Duration::from_secs(5),
            keep_alive: Duration::from_secs(2),
            idle_timeout: Duration::from_secs(8),
        }
    }
}

impl TransportLimits {
    /// The lane for a message of `bytes`, or `None` if it is longer than any message may be.
    pub fn lane_for(&self, bytes: usize) -> Option<Lane> {
        if bytes <= self.urgent.message_bytes {
            Some(Lane::Urgent)
        } else if bytes <= self.bulk.message_bytes {
            Some(Lane::Bulk)
        } else {
            None
        }
    }

    /// The limits of one lane.
    pub const fn lane(&self, lane: Lane) -> &LaneLimits {
        match lane {
            Lane::Urgent => &self.urgent,
            Lane::Bulk => &self.bulk,
        }
    }

    /// Checks that no limit makes another impossible to keep.
    pub(super) fn validate(&self) -> Result<(), TransportError> {
        let refuse = |what| Err(TransportError::Limits(what));
        for lane in [&self.urgent, &self.bulk] {
            let needed = lane.message_bytes.saturating_add(MESSAGE_OVERHEAD_BYTES);
            if lane.send_queue_bytes < needed || lane.receive_queue_bytes < needed {
                return refuse("a queue must have room for the longest message of its lane and 64 bytes");
            }
            if u32::try_from(lane.receive_queue_bytes).is_err() {
                return refuse("receive_queue_bytes must be below 4 GiB");
            }
        }
        if self.urgent.message_bytes > self.bulk.message_bytes {
            return refuse("the longest urgent message must not be longer than the longest bulk message");
        }
        if self.inbound_connections == 0 || self.outbound_connections == 0 {
            return refuse("inbound_connections and outbound_connections must be at least 1");
        }
        if self.handshakes_at_once == 0 || self.handshakes_per_second == 0 {
            return refuse("handshakes_at_once and handshakes_per_second must be at least 1");
        }
        if self.keep_alive >= self.idle_timeout {
            return refuse("keep_alive must be shorter than idle_timeout");
        }
        Ok(())
    }
}

/// What a queued message of `bytes` is charged.
pub(super) const fn charge(bytes: usize) -> usize {
    bytes.saturating_add(MESSAGE_OVERHEAD_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_consistent() {
        assert_eq!(TransportLimits::default().validate().map_err(|error| error.to_string()), Ok(()));
    }

    #[test]
    fn a_message_takes_the_first_lane_it_fits() {
        let limits = TransportLimits::default();
        assert_eq!(limits.lane_for(0), Some(Lane::Urgent));
        assert_eq!(limits.lane_for(16 * 1024), Some(Lane::Urgent));
        assert_eq!(limits.lane_for(16 * 1024 + 1), Some(Lane::Bulk));
        assert_eq!(limits.lane_for(4 * 1024 * 1024), Some(Lane::Bulk));
        assert_eq!(limits.lane_for(4 * 1024 * 1024 + 1), None);
    }

    #[test]
    fn a_queue_too_short_for_one_message_is_refused() {
        let mut limits = TransportLimits::default();
        limits.bulk.receive_queue_bytes = limits.bulk.message_bytes;
        let error = limits.validate().expect_err("64 bytes are missing").to_string();
        assert!(error.contains("room for the longest message"), "{error}");
    }
}
