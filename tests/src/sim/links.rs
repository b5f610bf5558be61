//! What becomes of a message on its way: delay, loss, copies, bandwidth, cuts; in each direction by itself. What waits to
//! be sent is in `pipes`. Which connections stand is the world's business; a message over a connection that is gone
//! never gets here.

use std::collections::{BTreeMap, BTreeSet};

use super::draws::Draws;
use super::host::HostId;
use super::pipes::Pipe;

/// How good a link is in one direction. Delays differ from message to message, so that messages overtake each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkQuality {
    /// The shortest delay, in milliseconds.
    pub delay_min_ms: u64,
    /// The longest delay, in milliseconds.
    pub delay_max_ms: u64,
    /// Messages lost, of a hundred.
    pub loss_percent: u64,
    /// Messages that arrive twice, of a hundred.
    pub duplicate_percent: u64,
    /// Bytes that leave in a millisecond, at least 1.
    pub bytes_per_ms: u64,
}

impl LinkQuality {
    /// A good network: everything arrives once, within 2 to 40 ms, at 100 Mbit/s.
    pub const GOOD: Self = Self {
        delay_min_ms: 2,
        delay_max_ms: 40,
        loss_percent: 0,
        duplicate_percent: 0,
        bytes_per_ms: 12_500,
    };

    /// As good as it gets: attackers see to that.
    const BEST: Self = Self { delay_min_ms: 1, delay_max_ms: 1, ..Self::GOOD };
}

/// All links of a world.
#[derive(Debug)]
pub struct Links {
    /// Of all directions that have none of their own.
    quality: LinkQuality,
    /// From, to.
    own: BTreeMap<(HostId, HostId), LinkQuality>,
    /// Hosts whose links are the best there are, whatever befalls the others'.
    swift: BTreeSet<HostId>,
    /// One side of a cut; everybody else is on the other.
    side: Option<BTreeSet<HostId>>,
    /// Directions in which nothing arrives.
    silent: BTreeSet<(HostId, HostId)>,
    /// Pairs between which no connection is ever made, the smaller first.
    unreachable: BTreeSet<(HostId, HostId)>,
    pub(super) pipes: BTreeMap<(HostId, HostId), Pipe>,
    draws: Draws,
}

impl Links {
    /// Links of this quality between all hosts, nothing cut.
    pub const fn new(quality: LinkQuality, draws: Draws) -> Self {
        Self {
            quality,
            own: BTreeMap::new(),
            swift: BTreeSet::new(),
            side: None,
            silent: BTreeSet::new(),
            unreachable: BTreeSet::new(),
            pipes: BTreeMap::new(),
            draws,
        }
    }

    /// Changes the quality of all links, those that had their own included.
    pub fn set_quality(&mut self, quality: LinkQuality) {
        self.quality = quality;
        self.own.clear();
    }

    /// Changes the quality of one direction.
    pub fn set_direction(&mut self, from: HostId, to: HostId, quality: LinkQuality) {
        self.own.insert((from, to), quality);
    }

    /// From now on a host's links are the best there are.
    pub fn make_swift(&mut self, host: HostId) {
        self.swift.insert(host);
    }

    /// Cuts these hosts off from all others; replaces an earlier cut.
    pub fn cut(&mut self, side: BTreeSet<HostId>) {
        self.side = Some(side);
    }

    /// From now on nothing arrives in this direction.
    pub fn silence(&mut self, from: HostId, to: HostId) {
        self.silent.insert((from, to));
    }

    /// Ends all cuts, in whatever direction.
    pub fn heal(&mut self) {
        self.side = None;
        self.silent.clear();
    }

    /// These two are never connected.
    pub fn separate(&mut self, one: HostId, other: HostId) {
        self.unreachable.insert((one.min(other), one.max(other)));
    }

    /// Whether two hosts may be connected at all.
    pub fn are_reachable(&self, one: HostId, other: HostId) -> bool {
        !self.unreachable.contains(&(one.min(other), one.max(other)))
    }

    /// Whether a cut lies between two hosts, in either direction: what is not acknowledged does not last.
    pub fn is_cut(&self, one: HostId, other: HostId) -> bool {
        let is_apart = self.side.as_ref().is_some_and(|side| side.contains(&one) != side.contains(&other));
        is_apart || self.silent.contains(&(one, other)) || self.silent.contains(&(other, one))
    }

    /// The quality of one direction.
    pub fn quality(&self, from: HostId, to: HostId) -> LinkQuality {
        if self.swift.contains(&from) || self.swift.contains(&to) {
            return LinkQuality::BEST;
        }
        self.own.get(&(from, to)).copied().unwrap_or(self.quality)
    }

    /// The delay of each copy that arrives, in microseconds; none if the message is lost.
    pub(super) fn arrivals(&mut self, from: HostId, to: HostId) -> Vec<u64> {
        let LinkQuality { loss_percent, duplicate_percent, .. } = self.quality(from, to);
        let is_apart = self.side.as_ref().is_some_and(|side| side.contains(&from) != side.contains(&to));
        if is_apart || self.silent.contains(&(from, to)) || self.draws.percent(loss_percent) {
            return Vec::new();
        }
        let copies = 1 + u64::from(self.draws.percent(duplicate_percent));
        (0..copies).map(|_| 1_000 * self.delay(from, to)).collect()
    }

    /// The delay of something that is never lost, in milliseconds: a connection that opens or ends.
    pub(super) fn delay(&mut self, from: HostId, to: HostId) -> u64 {
        let quality = self.quality(from, to);
        self.draws.between(quality.delay_min_ms, quality.delay_max_ms)
    }
}
