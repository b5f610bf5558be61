//! A client's connection with the node that runs on this machine: one method per question.

use std::path::{Path, PathBuf};

use chain::{Address, DemandId, Record, RecordId};

use super::ClientError;
use crate::control::ControlClient;
use crate::driver::{
    AccountReport, DemandReport, MarketFacts, NodeFile, RecordStanding, Refusal, Request, Response,
};
use miner_node::NodeStatus;

/// The file a node's configuration has in a directory that `miner network init` wrote.
pub const NODE_FILE: &str = "node.toml";
/// The name of a control socket in a data directory.
const SOCKET: &str = "control.sock";

/// The control socket of the node that `place` names: its configuration file, the directory that holds its
/// `node.toml`, or its data directory.
///
/// # Errors
/// If nothing of a node is there, or the configuration cannot be read.
pub fn control_socket(place: &Path) -> Result<PathBuf, ClientError> {
    let file = if place.is_dir() { place.join(NODE_FILE) } else { place.to_owned() };
    if file.is_file() {
        let file = NodeFile::load(&file).map_err(|error| ClientError::Configuration(format!("{error:#}")))?;
        return Ok(file.control_socket());
    }
    // A data directory whose node is stopped has no socket any more, but its store.
    let is_data = |name: &str| place.join(name).exists();
    if is_data(SOCKET) || is_data("store") {
        return Ok(place.join(SOCKET));
    }
    Err(ClientError::NoNode { path: place.to_owned() })
}

/// A connection with a running node.
#[derive(Debug)]
pub struct NodeClient {
    control: ControlClient,
}

impl NodeClient {
    /// Connects with the node that `place` names, see [`control_socket`].
    ///
    /// # Errors
    /// If there is no such node, or it does not run.
    pub async fn connect(place: &Path) -> Result<Self, ClientError> {
        Ok(Self { control: ControlClient::connect(&control_socket(place)?).await? })
    }

    /// Where the node stands.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn status(&mut self) -> Result<NodeStatus, ClientError> {
        let Response::Status(status) = self.ask(&Request::Status).await? else {
            return Err(ClientError::UnexpectedAnswer);
        };
        Ok(*status)
    }

    /// What a record of this network must say.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn market(&mut self) -> Result<MarketFacts, ClientError> {
        let Response::Market(facts) = self.ask(&Request::Market).await? else {
            return Err(ClientError::UnexpectedAnswer);
        };
        Ok(*facts)
    }

    /// What an address has and may do.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn account(&mut self, address: Address) -> Result<AccountReport, ClientError> {
        let Response::Account(account) = self.ask(&Request::Account { address }).await? else {
            return Err(ClientError::UnexpectedAnswer);
        };
        Ok(*account)
    }

    /// Where records stand, in the order asked for.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn records(&mut self, ids: &[RecordId]) -> Result<Vec<RecordStanding>, ClientError> {
        let Response::Records { standings } = self.ask(&Request::Records { ids: ids.to_vec() }).await? else {
            return Err(ClientError::UnexpectedAnswer);
        };
        if standings.len() == ids.len() { Ok(standings) } else { Err(ClientError::UnexpectedAnswer) }
    }

    /// Where demands stand, in the order asked for.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn demands(&mut self, ids: &[DemandId]) -> Result<Vec<DemandReport>, ClientError> {
        let Response::Demands { demands } = self.ask(&Request::Demands { ids: ids.to_vec() }).await? else {
            return Err(ClientError::UnexpectedAnswer);
        };
        if demands.len() == ids.len() { Ok(demands) } else { Err(ClientError::UnexpectedAnswer) }
    }

    /// Puts signed records into the node's pool; returns those refused.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn submit(&mut self, records: Vec<Record>) -> Result<Vec<Refusal>, ClientError> {
        let Response::Submitted { refused, .. } = self.ask(&Request::Submit { records }).await? else {
            return Err(ClientError::UnexpectedAnswer);
        };
        Ok(refused)
    }

    /// Lets a node that was told to wait begin to mine.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn start_mining(&mut self) -> Result<(), ClientError> {
        let Response::Done = self.ask(&Request::StartMining).await? else {
            return Err(ClientError::UnexpectedAnswer);
        };
        Ok(())
    }

    async fn ask(&mut self, request: &Request) -> Result<Response, ClientError> {
        Ok(self.control.call(request).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_directory_names_its_socket() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("store")).unwrap();
        assert_eq!(control_socket(directory.path()).unwrap(), directory.path().join("control.sock"));
    }

    #[test]
    fn a_place_without_a_node_is_refused_with_what_to_name_instead() {
        let directory = tempfile::tempdir().unwrap();
        let error = control_socket(directory.path()).unwrap_err().to_string();
        assert!(error.contains("name its configuration file"), "{error}");
    }
}
