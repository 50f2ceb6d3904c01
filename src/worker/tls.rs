//! TLS as this server speaks it: 1.3, with 1.2 where the configuration is lenient; a post-quantum key
//! exchange first; no private key in this process.
//!
//! Session tickets spare the token a signature when a client comes back. Their key is made here at start,
//! changes every six hours and dies with the process; a ticket is good for twice that at most. There is no
//! early data.

use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};

use super::counters::Counters;
use super::handshake::RemoteKey;
use super::peers::Issuer;
use crate::config::worker::{Chain, TlsVersion, Worker};

/// What rustls needs to serve `chain` with the key behind `issuer`.
///
/// # Errors
/// When the kernel has no randomness for the ticket key.
pub(super) fn server(
    config: &Worker,
    chain: Chain,
    issuer: Issuer,
    counters: Counters,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let timeout = Duration::from_millis(config.limits.handshake_signature_timeout_ms.into());
    let key = RemoteKey::new(chain.fingerprint(), chain.kind, issuer, timeout, counters);
    let certified = SingleCertAndKey::from(CertifiedKey::new(chain.certificates, Arc::new(key)));
    let versions: &[_] = match config.tls.minimum {
        TlsVersion::V13 => &[&TLS13],
        TlsVersion::V12 => &[&TLS13, &TLS12],
    };
    let mut server = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(certified));
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.ticketer = Ticketer::new()?;
    server.send_tls13_tickets = 1;
    Ok(Arc::new(server))
}
