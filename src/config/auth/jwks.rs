//! Public keys as JWKs (RFC 7517, 7518), and what one is called by its content (RFC 7638). A set is one of the
//! operator's files or fetched from its issuer's place: a private or shared key in it is refused, and so is a key that
//! is weak or of a kind that nobody here verifies with. What a key signs by is its own matter, and never that of what
//! it has signed.

use aws_lc_rs::digest::{SHA256, digest};
use base64ct::{Base64UrlUnpadded, Encoding};

use super::certificate::VerifyingKey;
use super::public_key;
use crate::jose::compact::base64url;
use crate::jose::header::algorithm;
use crate::jose::json::{self, Object, Value};
use crate::wire::evidence::SignatureAlgorithm as By;
use crate::wire::key::Curve;

/// Keys of one issuer, at most: a stranger may have each of them tried.
const MOST: usize = 8;
/// The same of those that an issuer publishes, who has some for others as well.
const MOST_PUBLISHED: usize = 16;
/// Members of a private key, or of one that is shared.
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// The smallest exponent of an RSA key (RFC 8017 3.1): what an issuer signs with is its own matter.
const LEAST_EXPONENT: u32 = 3;

/// A key of an issuer.
#[derive(Debug, Clone)]
pub struct Key {
    /// `kid`.
    pub id: Option<String>,
    /// The key.
    pub key: VerifyingKey,
    /// How it signs: by its `alg`, or else by any that is for such a key.
    pub algorithms: Vec<By>,
}

/// The keys of a set that verify signatures. Those for encryption are passed over.
///
/// # Errors
/// A clause for the operator.
pub fn read(octets: &[u8]) -> Result<Vec<Key>, String> {
    let set = json::object(octets)?;
    let Some(Value::List(all)) = set.get("keys") else { return Err("no list of keys".to_owned()) };
    let mut keys: Vec<Key> = Vec::new();
    for (number, one) in all.iter().enumerate() {
        let refused = |why: &str| format!("key {}: {why}", number + 1);
        let Value::Object(members) = one else { return Err(refused("no object")) };
        let Some(key) = key(members).map_err(|why| refused(&why))? else { continue };
        if keys.iter().any(|other| other.key == key.key) {
            return Err(refused("it stands there twice"));
        }
        if key.id.is_some() && keys.iter().any(|other| other.id == key.id) {
            return Err(refused("another one has its kid"));
        }
        if keys.len() == MOST {
            return Err(format!("more than {MOST} keys that verify signatures"));
        }
        keys.push(key);
    }
    if keys.is_empty() { Err("no key that verifies signatures".to_owned()) } else { Ok(keys) }
}

/// The keys of a set that somebody else publishes, and how many it has: those that verify signatures by one of these
/// algorithms, and are understood (RFC 7517, 5). A private or shared key refuses it all the same.
///
/// # Errors
/// A clause for the operator.
pub fn published(octets: &[u8], taken: Option<&[By]>) -> Result<(Vec<Key>, usize), String> {
    let set = json::object(octets)?;
    let Some(Value::List(all)) = set.get("keys") else { return Err("no list of keys".to_owned()) };
    let mut keys: Vec<Key> = Vec::new();
    for one in all {
        let Value::Object(members) = one else { continue };
        if let Some(name) = PRIVATE.iter().find(|name| members.contains_key(**name)) {
            return Err(format!("{name:?} belongs to a private or shared key, which must not be there"));
        }
        let Ok(Some(mut key)) = key(members) else { continue };
        key.algorithms.retain(|one| taken.is_none_or(|taken| taken.contains(one)));
        if let Some(other) = keys.iter_mut().find(|other| other.key == key.key && other.id == key.id) {
            // It stands there once for each way in which it signs.
            key.algorithms.retain(|one| !other.algorithms.contains(one));
            other.algorithms.append(&mut key.algorithms);
        } else if !key.algorithms.is_empty() && keys.len() < MOST_PUBLISHED {
            keys.push(key);
        }
    }
    Ok((keys, all.len()))
}

/// A key, unless it is for something else than signatures.
fn key(members: &Object) -> Result<Option<Key>, String> {
    let key = public(members);
    // A private key is told of whatever it is for.
    if text(members, "use")?.is_some_and(|purpose| purpose != "sig") {
        return if members.keys().any(|name| PRIVATE.contains(&name.as_str())) { key.map(|_| None) } else { Ok(None) };
    }
    let key = key?;
    match members.get("key_ops") {
        None => {}
        Some(Value::List(uses)) if uses.contains(&Value::Text("verify".to_owned())) => {}
        Some(_) => return Err("key_ops without verify".to_owned()),
    }
    let algorithms = match text(members, "alg")? {
        None => signing(&key).to_vec(),
        Some(name) => {
            let one = algorithm(name).filter(|one| signing(&key).contains(one));
            vec![one.ok_or_else(|| format!("alg {name:?} is not for such a key"))?]
        }
    };
    let id = text(members, "kid")?.map(str::to_owned);
    Ok(Some(Key { id, key, algorithms }))
}

/// The algorithms by which such a key signs.
fn signing(key: &VerifyingKey) -> &'static [By] {
    match key {
        VerifyingKey::Rsa(_) => {
            &[By::RsaSha256, By::RsaSha384, By::RsaSha512, By::PssSha256, By::PssSha384, By::PssSha512]
        }
        VerifyingKey::P256(_) => &[By::EcdsaSha256],
        VerifyingKey::P384(_) => &[By::EcdsaSha384],
        VerifyingKey::P521(_) => &[By::EcdsaSha512],
        VerifyingKey::Ed25519(_) => &[By::Ed25519],
    }
}

/// A public key and nothing more than one (R-J024).
///
/// # Errors
/// A clause for the operator.
pub fn public(members: &Object) -> Result<VerifyingKey, String> {
    if let Some(name) = PRIVATE.iter().find(|name| members.contains_key(**name)) {
        return Err(format!("{name:?} belongs to a private or shared key, which must not be here"));
    }
    let kind = text(members, "kty")?.ok_or("no kty")?;
    let octets = |name: &str| {
        let text = text(members, name)?.ok_or_else(|| format!("no {name}"))?;
        base64url(text).ok_or_else(|| format!("{name} is not base64url"))
    };
    let curve = || text(members, "crv")?.ok_or_else(|| "no crv".to_owned());
    match kind {
        "RSA" => public_key::rsa(&octets("n")?, &octets("e")?, LEAST_EXPONENT),
        "EC" => {
            let curve = match curve()? {
                "P-256" => Curve::P256,
                "P-384" => Curve::P384,
                "P-521" => Curve::P521,
                other => return Err(format!("crv {other:?} is none of P-256, P-384 and P-521")),
            };
            let (x, y) = (octets("x")?, octets("y")?);
            if x.len() != curve.coordinate() || y.len() != curve.coordinate() {
                return Err("a coordinate that is not as long as its curve has it".to_owned());
            }
            public_key::point(curve, [&[4], &x[..], &y[..]].concat())
        }
        "OKP" => match curve()? {
            "Ed25519" => match octets("x")? {
                x if x.len() == 32 => public_key::usable(VerifyingKey::Ed25519(x)),
                _ => Err("an x that has not 32 octets".to_owned()),
            },
            other => Err(format!("crv {other:?} is not Ed25519")),
        },
        other => Err(format!("kty {other:?} is none of RSA, EC and OKP")),
    }
}

fn text<'o>(members: &'o Object, name: &str) -> Result<Option<&'o str>, String> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::Text(text)) => Ok(Some(text)),
        Some(_) => Err(format!("{name} is not text")),
    }
}

/// What a key is called by its content (RFC 7638), SHA-256; none where its octets are not as they should be.
#[must_use]
pub fn thumbprint(key: &VerifyingKey) -> Option<[u8; 32]> {
    let encode = |octets: &[u8]| Base64UrlUnpadded::encode_string(octets);
    let point = |name: &str, octets: &[u8]| {
        let (x, y) = octets.get(1..)?.split_at_checked(octets.len() / 2)?;
        Some(format!("{{\"crv\":\"{name}\",\"kty\":\"EC\",\"x\":\"{}\",\"y\":\"{}\"}}", encode(x), encode(y)))
    };
    let members = match key {
        VerifyingKey::Rsa(octets) => {
            let (modulus, exponent) = numbers(octets)?;
            format!("{{\"e\":\"{}\",\"kty\":\"RSA\",\"n\":\"{}\"}}", encode(exponent), encode(modulus))
        }
        VerifyingKey::P256(octets) => point("P-256", octets)?,
        VerifyingKey::P384(octets) => point("P-384", octets)?,
        VerifyingKey::P521(octets) => point("P-521", octets)?,
        VerifyingKey::Ed25519(octets) => {
            format!("{{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"{}\"}}", encode(octets))
        }
    };
    digest(&SHA256, members.as_bytes()).as_ref().try_into().ok()
}

/// Modulus and exponent of an `RSAPublicKey`, without zeros before them.
fn numbers(key: &[u8]) -> Option<(&[u8], &[u8])> {
    use x509_parser::der_parser::asn1_rs::{Any, FromDer};
    let (_, sequence) = Any::from_der(key).ok()?;
    let (rest, modulus) = Any::from_der(sequence.data).ok()?;
    let (_, exponent) = Any::from_der(rest).ok()?;
    let bare = |octets: &'_ [u8]| octets.iter().position(|octet| *octet != 0);
    Some((modulus.data.get(bare(modulus.data)?..)?, exponent.data.get(bare(exponent.data)?..)?))
}

#[cfg(test)]
pub(crate) mod tests;
