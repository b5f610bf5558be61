//! Nodes to connect to first: who they are, and that they are dialled until they are reached.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::mem::{Discriminant, discriminant};
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::{Duration, Instant};

use chain::PublicKey;
use serde::{Deserialize, Serialize};

use crate::transport::{DialError, Transport};

/// How often bootstrap nodes that are not connected are dialled.
const INTERVAL: Duration = Duration::from_secs(2);

/// Where a node is to be found, and whom to expect there: without a key, whoever answers. As text `KEY@ADDRESS:PORT`,
/// or `ADDRESS:PORT` alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct BootstrapPeer {
    pub address: SocketAddr,
    pub key: Option<PublicKey>,
}

/// Why a text names no bootstrap node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum BootstrapPeerError {
    /// What stands behind the @, or alone.
    #[error("{got:?} is no address: expected IP:PORT, an IPv6 address in brackets ([2001:db8::1]:7400)")]
    Address { got: String },
    /// What stands before the @.
    #[error("{got:?} is no node key: expected 64 hexadecimal digits before the @")]
    Key { got: String },
}

impl FromStr for BootstrapPeer {
    type Err = BootstrapPeerError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, address) = text.rsplit_once('@').map_or((None, text), |(key, at)| (Some(key), at));
        let wrong_key = |got: &str| BootstrapPeerError::Key { got: got.into() };
        let key = key.map(|key| key.parse().or(Err(wrong_key(key)))).transpose()?;
        let address = address.parse().or(Err(BootstrapPeerError::Address { got: address.into() }))?;
        Ok(Self { address, key })
    }
}

impl fmt::Display for BootstrapPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key {
            Some(key) => write!(f, "{key}@{}", self.address),
            None => self.address.fmt(f),
        }
    }
}

impl TryFrom<String> for BootstrapPeer {
    type Error = BootstrapPeerError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<BootstrapPeer> for String {
    fn from(peer: BootstrapPeer) -> Self {
        peer.to_string()
    }
}

/// Dials bootstrap nodes.
#[derive(Debug)]
pub(super) struct Bootstrap {
    peers: Vec<BootstrapPeer>,
    /// When they are looked at next.
    due: Instant,
    /// Dials under way: one that nobody answers takes longer than the interval.
    dialling: BTreeSet<SocketAddr>,
    /// Why they could not be reached last.
    failures: BTreeMap<SocketAddr, Discriminant<DialError>>,
}

impl Bootstrap {
    pub(super) fn new(peers: Vec<BootstrapPeer>) -> Self {
        Self { peers, due: Instant::now(), dialling: BTreeSet::new(), failures: BTreeMap::new() }
    }

    /// When [`Bootstrap::dial_if_due`] should be called again.
    pub(super) const fn due(&self) -> Instant {
        self.due
    }

    /// Dials those that are not among the connected, if it is time; once, however long ago that was.
    pub(super) fn dial_if_due(&mut self, transport: &Transport, connected: &BTreeMap<PublicKey, SocketAddr>) {
        let now = Instant::now();
        if now < self.due {
            return;
        }
        self.due = now + INTERVAL;
        let here: BTreeSet<SocketAddr> =
            connected.values().copied().chain([transport.local_addr()]).collect();
        for &BootstrapPeer { address, key } in &self.peers {
            let is_connected =
                key.map_or_else(|| here.contains(&address), |key| connected.contains_key(&key));
            if is_connected || self.dialling.contains(&address) || key == Some(transport.public_key()) {
                continue;
            }
            match transport.connect(address, key) {
                Ok(()) => drop(self.dialling.insert(address)),
                Err(error) => tracing::debug!(%address, %error, "a bootstrap node was not dialled"),
            }
        }
    }

    /// A dial, or somebody at that address, led to a connection.
    pub(super) fn note_connected(&mut self, address: SocketAddr, is_outbound: bool) {
        if is_outbound {
            self.dialling.remove(&address);
        }
        self.failures.remove(&address);
    }

    /// Tells the operator why a bootstrap node cannot be reached, once as long as the kind of reason is the same: its
    /// words may be a stranger's.
    pub(super) fn note_failure(&mut self, address: SocketAddr, reason: &DialError) {
        if self.is_news(address, reason) {
            tracing::warn!(%address, %reason, "a bootstrap node cannot be reached; it is tried again");
        } else {
            tracing::debug!(%address, %reason, "a dial failed");
        }
    }

    fn is_news(&mut self, address: SocketAddr, reason: &DialError) -> bool {
        self.dialling.remove(&address);
        let kind = discriminant(reason);
        let is_ours = self.peers.iter().any(|peer| peer.address == address);
        // It may have dialled us meanwhile.
        let is_failure = !matches!(reason, DialError::AlreadyConnected { .. });
        is_ours && is_failure && self.failures.insert(address, kind) != Some(kind)
    }
}

#[cfg(test)]
mod tests {
    use chain::SecretKey;

    use super::*;

    const KEY: &str = "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1";

    #[test]
    fn an_address_alone_expects_nobody_and_one_behind_a_key_its_holder() {
        for address in ["192.0.2.1:7400", "[2001:db8::1]:7400"] {
            let anybody: BootstrapPeer = address.parse().unwrap();
            assert_eq!((anybody.key, anybody.to_string().as_str()), (None, address));
            let text = format!("{KEY}@{address}");
            let holder: BootstrapPeer = text.parse().unwrap();
            assert_eq!(holder.key, Some(KEY.parse().unwrap()));
            assert_eq!((holder.address, holder.to_string()), (anybody.address, text));
        }
    }

    #[test]
    fn a_stranger_at_the_address_of_a_bootstrap_node_is_news_once_whatever_key_it_shows() {
        let key = |number| SecretKey::for_scenario(1, "peer", number).public();
        let peer = BootstrapPeer { address: "192.0.2.1:7400".parse().unwrap(), key: Some(key(0)) };
        let mut bootstrap = Bootstrap::new(vec![peer]);
        let stranger = |number| DialError::WrongKey { expected: key(0), got: key(number) };
        assert!(bootstrap.is_news(peer.address, &stranger(1)));
        assert!(!bootstrap.is_news(peer.address, &stranger(2)));
        assert!(bootstrap.is_news(peer.address, &DialError::TimedOut));
        bootstrap.note_connected(peer.address, true);
        assert!(bootstrap.is_news(peer.address, &DialError::TimedOut));
        assert!(!bootstrap.is_news(peer.address, &DialError::AlreadyConnected { peer: key(0) }));
        assert!(!bootstrap.is_news("192.0.2.2:7400".parse().unwrap(), &DialError::TimedOut));
    }

    #[test]
    fn what_is_wrong_is_named_with_what_is_expected() {
        let error = |text: &str| text.parse::<BootstrapPeer>().unwrap_err().to_string();
        let address = "is no address: expected IP:PORT, an IPv6 address in brackets ([2001:db8::1]:7400)";
        assert_eq!(error("2001:db8::1"), format!("\"2001:db8::1\" {address}"));
        assert_eq!(error(&format!("{KEY}@192.0.2.1")), format!("\"192.0.2.1\" {address}"));
        assert_eq!(error(KEY), format!("\"{KEY}\" {address}"));
        let key = "is no node key: expected 64 hexadecimal digits before the @";
        assert_eq!(error("19bf@192.0.2.1:7400"), format!("\"19bf\" {key}"));
        assert_eq!(error("@192.0.2.1:7400"), format!("\"\" {key}"));
    }
}
