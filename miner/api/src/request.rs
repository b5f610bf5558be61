//! What a client may ask of a node, and the type of each answer.
//!
//! [`Request`] is what travels; each of its requests is a type of its own, which [`Ask`] ties to its answer, so that
//! neither end can mistake one for another. How requests travel is no business of this module.

use chain::{Address, DemandId, Record, RecordId};
use miner_node::NodeStatus;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::history::HistoryError;
use crate::views::{AccountReport, DemandReport, MarketFacts, MarketStatus, RecordStanding, Refusal};

/// The most records or demands that one question may be about: an answer takes milliseconds for each at worst.
pub const IDS_MAX: usize = 1_000;

/// A question or an order of the node's operator, with the type of its answer.
pub trait Ask: Into<Request> {
    /// What the node answers.
    type Answer: Serialize + DeserializeOwned;
}

/// Everything that can be asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// See [`GetStatus`].
    Status(GetStatus),
    /// See [`GetMarketFacts`].
    Market(GetMarketFacts),
    /// See [`GetMarketStatus`].
    MarketStatus(GetMarketStatus),
    /// See [`GetAccount`].
    Account(GetAccount),
    /// See [`GetRecords`].
    Records(GetRecords),
    /// See [`GetDemands`].
    Demands(GetDemands),
    /// See [`Submit`].
    Submit(Submit),
    /// See [`StartMining`].
    StartMining(StartMining),
    /// See [`PauseMining`].
    PauseMining(PauseMining),
    /// See [`Stop`].
    Stop(Stop),
}

/// Why a request is not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum RequestError {
    /// It makes no sense.
    #[error("{message}")]
    Malformed {
        /// What the parser says.
        message: String,
    },
    /// It comes from a program of another version.
    #[error(
        "it is of control version {got}, the node speaks {expected}: use the program the node was started from"
    )]
    OtherVersion { got: u32, expected: u32 },
    /// It is longer than allowed.
    #[error("a request has at most {limit} bytes")]
    TooLong {
        /// Bytes allowed.
        limit: usize,
    },
    /// It asks about more than allowed.
    #[error("it asks about {got} at once, at most {limit} are answered: ask for less at once")]
    TooMany {
        /// Asked about.
        got: usize,
        /// Answered.
        limit: usize,
    },
    /// Its answer would be longer than allowed.
    #[error("the response has {got} bytes, at most {limit} allowed: ask for less at once")]
    AnswerTooLong {
        /// Bytes of the answer.
        got: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Its answer cannot be written.
    #[error("the response cannot be written: {message}")]
    Unwritable {
        /// What the writer says.
        message: String,
    },
    /// A mistake of the node's.
    #[error("the node cannot answer: {message}")]
    Broken { message: String },
    /// The history it needs cannot be read.
    #[error(transparent)]
    History {
        #[from]
        error: HistoryError,
    },
    /// The node is about to end.
    #[error("the node is shutting down")]
    ShuttingDown,
}

/// What became of records that were handed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitted {
    /// Of each record in order: its id if it is in the pool now, or why it is not.
    pub outcomes: Vec<Result<RecordId, Refusal>>,
}

impl Submitted {
    /// Those that are not in the pool.
    pub fn refusals(&self) -> impl Iterator<Item = &Refusal> {
        self.outcomes.iter().filter_map(|outcome| outcome.as_ref().err())
    }
}

/// A request's own type, its place in [`Request`], and its answer's type.
macro_rules! ask {
    ($request:ident, $place:ident, $answer:ty) => {
        impl Ask for $request {
            type Answer = $answer;
        }

        impl From<$request> for Request {
            fn from(request: $request) -> Self {
                Self::$place(request)
            }
        }
    };
}

/// Where does the node stand?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetStatus;
ask!(GetStatus, Status, NodeStatus);

/// What must a record of this network say?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetMarketFacts;
ask!(GetMarketFacts, Market, MarketFacts);

/// How does the market stand?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetMarketStatus;
ask!(GetMarketStatus, MarketStatus, MarketStatus);

/// What does this address have?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct GetAccount {
    pub address: Address,
}
ask!(GetAccount, Account, AccountReport);

/// Where do these records stand? Answered in the order asked; at most [`IDS_MAX`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct GetRecords {
    pub ids: Vec<RecordId>,
}
ask!(GetRecords, Records, Vec<RecordStanding>);

/// Where do these demands stand? Answered in the order asked; at most [`IDS_MAX`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct GetDemands {
    pub ids: Vec<DemandId>,
}
ask!(GetDemands, Demands, Vec<DemandReport>);

/// Put these records into the pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Submit {
    /// Signed records, on the wire as their canonical bytes: what was signed is what arrives.
    #[serde(with = "canonical")]
    pub records: Vec<Record>,
}
ask!(Submit, Submit, Submitted);

/// Begin to mine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartMining;
ask!(StartMining, StartMining, ());

/// Mine no more until told to start again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseMining;
ask!(PauseMining, PauseMining, ());

/// Shut down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop;
ask!(Stop, Stop, ());

/// Records as hexadecimal digits of their canonical bytes.
mod canonical {
    use chain::{Record, codec};
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(records: &[Record], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(records.iter().map(|record| hex::encode(codec::encode(record))))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Record>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let record = |text: String| {
            let bytes = hex::decode(text).map_err(de::Error::custom)?;
            codec::decode(&bytes, bytes.len()).map_err(de::Error::custom)
        };
        texts.into_iter().map(record).collect()
    }
}
