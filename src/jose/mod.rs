//! JWTs as JOSE writes them (RFC 7515, 7519): a signed one taken apart, its header and its claims as values. These are
//! octets of strangers until a key has verified them, so that everything is bounded, read in one way only, and refused
//! where it could be read in two: a member twice, padding, a header that changes what is signed. Nothing here verifies
//! anything, and nothing in a header is ever where a key comes from.

pub mod claims;
pub mod compact;
pub mod header;
pub mod json;
#[cfg(test)]
mod tests;

use crate::wire::evidence::SignatureAlgorithm;

/// Why there is nothing to read: for the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// Not what the standards write.
    Shape(&'static str),
    /// Signed as nothing is that is taken, or not at all.
    Algorithm,
}

/// Who a JWT says has issued it, and how it says that it is signed. Good for choosing the keys that are tried.
///
/// # Errors
/// [`Unreadable`].
pub fn said(octets: &[u8]) -> Result<(String, SignatureAlgorithm), Unreadable> {
    let parts = compact::apart(octets).map_err(Unreadable::Shape)?;
    let header = header::read(&parts.header)?;
    let claims = json::object(&parts.claims).map_err(Unreadable::Shape)?;
    match claims.get("iss") {
        Some(json::Value::Text(issuer)) => Ok((issuer.clone(), header.algorithm)),
        _ => Err(Unreadable::Shape("no issuer")),
    }
}
