//! Answers clients: what they ask from the last snapshot and from history; what they order is passed on to the node.
//!
//! All of it, from parsing a request to writing its answer, happens on a thread of its own: no question comes near the
//! node's task, nor takes a thread from it.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Context as _, Result};
use chain::{BlockHash, Record, RecordId};
use coordinator_free_pool::PoolRejection;
use miner_api::request::Submit;
use miner_api::views::{self, MarketStatus, Refusal};
use miner_api::{Ask, Request, RequestError, Snapshot, Submitted};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::sync::{Mutex, mpsc, oneshot, watch};

use super::WallClock;
use super::historian::HistoryReader;
use crate::control::{Answered, ControlServer};

/// What became of each record of a submission.
pub(super) type Outcomes = Vec<Result<RecordId, PoolRejection>>;

/// What a client wants of the node itself, and where to say that it is done.
#[derive(Debug)]
pub(super) enum Order {
    Submit(Vec<Record>, oneshot::Sender<Outcomes>),
    StartMining(oneshot::Sender<()>),
    PauseMining(oneshot::Sender<()>),
    Stop(oneshot::Sender<()>),
}

/// Whatever answers need.
#[derive(Clone, Debug)]
pub(super) struct Queries {
    pub(super) clock: WallClock,
    pub(super) snapshots: watch::Receiver<Arc<Snapshot>>,
    pub(super) history: HistoryReader,
    pub(super) orders: mpsc::Sender<Order>,
    /// The market at the last head somebody asked about: its bound takes a shortest path per demand.
    pub(super) market: Arc<Mutex<Option<(BlockHash, MarketStatus)>>>,
}

/// A control socket that nobody answers on yet, and the runtime that will.
#[derive(Debug)]
pub(super) struct Listening {
    runtime: Runtime,
    control: ControlServer<Request, Value>,
}

/// The thread on which clients are answered.
#[derive(Debug)]
pub(super) struct Answering {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// Listens at `path`.
///
/// # Errors
/// If a node is already running there, or the socket cannot be made.
pub(super) fn listen(path: &Path) -> Result<Listening> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let control = {
        let _on_it = runtime.enter();
        ControlServer::bind(path)?
    };
    Ok(Listening { runtime, control })
}

impl Listening {
    /// Answers clients from now on.
    ///
    /// # Errors
    /// If there is no thread for it.
    pub(super) fn answer(self, queries: Queries) -> Result<Answering> {
        let Self { runtime, control } = self;
        let (stop, stopped) = oneshot::channel();
        let serve = move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve(control, queries) => {}
                    // Told to, or the driver is gone.
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("clients".into()).spawn(serve);
        Ok(Answering { stop, thread: thread.context("cannot start the thread that answers clients")? })
    }
}

impl Answering {
    /// Closes every connection and removes the socket.
    pub(super) fn finish(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            tracing::error!("the thread that answers clients panicked");
        }
    }
}

/// Answers commands until the socket fails. How many ask at once is limited by the socket.
async fn serve(mut control: ControlServer<Request, Value>, queries: Queries) {
    while let Some((request, reply)) = control.recv().await {
        let queries = queries.clone();
        tokio::spawn(async move {
            // A client that has hung up needs no answer.
            let _ = reply.send(queries.answer(request).await);
        });
    }
}

impl Queries {
    async fn answer(&self, request: Request) -> Answered<Value> {
        match request {
            Request::Status(ask) => written(&ask, Ok(self.snapshot().status(self.clock.now_ms()))),
            Request::Market(ask) => written(&ask, Ok(views::market_facts(&self.snapshot()))),
            Request::MarketStatus(ask) => written(&ask, self.market_status().await),
            Request::Account(ask) => written(&ask, Ok(views::account(&self.snapshot(), ask.address))),
            Request::Records(ask) => {
                let (snapshot, ids) = (self.snapshot(), ask.ids.clone());
                let view = self.history.ask(move |history| views::records(&snapshot, history, &ids));
                written(&ask, view.await.map_err(Into::into))
            }
            Request::Demands(ask) => {
                let (snapshot, ids) = (self.snapshot(), ask.ids.clone());
                let view = self.history.ask(move |history| views::demands(&snapshot, history, &ids));
                written(&ask, view.await.map_err(Into::into))
            }
            Request::Submit(ask) => written(&ask, self.submit(&ask).await),
            Request::StartMining(ask) => written(&ask, self.order(Order::StartMining).await),
            Request::PauseMining(ask) => written(&ask, self.order(Order::PauseMining).await),
            Request::Stop(ask) => written(&ask, self.order(Order::Stop).await),
        }
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshots.borrow())
    }

    /// Computed once per head, whoever asks how often: the others wait for that.
    async fn market_status(&self) -> Answered<MarketStatus> {
        let mut known = self.market.lock().await;
        let snapshot = self.snapshot();
        let (head, height) = (snapshot.ledger.head().hash, snapshot.height());
        if let Some((_, status)) = known.as_ref().filter(|(of, _)| *of == head) {
            return Ok(status.clone());
        }
        let totals = self.history.ask(move |history| history.totals_at(height)).await?;
        let status = tokio::task::spawn_blocking(move || MarketStatus::of(&snapshot.ledger, &totals));
        let status = status.await.map_err(|_gone| RequestError::ShuttingDown)?;
        *known = Some((head, status.clone()));
        Ok(status)
    }

    async fn submit(&self, ask: &Submit) -> Answered<Submitted> {
        let records = ask.records.clone();
        let outcomes = self.order(|reply| Order::Submit(records, reply)).await?;
        let of_record = |(record, outcome): (&Record, Result<RecordId, PoolRejection>)| {
            outcome.map_err(|rejection| Refusal::new(record.id(), &rejection))
        };
        Ok(Submitted { outcomes: ask.records.iter().zip(outcomes).map(of_record).collect() })
    }

    /// Has the node do something, and waits until snapshots show it.
    async fn order<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Answered<T> {
        let (reply, done) = oneshot::channel();
        self.orders.send(order(reply)).await.map_err(|_gone| RequestError::ShuttingDown)?;
        done.await.map_err(|_gone| RequestError::ShuttingDown)
    }
}

/// An answer of the type its request has.
fn written<A: Ask>(_: &A, answer: Answered<A::Answer>) -> Answered<Value> {
    serde_json::to_value(answer?).map_err(|error| RequestError::Unwritable { message: error.to_string() })
}
