//! What proves the clients of a row, the keys they have for it, and what the service must know of them. All rows that
//! differ in their credential ask the same service for the same token.

use std::fs;
use std::path::{Path, PathBuf};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64ct::{Base64UrlUnpadded, Encoding};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::Serialize;

use crate::Outcome;

/// The relying party that every account of these may have tokens for.
pub(crate) const PARTY: &str = "https://rp.example.com/";
/// What a partner and an issuer of JWTs call themselves and us.
pub(crate) const PARTNER: &str = "https://idp.example/";
pub(crate) const US: &str = "https://sts.example.com/";
/// The listener that asks for certificates.
pub(crate) const LISTENER: &str = "certificates";

/// Kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Credential {
    /// A user name and a password.
    Password,
    /// A signature over timestamp, body, wsa:To and message id, by a registered certificate.
    Signature,
    /// A partner's assertion, presented again and again.
    Saml,
    /// An issuer's JWT, the same.
    Jwt,
    /// The certificate of the TLS connection.
    TlsCertificate,
}

impl Credential {
    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Signature => "signature",
            Self::Saml => "saml",
            Self::Jwt => "jwt",
            Self::TlsCertificate => "tls-certificate",
        }
    }

    /// Where it is taken: the password where the demo serves AD FS clients.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Password => "/adfs/services/trust/13/usernamemixed",
            Self::Signature => "/signed",
            Self::Saml => "/saml",
            Self::Jwt => "/jwt",
            Self::TlsCertificate => "/certificate",
        }
    }
}

/// A P-256 key with a certificate of its own.
pub(crate) struct Key {
    pair: EcdsaKeyPair,
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) private: PrivateKeyDer<'static>,
}

impl Key {
    /// Makes one, and writes it.
    fn make(directory: &Path, name: &str) -> Outcome<()> {
        let key = rcgen::KeyPair::generate()?;
        let mut parameters = rcgen::CertificateParams::new(Vec::new())?;
        parameters.is_ca = rcgen::IsCa::ExplicitNoCa;
        let certificate = parameters.self_signed(&key)?;
        fs::write(directory.join(format!("{name}.key")), key.serialize_pem())?;
        Ok(fs::write(directory.join(format!("{name}.pem")), certificate.pem())?)
    }

    /// Reads one.
    pub(crate) fn read(directory: &Path, name: &str) -> Outcome<Self> {
        let private = PrivateKeyDer::from_pem_file(directory.join(format!("{name}.key")))?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, private.secret_der())?;
        let certificate = CertificateDer::from_pem_file(directory.join(format!("{name}.pem")))?;
        Ok(Self { pair, certificate, private })
    }

    /// r‖s, as XML and JOSE have it.
    pub(crate) fn sign(&self, octets: &[u8]) -> Outcome<Vec<u8>> {
        Ok(self.pair.sign(&SystemRandom::new(), octets)?.as_ref().to_vec())
    }

    fn jwks(&self) -> String {
        let point = self.pair.public_key().as_ref();
        let [x, y] = [1, 33].map(|at| Base64UrlUnpadded::encode_string(&point[at..at + 32]));
        format!("{{\"keys\":[{{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"{x}\",\"y\":\"{y}\"}}]}}")
    }
}

/// Where the keys of a demo's clients are.
pub(crate) fn keys(demo: &Path) -> PathBuf {
    demo.join("clients")
}

/// Makes the keys, and has an operator's configuration of every kind in the place of the demo's.
pub(crate) fn configure(demo: &Path, throttle: &str) -> Outcome<()> {
    let (keys, etc) = (keys(demo), demo.join("etc"));
    fs::create_dir_all(&keys)?;
    for name in ["client", "partner"] {
        Key::make(&keys, name)?;
        fs::copy(keys.join(format!("{name}.pem")), etc.join(format!("auth.d/{name}.pem")))?;
    }
    fs::write(etc.join("auth.d/partner.json"), Key::read(&keys, "partner")?.jwks())?;
    fs::copy(etc.join("worker.d/tls.pem"), etc.join("auth.d/tls.pem"))?;

    let subject = "capture = '([a-z]+)@idp\\.example'\n";
    let mut auth = format!(
        "server_certificates = [\"tls.pem\"]\n{throttle}[store]\ndirectory = \"../../store\"\nmost_rows = 5_000_000\n\
         [[saml_partner]]\nname = \"partner\"\nissuer = \"{PARTNER}\"\ncertificates = [\"partner.pem\"]\n\
         audiences = [\"{US}\"]\n[[saml_partner.subject]]\nfrom = \"name-id\"\n{subject}\
         [[jwt_issuer]]\nname = \"partner\"\nissuer = \"{PARTNER}\"\njwks = \"partner.json\"\naudiences = [\"{US}\"]\n\
         [[jwt_issuer.subject]]\nclaim = \"sub\"\n{subject}"
    );
    let worker = fs::read_to_string(etc.join("worker.d/worker.toml"))?;
    let mut worker = worker.split("[[").next().unwrap_or_default().to_owned();
    worker.push_str(&format!("[[listener]]\nname = \"{LISTENER}\"\nclient_certificates = \"asked\"\n"));
    for kind in <Credential as clap::ValueEnum>::value_variants() {
        let (path, name) = (kind.path(), kind.name());
        let endpoint = format!("[[endpoint]]\npath = \"{path}\"\n");
        auth.push_str(&format!("{endpoint}credentials = [\"{name}\"]\naddresses = [\"{}\"]\n", address(*kind)));
        let (name, profile) = if *kind == Credential::Password { ("username", "adfs") } else { (name, "generic") };
        worker.push_str(&format!("{endpoint}credential = \"{name}\"\nprofile = \"{profile}\"\n"));
    }
    fs::write(etc.join("auth.d/auth.toml"), auth)?;
    fs::write(etc.join("worker.d/worker.toml"), worker)?;
    let mut users = fs::read_to_string(etc.join("auth.d/users.toml"))?;
    for (name, proof) in [
        ("machine", "certificates = [\"client.pem\"]"),
        ("visitor", "saml_partner = \"partner\""),
        ("guest", "jwt_issuer = \"partner\""),
    ] {
        users.push_str(&format!("[users.{name}]\n{proof}\nattributes.mail = [\"{name}@example.com\"]\n"));
    }
    Ok(fs::write(etc.join("auth.d/users.toml"), users)?)
}

/// What a client calls the service there.
pub(crate) fn address(kind: Credential) -> String {
    format!("https://sts.example.com{}", kind.path())
}
