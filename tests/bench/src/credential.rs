//! What proves the clients of a row, the keys they have for it, and what the service must know of them. All rows that
//! differ in their credential ask the same service for the same token.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64ct::{Base64UrlUnpadded, Encoding};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair as Pair, KeyUsagePurpose,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::Serialize;
use time::{Duration, OffsetDateTime};

use crate::Outcome;
use crate::outside::{Outside, REALM, SERVICE};

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
    /// The same by one that nobody registered, below an authority and a root, with a revocation list of each.
    Issued,
    /// A partner's assertion, presented again and again.
    Saml,
    /// An issuer's JWT, the same.
    Jwt,
    /// The certificate of the TLS connection.
    TlsCertificate,
    /// A ticket of Kerberos, another one for each request, by HTTP Negotiate.
    Kerberos,
    /// A user name and a password that an LDAP directory is asked about each time.
    Directory,
}

impl Credential {
    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Signature => "signature",
            Self::Issued => "issued",
            Self::Saml => "saml",
            Self::Jwt => "jwt",
            Self::TlsCertificate => "tls-certificate",
            Self::Kerberos => "kerberos",
            Self::Directory => "directory",
        }
    }

    /// What an operator calls it in `auth.toml` and in `worker.toml`.
    fn kind(self) -> (&'static str, &'static str) {
        match self {
            Self::Password | Self::Directory => ("password", "username"),
            Self::Issued => ("signature", "signature"),
            _ => (self.name(), self.name()),
        }
    }

    /// The name of its client's key, where he has one.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Saml | Self::Jwt => "partner",
            Self::Issued => "issued",
            _ => "client",
        }
    }

    /// The directory of the demo it is measured in. That of passwords remembers none there.
    pub(crate) fn demo(self) -> &'static str {
        if self == Self::Directory { "directory" } else { "credentials" }
    }

    /// Where it is taken: the password where the demo serves AD FS clients.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Password => "/adfs/services/trust/13/usernamemixed",
            Self::Signature => "/signed",
            Self::Issued => "/issued",
            Self::Saml => "/saml",
            Self::Jwt => "/jwt",
            Self::TlsCertificate => "/certificate",
            Self::Kerberos => "/tickets",
            Self::Directory => "/directory",
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

/// Makes a root, an authority below it and a client of that one, and what the two have taken back: nothing.
fn issue(keys: &Path, auth: &Path) -> Outcome<()> {
    let named = |name: &str| -> Outcome<CertificateParams> {
        let mut parameters = CertificateParams::new(Vec::new())?;
        parameters.distinguished_name = DistinguishedName::new();
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::ExplicitNoCa;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        Ok(parameters)
    };
    let authority = |name: &str| -> Outcome<(CertificateParams, Pair)> {
        let mut parameters = named(name)?;
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok((parameters, Pair::generate()?))
    };
    let lists = |name: &str, issuer: &Issuer<'_, Pair>| -> Outcome<()> {
        let now = OffsetDateTime::now_utc();
        let list = CertificateRevocationListParams {
            this_update: now - Duration::hours(1),
            next_update: now + Duration::days(1),
            crl_number: 1.into(),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(fs::write(auth.join(format!("{name}.crl")), list.signed_by(issuer)?.pem()?)?)
    };
    let (parameters, key) = authority("root")?;
    fs::write(auth.join("root.pem"), parameters.self_signed(&key)?.pem())?;
    let root = Issuer::new(parameters, key);
    lists("root", &root)?;
    let (parameters, key) = authority("issuing")?;
    fs::write(auth.join("issuing.pem"), parameters.signed_by(&key, &root)?.pem())?;
    let issuing = Issuer::new(parameters, key);
    lists("issuing", &issuing)?;
    let (mut parameters, key) = (named("kim")?, Pair::generate()?);
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    fs::write(keys.join("issued.key"), key.serialize_pem())?;
    Ok(fs::write(keys.join("issued.pem"), parameters.signed_by(&key, &issuing)?.pem())?)
}

/// Where the keys of a demo's clients are.
pub(crate) fn keys(demo: &Path) -> PathBuf {
    demo.join("clients")
}

/// Makes the keys, and has an operator's configuration of every kind that is measured there in the place of the demo's.
pub(crate) fn configure(demo: &Path, of: Credential, throttle: &str, outside: &Outside) -> Outcome<()> {
    let (keys, etc) = (keys(demo), demo.join("etc"));
    fs::create_dir_all(&keys)?;
    for name in ["client", "partner"] {
        Key::make(&keys, name)?;
        fs::copy(keys.join(format!("{name}.pem")), etc.join(format!("auth.d/{name}.pem")))?;
    }
    fs::write(etc.join("auth.d/partner.json"), Key::read(&keys, "partner")?.jwks())?;
    fs::copy(etc.join("worker.d/tls.pem"), etc.join("auth.d/tls.pem"))?;
    issue(&keys, &etc.join("auth.d"))?;

    let subject = "capture = '([a-z]+)@idp\\.example'\n";
    let mut auth = format!(
        "server_certificates = [\"tls.pem\"]\n{throttle}[store]\ndirectory = \"../../store\"\nmost_rows = 5_000_000\n\
         [[saml_partner]]\nname = \"partner\"\nissuer = \"{PARTNER}\"\ncertificates = [\"partner.pem\"]\n\
         audiences = [\"{US}\"]\n[[saml_partner.subject]]\nfrom = \"name-id\"\n{subject}\
         [[jwt_issuer]]\nname = \"partner\"\nissuer = \"{PARTNER}\"\njwks = \"partner.json\"\naudiences = [\"{US}\"]\n\
         [[jwt_issuer.subject]]\nclaim = \"sub\"\n{subject}\
         [[certificate_authority]]\nname = \"corporate\"\nanchors = [\"root.pem\"]\nintermediates = [\"issuing.pem\"]\n\
         crls = [\"root.crl\", \"issuing.crl\"]\n[[certificate_authority.subject]]\nfrom = \"cn\"\n"
    );
    let worker = fs::read_to_string(etc.join("worker.d/worker.toml"))?;
    let mut worker = worker.split("[[").next().unwrap_or_default().to_owned();
    worker.push_str(&format!("[[listener]]\nname = \"{LISTENER}\"\nclient_certificates = \"asked\"\n"));
    let there = |kind: &&Credential| kind.demo() == of.demo() && outside.has(**kind);
    for kind in <Credential as clap::ValueEnum>::value_variants().iter().filter(there) {
        let (path, (name, serves)) = (kind.path(), kind.kind());
        let endpoint = format!("[[endpoint]]\npath = \"{path}\"\n");
        auth.push_str(&format!("{endpoint}credentials = [\"{name}\"]\naddresses = [\"{}\"]\n", address(*kind)));
        let profile = if *kind == Credential::Password { "adfs" } else { "generic" };
        worker.push_str(&format!("{endpoint}credential = \"{serves}\"\nprofile = \"{profile}\"\n"));
    }
    let mut guests = vec![
        ("machine", "certificates = [\"client.pem\"]"),
        ("visitor", "saml_partner = \"partner\""),
        ("guest", "jwt_issuer = \"partner\""),
        ("kim", "certificate_authority = \"corporate\""),
    ];
    match of {
        Credential::Directory => auth.push_str(&outside.directory(&etc.join("auth.d"), &keys)?),
        _ if outside.has(Credential::Kerberos) => {
            auth.push_str(&format!(
                "[[kerberos_realm]]\nname = \"corp\"\nrealm = \"{REALM}\"\n[[kerberos_realm.subject]]\n\
                 capture = '([A-Za-z]+)'\ncase = \"lower\"\n"
            ));
            guests.push(("mixed", "kerberos_realm = \"corp\""));
            let (kerberos, keytab) = (etc.join("kerberos.d"), etc.join("kerberos.d/keytab"));
            fs::create_dir_all(&kerberos)?;
            fs::copy(outside.keytab()?, &keytab)?;
            fs::set_permissions(&keytab, PermissionsExt::from_mode(0o600))?;
            let text = "keytab = \"keytab\"\nstate_directory = \"../../kerberos\"\n";
            fs::write(kerberos.join("kerberos.toml"), format!("services = [\"{SERVICE}\"]\n{text}"))?;
        }
        _ => {}
    }
    fs::write(etc.join("auth.d/auth.toml"), auth)?;
    fs::write(etc.join("worker.d/worker.toml"), worker)?;
    let mut users = fs::read_to_string(etc.join("auth.d/users.toml"))?;
    for (name, proof) in guests {
        users.push_str(&format!("[users.{name}]\n{proof}\nattributes.mail = [\"{name}@example.com\"]\n"));
    }
    Ok(fs::write(etc.join("auth.d/users.toml"), users)?)
}

/// What a client calls the service there.
pub(crate) fn address(kind: Credential) -> String {
    format!("https://sts.example.com{}", kind.path())
}
