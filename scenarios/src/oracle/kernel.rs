//! Which vector instructions a shortest path is found with. The only unsafe code of the crate: calls of
//! functions compiled for instructions that the processor was just asked for.
//!
//! All kernels are the same safe code ([`super::lanes`]), compiled for different instructions; so they agree on
//! every answer, which the tests check all the same.
#![expect(
    unsafe_code,
    reason = "calling a function compiled for more instructions than the build's baseline"
)]
#![expect(clippy::inline_always, reason = "what is not inlined is compiled for the baseline's instructions")]

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};

use super::lanes::{Graph, Lane, Legs, Rows, load, pass, trace};

/// A set of vector instructions to find shortest paths with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kernel {
    /// Those of the build's baseline, on any processor.
    Portable,
    /// AVX2 of `x86_64`: 256 bits.
    Avx2,
    /// AVX-512 (F, BW, DQ, VL) of `x86_64`: 512 bits.
    Avx512,
}

/// What [`Kernel::use_at_most`] was told last.
static WIDEST: AtomicU8 = AtomicU8::new(Kernel::Avx512 as u8);

impl Kernel {
    /// All kernels, the widest last.
    pub const ALL: [Self; 3] = [Self::Portable, Self::Avx2, Self::Avx512];

    /// The widest that this processor has, or that [`Kernel::use_at_most`] allows.
    pub fn detect() -> Self {
        let widest = WIDEST.load(Ordering::Relaxed);
        let mut allowed = Self::ALL.into_iter().rev().filter(|&kernel| kernel as u8 <= widest);
        allowed.find(|kernel| kernel.is_available()).unwrap_or(Self::Portable)
    }

    /// From now on, whoever detects a kernel in this process finds none wider than this one: to measure what a
    /// processor without the wider ones would take for more than a shortest path.
    pub fn use_at_most(widest: Self) {
        WIDEST.store(widest as u8, Ordering::Relaxed);
    }

    /// Whether this processor has it. A search told to use one that is not available uses the portable one.
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
        }
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Portable => "portable",
            Self::Avx2 => "AVX2",
            Self::Avx512 => "AVX-512",
        })
    }
}

/// The least cost of a path through `graph`, and the path itself into `path` if it is asked for; `None` if there
/// is none.
pub(super) fn solve<L: Lane>(
    kernel: Kernel,
    legs: &Legs<L>,
    graph: &Graph<'_, L>,
    rows: &mut Rows<L>,
    path: Option<&mut Vec<u32>>,
) -> Option<i64> {
    match kernel {
        #[cfg(target_arch = "x86_64")]
        Kernel::Avx512 if kernel.is_available() => {
            // SAFETY: the processor has just said that it has every feature the function is compiled for.
            unsafe { avx512(legs, graph, rows, path) }
        }
        #[cfg(target_arch = "x86_64")]
        Kernel::Avx2 if kernel.is_available() => {
            // SAFETY: as above.
            unsafe { avx2(legs, graph, rows, path) }
        }
        Kernel::Portable | Kernel::Avx2 | Kernel::Avx512 => portable(legs, graph, rows, path),
    }
}

#[inline(always)]
fn portable<L: Lane>(
    legs: &Legs<L>,
    graph: &Graph<'_, L>,
    rows: &mut Rows<L>,
    path: Option<&mut Vec<u32>>,
) -> Option<i64> {
    load(graph, legs.lanes, rows);
    let cost = pass(legs, graph.prune, rows)?;
    if let Some(path) = path {
        trace(legs, graph, rows, path);
    }
    Some(cost)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2<L: Lane>(
    legs: &Legs<L>,
    graph: &Graph<'_, L>,
    rows: &mut Rows<L>,
    path: Option<&mut Vec<u32>>,
) -> Option<i64> {
    portable(legs, graph, rows, path)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn avx512<L: Lane>(
    legs: &Legs<L>,
    graph: &Graph<'_, L>,
    rows: &mut Rows<L>,
    path: Option<&mut Vec<u32>>,
) -> Option<i64> {
    portable(legs, graph, rows, path)
}
