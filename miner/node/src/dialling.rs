//! Whom to dial of the nodes that are known: those with standing first, few strangers at a time, and nobody's address
//! again and again. Anybody may name any address in a statement; a dial that nobody answers holds a place for seconds, and
//! packets to where no node is are a nuisance to whoever is there.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use chain::PublicKey;

use super::known_nodes::KnownNode;
use super::now::Now;
use super::standing::Standing;

/// Dials under way at most, and of those to strangers: of the transport's 24 places some stay free for clients' dials and
/// bootstrap nodes.
const DIALS: usize = 16;
const DIALS_OF_STRANGERS: usize = 2;
/// A dial of which nothing is heard for so long has failed, in milliseconds: the transport gives up after five seconds.
const PATIENCE_MS: u64 = 7_000;
/// How long an address rests after a failure, twice as long after each further one, and at most so long, in milliseconds.
const REST_MS: u64 = 2_000;
const REST_MAX_MS: u64 = 20_000;
/// The same for strangers, whose addresses are likelier to be false.
const STRANGERS_REST_MS: u64 = 10_000;
const STRANGERS_REST_MAX_MS: u64 = 600_000;
/// Addresses whose failures are remembered; of more, the ones that rest the shortest are forgotten.
const REMEMBERED: usize = 4_096;

/// What came of dialling an address in search of a node.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    standing: Standing,
    /// When it was begun, while nothing has come of it.
    begun_ms: Option<u64>,
    failures: u32,
    /// Until when it rests.
    rests_until_ms: u64,
}

/// Dials under way, and addresses that failed. A node with standing answers for its own address alone: a stranger that names
/// it too does not make it rest.
#[derive(Debug, Default)]
pub(super) struct Dialling {
    attempts: BTreeMap<(SocketAddr, PublicKey), Attempt>,
    /// Who told of the stranger that was dialled last: the next ones come first.
    last_relayer: Option<PublicKey>,
}

/// A node and where to dial it.
type Ready<'k> = (&'k KnownNode, SocketAddr);

impl Attempt {
    fn fail(&mut self, now: Now) {
        let (first_ms, most_ms) = match self.standing {
            Standing::Stranger => (STRANGERS_REST_MS, STRANGERS_REST_MAX_MS),
            Standing::Established | Standing::Validator => (REST_MS, REST_MAX_MS),
        };
        let doubled = first_ms.saturating_mul(1_u64.checked_shl(self.failures).unwrap_or(u64::MAX));
        self.begun_ms = None;
        self.failures = self.failures.saturating_add(1);
        self.rests_until_ms = now.in_ms(doubled.min(most_ms));
    }

    const fn is_under_way(&self) -> bool {
        self.begun_ms.is_some()
    }
}

impl Dialling {
    /// Whom to dial now, and where, of nodes that are neither connected nor to be refused.
    pub(super) fn next(&mut self, candidates: Vec<&KnownNode>, now: Now) -> Vec<(PublicKey, SocketAddr)> {
        self.give_up_on_the_silent(now);
        let (strangers, established): (Vec<&KnownNode>, Vec<&KnownNode>) =
            candidates.into_iter().partition(|known| known.standing == Standing::Stranger);
        let mut chosen = Vec::new();
        let free = DIALS.saturating_sub(self.under_way(Standing::Stranger));
        let ready = self.ready(&established, now);
        for (node, address) in ready.into_iter().take(free) {
            chosen.push(self.begin(node, address, now));
        }
        while self.under_way(Standing::Stranger) < DIALS && self.strangers_under_way() < DIALS_OF_STRANGERS {
            let ready = self.ready(&strangers, now);
            // One relayer's strangers after another's: whoever invents thousands has its turn like all others.
            let later = ready.iter().filter(|(node, _)| Some(node.told_by) > self.last_relayer);
            let next = later.min_by_key(|(node, _)| node.told_by);
            let next = next.or_else(|| ready.iter().min_by_key(|(node, _)| node.told_by));
            let Some(&(node, address)) = next else { break };
            self.last_relayer = Some(node.told_by);
            chosen.push(self.begin(node, address, now));
        }
        chosen
    }

    /// A peer is connected: whatever led to it, it is found.
    pub(super) fn on_found(&mut self, node: &PublicKey) {
        self.attempts.retain(|(_, expected), _| expected != node);
    }

    /// The transport could not reach an address, or found somebody else there.
    pub(super) fn on_failed(&mut self, address: SocketAddr, now: Now) {
        let at_address = self.attempts.iter_mut().filter(|((dialled, _), _)| *dialled == address);
        for (_, attempt) in at_address.filter(|(_, attempt)| attempt.is_under_way()) {
            attempt.fail(now);
        }
    }

    /// Dials under way to nodes of at least this standing.
    fn under_way(&self, least: Standing) -> usize {
        let under_way = self.attempts.values().filter(|attempt| attempt.is_under_way());
        under_way.filter(|attempt| attempt.standing >= least).count()
    }

    fn strangers_under_way(&self) -> usize {
        self.under_way(Standing::Stranger).saturating_sub(self.under_way(Standing::Established))
    }

    fn give_up_on_the_silent(&mut self, now: Now) {
        for attempt in self.attempts.values_mut() {
            if attempt.begun_ms.is_some_and(|begun_ms| now.since_ms(begun_ms) >= PATIENCE_MS) {
                attempt.fail(now);
            }
        }
        // A failure long ago says nothing of today.
        self.attempts.retain(|_, attempt| {
            attempt.is_under_way() || now.since_ms(attempt.rests_until_ms) < STRANGERS_REST_MAX_MS
        });
    }

    /// Nodes with an address that does not rest, of which none is being dialled, those with the fewest failures first.
    fn ready<'k>(&self, nodes: &[&'k KnownNode], now: Now) -> Vec<Ready<'k>> {
        let mut ready: Vec<(u32, Ready<'k>)> = Vec::new();
        for &known in nodes {
            let content = &known.record.content;
            let addresses =
                content.addresses.iter().map(|&address| (self.rest(known, address, now), address));
            let addresses: Vec<(Option<u32>, SocketAddr)> = addresses.collect();
            let is_dialled = content.addresses.iter().any(|&address| {
                self.attempts.get(&(address, content.node)).is_some_and(Attempt::is_under_way)
            });
            let best = addresses.into_iter().filter_map(|(failures, address)| Some((failures?, address)));
            if let Some((failures, address)) =
                best.min_by_key(|(failures, _)| *failures).filter(|_| !is_dialled)
            {
                ready.push((failures, (known, address)));
            }
        }
        ready.sort_by_key(|(failures, _)| *failures);
        ready.into_iter().map(|(_, ready)| ready).collect()
    }

    /// How often a node's address has failed, unless it rests. Strangers share the failures of an address they share.
    fn rest(&self, known: &KnownNode, address: SocketAddr, now: Now) -> Option<u32> {
        let node = known.record.content.node;
        let at_address = self.attempts.iter().filter(|((dialled, expected), attempt)| {
            let is_shared = known.standing == Standing::Stranger && attempt.standing == Standing::Stranger;
            *dialled == address && (is_shared || *expected == node)
        });
        let mut failures = 0;
        for (_, attempt) in at_address {
            if attempt.is_under_way() || now.monotonic_ms < attempt.rests_until_ms {
                return None;
            }
            failures = failures.max(attempt.failures);
        }
        Some(failures)
    }

    fn begin(&mut self, known: &KnownNode, address: SocketAddr, now: Now) -> (PublicKey, SocketAddr) {
        let node = known.record.content.node;
        let fresh = Attempt { standing: known.standing, begun_ms: None, failures: 0, rests_until_ms: 0 };
        let attempt = self.attempts.entry((address, node)).or_insert(fresh);
        attempt.standing = known.standing;
        attempt.begun_ms = Some(now.monotonic_ms);
        if self.attempts.len() > REMEMBERED {
            let rests = self.attempts.iter().filter(|(_, attempt)| !attempt.is_under_way());
            let least = rests.min_by_key(|(_, attempt)| attempt.rests_until_ms).map(|(&whose, _)| whose);
            self.attempts.retain(|whose, _| Some(*whose) != least);
        }
        (node, address)
    }
}

#[cfg(test)]
mod tests {
    use chain::{Hash, NetworkId, SecretKey};

    use super::super::peer_record::PeerContent;
    use super::Standing::{Established, Stranger};
    use super::*;

    fn key(number: u64) -> SecretKey {
        SecretKey::for_scenario(1, "peer", number)
    }

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], port))
    }

    /// A node with this number, at these ports, told of by the peer with that number.
    fn known(number: u64, ports: &[u16], standing: Standing, told_by: u64) -> KnownNode {
        let content = PeerContent {
            network: NetworkId(Hash([7; 32])),
            node: key(number).public(),
            addresses: ports.iter().copied().map(address).collect(),
            takes_cell: true,
            issued_ms: 1,
        };
        KnownNode::new(content.sign(&key(number)), standing, key(told_by).public(), Now::at(0))
    }

    fn ports(dialling: &mut Dialling, nodes: &[KnownNode], now_ms: u64) -> Vec<u16> {
        let chosen = dialling.next(nodes.iter().collect(), Now::at(now_ms));
        chosen.into_iter().map(|(_, address)| address.port()).collect()
    }

    #[test]
    fn a_thousand_dead_strangers_do_not_keep_a_node_with_standing_from_being_dialled() {
        let mut nodes: Vec<KnownNode> = (0..1_000)
            .map(|number| known(number, &[u16::try_from(number).unwrap()], Stranger, 5_000))
            .collect();
        let mut dialling = Dialling::default();
        assert_eq!(ports(&mut dialling, &nodes, 0).len(), 2);
        assert_eq!(ports(&mut dialling, &nodes, 1_000).len(), 0, "two are under way");
        nodes.push(known(2_000, &[7_777], Established, 5_000));
        assert_eq!(ports(&mut dialling, &nodes, 2_000), [7_777]);
    }

    #[test]
    fn an_address_that_fails_rests_longer_each_time_and_a_strangers_longest() {
        let nodes = [known(1, &[1], Established, 9), known(2, &[2], Stranger, 9)];
        let mut dialling = Dialling::default();
        let mut dialled = Vec::new();
        for second in 0..100 {
            for port in ports(&mut dialling, &nodes, second * 1_000) {
                dialled.push((second, port));
                dialling.on_failed(address(port), Now::at(second * 1_000));
            }
        }
        let of = |wanted| dialled.iter().filter(move |(_, port)| *port == wanted).map(|(second, _)| *second);
        assert_eq!(of(1).collect::<Vec<_>>(), [0, 2, 6, 14, 30, 50, 70, 90]);
        assert_eq!(of(2).collect::<Vec<_>>(), [0, 10, 30, 70]);
    }

    #[test]
    fn a_dial_of_which_nothing_is_heard_has_failed_and_another_address_is_tried() {
        let nodes = [known(1, &[1, 2], Established, 9)];
        let mut dialling = Dialling::default();
        assert_eq!(ports(&mut dialling, &nodes, 0), [1]);
        assert!(ports(&mut dialling, &nodes, 6_999).is_empty());
        assert_eq!(ports(&mut dialling, &nodes, 7_000), [2]);
        dialling.on_found(&key(1).public());
        assert_eq!(ports(&mut dialling, &nodes, 7_001), [1], "if it is lost again, at once");
    }

    #[test]
    fn a_stranger_that_names_anothers_address_does_not_make_it_rest() {
        let mut dialling = Dialling::default();
        let stranger = [known(1, &[1], Stranger, 9)];
        assert_eq!(ports(&mut dialling, &stranger, 0), [1]);
        dialling.on_failed(address(1), Now::at(0));
        let nodes = [known(2, &[1], Established, 9), known(3, &[1], Stranger, 9)];
        assert_eq!(ports(&mut dialling, &nodes, 1), [1]);
        assert_eq!(dialling.under_way(Established), 1);
    }

    #[test]
    fn strangers_are_dialled_in_turn_by_who_told_of_them() {
        let mut nodes: Vec<KnownNode> = (0..100)
            .map(|number| known(number, &[u16::try_from(number).unwrap()], Stranger, 5_000))
            .collect();
        nodes.push(known(200, &[200], Stranger, 5_001));
        let mut dialling = Dialling::default();
        assert!(ports(&mut dialling, &nodes, 0).contains(&200), "the only one of its relayer");
    }
}
