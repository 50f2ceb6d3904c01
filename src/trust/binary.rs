//! `wsse:BinarySecurityToken`: what kind of token it says it is, and its octets.

use super::username::BASE64;
use crate::xml::Element;
use crate::xml::chars::trim;
use crate::xml::signature::base64;

/// `ValueType` of a JWT (RFC 8693 3), as clients of Microsoft's libraries wrap it.
pub const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
/// `ValueType` of a certificate.
pub const X509V3: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3";
/// `ValueType` of certificates one behind the other, the last of which signed (R-W033).
pub const PKI_PATH: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509PKIPathv1";

/// The octets of a token; none where they are more than so many, or are not base64, as they are where nothing is said.
#[must_use]
pub fn octets(token: Element<'_>, most: usize) -> Option<Vec<u8>> {
    match token.attribute("", "EncodingType") {
        None | Some(BASE64) => base64(token.text().map(trim)?, most),
        Some(_) => None,
    }
}
