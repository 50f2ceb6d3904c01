//! TLS as this server speaks it: 1.3, with 1.2 where the configuration is lenient; a post-quantum key
//! exchange first; no private key in this process.
//!
//! Session tickets spare the token a signature when a client comes back. Their key is made here at start,
//! changes every six hours and dies with the process; a ticket is good for twice that at most. There is no
//! early data. A listener that asks for client certificates has no tickets.

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};

use super::client::{Asking, Client, Witness};
use super::counters::Counters;
use super::handshake::RemoteKey;
use super::peers::Issuer;
use crate::config::worker::{Chain, TlsVersion, Worker};

static NEWEST: &[&SupportedProtocolVersion] = &[&TLS13];
static BOTH: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];

/// How hands are shaken on a listener.
pub(super) enum Tls {
    /// Nobody is asked who he is.
    Anonymous(Arc<ServerConfig>),
    /// Clients are asked for a certificate.
    Asking(Asking),
}

/// What one connection may prove besides.
pub(super) struct Seen(Option<Arc<Witness>>);

impl Seen {
    /// The client, when the handshake is complete and he has proved a certificate in it.
    pub(super) fn client(&self) -> Option<Arc<Client>> {
        self.0.as_ref().and_then(|witness| witness.client())
    }
}

impl Tls {
    /// What rustls needs for one connection.
    ///
    /// # Errors
    /// When rustls finds fault with the configuration.
    pub(super) fn one(&self) -> Result<(Arc<ServerConfig>, Seen), rustls::Error> {
        match self {
            Self::Anonymous(config) => Ok((Arc::clone(config), Seen(None))),
            Self::Asking(asking) => asking.one().map(|(config, witness)| (config, Seen(Some(witness)))),
        }
    }
}

/// How `chain` is served with the key behind `issuer`: to clients that are not asked for a certificate, and to those
/// that are.
///
/// # Errors
/// When the kernel has no randomness for the ticket key.
pub(super) fn servers(
    config: &Worker,
    chain: Chain,
    issuer: Issuer,
    counters: Counters,
) -> Result<(Arc<Tls>, Arc<Tls>), rustls::Error> {
    let timeout = Duration::from_millis(config.limits.handshake_signature_timeout_ms.into());
    let key = RemoteKey::new(chain.fingerprint(), chain.kind, issuer, timeout, counters);
    let remembered = Arc::new(key.remembered());
    let certified = |key| Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain.certificates.clone(), key)));
    let versions = match config.tls.minimum {
        TlsVersion::V13 => NEWEST,
        TlsVersion::V12 => BOTH,
    };
    let protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let asking = Asking::new(default_provider(), versions, certified(remembered), protocols.clone());
    let mut server = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_cert_resolver(certified(Arc::new(key)));
    server.alpn_protocols = protocols;
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.ticketer = Ticketer::new()?;
    server.send_tls13_tickets = 1;
    Ok((Arc::new(Tls::Anonymous(Arc::new(server))), Arc::new(Tls::Asking(asking))))
}
