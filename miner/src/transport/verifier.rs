//! What TLS asks about a peer: is this a proper key, and did its holder sign this handshake?
//!
//! A dialler also decides here whether the key is the one it wants, before it shows its own. A listener
//! decides that after the handshake (in [`super::handshake`]), so that it can say why it refuses.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use chain::PublicKey;
use ed25519_dalek::VerifyingKey;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, SignatureScheme};

use crate::transport::error::DialError;
use crate::transport::identity::{self, IdentityError};

/// Judges the nodes that dial us.
#[derive(Debug)]
pub(super) struct DiallerVerifier;

/// Judges the node that we dial.
#[derive(Debug)]
pub(super) struct ListenerVerifier {
    /// Our own key: whoever answers with it is ourselves, or a copy of us.
    pub(super) own: PublicKey,
    /// The only acceptable key, if the caller knows it.
    pub(super) expected: Option<PublicKey>,
    /// The acceptable keys of a private network.
    pub(super) allow_list: Option<Arc<BTreeSet<PublicKey>>>,
    /// Why the peer was refused: rustls passes on only text.
    pub(super) refusal: Arc<OnceLock<DialError>>,
}

impl ListenerVerifier {
    fn judge(&self, presented: &[u8]) -> Result<(), DialError> {
        let got = identity::key_of_spki(presented)?;
        if got == self.own {
            return Err(DialError::Myself);
        }
        if let Some(expected) = self.expected.filter(|expected| *expected != got) {
            return Err(DialError::WrongKey { expected, got });
        }
        match &self.allow_list {
            Some(allowed) if !allowed.contains(&got) => Err(DialError::NotAllowed { key: got }),
            Some(_) | None => Ok(()),
        }
    }
}

impl ServerCertVerifier for ListenerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.judge(end_entity) {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(refusal) => {
                // Set once: a verifier serves one dial.
                let _ = self.refusal.set(refusal);
                Err(CertificateError::ApplicationVerificationFailure.into())
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(not_tls13())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for DiallerVerifier {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        true
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        identity::key_of_spki(end_entity).map_err(bad_identity)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(not_tls13())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// The rule for a handshake is the rule for everything else that is signed: `verify_strict`.
fn verify_signature(
    message: &[u8],
    spki: &[u8],
    signed: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, rustls::Error> {
    let key = identity::key_of_spki(spki).map_err(bad_identity)?;
    let scheme_is_right = signed.scheme == SignatureScheme::ED25519;
    let key = VerifyingKey::from_bytes(key.as_bytes());
    let signature = ed25519_dalek::Signature::from_slice(signed.signature());
    match (key, signature) {
        (Ok(key), Ok(signature)) if scheme_is_right && key.verify_strict(message, &signature).is_ok() => {
            Ok(HandshakeSignatureValid::assertion())
        }
        _ => Err(CertificateError::BadSignature.into()),
    }
}

fn bad_identity(error: IdentityError) -> rustls::Error {
    CertificateError::Other(rustls::OtherError(Arc::new(error))).into()
}

fn not_tls13() -> rustls::Error {
    rustls::Error::General("only TLS 1.3 is spoken here".into())
}
