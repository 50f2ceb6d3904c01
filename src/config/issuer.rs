//! `issuer.d/`: who we are, which keys sign what, and how far each relying party's tokens may go. The checks
//! here are the ones that make a key's purpose a fact: no key and no certificate appears twice.

mod ceiling;
mod certificate;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

pub use ceiling::{Ceiling, plain};
pub use certificate::{Certificate, KeyKind};

use super::load::{self, ConfigError, ConfigErrors, Loaded};
use crate::token::Algorithm;
use crate::wire::KeyId;
use crate::wire::bounded::is_xml_char;

/// The issuer's configuration, checked.
#[derive(Debug)]
pub struct Issuer {
    /// `Issuer` of every token.
    pub name: String,
    /// How much earlier than now a token begins to hold, milliseconds (R-S002).
    pub skew_ms: i64,
    /// How long a voucher waits to be redeemed.
    pub voucher: Duration,
    /// How long an intent waits to be durable, a restart of audit included.
    pub record_deadline: Duration,
    /// How long a digest waits for its signature, a failover included.
    pub signature_deadline: Duration,
    /// Handshake signatures one worker may ask for in a second, on average.
    pub handshakes_per_second: u32,
    /// Session keys that messages of one worker may have opened in a second, on average.
    pub unwraps_per_second: u32,
    /// The keys, in order.
    pub keys: Vec<Key>,
    /// Ceilings by the name of the relying party's file.
    pub ceilings: BTreeMap<String, Ceiling>,
}

/// What a key is for; it is for nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// Signs tokens.
    Assertion,
    /// Signs replies.
    Message,
    /// Completes TLS handshakes.
    Handshake,
    /// Signs metadata.
    Metadata,
    /// Opens auth's sealed secret.
    State,
    /// Opens the session keys of messages.
    Unwrap,
}

impl Purpose {
    /// The name in configuration and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Assertion => "assertion",
            Self::Message => "message",
            Self::Handshake => "handshake",
            Self::Metadata => "metadata",
            Self::State => "state",
            Self::Unwrap => "unwrap",
        }
    }
}

/// Where a key is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// Published, not used.
    Next,
    /// In use.
    Active,
    /// Verifies what it signed, opens what was sealed for it.
    Previous,
    /// Over.
    Retired,
}

/// One key.
#[derive(Debug, Clone)]
pub struct Key {
    /// For logs.
    pub name: String,
    /// What it is for.
    pub purpose: Purpose,
    /// `CKA_ID`.
    pub id: KeyId,
    /// Its certificate; only a `state` key may have none.
    pub certificate: Option<Certificate>,
    /// Where it is in its life.
    pub state: KeyState,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    issuer: Spanned<String>,
    #[serde(default = "sixty")]
    skew_seconds: Spanned<u32>,
    #[serde(default = "five")]
    voucher_seconds: Spanned<u32>,
    #[serde(default = "two_thousand")]
    record_deadline_ms: Spanned<u32>,
    #[serde(default = "two_thousand")]
    signature_deadline_ms: Spanned<u32>,
    #[serde(default = "five_hundred")]
    handshakes_per_second: Spanned<u32>,
    #[serde(default = "fifty")]
    unwraps_per_second: Spanned<u32>,
    #[serde(default)]
    key: Vec<Spanned<KeyTable>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyTable {
    name: Spanned<String>,
    purpose: Purpose,
    id: Spanned<String>,
    certificate: Option<Spanned<PathBuf>>,
    state: Spanned<KeyState>,
}

fn sixty() -> Spanned<u32> {
    Spanned::new(0..0, 60)
}
fn five() -> Spanned<u32> {
    Spanned::new(0..0, 5)
}
fn two_thousand() -> Spanned<u32> {
    Spanned::new(0..0, 2000)
}
fn five_hundred() -> Spanned<u32> {
    Spanned::new(0..0, 500)
}
fn fifty() -> Spanned<u32> {
    Spanned::new(0..0, 50)
}

/// Reads and checks `issuer.d` below the configuration root.
///
/// # Errors
/// [`ConfigErrors`]: the first thing that is wrong in each file, with its line.
pub fn check(root: &Path) -> Result<Issuer, ConfigErrors> {
    let directory = root.join("issuer.d");
    let mut wrong = ConfigErrors::default();
    let issuer = load::file(&directory.join("issuer.toml")).and_then(|file| own(&file));
    let issuer = wrong.keep(issuer);
    let keys = issuer.as_ref().map(|issuer| issuer.keys.as_slice());
    let mut ceilings = BTreeMap::new();
    for (party, file) in wrong.keep(load::directory(&directory.join("relying-parties"))).unwrap_or_default() {
        if let Some(ceiling) = wrong.keep(file.and_then(|file| ceiling::check(&party, &file, keys))) {
            ceilings.insert(party, ceiling);
        }
    }
    wrong.unless(issuer.map(|issuer| Issuer { ceilings, ..issuer }))
}

/// `issuer.toml`; the ceilings are in files of their own.
fn own(file: &Loaded<File>) -> Result<Issuer, ConfigError> {
    let value = &file.value;
    let name = value.issuer.get_ref();
    if name.is_empty() || name.len() > 1024 || !name.chars().all(is_xml_char) {
        return Err(file.error(value.issuer.span(), "issuer is a URI of at most 1024 octets"));
    }
    let skew = within(file, &value.skew_seconds, "skew_seconds", 0, 300)?;
    Ok(Issuer {
        name: name.clone(),
        skew_ms: i64::from(skew) * 1000,
        voucher: Duration::from_secs(within(file, &value.voucher_seconds, "voucher_seconds", 1, 60)?.into()),
        record_deadline: milliseconds(file, &value.record_deadline_ms, "record_deadline_ms")?,
        signature_deadline: milliseconds(file, &value.signature_deadline_ms, "signature_deadline_ms")?,
        handshakes_per_second: within(file, &value.handshakes_per_second, "handshakes_per_second", 1, 100_000)?,
        unwraps_per_second: within(file, &value.unwraps_per_second, "unwraps_per_second", 1, 10_000)?,
        keys: keys(file)?,
        ceilings: BTreeMap::new(),
    })
}

fn milliseconds(file: &Loaded<File>, value: &Spanned<u32>, key: &str) -> Result<Duration, ConfigError> {
    Ok(Duration::from_millis(within(file, value, key, 100, 30_000)?.into()))
}

fn within(file: &Loaded<File>, value: &Spanned<u32>, key: &str, low: u32, high: u32) -> Result<u32, ConfigError> {
    let number = *value.get_ref();
    if (low..=high).contains(&number) {
        Ok(number)
    } else {
        Err(file.error(value.span(), format!("{key} is from {low} to {high}")))
    }
}

fn keys(file: &Loaded<File>) -> Result<Vec<Key>, ConfigError> {
    let mut seen = HashMap::new();
    let mut keys: Vec<Key> = Vec::new();
    for table in &file.value.key {
        let span = table.span();
        let table = table.get_ref();
        let key = key(file, table)?;
        let mut claim = |what: &'static str, octets: Vec<u8>, span| match seen.insert((what, octets), key.name.clone())
        {
            Some(other) => {
                Err(file.error(span, format!("{what} of key {:?} is also key {other:?}'s: one purpose each", key.name)))
            }
            None => Ok(()),
        };
        claim("the name", key.name.clone().into_bytes(), table.name.span())?;
        claim("the id", key.id.to_vec(), table.id.span())?;
        if let Some(certificate) = &key.certificate {
            let span = table.certificate.as_ref().map_or(span, Spanned::span);
            claim("the certificate", certificate.sha256.to_vec(), span.clone())?;
            claim("the public key", certificate.public_key.clone(), span)?;
        }
        let twin = keys.iter().find(|other| ambiguous(other, &key));
        if let Some(other) = twin {
            let why = format!(
                "key {:?} and key {:?} are both active for the same tokens or answers; one is",
                other.name, key.name
            );
            return Err(file.error(table.state.span(), why));
        }
        if let Some((other, what)) = keys.iter().find_map(|other| Some((other, mistakable(other, &key)?))) {
            let why = format!(
                "the certificates of key {:?} and key {:?} have the same {what}: what is sealed for one would be tried with the other",
                other.name, key.name
            );
            return Err(file.error(table.certificate.as_ref().map_or(table.state.span(), Spanned::span), why));
        }
        keys.push(key);
    }
    if !keys.iter().any(|key| key.purpose == Purpose::Assertion && key.state == KeyState::Active) {
        // The key that would do if it were active, else the list.
        let idle = file.value.key.iter().find(|table| table.get_ref().purpose == Purpose::Assertion);
        let place = idle.map_or_else(|| load::place(&file.source, &["key"]), |table| table.get_ref().state.span());
        return Err(file.error(place, "no key has purpose \"assertion\" and state \"active\""));
    }
    Ok(keys)
}

/// Would a token that names no algorithm, or names one, or an answer have two keys to be signed with?
fn ambiguous(one: &Key, other: &Key) -> bool {
    let kind = |key: &Key| match (key.purpose, key.state, &key.certificate) {
        (Purpose::Assertion, KeyState::Active, Some(certificate)) => Some(certificate.kind.default_algorithm()),
        _ => None,
    };
    let answers = |key: &Key| key.purpose == Purpose::Message && key.state == KeyState::Active;
    kind(one).is_some() && kind(one) == kind(other) || answers(one) && answers(other)
}

/// By which name could a client mean either key when it says whom it has sealed for? One that is next will be in use
/// beside the other, and clients may know it already.
fn mistakable(one: &Key, other: &Key) -> Option<&'static str> {
    let named = |key: &Key| key.purpose == Purpose::Unwrap && key.state != KeyState::Retired;
    let (ours, theirs) = one.certificate.as_ref().zip(other.certificate.as_ref())?;
    if !named(one) || !named(other) {
        None
    } else if ours.serial == theirs.serial {
        Some("serial number")
    } else if ours.key_identifier.is_some() && ours.key_identifier == theirs.key_identifier {
        Some("subject key identifier")
    } else {
        None
    }
}

fn key(file: &Loaded<File>, table: &KeyTable) -> Result<Key, ConfigError> {
    let name = table.name.get_ref();
    if name.is_empty() || name.len() > 64 {
        return Err(file.error(table.name.span(), "name has 1 to 64 octets"));
    }
    let id = hexadecimal(table.id.get_ref()).and_then(|octets| KeyId::new(octets).ok()).filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| file.error(table.id.span(), "id is 1 to 32 octets in hexadecimal"))?;
    let certificate = match &table.certificate {
        Some(path) => {
            let place = file.path.parent().unwrap_or(Path::new("")).join(path.get_ref());
            let certificate = Certificate::read(&place)
                .map_err(|why| file.error(path.span(), format!("certificate {}: {why}", place.display())))?;
            if table.purpose == Purpose::Unwrap {
                opens(&certificate).map_err(|why| file.error(path.span(), format!("key {name:?}: {why}")))?;
            }
            Some(certificate)
        }
        None if table.purpose == Purpose::State => None,
        None => return Err(file.error(table.name.span(), format!("key {name:?} has no certificate"))),
    };
    Ok(Key { name: name.clone(), purpose: table.purpose, id, certificate, state: *table.state.get_ref() })
}

/// Can clients seal session keys for it, and the key open them?
fn opens(certificate: &Certificate) -> Result<(), &'static str> {
    match certificate {
        Certificate { kind: KeyKind::Rsa, enciphers: true, .. } => Ok(()),
        Certificate { kind: KeyKind::Rsa, .. } => {
            Err("the key usage of its certificate does not allow keyEncipherment")
        }
        _ => Err("a key for unwrap is RSA"),
    }
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    // from_str_radix would take a sign as well.
    if !text.len().is_multiple_of(2) || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    text.as_bytes().chunks_exact(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

impl Issuer {
    /// The key that signs a relying party's tokens, and how: the one the party's algorithm fits, else the
    /// first that is active.
    #[must_use]
    pub fn assertion_key(&self, ceiling: &Ceiling) -> Option<(&Key, Algorithm)> {
        assertion_key(&self.keys, ceiling.signature_algorithm)
    }
}

fn assertion_key(keys: &[Key], wanted: Option<Algorithm>) -> Option<(&Key, Algorithm)> {
    keys.iter().filter(|key| key.purpose == Purpose::Assertion && key.state == KeyState::Active).find_map(|key| {
        let kind = key.certificate.as_ref()?.kind;
        let algorithm = wanted.unwrap_or(kind.default_algorithm());
        kind.fits(algorithm).then_some((key, algorithm))
    })
}

#[cfg(feature = "signer")]
#[cfg(test)]
mod tests;
