//! What a swarm keeps on disk, so that it can be resumed: a manifest, the genesis, and a directory per node.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use chain::{Genesis, Network, SecretKey};
use scenarios::Scenario;
use scenarios::settings::Profile;
use serde::{Deserialize, Serialize};

use crate::compare::setup::{self, Members};

/// The version of the manifest this code reads and writes.
const MANIFEST_VERSION: u32 = 1;
/// Miners of a swarm unless the command line says otherwise.
const MINERS: usize = 4;
/// The most miners of a swarm: each is a process with threads of its own.
const MINERS_MAX: usize = 64;

/// What the command line asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) miners: Option<usize>,
    pub(super) validators: Option<usize>,
    pub(super) profile: Option<Profile>,
    pub(super) rng_seed: Option<u64>,
}

/// What a swarm was started with: `swarm.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    version: u32,
    /// The scenario's name.
    pub(super) scenario: String,
    /// The hash of its instance.
    fingerprint: String,
    /// The algorithm of every miner.
    pub(super) profile: Profile,
    /// Miners.
    pub(super) miners: usize,
    /// How many of them vote: the first ones.
    pub(super) validators: usize,
    /// All keys and searches derive from it.
    pub(super) rng_seed: u64,
}

/// A swarm's directory, ready for its nodes.
#[derive(Debug)]
pub(super) struct SwarmDirectory {
    pub(super) path: PathBuf,
    pub(super) manifest: Manifest,
    pub(super) network: Arc<Network>,
    pub(super) keys: Vec<SecretKey>,
    /// Whether a swarm has run here before.
    pub(super) is_resumed: bool,
}

impl SwarmDirectory {
    /// Opens the directory of an earlier swarm, or makes a new one.
    ///
    /// # Errors
    /// If what is wanted makes no network, is not what the directory holds, or the disk fails.
    pub(super) fn open(path: &Path, scenario: &Scenario, wanted: Wanted) -> Result<Self> {
        let file = path.join("swarm.json");
        let kept = match std::fs::read(&file) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
        };
        let is_resumed = kept.is_some();
        let manifest = match kept {
            Some(bytes) => {
                let manifest: Manifest = serde_json::from_slice(&bytes)
                    .with_context(|| format!("{} is no manifest of a swarm", file.display()))?;
                manifest.check(path, scenario, wanted)?;
                manifest
            }
            None => Manifest::new(scenario, wanted)?,
        };
        let keys = manifest.keys();
        let network = if is_resumed {
            read_genesis(path)?
        } else {
            let nodes = keys.iter().map(SecretKey::public).collect();
            let Manifest { profile, miners, validators, rng_seed, .. } = manifest;
            let members = Members { miners, nodes, validators };
            let network = setup::network(scenario, profile, members, false, rng_seed)?;
            create(path, &network, &manifest)?;
            network
        };
        Ok(Self { path: path.to_path_buf(), manifest, network: Arc::new(network), keys, is_resumed })
    }

    /// The directory of the node with this number, from 1.
    pub(super) fn node(&self, number: usize) -> PathBuf {
        self.path.join(format!("node-{number}"))
    }
}

impl Manifest {
    fn new(scenario: &Scenario, wanted: Wanted) -> Result<Self> {
        let miners = wanted.miners.unwrap_or(MINERS);
        let validators = wanted.validators.unwrap_or(miners);
        ensure!((1..=MINERS_MAX).contains(&miners), "--miners is {miners}, expected 1 to {MINERS_MAX}");
        ensure!(
            (1..=miners).contains(&validators),
            "--validators is {validators}, expected 1 to {miners}: validators are the first of the miners"
        );
        Ok(Self {
            version: MANIFEST_VERSION,
            scenario: scenario.name.clone(),
            fingerprint: scenario.instance.fingerprint(),
            profile: wanted.profile.unwrap_or(scenario.search.profile),
            miners,
            validators,
            rng_seed: wanted.rng_seed.unwrap_or(1),
        })
    }

    /// Whether this is what is asked for; what is not said on the command line is as it was.
    fn check(&self, path: &Path, scenario: &Scenario, wanted: Wanted) -> Result<()> {
        ensure!(
            self.version == MANIFEST_VERSION,
            "{} was made by another version of this program (manifest {}, expected {MANIFEST_VERSION})",
            path.display(),
            self.version
        );
        ensure!(
            self.fingerprint == scenario.instance.fingerprint(),
            "{} holds a swarm of another scenario, {}: name that one's file, or another directory",
            path.display(),
            self.scenario
        );
        let profile = |profile: Profile| format!("{profile:?}").to_lowercase();
        must_be_kept(path, "--miners", &self.miners, wanted.miners)?;
        must_be_kept(path, "--validators", &self.validators, wanted.validators)?;
        must_be_kept(path, "--rng-seed", &self.rng_seed, wanted.rng_seed)?;
        must_be_kept(path, "--profile", &profile(self.profile), wanted.profile.map(profile))
    }

    fn keys(&self) -> Vec<SecretKey> {
        let key = |index| SecretKey::for_scenario(self.rng_seed, "miner", index);
        (0_u64..).take(self.miners).map(key).collect()
    }
}

fn must_be_kept<T: PartialEq + Display>(
    path: &Path,
    option: &str,
    kept: &T,
    wanted: Option<T>,
) -> Result<()> {
    match wanted {
        Some(wanted) if wanted != *kept => bail!(
            "{} holds a swarm that was started with {option} {kept}, not {wanted}: leave {option} out, or name \
             another directory",
            path.display()
        ),
        Some(_) | None => Ok(()),
    }
}

/// The manifest last: a directory with one is complete.
fn create(path: &Path, network: &Network, manifest: &Manifest) -> Result<()> {
    std::fs::create_dir_all(path)
        .with_context(|| format!("cannot create the directory {}", path.display()))?;
    let genesis = path.join("genesis.bin");
    ensure!(
        !genesis.exists(),
        "{} holds another network already: name an empty directory, or delete it",
        path.display()
    );
    let write = |file: PathBuf, bytes: &[u8]| {
        std::fs::write(&file, bytes).with_context(|| format!("cannot write {}", file.display()))
    };
    write(genesis, &network.genesis().to_bytes())?;
    write(path.join("swarm.json"), serde_json::to_string_pretty(manifest)?.as_bytes())
}

fn read_genesis(path: &Path) -> Result<Network> {
    let file = path.join("genesis.bin");
    let bytes = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let genesis = Genesis::from_bytes(&bytes).with_context(|| format!("{} is no genesis", file.display()))?;
    Network::new(genesis).with_context(|| format!("the genesis in {} breaks a rule", file.display()))
}

#[cfg(test)]
mod tests {
    use scenarios::generate::{GenerateParameters, SiteParameters, generate};

    use super::*;

    const NOTHING: Wanted = Wanted { miners: None, validators: None, profile: None, rng_seed: None };

    fn scenario(rng_seed: u64) -> Scenario {
        let parameters = GenerateParameters {
            name: "small".into(),
            paper_problem: None,
            rng_seed,
            providers: 3,
            demands: 2,
            operations: 2,
            orders_per_demand: 2,
            sites: SiteParameters::Uniform,
            ..GenerateParameters::tehran(1, false).unwrap()
        };
        generate(&parameters).unwrap()
    }

    #[test]
    fn a_swarm_is_resumed_with_the_same_keys_and_genesis() {
        let directory = tempfile::tempdir().unwrap();
        let wanted = Wanted { miners: Some(3), validators: Some(2), ..NOTHING };
        let first = SwarmDirectory::open(directory.path(), &scenario(1), wanted).unwrap();
        let again = SwarmDirectory::open(directory.path(), &scenario(1), NOTHING).unwrap();
        assert!(!first.is_resumed && again.is_resumed);
        assert_eq!(first.manifest, again.manifest);
        assert_eq!(first.network.id(), again.network.id());
        assert_eq!((again.keys.len(), again.network.genesis().validators.len()), (3, 2));
    }

    #[test]
    fn what_contradicts_the_directory_is_refused_with_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let open = |scenario: &Scenario, wanted| {
            SwarmDirectory::open(directory.path(), scenario, wanted).map_err(|error| error.to_string())
        };
        open(&scenario(1), NOTHING).unwrap();
        let error = open(&scenario(1), Wanted { miners: Some(5), ..NOTHING }).unwrap_err();
        assert!(error.contains("--miners 4, not 5"), "{error}");
        let error = open(&scenario(2), NOTHING).unwrap_err();
        assert!(error.contains("another scenario"), "{error}");
    }

    #[test]
    fn there_are_no_more_validators_than_miners() {
        let wanted = Wanted { miners: Some(2), validators: Some(3), ..NOTHING };
        let error = Manifest::new(&scenario(1), wanted).unwrap_err().to_string();
        assert!(error.starts_with("--validators is 3, expected 1 to 2"), "{error}");
    }
}
