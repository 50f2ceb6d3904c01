//! The header of a signed JWT. Its members are a closed list: how it is signed, by which of its issuer's keys, and what
//! it is. What would bring a key along (`jku`, `jwk`, `x5u`, `x5c`), what would change how it is read (`crit`, `b64`,
//! `zip`, `cty`, `enc`) and what nobody here knows is refused and not passed over (R-J021).

use super::json::{self, Value};
use super::{Unreadable, json::Object};
use crate::wire::evidence::SignatureAlgorithm;

/// A header.
#[derive(Debug, PartialEq, Eq)]
pub struct Header {
    /// `alg`. Whether a key signs so is the key's to say.
    pub algorithm: SignatureAlgorithm,
    /// `kid`: among the issuer's keys, and nothing that is looked up elsewhere.
    pub key: Option<String>,
    /// `typ`, in small letters and without `application/`.
    pub kind: Option<String>,
}

/// Reads a header.
///
/// # Errors
/// [`Unreadable`].
pub fn read(octets: &[u8]) -> Result<Header, Unreadable> {
    let members = json::object(octets).map_err(Unreadable::Shape)?;
    for name in members.keys() {
        match name.as_str() {
            // A thumbprint brings no key along, and chooses none here.
            "alg" | "kid" | "typ" | "x5t" | "x5t#S256" => {}
            "jku" | "jwk" | "x5u" | "x5c" => return Err(Unreadable::Shape("a header that brings its key along")),
            "crit" | "b64" | "zip" | "cty" | "enc" => return Err(Unreadable::Shape("a header that asks for more")),
            _ => return Err(Unreadable::Shape("a header that is not known")),
        }
    }
    let name = text(&members, "alg")?.ok_or(Unreadable::Shape("a header without alg"))?;
    let kind = text(&members, "typ")?.map(str::to_ascii_lowercase);
    Ok(Header {
        algorithm: algorithm(name).ok_or(Unreadable::Algorithm)?,
        key: text(&members, "kid")?.map(str::to_owned),
        kind: kind.map(|kind| kind.strip_prefix("application/").unwrap_or(&kind).to_owned()),
    })
}

fn text<'o>(members: &'o Object, name: &str) -> Result<Option<&'o str>, Unreadable> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::Text(text)) => Ok(Some(text)),
        Some(_) => Err(Unreadable::Shape("a header that is not text")),
    }
}

/// The signature algorithm of that name (RFC 7518 3.1, 8037 3.1, 9864 2.2): never `none`, and none with a shared secret
///
#[must_use]
pub fn algorithm(name: &str) -> Option<SignatureAlgorithm> {
    Some(match name {
        "RS256" => SignatureAlgorithm::RsaSha256,
        "RS384" => SignatureAlgorithm::RsaSha384,
        "RS512" => SignatureAlgorithm::RsaSha512,
        "PS256" => SignatureAlgorithm::PssSha256,
        "PS384" => SignatureAlgorithm::PssSha384,
        "PS512" => SignatureAlgorithm::PssSha512,
        "ES256" => SignatureAlgorithm::EcdsaSha256,
        "ES384" => SignatureAlgorithm::EcdsaSha384,
        "ES512" => SignatureAlgorithm::EcdsaSha512,
        "EdDSA" | "Ed25519" => SignatureAlgorithm::Ed25519,
        _ => return None,
    })
}
