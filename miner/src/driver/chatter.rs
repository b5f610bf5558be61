//! How much strangers can make this node write: they come and go, and what they send is refused, as often as they like.

use miner_node::NodeEvent;

/// Lines about strangers in a minute, some 20 MB a day; more than that is for who logs at debug level.
const LINES_A_MINUTE: u32 = 60;
const MINUTE_MS: u64 = 60_000;

/// Lines written of late.
#[derive(Debug, Default)]
pub(super) struct Chatter {
    /// When this minute began, by a clock that does not go back.
    since_ms: u64,
    lines: u32,
    /// Left out since the last line.
    left_out: u64,
}

impl Chatter {
    /// Whether one more line is written at this time; if so, how many were left out before it.
    pub(super) const fn admit(&mut self, now_ms: u64) -> Option<u64> {
        if now_ms.saturating_sub(self.since_ms) >= MINUTE_MS {
            self.since_ms = now_ms;
            self.lines = 0;
        }
        if self.lines >= LINES_A_MINUTE {
            self.left_out = self.left_out.saturating_add(1);
            return None;
        }
        self.lines += 1;
        Some(std::mem::replace(&mut self.left_out, 0))
    }
}

/// Whether anybody can bring it about, with a key of no standing and at no cost.
pub(super) const fn is_anybodys(event: &NodeEvent) -> bool {
    matches!(
        event,
        NodeEvent::PeerUp { .. }
            | NodeEvent::PeerDown { .. }
            | NodeEvent::RecordRefused { .. }
            | NodeEvent::BlockRefused { .. }
            | NodeEvent::BatchRefused { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixty_lines_are_written_in_a_minute_and_the_next_one_counts_what_was_left_out() {
        let mut chatter = Chatter::default();
        assert_eq!((0..100).filter_map(|now_ms| chatter.admit(now_ms)).sum::<u64>(), 0);
        assert_eq!((chatter.admit(59_999), chatter.admit(60_000)), (None, Some(41)));
        assert_eq!((0..100).filter_map(|_| chatter.admit(60_001)).count(), 59);
    }

    #[test]
    fn whoever_comes_is_anybody() {
        let peer = chain::SecretKey::for_scenario(1, "stranger", 0).public();
        assert!(is_anybodys(&NodeEvent::PeerUp { peer }));
        assert!(!is_anybodys(&NodeEvent::LocalFault { detail: "the disk".into() }));
    }
}
