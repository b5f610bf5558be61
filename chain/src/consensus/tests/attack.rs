//! The attack that locks exist for, played by hand: one node alone sees a decision, falls silent, and the
//! liar among four tries to get another batch decided with the rest.

use super::*;

/// Positions: 0 decides and falls silent, 1 is locked, 2 saw nothing, 3 lies.
struct Attack {
    keys: Vec<SecretKey>,
    machines: Vec<Consensus>,
    logs: Vec<SafetyLog>,
    /// What each has said, to be delivered by hand.
    said: Vec<Vec<ConsensusMessage>>,
}

impl Attack {
    fn new() -> Self {
        let keys = keys(4);
        let machine = |key: &SecretKey| {
            Consensus::new(NETWORK, HEIGHT, validators(&keys), Some(key.clone()), SafetyLog::default()).0
        };
        let machines = keys.iter().take(3).map(machine).collect();
        Self { machines, logs: vec![SafetyLog::default(); 3], said: vec![Vec::new(); 3], keys }
    }

    fn give(&mut self, to: usize, input: Input) {
        for output in self.machines[to].step(input).unwrap() {
            match output {
                Output::Persist(log) => self.logs[to] = log,
                Output::Broadcast(message) => self.said[to].push(message),
                Output::SetTimeout { .. }
                | Output::Decided(_)
                | Output::Equivocation(_)
                | Output::NotSigned(_) => {}
            }
        }
    }

    /// Delivers all that `from` has said.
    fn tell(&mut self, from: usize, to: usize) {
        for message in self.said[from].clone() {
            self.give(
                to,
                match message {
                    ConsensusMessage::Proposal(signed) => Input::Proposal { signed, valid: true },
                    ConsensusMessage::Vote(signed) => Input::Vote(signed),
                    ConsensusMessage::Polka(certificate) => Input::Polka(certificate),
                    ConsensusMessage::Commit(certificate) => Input::Commit(certificate),
                },
            );
        }
    }

    fn lie(&mut self, to: usize, round: Round, kind: VoteKind, tag: u8) {
        let vote = Vote { network: NETWORK, height: HEIGHT, round, kind, batch: Some(batch(tag)) };
        self.give(to, Input::Vote(vote.sign(3, &self.keys[3])));
    }

    fn timeout(&mut self, at: usize, round: Round, step: Step) {
        self.give(at, Input::Timeout { round, step });
    }

    fn restart(&mut self, node: usize) {
        let key = Some(self.keys[node].clone());
        let log = self.logs[node].clone();
        (self.machines[node], _) = Consensus::new(NETWORK, HEIGHT, validators(&self.keys), key, log);
    }

    fn decision(&self, node: usize) -> Option<BatchHash> {
        self.machines[node].decided().map(|certificate| certificate.batch)
    }
}

#[test]
fn a_decision_seen_by_one_silent_node_is_never_contradicted() {
    let mut attack = Attack::new();
    // Round 0: node 0 proposes batch 1; 0, 1 and the liar prevote it; 2 hears nothing of it.
    attack.give(0, Input::Candidate(batch(1)));
    attack.give(2, Input::Candidate(batch(2)));
    attack.tell(0, 1);
    for node in [0, 1] {
        attack.lie(node, 0, VoteKind::Prevote, 1);
    }
    attack.tell(1, 0);
    attack.tell(0, 1);
    // The liar's precommit makes the decision, for node 0 alone.
    attack.lie(0, 0, VoteKind::Precommit, 1);
    assert_eq!(attack.decision(0), Some(batch(1)));
    assert_eq!(attack.decision(1), None);

    // Node 1, locked, crashes and comes back; round 2 is node 2's to propose in.
    attack.restart(1);
    for node in [1, 2] {
        attack.timeout(node, 0, Step::Precommit);
        attack.timeout(node, 1, Step::Precommit);
    }
    attack.said[1].clear();
    attack.tell(2, 1);
    for (node, kind) in
        [(1, VoteKind::Prevote), (2, VoteKind::Prevote), (1, VoteKind::Precommit), (2, VoteKind::Precommit)]
    {
        attack.lie(node, 2, kind, 2);
    }
    attack.tell(1, 2);
    attack.tell(2, 1);
    attack.tell(1, 2);
    for node in [1, 2] {
        assert_eq!(attack.machines[node].round(), 2);
        assert_eq!(
            attack.decision(node),
            None,
            "node {node}: batch 2 has the votes of node 2 and the liar only"
        );
    }

    // Round 5 is node 1's: it proposes batch 1 with its proof, node 2 follows, and the liar cannot stop them
    // once node 0 is heard again.
    for node in [1, 2] {
        for round in 2..5 {
            attack.timeout(node, round, Step::Precommit);
        }
    }
    attack.tell(1, 2);
    attack.lie(2, 5, VoteKind::Prevote, 1);
    assert_eq!(attack.machines[2].algorithm.log.locked, Some((5, batch(1))));
    let summary = attack.machines[2].summary();
    for message in attack.machines[0].missing_from(&summary) {
        let ConsensusMessage::Commit(certificate) = message else { panic!("{message:?} after a decision") };
        attack.give(2, Input::Commit(certificate));
    }
    assert_eq!(attack.decision(2), Some(batch(1)));
}
