//! Serves final batches to peers that lack them, on a thread of its own: the node's task neither reads nor waits for
//! what others ask of its store.
//!
//! Asking costs a peer nothing, so answering is bounded: one answer a peer at a time, none for a peer that has not read
//! the last one, and a rest after each that is as long as the work. Whoever asks how often, at most half of one core
//! goes into it.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use chain::store::FinalBatches;
use chain::{Height, PublicKey, StoreError};
use miner_node::{MESSAGE_BYTES, Message};
use tokio::sync::mpsc::UnboundedSender;

use crate::transport::Transport;

/// Requests that wait for the thread. More than there are connections at a time, and each has one at most; only who
/// comes and goes all the time meets this limit.
const REQUESTS_WAITING: usize = 128;

/// What a peer wants to have.
#[derive(Clone, Copy, Debug)]
struct Request {
    peer: PublicKey,
    from: Height,
    /// The last height that is durable here.
    through: Height,
}

/// The driver's end.
#[derive(Debug)]
pub(super) struct Serving {
    requests: SyncSender<Request>,
    /// Says whose answer is done.
    done: UnboundedSender<PublicKey>,
    in_flight: BTreeSet<PublicKey>,
    thread: JoinHandle<()>,
}

impl Serving {
    /// Starts the thread. Of each peer that is served, `done` hears when its answer is queued or is not to be.
    ///
    /// # Errors
    /// If there is no thread for it.
    pub(super) fn start(
        batches: FinalBatches,
        transport: Transport,
        done: UnboundedSender<PublicKey>,
    ) -> Result<Self> {
        let (requests, asked) = sync_channel(REQUESTS_WAITING);
        let thread = std::thread::Builder::new().name("serving".into());
        let thread = thread
            .spawn({
                let done = done.clone();
                move || serve(&batches, &transport, &asked, &done)
            })
            .context("cannot start the thread that serves final batches")?;
        Ok(Self { requests, done, in_flight: BTreeSet::new(), thread })
    }

    /// Has a peer answered with what is stored from a height on. While an answer to it is under way nothing further
    /// is begun; the end of that one counts for both.
    pub(super) fn serve(&mut self, peer: PublicKey, from: Height, through: Height) {
        if !self.in_flight.insert(peer) {
            return;
        }
        if let Err(error) = self.requests.try_send(Request { peer, from, through }) {
            tracing::debug!(%peer, %error, "a request for final batches is left unanswered");
            let _ = self.done.send(peer); // the driver is who listens
        }
    }

    /// A peer's answer is done.
    pub(super) fn note_done(&mut self, peer: &PublicKey) {
        self.in_flight.remove(peer);
    }

    /// Waits for the end of the thread. The transport must be shut down before: nobody is served then.
    pub(super) fn finish(self) {
        drop(self.requests);
        if self.thread.join().is_err() {
            tracing::error!("the thread that serves final batches panicked");
        }
    }
}

/// The thread: answers one request after another until the driver is gone.
fn serve(
    batches: &FinalBatches,
    transport: &Transport,
    asked: &Receiver<Request>,
    done: &UnboundedSender<PublicKey>,
) {
    let mut last_error: Option<StoreError> = None;
    for request in asked {
        let begun = Instant::now();
        if let Err(error) = answer(batches, transport, request)
            && last_error.as_ref() != Some(&error)
        {
            // A chain that cannot be read is no reason to stop, nor to repeat this as often as peers ask.
            tracing::error!(%error, "final batches cannot be read and are not sent");
            last_error = Some(error);
        }
        let _ = done.send(request.peer); // a driver that is gone needs no word
        std::thread::sleep(begun.elapsed());
    }
}

fn answer(batches: &FinalBatches, transport: &Transport, request: Request) -> Result<(), StoreError> {
    let Request { peer, from, through } = request;
    if !transport.has_room_for(&peer, MESSAGE_BYTES) {
        tracing::debug!(%peer, "no final batches for a peer that is gone or has not read what was sent before");
        return Ok(());
    }
    let read = |height| if height <= through { batches.encoded(height) } else { Ok(None) };
    let message = Message::encode_final(from, read)?;
    if let Err(error) = transport.send(&peer, Bytes::from(message)) {
        tracing::debug!(%peer, %error, "final batches were not sent");
    }
    Ok(())
}
