//! `[kerberos]` and `[[kerberos_realm]]` of `auth.toml`: users of which realms prove themselves with tickets, which
//! account one means, and whether a ticket must be bound to the server it is shown to. The keys of our services are not
//! here: another process has them (`kerberos.d`).

use std::time::Duration;

use aws_lc_rs::digest::{Algorithm, SHA256, SHA384, SHA512, digest};
use serde::Deserialize;
use toml::Spanned;
use x509_parser::oid_registry as oids;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::signature_algorithm::SignatureAlgorithm;

use super::certificate::Certificate;
use super::claims::Case;
use super::naming::Naming;
use super::vouching::{MOST, Reading};
use crate::config::beneath::Directory;
use crate::config::load::{ConfigError, Loaded};
use crate::wire::{Octets, Text};

/// What holds for every ticket.
#[derive(Debug, Clone)]
pub struct KerberosRules {
    /// Must a ticket be bound to our certificate? One that is bound to another is refused in any case.
    pub bound: bool,
    /// How long a request waits for kerberos.
    pub deadline: Duration,
    /// Our servers, as clients bind tickets to them.
    pub servers: Vec<EndPoint>,
}

impl Default for KerberosRules {
    fn default() -> Self {
        Self { bound: true, deadline: Duration::from_secs(2), servers: Vec::new() }
    }
}

/// A server that clients may have bound a ticket to.
#[derive(Debug, Clone)]
pub struct EndPoint {
    /// SHA-256 of its certificate, DER.
    pub certificate: [u8; 32],
    /// `tls-server-end-point` (RFC 5929 4), as it is in channel bindings.
    pub bindings: Octets<128>,
}

/// A realm whose users are known here.
#[derive(Debug)]
pub struct Realm {
    /// What users name it by.
    pub name: Text<64>,
    /// What it calls itself, octet for octet.
    pub realm: String,
    /// Whom a principal means. The first rule that gives a name decides.
    pub subjects: Vec<Naming>,
}

impl Realm {
    /// The name of the account that a principal of this realm means, if it means any.
    #[must_use]
    pub fn account(&self, principal: &str) -> Option<String> {
        self.subjects.iter().find_map(|rule| rule.name(principal))
    }
}

/// `[kerberos]` as it is written.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct KerberosFile {
    channel_binding: Option<Binding>,
    deadline_ms: Option<Spanned<u32>>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum Binding {
    Required,
    WhenSent,
}

/// `[[kerberos_realm]]` as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RealmFile {
    name: Spanned<String>,
    realm: Spanned<String>,
    #[serde(default)]
    subject: Vec<SubjectFile>,
}

/// `[[kerberos_realm.subject]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubjectFile {
    capture: Option<Spanned<String>>,
    case: Option<Case>,
}

/// The realm of that name.
#[must_use]
pub fn find<'a>(realms: &'a [Realm], realm: &str) -> Option<&'a Realm> {
    realms.iter().find(|one| one.realm == realm)
}

/// Checks what is written of tickets in general. `used`: does an endpoint take any?
pub(super) fn rules<T>(
    directory: &Directory,
    file: &Loaded<T>,
    written: Option<&KerberosFile>,
    servers: (&[Spanned<String>], &[Certificate]),
    used: bool,
) -> Result<KerberosRules, ConfigError> {
    let mut rules = KerberosRules::default();
    if let Some(written) = written {
        let reading = Reading { directory, file };
        let deadline = reading.number("deadline_ms", written.deadline_ms.as_ref(), 2000, 50..=60_000)?;
        rules.deadline = Duration::from_millis(deadline.unsigned_abs());
        rules.bound = written.channel_binding != Some(Binding::WhenSent);
    }
    for (path, server) in servers.0.iter().zip(servers.1).filter(|_| used) {
        let why = || {
            format!("server_certificates: {}: nothing says what a ticket is bound to by its signature", path.get_ref())
        };
        rules.servers.push(EndPoint::of(&server.der).ok_or_else(|| file.error(path.span(), why()))?);
    }
    Ok(rules)
}

/// Checks the realms of a file.
pub(super) fn checked<T>(
    directory: &Directory,
    file: &Loaded<T>,
    written: &[RealmFile],
) -> Result<Vec<Realm>, ConfigError> {
    let mut realms: Vec<Realm> = Vec::new();
    for one in written {
        let realm = read(&Reading { directory, file }, one)?;
        if realms.len() == MOST {
            return Err(file.error(one.name.span(), format!("more than {MOST} realms")));
        }
        if realms.iter().any(|other| other.name == realm.name) {
            return Err(file.error(one.name.span(), "this realm stands here twice"));
        }
        if let Some(other) = find(&realms, &realm.realm) {
            return Err(file.error(one.realm.span(), format!("realm: {} is that one already", other.name.as_str())));
        }
        realms.push(realm);
    }
    Ok(realms)
}

fn read<T>(reading: &Reading<'_, T>, written: &RealmFile) -> Result<Realm, ConfigError> {
    let name = reading.name("a realm", &written.name)?;
    if written.subject.is_empty() {
        let why = format!("{name} has no [[kerberos_realm.subject]]: its tickets would mean nobody");
        return Err(reading.refused(written.name.span(), why));
    }
    if written.subject.len() > MOST {
        return Err(reading.refused(written.name.span(), format!("{name}: more than {MOST} rules")));
    }
    let realm = reading.identifier("realm", &written.realm)?;
    if realm.len() > 256 || realm.contains(['/', '@', '\\']) {
        let why = "realm: at most 256 octets, without '/', '@' and '\\'";
        return Err(reading.refused(written.realm.span(), why));
    }
    let subject = |rule: &SubjectFile| Naming::read(reading.file, rule.capture.as_ref(), rule.case);
    Ok(Realm { name, realm, subjects: written.subject.iter().map(subject).collect::<Result<_, _>>()? })
}

impl EndPoint {
    /// Of a certificate. None where RFC 5929 does not say by which hash, as for Ed25519.
    fn of(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let hash = digest(hash(&certificate)?, der);
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest(&SHA256, der).as_ref());
        let bindings = [b"tls-server-end-point:", hash.as_ref()].concat();
        Some(Self { certificate: sha256, bindings: Octets::new(bindings).ok()? })
    }
}

/// The hash in the signature of a certificate, and SHA-256 in the place of what is older.
fn hash(certificate: &X509Certificate<'_>) -> Option<&'static Algorithm> {
    let mut oid = &certificate.signature_algorithm.algorithm;
    let probabilistic = SignatureAlgorithm::try_from(&certificate.signature_algorithm).ok();
    if let Some(SignatureAlgorithm::RSASSA_PSS(parameters)) = &probabilistic {
        oid = parameters.hash_algorithm_oid();
    }
    let are = |known: &[&oids::asn1_rs::Oid<'_>]| known.contains(&oid);
    if are(&[
        &oids::OID_PKCS1_SHA256WITHRSA,
        &oids::OID_SIG_ECDSA_WITH_SHA256,
        &oids::OID_NIST_HASH_SHA256,
        &oids::OID_PKCS1_SHA1WITHRSA,
        &oids::OID_HASH_SHA1,
    ]) {
        Some(&SHA256)
    } else if are(&[&oids::OID_PKCS1_SHA384WITHRSA, &oids::OID_SIG_ECDSA_WITH_SHA384, &oids::OID_NIST_HASH_SHA384]) {
        Some(&SHA384)
    } else if are(&[&oids::OID_PKCS1_SHA512WITHRSA, &oids::OID_SIG_ECDSA_WITH_SHA512, &oids::OID_NIST_HASH_SHA512]) {
        Some(&SHA512)
    } else {
        None
    }
}
