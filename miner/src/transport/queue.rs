//! Messages waiting to be sent to one peer on one lane: bounded, filled without waiting.

use std::collections::VecDeque;
use std::sync::Mutex;

use bytes::Bytes;
use tokio::sync::Notify;

use crate::transport::limits::{Lane, charge};
use crate::transport::locked;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    /// It waits to be sent; this many older ones were dropped to make room.
    Queued { dropped: u64 },
    /// There is no room.
    Refused,
}

/// A queue for one sender task.
///
/// When full, the urgent lane drops its oldest messages: a newer vote is worth more than an older one and
/// the node repeats what still matters. The bulk lane refuses the newest: of the batches a peer asked for,
/// the first ones are useful without the last ones, not the other way round.
#[derive(Debug)]
pub(super) struct SendQueue {
    lane: Lane,
    limit_bytes: usize,
    waiting: Mutex<Waiting>,
    pushed: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    messages: VecDeque<Bytes>,
    charged: usize,
}

impl SendQueue {
    /// An empty queue of at most `limit_bytes`.
    pub(super) fn new(lane: Lane, limit_bytes: usize) -> Self {
        Self { lane, limit_bytes, waiting: Mutex::default(), pushed: Notify::new() }
    }

    /// Adds a message, whose length the lane allows.
    pub(super) fn push(&self, message: Bytes) -> Pushed {
        let mut waiting = locked(&self.waiting);
        let needed = charge(message.len());
        let mut dropped = 0;
        while waiting.charged.saturating_add(needed) > self.limit_bytes {
            match self.lane {
                Lane::Bulk => return Pushed::Refused,
                Lane::Urgent => match waiting.take_oldest() {
                    Some(_) => dropped += 1,
                    None => return Pushed::Refused,
                },
            }
        }
        waiting.charged += needed;
        waiting.messages.push_back(message);
        drop(waiting);
        self.pushed.notify_one();
        Pushed::Queued { dropped }
    }

    /// Whether a message of `bytes` fits.
    pub(super) fn has_room_for(&self, bytes: usize) -> bool {
        locked(&self.waiting).charged.saturating_add(charge(bytes)) <= self.limit_bytes
    }

    /// The oldest message, as soon as there is one. Meant for one task; nothing is lost if it is cancelled.
    pub(super) async fn pop(&self) -> Bytes {
        loop {
            if let Some(message) = locked(&self.waiting).take_oldest() {
                return message;
            }
            self.pushed.notified().await;
        }
    }

    /// Messages that wait, and what they are charged in bytes.
    pub(super) fn len_and_bytes(&self) -> (usize, usize) {
        let waiting = locked(&self.waiting);
        (waiting.messages.len(), waiting.charged)
    }
}

impl Waiting {
    fn take_oldest(&mut self) -> Option<Bytes> {
        let message = self.messages.pop_front()?;
        self.charged -= charge(message.len());
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Room for two messages of ten bytes, each charged 74.
    const ROOM_FOR_TWO: usize = 150;

    fn message(fill: u8) -> Bytes {
        Bytes::from(vec![fill; 10])
    }

    #[tokio::test]
    async fn a_full_urgent_queue_drops_its_oldest_message() {
        let queue = SendQueue::new(Lane::Urgent, ROOM_FOR_TWO);
        assert_eq!(queue.push(message(1)), Pushed::Queued { dropped: 0 });
        assert_eq!(queue.push(message(2)), Pushed::Queued { dropped: 0 });
        assert_eq!(queue.push(message(3)), Pushed::Queued { dropped: 1 });
        assert_eq!(queue.len_and_bytes(), (2, 148));
        assert_eq!([queue.pop().await, queue.pop().await], [message(2), message(3)]);
        assert_eq!(queue.len_and_bytes(), (0, 0));
    }

    #[tokio::test]
    async fn a_full_bulk_queue_refuses_the_newest_message() {
        let queue = SendQueue::new(Lane::Bulk, ROOM_FOR_TWO);
        assert_eq!(queue.push(message(1)), Pushed::Queued { dropped: 0 });
        assert_eq!(queue.push(message(2)), Pushed::Queued { dropped: 0 });
        assert_eq!(queue.push(message(3)), Pushed::Refused);
        assert_eq!([queue.pop().await, queue.pop().await], [message(1), message(2)]);
    }

    #[tokio::test]
    async fn a_waiting_sender_is_woken_by_the_next_message() {
        let queue = std::sync::Arc::new(SendQueue::new(Lane::Bulk, ROOM_FOR_TWO));
        let sender = tokio::spawn({
            let queue = queue.clone();
            async move { queue.pop().await }
        });
        tokio::task::yield_now().await;
        queue.push(message(7));
        assert_eq!(sender.await.unwrap(), message(7));
    }
}
