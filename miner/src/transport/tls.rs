//! How quinn and rustls are configured: TLS 1.3 only, both sides prove a node key, nothing is resumed.

use std::sync::Arc;

use chain::record::NetworkId;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, IdleTimeout, ServerConfig, TransportConfig, VarInt};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;

use crate::transport::PROTOCOL_VERSION;
use crate::transport::error::TransportError;
use crate::transport::limits::{LANE_WINDOW_BYTES, LANES, TransportLimits};
use crate::transport::verifier::{DiallerVerifier, ListenerVerifier};

/// TLS wants a server name; peers are known by key, so it says nothing and is not sent.
pub(super) const SERVER_NAME: &str = "node.invalid";
/// Handshakes that quinn holds back for us, beyond those in progress, before it refuses more.
const HANDSHAKES_WAITING: usize = 64;
/// Bytes that quinn keeps of each of them.
const HANDSHAKE_BUFFER_BYTES: u64 = 16 << 10;

/// The application protocol: nodes of another network or version fail the handshake by it.
pub(super) fn application_protocol(network: &NetworkId) -> Vec<u8> {
    format!("mizan/{PROTOCOL_VERSION}/{network}").into_bytes()
}

/// How connections behave, whoever opened them.
pub(super) fn transport_config(limits: &TransportLimits) -> Result<Arc<TransportConfig>, TransportError> {
    let mut config = TransportConfig::default();
    let idle = IdleTimeout::try_from(limits.idle_timeout)
        .or(Err(TransportError::Limits("idle_timeout is too long")))?;
    config
        .max_idle_timeout(Some(idle))
        .keep_alive_interval(Some(limits.keep_alive))
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(LANES))
        .datagram_receive_buffer_size(None)
        // A full bulk lane leaves window for the urgent one, on both sides.
        .stream_receive_window(VarInt::from_u32(LANE_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(LANES * LANE_WINDOW_BYTES))
        .send_window(u64::from(LANES * LANE_WINDOW_BYTES));
    Ok(Arc::new(config))
}

/// How dials are answered.
pub(super) fn server_config(
    identity: Arc<CertifiedKey>,
    protocol: Vec<u8>,
    transport: Arc<TransportConfig>,
) -> Result<ServerConfig, TransportError> {
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(Arc::new(DiallerVerifier))
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(identity)));
    tls.alpn_protocols = vec![protocol];
    // A resumed session would skip the verifier.
    tls.session_storage = Arc::new(NoServerSessionStorage {});
    tls.send_tls13_tickets = 0;
    let crypto = QuicServerConfig::try_from(tls).or(Err(TransportError::NoInitialCipher))?;
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config
        .transport_config(transport)
        .max_incoming(HANDSHAKES_WAITING)
        .incoming_buffer_size(HANDSHAKE_BUFFER_BYTES)
        .incoming_buffer_size_total(HANDSHAKE_BUFFER_BYTES * HANDSHAKES_WAITING as u64);
    Ok(config)
}

/// How one dial is made.
pub(super) fn client_config(
    identity: Arc<CertifiedKey>,
    protocol: Vec<u8>,
    transport: Arc<TransportConfig>,
    verifier: ListenerVerifier,
) -> Result<ClientConfig, TransportError> {
    let mut tls = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(identity)));
    tls.alpn_protocols = vec![protocol];
    tls.resumption = Resumption::disabled();
    tls.enable_sni = false;
    let crypto = QuicClientConfig::try_from(tls).or(Err(TransportError::NoInitialCipher))?;
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(transport);
    Ok(config)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

#[cfg(test)]
mod tests {
    use chain::Hash;

    use super::*;

    #[test]
    fn the_application_protocol_names_version_and_network() {
        let protocol = application_protocol(&NetworkId(Hash([0xab; 32])));
        assert_eq!(String::from_utf8(protocol).unwrap(), format!("mizan/1/{}", "ab".repeat(32)));
    }
}
