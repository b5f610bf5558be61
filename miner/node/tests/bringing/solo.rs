//! A network of one validator, which need not mine, on virtual time, and what it has done; the test holds the miners' keys.
#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks for one kind of effect among many")]

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use chain::consensus::SafetyLog;
use chain::{DemandId, Draft, Drafted, Genesis, PublicKey, Record, SecretKey};
use miner_node::{
    BatchRow, Command, Effect, Input, Message, MiningSettings, Node, NodeEvent, Now, SubmissionId, Timer,
};
use scenarios::{Minutes, Money, ProviderId, Slot};

use crate::market::{START_MS, config, memory, network};

/// How long a validator gathers what comes close together.
pub(crate) const GATHER_MS: u64 = 200;

/// The validator, at this time.
pub(crate) struct Solo {
    pub(crate) node: Node,
    pub(crate) now_ms: u64,
    timers: BTreeMap<Timer, u64>,
    /// Those it has made.
    pub(crate) batches: Vec<BatchRow>,
    /// Rules by which it refused blocks.
    pub(crate) refused: Vec<String>,
    /// To whom it passed on commitments.
    pub(crate) relayed: Vec<PublicKey>,
    /// On whom it hung up.
    pub(crate) dropped: Vec<PublicKey>,
    /// How many demands each search was begun for.
    pub(crate) begun: Vec<usize>,
    faults: Vec<String>,
}

pub(crate) fn miner(number: u64) -> SecretKey {
    SecretKey::for_scenario(1, "miner", number)
}

impl Solo {
    /// With providers of this cost and capacity, and so many demands on chain, and the gathering after the batch that brought
    /// them over; its genesis changed by `change`. Miners 0 to 7 are connected.
    pub(crate) fn of(
        providers: &[(Money, Option<Minutes>)],
        demands: usize,
        change: impl FnOnce(&mut Genesis),
    ) -> Self {
        Self::that_mines(None, providers, demands, change)
    }

    /// The same, of a validator that may mine.
    pub(crate) fn that_mines(
        mining: Option<MiningSettings>,
        providers: &[(Money, Option<Minutes>)],
        demands: usize,
        change: impl FnOnce(&mut Genesis),
    ) -> Self {
        let key = SecretKey::for_scenario(1, "host", 0);
        let (network, records) = network(providers, demands, vec![key.public()], change);
        let memory = memory(&network, SafetyLog::new(0), Vec::new());
        let (node, _) = Node::new(config(key, mining), memory, Now::at(START_MS));
        let mut solo = Self {
            node,
            now_ms: START_MS,
            timers: BTreeMap::new(),
            batches: Vec::new(),
            refused: Vec::new(),
            relayed: Vec::new(),
            dropped: Vec::new(),
            begun: Vec::new(),
            faults: Vec::new(),
        };
        solo.handle(Input::Start { addresses: Vec::new() });
        solo.submit(records);
        solo.run_for(10 * GATHER_MS);
        assert_eq!(solo.node.status(solo.now_ms).open_demands, demands);
        for number in 0..8 {
            let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
            solo.handle(Input::PeerUp { peer: miner(number).public(), address });
        }
        solo.batches.clear();
        solo
    }

    pub(crate) fn submit(&mut self, records: Vec<Record>) {
        self.handle(Input::Command(Command::Submit { records, reply_to: SubmissionId(0) }));
    }

    pub(crate) fn handle(&mut self, input: Input) {
        let mut effects = Vec::new();
        self.node.handle(Now::at(self.now_ms), input, &mut effects);
        let mut decided = None;
        for effect in effects {
            match effect {
                Effect::SetTimer { timer, at_ms } => drop(self.timers.insert(timer, at_ms)),
                Effect::Send { peer, message: Message::Commitment(_) } => self.relayed.push(peer),
                Effect::Execute(batch) => decided = Some(batch),
                Effect::StartWork { work, .. } => self.begun.push(work.problem.demands.len()),
                Effect::Disconnect { peer, .. } => self.dropped.push(peer),
                Effect::Event(NodeEvent::BatchFinal { batch, .. }) => self.batches.push(batch),
                Effect::Event(NodeEvent::BlockRefused { rule, .. }) => self.refused.push(rule),
                Effect::Event(NodeEvent::LocalFault { detail }) => self.faults.push(detail),
                _ => {}
            }
        }
        if let Some(decided) = decided {
            self.handle(Input::Executed(Box::new(decided.execute())));
        }
    }

    pub(crate) fn run_for(&mut self, span_ms: u64) {
        let end_ms = self.now_ms + span_ms;
        while let Some((timer, at_ms)) =
            self.timers.iter().min_by_key(|(_, at_ms)| **at_ms).map(|(&timer, &at_ms)| (timer, at_ms))
            && at_ms <= end_ms
        {
            self.now_ms = at_ms.max(self.now_ms);
            self.timers.remove(&timer);
            self.handle(Input::Timer(timer));
        }
        self.now_ms = end_ms;
        assert_eq!(self.faults, [""; 0]);
    }

    /// What a miner drafts on the head that has a provider serve each of these demands, by position.
    pub(crate) fn draft(&self, by: u64, serving: &[(usize, u32)], later_ms: u64) -> Drafted {
        let ledger = self.node.ledger();
        let open: Vec<DemandId> = ledger.demands().map(|(demand, _)| demand).collect();
        let serving =
            serving.iter().map(|&(place, provider)| (open[place], vec![Slot::single(ProviderId(provider))]));
        let draft = Draft {
            miner: miner(by).public(),
            timestamp_ms: self.now_ms + later_ms,
            records: Vec::new(),
            prices: None,
            compositions: serving.collect(),
            amendments: Vec::new(),
        };
        ledger.draft(draft).expect("a block that keeps the rules")
    }

    /// A miner says something.
    pub(crate) fn hear(&mut self, by: &PublicKey, message: &Message) {
        self.handle(Input::Message { peer: *by, bytes: message.encode() });
    }
}
