//! What peers may cost this node. Keys are free and so are requests, but each signature checked, path searched and byte
//! sent takes time from the votes; so everything a peer makes this node do is paid from buckets of work that time refills.
//!
//! A message is handled while its sender's buckets hold anything and may overdraw them: a dear honest batch passes, a flood
//! is muted, that is dropped unread, until they are refilled. Strangers also pay from the bucket of the address they come
//! from, and from one for strangers all together, so that neither keys nor addresses multiply what they may cost; the less
//! is left for all, the less may an address have used of its own, so that a few that flood do not use up everybody's. Nodes
//! with standing pay from their own alone. Votes have buckets apart, and those that bring the vote on cost nothing.

use std::collections::BTreeMap;

use chain::{Batch, Body, Contents, PublicKey};
use coordinator_free_pool::PoolMessage;
use scenarios::parameters::Limits;

use super::host::Host;
use super::message::Message;
use super::now::Now;
use super::standing::Standing;

/// Buckets that are kept of keys and of addresses; of more, the fullest go, which say least.
const REMEMBERED: usize = 4_096;

/// Estimated microseconds of one core. A signature: `cargo bench -p chain`, 45 to 55 us for strict ed25519.
const SIGNATURE_US: u64 = 50;
/// Looking at a message at all.
const MESSAGE_US: u64 = 5;
/// Decoding 1 KiB, and encoding it again to see that it is canonical.
const RECEIVED_KIB_US: u64 = 4;
/// Finding, encoding and encrypting 1 KiB, and that the line is not there for others meanwhile: 50 MB/s.
const SENT_KIB_US: u64 = 20;
/// Reading, decoding and encoding a final batch for a peer, on whatever thread.
const FINAL_BATCH_US: u64 = 100;
/// Looking up one id.
const ID_US: u64 = 1;
/// Records of the pool that a round of reconciliation goes over in a microsecond, and what it takes beside.
const RECONCILED_PER_US: u64 = 50;
const RECONCILE_US: u64 = 100;
/// Edge relaxations in a microsecond: see [`Limits`].
const RELAXATIONS_PER_US: u64 = 1_000;

/// What strangers that have used nothing may overdraw the common bucket by: this part of it.
const OVERDRAFT: i64 = 8;

/// What a message is paid from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Purse {
    /// Proposals, votes and certificates.
    Votes,
    /// Everything else.
    Work,
}

/// How fast a bucket is refilled, in microseconds of work for each millisecond of time, and how much it holds; as much
/// may be owed.
#[derive(Clone, Copy, Debug)]
struct Allowance {
    us_per_ms: u64,
    most_us: u64,
}

/// Work that may still be asked for; less than nothing while more was done than was allowed.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    left_us: i64,
    at_ms: u64,
}

/// Who pays.
#[derive(Clone, Copy, Debug)]
pub(super) struct Payer {
    pub(super) key: PublicKey,
    pub(super) host: Host,
    pub(super) standing: Standing,
}

/// The buckets that are not full.
#[derive(Debug, Default)]
pub(super) struct Budgets {
    keys: BTreeMap<(Purse, PublicKey), Bucket>,
    hosts: BTreeMap<(Purse, Host), Bucket>,
    strangers: BTreeMap<Purse, Bucket>,
}

impl Allowance {
    /// Of a key. A validator may take half of a core for long, and ten seconds at once: more than honest ones ever need.
    const fn of_key(standing: Standing, purse: Purse) -> Self {
        let (work_per_ms, most_us) = match standing {
            Standing::Validator => (500, 10_000_000),
            Standing::Established => (200, 4_000_000),
            Standing::Stranger => (100, 1_000_000),
        };
        match purse {
            Purse::Work => Self { us_per_ms: work_per_ms, most_us },
            Purse::Votes => Self { us_per_ms: work_per_ms / 2, most_us },
        }
    }

    /// Of all strangers at one address: what two of them have.
    const fn of_host(purse: Purse) -> Self {
        let Self { us_per_ms, most_us } = Self::of_key(Standing::Stranger, purse);
        Self { us_per_ms: 2 * us_per_ms, most_us: 2 * most_us }
    }

    /// Of all strangers: less than half of a core, votes and all.
    const fn of_strangers(purse: Purse) -> Self {
        match purse {
            Purse::Work => Self { us_per_ms: 300, most_us: 4_000_000 },
            Purse::Votes => Self { us_per_ms: 100, most_us: 4_000_000 },
        }
    }

    fn most(self) -> i64 {
        i64::try_from(self.most_us).unwrap_or(i64::MAX)
    }

    /// What is in a bucket now; one that is not kept is full.
    fn left(self, bucket: Option<&Bucket>, now: Now) -> i64 {
        let Some(bucket) = bucket else { return self.most() };
        let refilled = now.since_ms(bucket.at_ms).saturating_mul(self.us_per_ms);
        bucket.left_us.saturating_add(i64::try_from(refilled).unwrap_or(i64::MAX)).min(self.most())
    }

    fn spend(self, bucket: Option<&Bucket>, us: u64, now: Now) -> Bucket {
        let left = self.left(bucket, now).saturating_sub(i64::try_from(us).unwrap_or(i64::MAX));
        Bucket { left_us: left.max(self.most().saturating_neg()), at_ms: now.monotonic_ms }
    }
}

impl Budgets {
    /// Whether something of this payer may be handled now.
    pub(super) fn may_spend(&self, payer: Payer, purse: Purse, now: Now) -> bool {
        let Payer { key, host, standing } = payer;
        let own = Allowance::of_key(standing, purse).left(self.keys.get(&(purse, key)), now);
        own > 0 && (standing > Standing::Stranger || self.may_host_spend(host, purse, now))
    }

    /// Whether strangers at this address may spend: it has something left, and has used no larger part of its own than is
    /// left of what all have. An address that has used nothing comes before those that keep the common bucket empty.
    fn may_host_spend(&self, host: Host, purse: Purse, now: Now) -> bool {
        let (of_host, of_all) = (Allowance::of_host(purse), Allowance::of_strangers(purse));
        let left = of_host.left(self.hosts.get(&(purse, host)), now);
        let left_for_all = of_all.left(self.strangers.get(&purse), now);
        let used = i128::from(of_host.most().saturating_sub(left));
        left > 0
            && left_for_all > (of_all.most() / OVERDRAFT).saturating_neg()
            && used * i128::from(of_all.most())
                <= i128::from(left_for_all.max(0)) * i128::from(of_host.most())
    }

    /// Takes the work that was done for this payer from its buckets.
    pub(super) fn spend(&mut self, payer: Payer, purse: Purse, us: u64, now: Now) {
        let Payer { key, host, standing } = payer;
        spend(&mut self.keys, (purse, key), Allowance::of_key(standing, purse), us, now);
        if standing == Standing::Stranger {
            spend(&mut self.hosts, (purse, host), Allowance::of_host(purse), us, now);
            spend(&mut self.strangers, purse, Allowance::of_strangers(purse), us, now);
        }
    }

    /// Forgets the buckets that are full again, whosever they are.
    pub(super) fn expire(&mut self, now: Now) {
        self.keys.retain(|(purse, _), bucket| {
            // Of the slowest allowance: the standing of a key may have changed.
            let (slow, large) = (Standing::Stranger, Standing::Validator);
            let speed = Allowance::of_key(slow, *purse).us_per_ms;
            let allowance = Allowance { us_per_ms: speed, most_us: Allowance::of_key(large, *purse).most_us };
            allowance.left(Some(bucket), now) < allowance.most()
        });
        self.hosts.retain(|(purse, _), bucket| {
            let allowance = Allowance::of_host(*purse);
            allowance.left(Some(bucket), now) < allowance.most()
        });
    }
}

fn spend<K: Ord + Copy>(
    buckets: &mut BTreeMap<K, Bucket>,
    whose: K,
    allowance: Allowance,
    us: u64,
    now: Now,
) {
    let bucket = allowance.spend(buckets.get(&whose), us, now);
    buckets.insert(whose, bucket);
    if buckets.len() > REMEMBERED {
        let fullest = buckets.iter().max_by_key(|(_, bucket)| bucket.left_us).map(|(&whose, _)| whose);
        buckets.retain(|other, _| Some(*other) != fullest);
    }
}

/// How large the things are that a message may make this node go over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    /// Records of the pool.
    pub(super) pool: usize,
    /// Demands of the market, open or composed.
    pub(super) market: usize,
    /// Those of the network.
    pub(super) limits: Limits,
}

impl Scale {
    /// Estimated work, in microseconds, of taking in a message of so many bytes.
    pub(super) fn work_of(&self, message: &Message, bytes: usize) -> u64 {
        let content = match message {
            Message::Hello(_)
            | Message::Status(_)
            | Message::AnnounceBlock(_)
            | Message::RequestBlock(_)
            | Message::RequestBatch(_)
            | Message::RequestFinal { .. } => 0,
            Message::Peers(records) => times(records.len(), SIGNATURE_US),
            Message::Commitment(_) => SIGNATURE_US,
            Message::Pool(message) => self.work_of_pool_message(message),
            Message::Block(block) => SIGNATURE_US.saturating_add(self.work_of_bodies(&[&block.body])),
            Message::Batch(batch) => self.work_of_batch(batch),
            Message::Consensus(message) => work_of_vote(message),
            Message::Final(batches) => batches.iter().fold(0_u64, |work, batch| {
                let votes = times(batch.certificate.signatures.len(), SIGNATURE_US);
                work.saturating_add(votes).saturating_add(self.work_of_batch(&batch.batch))
            }),
        };
        MESSAGE_US.saturating_add(per_kib(bytes, RECEIVED_KIB_US)).saturating_add(content)
    }

    fn work_of_pool_message(&self, message: &PoolMessage) -> u64 {
        match message {
            PoolMessage::Announce(ids) | PoolMessage::Request(ids) => times(ids.len(), ID_US),
            PoolMessage::Records(records) => times(records.len(), SIGNATURE_US),
            PoolMessage::ReconcileQuery(_) | PoolMessage::ReconcileReply(_) => {
                RECONCILE_US.saturating_add(count(self.pool) / RECONCILED_PER_US)
            }
        }
    }

    fn work_of_batch(&self, batch: &Batch) -> u64 {
        let Contents { evidence, records, commitments, blocks } = &batch.contents;
        let signatures = evidence
            .len()
            .saturating_mul(2)
            .saturating_add(records.len())
            .saturating_add(commitments.len())
            .saturating_add(blocks.len());
        let signatures = signatures.saturating_add(1);
        let bodies: Vec<&Body> = blocks.iter().map(|block| &block.body).collect();
        times(signatures, SIGNATURE_US).saturating_add(self.work_of_bodies(&bodies))
    }

    /// A path for each composition, which is taken for as long as one of a full batch may be on average; for a price update
    /// paths for the whole market, before and after.
    fn work_of_bodies(&self, bodies: &[&Body]) -> u64 {
        let Limits { verification_work, compositions_per_batch, .. } = self.limits;
        let path_us = verification_work / u64::from(compositions_per_batch).max(1) / RELAXATIONS_PER_US;
        let updates = bodies.iter().filter(|body| body.price_update.is_some()).count().min(2);
        let priced = updates.saturating_mul(self.market).saturating_mul(2);
        let composed: usize = bodies.iter().map(|body| body.composed().count()).sum();
        times(composed.saturating_add(priced), path_us).min(verification_work / RELAXATIONS_PER_US)
    }
}

fn work_of_vote(message: &chain::consensus::ConsensusMessage) -> u64 {
    use chain::consensus::ConsensusMessage::{Commit, Polka, Proposal, Vote};
    let signatures = match message {
        Vote(_) => 1,
        Proposal(signed) => signed.polka.as_ref().map_or(1, |polka| polka.signatures.len().saturating_add(1)),
        Polka(certificate) => certificate.signatures.len(),
        Commit(certificate) => certificate.signatures.len(),
    };
    times(signatures, SIGNATURE_US)
}

/// Estimated work, in microseconds, of sending so many bytes.
pub(super) fn work_of_sending(bytes: usize) -> u64 {
    MESSAGE_US.saturating_add(per_kib(bytes, SENT_KIB_US))
}

/// Estimated work, in microseconds, of answering with so many final batches.
pub(super) const fn work_of_final_batches(batches: u64) -> u64 {
    batches.saturating_mul(FINAL_BATCH_US)
}

fn times(things: usize, us: u64) -> u64 {
    count(things).saturating_mul(us)
}

fn per_kib(bytes: usize, us: u64) -> u64 {
    times(bytes, us) / 1_024
}

fn count(things: usize) -> u64 {
    u64::try_from(things).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use chain::SecretKey;

    use super::Standing::{Established, Stranger, Validator};
    use super::*;

    fn payer(number: u64, address: u8, standing: Standing) -> Payer {
        let key = SecretKey::for_scenario(1, "peer", number).public();
        Payer { key, host: Host::of([10, 0, 0, address].into()), standing }
    }

    #[test]
    fn a_dear_message_passes_and_what_follows_is_muted_until_time_has_paid_for_it() {
        let mut budgets = Budgets::default();
        let newcomer = payer(1, 1, Stranger);
        assert!(budgets.may_spend(newcomer, Purse::Work, Now::at(0)));
        // A second and a half where one is allowed, and a tenth of a second comes in each second.
        budgets.spend(newcomer, Purse::Work, 1_500_000, Now::at(0));
        assert!(!budgets.may_spend(newcomer, Purse::Work, Now::at(5_000)));
        assert!(budgets.may_spend(newcomer, Purse::Work, Now::at(5_001)));
        assert!(budgets.may_spend(newcomer, Purse::Votes, Now::at(0)), "votes are paid for apart");
        budgets.expire(Now::at(1_000_000));
        assert!(budgets.keys.is_empty() && budgets.hosts.is_empty());
    }

    #[test]
    fn no_debt_is_so_great_that_it_is_not_forgotten_in_twenty_seconds() {
        let mut budgets = Budgets::default();
        budgets.spend(payer(1, 1, Stranger), Purse::Work, u64::MAX, Now::at(0));
        assert!(budgets.may_spend(payer(1, 1, Stranger), Purse::Work, Now::at(20_000)));
        budgets.spend(payer(2, 1, Validator), Purse::Work, u64::MAX, Now::at(0));
        assert!(budgets.may_spend(payer(2, 1, Validator), Purse::Work, Now::at(20_001)));
    }

    #[test]
    fn more_keys_of_one_address_are_not_allowed_more_and_neighbours_with_standing_do_not_pay_for_them() {
        let mut budgets = Budgets::default();
        for number in 0..3 {
            budgets.spend(payer(number, 1, Stranger), Purse::Work, 700_000, Now::at(0));
        }
        let may = |number, address, standing| {
            budgets.may_spend(payer(number, address, standing), Purse::Work, Now::at(0))
        };
        assert!(!may(9, 1, Stranger), "a new key at the same address");
        assert!(may(9, 1, Established) && may(9, 1, Validator));
    }

    #[test]
    fn strangers_at_many_addresses_cost_no_more_than_those_at_a_few() {
        let mut budgets = Budgets::default();
        let strangers: Vec<Payer> = (0..50).map(|address| payer(address.into(), address, Stranger)).collect();
        let mut worked_us = 0_u64;
        for now_ms in 0..1_000 {
            for &stranger in &strangers {
                if budgets.may_spend(stranger, Purse::Work, Now::at(now_ms)) {
                    budgets.spend(stranger, Purse::Work, 1_000, Now::at(now_ms));
                    worked_us += 1_000;
                }
            }
        }
        // Four seconds that their common bucket held, half a second that it may be overdrawn by, and 300 us for each of
        // 999 ms; each alone has a second.
        assert!((4_299_000..=4_801_000).contains(&worked_us), "{worked_us}");
    }

    #[test]
    fn addresses_that_flood_leave_another_stranger_a_fair_share() {
        for purse in [Purse::Work, Purse::Votes] {
            let mut budgets = Budgets::default();
            let flooders =
                [payer(1, 1, Stranger), payer(2, 1, Stranger), payer(3, 2, Stranger), payer(4, 2, Stranger)];
            let newcomer = payer(5, 3, Stranger);
            let (mut asked, mut handled) = (0, 0);
            for now_ms in 0..60_000 {
                for &flooder in &flooders {
                    if budgets.may_spend(flooder, purse, Now::at(now_ms)) {
                        budgets.spend(flooder, purse, 1_000, Now::at(now_ms));
                    }
                }
                // After the others in the same millisecond, and only when nothing is left of what all have.
                if now_ms >= 30_000 && now_ms % 250 == 0 {
                    asked += 1;
                    if budgets.may_spend(newcomer, purse, Now::at(now_ms)) {
                        budgets.spend(newcomer, purse, 1_000, Now::at(now_ms));
                        handled += 1;
                    }
                }
            }
            // In vain now and then, for those two have used no more than it whenever they wait long enough.
            assert_eq!(asked, 120);
            assert!(handled >= 40, "{purse:?}: {handled}");
        }
    }
}
