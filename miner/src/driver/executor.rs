//! The thread that executes final batches, one after the other, while the node votes and listens.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use anyhow::{Context as _, Result};
use chain::FinalBatch;
use chain::ledger::Defect;
use chain::validate::DecidedBatch;
use tokio::sync::mpsc::UnboundedSender;

use super::worker::message_of;

/// What came of an execution; outermost, why it panicked.
pub(super) type Executed = Result<Box<Result<FinalBatch, Defect>>, String>;

/// The driver's end.
#[derive(Debug)]
pub(super) struct Executor {
    batches: Sender<Box<DecidedBatch>>,
    thread: JoinHandle<()>,
}

impl Executor {
    /// Starts the thread, which says to `executed` what came of each batch.
    ///
    /// # Errors
    /// If there is no thread for it.
    pub(super) fn start(executed: UnboundedSender<Executed>) -> Result<Self> {
        let (batches, given) = channel();
        let thread = std::thread::Builder::new().name("execution".into());
        let thread = thread
            .spawn(move || execute(&given, &executed))
            .context("cannot start the thread of execution")?;
        Ok(Self { batches, thread })
    }

    /// Gives it the next batch.
    pub(super) fn execute(&self, decided: Box<DecidedBatch>) {
        if self.batches.send(decided).is_err() {
            tracing::debug!("the thread of execution has ended");
        }
    }

    /// Waits until the batch that is under way is done with.
    pub(super) fn finish(self) {
        drop(self.batches);
        if self.thread.join().is_err() {
            tracing::error!("the thread of execution panicked");
        }
    }
}

fn execute(given: &Receiver<Box<DecidedBatch>>, executed: &UnboundedSender<Executed>) {
    while let Ok(decided) = given.recv() {
        let outcome = catch_unwind(AssertUnwindSafe(|| decided.execute()));
        let outcome = outcome.map(Box::new).map_err(|panic| message_of(panic.as_ref()));
        if executed.send(outcome).is_err() {
            return; // the driver is gone
        }
    }
}
