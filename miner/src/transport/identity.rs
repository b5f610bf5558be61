//! The node key as a TLS identity: RFC 7250 raw public keys, no certificates.

use std::sync::Arc;

use chain::{KeyError, PublicKey, SecretKey};
use quinn::EndpointConfig;
use quinn_proto::HashedConnectionIdGenerator;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

/// A `SubjectPublicKeyInfo` of an ed25519 key up to the 32 key bytes (RFC 8410, section 4).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// A PKCS #8 `PrivateKeyInfo` of an ed25519 key up to the 32 secret bytes (RFC 8410, section 7).
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
/// What the keys of the endpoint are derived for; changing one only makes old connections time out.
const RESET_KEY_CONTEXT: &[u8] = b"mizan 2026-11 stateless reset key v1";
const CONNECTION_ID_CONTEXT: &[u8] = b"mizan 2026-11 connection id key v1";

/// Why what a peer presented is no node identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Not a raw ed25519 public key.
    #[error("not a raw ed25519 public key (RFC 7250)")]
    NotEd25519,
    /// A key that proves nothing.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// The public key as TLS carries it.
pub(super) fn spki(key: &PublicKey) -> CertificateDer<'static> {
    CertificateDer::from([SPKI_PREFIX.as_slice(), key.as_bytes()].concat())
}

/// The key in what a peer presented: exactly one spelling, ed25519, not weak.
pub(super) fn key_of_spki(spki: &[u8]) -> Result<PublicKey, IdentityError> {
    let bytes = spki.strip_prefix(&SPKI_PREFIX).ok_or(IdentityError::NotEd25519)?;
    let key = PublicKey::from_bytes(bytes.try_into().or(Err(IdentityError::NotEd25519))?);
    key.validate()?;
    Ok(key)
}

/// The key a connected peer proved to hold.
pub(super) fn peer_key(connection: &quinn::Connection) -> Result<PublicKey, IdentityError> {
    let identity = connection.peer_identity().ok_or(IdentityError::NotEd25519)?;
    let presented = identity.downcast::<Vec<CertificateDer<'static>>>().or(Err(IdentityError::NotEd25519))?;
    match presented.as_slice() {
        [spki] => key_of_spki(spki),
        _ => Err(IdentityError::NotEd25519),
    }
}

/// What TLS signs with.
pub(super) fn certified_key(key: &SecretKey) -> Result<Arc<CertifiedKey>, rustls::Error> {
    let secret = PrivatePkcs8KeyDer::from([PKCS8_PREFIX.as_slice(), &key.to_bytes()].concat());
    let signer = rustls::crypto::ring::sign::any_eddsa_type(&secret)?;
    Ok(Arc::new(CertifiedKey::new(vec![spki(&key.public())], signer)))
}

/// How QUIC connections of this node are named and disowned. Both follow from the node key, so that a
/// restarted node knows the packets of its former connections as such and can tell their senders at once
/// (RFC 9000, section 10.3).
pub(super) fn endpoint_config(key: &SecretKey) -> EndpointConfig {
    let reset_key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, derived(key, RESET_KEY_CONTEXT).as_ref());
    let tag = derived(key, CONNECTION_ID_CONTEXT);
    let id_key = tag.as_ref().first_chunk().copied().map_or(0, u64::from_le_bytes);
    let mut config = EndpointConfig::new(Arc::new(reset_key));
    config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(id_key)));
    config
}

fn derived(key: &SecretKey, context: &[u8]) -> ring::hmac::Tag {
    let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &key.to_bytes());
    ring::hmac::sign(&secret, context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_rfc_8410_section_10_is_read_and_written() {
        let example = hex::decode(concat!(
            "302a300506032b6570032100",
            "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1"
        ))
        .unwrap();
        let key = key_of_spki(&example).unwrap();
        assert_eq!(key.to_string(), "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1");
        assert_eq!(spki(&key).as_ref(), example);
    }

    #[test]
    fn the_secret_key_of_rfc_8410_section_10_signs_as_its_public_key() {
        let secret = hex::decode("d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842").unwrap();
        let key = SecretKey::from_bytes(&secret.try_into().unwrap());
        let certified = certified_key(&key).unwrap();
        assert_eq!(certified.end_entity_cert().unwrap(), &spki(&key.public()));
        assert_eq!(certified.key.public_key().unwrap().as_ref(), spki(&key.public()).as_ref());
        assert_eq!(
            key.public().to_string(),
            "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1"
        );
    }

    #[test]
    fn other_algorithms_other_lengths_and_weak_keys_are_refused() {
        let good = spki(&SecretKey::from_bytes(&[7; 32]).public()).to_vec();
        let mut x25519 = good.clone();
        x25519[8] = 0x6e;
        assert_eq!(key_of_spki(&x25519), Err(IdentityError::NotEd25519));
        assert_eq!(key_of_spki(&good[..43]), Err(IdentityError::NotEd25519));
        assert_eq!(key_of_spki(&[good.as_slice(), &[0]].concat()), Err(IdentityError::NotEd25519));
        assert_eq!(key_of_spki(&[]), Err(IdentityError::NotEd25519));
        let mut neutral_element = [0; 32];
        neutral_element[0] = 1;
        let weak = spki(&PublicKey::from_bytes(neutral_element));
        assert_eq!(key_of_spki(&weak), Err(IdentityError::Key(KeyError::Weak)));
    }
}
