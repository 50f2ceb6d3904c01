//! `worker.d/worker.toml`: which endpoints there are, which certificate is shown, how much a stranger may
//! take up. Nothing in it decides who gets what; that is `auth.d` and `issuer.d`.

mod chain;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use chain::{Chain, Kind};

use super::load::{self, ConfigError, Loaded};

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Worker {
    /// What clients call this server: `https://host[:port]`, no path. Published addresses and `wsa:To` are
    /// made from it, never from a `Host` header (R-P020).
    pub public_url: String,
    /// Transport.
    pub tls: Tls,
    /// What a stranger may take up.
    #[serde(default)]
    pub limits: Limits,
    /// `[[listener]]`: what is inherited besides or beyond the one called `https`.
    #[serde(default, rename = "listener")]
    pub listeners: Vec<Listener>,
    /// `[[endpoint]]`: where tokens are asked for.
    #[serde(default, rename = "endpoint")]
    pub endpoints: Vec<Endpoint>,
    /// `[[metadata]]`: documents served as they are.
    #[serde(default, rename = "metadata")]
    pub metadata: Vec<Metadata>,
}

/// `[tls]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// PEM file, the server's certificate first, then its chain; relative to this file. The key stays in
    /// the token: issuer knows it by this certificate.
    pub certificate: PathBuf,
    /// The oldest version spoken. `"1.2"` is a leniency, counted.
    #[serde(default)]
    pub minimum: TlsVersion,
}

/// TLS versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum TlsVersion {
    /// RFC 5246, ECDHE with AEAD only.
    #[serde(rename = "1.2")]
    V12,
    /// RFC 8446.
    #[default]
    #[serde(rename = "1.3")]
    V13,
}

/// The name of the listener there is when the file names none.
pub const HTTPS: &str = "https";

/// `[[listener]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// `FileDescriptorName=` of its socket.
    pub name: String,
    /// Are clients asked for a certificate when they connect?
    #[serde(default)]
    pub client_certificates: ClientCertificates,
    /// What clients call this server there, where that is not the file's `public_url`.
    pub public_url: Option<String>,
}

/// Whether clients are asked for a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientCertificates {
    /// They are not.
    #[default]
    None,
    /// They are, and need not have one.
    Asked,
}

impl Worker {
    /// Every listener: those of the file, and `https` where they are none of that name.
    pub fn listeners(&self) -> impl Iterator<Item = Listener> {
        let usual =
            Listener { name: HTTPS.to_owned(), client_certificates: ClientCertificates::None, public_url: None };
        let named = self.listeners.iter().any(|listener| listener.name == HTTPS);
        (!named).then_some(usual).into_iter().chain(self.listeners.iter().cloned())
    }

    /// The first listener that asks for certificates.
    #[must_use]
    pub fn asking(&self) -> Option<&Listener> {
        self.listeners.iter().find(|listener| listener.client_certificates == ClientCertificates::Asked)
    }
}

/// `[[endpoint]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Absolute path, exact match, at most 128 octets.
    pub path: String,
    /// Whose byte rules the answers keep.
    #[serde(default)]
    pub profile: Profile,
    /// Which WS-Trust it speaks.
    #[serde(default)]
    pub trust: Trust,
    /// What proves the client.
    pub credential: Credential,
    /// Tolerated client bugs. Unset: all for `adfs`, none for `generic`.
    #[serde(default)]
    pub leniencies: Option<Vec<Leniency>>,
    /// May a message be sealed for us? auth decides; without its word nothing is opened.
    #[serde(default)]
    pub encryption: bool,
    /// Does an answer under a MAC, or one that is signed, repeat the MAC or the signature of its request (R-W044)?
    #[serde(default)]
    pub signature_confirmation: bool,
    /// How are requests answered that a certificate's key signed? auth decides; without its word nothing is signed.
    #[serde(default)]
    pub replies: Replies,
}

/// What protects answers to requests that a certificate's key signed, besides TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Replies {
    /// Nothing.
    #[default]
    Plain,
    /// The signature of our key for answers.
    Signed,
    /// That, and its body is sealed for the certificate that signed the request.
    Sealed,
}

impl Replies {
    /// The name in configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Signed => "signed",
            Self::Sealed => "sealed",
        }
    }
}

impl Endpoint {
    /// Is this client bug tolerated here?
    #[must_use]
    pub fn tolerates(&self, leniency: Leniency) -> bool {
        match &self.leniencies {
            Some(chosen) => chosen.contains(&leniency),
            None => self.profile == Profile::Adfs,
        }
    }
}

/// Wire profiles: clients parse by prefix and position, not by XML rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// As AD FS writes it.
    Adfs,
    /// As the standards write it.
    #[default]
    Generic,
}

/// Versions of WS-Trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum Trust {
    /// 1.3 and 1.4 (namespace 200512).
    #[serde(rename = "1.3")]
    V13,
    /// February 2005.
    #[serde(rename = "2005")]
    V2005,
    /// Whichever the request is in.
    #[default]
    #[serde(rename = "any")]
    Any,
}

/// Kinds of credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Credential {
    /// `wsse:UsernameToken` with a password, as text or digest: which of them is auth's to say.
    Username,
    /// A `ds:Signature` by the key of an X.509 certificate.
    Signature,
    /// A SAML assertion.
    Saml,
    /// A JWT.
    Jwt,
    /// Any of them, whichever a request brings.
    Any,
    /// The certificate the client showed when it connected.
    TlsCertificate,
    /// `wsse:UsernameToken` with a text password, covered by a MAC with the message's session key.
    UsernameSymmetric,
    /// A ticket of Kerberos, by HTTP Negotiate.
    Kerberos,
    /// A ticket of Kerberos in the header of the message.
    KerberosToken,
}

impl Credential {
    /// May a user name and a password or its digest come here?
    #[must_use]
    pub fn takes_username(self) -> bool {
        matches!(self, Self::Username | Self::Any)
    }

    /// May a signature?
    #[must_use]
    pub fn takes_signature(self) -> bool {
        matches!(self, Self::Signature | Self::Any)
    }

    /// May an assertion?
    #[must_use]
    pub fn takes_assertion(self) -> bool {
        matches!(self, Self::Saml | Self::Any)
    }

    /// May a ticket in the header of the message?
    #[must_use]
    pub fn takes_ticket(self) -> bool {
        matches!(self, Self::KerberosToken | Self::Any)
    }

    /// May a JWT?
    #[must_use]
    pub fn takes_jwt(self) -> bool {
        matches!(self, Self::Jwt | Self::Any)
    }
}

/// Client bugs that may be tolerated, each with a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Leniency {
    /// `wsa:messageID` for `wsa:MessageID`.
    MessageIdCase,
    /// No `wsu:Timestamp` beside a password.
    TimestampAbsent,
    /// `Id` without its namespace on `wsu:Timestamp`.
    TimestampIdUnqualified,
    /// A SOAP body under another media type, or none.
    MediaType,
    /// No WS-Addressing headers.
    AddressingAbsent,
    /// Header blocks nobody knows, such as `ps:AuthInfo`.
    UnknownHeader,
    /// Request elements nobody knows, such as `wsp:PolicyReference`.
    UnknownRequestElement,
    /// `wst:Delegatable` true, taken for false (govmomi and pyvmomi always send it).
    DelegatableIgnored,
}

impl Leniency {
    /// Every one.
    pub const ALL: [Self; 8] = [
        Self::MessageIdCase,
        Self::TimestampAbsent,
        Self::TimestampIdUnqualified,
        Self::MediaType,
        Self::AddressingAbsent,
        Self::UnknownHeader,
        Self::UnknownRequestElement,
        Self::DelegatableIgnored,
    ];

    /// The name in configuration and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MessageIdCase => "message-id-case",
            Self::TimestampAbsent => "timestamp-absent",
            Self::TimestampIdUnqualified => "timestamp-id-unqualified",
            Self::MediaType => "media-type",
            Self::AddressingAbsent => "addressing-absent",
            Self::UnknownHeader => "unknown-header",
            Self::UnknownRequestElement => "unknown-request-element",
            Self::DelegatableIgnored => "delegatable-ignored",
        }
    }
}

/// `[[metadata]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// Absolute path, exact match.
    pub path: String,
    /// Which document.
    pub kind: MetadataKind,
}

/// Documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetadataKind {
    /// The WSDL that AD FS clients fetch from `…/trust/mex`: endpoints of that profile.
    Mex,
    /// The WSDL of the endpoints of the generic profile, for clients of the standards.
    Wsdl,
}

/// `[limits]`: what a stranger may take up. Every figure is a ceiling, and has a default.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections at once. Less when the process may not open as many descriptors.
    pub connections: u32,
    /// Connections at once from one address (IPv6: one /64).
    pub connections_per_source: u32,
    /// Requests being worked on at once; more are told to come back.
    pub requests: u32,
    /// Of these, from one address (IPv6: one /64), so that a few slow senders keep nobody out. Where a
    /// proxy or load balancer stands in front, as many as `requests`.
    pub requests_per_source: u32,
    /// Streams at once in one HTTP/2 connection.
    pub streams_per_connection: u32,
    /// Handshakes waiting for their signature at once; more wait.
    pub handshakes: u32,
    /// From connection to the end of the TLS handshake, seconds.
    pub handshake_timeout_s: u16,
    /// One handshake signature, milliseconds.
    pub handshake_signature_timeout_ms: u32,
    /// A request body, KiB.
    pub body_kib: u32,
    /// A request head, KiB.
    pub head_kib: u32,
    /// Header fields in a request.
    pub headers: u16,
    /// From the first octet of a request head to its last, seconds.
    pub head_timeout_s: u16,
    /// From the head of a request to the last octet of its body, seconds.
    pub body_timeout_s: u16,
    /// After two seconds a body must have come at this many octets a second.
    pub body_octets_per_s: u32,
    /// A connection without a request is closed after this, seconds.
    pub idle_timeout_s: u16,
    /// From a request's arrival to its answer, seconds.
    pub request_timeout_s: u16,
    /// How long a request in flight has to finish when the worker is told to stop, seconds.
    pub drain_s: u16,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 8192,
            connections_per_source: 1024,
            requests: 512,
            requests_per_source: 256,
            streams_per_connection: 32,
            handshakes: 32,
            handshake_timeout_s: 10,
            handshake_signature_timeout_ms: 5000,
            body_kib: 256,
            head_kib: 16,
            headers: 64,
            head_timeout_s: 10,
            body_timeout_s: 20,
            body_octets_per_s: 512,
            idle_timeout_s: 60,
            request_timeout_s: 20,
            drain_s: 20,
        }
    }
}

/// Reads and checks `worker.toml` in `directory`, and the certificates it names; paths in the value are
/// absolute or relative to the working directory afterwards.
///
/// # Errors
/// [`ConfigError`] naming the line.
pub fn load(directory: &Path) -> Result<(Worker, Chain), ConfigError> {
    let loaded = read(directory)?;
    let certificate = &loaded.value.tls.certificate;
    let chain = Chain::read(certificate).map_err(|why| {
        let why = format!("tls.certificate {}: {why}", certificate.display());
        loaded.error_at(&["tls", "certificate"], why)
    })?;
    Ok((loaded.value, chain))
}

fn read(directory: &Path) -> Result<Loaded<Worker>, ConfigError> {
    let mut loaded: Loaded<Worker> = load::file(&directory.join("worker.toml"))?;
    check(&loaded)?;
    loaded.value.tls.certificate = directory.join(&loaded.value.tls.certificate);
    Ok(loaded)
}

fn check(loaded: &Loaded<Worker>) -> Result<(), ConfigError> {
    let worker = &loaded.value;
    if !is_public_url(&worker.public_url) {
        return Err(loaded.error_at(&["public_url"], "public_url must be https://host[:port] with no path"));
    }
    listeners(loaded)?;
    if worker.endpoints.is_empty() {
        return Err(loaded.error_at(&["endpoint"], "no [[endpoint]]: there is nothing to serve"));
    }
    let endpoints = worker.endpoints.iter().map(|endpoint| ("endpoint", endpoint.path.as_str())).enumerate();
    let metadata = worker.metadata.iter().map(|metadata| ("metadata", metadata.path.as_str())).enumerate();
    let mut paths = BTreeSet::new();
    for (index, (list, path)) in endpoints.chain(metadata) {
        let wrong = |why: String| Err(loaded.error_at(&[list, &index.to_string(), "path"], why));
        let plain = path.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"/-._~".contains(&octet));
        if !path.starts_with('/') || path.len() > 128 || !plain {
            return wrong(format!("path {path:?}: must begin with / and hold A-Z a-z 0-9 / - . _ ~ only"));
        }
        if !paths.insert(path) {
            return wrong(format!("path {path:?} is given to two of [[endpoint]] and [[metadata]]"));
        }
    }
    let by_certificate = |endpoint: &Endpoint| endpoint.credential == Credential::TlsCertificate;
    if let Some(index) = worker.endpoints.iter().position(by_certificate)
        && worker.asking().is_none()
    {
        let why = "no [[listener]] has client_certificates = \"asked\": nobody could prove himself here";
        return Err(loaded.error_at(&["endpoint", &index.to_string(), "credential"], why));
    }
    let covered = |endpoint: &Endpoint| {
        endpoint.credential == Credential::UsernameSymmetric || endpoint.replies != Replies::Plain
    };
    let confirms = |endpoint: &Endpoint| endpoint.signature_confirmation && !covered(endpoint);
    if let Some(index) = worker.endpoints.iter().position(confirms) {
        let why = "answers are covered where credential = \"username-symmetric\" or replies = \"signed\", and confirm \
                   nothing elsewhere";
        return Err(loaded.error_at(&["endpoint", &index.to_string(), "signature_confirmation"], why));
    }
    let by_mac = |endpoint: &&Endpoint| endpoint.credential == Credential::UsernameSymmetric;
    for (index, endpoint) in worker.endpoints.iter().enumerate().filter(|(_, endpoint)| by_mac(endpoint)) {
        let wrong = |why: &str| loaded.error_at(&["endpoint", &index.to_string(), "credential"], why);
        if !endpoint.encryption {
            return Err(wrong("a MAC needs the key that a message is sealed with: encryption = true"));
        }
        if endpoint.profile != Profile::Generic {
            return Err(wrong("such messages are answered as the standards say: profile = \"generic\""));
        }
        if [Leniency::TimestampAbsent, Leniency::TimestampIdUnqualified].iter().any(|one| endpoint.tolerates(*one)) {
            let why = "a timestamp is under the MAC, by its wsu:Id: no leniency about it can be had here";
            return Err(loaded.error_at(&["endpoint", &index.to_string(), "leniencies"], why));
        }
    }
    let signed = |endpoint: &&Endpoint| endpoint.replies != Replies::Plain;
    for (index, endpoint) in worker.endpoints.iter().enumerate().filter(|(_, endpoint)| signed(endpoint)) {
        let wrong = |why: &str| Err(loaded.error_at(&["endpoint", &index.to_string(), "replies"], why));
        if !endpoint.credential.takes_signature() {
            return wrong("answers are signed to requests that are, and credential takes no signature here");
        }
        if endpoint.profile != Profile::Generic {
            return wrong("such requests are answered as the standards say: profile = \"generic\"");
        }
    }
    limits(loaded)
}

fn is_public_url(url: &str) -> bool {
    let authority = url.strip_prefix("https://").unwrap_or("");
    !authority.is_empty() && !authority.contains(['/', '?', '#', '@', ' '])
}

fn listeners(loaded: &Loaded<Worker>) -> Result<(), ConfigError> {
    let mut names = BTreeSet::new();
    for (index, listener) in loaded.value.listeners.iter().enumerate() {
        let wrong = |key: &str, why: &str| loaded.error_at(&["listener", &index.to_string(), key], why);
        let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet);
        if listener.name.is_empty() || listener.name.len() > 64 || !listener.name.bytes().all(plain) {
            return Err(wrong("name", "the name of a listener is 1 to 64 ASCII letters, digits, '-', '_' or '.'"));
        }
        if !names.insert(&listener.name) {
            return Err(wrong("name", "this listener stands here twice"));
        }
        if listener.public_url.as_deref().is_some_and(|url| !is_public_url(url)) {
            return Err(wrong("public_url", "public_url must be https://host[:port] with no path"));
        }
    }
    Ok(())
}

fn limits(loaded: &Loaded<Worker>) -> Result<(), ConfigError> {
    let limits = &loaded.value.limits;
    for (name, value, least, most) in [
        ("connections", limits.connections, 1, 1_000_000),
        ("connections_per_source", limits.connections_per_source, 1, 1_000_000),
        ("requests", limits.requests, 1, 65_536),
        ("requests_per_source", limits.requests_per_source, 1, 65_536),
        ("streams_per_connection", limits.streams_per_connection, 1, 1024),
        ("handshakes", limits.handshakes, 1, 256),
        ("handshake_timeout_s", limits.handshake_timeout_s.into(), 1, 600),
        ("handshake_signature_timeout_ms", limits.handshake_signature_timeout_ms, 10, 60_000),
        ("body_kib", limits.body_kib, 1, 960),
        ("head_kib", limits.head_kib, 8, 1024),
        ("headers", limits.headers.into(), 8, 1024),
        ("head_timeout_s", limits.head_timeout_s.into(), 1, 600),
        ("body_timeout_s", limits.body_timeout_s.into(), 1, 600),
        ("body_octets_per_s", limits.body_octets_per_s, 0, 1_000_000),
        ("idle_timeout_s", limits.idle_timeout_s.into(), 1, 3600),
        ("request_timeout_s", limits.request_timeout_s.into(), 1, 600),
        ("drain_s", limits.drain_s.into(), 0, 600),
    ] {
        if !(least..=most).contains(&value) {
            let why = format!("limits.{name} must be from {least} to {most}");
            return Err(loaded.error_at(&["limits", name], why));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
