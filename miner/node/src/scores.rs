//! What is held against keys and against the addresses they come from, for longer than a connection lasts: a peer that was
//! dropped is not simply let in again, and an address whose keys are dropped again and again is closed for a while to
//! keys without standing. All of it is forgotten in time, by the monotonic clock.

use std::collections::BTreeMap;

use chain::PublicKey;

use super::host::Host;
use super::now::Now;
use super::standing::Standing;

/// A peer is dropped when its faults add up to this, in points.
const DROP_SCORE: u32 = 100;
/// A key that was dropped may come back when its points are at most this many.
const RETURN_SCORE: u32 = 50;
/// An address is closed to strangers from this on: three of them were dropped of late.
const ADDRESS_SCORE: u32 = 300;
/// Points that are kept of anybody: after five half-lives whoever has them may come back.
const SCORE_MAX: u32 = 1_600;
/// In this time half of the points are forgotten, in milliseconds: who was dropped for one grave fault waits as long.
const HALF_LIFE_MS: u64 = 60_000;
/// Keys and addresses remembered. When there are more, those with the fewest points are forgotten: a flood of keys with
/// small faults pushes out no great offender, and one with great faults closes its address to itself.
const REMEMBERED: usize = 4_096;

/// Points as they were at a time.
#[derive(Clone, Copy, Debug)]
struct Score {
    points: u32,
    at_ms: u64,
}

/// What becomes of a peer that is blamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It stays.
    Tolerated,
    /// Its faults have added up: it is to be dropped.
    Dropped,
}

/// Why a peer is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("this key was dropped for its faults; come back in {in_ms} ms at the soonest")]
    Key { in_ms: u64 },
    #[error("peers at this address were dropped again and again; come back in {in_ms} ms at the soonest")]
    Address { in_ms: u64 },
}

/// The scores of everybody who has any.
#[derive(Debug, Default)]
pub(super) struct Scores {
    keys: BTreeMap<PublicKey, Score>,
    hosts: BTreeMap<Host, Score>,
}

impl Score {
    /// Half of the points go in each half-life, in between as much as a straight line says.
    fn points(self, now: Now) -> u32 {
        let age_ms = now.since_ms(self.at_ms);
        let halvings = u32::try_from(age_ms / HALF_LIFE_MS).unwrap_or(u32::MAX);
        let left = u64::from(self.points.checked_shr(halvings).unwrap_or(0));
        let fading = left.saturating_mul(age_ms % HALF_LIFE_MS) / (2 * HALF_LIFE_MS);
        u32::try_from(left.saturating_sub(fading)).unwrap_or(u32::MAX)
    }

    /// How long until at most `points` are left, to the half-life above.
    fn time_until(self, points: u32, now: Now) -> u64 {
        let mut in_ms = 0_u64;
        while self.points(Now { monotonic_ms: now.in_ms(in_ms), ..now }) > points {
            in_ms = in_ms.saturating_add(HALF_LIFE_MS / 4);
        }
        in_ms
    }
}

impl Scores {
    /// Notes a fault of a connected peer. What strangers do is also held against where they come from.
    pub(super) fn blame(
        &mut self,
        peer: PublicKey,
        host: Host,
        standing: Standing,
        points: u32,
        now: Now,
    ) -> Verdict {
        let score = add(&mut self.keys, peer, points, now);
        if standing == Standing::Stranger {
            add(&mut self.hosts, host, points, now);
        }
        if score >= DROP_SCORE { Verdict::Dropped } else { Verdict::Tolerated }
    }

    /// Whether a peer may be connected; standing helps against what its neighbours did, not against what it did.
    ///
    /// # Errors
    /// Why not, and until when about.
    pub(super) fn admit(
        &self,
        peer: &PublicKey,
        host: Host,
        standing: Standing,
        now: Now,
    ) -> Result<(), Refused> {
        if let Some(score) = self.refused(peer, now) {
            return Err(Refused::Key { in_ms: score.time_until(RETURN_SCORE, now) });
        }
        let closed = self.hosts.get(&host).filter(|score| score.points(now) >= ADDRESS_SCORE);
        match closed {
            Some(score) if standing == Standing::Stranger => {
                Err(Refused::Address { in_ms: score.time_until(ADDRESS_SCORE - 1, now) })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether a key would not be let in, wherever it comes from.
    pub(super) fn is_refused(&self, peer: &PublicKey, now: Now) -> bool {
        self.refused(peer, now).is_some()
    }

    /// Who never reached the score that drops was never dropped, or has been let in again since.
    fn refused(&self, peer: &PublicKey, now: Now) -> Option<&Score> {
        let was_dropped = self.keys.get(peer).filter(|score| score.points >= DROP_SCORE);
        was_dropped.filter(|score| score.points(now) > RETURN_SCORE)
    }

    /// Forgets those of whom nothing is held any more.
    pub(super) fn expire(&mut self, now: Now) {
        self.keys.retain(|_, score| score.points(now) > 0);
        self.hosts.retain(|_, score| score.points(now) > 0);
    }
}

/// Adds points and returns the sum.
fn add<K: Ord + Copy>(scores: &mut BTreeMap<K, Score>, whose: K, points: u32, now: Now) -> u32 {
    let before = scores.get(&whose).map_or(0, |score| score.points(now));
    let points = before.saturating_add(points).min(SCORE_MAX);
    scores.insert(whose, Score { points, at_ms: now.monotonic_ms });
    if scores.len() > REMEMBERED {
        let least = scores.iter().min_by_key(|(_, score)| score.points(now)).map(|(&least, _)| least);
        scores.retain(|other, _| Some(*other) != least);
    }
    points
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use chain::SecretKey;

    use super::Standing::{Established, Stranger, Validator};
    use super::*;

    const MINUTE_MS: u64 = 60_000;

    fn key(number: u64) -> PublicKey {
        SecretKey::for_scenario(1, "peer", number).public()
    }

    fn host(last: u8) -> Host {
        Host::of(IpAddr::from([10, 0, 0, last]))
    }

    #[test]
    fn half_of_the_points_are_forgotten_in_each_minute() {
        let score = Score { points: 100, at_ms: 1_000 };
        let points =
            [0, 30_000, 60_000, 90_000, 120_000, 420_000].map(|ms| score.points(Now::at(1_000 + ms)));
        assert_eq!(points, [100, 75, 50, 38, 25, 0]);
    }

    #[test]
    fn faults_that_add_up_drop_a_peer_and_small_ones_far_apart_do_not() {
        let mut scores = Scores::default();
        let mut blame = |points, now_ms| scores.blame(key(1), host(1), Validator, points, Now::at(now_ms));
        assert_eq!(blame(60, 0), Verdict::Tolerated);
        assert_eq!(blame(60, 0), Verdict::Dropped);
        let mut scores = Scores::default();
        for minute in 0..1_000 {
            let verdict = scores.blame(key(1), host(1), Stranger, 45, Now::at(minute * MINUTE_MS));
            assert_eq!(verdict, Verdict::Tolerated, "45 + 22 + 11 + ... stay below 100");
        }
    }

    #[test]
    fn a_key_that_was_dropped_is_let_in_again_after_a_minute_and_after_longer_the_next_time() {
        let mut scores = Scores::default();
        let admit = |scores: &Scores, now_ms| scores.admit(&key(1), host(1), Validator, Now::at(now_ms));
        scores.blame(key(1), host(1), Validator, 100, Now::at(0));
        assert_eq!(admit(&scores, 0), Err(Refused::Key { in_ms: MINUTE_MS }));
        assert!(admit(&scores, MINUTE_MS - 1).is_err());
        assert_eq!(admit(&scores, MINUTE_MS), Ok(()));
        // 50 points were left.
        scores.blame(key(1), host(1), Validator, 100, Now::at(MINUTE_MS));
        assert!(admit(&scores, 2 * MINUTE_MS).is_err());
        assert_eq!(admit(&scores, 3 * MINUTE_MS), Ok(()));
    }

    #[test]
    fn an_address_whose_keys_are_dropped_again_and_again_is_closed_to_strangers_only() {
        let mut scores = Scores::default();
        for number in 0..3 {
            assert_eq!(scores.admit(&key(number), host(1), Stranger, Now::at(0)), Ok(()));
            scores.blame(key(number), host(1), Stranger, 100, Now::at(0));
        }
        let fresh = key(9);
        assert!(scores.admit(&fresh, host(1), Stranger, Now::at(0)).is_err());
        assert_eq!(scores.admit(&fresh, host(2), Stranger, Now::at(0)), Ok(()));
        assert_eq!(scores.admit(&fresh, host(1), Established, Now::at(0)), Ok(()));
        assert_eq!(scores.admit(&fresh, host(1), Stranger, Now::at(MINUTE_MS)), Ok(()));
    }

    #[test]
    fn what_nodes_with_standing_do_is_not_held_against_their_address() {
        let mut scores = Scores::default();
        (0..10).for_each(|number| {
            scores.blame(key(number), host(1), Established, 100, Now::at(0));
        });
        assert_eq!(scores.admit(&key(99), host(1), Stranger, Now::at(0)), Ok(()));
    }

    #[test]
    fn a_flood_of_keys_with_small_faults_does_not_push_out_the_memory_of_a_great_one() {
        let mut scores = Scores::default();
        scores.blame(key(0), host(0), Stranger, 100, Now::at(0));
        for number in 1..5_000_u64 {
            scores.blame(key(number), host(1), Stranger, 5, Now::at(1_000));
        }
        assert_eq!(scores.keys.len(), 4_096);
        assert!(scores.admit(&key(0), host(0), Stranger, Now::at(1_000)).is_err());
        scores.expire(Now::at(60 * MINUTE_MS));
        assert!(scores.keys.is_empty() && scores.hosts.is_empty());
    }
}
