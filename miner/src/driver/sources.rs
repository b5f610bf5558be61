//! What a node waits for, and in which order it is taken: the only place where one kind of occurrence is preferred to
//! another.

use std::future::poll_fn;
use std::task::{Context, Poll};

use chain::PublicKey;
use scenarios::work::Report;
use tokio::sync::mpsc::{Receiver, UnboundedReceiver};

use super::executor::Executed;
use super::queries::Order;
use crate::transport::{TransportEvent, TransportEvents};
use miner_node::WorkId;

/// Something that came in.
#[derive(Debug)]
pub(super) enum Occurrence {
    /// From or about a peer. Which peer's turn it is, and that connections come before messages, is the transport's.
    Transport(TransportEvent),
    Work(WorkId, Report),
    Order(Order),
    /// A peer's answer out of the chain is done.
    Served(PublicKey),
    /// A final batch has been executed.
    Executed(Executed),
    /// The transport is gone, and the node with it.
    End,
}

/// The kinds, in their turns.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Transport,
    Work,
    Order,
    Served,
    Executed,
}

/// Everything that comes in, one of each kind in turn: whatever waits, of whichever kind, at most four of other kinds come
/// before the next of its own. Timers are not among it: those that are due fire before every occurrence, each once.
#[derive(Debug)]
pub(super) struct Sources {
    pub(super) transport: TransportEvents,
    pub(super) reports: UnboundedReceiver<(WorkId, Report)>,
    pub(super) orders: Receiver<Order>,
    pub(super) served: UnboundedReceiver<PublicKey>,
    pub(super) executed: UnboundedReceiver<Executed>,
    turns: [Kind; 5],
}

impl Sources {
    pub(super) fn new(
        transport: TransportEvents,
        reports: UnboundedReceiver<(WorkId, Report)>,
        orders: Receiver<Order>,
        served: UnboundedReceiver<PublicKey>,
        executed: UnboundedReceiver<Executed>,
    ) -> Self {
        let turns = [Kind::Transport, Kind::Work, Kind::Order, Kind::Served, Kind::Executed];
        Self { transport, reports, orders, served, executed, turns }
    }

    /// The next one, as soon as there is one. Nothing is lost if the future is dropped.
    pub(super) async fn next(&mut self) -> Occurrence {
        // tokio lets a task that never pauses take only so much out of its queues, and messages that the transport has
        // sorted already do not count: without a pause a flood of them would hide everything else.
        tokio::task::coop::consume_budget().await;
        poll_fn(|context| self.poll_next(context)).await
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Occurrence> {
        for position in 0..self.turns.len() {
            if let Poll::Ready(occurrence) = self.poll_kind(self.turns[position], context) {
                // Whose turn it was is last from now on.
                self.turns[position..].rotate_left(1);
                return Poll::Ready(occurrence);
            }
        }
        Poll::Pending
    }

    /// Queues whose other end is gone are silent, but for the transport's.
    fn poll_kind(&mut self, kind: Kind, context: &mut Context<'_>) -> Poll<Occurrence> {
        let occurrence = match kind {
            Kind::Transport => {
                let event = self.transport.poll_recv(context);
                return event.map(|event| event.map_or(Occurrence::End, Occurrence::Transport));
            }
            Kind::Work => self
                .reports
                .poll_recv(context)
                .map(|report| report.map(|(id, report)| Occurrence::Work(id, report))),
            Kind::Order => self.orders.poll_recv(context).map(|order| order.map(Occurrence::Order)),
            Kind::Served => self.served.poll_recv(context).map(|peer| peer.map(Occurrence::Served)),
            Kind::Executed => {
                self.executed.poll_recv(context).map(|executed| executed.map(Occurrence::Executed))
            }
        };
        match occurrence {
            Poll::Ready(Some(occurrence)) => Poll::Ready(occurrence),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use chain::record::NetworkId;
    use chain::{Hash, SecretKey};
    use scenarios::work::Failure;
    use tokio::sync::mpsc::{channel, unbounded_channel};
    use tokio::sync::oneshot;

    use super::*;
    use crate::transport::{Transport, TransportConfig, TransportLimits};

    fn transport(number: u8) -> (Transport, TransportEvents) {
        Transport::bind(TransportConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            key: SecretKey::from_bytes(&[number; 32]),
            network: NetworkId(Hash([1; 32])),
            allow_list: None,
            reserved: BTreeSet::new(),
            limits: TransportLimits::default(),
        })
        .unwrap()
    }

    #[tokio::test]
    async fn a_flood_that_leaves_no_pause_hides_no_order() {
        let (here, events) = transport(1);
        let (there, mut heard) = transport(2);
        there.connect(here.local_addr(), None).unwrap();
        heard.recv().await.unwrap();
        for _ in 0..2_000 {
            there.send(&here.public_key(), "flood".into()).unwrap();
        }
        while here.counters().messages_received < 2_000 {
            tokio::task::yield_now().await;
        }
        let (orders, order_receiver) = channel(1);
        let (_reports, report_receiver) = unbounded_channel();
        let (_served, served_receiver) = unbounded_channel();
        let (_executed, executed_receiver) = unbounded_channel();
        let mut sources =
            Sources::new(events, report_receiver, order_receiver, served_receiver, executed_receiver);
        for _ in 0..1_000 {
            assert!(matches!(sources.next().await, Occurrence::Transport(_)));
        }
        orders.try_send(Order::Stop(oneshot::channel().0)).unwrap();
        let mut taken = 0;
        while !matches!(sources.next().await, Occurrence::Order(_)) {
            taken += 1;
        }
        assert!(taken <= 100, "{taken} messages were taken before the order");
    }

    #[tokio::test]
    async fn whatever_waits_most_every_kind_has_its_turn() {
        let (_transport, events) = transport(1);
        let (orders, order_receiver) = channel(16);
        let (reports, report_receiver) = unbounded_channel();
        let (served, served_receiver) = unbounded_channel();
        let (executed, executed_receiver) = unbounded_channel();
        let mut sources =
            Sources::new(events, report_receiver, order_receiver, served_receiver, executed_receiver);
        executed.send(Err("a bug".into())).unwrap();
        for number in 0..8 {
            orders.send(Order::Stop(oneshot::channel().0)).await.unwrap();
            if number < 2 {
                let reason = Failure::Panicked("a bug".into());
                reports.send((WorkId(number), Report::Failed { reason })).unwrap();
                served.send(SecretKey::from_bytes(&[2; 32]).public()).unwrap();
            }
        }
        let mut order = String::new();
        for _ in 0..13 {
            order.push(match sources.next().await {
                Occurrence::Transport(_) | Occurrence::End => 't',
                Occurrence::Work(..) => 'w',
                Occurrence::Order(_) => 'o',
                Occurrence::Served(_) => 's',
                Occurrence::Executed(_) => 'e',
            });
        }
        assert_eq!(order, "wosewosoooooo");
    }
}
