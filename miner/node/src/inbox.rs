//! What peers have sent and the node has not taken yet: a queue for each peer, so that nobody's flood stands before
//! somebody else's vote. Pure, so that the driver and the simulator queue alike; how much one peer may have waiting is
//! the transport's to bound.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

use chain::PublicKey;

/// Urgent items taken in a row before one that is not, if any waits: enough that votes come first, few enough that
/// batches come at all.
const URGENT_IN_A_ROW: u32 = 16;

/// How soon an item should be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Small: votes, announcements, requests.
    Urgent,
    /// Large: batches and records.
    Bulk,
}

/// Items by peer and urgency. Of one peer and urgency they keep their order.
#[derive(Debug)]
pub struct Inbox<T> {
    urgent: Rotation<T>,
    bulk: Rotation<T>,
    urgent_in_a_row: u32,
}

/// Queues served in turn, in order of key.
#[derive(Debug)]
struct Rotation<T> {
    /// None is empty.
    queues: BTreeMap<PublicKey, VecDeque<T>>,
    served: Option<PublicKey>,
}

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        let rotation = || Rotation { queues: BTreeMap::new(), served: None };
        Self { urgent: rotation(), bulk: rotation(), urgent_in_a_row: 0 }
    }
}

impl<T> Inbox<T> {
    /// Puts an item at the end of its peer's queue.
    pub fn push(&mut self, peer: PublicKey, urgency: Urgency, item: T) {
        let rotation = match urgency {
            Urgency::Urgent => &mut self.urgent,
            Urgency::Bulk => &mut self.bulk,
        };
        rotation.queues.entry(peer).or_default().push_back(item);
    }

    /// The next item: of the peer whose turn it is among those with something urgent, and now and then of those
    /// with anything else.
    pub fn pop(&mut self) -> Option<(PublicKey, T)> {
        let is_bulks_turn = self.urgent_in_a_row >= URGENT_IN_A_ROW;
        let urgent = if is_bulks_turn { None } else { self.urgent.pop() };
        if urgent.is_some() {
            self.urgent_in_a_row = self.urgent_in_a_row.saturating_add(1);
            return urgent;
        }
        self.urgent_in_a_row = 0;
        self.bulk.pop().or_else(|| self.urgent.pop())
    }

    /// Forgets what a peer has sent: it is gone.
    pub fn forget(&mut self, peer: &PublicKey) {
        self.urgent.queues.remove(peer);
        self.bulk.queues.remove(peer);
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.urgent.queues.is_empty() && self.bulk.queues.is_empty()
    }
}

impl<T> Rotation<T> {
    fn pop(&mut self) -> Option<(PublicKey, T)> {
        let after = self.served.map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.queues.range((after, Bound::Unbounded)).next().or_else(|| self.queues.iter().next());
        let peer = *next?.0;
        self.served = Some(peer);
        let queue = self.queues.get_mut(&peer)?;
        let item = queue.pop_front();
        if queue.is_empty() {
            self.queues.remove(&peer);
        }
        Some((peer, item?))
    }
}

#[cfg(test)]
mod tests {
    use chain::SecretKey;

    use super::Urgency::{Bulk, Urgent};
    use super::*;

    fn peers() -> [PublicKey; 2] {
        let mut keys = [0, 1].map(|number| SecretKey::for_scenario(1, "inbox", number).public());
        keys.sort_unstable();
        keys
    }

    fn drain(inbox: &mut Inbox<u32>) -> Vec<u32> {
        std::iter::from_fn(|| inbox.pop()).map(|(_, item)| item).collect()
    }

    #[test]
    fn a_flood_of_one_peer_does_not_stand_before_the_vote_of_another() {
        let [flooder, voter] = peers();
        let mut inbox = Inbox::default();
        (0..1_000).for_each(|item| inbox.push(flooder, Urgent, item));
        inbox.push(voter, Urgent, 7_777);
        assert_eq!(inbox.pop(), Some((flooder, 0)));
        assert_eq!(inbox.pop(), Some((voter, 7_777)));
        assert_eq!(inbox.pop(), Some((flooder, 1)));
    }

    #[test]
    fn the_urgent_comes_first_but_does_not_keep_everything_else_out() {
        let [one, other] = peers();
        let mut inbox = Inbox::default();
        (0..20).for_each(|item| inbox.push(one, Urgent, item));
        (100..102).for_each(|item| inbox.push(other, Bulk, item));
        let expected: Vec<u32> = (0..16).chain([100]).chain(16..20).chain([101]).collect();
        assert_eq!(drain(&mut inbox), expected);
    }

    #[test]
    fn nothing_is_left_of_a_peer_that_is_gone() {
        let [one, other] = peers();
        let mut inbox = Inbox::default();
        inbox.push(one, Urgent, 1);
        inbox.push(one, Bulk, 2);
        inbox.push(other, Bulk, 3);
        inbox.forget(&one);
        assert_eq!(drain(&mut inbox), [3]);
        assert!(inbox.is_empty());
    }
}
