//! What time it is, by the two clocks that a node is shown.

/// A moment as two clocks show it. Which one to ask: for how long something took, the monotonic one; what others are told
/// or have said about time, the wall clock, which may be wrong, may be set back and may stand still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since the Unix epoch, as this machine believes.
    pub wall_ms: u64,
    /// Milliseconds since some moment before the node was made; never runs backwards. All timers use it.
    pub monotonic_ms: u64,
}

impl Now {
    /// A moment at which both clocks show the same, as in tests that are not about time.
    pub const fn at(at_ms: u64) -> Self {
        Self { wall_ms: at_ms, monotonic_ms: at_ms }
    }

    /// The monotonic time so much later.
    pub(crate) const fn in_ms(self, span_ms: u64) -> u64 {
        self.monotonic_ms.saturating_add(span_ms)
    }

    /// How long ago a monotonic time was; 0 for one to come.
    pub(crate) const fn since_ms(self, monotonic_ms: u64) -> u64 {
        self.monotonic_ms.saturating_sub(monotonic_ms)
    }
}
