//! The history's own thread: final batches go in, questions are answered there, and the node waits for neither.
//!
//! What happens to the history stays there: if its disk fails, whoever asks is told, and the node goes on.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use anyhow::{Context as _, Result};
use chain::store::Store;
use chain::{Batch, BatchHash, BatchReport, FinalBatch, Height, NetworkId, StoreError};
use miner_api::views::Refusal;
use miner_api::{History, HistoryError};
use tokio::sync::oneshot;

use super::worker::message_of;
use crate::storage;

/// The most batches that one commit takes in: a history that is made anew waits for the disk now and then only.
const BATCHES_PER_COMMIT: usize = 256;

/// Something a reader wants to know.
type Question = Box<dyn FnOnce(Result<&History, HistoryError>) -> Asked + Send>;

/// What a question came across.
enum Asked {
    Sound,
    Damage,
}

/// What the thread is given to do, in order.
enum Work {
    Forget,
    Batch(Arc<Batch>, Box<BatchReport>),
    Refused(Refusal),
    Question(Question),
    Stop,
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Forget => "Forget",
            Self::Batch(..) => "Batch",
            Self::Refused(_) => "Refused",
            Self::Question(_) => "Question",
            Self::Stop => "Stop",
        })
    }
}

/// The driver's end: gives the thread everything that becomes final.
#[derive(Debug)]
pub(super) struct Historian {
    work: Sender<Work>,
    /// The last batch given to the thread, in this run or an earlier one.
    head: Option<(Height, BatchHash)>,
    thread: JoinHandle<()>,
}

/// A reader's end.
#[derive(Clone, Debug)]
pub(super) struct HistoryReader {
    work: Sender<Work>,
}

impl Historian {
    /// Opens the history in `directory` and starts its thread. A history that is damaged is begun anew; one that
    /// cannot be opened at all is answered for with the reason.
    ///
    /// # Errors
    /// If there is no thread for it.
    pub(super) fn start(directory: &Path, network: NetworkId) -> Result<Self> {
        let opened = open(directory, network);
        if let Err(error) = &opened {
            let place = directory.display();
            tracing::error!(%error, "no history in {place}: questions that need it are answered with this error");
        }
        Self::run(opened)
    }

    fn run(history: Result<History, HistoryError>) -> Result<Self> {
        let head = history.as_ref().ok().and_then(History::head);
        let (sender, work) = channel();
        let thread = std::thread::Builder::new().name("history".into());
        let thread =
            thread.spawn(move || keep(history, &work)).context("cannot start the history's thread")?;
        Ok(Self { work: sender, head, thread })
    }

    /// Before a store's chain is replayed: what is of another chain, or ahead of this one, is forgotten.
    pub(super) fn begin(&mut self, store: &Store) -> Result<(), StoreError> {
        let Some((height, batch)) = self.head else { return Ok(()) };
        let found = store.header(height)?.map(|found| found.header.hash());
        if found != Some(batch) {
            tracing::info!(height, "the history is of another chain and is made anew");
            self.head = None;
            self.give(Work::Forget);
        }
        Ok(())
    }

    /// A final batch that is replayed.
    pub(super) fn catch_up(&mut self, done: &FinalBatch) {
        if self.height() < done.batch().header.height {
            self.take(Arc::new(done.batch().clone()), Box::new(done.report().clone()));
        }
    }

    /// The next final batch.
    pub(super) fn take(&mut self, batch: Arc<Batch>, report: Box<BatchReport>) {
        self.head = Some((batch.header.height, batch.hash()));
        self.give(Work::Batch(batch, report));
    }

    /// A record was refused or dropped.
    pub(super) fn note_refusal(&self, refusal: Refusal) {
        self.give(Work::Refused(refusal));
    }

    /// An end for readers.
    pub(super) fn reader(&self) -> HistoryReader {
        HistoryReader { work: self.work.clone() }
    }

    /// Lets the thread finish what it was given, and waits for that.
    pub(super) fn finish(self) {
        self.give(Work::Stop);
        if self.thread.join().is_err() {
            tracing::error!("the history's thread panicked; the history is made again if it is damaged");
        }
    }

    fn height(&self) -> Height {
        self.head.map_or(0, |(height, _)| height)
    }

    fn give(&self, work: Work) {
        if self.work.send(work).is_err() {
            tracing::debug!("the history's thread has ended");
        }
    }
}

impl HistoryReader {
    /// What the history says, after everything it was given before.
    ///
    /// # Errors
    /// If the history fails, or has stopped.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&History) -> Result<T, HistoryError> + Send + 'static,
    ) -> Result<T, HistoryError> {
        let (sender, answer) = oneshot::channel();
        let question = Work::Question(Box::new(move |history| {
            // A question changes nothing, so a panic leaves nothing behind.
            let answer = history.and_then(|history| guarded(|| question(history)));
            let came_across = match &answer {
                Err(HistoryError::Damaged { .. }) => Asked::Damage,
                Ok(_) | Err(_) => Asked::Sound,
            };
            // A reader that has gone needs no answer.
            let _ = sender.send(answer);
            came_across
        }));
        let stopped = |_gone| HistoryError::Stopped;
        self.work.send(question).map_err(|_given| HistoryError::Stopped)?;
        answer.await.map_err(stopped)?
    }
}

fn open(directory: &Path, network: NetworkId) -> Result<History, HistoryError> {
    let try_to = || History::open(Box::new(storage::open_backend(directory)?), network);
    match try_to() {
        Err(error @ HistoryError::Damaged { .. }) => {
            tracing::warn!(%error, "the history is begun anew");
            let removed = std::fs::remove_dir_all(directory);
            removed.map_err(|error| HistoryError::Storage { reason: error.to_string() })?;
            try_to()
        }
        opened => opened,
    }
}

/// The thread: does what it is given until it is told to stop. After an error it only says what the error was.
fn keep(mut history: Result<History, HistoryError>, work: &Receiver<Work>) {
    let mut next = work.recv().ok();
    while let Some(given) = next.take() {
        let done = match given {
            Work::Stop => return,
            Work::Question(question) => match question(history.as_ref().map_err(Clone::clone)) {
                Asked::Damage => history.as_mut().map_or(Ok(()), History::disown),
                Asked::Sound => Ok(()),
            },
            Work::Refused(refusal) => {
                if let Ok(history) = &mut history {
                    history.note_refusal(refusal);
                }
                Ok(())
            }
            Work::Forget => history.as_mut().map_or(Ok(()), |history| guarded(|| history.forget())),
            Work::Batch(batch, report) => {
                let mut batches = vec![(batch, report)];
                while batches.len() < BATCHES_PER_COMMIT {
                    match work.try_recv() {
                        Ok(Work::Batch(batch, report)) => batches.push((batch, report)),
                        Ok(other) => {
                            next = Some(other);
                            break;
                        }
                        Err(_) => break,
                    }
                }
                let batches = batches.iter().map(|(batch, report)| (batch.as_ref(), report.as_ref()));
                history.as_mut().map_or(Ok(()), |history| guarded(|| history.apply(batches)))
            }
        };
        if let Err(error) = done {
            tracing::error!(%error, "the history has failed; the node goes on without it until it is restarted");
            history = Err(error);
        }
        next = next.or_else(|| work.recv().ok());
    }
}

/// What panics is an error like any other: nobody may wait for a thread that is gone.
fn guarded<T>(operation: impl FnOnce() -> Result<T, HistoryError>) -> Result<T, HistoryError> {
    let panicked = |panic: Box<dyn Any + Send>| HistoryError::Panicked { reason: message_of(panic.as_ref()) };
    catch_unwind(AssertUnwindSafe(operation)).unwrap_or_else(|panic| Err(panicked(panic)))
}

#[cfg(test)]
mod tests {
    use chain::store::{Backend, Changes, Lookup, MemoryBackend, Pairs};
    use chain::{BatchHeader, Contents, Hash, RecordId, SecretKey};

    use super::*;

    const NETWORK: NetworkId = NetworkId(Hash([7; 32]));

    /// The first batch of a chain, as far as an index looks at it.
    fn first_batch() -> Arc<Batch> {
        let key = SecretKey::for_scenario(1, "miner", 0);
        let header = BatchHeader {
            version: 1,
            network: NETWORK,
            height: 1,
            parent: BatchHash(Hash([1; 32])),
            timestamp_ms: 0,
            proposer: key.public(),
            turn: 0,
            contents_root: Hash([2; 32]),
            item_count: 0,
            outcomes_root: Hash([4; 32]),
            state_root: Hash([3; 32]),
        };
        Arc::new(Batch::sign(header, Contents::default(), &key))
    }

    /// A disk that can be read and not written.
    #[derive(Debug)]
    struct FullDisk(MemoryBackend);

    impl Backend for FullDisk {
        fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
            self.0.get(key)
        }

        fn scan(&self, prefix: &[u8]) -> Result<Pairs, StoreError> {
            self.0.scan(prefix)
        }

        fn commit(&mut self, _: Changes) -> Result<(), StoreError> {
            Err(StoreError::Io("no space left".into()))
        }

        fn lookup(&self) -> Option<Lookup> {
            None
        }
    }

    #[tokio::test]
    async fn a_question_is_answered_after_the_batches_that_came_before_it() {
        let directory = tempfile::tempdir().unwrap();
        let mut historian = Historian::start(directory.path(), NETWORK).unwrap();
        let batch = first_batch();
        historian.take(Arc::clone(&batch), Box::default());
        let reader = historian.reader();
        assert_eq!(reader.ask(|history| Ok(history.head())).await, Ok(Some((1, batch.hash()))));
        historian.finish();
        assert_eq!(reader.ask(|history| Ok(history.height())).await, Err(HistoryError::Stopped));

        let again = Historian::start(directory.path(), NETWORK).unwrap();
        assert_eq!(again.head, Some((1, batch.hash())));
        again.finish();
    }

    #[tokio::test]
    async fn a_disk_that_fails_is_named_to_whoever_asks_and_to_nobody_else() {
        let full = FullDisk(MemoryBackend::default());
        let mut historian = Historian::run(History::open(Box::new(full), NETWORK)).unwrap();
        let reader = historian.reader();
        assert_eq!(reader.ask(|history| Ok(history.height())).await, Ok(0));
        historian.take(first_batch(), Box::default());
        let error = reader.ask(|history| Ok(history.height())).await.unwrap_err();
        assert!(error.to_string().contains("no space left"), "{error}");
        // Whatever the node gives it from now on is in vain, and does no harm.
        historian.take(first_batch(), Box::default());
        let (record, reason) = (RecordId(Hash([4; 32])), String::new());
        let rule = coordinator_free_pool::Rule::Record(chain::RecordRule::Expired);
        historian.note_refusal(Refusal { record, rule, reason });
        assert_eq!(reader.ask(|history| Ok(history.height())).await, Err(error));
        historian.finish();
    }

    #[tokio::test]
    async fn a_damaged_history_is_begun_anew_and_a_place_that_cannot_be_used_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("history");
        let mut historian = Historian::start(&place, NETWORK).unwrap();
        historian.take(first_batch(), Box::default());
        historian.finish();
        // It claims a later commit than the database remembers.
        std::fs::write(place.join("commits"), 99_u64.to_be_bytes()).unwrap();
        let historian = Historian::start(&place, NETWORK).unwrap();
        assert_eq!(historian.head, None);
        historian.finish();

        let file = directory.path().join("file");
        std::fs::write(&file, "precious").unwrap();
        let historian = Historian::start(&file, NETWORK).unwrap();
        let error = historian.reader().ask(|history| Ok(history.height())).await.unwrap_err();
        assert!(matches!(error, HistoryError::Storage { .. }), "{error}");
        historian.finish();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
    }

    #[tokio::test]
    async fn a_question_that_panics_is_answered_as_such_and_the_next_one_as_ever() {
        let mut historian = Historian::run(History::open(Box::<MemoryBackend>::default(), NETWORK)).unwrap();
        let reader = historian.reader();
        let broken: Result<(), HistoryError> = reader.ask(|_| panic!("a bug in a view")).await;
        let error = broken.unwrap_err().to_string();
        assert!(error.contains("a bug in a view"), "{error}");
        historian.take(first_batch(), Box::default());
        assert_eq!(reader.ask(|history| Ok(history.height())).await, Ok(1));
        historian.finish();
    }

    #[tokio::test]
    async fn damage_that_a_question_comes_across_is_mended_by_the_next_start() {
        let directory = tempfile::tempdir().unwrap();
        let mut historian = Historian::start(directory.path(), NETWORK).unwrap();
        let batch = first_batch();
        historian.take(Arc::clone(&batch), Box::default());
        historian.finish();
        let mut disk = storage::open_backend(directory.path()).unwrap();
        let hashes = disk.scan(b"b/").unwrap();
        disk.commit(hashes.into_iter().map(|(key, _)| (key, Some(b"rotten".to_vec()))).collect()).unwrap();
        drop(disk);

        let historian = Historian::start(directory.path(), NETWORK).unwrap();
        assert_eq!(historian.head, Some((1, batch.hash())));
        let error = historian.reader().ask(|history| history.batch_at(1)).await.unwrap_err();
        assert!(error.to_string().contains("it is made again when the node is restarted"), "{error}");
        historian.finish();
        let historian = Historian::start(directory.path(), NETWORK).unwrap();
        assert_eq!(historian.head, None);
        historian.finish();
    }
}
