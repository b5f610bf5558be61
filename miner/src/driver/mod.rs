//! Runs a node in the real world: QUIC, sled, threads and the clock around [`miner_node::Node`].
//!
//! One task owns the node and its store and handles one thing at a time; what the node asks for is carried
//! out in order, so that whatever is to be durable is on disk before anything that follows it is sent. Clients are
//! answered beside it (`queries`), from the snapshots it publishes and from the history (`historian`), and peers that
//! lack final batches from the store (`serving`).

mod bootstrap;
mod chatter;
mod clock;
mod config;
mod executor;
mod historian;
mod queries;
mod serving;
mod sources;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use chain::ledger::Defect;
use chain::store::{Store, Write};
use chain::{FinalBatch, Network, PublicKey};
use coordinator_free_pool::PoolLimits;
use miner_api::Snapshot;
use miner_api::views::Refusal;
use tokio::io::AsyncReadExt as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{channel, unbounded_channel};
use tokio::sync::watch;

use crate::storage::StoreDirectory;
use crate::transport::{Transport, TransportConfig, TransportEvent, TransportLimits};
use miner_node::{
    Command, Effect, Input, MESSAGE_BYTES, Message, MovedAside, Node, NodeConfig, NodeEvent, Opened,
    Recovered, SubmissionId, Testimony, Timer, Voting, open_store,
};

pub use bootstrap::{BootstrapPeer, BootstrapPeerError};
pub use clock::{thread_cpu_micros, wall_ms};
pub use config::{NodeFile, read_key, write_key};
pub use worker::{pool_cpu_micros, search_on_threads};

use bootstrap::Bootstrap;
use chatter::{Chatter, is_anybodys};
use clock::Clock;
use executor::Executor;
use historian::Historian;
use queries::{Answering, Order, Outcomes, Queries};
use serving::Serving;
use sources::{Occurrence, Sources};
use worker::Workers;

/// Between two snapshots, unless a batch becomes final or an order is carried out.
const SNAPSHOT_INTERVAL: Duration = Duration::from_millis(50);
/// The longest sleep, whatever is set.
const IDLE: Duration = Duration::from_secs(1);
/// Orders that wait for the node; more wait with their clients.
const ORDERS_WAITING: usize = 16;

/// How a node is run, beside its configuration.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunOptions {
    /// Write every [`NodeEvent`] to stdout as a line of JSON.
    pub events_on_stdout: bool,
    /// Stop when stdin ends: a parent that dies takes its nodes with it.
    pub stop_with_stdin: bool,
    /// What is said about this validator's past.
    pub testimony: Testimony,
}

/// Runs one node until it is told to stop. Must be called within a tokio runtime.
///
/// # Errors
/// If it cannot start, or its disk fails.
pub async fn run(file: NodeFile, options: RunOptions) -> Result<()> {
    let mut driver = Driver::start(file, options)?;
    let outcome = driver.work().await;
    Box::pin(driver.finish()).await;
    outcome
}

/// A running node.
struct Driver {
    file: NodeFile,
    options: RunOptions,
    clock: Clock,
    node: Node,
    store: Store,
    transport: Transport,
    sources: Sources,
    workers: Workers,
    historian: Historian,
    serving: Serving,
    executor: Executor,
    /// A final batch that was executed at once.
    executed: Option<Box<std::result::Result<FinalBatch, Defect>>>,
    /// Readers look at the last one.
    snapshots: watch::Sender<Arc<Snapshot>>,
    published: Instant,
    /// Whether anything has happened since.
    is_stale: bool,
    submissions: u64,
    /// What became of a submission that is being carried out.
    outcomes: BTreeMap<SubmissionId, Outcomes>,
    answering: Answering,
    timers: BTreeMap<Timer, u64>,
    /// Connected peers, and where they are.
    connected: BTreeMap<PublicKey, SocketAddr>,
    bootstrap: Bootstrap,
    chatter: Chatter,
    is_stopping: bool,
}

impl Driver {
    fn start(file: NodeFile, options: RunOptions) -> Result<Self> {
        let network = Arc::new(file.network()?);
        let key = file.key()?;
        std::fs::create_dir_all(&file.data_dir)
            .with_context(|| format!("cannot create the data directory {}", file.data_dir.display()))?;
        let clock = Clock::start();
        let mut historian = Historian::start(&file.history_dir(), network.id())?;
        let store_directory = file.store_dir();
        let mut medium = StoreDirectory::new(&store_directory);
        let opened = open_store(&mut medium, &network, key.public(), options.testimony, |store| {
            historian.begin(store)?;
            Recovered::recall_with(store, &network, |done| historian.catch_up(done))
        });
        let Opened { store, recovered, moved_aside } =
            opened.with_context(|| format!("the store in {}", store_directory.display()))?;
        if let Some(MovedAside { to, reason }) = moved_aside {
            tracing::error!(%reason, moved_to = %to, "the store is damaged: starting anew");
        }
        let (transport, transport_events) = Transport::bind(TransportConfig {
            listen: file.listen,
            key: key.clone(),
            network: network.id(),
            allow_list: file.allow_list.clone(),
            reserved: reserved_keys(&file, &network),
            limits: transport_limits(),
        })?;
        let (served_sender, served) = unbounded_channel();
        let batches = store.final_batches().context("the store cannot be read beside the node")?;
        let serving = Serving::start(batches, transport.clone(), served_sender)?;
        let listening = queries::listen(&file.control_socket())?;
        let config =
            NodeConfig { key, mining: file.mining, timing: file.timing, pool: PoolLimits::default() };
        let (node, effects) = Node::new(config, recovered, clock.now());
        let voting = node.status(clock.now().wall_ms).voting;
        if matches!(voting, Voting::From { .. } | Voting::Forgotten) {
            tracing::warn!("this validator {voting}");
        }
        let (sender, reports) = unbounded_channel();
        let (executed_sender, executed) = unbounded_channel();
        let (snapshots, readers) = watch::channel(Arc::new(Snapshot::take(&node, wall_ms(), None)));
        let (order_sender, orders) = channel(ORDERS_WAITING);
        let queries = Queries {
            snapshots: readers,
            history: historian.reader(),
            orders: order_sender,
            market: Arc::default(),
            explaining: Arc::default(),
        };
        let mut driver = Self {
            bootstrap: Bootstrap::new(file.bootstrap_peers.clone()),
            workers: Workers::new(file.threads, sender),
            file,
            options,
            clock,
            node,
            store,
            transport,
            sources: Sources::new(transport_events, reports, orders, served, executed),
            historian,
            serving,
            executor: Executor::start(executed_sender)?,
            executed: None,
            snapshots,
            published: Instant::now(),
            is_stale: true,
            submissions: 0,
            outcomes: BTreeMap::new(),
            answering: listening.answer(queries)?,
            timers: BTreeMap::new(),
            connected: BTreeMap::new(),
            chatter: Chatter::default(),
            is_stopping: false,
        };
        driver.carry_out(effects)?;
        driver.announce_start()?;
        Ok(driver)
    }

    /// Tells where this node listens, and lets the node begin.
    fn announce_start(&mut self) -> Result<()> {
        let local = self.transport.local_addr();
        tracing::info!(address = %local, key = %self.node.key(), "listening");
        let advertised = &self.file.advertise;
        let addresses = if advertised.is_empty() { vec![local] } else { advertised.clone() };
        if self.options.events_on_stdout {
            let line = serde_json::json!({ "event": "listening", "address": local, "node": self.node.key() });
            print_line(&line.to_string())?;
        }
        self.handle(Input::Start { addresses })
    }

    /// The only place where a node waits for the world.
    async fn work(&mut self) -> Result<()> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut stdin = tokio::io::stdin();
        let mut stdin_byte = [0_u8];
        while !self.is_stopping {
            self.fire_timers()?;
            self.bootstrap.dial_if_due(&self.transport, &self.connected);
            self.publish_if_due();
            let wake = self.next_wake();
            tokio::select! {
                biased;
                _ = interrupt.recv() => break,
                _ = terminate.recv() => break,
                read = stdin.read(&mut stdin_byte), if self.options.stop_with_stdin => {
                    if read.unwrap_or(0) == 0 {
                        break;
                    }
                }
                occurrence = self.sources.next() => self.on_occurrence(occurrence)?,
                () = tokio::time::sleep_until(wake.into()) => {}
            }
        }
        self.handle(Input::Command(Command::Stop))
    }

    async fn finish(mut self) {
        self.workers.cancel_all();
        self.transport.shutdown().await;
        self.serving.finish();
        self.executor.finish();
        self.answering.finish();
        self.historian.finish();
    }

    fn handle(&mut self, input: Input) -> Result<()> {
        let mut next = Some(input);
        while let Some(input) = next {
            let mut effects = Vec::new();
            self.node.handle(self.clock.now(), input, &mut effects);
            self.is_stale = true;
            self.carry_out(effects)?;
            next = self.executed.take().map(Input::Executed);
        }
        Ok(())
    }

    fn on_occurrence(&mut self, occurrence: Occurrence) -> Result<()> {
        match occurrence {
            Occurrence::Transport(event) => self.on_transport(event),
            Occurrence::Work(id, report) => self.handle(Input::Work { id, report }),
            Occurrence::Order(order) => self.on_order(order),
            Occurrence::Served(peer) => {
                self.serving.note_done(&peer);
                self.handle(Input::FinalSent { peer })
            }
            Occurrence::Executed(executed) => match executed {
                Ok(executed) => self.handle(Input::Executed(executed)),
                Err(reason) => bail!("executing a final batch panicked: {reason}; please report this"),
            },
            Occurrence::End => {
                self.is_stopping = true;
                Ok(())
            }
        }
    }

    // ---- clients ----

    /// Does what a client orders, and says so once snapshots show it.
    fn on_order(&mut self, order: Order) -> Result<()> {
        // A client that has hung up needs no answer.
        match order {
            Order::Submit(records, reply) => {
                self.submissions += 1;
                let reply_to = SubmissionId(self.submissions);
                self.handle(Input::Command(Command::Submit { records, reply_to }))?;
                self.publish();
                if let Some(outcomes) = self.outcomes.remove(&reply_to) {
                    let _ = reply.send(outcomes);
                }
            }
            Order::StartMining(reply) => {
                self.handle(Input::Command(Command::StartMining))?;
                self.publish();
                let _ = reply.send(());
            }
            Order::PauseMining(reply) => {
                self.handle(Input::Command(Command::PauseMining))?;
                self.publish();
                let _ = reply.send(());
            }
            Order::Stop(reply) => {
                self.is_stopping = true;
                let _ = reply.send(());
            }
        }
        Ok(())
    }

    fn publish(&mut self) {
        let last = Arc::clone(&self.snapshots.borrow());
        let snapshot = Snapshot::take(&self.node, wall_ms(), Some(&last));
        self.snapshots.send_replace(Arc::new(snapshot));
        self.published = Instant::now();
        self.is_stale = false;
    }

    fn publish_if_due(&mut self) {
        let is_head_new = self.snapshots.borrow().ledger.head().hash != self.node.ledger().head().hash;
        if is_head_new || (self.is_stale && self.published.elapsed() >= SNAPSHOT_INTERVAL) {
            self.publish();
        }
    }

    fn on_transport(&mut self, event: TransportEvent) -> Result<()> {
        match event {
            TransportEvent::Connected { peer, address, outbound } => {
                self.bootstrap.note_connected(address, outbound);
                self.connected.insert(peer, address);
                self.handle(Input::PeerUp { peer, address: address.ip() })
            }
            TransportEvent::Disconnected { peer, reason } => {
                self.connected.remove(&peer);
                self.handle(Input::PeerDown { peer, reason: reason.to_string() })
            }
            TransportEvent::Message { peer, bytes } => {
                self.handle(Input::Message { peer, bytes: bytes.into() })
            }
            TransportEvent::DialFailed { address, reason } => {
                self.bootstrap.note_failure(address, &reason);
                self.handle(Input::DialFailed { address })
            }
        }
    }

    /// When the next timer fires or a snapshot is due.
    fn next_wake(&self) -> Instant {
        let idle = (Instant::now() + IDLE).min(self.bootstrap.due());
        let next = self.timers.values().min().and_then(|&at_ms| self.clock.instant_of(at_ms));
        let wake = next.map_or(idle, |timer| timer.min(idle));
        if self.is_stale { wake.min(self.published + SNAPSHOT_INTERVAL) } else { wake }
    }

    /// Fires what is due, each timer once: also when the machine was stopped for long, or a timer is set anew to what is
    /// past.
    fn fire_timers(&mut self) -> Result<()> {
        let now = self.clock.now().monotonic_ms;
        let due: Vec<Timer> =
            self.timers.iter().filter(|&(_, &at)| at <= now).map(|(&timer, _)| timer).collect();
        for timer in due {
            self.timers.remove(&timer);
            self.handle(Input::Timer(timer))?;
        }
        Ok(())
    }

    // ---- effects ----

    fn carry_out(&mut self, effects: Vec<Effect>) -> Result<()> {
        let mut effects = effects.into_iter().peekable();
        while let Some(effect) = effects.next() {
            match effect {
                Effect::Send { peer, message } => self.send(peer, &message),
                Effect::Broadcast(message) => self.broadcast(&message),
                Effect::SendFinal { peer, from } => self.serving.serve(peer, from, self.store.height()),
                Effect::Disconnect { peer, reason } => self.transport.disconnect(&peer, reason),
                Effect::Dial { address, expected } => {
                    if let Err(error) = self.transport.connect(address, Some(expected)) {
                        tracing::trace!(%address, %error, "a known node was not dialled");
                    }
                }
                Effect::SetTimer { timer, at_ms } => {
                    self.timers.insert(timer, at_ms);
                }
                Effect::Persist(write) => {
                    // A run of writes is one commit: a thousand records wait for the disk once.
                    let mut writes = vec![write];
                    let is_write = |effect: &Effect| matches!(effect, Effect::Persist(_));
                    while let Some(Effect::Persist(write)) = effects.next_if(is_write) {
                        writes.push(write);
                    }
                    self.persist(&writes)?;
                }
                Effect::Execute(decided) if decided.composes() => self.executor.execute(decided),
                // Two changes of threads would take longer, where many nodes share a processor.
                Effect::Execute(decided) => self.executed = Some(Box::new(decided.execute())),
                Effect::StartWork { id, work } => self.workers.start(id, *work),
                Effect::AdaptWork { id, adaptation } => self.workers.adapt(id, adaptation),
                Effect::CancelWork(id) => self.workers.cancel(id),
                Effect::Submitted { reply_to, outcomes } => {
                    self.outcomes.insert(reply_to, outcomes);
                }
                Effect::Final { batch, report } => self.historian.take(batch, report),
                Effect::Event(event) => self.tell(&event)?,
            }
        }
        Ok(())
    }

    fn persist(&mut self, writes: &[Write]) -> Result<()> {
        let directory = self.file.store_dir();
        tokio::task::block_in_place(|| self.store.write(writes)).with_context(|| {
            format!(
                "the store in {} could not be written; nothing that depends on it was sent. Check the disk, then \
                 start the node again: it goes on where it was",
                directory.display()
            )
        })
    }

    fn send(&self, peer: PublicKey, message: &Message) {
        self.send_bytes(peer, message.kind(), Bytes::from(message.encode()));
    }

    fn broadcast(&self, message: &Message) {
        let bytes = Bytes::from(message.encode());
        for &peer in self.connected.keys() {
            self.send_bytes(peer, message.kind(), bytes.clone());
        }
    }

    /// What cannot be sent is sent again by the node's own anti-entropy.
    fn send_bytes(&self, peer: PublicKey, kind: &str, bytes: Bytes) {
        if let Err(error) = self.transport.send(&peer, bytes) {
            tracing::debug!(%peer, kind, %error, "a message was not sent");
        }
    }

    fn tell(&mut self, event: &NodeEvent) -> Result<()> {
        if let NodeEvent::RecordRefused { record: Some(record), rule, reason } = event {
            let (record, rule, reason) = (*record, *rule, reason.clone());
            self.historian.note_refusal(Refusal { record, rule, reason });
        }
        if let NodeEvent::LocalFault { detail } = event {
            tracing::error!("{detail}");
        } else if let NodeEvent::ForgottenVote { height, round } = event {
            tracing::error!(
                height,
                round,
                "a vote of this validator came back that its store knows nothing of: it votes no more. Its store went \
                 back in time, or another node runs with its key: make sure that none does, then start this one with \
                 --vote-from-height H, above every height it may have voted on"
            );
        } else if let NodeEvent::WorkFailed { work, kind, reason } = event {
            tracing::error!(work = work.0, ?kind, %reason, "a search came to nothing; the node goes on without it");
        } else if let NodeEvent::ClockBehind { validators, by_ms } = event {
            tracing::warn!(
                validators,
                by_ms,
                "others propose batches from the future: set this machine's clock"
            );
        } else if matches!(event, NodeEvent::Searching { .. }) {
            tracing::debug!(?event);
        } else if is_anybodys(event) {
            match self.chatter.admit(self.clock.now().monotonic_ms) {
                Some(0) => tracing::info!(?event),
                Some(left_out) => tracing::info!(?event, left_out, "after others like it, left out"),
                None => tracing::debug!(?event),
            }
        } else {
            tracing::info!(?event);
        }
        if self.options.events_on_stdout { print_line(&serde_json::to_string(event)?) } else { Ok(()) }
    }
}

/// The transport carries whatever is a message, and nothing longer. A connection can then hold 17.6 MiB: the
/// queues of small messages 2.5, of large ones 11.1, QUIC's windows 4. All 72 hold 1.24 GiB at most, the strangers of one
/// host, in 24 of them, 0.41 GiB; and only of what is really sent, or is not read within a minute.
fn transport_limits() -> TransportLimits {
    let mut limits = TransportLimits::default();
    limits.bulk.message_bytes = MESSAGE_BYTES;
    limits.bulk.receive_queue_bytes = MESSAGE_BYTES + (64 << 10);
    limits.bulk.send_queue_bytes = MESSAGE_BYTES + (1 << 20);
    limits
}

/// Whose connections matter: without validators nothing becomes final, and whom the operator has named is wanted.
fn reserved_keys(file: &NodeFile, network: &Network) -> BTreeSet<PublicKey> {
    let named = file.bootstrap_peers.iter().filter_map(|peer| peer.key);
    let allowed = file.allow_list.iter().flatten().copied();
    network.genesis().validators.keys().copied().chain(allowed).chain(named).collect()
}

/// One line on stdout, at once: whoever reads it waits for it.
fn print_line(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_connections_can_hold_is_known() {
        let limits = transport_limits();
        assert_eq!(limits.connection_bytes(), 281 << 16); // 17.6 MiB, see there
        assert_eq!(limits.inbound_connections + limits.outbound_connections, 72);
    }
}
