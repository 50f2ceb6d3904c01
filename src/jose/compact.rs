//! A JWS in compact serialisation (RFC 7515 7.1): three segments of base64url, dots between them, and nothing else.

use base64ct::{Base64UrlUnpadded, Encoding};

/// A JWS taken apart.
#[derive(Debug)]
pub struct Compact<'a> {
    /// What is signed: the first two segments with the dot between them.
    pub signed: &'a [u8],
    /// The header, JSON.
    pub header: Vec<u8>,
    /// The claims, JSON.
    pub claims: Vec<u8>,
    /// The signature; ECDSA as r‖s.
    pub signature: Vec<u8>,
}

/// Takes it apart (R-J020).
///
/// # Errors
/// A clause for the operator.
pub fn apart(octets: &[u8]) -> Result<Compact<'_>, &'static str> {
    let mut segments = octets.split(|octet| *octet == b'.');
    let (Some(header), Some(claims), Some(signature), None) =
        (segments.next(), segments.next(), segments.next(), segments.next())
    else {
        return Err("not three segments");
    };
    // Within the octets: the third segment has its dot before it.
    let signed = &octets[..octets.len() - signature.len() - 1];
    Ok(Compact { signed, header: decoded(header)?, claims: decoded(claims)?, signature: decoded(signature)? })
}

/// A segment, which is not empty. No padding, no white space, no bits left over: there is one spelling of its octets.
fn decoded(segment: &[u8]) -> Result<Vec<u8>, &'static str> {
    let text = std::str::from_utf8(segment).ok().filter(|text| !text.is_empty());
    text.and_then(base64url).ok_or("a segment that is not base64url")
}

/// The octets of their one spelling in base64url (RFC 4648 5), without padding.
#[must_use]
pub fn base64url(text: &str) -> Option<Vec<u8>> {
    Base64UrlUnpadded::decode_vec(text).ok()
}
