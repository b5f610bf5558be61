//! The configuration file of one node.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use chain::{Network, PublicKey, SecretKey};
use serde::{Deserialize, Serialize};

use super::BootstrapPeer;
use miner_node::{MiningSettings, Timing};

/// What `miner run --config` reads (TOML). Relative paths are relative to the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeFile {
    /// The file with the node's secret key: 64 hexadecimal digits.
    pub key_file: PathBuf,
    /// The network's genesis, in canonical bytes.
    pub genesis_file: PathBuf,
    /// Where the node keeps its store and its control socket.
    pub data_dir: PathBuf,
    /// The address to listen on; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Addresses under which others can reach this node; the listening address if empty.
    #[serde(default)]
    pub advertise: Vec<SocketAddr>,
    /// Nodes to connect to first; they tell of all others.
    #[serde(default)]
    pub bootstrap_peers: Vec<BootstrapPeer>,
    /// The only node keys to talk to; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_list: Option<BTreeSet<PublicKey>>,
    /// Threads of each search.
    #[serde(default = "one_thread")]
    pub threads: NonZeroUsize,
    /// How often and how long.
    #[serde(default)]
    pub timing: Timing,
    /// How it mines; a node without this only relays and votes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mining: Option<MiningSettings>,
}

const fn one_thread() -> NonZeroUsize {
    NonZeroUsize::MIN
}

impl NodeFile {
    /// Reads a configuration file and leaves its paths as they are.
    ///
    /// # Errors
    /// If it cannot be read or says something unknown.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the configuration file {}", path.display()))?;
        let place = || format!("in {}", path.display());
        let table: toml::Table = toml::from_str(&text).with_context(place)?;
        if table.contains_key("vote_from_height") {
            // It would have covered every later loss as well.
            bail!(
                "{}: vote_from_height is no setting any more. Delete the line; if this validator has lost its store and \
                 says that it does not vote, start it once with `miner run --vote-from-height H`",
                place()
            );
        }
        let file: Self = toml::from_str(&text).with_context(place)?;
        if file.mining.and_then(|mining| mining.region).is_some_and(|region| region.is_empty()) {
            bail!(
                "{}: nothing can lie in mining.region: a rectangle needs west_m below east_m and south_m below north_m, a circle a \
                 radius_m of at least 0",
                place()
            );
        }
        Ok(file)
    }

    /// Reads a configuration file and makes its paths absolute.
    ///
    /// # Errors
    /// If it cannot be read or says something unknown.
    pub fn load(path: &Path) -> Result<Self> {
        let mut file = Self::read(path)?;
        let base = path.parent().unwrap_or(Path::new("."));
        for path in [&mut file.key_file, &mut file.genesis_file, &mut file.data_dir] {
            *path = base.join(&*path);
        }
        Ok(file)
    }

    /// The node's key.
    ///
    /// # Errors
    /// If the key file cannot be read or holds no key.
    pub fn key(&self) -> Result<SecretKey> {
        read_key(&self.key_file)
    }

    /// The network to be a member of.
    ///
    /// # Errors
    /// If the genesis file cannot be read or breaks a rule.
    pub fn network(&self) -> Result<Network> {
        let path = self.genesis_file.display();
        let bytes = std::fs::read(&self.genesis_file)
            .with_context(|| format!("cannot read the genesis file {path}"))?;
        let genesis = chain::Genesis::from_bytes(&bytes).with_context(|| format!("{path} is no genesis"))?;
        Network::new(genesis).with_context(|| format!("the genesis in {path} breaks a rule"))
    }

    /// Where the store is.
    pub fn store_dir(&self) -> PathBuf {
        self.data_dir.join("store")
    }

    /// Where the history is: an index of the chain, made again if it is deleted.
    pub fn history_dir(&self) -> PathBuf {
        self.data_dir.join("history")
    }

    /// Where the control socket is.
    pub fn control_socket(&self) -> PathBuf {
        self.data_dir.join("control.sock")
    }
}

/// Reads a secret key: 64 hexadecimal digits.
///
/// # Errors
/// If the file cannot be read or holds something else.
pub fn read_key(path: &Path) -> Result<SecretKey> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the key file {}", path.display()))?;
    let mut bytes = [0; 32];
    if hex::decode_to_slice(text.trim(), &mut bytes).is_err() {
        bail!("{} holds no key: expected 64 hexadecimal digits", path.display());
    }
    Ok(SecretKey::from_bytes(&bytes))
}

/// Writes a secret key so that only its owner can read it.
///
/// # Errors
/// If the file exists already or cannot be written.
pub fn write_key(path: &Path, key: &SecretKey) -> Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot create the key file {}", path.display()))?;
    writeln!(file, "{}", hex::encode(key.to_bytes()))?;
    Ok(())
}
