//! How a node comes to its store: opened, mended if it is damaged, and told by the operator what it cannot know.
//!
//! A validator votes only if its store says what it signed before. Nothing else may say so: a store that was damaged,
//! deleted or never there is the same as a new one, which says nothing. So there is no moment in the mending of a store
//! at which a crash would let a node vote that has forgotten its votes.

use std::sync::Arc;

use chain::consensus::SafetyLog;
use chain::store::{CountedBackend, Medium, Store, StoreError, Write};
use chain::{Height, Network, NetworkId, PublicKey};

use super::recovered::{RecallError, Recovered};

/// What an operator says about the past of a validator when starting its node. It is entered into the store, which
/// then knows by itself: said again, it is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Testimony {
    /// Nothing.
    #[default]
    None,
    /// This key has never voted.
    FirstRun,
    /// A store was lost, and this key has signed nothing of this height or a later one.
    VoteFrom(Height),
}

/// Why what an operator says is not believed. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TestimonyError {
    /// The store is damaged: whatever was said was not said about this.
    #[error(
        "the store is damaged ({reason}): start the node without --first-run and --vote-from-height, and it moves the \
         store aside and says what to do"
    )]
    Damaged {
        /// How it was noticed.
        reason: Box<RecallError>,
    },
    /// It is not the first run, and nothing was lost.
    #[error(
        "--first-run is refused: this node has run before and knows what it signed, up to height {signed}. Start it \
         without"
    )]
    KnowsWhatItSigned {
        /// The height last voted on.
        signed: Height,
    },
    /// It is not the first run, and what was signed in an earlier one is not known.
    #[error(
        "--first-run is refused: this node has run before, its chain stands at height {height}. Start it without; to let \
         it vote, with --vote-from-height H, above every height it may have voted on"
    )]
    HasChain {
        /// Of its head.
        height: Height,
    },
    /// It is not the first run: an earlier store is beside this one.
    #[error(
        "--first-run is refused: an earlier store of this node was moved aside. Start it without; to let it vote, with \
         --vote-from-height H, above every height it may have voted on"
    )]
    HasMovedAside,
    /// Nothing was lost that a permission could be for.
    #[error(
        "--vote-from-height is refused: this validator knows what it signed, up to height {signed}, and votes above. \
         Start it without; the option is for the one start after a store was lost"
    )]
    Needless {
        /// The height last voted on, or that it was told to vote from.
        signed: Height,
    },
    /// The chain says otherwise.
    #[error(
        "--vote-from-height {got} is refused: this validator signed the batch of height {signed}. Name a height above \
         every one it may have voted on"
    )]
    SignedLater {
        /// The height named.
        got: Height,
        /// The first height from there on whose certificate has its signature.
        signed: Height,
    },
    /// There is nothing to permit.
    #[error("--vote-from-height is refused: the genesis does not list this node's key")]
    NoValidator,
    /// It cannot be compared with the store, or not be entered.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a node does not come to its store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpeningError {
    /// It is in use, another network's, or the medium fails.
    #[error(transparent)]
    Recall(#[from] RecallError),
    /// It is damaged and in the way.
    #[error("it is damaged ({reason}) and cannot be moved aside: {error}")]
    MoveAside {
        /// How the damage was noticed.
        reason: Box<RecallError>,
        /// What the medium said.
        error: StoreError,
    },
    /// What the operator says is not believed.
    #[error(transparent)]
    Testimony(#[from] TestimonyError),
}

/// A store that a node can go on from.
#[derive(Debug)]
pub struct Opened {
    /// To write to.
    pub store: Store,
    /// What it remembers.
    pub recovered: Recovered,
    /// A damaged store that was in its place.
    pub moved_aside: Option<MovedAside>,
}

/// A damaged store that was moved aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedAside {
    /// Where it is now.
    pub to: String,
    /// How the damage was noticed.
    pub reason: RecallError,
}

/// Opens a node's store and has `recall` verify its whole chain, as [`Recovered::recall`] does. One that is damaged is
/// moved aside (nothing is deleted) and a new one begun; the node then fetches the chain from its peers, and does not
/// vote until its operator says from which height on it cannot contradict what it signed before.
///
/// # Errors
/// If the medium fails, the store belongs to another network, or what the operator says cannot be true.
pub fn open_store(
    medium: &mut dyn Medium,
    network: &Arc<Network>,
    own: PublicKey,
    testimony: Testimony,
    mut recall: impl FnMut(&Store) -> Result<Recovered, RecallError>,
) -> Result<Opened, OpeningError> {
    let (found, moved_aside) = match open_and_recall(medium, network.id(), &mut recall) {
        Ok(found) => (found, None),
        Err(reason) if !reason.is_damage() => return Err(reason.into()),
        Err(reason) if testimony != Testimony::None => {
            return Err(TestimonyError::Damaged { reason: Box::new(reason) }.into());
        }
        Err(reason) => match medium.move_aside() {
            Ok(to) => {
                let found = open_and_recall(medium, network.id(), &mut recall)?;
                (found, Some(MovedAside { to, reason }))
            }
            Err(error) => return Err(OpeningError::MoveAside { reason: Box::new(reason), error }),
        },
    };
    let (mut store, mut recovered) = found;
    let believed = match testimony {
        Testimony::None => None,
        Testimony::FirstRun => {
            let has_moved_aside = medium.has_moved_aside().map_err(TestimonyError::from)?;
            Some(believe_first_run(&recovered, has_moved_aside)?)
        }
        Testimony::VoteFrom(height) => Some(believe_vote_from(height, &store, &recovered, own)?),
    };
    if let Some(log) = believed {
        store.write(&[Write::Safety(Box::new(log.clone()))]).map_err(TestimonyError::from)?;
        recovered.safety = Some(log);
    }
    Ok(Opened { store, recovered, moved_aside })
}

fn open_and_recall(
    medium: &mut dyn Medium,
    network: NetworkId,
    recall: &mut impl FnMut(&Store) -> Result<Recovered, RecallError>,
) -> Result<(Store, Recovered), RecallError> {
    let store = Store::open(Box::new(CountedBackend::open(medium)?), network)?;
    let recovered = recall(&store)?;
    Ok((store, recovered))
}

/// A crash may have come right after an earlier first run was entered; nothing was signed then.
fn believe_first_run(recovered: &Recovered, has_moved_aside: bool) -> Result<SafetyLog, TestimonyError> {
    let (height, nothing_signed) = (recovered.ledger.head().height, SafetyLog::new(0));
    match &recovered.safety {
        Some(log) if height > 0 || *log != nothing_signed => {
            Err(TestimonyError::KnowsWhatItSigned { signed: log.height })
        }
        None if height > 0 => Err(TestimonyError::HasChain { height }),
        _ if has_moved_aside => Err(TestimonyError::HasMovedAside),
        Some(_) | None => Ok(nothing_signed),
    }
}

fn believe_vote_from(
    got: Height,
    store: &Store,
    recovered: &Recovered,
    own: PublicKey,
) -> Result<SafetyLog, TestimonyError> {
    let validators = recovered.ledger.network().validators();
    let Some(index) = validators.index_of(&own) else { return Err(TestimonyError::NoValidator) };
    if let Some(log) = &recovered.safety {
        return Err(TestimonyError::Needless { signed: log.height });
    }
    for height in got.max(1)..=store.height() {
        let header = store.header(height)?;
        let signatures = header.iter().flat_map(|signed| &signed.certificate.signatures);
        if signatures.into_iter().any(|&(signer, _)| signer == index) {
            return Err(TestimonyError::SignedLater { got, signed: height });
        }
    }
    Ok(SafetyLog::new(got))
}
