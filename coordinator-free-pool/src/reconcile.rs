//! Range-based set reconciliation of the pools' ids, by negentropy: a few rounds of a few kilobytes find
//! what differs between sets of any size. Each round is worked out from the pool as it is then; of a pool that has
//! not changed, the sorted ids are kept from round to round.

use std::collections::BTreeSet;

use chain::{Hash, RecordId};
use negentropy::{Id, Negentropy, NegentropyStorageVector};

use crate::message::RECONCILE_BYTES;
use crate::pool::Pool;

/// What one round told who began it.
#[derive(Debug, Default)]
pub(crate) struct Difference {
    /// Ids that the peer lacks.
    pub(crate) lacking: BTreeSet<RecordId>,
    /// Ids that the peer has and we lack.
    pub(crate) needed: BTreeSet<RecordId>,
    /// The next round, unless this was the last.
    pub(crate) query: Option<Vec<u8>>,
}

/// The ids of a pool, sorted for reconciliation: gathering them goes over the whole pool, so it is done once for all the
/// rounds, with whatever peers, until the pool changes.
#[derive(Debug, Default)]
pub(crate) struct SortedIds {
    /// The revision of the pool that they are of.
    of_revision: Option<u64>,
    ids: NegentropyStorageVector,
}

impl SortedIds {
    /// The first round.
    pub(crate) fn begin(&mut self, pool: &Pool) -> Result<Vec<u8>, negentropy::Error> {
        self.session(pool)?.initiate()
    }

    /// The answer to a round that a peer began.
    pub(crate) fn answer(&mut self, pool: &Pool, query: &[u8]) -> Result<Vec<u8>, negentropy::Error> {
        self.session(pool)?.reconcile(query)
    }

    /// Takes a peer's answer. The sets come in hash order from negentropy: here they are sorted.
    pub(crate) fn compare(&mut self, pool: &Pool, reply: &[u8]) -> Result<Difference, negentropy::Error> {
        let mut session = self.session(pool)?;
        session.set_initiator();
        let (mut have, mut need) = (Vec::new(), Vec::new());
        let query = session.reconcile_with_ids(reply, &mut have, &mut need)?;
        let sorted = |ids: Vec<Id>| ids.into_iter().map(|id| RecordId(Hash(id.to_bytes()))).collect();
        Ok(Difference { lacking: sorted(have), needed: sorted(need), query })
    }

    fn session(&mut self, pool: &Pool) -> Result<Negentropy<'_, NegentropyStorageVector>, negentropy::Error> {
        let revision = Some(pool.contents().revision());
        if self.of_revision != revision {
            let mut ids = NegentropyStorageVector::with_capacity(pool.len());
            for id in pool.ids() {
                // Ids alone order the set: a record has no time that both sides would know.
                ids.insert(0, Id::from_byte_array(id.0.0))?;
            }
            ids.seal()?;
            *self = Self { of_revision: revision, ids };
        }
        // Its limit is soft by up to one range of ids.
        Negentropy::borrowed(&self.ids, (RECONCILE_BYTES / 2) as u64)
    }
}
