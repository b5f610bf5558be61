//! What happened, as a running hash and as its last lines. Two runs of one seed must leave the same hash.

use std::collections::VecDeque;
use std::fmt;

use super::host::HostId;

/// Lines kept for a failure's report.
const TAIL: usize = 80;

/// The story so far.
#[derive(Debug, Default)]
pub struct Trace {
    hasher: blake3::Hasher,
    tail: VecDeque<Line>,
    lines: u64,
}

#[derive(Debug)]
struct Line {
    at_ms: u64,
    host: HostId,
    what: &'static str,
    detail: String,
}

impl Trace {
    /// Notes one thing: when, where, what, and the bytes that make it differ from others of its kind.
    pub fn note(&mut self, at_ms: u64, host: HostId, what: &'static str, bytes: &[u8]) {
        self.hasher.update(&at_ms.to_le_bytes());
        self.hasher.update(&host.0.to_le_bytes());
        self.hasher.update(what.as_bytes());
        self.hasher.update(bytes);
        self.lines += 1;
    }

    /// Notes one thing that people would want to read if the run fails.
    pub fn tell(&mut self, at_ms: u64, host: HostId, what: &'static str, detail: String) {
        self.note(at_ms, host, what, detail.as_bytes());
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(Line { at_ms, host, what, detail });
    }

    /// Everything noted so far.
    pub const fn lines(&self) -> u64 {
        self.lines
    }

    /// The hash of everything noted so far.
    pub fn hash(&self) -> [u8; 32] {
        *self.hasher.finalize().as_bytes()
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Line { at_ms, host, what, detail } in &self.tail {
            writeln!(f, "{at_ms:>8} ms  {host}  {what}: {detail}")?;
        }
        Ok(())
    }
}
