//! Keys, addresses and signatures: ed25519, verified strictly.

use std::fmt;

use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::hash::{Domain, Hash};

/// An ed25519 public key as its 32 bytes. It may still be malformed or weak; [`PublicKey::verify`] and
/// [`PublicKey::validate`] refuse those.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PublicKey(Hash);

/// The BLAKE3 hash of a public key: who owns money, offers and demands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Address(pub Hash);

/// An ed25519 signature: 64 raw bytes in binary formats, hexadecimal in text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature(pub [u8; 64]);

/// Why a key or a signature is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The bytes are no point of the curve.
    #[error("the public key is not a point of the curve")]
    Malformed,
    /// The key is of small order: signatures under it prove nothing.
    #[error("the public key is weak (small order)")]
    Weak,
    /// The signature does not match.
    #[error("the signature does not match its content and key")]
    BadSignature,
}

impl PublicKey {
    /// From its 32 bytes, unchecked.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Hash(bytes))
    }

    /// Its 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0.0
    }

    /// The address of whoever holds the secret half.
    pub fn address(&self) -> Address {
        Address(Domain::Address.hash(&[self.as_bytes()]))
    }

    /// The first eight hexadecimal digits, for people.
    pub fn short(&self) -> String {
        self.0.short()
    }

    /// Checks that this is a usable key.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] or [`KeyError::Weak`].
    pub fn validate(&self) -> Result<(), KeyError> {
        self.verifying_key().map(|_| ())
    }

    /// Checks a signature over `parts` in `domain`, by the strict rule of ed25519-dalek.
    ///
    /// # Errors
    /// If the key is malformed or weak or the signature does not match.
    pub fn verify(&self, domain: Domain, parts: &[&[u8]], signature: &Signature) -> Result<(), KeyError> {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        let digest = domain.hash(parts);
        self.verifying_key()?.verify_strict(&digest.0, &signature).or(Err(KeyError::BadSignature))
    }

    fn verifying_key(self) -> Result<VerifyingKey, KeyError> {
        let key = VerifyingKey::from_bytes(self.as_bytes()).or(Err(KeyError::Malformed))?;
        if key.is_weak() { Err(KeyError::Weak) } else { Ok(key) }
    }
}

/// The secret half of a key. Wiped from memory when dropped; never printed.
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// From its 32 secret bytes.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(bytes))
    }

    /// The key of a scenario's `role` number `index`. Anyone can compute it: for test networks only.
    pub fn for_scenario(rng_seed: u64, role: &str, index: u64) -> Self {
        let parts: [&[u8]; 3] = [&rng_seed.to_le_bytes(), role.as_bytes(), &index.to_le_bytes()];
        Self::from_bytes(&Domain::ScenarioKey.hash(&parts).0)
    }

    /// Its 32 secret bytes, to be written to a key file.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey::from_bytes(self.0.verifying_key().to_bytes())
    }

    /// Signs the hash of `parts` in `domain`.
    pub fn sign(&self, domain: Domain, parts: &[&[u8]]) -> Signature {
        Signature(self.0.sign(&domain.hash(parts).0).to_bytes())
    }
}

impl Clone for SecretKey {
    fn clone(&self) -> Self {
        Self::from_bytes(&self.to_bytes())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {:?})", self.public())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl std::str::FromStr for PublicKey {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl Address {
    /// The first eight hexadecimal digits, for people.
    pub fn short(&self) -> String {
        self.0.short()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl std::str::FromStr for Address {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({}…)", hex::encode(self.0.get(..4).unwrap_or_default()))
    }
}

impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.serialize_str(&hex::encode(self.0));
        }
        let (left, right) = self.0.split_at(32);
        (<[u8; 32]>::try_from(left).unwrap_or_default(), <[u8; 32]>::try_from(right).unwrap_or_default())
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut bytes = [0; 64];
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            hex::decode_to_slice(text, &mut bytes).map_err(serde::de::Error::custom)?;
        } else {
            let halves = <([u8; 32], [u8; 32])>::deserialize(deserializer)?;
            for (to, from) in bytes.iter_mut().zip(halves.0.iter().chain(&halves.1)) {
                *to = *from;
            }
        }
        Ok(Self(bytes))
    }
}
