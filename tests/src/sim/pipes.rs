//! What waits to be sent over a connection, with the limits and habits of the transport: a lane for small messages ahead
//! of one for large ones, bounded queues of which the urgent one drops its oldest and the other refuses the newest, and
//! nothing is sent that the receiver has no room for until its node takes what it has.

use std::collections::VecDeque;
use std::sync::Arc;

use miner::transport::{Lane, TransportLimits};

use super::host::HostId;
use super::links::Links;

/// What the transport charges a queued message beyond its own bytes.
const OVERHEAD_BYTES: usize = 64;
/// What is due to leave within this is sent at once: it saves the world an event for each small message.
const AHEAD_US: u64 = 1_000;

/// One direction of one connection.
#[derive(Debug)]
pub(super) struct Pipe {
    connection: u64,
    lanes: [Waiting; 2],
    /// When what has left so far has left, in true time.
    free_at_us: u64,
    /// A look at this pipe is planned.
    pub(super) is_planned: bool,
}

/// One lane.
#[derive(Debug, Default)]
struct Waiting {
    messages: VecDeque<Arc<[u8]>>,
    charged: usize,
    /// On the way, or arrived and not taken.
    unread: usize,
}

/// A message that leaves.
#[derive(Debug)]
pub(super) struct Departure {
    pub(super) bytes: Arc<[u8]>,
    pub(super) connection: u64,
    /// When each copy arrives, from now; none if it is lost.
    pub(super) arrivals_us: Vec<u64>,
}

/// What a message takes of a queue.
pub(super) const fn charge(bytes: usize) -> usize {
    bytes + OVERHEAD_BYTES
}

/// The lane of a message; none carries what is too long.
pub(super) fn lane_for(bytes: usize) -> Option<Lane> {
    TransportLimits::default().lane_for(bytes)
}

const fn place(lane: Lane) -> usize {
    match lane {
        Lane::Urgent => 0,
        Lane::Bulk => 1,
    }
}

impl Pipe {
    fn new(connection: u64) -> Self {
        Self { connection, lanes: [Waiting::default(), Waiting::default()], free_at_us: 0, is_planned: false }
    }

    /// Adds a message; how many were dropped for it, itself included.
    fn push(&mut self, lane: Lane, bytes: Arc<[u8]>) -> u64 {
        let limit = TransportLimits::default().lane(lane).send_queue_bytes;
        let waiting = &mut self.lanes[place(lane)];
        let mut dropped = 0;
        while waiting.charged + charge(bytes.len()) > limit {
            let oldest = if lane == Lane::Urgent { waiting.messages.pop_front() } else { None };
            dropped += 1;
            match oldest {
                Some(oldest) => waiting.charged -= charge(oldest.len()),
                None => return dropped,
            }
        }
        waiting.charged += charge(bytes.len());
        waiting.messages.push_back(bytes);
        dropped
    }

    /// The next message for which the receiver has room, urgent ones first.
    fn pop(&mut self) -> Option<(Lane, Arc<[u8]>)> {
        for lane in [Lane::Urgent, Lane::Bulk] {
            let limit = TransportLimits::default().lane(lane).receive_queue_bytes;
            let waiting = &mut self.lanes[place(lane)];
            let fits = |bytes: &Arc<[u8]>| waiting.unread + charge(bytes.len()) <= limit;
            if waiting.messages.front().is_some_and(fits)
                && let Some(bytes) = waiting.messages.pop_front()
            {
                waiting.charged -= charge(bytes.len());
                return Some((lane, bytes));
            }
        }
        None
    }

    fn is_empty(&self) -> bool {
        self.lanes.iter().all(|waiting| waiting.messages.is_empty())
    }
}

impl Links {
    /// A message waits to be sent. How many were dropped for it, itself included.
    pub(super) fn push(&mut self, from: HostId, to: HostId, connection: u64, bytes: Arc<[u8]>) -> u64 {
        let Some(lane) = lane_for(bytes.len()) else { return 1 };
        let pipe = self.pipes.entry((from, to)).or_insert_with(|| Pipe::new(connection));
        if pipe.connection != connection {
            *pipe = Pipe { is_planned: pipe.is_planned, ..Pipe::new(connection) };
        }
        pipe.push(lane, bytes)
    }

    /// The next message that leaves now.
    pub(super) fn depart(&mut self, from: HostId, to: HostId, now_us: u64) -> Option<Departure> {
        let bytes_per_ms = self.quality(from, to).bytes_per_ms.max(1);
        let pipe = self.pipes.get_mut(&(from, to))?;
        if pipe.free_at_us > now_us + AHEAD_US {
            return None;
        }
        let (lane, bytes) = pipe.pop()?;
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        pipe.free_at_us = pipe.free_at_us.max(now_us) + size.saturating_mul(1_000) / bytes_per_ms;
        let (connection, leaves_in_us) = (pipe.connection, pipe.free_at_us - now_us);
        let arrivals_us: Vec<u64> =
            self.arrivals(from, to).into_iter().map(|delay_us| leaves_in_us + delay_us).collect();
        if !arrivals_us.is_empty()
            && let Some(pipe) = self.pipes.get_mut(&(from, to))
        {
            pipe.lanes[place(lane)].unread += charge(bytes.len());
        }
        Some(Departure { bytes, connection, arrivals_us })
    }

    /// When to look again at what waits here; none if nothing waits, or only for the receiver's room.
    pub(super) fn next_departure_us(&self, from: HostId, to: HostId, now_us: u64) -> Option<u64> {
        let pipe = self.pipes.get(&(from, to))?;
        let is_due = pipe.free_at_us > now_us + AHEAD_US && !pipe.is_empty() && !pipe.is_planned;
        is_due.then(|| pipe.free_at_us - AHEAD_US)
    }

    /// A receiver's node has taken a message: there is room for as many bytes again.
    pub(super) fn taken(&mut self, from: HostId, to: HostId, connection: u64, bytes: usize) {
        let (Some(lane), Some(pipe)) = (lane_for(bytes), self.pipes.get_mut(&(from, to))) else { return };
        if pipe.connection == connection {
            let unread = &mut pipe.lanes[place(lane)].unread;
            *unread = unread.saturating_sub(charge(bytes));
        }
    }

    /// A connection is gone, and with it what waited in this direction.
    pub(super) fn drain(&mut self, from: HostId, to: HostId, connection: u64) {
        if let Some(pipe) = self.pipes.get_mut(&(from, to))
            && pipe.connection == connection
        {
            pipe.lanes = Pipe::new(connection).lanes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::{Draws, LinkQuality};

    const FROM: HostId = HostId(0);
    const TO: HostId = HostId(1);

    fn links(bytes_per_ms: u64) -> Links {
        let quality = LinkQuality { delay_min_ms: 5, delay_max_ms: 5, bytes_per_ms, ..LinkQuality::GOOD };
        Links::new(quality, Draws::new(1, 1))
    }

    fn message(bytes: usize, fill: u8) -> Arc<[u8]> {
        Arc::from(vec![fill; bytes])
    }

    #[test]
    fn a_narrow_link_takes_its_time_and_lets_small_messages_pass_large_ones() {
        let mut links = links(100);
        for bytes in [100_000, 200_000] {
            links.push(FROM, TO, 1, message(bytes, 0));
        }
        // 100,000 bytes at 100 a millisecond leave within a second, and are 5 ms on the way.
        let first = links.depart(FROM, TO, 0).unwrap();
        assert_eq!(first.arrivals_us, [1_005_000]);
        assert!(links.depart(FROM, TO, 0).is_none());
        assert_eq!(links.next_departure_us(FROM, TO, 0), Some(999_000));
        links.push(FROM, TO, 1, message(100, 1));
        let second = links.depart(FROM, TO, 1_000_000).unwrap();
        assert_eq!((second.bytes.len(), second.arrivals_us), (100, vec![6_000]));
    }

    #[test]
    fn nothing_more_is_sent_to_a_node_that_takes_nothing() {
        let mut links = links(1 << 20);
        let limit = TransportLimits::default().urgent.receive_queue_bytes;
        let (bytes, fits) = (10_000, limit / charge(10_000));
        for _ in 0..2 * fits {
            assert_eq!(links.push(FROM, TO, 1, message(bytes, 0)), 0);
        }
        let sent = std::iter::from_fn(|| links.depart(FROM, TO, 1_000_000)).count();
        assert_eq!(sent, fits);
        links.taken(FROM, TO, 1, bytes);
        assert!(links.depart(FROM, TO, 1_000_000).is_some());
        assert!(links.depart(FROM, TO, 1_000_000).is_none());
    }

    #[test]
    fn a_full_queue_drops_the_oldest_of_the_small_and_refuses_the_newest_of_the_large() {
        let mut pipe = Pipe::new(1);
        let urgent = TransportLimits::default().urgent.send_queue_bytes / charge(10_000);
        let bulk = TransportLimits::default().bulk.send_queue_bytes / charge(1 << 20);
        let dropped = |pipe: &mut Pipe, lane, count: usize, bytes| -> u64 {
            (0..count).map(|number| pipe.push(lane, message(bytes, u8::from(number > 0)))).sum()
        };
        assert_eq!(dropped(&mut pipe, Lane::Urgent, urgent + 1, 10_000), 1);
        assert_eq!(dropped(&mut pipe, Lane::Bulk, bulk + 1, 1 << 20), 1);
        // Of the small ones the first, filled with 0, is gone; of the large ones it is still the first.
        assert_eq!(pipe.lanes[0].messages.front().map(|bytes| bytes[0]), Some(1));
        assert_eq!(pipe.lanes[1].messages.front().map(|bytes| bytes[0]), Some(0));
        assert_eq!((pipe.lanes[0].messages.len(), pipe.lanes[1].messages.len()), (urgent, bulk));
    }
}
