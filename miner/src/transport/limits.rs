//! How much a transport accepts, keeps and waits for. Every queue and every loop has its limit here.

use std::time::Duration;

use crate::transport::error::TransportError;

/// What a queued message is charged beyond its own bytes, so that a queue of empty messages is bounded too.
pub(super) const MESSAGE_OVERHEAD_BYTES: usize = 64;

/// One of the two ways a message travels. Messages of one lane arrive in the order they were sent; between
/// the lanes there is no order, so that a large batch never holds up a vote.
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

/// Bytes that a peer may have under way on one lane: a full bulk lane leaves window for the urgent one.
pub(super) const LANE_WINDOW_BYTES: u32 = 1 << 20;
/// The lanes of a connection, each a stream either way.
pub(super) const LANES: u32 = 2;

/// The limits of a transport. What they add up to is [`TransportLimits::connection_bytes`] for each connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct TransportLimits {
    /// The urgent lane: any message that fits it takes it.
    pub urgent: LaneLimits,
    pub bulk: LaneLimits,
    /// Connections that peers opened.
    pub inbound_connections: usize,
    /// Of these, with peers on one host (see [`super`]) whose keys are not reserved.
    pub inbound_connections_per_host: usize,
    /// Connections that this node opened, dials in progress included.
    pub outbound_connections: usize,
    /// Of these, with peers on one host whose keys are not reserved.
    pub outbound_connections_per_host: usize,
    /// Incoming handshakes in progress. From half of it on, a caller must first prove its address, as of the other
    /// limits on handshakes. The last quarter is for hosts without one, as it is of those begun in a second.
    pub handshakes_at_once: usize,
    /// Of these, with one host.
    pub handshakes_at_once_per_host: usize,
    /// Incoming handshakes begun in a second, on average; as many may come at once.
    pub handshakes_per_second: u32,
    /// Of these, with one host.
    pub handshakes_per_second_per_host: u32,
    /// Longest time from the first packet to an established connection.
    pub handshake_timeout: Duration,
    /// Longest time from the length of a message to its last byte.
    pub message_timeout: Duration,
    /// Longest time in which a peer takes not one byte of what waits for it on a lane.
    pub stall_timeout: Duration,
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
                send_queue_bytes: 5 << 20,
                receive_queue_bytes: 5 << 20,
            },
            inbound_connections: 48,
            inbound_connections_per_host: 12,
            outbound_connections: 24,
            outbound_connections_per_host: 12,
            handshakes_at_once: 64,
            handshakes_at_once_per_host: 16,
            handshakes_per_second: 128,
            handshakes_per_second_per_host: 32,
            handshake_timeout: Duration::from_secs(5),
            // The longest message at 1 Mbit/s.
            message_timeout: Duration::from_secs(60),
            stall_timeout: Duration::from_secs(60),
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

    /// What one connection can hold at most, in bytes: messages that wait on either side of the node, and what QUIC keeps
    /// of either direction.
    pub fn connection_bytes(&self) -> usize {
        let lanes = [&self.urgent, &self.bulk];
        let queues: usize = lanes.iter().map(|lane| lane.send_queue_bytes + lane.receive_queue_bytes).sum();
        queues + 2 * LANES as usize * LANE_WINDOW_BYTES as usize
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
        let places = [self.inbound_connections, self.outbound_connections];
        let shares = [self.inbound_connections_per_host, self.outbound_connections_per_host];
        if places.contains(&0) || shares.contains(&0) {
            return refuse("inbound and outbound connections, and those per host, must be at least 1");
        }
        let at_once = [self.handshakes_at_once, self.handshakes_at_once_per_host];
        let per_second = [self.handshakes_per_second, self.handshakes_per_second_per_host];
        if at_once.contains(&0) || per_second.contains(&0) {
            return refuse("handshakes at once and per second, and those per host, must be at least 1");
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
    fn what_a_connection_holds_is_the_sum_of_its_queues_and_windows() {
        // Urgent 2 and 0.5 MiB, bulk 5 and 5 MiB, and two windows of 1 MiB in either direction.
        assert_eq!(TransportLimits::default().connection_bytes(), (33 << 20) / 2);
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
