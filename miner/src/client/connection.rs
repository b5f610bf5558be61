//! A client's connection with the node that runs on this machine: one method per question.

use std::path::{Path, PathBuf};

use chain::{Address, DemandId, Record, RecordId};
use miner_api::request::{
    GetAccount, GetDemands, GetMarketFacts, GetMarketStatus, GetRecords, GetStatus, IDS_MAX, PauseMining,
    StartMining, Stop, Submit,
};
use miner_api::{
    AccountReport, DemandReport, MarketFacts, MarketStatus, NodeStatus, RecordStanding, Submitted,
};

use super::ClientError;
use crate::control::{ControlClient, ControlError};
use crate::driver::NodeFile;

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
        Ok(Self::connect_to(&control_socket(place)?).await?)
    }

    /// Connects with the node whose control socket this is.
    ///
    /// # Errors
    /// If it does not run.
    pub async fn connect_to(socket: &Path) -> Result<Self, ControlError> {
        Ok(Self { control: ControlClient::connect(socket).await? })
    }

    /// Where the node stands.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn status(&mut self) -> Result<NodeStatus, ControlError> {
        self.control.ask(GetStatus).await
    }

    /// What a record of this network must say.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn market(&mut self) -> Result<MarketFacts, ControlError> {
        self.control.ask(GetMarketFacts).await
    }

    /// How the market stands.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn market_status(&mut self) -> Result<MarketStatus, ControlError> {
        self.control.ask(GetMarketStatus).await
    }

    /// What an address has and may do.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn account(&mut self, address: Address) -> Result<AccountReport, ControlError> {
        self.control.ask(GetAccount { address }).await
    }

    /// Where records stand, in the order asked for.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn records(&mut self, ids: &[RecordId]) -> Result<Vec<RecordStanding>, ControlError> {
        let mut standings = Vec::with_capacity(ids.len());
        for ids in ids.chunks(IDS_MAX) {
            standings.extend(self.control.ask(GetRecords { ids: ids.to_vec() }).await?);
        }
        Ok(standings)
    }

    /// Where demands stand, in the order asked for.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn demands(&mut self, ids: &[DemandId]) -> Result<Vec<DemandReport>, ControlError> {
        let mut reports = Vec::with_capacity(ids.len());
        for ids in ids.chunks(IDS_MAX) {
            reports.extend(self.control.ask(GetDemands { ids: ids.to_vec() }).await?);
        }
        Ok(reports)
    }

    /// Puts signed records into the node's pool; what became of each, in order.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn submit(&mut self, records: Vec<Record>) -> Result<Submitted, ControlError> {
        self.control.ask(Submit { records }).await
    }

    /// Lets a node that was told to wait begin to mine.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn start_mining(&mut self) -> Result<(), ControlError> {
        self.control.ask(StartMining).await
    }

    /// Lets a node mine no more until it is told to start again.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn pause_mining(&mut self) -> Result<(), ControlError> {
        self.control.ask(PauseMining).await
    }

    /// Shuts the node down.
    ///
    /// # Errors
    /// If the node does not answer; it may have been too quick for that.
    pub async fn stop(&mut self) -> Result<(), ControlError> {
        self.control.ask(Stop).await
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
