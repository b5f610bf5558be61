//! What can be asked of a running node through its control socket, and the answers.

use anyhow::Result;
use chain::{Record, RecordId};
use serde::{Deserialize, Serialize};

use super::Driver;
use crate::node::{Command, Effect, Input, NodeEvent, NodeStatus};

/// A question or an order of the node's operator.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// Where does the node stand?
    Status,
    /// Put these records into the pool.
    Submit {
        /// Signed records.
        records: Vec<Record>,
    },
    /// Begin to mine.
    StartMining,
    /// Shut down.
    Stop,
}

/// The node's answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "response", rename_all = "snake_case")]
pub enum Response {
    /// To [`Request::Status`].
    Status(Box<NodeStatus>),
    /// To [`Request::Submit`].
    Submitted {
        /// Records now in the pool.
        accepted: Vec<RecordId>,
        /// Records refused, and why.
        refused: Vec<(RecordId, String)>,
    },
    /// Done as asked.
    Done,
}

impl Driver {
    pub(super) fn on_request(&mut self, request: Request) -> Result<Response> {
        match request {
            Request::Status => return Ok(Response::Status(Box::new(self.node.status()))),
            Request::Submit { records } => return self.submit(records),
            Request::StartMining => self.handle(Input::Command(Command::StartMining))?,
            Request::Stop => self.is_stopping = true,
        }
        Ok(Response::Done)
    }

    fn submit(&mut self, records: Vec<Record>) -> Result<Response> {
        let mut accepted: Vec<RecordId> = records.iter().map(Record::id).collect();
        let mut effects = Vec::new();
        self.node.handle(self.clock.now_ms(), Input::Command(Command::Submit(records)), &mut effects);
        let refused: Vec<(RecordId, String)> = effects
            .iter()
            .filter_map(|effect| {
                let Effect::Event(NodeEvent::RecordRefused { record, reason }) = effect else { return None };
                Some(((*record)?, reason.clone()))
            })
            .collect();
        accepted.retain(|id| refused.iter().all(|(other, _)| other != id));
        self.carry_out(effects)?;
        Ok(Response::Submitted { accepted, refused })
    }
}
