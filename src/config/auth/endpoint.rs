//! `[[endpoint]]` of `auth.toml`: at which paths requests are answered, what proves a requestor there, and what
//! a request that leaves something open is taken to mean. The paths are those of `worker.d`; what they accept
//! is decided here, for the worker's word on it would be a stranger's.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use crate::config::load::{ConfigError, Loaded};
use crate::wire::order::TokenType;

/// One endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Endpoint {
    /// The kind of token meant by a request without `wst:TokenType`, where the party takes it; else the party's
    /// first is meant (R-T023).
    pub token_type: Option<TokenType>,
    /// May a password prove a requestor?
    pub password: bool,
    /// May the digest of a secret?
    pub digest: bool,
    /// May the signature of a registered certificate?
    pub signature: bool,
    /// May the certificate a client shows in the TLS handshake?
    pub tls_certificate: bool,
    /// May an assertion of a partner?
    pub saml: bool,
    /// May an assertion of a partner that an intermediary of his vouches for?
    pub sender_vouches: bool,
    /// May a JWT of an issuer?
    pub jwt: bool,
    /// May a password under a MAC by the message's session key? Then nothing else may.
    pub password_symmetric: bool,
    /// May a ticket of Kerberos, by HTTP Negotiate?
    pub kerberos: bool,
    /// May a ticket of Kerberos in the header of a message?
    pub kerberos_token: bool,
    /// Is a ticket let pass here that is bound to no server, whatever holds for others?
    pub unbound_ticket: bool,
    /// The addresses that a message may be sent to which is signed or under a MAC (`wsa:To`), and an assertion be made
    /// for (`Recipient`).
    pub addresses: Vec<String>,
    /// Is a signed message without a signed `wsa:To` let pass?
    pub to_absent: bool,
    /// Is one whose references name the enveloped-signature transform, though none of them holds the signature?
    pub enveloped_transform: bool,
    /// Is one whose body is signed let pass with WS-Addressing headers that are not?
    pub unsigned_addressing: bool,
    /// May a MAC be made with SHA-1?
    pub hmac_sha1: bool,
    /// May the key of a certificate sign a message by RSA with SHA-1?
    pub rsa_sha1: bool,
    /// May such a signature, or a MAC, cover parts that it digests by SHA-1?
    pub reference_sha1: bool,
    /// May a message be sealed for us?
    pub encryption: bool,
    /// May what is sealed be so by AES-CBC, where a verified signature covers it?
    pub aes_cbc: bool,
    /// Is the answer signed to a request that a certificate's key signed?
    pub signed_replies: bool,
    /// Is it sealed for that certificate, besides?
    pub sealed_replies: bool,
}

impl Endpoint {
    /// May a ticket of Kerberos prove a requestor, however it comes?
    #[must_use]
    pub fn takes_tickets(&self) -> bool {
        self.kerberos || self.kerberos_token
    }
}

/// Endpoints by path.
pub type Endpoints = BTreeMap<String, Endpoint>;

/// `[[endpoint]]` as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EndpointFile {
    path: Spanned<String>,
    #[serde(default = "password")]
    credentials: Spanned<Vec<CredentialName>>,
    token_type: Option<Spanned<String>>,
    #[serde(default)]
    addresses: Vec<Spanned<String>>,
    #[serde(default)]
    leniencies: Vec<Spanned<LeniencyName>>,
    encryption: Option<Spanned<bool>>,
    replies: Option<Spanned<RepliesName>>,
}

impl EndpointFile {
    fn tolerates(&self, leniency: LeniencyName) -> bool {
        self.leniencies.iter().any(|named| *named.get_ref() == leniency)
    }

    /// Where it lets SHA-1 pass in what the key of a certificate signs, or in what a MAC covers.
    pub(super) fn sha1(&self) -> impl Iterator<Item = &Spanned<LeniencyName>> {
        let sha1 = |name: LeniencyName| matches!(name, LeniencyName::RsaSha1 | LeniencyName::ReferenceSha1);
        self.leniencies.iter().filter(move |named| sha1(*named.get_ref()))
    }
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum RepliesName {
    Plain,
    Signed,
    Sealed,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum CredentialName {
    Password,
    Digest,
    Signature,
    TlsCertificate,
    Saml,
    SenderVouches,
    Jwt,
    PasswordSymmetric,
    Kerberos,
    KerberosToken,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum LeniencyName {
    ToAbsent,
    EnvelopedTransform,
    UnsignedAddressing,
    HmacSha1,
    RsaSha1,
    ReferenceSha1,
    UnboundTicket,
    AesCbc,
}

fn password() -> Spanned<Vec<CredentialName>> {
    Spanned::new(0..0, vec![CredentialName::Password])
}

/// The paths of AD FS and one of our own: what there is when the file names none.
fn usual() -> Endpoints {
    let password = Endpoint { password: true, ..Endpoint::default() };
    // A client of AD FS that asks for no kind means the one AD FS has always issued.
    let adfs = Endpoint { token_type: Some(TokenType::Saml11), ..password.clone() };
    [
        ("/adfs/services/trust/13/usernamemixed", adfs.clone()),
        ("/adfs/services/trust/2005/usernamemixed", adfs),
        ("/sts", password),
    ]
    .map(|(path, endpoint)| (path.to_owned(), endpoint))
    .into()
}

/// What else stands in the file that credentials need.
#[derive(Debug, Clone, Copy)]
pub(super) struct Has {
    pub(super) store: bool,
    pub(super) partners: bool,
    pub(super) macs: bool,
    pub(super) intermediaries: bool,
    pub(super) issuers: bool,
    pub(super) realms: bool,
    pub(super) servers: bool,
}

/// Checks the endpoints of a file.
pub(super) fn checked<T>(
    file: &Loaded<T>,
    written: Option<&[EndpointFile]>,
    has: Has,
) -> Result<Endpoints, ConfigError> {
    let Some(written) = written else { return Ok(usual()) };
    let mut endpoints = Endpoints::new();
    for endpoint in written {
        let path = endpoint.path.get_ref();
        if !path.starts_with('/') || path.len() > 128 || !path.bytes().all(|c| c.is_ascii_graphic()) {
            let why = "an endpoint's path is at most 128 printable ASCII characters, beginning with /";
            return Err(file.error(endpoint.path.span(), why));
        }
        if endpoints.insert(path.clone(), one(file, endpoint, has)?).is_some() {
            return Err(file.error(endpoint.path.span(), "this endpoint stands here twice"));
        }
    }
    Ok(endpoints)
}

fn one<T>(file: &Loaded<T>, written: &EndpointFile, has: Has) -> Result<Endpoint, ConfigError> {
    let credentials = written.credentials.get_ref();
    if credentials.is_empty() {
        return Err(file.error(written.credentials.span(), "credentials: nothing would prove anybody here"));
    }
    let signature = credentials.contains(&CredentialName::Signature);
    if signature && written.addresses.is_empty() {
        let why = "credentials names \"signature\", so addresses must say what wsa:To of a signed message may be";
        return Err(file.error(written.credentials.span(), why));
    }
    let digest = credentials.contains(&CredentialName::Digest);
    let saml = credentials.contains(&CredentialName::Saml);
    if saml && !has.partners {
        let why = "credentials names \"saml\", and without a [[saml_partner]] nobody's assertions would be taken";
        return Err(file.error(written.credentials.span(), why));
    }
    let sender_vouches = credentials.contains(&CredentialName::SenderVouches);
    if sender_vouches && !has.intermediaries {
        let why = "credentials names \"sender-vouches\", and without a [[saml_partner.intermediary]] nobody may vouch";
        return Err(file.error(written.credentials.span(), why));
    }
    if sender_vouches && written.addresses.is_empty() {
        let why = "credentials names \"sender-vouches\", so addresses must say what wsa:To of a signed message may be";
        return Err(file.error(written.credentials.span(), why));
    }
    let jwt = credentials.contains(&CredentialName::Jwt);
    if jwt && !has.issuers {
        let why = "credentials names \"jwt\", and without a [[jwt_issuer]] nobody's JWTs would be taken";
        return Err(file.error(written.credentials.span(), why));
    }
    let symmetric = credentials.contains(&CredentialName::PasswordSymmetric);
    let refuse = |why: &str| Err(file.error(written.credentials.span(), why));
    if symmetric && credentials.iter().any(|other| *other != CredentialName::PasswordSymmetric) {
        let why = "\"password-symmetric\" stands alone in credentials: whatever else proves somebody would prove him \
                   without a MAC";
        return refuse(why);
    }
    if symmetric && written.addresses.is_empty() {
        let why = "credentials names \"password-symmetric\", so addresses must say what wsa:To under a MAC may be";
        return refuse(why);
    }
    if symmetric && !written.encryption.as_ref().is_some_and(|on| *on.get_ref()) {
        let why = "credentials names \"password-symmetric\": a MAC needs the key that a message is sealed with, \
                   encryption = true";
        return refuse(why);
    }
    let token = credentials.contains(&CredentialName::KerberosToken);
    if token && written.addresses.is_empty() {
        let why = "credentials names \"kerberos-token\", so addresses must say what wsa:To under a MAC by the key of a ticket \
                   may be";
        return refuse(why);
    }
    let covers = [signature, saml, sender_vouches, jwt, symmetric, token].contains(&true);
    if written.tolerates(LeniencyName::UnsignedAddressing) && !covers {
        return refuse(
            "leniencies names \"unsigned-addressing\", and no credential here comes with a signature or a MAC",
        );
    }
    let held = saml && has.macs;
    if written.tolerates(LeniencyName::HmacSha1) && !symmetric && !token && !held {
        return refuse("leniencies names \"hmac-sha1\", and no credential here comes with a MAC");
    }
    let certified = signature || saml || sender_vouches || jwt;
    let of_macs =
        |named: &Spanned<LeniencyName>| *named.get_ref() == LeniencyName::ReferenceSha1 && (symmetric || token);
    if let Some(named) = written.sha1().find(|named| !certified && !of_macs(named)) {
        let why = "leniencies: no credential here comes with a signature of the message by the key of a certificate, or for \
                   \"reference-sha1\" with a MAC";
        return Err(file.error(named.span(), why));
    }
    let kerberos = credentials.contains(&CredentialName::Kerberos);
    let tickets = [(kerberos, "kerberos"), (token, "kerberos-token")];
    if written.tolerates(LeniencyName::UnboundTicket) && !kerberos && !token {
        return refuse("leniencies names \"unbound-ticket\", and no credential here is a ticket");
    }
    if let Some((_, name)) = tickets.iter().find(|(named, _)| *named && !has.realms) {
        let why =
            format!("credentials names {name:?}, and without a [[kerberos_realm]] nobody's tickets would be taken");
        return refuse(&why);
    }
    for (named, name, used) in [
        (signature, "signature", "messages"),
        (digest, "digest", "nonces"),
        (saml, "saml", "assertions"),
        (sender_vouches, "sender-vouches", "messages"),
        (jwt, "jwt", "JWTs"),
        (symmetric, "password-symmetric", "messages"),
        (kerberos, "kerberos", "tickets"),
        (token, "kerberos-token", "tickets"),
    ] {
        if named && !has.store {
            let why = format!(
                "credentials names {name:?}, and without [store] nothing would remember which {used} were used"
            );
            return Err(file.error(written.credentials.span(), why));
        }
    }
    let tls_certificate = credentials.contains(&CredentialName::TlsCertificate);
    if let Some((_, name)) = tickets.iter().find(|(named, _)| *named && !has.servers) {
        let why = format!(
            "credentials names {name:?}, so server_certificates must say which servers clients bind their tickets to"
        );
        return refuse(&why);
    }
    if tls_certificate && !has.servers {
        let why = "credentials names \"tls-certificate\", so server_certificates must say which servers clients prove \
                   themselves to";
        return Err(file.error(written.credentials.span(), why));
    }
    let encryption = written.encryption.as_ref().filter(|on| *on.get_ref());
    if let Some(on) = encryption.filter(|_| !has.store) {
        let why = "encryption, and without [store] nothing would remember which session keys were used";
        return Err(file.error(on.span(), why));
    }
    if written.tolerates(LeniencyName::AesCbc) && !(signature && encryption.is_some()) {
        let why = "leniencies names \"aes-cbc\", which opens nothing but what a certificate's key has signed as it is sealed: \
                   \"signature\" in credentials, and encryption = true";
        return refuse(why);
    }
    for address in &written.addresses {
        let text = address.get_ref();
        if text.len() > 1024 || !text.contains(':') || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            let why = "addresses: an address is an absolute URI of at most 1024 octets";
            return Err(file.error(address.span(), why));
        }
    }
    let signs = written.replies.as_ref().filter(|replies| *replies.get_ref() != RepliesName::Plain);
    let seals = signs.is_some_and(|replies| *replies.get_ref() == RepliesName::Sealed);
    if let Some(replies) = signs.filter(|_| !signature) {
        let why = "replies: answers are signed to requests that are, and credentials does not name \"signature\"";
        return Err(file.error(replies.span(), why));
    }
    let token_type = match &written.token_type {
        None => None,
        Some(name) => Some(TokenType::from_name(name.get_ref()).ok_or_else(|| {
            file.error(name.span(), format!("token_type: no kind of token is called {:?}", name.get_ref()))
        })?),
    };
    Ok(Endpoint {
        token_type,
        password: credentials.contains(&CredentialName::Password),
        digest,
        signature,
        tls_certificate,
        saml,
        sender_vouches,
        jwt,
        password_symmetric: symmetric,
        kerberos,
        kerberos_token: token,
        unbound_ticket: written.tolerates(LeniencyName::UnboundTicket),
        addresses: written.addresses.iter().map(|address| address.get_ref().clone()).collect(),
        to_absent: written.tolerates(LeniencyName::ToAbsent),
        enveloped_transform: written.tolerates(LeniencyName::EnvelopedTransform),
        unsigned_addressing: written.tolerates(LeniencyName::UnsignedAddressing),
        hmac_sha1: written.tolerates(LeniencyName::HmacSha1),
        rsa_sha1: written.tolerates(LeniencyName::RsaSha1),
        reference_sha1: written.tolerates(LeniencyName::ReferenceSha1),
        encryption: encryption.is_some(),
        aes_cbc: written.tolerates(LeniencyName::AesCbc),
        signed_replies: signs.is_some(),
        sealed_replies: seals,
    })
}
