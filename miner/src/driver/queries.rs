//! Answers clients: what they ask from the last snapshot and from history; what they order is passed on to the node.
//!
//! All of it, from parsing a request to writing its answer, happens on a thread of its own: no question comes near the
//! node's task, nor takes a thread from it.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Context as _, Result};
use chain::{BatchHash, Record, RecordId};
use coordinator_free_pool::PoolRejection;
use miner_api::request::{GetDemands, GetRecords, IDS_MAX, Submit};
use miner_api::views::{self, DemandReport, MarketStatus, RecordStanding, Refusal};
use miner_api::{Ask, Request, RequestError, Snapshot, Submitted};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::sync::{Mutex, mpsc, oneshot, watch};

use super::historian::HistoryReader;
use super::wall_ms;
use crate::control::{Answered, ControlServer};

/// Records that the node takes in at once: some ten milliseconds, most of them for signatures.
const RECORDS_PER_ORDER: usize = 128;

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
    pub(super) snapshots: watch::Receiver<Arc<Snapshot>>,
    pub(super) history: HistoryReader,
    pub(super) orders: mpsc::Sender<Order>,
    /// The market at the last head somebody asked about: its bound takes a shortest path per demand.
    pub(super) market: Arc<Mutex<Option<(BatchHash, MarketStatus)>>>,
    /// Held by whoever looks for reasons.
    pub(super) explaining: Arc<Mutex<()>>,
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
            Request::Status(ask) => written(&ask, Ok(self.snapshot().status(wall_ms()))),
            Request::Market(ask) => written(&ask, Ok(views::market_facts(&self.snapshot()))),
            Request::MarketStatus(ask) => written(&ask, self.market_status().await),
            Request::Account(ask) => written(&ask, Ok(views::account(&self.snapshot(), ask.address))),
            Request::Records(ask) => written(&ask, self.records(&ask).await),
            Request::Demands(ask) => written(&ask, self.demands(&ask).await),
            Request::Submit(ask) => written(&ask, self.submit(&ask).await),
            Request::StartMining(ask) => written(&ask, self.order(Order::StartMining).await),
            Request::PauseMining(ask) => written(&ask, self.order(Order::PauseMining).await),
            Request::Stop(ask) => written(&ask, self.order(Order::Stop).await),
        }
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshots.borrow())
    }

    async fn records(&self, ask: &GetRecords) -> Answered<Vec<RecordStanding>> {
        let ids = few(&ask.ids)?;
        let snapshot = self.snapshot();
        Ok(self.history.ask(move |history| views::records(&snapshot, history, &ids)).await?)
    }

    /// The history says where they stand; why some are unserved is found out beside it, for one client at a time.
    async fn demands(&self, ask: &GetDemands) -> Answered<Vec<DemandReport>> {
        let ids = few(&ask.ids)?;
        let snapshot = self.snapshot();
        let ledger = Arc::clone(&snapshot.ledger);
        let mut found = self.history.ask(move |history| views::demands(&snapshot, history, &ids)).await?;
        let _one_at_a_time = self.explaining.lock().await;
        beside(move || {
            views::explain(&ledger, &mut found);
            found
        })
        .await
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
        let status = beside(move || MarketStatus::of(&snapshot.ledger, &totals)).await?;
        *known = Some((head, status.clone()));
        Ok(status)
    }

    /// In pieces: the node does not look at signatures for long without looking up.
    async fn submit(&self, ask: &Submit) -> Answered<Submitted> {
        let mut outcomes = Vec::with_capacity(ask.records.len());
        for records in ask.records.chunks(RECORDS_PER_ORDER) {
            let records = records.to_vec();
            outcomes.extend(self.order(|reply| Order::Submit(records, reply)).await?);
        }
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

/// The ids of a question, if they are not too many.
fn few<Id: Clone>(ids: &[Id]) -> Result<Vec<Id>, RequestError> {
    let (got, limit) = (ids.len(), IDS_MAX);
    if got > limit { Err(RequestError::TooMany { got, limit }) } else { Ok(ids.to_vec()) }
}

/// What takes more than a moment, on a thread where no other client waits for it.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, RequestError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| RequestError::Broken { message: error.to_string() })
}

/// An answer of the type its request has.
fn written<A: Ask>(_: &A, answer: Answered<A::Answer>) -> Answered<Value> {
    serde_json::to_value(answer?).map_err(|error| RequestError::Unwritable { message: error.to_string() })
}

#[cfg(test)]
mod tests {
    use chain::consensus::SafetyLog;
    use chain::genesis::scenario_demand_records;
    use chain::{Genesis, Hash, Ledger, Network, SecretKey};
    use coordinator_free_pool::PoolLimits;
    use miner_node::{Node, NodeConfig, Now, Recovered, Timing};
    use scenarios::Scenario;
    use scenarios::generate::{GenerateParameters, generate};

    use super::*;
    use crate::driver::historian::Historian;

    /// The thread's end of a node that is played by the test, the node's end, and the node's history.
    fn queries(directory: &Path) -> (Queries, mpsc::Receiver<Order>, Historian) {
        let instance = generate(&GenerateParameters::tehran(1, true).unwrap()).unwrap().instance;
        let scenario = Scenario::of_instance("asked", instance);
        let key = SecretKey::for_scenario(1, "asked", 0);
        let (profile, validators) = (scenario.search.profile, vec![key.public()]);
        let genesis = Genesis::of_scenario(&scenario, profile, 1, validators, 1, 1_000);
        let network = Arc::new(Network::new(genesis).unwrap());
        let historian = Historian::start(directory, network.id()).unwrap();
        let memory = Recovered {
            ledger: Ledger::new(network),
            safety: Some(SafetyLog::new(0)),
            candidates: Vec::new(),
            records: Vec::new(),
            sealed: Vec::new(),
        };
        let (mining, timing, pool) = (None, Timing::default(), PoolLimits::default());
        let (node, _) = Node::new(NodeConfig { key, mining, timing, pool }, memory, Now::at(2_000));
        let (_, snapshots) = watch::channel(Arc::new(Snapshot::take(&node, 2_000, None)));
        let (orders, receiver) = mpsc::channel(1);
        let queries = Queries {
            snapshots,
            history: historian.reader(),
            orders,
            market: Arc::default(),
            explaining: Arc::default(),
        };
        (queries, receiver, historian)
    }

    #[tokio::test]
    async fn a_long_submission_reaches_the_node_in_pieces_and_is_answered_as_one() {
        let directory = tempfile::tempdir().unwrap();
        let (queries, mut orders, historian) = queries(directory.path());
        let instance = generate(&GenerateParameters::tehran(3, true).unwrap()).unwrap().instance;
        let network = queries.snapshot().ledger.network().id();
        let records = scenario_demand_records(&instance, network, 1, 4_000, 2_000);
        assert_eq!(records.len(), 140);
        let ids: Vec<_> = records.iter().map(|record| Ok(record.id())).collect();
        let node = tokio::spawn(async move {
            let mut pieces = Vec::new();
            while let Some(Order::Submit(records, reply)) = orders.recv().await {
                pieces.push(records.len());
                reply.send(records.iter().map(|record| Ok(record.id())).collect()).unwrap();
            }
            pieces
        });
        let submitted = queries.submit(&Submit { records }).await.unwrap();
        assert_eq!(submitted.outcomes, ids);
        drop(queries);
        assert_eq!(node.await.unwrap(), [128, 12]);
        historian.finish();
    }

    #[tokio::test]
    async fn a_question_about_too_many_is_refused_with_the_limit() {
        let directory = tempfile::tempdir().unwrap();
        let (queries, _orders, historian) = queries(directory.path());
        let ids = |count| vec![RecordId(Hash([1; 32])); count];
        let refused = RequestError::TooMany { got: 1_001, limit: 1_000 };
        assert_eq!(queries.records(&GetRecords { ids: ids(1_001) }).await, Err(refused.clone()));
        assert_eq!(queries.demands(&GetDemands { ids: ids(1_001) }).await, Err(refused));
        assert_eq!(queries.records(&GetRecords { ids: ids(1_000) }).await.unwrap().len(), 1_000);
        assert_eq!(queries.demands(&GetDemands { ids: ids(1_000) }).await.unwrap().len(), 1_000);
        historian.finish();
    }
}
