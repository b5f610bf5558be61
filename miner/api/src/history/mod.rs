//! What the chain has left behind: where records came on chain, what became of demands that left the market, and
//! what everything composed cost and earned. The ledger keeps none of it.
//!
//! [`History`] is an index over a [`Backend`] of its own. It is made of final batches in order, each applied whole
//! or not at all, and of nothing else: it can be thrown away and made again from the chain. Why records were
//! refused is remembered too, for as long as the node runs. What runs it, on which thread, is the driver's affair.

mod layout;
mod refusals;
mod totals;

use std::collections::BTreeMap;
use std::sync::Arc;

use chain::codec::{decode, encode};
use chain::ledger::DemandEntry;
use chain::store::{Backend, Changes};
use chain::{Batch, BatchHash, BatchReport, DemandId, Height, NetworkId, RecordId, StoreError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::views::Refusal;

pub use totals::{MinerTotals, Totals};

use refusals::Refusals;

/// The last heights whose totals are remembered: readers may look at a snapshot that is a little older.
const RECENT_HEIGHTS: usize = 16;

/// Why history cannot answer, or cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "problem", rename_all = "snake_case")]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum HistoryError {
    /// What it is kept on fails.
    #[error("the node's history cannot be read or written: {reason}")]
    Storage {
        /// What the backend says.
        reason: String,
    },
    /// What is kept makes no sense. It is made again from the chain when the node starts.
    #[error("the node's history is damaged ({reason}); it is made again when the node is restarted")]
    Damaged { reason: String },
    /// A batch that does not follow the last one.
    #[error("batch {got} does not continue the history, the next is {expected}")]
    NotNext {
        /// The batch's height.
        got: Height,
        /// The last one's + 1.
        expected: Height,
    },
    /// A batch of another chain.
    #[error("the parent of batch {height} is {got}, the history ends with {expected}")]
    OtherChain {
        /// The batch's height.
        height: Height,
        got: BatchHash,
        /// The last batch known.
        expected: BatchHash,
    },
    /// It is asked about a height that it has not come to, or of which it remembers too little.
    #[error("the history is at height {got}, asked about {expected}: ask again")]
    OtherHeight {
        /// Its last batch's height.
        got: Height,
        /// The height asked about.
        expected: Height,
    },
    /// A mistake of ours in what answers, or in what takes a batch in.
    #[error("the node's history cannot answer: it panicked ({reason})")]
    Panicked {
        /// What the panic said.
        reason: String,
    },
    /// Nobody runs it any more.
    #[error("the node's history has stopped: the node is shutting down")]
    Stopped,
}

impl From<StoreError> for HistoryError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Corrupt(reason) => Self::Damaged { reason },
            StoreError::InUse
            | StoreError::Io(_)
            | StoreError::WrongNetwork { .. }
            | StoreError::NotNext { .. }
            | StoreError::WrongCertificate { .. } => Self::Storage { reason: error.to_string() },
        }
    }
}

/// The index.
#[derive(Debug)]
pub struct History {
    backend: Box<dyn Backend>,
    network: NetworkId,
    head: Option<(Height, BatchHash)>,
    totals: Arc<Totals>,
    /// The totals after each of the last heights.
    recent: BTreeMap<Height, Arc<Totals>>,
    refusals: Refusals,
    /// Whether damage was come across: on disk it then has no head, and whoever opens it next makes it anew.
    is_disowned: bool,
}

impl History {
    /// Opens what is kept on `backend`. What was kept for another network, or in another format, is forgotten.
    ///
    /// # Errors
    /// If the backend fails or its content is damaged.
    pub fn open(backend: Box<dyn Backend>, network: NetworkId) -> Result<Self, HistoryError> {
        let totals = Arc::new(Totals::default());
        let recent = BTreeMap::from([(0, Arc::clone(&totals))]);
        let refusals = Refusals::default();
        let mut history = Self { backend, network, head: None, totals, recent, refusals, is_disowned: false };
        match history.backend.get(layout::HEAD)?.map(|bytes| layout::Head::read(&bytes)) {
            Some(Some(head)) if head.network == network => history.load(head.height, head.batch)?,
            Some(_) => history.forget()?,
            None => {}
        }
        Ok(history)
    }

    fn load(&mut self, height: Height, batch: BatchHash) -> Result<(), HistoryError> {
        let mut totals = match self.backend.get(layout::TOTALS)? {
            Some(bytes) => stored::<Totals>(&bytes, "the totals")?,
            None => Totals::default(),
        };
        for (key, value) in self.backend.scan(layout::MINERS)? {
            let address = layout::miner_of(&key).ok_or_else(|| damaged("the key of a miner"))?;
            totals.miners.insert(address, stored(&value, "a miner's totals")?);
        }
        self.head = Some((height, batch));
        self.totals = Arc::new(totals);
        self.recent = BTreeMap::from([(height, Arc::clone(&self.totals))]);
        Ok(())
    }

    /// Height and hash of the last batch applied; `None` before the first.
    pub const fn head(&self) -> Option<(Height, BatchHash)> {
        self.head
    }

    /// The last batch's height; 0 before the first.
    pub fn height(&self) -> Height {
        self.head.map_or(0, |(height, _)| height)
    }

    /// Forgets everything but refusals: the next batch is the first.
    ///
    /// # Errors
    /// If the backend fails.
    pub fn forget(&mut self) -> Result<(), HistoryError> {
        let keys = self.backend.scan(&[])?.into_iter().map(|(key, _)| (key, None));
        let changes: Changes = keys.collect();
        self.backend.commit(changes)?;
        self.head = None;
        self.totals = Arc::default();
        self.recent = BTreeMap::from([(0, Arc::clone(&self.totals))]);
        self.is_disowned = false;
        Ok(())
    }

    /// Damage was come across: whoever opens it next makes it anew, and until then it goes on with what it has.
    ///
    /// # Errors
    /// If the backend fails.
    pub fn disown(&mut self) -> Result<(), HistoryError> {
        if !self.is_disowned {
            self.backend.commit(Changes::from([(layout::HEAD.to_vec(), Some(Vec::new()))]))?;
            self.is_disowned = true;
        }
        Ok(())
    }

    /// Takes in the next batches, all of them with one commit or none.
    ///
    /// # Errors
    /// If one does not follow the one before, or the backend fails.
    pub fn apply<'b>(
        &mut self,
        batches: impl IntoIterator<Item = (&'b Batch, &'b BatchReport)>,
    ) -> Result<(), HistoryError> {
        let (mut changes, mut head) = (Changes::new(), self.head);
        let (mut totals, mut recent) = (Arc::clone(&self.totals), self.recent.clone());
        for (batch, report) in batches {
            let (height, hash) = follow(head, batch)?;
            let touched = Arc::make_mut(&mut totals).add(report);
            for miner in touched {
                changes.insert(layout::miner(miner), totals.miners.get(&miner).map(encode));
            }
            changes.insert(layout::batch(height), Some(encode(&hash)));
            for record in &batch.contents.records {
                changes.insert(layout::record(record.id()), Some(encode(&height)));
            }
            for (demand, entry) in &report.departed {
                changes.insert(layout::demand(*demand), Some(encode(entry.as_ref())));
            }
            head = Some((height, hash));
            recent.insert(height, Arc::clone(&totals));
            while recent.len() > RECENT_HEIGHTS {
                recent.pop_first();
            }
        }
        let Some((height, batch)) = head.filter(|_| head != self.head) else { return Ok(()) };
        let head_bytes = layout::Head { network: self.network, height, batch }.write();
        let head_bytes = if self.is_disowned { Vec::new() } else { head_bytes };
        changes.insert(layout::HEAD.to_vec(), Some(head_bytes));
        changes.insert(layout::TOTALS.to_vec(), Some(encode(totals.as_ref())));
        self.backend.commit(changes)?;
        (self.head, self.totals, self.recent) = (head, totals, recent);
        Ok(())
    }

    /// Takes note of a refusal.
    pub fn note_refusal(&mut self, refusal: Refusal) {
        self.refusals.note(refusal);
    }

    /// Why a record was refused last since the node started, if it was.
    pub fn refusal(&self, record: RecordId) -> Option<&Refusal> {
        self.refusals.get(record)
    }

    /// The height of the final batch that brought a record.
    ///
    /// # Errors
    /// If the backend fails or its content is damaged.
    pub fn height_of(&self, record: RecordId) -> Result<Option<Height>, HistoryError> {
        self.read(&layout::record(record), "a record's height")
    }

    /// The final batch of a height.
    ///
    /// # Errors
    /// If the backend fails, or it is not there.
    pub fn batch_at(&self, height: Height) -> Result<BatchHash, HistoryError> {
        let found = self.read(&layout::batch(height), "a batch's hash")?;
        found.ok_or(HistoryError::OtherHeight { got: self.height(), expected: height })
    }

    /// A demand that was settled or cancelled, as it left the market.
    ///
    /// # Errors
    /// If the backend fails or its content is damaged.
    pub fn departed(&self, demand: DemandId) -> Result<Option<DemandEntry>, HistoryError> {
        self.read(&layout::demand(demand), "a departed demand")
    }

    /// Everything added up after this height, which must be among the last few.
    ///
    /// # Errors
    /// If it is not.
    pub fn totals_at(&self, height: Height) -> Result<Arc<Totals>, HistoryError> {
        let found = self.recent.get(&height).map(Arc::clone);
        found.ok_or(HistoryError::OtherHeight { got: self.height(), expected: height })
    }

    fn read<T: Serialize + DeserializeOwned>(
        &self,
        key: &[u8],
        what: &str,
    ) -> Result<Option<T>, HistoryError> {
        self.backend.get(key)?.map(|bytes| stored(&bytes, what)).transpose()
    }
}

/// The head after a batch, if it follows this one.
fn follow(head: Option<(Height, BatchHash)>, batch: &Batch) -> Result<(Height, BatchHash), HistoryError> {
    let got = batch.header.height;
    let expected = head.map_or(0, |(height, _)| height).saturating_add(1);
    if got != expected {
        return Err(HistoryError::NotNext { got, expected });
    }
    match head {
        Some((_, last)) if last != batch.header.parent => {
            Err(HistoryError::OtherChain { height: got, got: batch.header.parent, expected: last })
        }
        _ => Ok((got, batch.hash())),
    }
}

/// What we wrote ourselves must decode.
fn stored<T: Serialize + DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T, HistoryError> {
    decode(bytes, bytes.len()).map_err(|error| damaged(&format!("{what}: {error}")))
}

fn damaged(what: &str) -> HistoryError {
    HistoryError::Damaged { reason: what.to_owned() }
}
