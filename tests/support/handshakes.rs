//! TLS clients with a certificate that see what they sign: the messages of the handshake, which they hash as the
//! server does, and the signature. And a server in memory to shake hands with. Nothing here is the product's.

use std::cell::RefCell;
use std::io::Read;
use std::sync::{Arc, Mutex};

use rustls::client::ResolvesClientCert;
use rustls::crypto::hash::{Context, Hash, HashAlgorithm, Output};
use rustls::crypto::{CipherSuiteCommon, CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ResolvesServerCert;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey};
use rustls::{
    ClientConfig, ClientConnection, ServerConfig, ServerConnection, SignatureAlgorithm, SignatureScheme,
    SupportedCipherSuite, SupportedProtocolVersion, Tls13CipherSuite,
};

/// What a client signed, and how.
#[derive(Debug, Clone, Default)]
pub(crate) struct Signed {
    pub(crate) messages: Vec<u8>,
    pub(crate) scheme: u16,
    pub(crate) signature: Vec<u8>,
}

/// A key with a certificate and what leads to it.
#[derive(Debug, Clone)]
pub(crate) struct Identity(pub(crate) Arc<CertifiedKey>);

impl Identity {
    pub(crate) fn of(pair: &rcgen::KeyPair, chain: Vec<CertificateDer<'static>>) -> Self {
        Self::from_parts(&pair.serialize_der(), chain)
    }

    /// With that key, PKCS#8.
    pub(crate) fn from_parts(key: &[u8], chain: Vec<CertificateDer<'static>>) -> Self {
        let key = PrivateKeyDer::try_from(key.to_vec()).expect("a key");
        let key = aws_lc_rs::sign::any_supported_type(&key).expect("a key TLS has");
        Self(Arc::new(CertifiedKey::new(chain, key)))
    }

    /// With a new key of that kind and a certificate it signed itself.
    pub(crate) fn own(name: &str, kind: &'static rcgen::SignatureAlgorithm) -> Self {
        Self::made(name, kind).0
    }

    /// As [`Self::own`], with the key, PKCS#8.
    pub(crate) fn made(name: &str, kind: &'static rcgen::SignatureAlgorithm) -> (Self, Vec<u8>) {
        let pair = rcgen::KeyPair::generate_for(kind).expect("a key");
        let certificate = rcgen::CertificateParams::new([name.to_owned()]).expect("parameters").self_signed(&pair);
        let identity = Self::of(&pair, vec![certificate.expect("a certificate").der().clone()]);
        (identity, pair.serialize_der())
    }
}

/// Where a client's signature is seen.
pub(crate) type Seen = Arc<Mutex<Option<Signed>>>;

/// A client that trusts that server certificate.
pub(crate) fn client(
    identity: Option<&Identity>,
    server: &CertificateDer<'static>,
    version: &'static SupportedProtocolVersion,
    change: impl FnOnce(&mut CryptoProvider),
) -> (ClientConfig, Seen) {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(server.clone()).expect("a certificate");
    let mut provider = aws_lc_rs::default_provider();
    change(&mut provider);
    provider.cipher_suites = provider.cipher_suites.into_iter().map(kept).collect();
    let builder = ClientConfig::builder_with_provider(Arc::new(provider)).with_protocol_versions(&[version]);
    let builder = builder.expect("a version").with_root_certificates(roots);
    let seen = Seen::default();
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let watched = Watched { key: identity.0.key.clone(), seen: seen.clone() };
            let certified = CertifiedKey::new(identity.0.cert.clone(), Arc::new(watched));
            builder.with_client_cert_resolver(Arc::new(Always(Arc::new(certified))))
        }
    };
    (config, seen)
}

/// Shakes hands in memory, and gives what the client signed.
pub(crate) fn shake(client: ClientConfig, seen: &Seen, server: ServerConfig) -> Signed {
    let name = ServerName::try_from("localhost").expect("a name");
    let mut client = ClientConnection::new(Arc::new(client), name).expect("a client");
    let mut server = ServerConnection::new(Arc::new(server)).expect("a server");
    let mut buffer = Vec::new();
    while client.is_handshaking() || server.is_handshaking() {
        buffer.clear();
        while client.wants_write() {
            client.write_tls(&mut buffer).expect("into memory");
        }
        feed(&buffer, |octets| server.read_tls(octets));
        server.process_new_packets().expect("the server goes on");
        buffer.clear();
        while server.wants_write() {
            server.write_tls(&mut buffer).expect("into memory");
        }
        feed(&buffer, |octets| client.read_tls(octets));
        client.process_new_packets().expect("the client goes on");
    }
    seen.lock().expect("not poisoned").clone().expect("the client signed")
}

fn feed(octets: &[u8], mut take: impl FnMut(&mut dyn Read) -> std::io::Result<usize>) {
    let mut left = octets;
    while !left.is_empty() {
        take(&mut left).expect("from memory");
    }
}

/// A server that asks for a certificate and takes any.
pub(crate) fn server(
    key: Arc<dyn ResolvesServerCert>,
    version: &'static SupportedProtocolVersion,
    provider: CryptoProvider,
) -> ServerConfig {
    let builder = ServerConfig::builder_with_provider(Arc::new(provider)).with_protocol_versions(&[version]);
    builder.expect("a version").with_client_cert_verifier(Arc::new(Anybody)).with_cert_resolver(key)
}

/// That identity as a server.
pub(crate) fn known(identity: &Identity) -> Arc<dyn ResolvesServerCert> {
    Arc::new(SingleCertAndKey::from(identity.0.clone()))
}

#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesClientCert for Always {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[derive(Debug, Clone)]
struct Watched {
    key: Arc<dyn SigningKey>,
    seen: Seen,
}

impl SigningKey for Watched {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let inner = self.key.choose_scheme(offered)?;
        Some(Box::new(WatchedSigner { inner, seen: self.seen.clone() }))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.key.algorithm()
    }
}

#[derive(Debug)]
struct WatchedSigner {
    inner: Box<dyn Signer>,
    seen: Seen,
}

impl Signer for WatchedSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let signature = self.inner.sign(message)?;
        let messages = match message.strip_prefix(&[b' '; 64]) {
            Some(_) => LAST.take().expect("something was hashed"),
            None => message.to_vec(),
        };
        let scheme = self.inner.scheme().into();
        *self.seen.lock().expect("not poisoned") = Some(Signed { messages, scheme, signature: signature.clone() });
        Ok(signature)
    }

    fn scheme(&self) -> SignatureScheme {
        self.inner.scheme()
    }
}

#[derive(Debug)]
struct Anybody;

impl ClientCertVerifier for Anybody {
    fn root_hint_subjects(&self) -> &[rustls::DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

thread_local! {
    /// What was hashed last on this thread.
    static LAST: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

struct Keeping(&'static dyn Hash);
struct Kept(Box<dyn Context>, Vec<u8>);

fn kept(suite: SupportedCipherSuite) -> SupportedCipherSuite {
    let SupportedCipherSuite::Tls13(plain) = suite else { return suite };
    let hash_provider: &'static Keeping = Box::leak(Box::new(Keeping(plain.common.hash_provider)));
    SupportedCipherSuite::Tls13(Box::leak(Box::new(Tls13CipherSuite {
        common: CipherSuiteCommon { hash_provider, ..plain.common },
        hkdf_provider: plain.hkdf_provider,
        aead_alg: plain.aead_alg,
        quic: None,
    })))
}

impl Hash for Keeping {
    fn start(&self) -> Box<dyn Context> {
        Box::new(Kept(self.0.start(), Vec::new()))
    }

    fn hash(&self, data: &[u8]) -> Output {
        self.0.hash(data)
    }

    fn output_len(&self) -> usize {
        self.0.output_len()
    }

    fn algorithm(&self) -> HashAlgorithm {
        self.0.algorithm()
    }
}

impl Context for Kept {
    fn fork_finish(&self) -> Output {
        LAST.set(Some(self.1.clone()));
        self.0.fork_finish()
    }

    fn fork(&self) -> Box<dyn Context> {
        Box::new(Self(self.0.fork(), self.1.clone()))
    }

    fn finish(self: Box<Self>) -> Output {
        self.0.finish()
    }

    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
        self.1.extend_from_slice(data);
    }
}
