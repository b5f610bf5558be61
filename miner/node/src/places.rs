//! Whose places something takes that others sent and that waits here: a block, or a batch that may be voted on. Keys are
//! free, and so are valid blocks that bring next to nothing: what strangers send fills the strangers' places and no others.

use chain::PublicKey;

/// Places for what validators made; each has its share of them, [`OF_A_MAKER`] at most.
const VALIDATORS: usize = 64;
/// Places for what others with standing made.
const KNOWN: usize = 32;
/// Places for what everybody else made.
const STRANGERS: usize = 16;
/// What one key made, for it may sign as much as it likes.
const OF_A_MAKER: usize = 4;
/// What strangers made and one peer sends: the other peers' share is not its to fill.
const STRANGERS_OF_A_SENDER: usize = 4;

/// Whose places something takes; the first ones are served first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Room {
    /// What is our own, and batches that validators vote on: no limit on what others send keeps them out. How many are
    /// voted on is limited by the proposals held.
    Guaranteed,
    /// What one of so many validators made.
    Validator { validators: usize },
    /// What another key with standing made.
    Known,
    /// What any other key made.
    Stranger,
}

/// Where something comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub(super) struct Origin {
    pub(super) room: Room,
    /// Who signed it.
    pub(super) maker: PublicKey,
    /// The peer that sent it.
    pub(super) sender: PublicKey,
}

/// Why something finds no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// All places of its kind, or of its maker, are taken.
    ForAll,
    /// Its sender's are.
    ForSender,
}

impl Origin {
    /// Whether it finds a place beside the others that are here.
    ///
    /// # Errors
    /// If it does not.
    pub(super) fn validate_place<'o>(&self, others: impl Iterator<Item = &'o Self>) -> Result<(), Full> {
        let kind = std::mem::discriminant(&self.room);
        let same: Vec<&Self> = others.filter(|other| std::mem::discriminant(&other.room) == kind).collect();
        let (places, of_a_maker, of_a_sender) = match self.room {
            Room::Guaranteed => return Ok(()),
            Room::Validator { validators } => {
                let share = VALIDATORS.checked_div(validators).unwrap_or(0);
                (VALIDATORS, share.clamp(1, OF_A_MAKER), VALIDATORS)
            }
            Room::Known => (KNOWN, OF_A_MAKER, KNOWN),
            Room::Stranger => (STRANGERS, OF_A_MAKER, STRANGERS_OF_A_SENDER),
        };
        let of_maker = same.iter().filter(|other| other.maker == self.maker).count();
        let of_sender = same.iter().filter(|other| other.sender == self.sender).count();
        if same.len() >= places || of_maker >= of_a_maker {
            Err(Full::ForAll)
        } else if of_sender >= of_a_sender {
            Err(Full::ForSender)
        } else {
            Ok(())
        }
    }
}
