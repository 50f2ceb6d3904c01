//! Clients that show a certificate. Any is let in whose key has signed the handshake, and none is asked to have one:
//! whom it means is auth's to say, which gets the handshake as evidence with each request of the connection. What a
//! connection proved it proves for less than an hour, and no ticket carries it over to another.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ResolvesServerCert};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
    SupportedProtocolVersion,
};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::recording;
use crate::wire::Octets;
use crate::wire::evidence::{ClientHandshake, TlsVersion};

/// How long a connection with a certificate is used. Issuer forgets its handshake after an hour.
const LIFE: Duration = Duration::from_secs(55 * 60);
/// Octets of a client's certificates, all together, at most.
const LARGEST_CHAIN: usize = 16 * 1024;
/// What TLS 1.3 has signed before the hash: 64 spaces, words and a zero (RFC 8446 4.4.3).
const BEFORE_HASH: usize = 64 + 33 + 1;

/// The client of one connection, and what proves its certificate.
#[derive(Debug)]
pub(super) struct Client {
    /// The evidence.
    pub(super) handshake: ClientHandshake,
    since: Instant,
    spent: AtomicBool,
    told: Notify,
}

impl Client {
    fn new(handshake: ClientHandshake) -> Self {
        Self { handshake, since: Instant::now(), spent: AtomicBool::new(false), told: Notify::new() }
    }

    /// The handshake proves nothing any more: the connection is to end.
    pub(super) fn spend(&self) {
        self.spent.store(true, Ordering::Relaxed);
        self.told.notify_one();
    }

    /// Is the connection to end?
    pub(super) fn is_spent(&self) -> bool {
        self.spent.load(Ordering::Relaxed) || self.since.elapsed() >= LIFE
    }

    /// Returns when the connection is to end.
    pub(super) async fn spent(&self) {
        tokio::select! {
            () = self.told.notified() => {}
            () = sleep_until(self.since + LIFE) => {}
        }
    }
}

/// How hands are shaken on a listener that asks for certificates.
pub(super) struct Asking {
    provider: Arc<CryptoProvider>,
    versions: &'static [&'static SupportedProtocolVersion],
    server: Arc<dyn ResolvesServerCert>,
    protocols: Vec<Vec<u8>>,
}

impl Asking {
    /// With these.
    pub(super) fn new(
        provider: CryptoProvider,
        versions: &'static [&'static SupportedProtocolVersion],
        server: Arc<dyn ResolvesServerCert>,
        protocols: Vec<Vec<u8>>,
    ) -> Self {
        Self { provider: Arc::new(recording::keeping(provider)), versions, server, protocols }
    }

    /// For one connection: what it proves is found in its own witness and nowhere else.
    ///
    /// # Errors
    /// When rustls finds fault with the configuration.
    pub(super) fn one(&self) -> Result<(Arc<ServerConfig>, Arc<Witness>), Error> {
        let algorithms = self.provider.signature_verification_algorithms;
        let witness = Arc::new(Witness { algorithms, seen: Mutex::new(None) });
        let mut config = ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(self.versions)?
            .with_client_cert_verifier(witness.clone())
            .with_cert_resolver(self.server.clone());
        config.alpn_protocols.clone_from(&self.protocols);
        // A session that is taken up again has no handshake that proves anything.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok((Arc::new(config), witness))
    }
}

/// Sees what the client of one connection signs.
#[derive(Debug)]
pub(super) struct Witness {
    algorithms: WebPkiSupportedAlgorithms,
    seen: Mutex<Option<ClientHandshake>>,
}

impl Witness {
    /// The client, if it has proved a certificate. To be asked when the handshake is complete.
    pub(super) fn client(&self) -> Option<Arc<Client>> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).take();
        seen.map(|handshake| Arc::new(Client::new(handshake)))
    }

    fn note(&self, version: TlsVersion, messages: &[u8], signed: &DigitallySignedStruct) -> Result<(), Error> {
        let handshake = ClientHandshake {
            version,
            messages: Octets::new(messages).map_err(|_| too_large())?,
            scheme: signed.scheme.into(),
            signature: Octets::new(signed.signature()).map_err(|_| too_large())?,
        };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(handshake);
        Ok(())
    }
}

fn too_large() -> Error {
    Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)
}

impl ClientCertVerifier for Witness {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let octets = end_entity.len() + intermediates.iter().map(|der| der.len()).sum::<usize>();
        if octets > LARGEST_CHAIN { Err(too_large()) } else { Ok(ClientCertVerified::assertion()) }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let valid = verify_tls12_signature(message, certificate, signed, &self.algorithms)?;
        self.note(TlsVersion::V12, message, signed)?;
        Ok(valid)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let transcript = message.get(BEFORE_HASH..).and_then(recording::last);
        let valid = verify_tls13_signature(message, certificate, signed, &self.algorithms)?;
        self.note(TlsVersion::V13, &transcript.ok_or_else(too_large)?, signed)?;
        Ok(valid)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
