//! The parts of a message that a signature covers, told apart by expanded name, and the algorithms that are
//! taken from clients. An element of another name may be signed, too; nothing is read in it.

use super::identifiers::Trust;
use super::{Kind, Wrong, request};
use crate::wire::Octets;
use crate::wire::evidence::{AddressingHeader, MacAlgorithm, SignatureAlgorithm, Wish};
use crate::wire::key::{Curve, PublicKey};
use crate::wire::unwrap::{KeyTransport, PartCipher};
use crate::xml::encryption::{Cipher, Oaep};
use crate::xml::key_value::{self, KeyValue, NamedCurve};
use crate::xml::signature::{Family, Hash, SignatureMethod};
use crate::xml::{Element, names};

/// What a signed element is to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// `wsu:Timestamp`.
    Timestamp,
    /// The body of the envelope.
    Body,
    /// A header of WS-Addressing.
    Addressing(AddressingHeader),
    /// `wsse:UsernameToken`.
    Username,
    /// A SAML assertion.
    Assertion,
    /// `wsse:BinarySecurityToken`.
    Token,
    /// Something that is not read.
    Other,
}

impl Part {
    /// By expanded name.
    #[must_use]
    pub fn of(element: Element<'_>) -> Self {
        match (element.uri(), element.local()) {
            (names::WSU, "Timestamp") => Self::Timestamp,
            (names::SOAP11 | names::SOAP12, "Body") => Self::Body,
            (names::WSA | names::WSA04, local) => AddressingHeader::named(local).map_or(Self::Other, Self::Addressing),
            (names::WSSE, "UsernameToken") => Self::Username,
            (names::SAML11 | names::SAML20, "Assertion") => Self::Assertion,
            (names::WSSE, "BinarySecurityToken") => Self::Token,
            _ => Self::Other,
        }
    }
}

/// Reads the wish in a signed body, with every oddity let pass: whoever read the message first has judged those,
/// and none of them changes what is asked for.
///
/// # Errors
/// [`Wrong`] when the body does not hold one request for a token.
pub fn wish(body: Element<'_>) -> Result<Wish, Wrong> {
    let mut content = body.children();
    let (Some(request), None) = (content.next(), content.next()) else {
        return Err(Wrong::new(Kind::Invalid, "soap: not one element in the body"));
    };
    let trust: Trust = request::version(request)?;
    Ok(request::read(request, trust, &mut |_| true)?.wish)
}

/// The algorithm as the wire knows it; none for what nobody may sign by. SHA-1 and keys shared with a client are
/// not among them.
#[must_use]
pub fn algorithm(method: SignatureMethod) -> Option<SignatureAlgorithm> {
    use SignatureAlgorithm as To;
    Some(match (method.family, method.hash) {
        (Family::RsaPkcs1, Hash::Sha256) => To::RsaSha256,
        (Family::RsaPkcs1, Hash::Sha384) => To::RsaSha384,
        (Family::RsaPkcs1, Hash::Sha512) => To::RsaSha512,
        (Family::RsaPss, Hash::Sha256) => To::PssSha256,
        (Family::RsaPss, Hash::Sha384) => To::PssSha384,
        (Family::RsaPss, Hash::Sha512) => To::PssSha512,
        (Family::Ecdsa, Hash::Sha256) => To::EcdsaSha256,
        (Family::Ecdsa, Hash::Sha384) => To::EcdsaSha384,
        (Family::Ecdsa, Hash::Sha512) => To::EcdsaSha512,
        (Family::Ed25519, _) => To::Ed25519,
        (Family::RsaPkcs1 | Family::RsaPss | Family::Ecdsa, Hash::Sha1) | (Family::Hmac, _) => return None,
    })
}

/// The same, and RSA with SHA-1 besides: for messages and assertions, of which auth says whether it may be.
#[must_use]
pub fn algorithm_or_sha1(method: SignatureMethod) -> Option<SignatureAlgorithm> {
    match (method.family, method.hash) {
        (Family::RsaPkcs1, Hash::Sha1) => Some(SignatureAlgorithm::RsaSha1),
        _ => algorithm(method),
    }
}

/// The algorithm of a MAC as the wire knows it; none where it is a signature.
#[must_use]
pub fn mac(method: SignatureMethod) -> Option<MacAlgorithm> {
    match (method.family, method.hash) {
        (Family::Hmac, Hash::Sha1) => Some(MacAlgorithm::HmacSha1),
        (Family::Hmac, Hash::Sha256) => Some(MacAlgorithm::HmacSha256),
        (Family::Hmac, Hash::Sha384) => Some(MacAlgorithm::HmacSha384),
        (Family::Hmac, Hash::Sha512) => Some(MacAlgorithm::HmacSha512),
        _ => None,
    }
}

/// The key of a `ds:KeyValue`, as the wire knows it; none where it is of a kind that no client may use.
#[must_use]
pub fn public_key(element: Element<'_>) -> Option<PublicKey> {
    Some(match key_value::read(element)? {
        KeyValue::Rsa { modulus, exponent } => {
            PublicKey::Rsa { modulus: Octets::new(modulus).ok()?, exponent: Octets::new(exponent).ok()? }
        }
        KeyValue::Point { curve, octets } => {
            let curve = match curve {
                NamedCurve::P256 => Curve::P256,
                NamedCurve::P384 => Curve::P384,
                NamedCurve::P521 => Curve::P521,
            };
            PublicKey::Point { curve, octets: Octets::new(octets).ok()? }
        }
    })
}

/// How a session key is sealed, as the wire knows it; none where label and MGF1 have different hashes, or one that
/// no token is asked for.
#[must_use]
pub fn transport(oaep: Oaep) -> Option<KeyTransport> {
    match (oaep.hash, oaep.mask) {
        (Hash::Sha1, Hash::Sha1) => Some(KeyTransport::OaepSha1),
        (Hash::Sha256, Hash::Sha256) => Some(KeyTransport::OaepSha256),
        _ => None,
    }
}

/// How a part is sealed, as the wire knows it.
#[must_use]
pub fn cipher(cipher: Cipher) -> PartCipher {
    match cipher {
        Cipher::Aes128Gcm => PartCipher::Aes128Gcm,
        Cipher::Aes192Gcm => PartCipher::Aes192Gcm,
        Cipher::Aes256Gcm => PartCipher::Aes256Gcm,
    }
}
