//! BLAKE3 hashes, each kind of content under its own domain.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use blake3::hazmat::{ContextKey, HasherExt as _, hash_derive_key_context};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What is being hashed or signed. Two kinds of content can never share a hash or a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Domain {
    /// A public key, giving an [`crate::Address`].
    Address,
    /// A whole genesis, giving the network id.
    Genesis,
    /// The unsigned part of a record, which its author signs.
    RecordSigning,
    /// A whole signed record, giving its id.
    Record,
    /// A block header, which gives the block's hash and which its miner signs.
    Header,
    /// A leaf of a Merkle tree.
    MerkleLeaf,
    /// An inner node of a Merkle tree.
    MerkleNode,
    /// A key of the ledger state, giving its path in the state tree.
    StatePath,
    /// A value of the ledger state.
    StateValue,
    /// A leaf of the state tree: path and hash of the value.
    StateLeaf,
    /// An inner node of the state tree.
    StateNode,
    /// A validator's prevote or precommit.
    Vote,
    /// A proposer's proposal.
    Proposal,
    /// A node's statement of where it can be reached.
    PeerRecord,
    /// A secret key derived for a scenario run; never used on a real network.
    ScenarioKey,
}

impl Domain {
    const ALL: [Self; 15] = [
        Self::Address,
        Self::Genesis,
        Self::RecordSigning,
        Self::Record,
        Self::Header,
        Self::MerkleLeaf,
        Self::MerkleNode,
        Self::StatePath,
        Self::StateValue,
        Self::StateLeaf,
        Self::StateNode,
        Self::Vote,
        Self::Proposal,
        Self::PeerRecord,
        Self::ScenarioKey,
    ];

    /// The BLAKE3 key-derivation context of this domain; changing one changes the protocol.
    const fn context(self) -> &'static str {
        match self {
            Self::Address => "mizan 2026-11 address v1",
            Self::Genesis => "mizan 2026-11 genesis v1",
            Self::RecordSigning => "mizan 2026-11 record signing v1",
            Self::Record => "mizan 2026-11 record id v1",
            Self::Header => "mizan 2026-11 header v1",
            Self::MerkleLeaf => "mizan 2026-11 merkle leaf v1",
            Self::MerkleNode => "mizan 2026-11 merkle node v1",
            Self::StatePath => "mizan 2026-11 state path v1",
            Self::StateValue => "mizan 2026-11 state value v1",
            Self::StateLeaf => "mizan 2026-11 state leaf v1",
            Self::StateNode => "mizan 2026-11 state node v1",
            Self::Vote => "mizan 2026-11 vote v1",
            Self::Proposal => "mizan 2026-11 proposal v1",
            Self::PeerRecord => "mizan 2026-11 peer record v1",
            Self::ScenarioKey => "mizan 2026-11 scenario key, test only, v1",
        }
    }

    /// The hash of `parts`, concatenated, in this domain.
    pub fn hash(self, parts: &[&[u8]]) -> Hash {
        // The key of a domain costs as much as a short hash, and most hashes are short.
        static KEYS: LazyLock<BTreeMap<Domain, ContextKey>> = LazyLock::new(|| {
            Domain::ALL.map(|domain| (domain, hash_derive_key_context(domain.context()))).into()
        });
        let mut hasher = match KEYS.get(&self) {
            Some(key) => blake3::Hasher::new_from_context_key(key),
            None => blake3::Hasher::new_derive_key(self.context()),
        };
        for part in parts {
            hasher.update(part);
        }
        Hash(hasher.finalize().into())
    }
}

/// 32 bytes of BLAKE3. Hexadecimal in text formats, 32 raw bytes in binary ones.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// All zeros: the parent of genesis, the root of an empty tree.
    pub const ZERO: Self = Self([0; 32]);

    /// The first eight hexadecimal digits, for people.
    pub fn short(&self) -> String {
        hex::encode(self.0.get(..4).unwrap_or_default())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…", self.short())
    }
}

impl std::str::FromStr for Hash {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
        } else {
            <[u8; 32]>::deserialize(deserializer).map(Self)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_blake3_keyed_by_its_domains_context() {
        for domain in Domain::ALL {
            let expected = blake3::derive_key(domain.context(), b"some bytes");
            assert_eq!(domain.hash(&[b"some ", b"bytes"]), Hash(expected), "{domain:?}");
        }
    }
}
