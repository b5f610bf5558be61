//! The algorithm with one line taken out, to see that its loss is noticed. Every line is broken from
//! outside: what the nodes run has no switch.

use super::message::Unsigned;
use super::*;
use crate::consensus::algorithm::Algorithm;
use crate::consensus::validators::Seats;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    Nothing,
    /// Line 38 is missing: nobody is ever locked.
    Locks,
    /// Two of four decide.
    Quorum,
    /// Line 28 does not ask for the prevotes of the valid round: the liar may claim any.
    ValidRound,
    /// What was signed is not on the disk after a crash; the lock is.
    SignedOnDisk,
    /// The lock is not on the disk after a crash; what was signed is.
    LockOnDisk,
}

/// What four validators keep to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) powers: [Power; 4],
    pub(super) broken: Broken,
}

impl Rules {
    pub(super) fn seats(self) -> Seats {
        let seats = Seats::new(self.powers);
        if self.broken == Broken::Quorum { seats.with_quorum(2) } else { seats }
    }
}

impl Broken {
    pub(super) fn step(self, algorithm: &mut Algorithm<Unsigned>, input: Input) -> Vec<Output> {
        let mut outputs = algorithm.step(input);
        if self == Self::Locks {
            algorithm.log.locked = None;
            for output in &mut outputs {
                if let Output::Persist(log) = output {
                    log.locked = None;
                }
            }
        }
        outputs
    }

    pub(super) fn disk_after_crash(self, mut disk: SafetyLog) -> SafetyLog {
        if self == Self::SignedOnDisk {
            (disk.proposal, disk.prevote, disk.precommit) = (None, None, None);
        }
        if self == Self::LockOnDisk {
            disk.locked = None;
        }
        disk
    }
}
