//! BLAKE3 hashes, each kind of content under its own domain.

use std::fmt;

use blake3::hazmat::{ContextKey, HasherExt as _};
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
    /// A batch header, which gives the batch's hash and which its proposer signs.
    Header,
    /// A block header, which gives the block's hash and which its miner signs.
    BlockHeader,
    /// A miner's commitment to a block, which gives its id and which the miner signs.
    Commitment,
    /// What decides between compositions of a batch that are equally good.
    Order,
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
    /// The BLAKE3 key-derivation context of this domain; changing one changes the protocol.
    #[cfg(test)]
    const fn context(self) -> &'static str {
        match self {
            Self::Address => "mizan 2026-11 address v1",
            Self::Genesis => "mizan 2026-11 genesis v1",
            Self::RecordSigning => "mizan 2026-11 record signing v1",
            Self::Record => "mizan 2026-11 record id v1",
            Self::Header => "mizan 2026-11 header v1",
            Self::BlockHeader => "mizan 2026-11 block header v1",
            Self::Commitment => "mizan 2026-11 commitment v1",
            Self::Order => "mizan 2026-11 order v1",
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
        let mut hasher = blake3::Hasher::new_from_context_key(&self.context_key());
        for part in parts {
            hasher.update(part);
        }
        Hash(hasher.finalize().into())
    }

    /// What BLAKE3 derives from the context alone, two big-endian halves. Written out, as deriving it costs as much as a
    /// short hash, and most hashes are short; a test derives it again.
    #[expect(clippy::unreadable_literal, reason = "nobody reads them")]
    fn context_key(self) -> ContextKey {
        let halves: [u128; 2] = match self {
            Self::Address => [0x0b9f8acee70f8b91a9e5de18bee09b4d, 0xc9a141be6b5b8db45c46ee3d4a208f4c],
            Self::Genesis => [0x0ef954e005d29a118fb0b0d6219264f4, 0x4e9b34119967b53935e2bd14a805fb9f],
            Self::RecordSigning => [0xac1c9a96c9e03000944020205dd51690, 0x0a77a4d1a1a1868ef25cc625d34a2860],
            Self::Record => [0x914f93f4c3ba8d94d0880c3fbfb0220b, 0x07b7a435e5a3d81759143682d84ee741],
            Self::Header => [0xd4b732914a72580b97a16abe854c8e82, 0x038faf002217904e566db3649b51ed12],
            Self::BlockHeader => [0x4bc112f033f11f18484c47c7f82a5e9f, 0x61df6d67b36c27beb7ba2ea7eab4c69e],
            Self::Commitment => [0x4b89be421669ec9a1cb2749a1e991bed, 0xe8e15b614acad4b0b2515c210c2b5278],
            Self::Order => [0x55e6510e717f1b3de18a619cae001890, 0x31169145580e817fadbdff436e0f27db],
            Self::MerkleLeaf => [0x0ab7707e62490bfd4eabd6bc008e382a, 0xc6c15e118424e01d7ad9b647da9965c1],
            Self::MerkleNode => [0x662c2b9248977898e6aaf4d3d27b1972, 0xcd2185b59fb17c3d2d8afd5ab0005982],
            Self::StatePath => [0x3eb361d926849b89eea7388424730a27, 0xab8cee7e7bb4abb9084279a75a154640],
            Self::StateValue => [0xce55e6a8f5ebd42f60c76b4b76a618ad, 0x2108e7ed5050d610965f05d0cee8907e],
            Self::StateLeaf => [0x10826eac7207fddca27d0689796d4f43, 0xf747f234ca1af58b55fc4f5dc9a42ccb],
            Self::StateNode => [0xae48178a997426ec70259f0e6fba4f04, 0x02bb14db011d5b7ae36e236e43f75c3b],
            Self::Vote => [0x7343fe04e70515aff365f51a1d4120cf, 0xaa847a589bdacfed8c6ba106dbc8ee07],
            Self::Proposal => [0x8281df4d6c4de8146c6dace1b07d96d1, 0x325dba2e1fe415494684dc84d3d77e53],
            Self::PeerRecord => [0xc31cfc378aad9cfd073b69df3775b421, 0x829a7500867ee3b5d553d6066d7f753b],
            Self::ScenarioKey => [0x3e397448568174dbcc08a3a7acc42e56, 0x81cbbbbe0129efc33d882e27e1b34aed],
        };
        let mut key = ContextKey::default();
        for (place, byte) in key.iter_mut().zip(halves.into_iter().flat_map(u128::to_be_bytes)) {
            *place = byte;
        }
        key
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

    const ALL: [Domain; 18] = [
        Domain::Address,
        Domain::Genesis,
        Domain::RecordSigning,
        Domain::Record,
        Domain::Header,
        Domain::BlockHeader,
        Domain::Commitment,
        Domain::Order,
        Domain::MerkleLeaf,
        Domain::MerkleNode,
        Domain::StatePath,
        Domain::StateValue,
        Domain::StateLeaf,
        Domain::StateNode,
        Domain::Vote,
        Domain::Proposal,
        Domain::PeerRecord,
        Domain::ScenarioKey,
    ];

    #[test]
    fn a_hash_is_blake3_keyed_by_its_domains_context() {
        for domain in ALL {
            let expected = blake3::derive_key(domain.context(), b"some bytes");
            assert_eq!(domain.hash(&[b"some ", b"bytes"]), Hash(expected), "{domain:?}");
        }
    }
}
