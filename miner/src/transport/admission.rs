//! Which dials are answered: handshakes cost a signature and some memory each before anything is known of the caller but
//! an address, and that may be forged.
//!
//! A host has a share, of the handshakes that are in progress and of those begun in a second. Half of everything is
//! for callers who have not proved their address; beyond it a proof is asked for (RFC 9000, section 8.1.2). So whoever
//! forges addresses uses up neither what there is nor the share of the host whose address it forges. A quarter is for hosts
//! that ask for nothing else: a few hosts that each use up their share keep out no other's first dial.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::transport::limits::TransportLimits;
use crate::transport::locked;
use crate::transport::rate::RateLimit;
use miner_node::Host;

/// What becomes of a dial.
#[derive(Debug)]
pub(super) enum Verdict {
    Answer(InProgress),
    /// The caller is to prove its address first.
    ProveAddress,
    /// There is too much to do, for everybody or for this host.
    Refuse,
}

/// Handshakes in progress, by host.
type Counts = Arc<Mutex<BTreeMap<Host, usize>>>;

/// A handshake that is in progress until this is dropped.
#[derive(Debug)]
pub(super) struct InProgress {
    host: Host,
    counts: Counts,
}

/// Decides on dials.
#[derive(Debug)]
pub(super) struct Admission {
    limits: TransportLimits,
    in_progress: Counts,
    rate: RateLimit,
    /// Of hosts that called in the last second or so.
    rates: BTreeMap<Host, RateLimit>,
}

impl Admission {
    pub(super) fn new(limits: TransportLimits, now: Instant) -> Self {
        let rate = RateLimit::new(limits.handshakes_per_second, now);
        Self { limits, in_progress: Counts::default(), rate, rates: BTreeMap::new() }
    }

    /// Whether to answer a dial from `host`.
    pub(super) fn judge(&mut self, host: Host, is_proven: bool, now: Instant) -> Verdict {
        if self.has_room(host, is_proven) && self.is_in_time(host, is_proven, now) {
            *locked(&self.in_progress).entry(host).or_default() += 1;
            Verdict::Answer(InProgress { host, counts: self.in_progress.clone() })
        } else if is_proven {
            Verdict::Refuse
        } else {
            Verdict::ProveAddress
        }
    }

    fn has_room(&self, host: Host, is_proven: bool) -> bool {
        let part = |limit: usize| if is_proven { limit } else { limit / 2 };
        let counts = locked(&self.in_progress);
        let (of_all, of_host) = (counts.values().sum::<usize>(), counts.get(&host).copied().unwrap_or(0));
        let at_once = self.limits.handshakes_at_once;
        let for_host = if of_host == 0 { at_once } else { at_once - at_once / 4 };
        of_all < part(at_once).min(for_host) && of_host < part(self.limits.handshakes_at_once_per_host)
    }

    /// Takes a token of everybody's and one of the host's, or none. A quarter of everybody's is for hosts that did not dial for
    /// a second.
    fn is_in_time(&mut self, host: Host, is_proven: bool, now: Instant) -> bool {
        let left: f64 = if is_proven { 0.0 } else { 0.5 };
        // What is kept was made for a token of everybody's that is not refilled yet, so there is little of it.
        self.rates.retain(|_, rate| !rate.is_full(now));
        let for_others: f64 = if self.rates.contains_key(&host) { 0.25 } else { 0.0 };
        if !self.rate.has_one_above(for_others.max(left), now) {
            return false;
        }
        let per_second = self.limits.handshakes_per_second_per_host;
        let of_host = self.rates.entry(host).or_insert_with(|| RateLimit::new(per_second, now));
        let has_one = of_host.has_one_above(left, now);
        if has_one {
            of_host.take();
            self.rate.take();
        }
        has_one
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        let mut counts = locked(&self.counts);
        if let Some(count) = counts.get_mut(&self.host) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.host);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn host(number: u8) -> Host {
        Host::of([192, 0, 2, number].into())
    }

    fn admission(now: Instant) -> Admission {
        let limits = TransportLimits {
            handshakes_at_once: 8,
            handshakes_at_once_per_host: 4,
            handshakes_per_second: 100,
            handshakes_per_second_per_host: 10,
            ..TransportLimits::default()
        };
        Admission::new(limits, now)
    }

    /// The handshakes that are begun of so many dials.
    fn begun(
        admission: &mut Admission,
        from: u8,
        is_proven: bool,
        dials: usize,
        now: Instant,
    ) -> Vec<InProgress> {
        let verdicts = (0..dials).map(|_| admission.judge(host(from), is_proven, now));
        verdicts
            .filter_map(|verdict| if let Verdict::Answer(begun) = verdict { Some(begun) } else { None })
            .collect()
    }

    #[test]
    fn handshakes_that_never_end_hold_a_share_and_others_get_through() {
        let now = Instant::now();
        let mut admission = admission(now);
        let slow = begun(&mut admission, 1, true, 100, now);
        assert_eq!(slow.len(), 4);
        assert!(matches!(admission.judge(host(1), true, now), Verdict::Refuse));
        assert_eq!(begun(&mut admission, 2, true, 1, now).len(), 1);
        drop(slow);
        assert_eq!(begun(&mut admission, 1, true, 1, now).len(), 1);
    }

    #[test]
    fn a_few_hosts_that_use_up_their_shares_keep_out_no_others_first_dial() {
        let now = Instant::now();
        let mut admission = admission(now);
        let held: Vec<_> = [1, 2].map(|number| begun(&mut admission, number, true, 100, now)).into();
        assert_eq!(held.iter().map(Vec::len).collect::<Vec<_>>(), [4, 2]);
        let first = begun(&mut admission, 3, true, 100, now);
        assert_eq!(first.len(), 1);
        assert_eq!(begun(&mut admission, 4, true, 1, now).len(), 1);
    }

    #[test]
    fn hosts_that_dial_without_end_leave_tokens_for_those_that_did_not_dial() {
        let now = Instant::now();
        let mut admission = admission(now);
        let dialled = (1..100).flat_map(|host| (0..1_000).map(move |_| host));
        let answered = dialled.filter(|&host| !begun(&mut admission, host, true, 1, now).is_empty());
        // All of nine hosts' shares, nearly, and then the first dial of each that is new.
        assert_eq!(answered.count(), 100);
        let spent = |admission: &mut Admission, host| begun(admission, host, true, 1, now).is_empty();
        assert!(spent(&mut admission, 1) && spent(&mut admission, 200));
        let later = now + Duration::from_millis(10);
        assert_eq!(begun(&mut admission, 1, true, 1, later).len(), 0);
        assert_eq!(begun(&mut admission, 200, true, 1, later).len(), 1);
    }

    #[test]
    fn a_host_that_dials_without_end_uses_up_its_share_and_not_what_is_for_all() {
        let now = Instant::now();
        let mut admission = admission(now);
        let dialled = (0..1_000).filter(|_| !begun(&mut admission, 1, true, 1, now).is_empty());
        assert_eq!(dialled.count(), 10);
        assert_eq!(begun(&mut admission, 2, true, 1, now).len(), 1);
        let later = now + Duration::from_millis(500);
        let dialled = (0..1_000).filter(|_| !begun(&mut admission, 1, true, 1, later).is_empty());
        assert_eq!(dialled.count(), 5);
    }

    #[test]
    fn whoever_forges_an_address_cannot_use_up_the_share_of_its_owner() {
        let now = Instant::now();
        let mut admission = admission(now);
        let forged = begun(&mut admission, 1, false, 100, now);
        assert_eq!(forged.len(), 2);
        assert!(matches!(admission.judge(host(1), false, now), Verdict::ProveAddress));
        assert_eq!(begun(&mut admission, 1, true, 1, now).len(), 1);
    }

    #[test]
    fn hosts_that_have_been_quiet_for_a_second_are_forgotten() {
        let now = Instant::now();
        let mut admission = admission(now);
        for number in 0..100 {
            begun(&mut admission, number, true, 1, now);
        }
        assert_eq!(admission.rates.len(), 100);
        begun(&mut admission, 200, true, 1, now + Duration::from_secs(2));
        assert_eq!(admission.rates.len(), 1);
    }
}
