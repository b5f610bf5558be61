//! What becomes of a message on its way: delay, loss, copies, cuts. Which connections stand is the world's
//! business; a message over a connection that is gone never gets here.

use std::collections::BTreeSet;

use super::draws::Draws;
use super::host::HostId;

/// How good the links are. Delays differ from message to message, so that messages overtake each other.
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
}

impl LinkQuality {
    /// A good network: everything arrives once, within 2 to 40 ms.
    pub const GOOD: Self = Self { delay_min_ms: 2, delay_max_ms: 40, loss_percent: 0, duplicate_percent: 0 };
}

/// All links of a world.
#[derive(Debug)]
pub struct Links {
    quality: LinkQuality,
    /// One side of a cut; everybody else is on the other.
    side: Option<BTreeSet<HostId>>,
    draws: Draws,
}

impl Links {
    /// Links of this quality, nothing cut.
    pub const fn new(quality: LinkQuality, draws: Draws) -> Self {
        Self { quality, side: None, draws }
    }

    /// Changes the quality of all links.
    pub const fn set_quality(&mut self, quality: LinkQuality) {
        self.quality = quality;
    }

    /// Cuts these hosts off from all others; replaces an earlier cut.
    pub fn cut(&mut self, side: BTreeSet<HostId>) {
        self.side = Some(side);
    }

    /// Ends the cut.
    pub fn heal(&mut self) {
        self.side = None;
    }

    /// Whether a cut lies between two hosts.
    pub fn is_cut(&self, one: HostId, other: HostId) -> bool {
        self.side.as_ref().is_some_and(|side| side.contains(&one) != side.contains(&other))
    }

    /// The delay of each copy that arrives; none if the message is lost.
    pub fn arrivals(&mut self, from: HostId, to: HostId) -> Vec<u64> {
        let LinkQuality { loss_percent, duplicate_percent, .. } = self.quality;
        if self.is_cut(from, to) || self.draws.percent(loss_percent) {
            return Vec::new();
        }
        let copies = 1 + u64::from(self.draws.percent(duplicate_percent));
        (0..copies).map(|_| self.delay()).collect()
    }

    /// The delay of something that is never lost: a connection that opens or ends.
    pub fn delay(&mut self) -> u64 {
        self.draws.between(self.quality.delay_min_ms, self.quality.delay_max_ms)
    }
}
