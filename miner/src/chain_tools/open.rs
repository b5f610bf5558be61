//! Finding and opening the chain of a node by its directory or its configuration file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, anyhow, bail};
use chain::Network;
use chain::store::{Store, StoreError};

use crate::driver::NodeFile;
use crate::storage;

/// The name of a node's configuration file in its directory.
const NODE_FILE: &str = "node.toml";

/// A stopped node's chain.
#[derive(Debug)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct NodeChain {
    /// The network it belongs to.
    pub network: Arc<Network>,
    pub store: Store,
    /// Where the store is.
    pub directory: PathBuf,
}

impl NodeChain {
    /// Opens the chain of the node whose directory (with a `node.toml`) or configuration file this is.
    /// The store stays locked until the value is dropped.
    ///
    /// # Errors
    /// If there is no such node, its genesis cannot be read, it has no store yet, or it is running.
    pub fn open(node: &Path) -> Result<Self> {
        let file = NodeFile::load(&node_file(node)?)?;
        let network = Arc::new(file.network()?);
        let directory = file.store_dir();
        // Opening a database that is not there would make one.
        if !directory.join("db").is_file() {
            bail!("the node has no chain yet: there is no store in {}", directory.display());
        }
        let store = storage::open(&directory, network.id()).map_err(|error| explain(&directory, &error))?;
        Ok(Self { network, store, directory })
    }
}

fn node_file(node: &Path) -> Result<PathBuf> {
    if node.is_file() {
        return Ok(node.to_path_buf());
    }
    let file = node.join(NODE_FILE);
    if file.is_file() {
        return Ok(file);
    }
    if !node.is_dir() {
        bail!("{} does not exist; name a node's directory or its configuration file", node.display());
    }
    let mut nodes = nodes_in(node);
    nodes.extend(directories(node).iter().flat_map(|below| nodes_in(below)));
    if nodes.is_empty() {
        bail!("{} is no node's directory: it has no {NODE_FILE}", node.display());
    }
    bail!("{} holds nodes; name one of them: {}", node.display(), nodes.join(", "))
}

/// The directories of nodes that lie in this one, as of a network run by one program.
fn nodes_in(directory: &Path) -> Vec<String> {
    let nodes = directories(directory).into_iter().filter(|path| path.join(NODE_FILE).is_file());
    nodes.map(|path| path.display().to_string()).collect()
}

/// The directories in a directory, sorted; none if it cannot be read.
fn directories(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    let mut found: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()).collect();
    found.sort();
    found
}

fn explain(directory: &Path, error: &StoreError) -> anyhow::Error {
    let place = directory.display();
    if *error == StoreError::InUse {
        return anyhow!(
            "the store in {place} is in use: the node is running. Stop it first, or name a stopped node of \
             the same network"
        );
    }
    if let StoreError::Corrupt(text) = error {
        return anyhow!(
            "the store in {place} is damaged ({text}). Started again, the node moves it aside and fetches \
             the chain from its peers"
        );
    }
    anyhow!("the store in {place}: {error}")
}
